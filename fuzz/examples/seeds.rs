//! Writes `corpus/TARGET/good-N`, the inputs to begin with: every file of every case as it should be.

use std::{fs, path::Path};

fn main() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, cases) in fuzz::cases::TARGETS {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).expect("makes a folder");
        for (at, case) in cases.iter().enumerate() {
            fs::write(folder.join(format!("good-{at}")), fuzz::seed(at, case)).expect("writes");
        }
    }
    for (target, seeds) in fuzz::cases::SEEDS {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).expect("makes a folder");
        for (at, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("good-{at}")), seed).expect("writes");
        }
    }
}
