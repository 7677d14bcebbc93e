//! Node collectors run within the test, on roots of its choice.
#![allow(dead_code, reason = "each test uses a part")]

pub mod opened;

use std::path::{Path, PathBuf};

use exporter::{
    collector::{Collector, Context},
    config::{self, Asked, Paths},
    metric::Page,
    node,
};

/// The reference's data; it is not part of this repository.
pub fn pack() -> Option<PathBuf> {
    let root = std::env::var_os("CONFORMANCE_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
        PathBuf::from,
    );
    let pack = root.join("node_exporter/collector");
    // It is data beside the project, so its lack is told and no failure, in a CI run too.
    if !pack.is_dir() {
        eprintln!("LEFT OUT: needs the conformance data at {} (or $CONFORMANCE_DIR)", root.display());
    }
    pack.is_dir().then_some(pack)
}

/// Where the kernel's files are for a run.
pub fn paths(procfs: PathBuf, sysfs: PathBuf, rootfs: &str, udev_data: PathBuf) -> Paths {
    Paths { procfs, sysfs, rootfs: rootfs.into(), udev_data }
}

/// The collectors of these names, made with these flags.
pub fn build(paths: &Paths, names: &[&str], flags: &[&str]) -> Vec<Box<dyn Collector>> {
    let Ok(Asked::Run(flags)) = config::parse(flags.iter().map(|flag| (*flag).to_owned())) else {
        panic!("{flags:?}: refused");
    };
    let context = Context { paths, flags: &flags };
    let find =
        |name: &&str| *node::COLLECTORS.iter().find(|known| known.name == *name).expect("is a collector");
    names.iter().map(|name| (find(name).build)(&context).expect("builds")).collect()
}

/// One scrape of them; every one must succeed.
pub fn scrape(collectors: &mut [Box<dyn Collector>]) -> String {
    let mut page = Page::default();
    for collector in collectors {
        collector.collect(&mut page).expect("collects");
    }
    assert_eq!(page.dropped(), 0, "a family was written twice");
    let text = String::from_utf8(page.text().to_vec()).expect("a page is UTF-8");
    // Checks the form: no series twice, families together.
    tests::page::Page::parse(&text);
    text
}

/// The TYPE lines and samples, sorted.
pub fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> =
        text.lines().filter(|line| !line.is_empty() && !line.starts_with("# HELP ")).collect();
    lines.sort_unstable();
    lines
}
