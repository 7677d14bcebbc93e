//! Connections that the packet filter tracks.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Page},
    source::{
        file::{KeptFile, ReadError, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "conntrack",
    on_by_default: true,
    summary: "connections that the packet filter tracks",
    reads: "/proc/sys/net/netfilter/nf_conntrack_{count,max}, /proc/net/stat/nf_conntrack",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[
        &ENTRIES,
        &LIMIT,
        &FOUND,
        &INVALID,
        &IGNORE,
        &INSERT,
        &INSERT_FAILED,
        &DROP,
        &EARLY_DROP,
        &SEARCH_RESTART,
    ],
    build: Conntrack::build,
};

static ENTRIES: Family = Family::gauge("node_nf_conntrack_entries", "Connections that are tracked now.");
static LIMIT: Family =
    Family::gauge("node_nf_conntrack_entries_limit", "Connections that may be tracked at a time.");
static FOUND: Family =
    Family::gauge("node_nf_conntrack_stat_found", "Lookups since boot that found their connection.");
static INVALID: Family =
    Family::gauge("node_nf_conntrack_stat_invalid", "Packets since boot that cannot be tracked.");
static IGNORE: Family = Family::gauge(
    "node_nf_conntrack_stat_ignore",
    "Packets since boot that were tracked already or are not to be tracked.",
);
static INSERT: Family =
    Family::gauge("node_nf_conntrack_stat_insert", "Connections since boot taken into the table.");
static INSERT_FAILED: Family = Family::gauge(
    "node_nf_conntrack_stat_insert_failed",
    "Connections since boot not taken into the table because an equal one was there.",
);
static DROP: Family = Family::gauge(
    "node_nf_conntrack_stat_drop",
    "Packets since boot dropped because their connection could not be tracked.",
);
static EARLY_DROP: Family = Family::gauge(
    "node_nf_conntrack_stat_early_drop",
    "Connections since boot forgotten early to make room for new ones.",
);
static SEARCH_RESTART: Family = Family::gauge(
    "node_nf_conntrack_stat_search_restart",
    "Lookups since boot begun anew because the table changed its size.",
);

/// Column of the statistics and its family.
static COLUMNS: [(usize, &Family); 8] = [
    (2, &FOUND),
    (4, &INVALID),
    (5, &IGNORE),
    (8, &INSERT),
    (9, &INSERT_FAILED),
    (10, &DROP),
    (11, &EARLY_DROP),
    (16, &SEARCH_RESTART),
];
/// Before 2.6.35 the last column is not there.
const LEAST: usize = 16;
const MOST: usize = 17;

struct Conntrack {
    numbers: [(KeptFile, &'static Family); 2],
    statistics: KeptFile,
}

impl Conntrack {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let procfs = &context.paths.procfs;
        let number = |name| KeptFile::new(procfs.join("sys/net/netfilter").join(name), Serves::Whole);
        Ok(Box::new(Self {
            numbers: [(number("nf_conntrack_count"), &ENTRIES), (number("nf_conntrack_max"), &LIMIT)],
            statistics: KeptFile::new(procfs.join("net/stat/nf_conntrack"), Serves::Rows),
        }))
    }
}

impl Collector for Conntrack {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        for (file, family) in &mut self.numbers {
            let number = text::only(file.read().map_err(ReadError::or_absent)?);
            let number = number.ok_or_else(|| Failure::unreadable(file.path(), "a number of connections"))?;
            page.family(family).plain(number);
        }
        let file = &mut self.statistics;
        let sums = sums(file.read().map_err(ReadError::or_absent)?)
            .ok_or_else(|| Failure::unreadable(file.path(), "16 or 17 hexadecimal numbers for each CPU"))?;
        for (column, family) in &COLUMNS {
            page.family(family).plain(sums.get(*column).copied().unwrap_or_default());
        }
        Ok(())
    }
}

/// The columns, the CPUs added up; `None` if a line makes no sense.
fn sums(statistics: &[u8]) -> Option<[u64; MOST]> {
    let mut sums = [0_u64; MOST];
    for line in text::lines(statistics).skip(1) {
        let columns = text::fields(line).count();
        if !(LEAST..=MOST).contains(&columns) {
            return None;
        }
        for (sum, field) in sums.iter_mut().zip(text::fields(line)) {
            *sum = sum.wrapping_add(text::hex(field)?);
        }
    }
    Some(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_added_up() {
        let old = "0 1 2 3 4 5 6 7 8 9 a b c d e f";
        let text = format!("entries searched\n{old}\n{old} 11\n");
        let sums = sums(text.as_bytes()).expect("is in order");
        assert_eq!((sums[2], sums[10], sums[15], sums[16]), (4, 20, 30, 17));
        assert_eq!(super::sums(b"entries\n"), Some([0; MOST]));
        let most = format!("entries\nffffffffffffffff{}\n", " ffffffffffffffff".repeat(15));
        assert_eq!(super::sums(most.as_bytes()).map(|sums| sums[0]), Some(u64::MAX));
        assert_eq!(super::sums(format!("{most}{old}\n").as_bytes()).map(|sums| sums[1]), Some(0), "wraps");
    }

    #[test]
    fn lines_that_make_no_sense_are_failures() {
        for bad in
            ["0 1", "0 1 2 3 4 5 6 7 8 9 a b c d e x", "\u{fffd}", "0 1 2 3 4 5 6 7 8 9 a b c d e f 10 11"]
        {
            assert_eq!(sums(format!("entries\n{bad}\n").as_bytes()), None, "{bad:?}");
        }
        assert_eq!(sums(b"entries\n10000000000000000 1 2 3 4 5 6 7 8 9 a b c d e f\n"), None);
    }
}
