//! What each CPU has done to received packets below the protocols.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "softnet",
    on_by_default: true,
    summary: "packets taken in, dropped and put off, by CPU",
    reads: "/proc/net/softnet_stat",
    since: "2.6; backlog 5.10",
    pace: Pace::Quick,
    flags: &[],
    families: &[&PROCESSED, &DROPPED, &SQUEEZED, &COLLISIONS, &STEERED, &FLOW_LIMIT, &BACKLOG],
    build: Softnet::build,
};

static PROCESSED: Family =
    Family::counter("node_softnet_processed_total", "Packets that the CPU has taken in.");
static DROPPED: Family =
    Family::counter("node_softnet_dropped_total", "Packets dropped because the CPU's backlog was full.");
static SQUEEZED: Family = Family::counter(
    "node_softnet_times_squeezed_total",
    "Times that the CPU stopped taking in packets, its time or budget used up, with more to take.",
);
static COLLISIONS: Family = Family::counter(
    "node_softnet_cpu_collision_total",
    "Times that a sender found the device's lock held by another CPU.",
);
static STEERED: Family = Family::counter(
    "node_softnet_received_rps_total",
    "Times that another CPU has woken this one to take in packets.",
);
static FLOW_LIMIT: Family = Family::counter(
    "node_softnet_flow_limit_count_total",
    "Packets dropped because their flow filled too much of the backlog.",
);
static BACKLOG: Family =
    Family::gauge("node_softnet_backlog_len", "Packets that wait in the CPU's backlog at this moment.");

/// Column of the file (what is not there counts as 0) and its family.
static COLUMNS: [(usize, &Family); 7] = [
    (0, &PROCESSED),
    (1, &DROPPED),
    (2, &SQUEEZED),
    (8, &COLLISIONS),
    (9, &STEERED),
    (10, &FLOW_LIMIT),
    (11, &BACKLOG),
];
const LEAST: usize = 9;
/// The column of the CPU's number; it came together with the backlog's.
const NUMBER: usize = 12;
const MOST: usize = NUMBER + 1;

type Row = [u64; MOST];

struct Softnet {
    file: KeptFile,
    /// The CPUs of this scrape, their numbers in place.
    rows: Vec<Row>,
    /// By the CPU's number.
    cpus: Vec<(u64, Labels)>,
}

impl Softnet {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file = KeptFile::new(context.paths.procfs.join("net/softnet_stat"), Serves::Rows);
        Ok(Box::new(Self { file, rows: Vec::new(), cpus: Vec::new() }))
    }
}

impl Collector for Softnet {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let Self { file, rows, cpus } = self;
        parse(file.read()?, rows).ok_or_else(|| {
            Failure::unreadable(file.path(), "nine or more hexadecimal numbers for each CPU")
        })?;
        let numbers = || rows.iter().map(|row| row[NUMBER]);
        if !numbers().eq(cpus.iter().map(|(number, _)| *number)) {
            *cpus = numbers().map(|number| (number, Labels::new([("cpu", number.to_string())]))).collect();
        }
        for (column, family) in &COLUMNS {
            let mut samples = page.family(family);
            for (row, (_, labels)) in rows.iter().zip(cpus.iter()) {
                samples.sample(labels, row.get(*column).copied().unwrap_or_default());
            }
        }
        Ok(())
    }
}

/// `None` for a line that makes no sense, or two for one CPU.
fn parse(softnet: &[u8], rows: &mut Vec<Row>) -> Option<()> {
    rows.clear();
    for (index, line) in text::lines(softnet).enumerate() {
        let mut row = Row::default();
        let mut count = 0;
        for (column, field) in row.iter_mut().zip(text::fields(line)) {
            *column = text::hex(field)?;
            count += 1;
        }
        if count < MOST {
            row[NUMBER] = index as u64;
            row[NUMBER - 1] = 0;
        }
        if count < LEAST || rows.iter().any(|other| other[NUMBER] == row[NUMBER]) {
            return None;
        }
        rows.push(row);
    }
    (!rows.is_empty()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Option<Vec<Row>> {
        let mut rows = Vec::new();
        parse(text.as_bytes(), &mut rows).map(|()| rows)
    }

    #[test]
    fn old_and_new_kernels_are_read() {
        let found = rows("a 1 2 0 0 0 0 0 3\nffffffff 1 2 0 0 0 0 0 3 4 5 6 11 0 0\n").expect("is in order");
        assert_eq!(found[0], [10, 1, 2, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0]);
        assert_eq!(found[1], [0xffff_ffff, 1, 2, 0, 0, 0, 0, 0, 3, 4, 5, 6, 17]);
        assert_eq!(rows("0 0 0 0 0 0 0 0 0 0 0 9\n").expect("is in order")[0][11..], [0, 0]);
    }

    #[test]
    fn lines_that_make_no_sense_are_failures() {
        for bad in
            ["", "1 2 3 4 5 6 7 8", "x 1 2 0 0 0 0 0 3", "10000000000000000 1 2 0 0 0 0 0 3", "\u{fffd}"]
        {
            assert_eq!(rows(bad), None, "{bad:?}");
        }
        let twice = "0 0 0 0 0 0 0 0 0 0 0 0 1\n0 0 0 0 0 0 0 0 0 0 0 0 1\n";
        assert_eq!(rows(twice), None);
    }
}
