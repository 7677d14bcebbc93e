//! The kernel's pool of randomness.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Page},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "entropy",
    on_by_default: true,
    summary: "the kernel's pool of randomness",
    reads: "/proc/sys/kernel/random/{entropy_avail,poolsize}",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&AVAILABLE, &POOL_SIZE],
    build: Entropy::build,
};

static AVAILABLE: Family =
    Family::gauge("node_entropy_available_bits", "Randomness that the kernel has gathered, in bits.");
static POOL_SIZE: Family =
    Family::gauge("node_entropy_pool_size_bits", "Randomness that the kernel's pool can hold, in bits.");

struct Entropy {
    files: [(KeptFile, &'static Family); 2],
}

impl Entropy {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file =
            |name| KeptFile::new(context.paths.procfs.join("sys/kernel/random").join(name), Serves::Whole);
        Ok(Box::new(Self { files: [(file("entropy_avail"), &AVAILABLE), (file("poolsize"), &POOL_SIZE)] }))
    }
}

impl Collector for Entropy {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        for (file, family) in &mut self.files {
            let Some(bits) = text::only(file.read()?) else {
                return Err(Failure::unreadable(file.path(), "a number of bits"));
            };
            page.family(family).plain(bits);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_number_is_a_failure_with_its_path() {
        let folder = std::env::temp_dir().join(format!("nodetally-entropy-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("makes a folder");
        let file = |text: &[u8]| {
            let path = folder.join("entropy_avail");
            std::fs::write(&path, text).expect("writes");
            let files = [(); 2].map(|()| (KeptFile::new(&path, Serves::Whole), &AVAILABLE));
            let mut page = Page::default();
            let outcome = Entropy { files }.collect(&mut page).map_err(|failure| failure.to_string());
            outcome.map(|()| str::from_utf8(page.text()).expect("a page is UTF-8").to_owned())
        };
        assert!(file(b"256\n").expect("reads").ends_with("node_entropy_available_bits 256\n"));
        for bad in [&b""[..], b"x\n", b"1 2\n", b"18446744073709551616\n", b"\xff"] {
            let failure = file(bad).expect_err("is no number");
            assert!(failure.contains("entropy_avail: expected"), "{failure}");
        }
        std::fs::remove_dir_all(&folder).expect("removes");
    }
}
