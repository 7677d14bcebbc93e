//! Merging of equal memory pages (KSM).

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Page},
    source::folder::{Folder, optional},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "ksmd",
    on_by_default: false,
    summary: "merging of equal memory pages",
    reads: "/sys/kernel/mm/ksm",
    since: "2.6.32",
    pace: Pace::Quick,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Ksmd::build,
};

const COUNT: usize = 10;

/// In the order of [`FAMILIES`].
const FILES: [&str; COUNT] = [
    "full_scans",
    "general_profit",
    "merge_across_nodes",
    "pages_shared",
    "pages_sharing",
    "pages_to_scan",
    "pages_unshared",
    "pages_volatile",
    "run",
    "sleep_millisecs",
];
/// Their unit, where it is another than the file's.
const MILLISECONDS: &str = "sleep_millisecs";

static FAMILIES: [Family; COUNT] = [
    Family::counter("node_ksmd_full_scans_total", "Times that all memory open to merging was scanned."),
    Family::gauge(
        "node_ksmd_general_profit_bytes",
        "Memory saved by merging less what merging itself needs, in bytes; below 0 it does not pay.",
    ),
    Family::gauge(
        "node_ksmd_merge_across_nodes",
        "Whether pages of different NUMA nodes are merged, 1 or 0.",
    ),
    Family::gauge("node_ksmd_pages_shared", "Pages that stand for several equal ones."),
    Family::gauge("node_ksmd_pages_sharing", "Pages saved, since another one stands for them."),
    Family::gauge("node_ksmd_pages_to_scan", "Pages looked at before the scanner sleeps."),
    Family::gauge("node_ksmd_pages_unshared", "Pages open to merging that are like no other."),
    Family::gauge("node_ksmd_pages_volatile", "Pages that change too fast to be merged."),
    Family::gauge("node_ksmd_run", "State of the scanner: 0 stopped, 1 running, 2 undoing what was merged."),
    Family::gauge("node_ksmd_sleep_seconds", "Seconds that the scanner sleeps between two rounds."),
];
static EVERY_FAMILY: [&Family; COUNT] = Family::each(&FAMILIES);

struct Ksmd {
    folder: Folder,
}

impl Ksmd {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { folder: Folder::new(context.paths.sysfs.join("kernel/mm/ksm")) }))
    }
}

impl Collector for Ksmd {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        for (family, file) in FAMILIES.iter().zip(FILES) {
            // A file that this kernel does not have gives no series. The profit may be below 0.
            if let Some(number) = optional(self.folder.signed(file))? {
                let number = number as f64;
                page.family(family).plain(if file == MILLISECONDS { number / 1000.0 } else { number });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_give_what_they_hold() {
        let root = std::env::temp_dir().join(format!("nodetally-ksmd-{}", std::process::id()));
        fs::create_dir_all(&root).expect("makes");
        let mut ksmd = Ksmd { folder: Folder::new(&root) };
        let mut collect = || {
            let mut page = Page::default();
            let outcome = ksmd.collect(&mut page).map_err(|failure| failure.to_string());
            outcome.map(|()| String::from_utf8(page.text().to_vec()).expect("a page is UTF-8"))
        };
        assert_eq!(collect(), Ok(String::new()));
        for (file, text) in [("sleep_millisecs", "20\n"), ("general_profit", "-4096\n"), ("run", "1\n")] {
            fs::write(root.join(file), text).expect("writes");
        }
        let page = collect().expect("collects");
        for line in
            ["node_ksmd_sleep_seconds 0.02", "node_ksmd_general_profit_bytes -4096", "node_ksmd_run 1"]
        {
            assert!(page.lines().any(|found| found == line), "{line}: {page}");
        }
        assert_eq!(page.lines().count(), 3 * 3);
        for bad in [&b"x"[..], b"", b"1 2", b"9223372036854775808", b"\xff"] {
            fs::write(root.join("pages_shared"), bad).expect("writes");
            assert!(collect().expect_err("is no number").contains("pages_shared"), "{bad:?}");
        }
        fs::remove_dir_all(&root).expect("removes");
    }
}
