//! How long tasks ran and waited on each CPU.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::{
        file::{KeptFile, ReadError, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "schedstat",
    on_by_default: true,
    summary: "how long tasks ran and waited, by CPU",
    reads: "/proc/schedstat",
    since: "2.6.23, with CONFIG_SCHEDSTATS",
    pace: Pace::Quick,
    flags: &[],
    families: &[&RUNNING, &WAITING, &TIMESLICES],
    build: Schedstat::build,
};

static RUNNING: Family =
    Family::counter("node_schedstat_running_seconds_total", "Seconds that tasks ran on the CPU.");
static WAITING: Family = Family::counter(
    "node_schedstat_waiting_seconds_total",
    "Seconds that tasks were ready and waited for the CPU, all tasks added up.",
);
static TIMESLICES: Family =
    Family::counter("node_schedstat_timeslices_total", "Times that a task was put on the CPU.");

/// Nanoseconds run, nanoseconds waited, time slices.
type Figures = [u64; 3];

struct Schedstat {
    file: KeptFile,
    cpus: Kept<(Labels, Figures)>,
}

impl Schedstat {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file = KeptFile::new(context.paths.procfs.join("schedstat"), Serves::Records);
        Ok(Box::new(Self { file, cpus: Kept::default() }))
    }
}

impl Collector for Schedstat {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let cpus = &mut self.cpus;
        cpus.begin();
        for (number, figures) in parse(self.file.read().map_err(ReadError::or_absent)?) {
            let make = || (Labels::new([("cpu", number)]), figures);
            if let Some((_, known)) = cpus.meet(number, make) {
                *known = figures;
            }
        }
        cpus.end();
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let mut samples = page.family(&RUNNING);
        cpus.items().for_each(|(labels, [running, ..])| samples.sample(labels, seconds(*running)));
        let mut samples = page.family(&WAITING);
        cpus.items().for_each(|(labels, [_, waiting, _])| samples.sample(labels, seconds(*waiting)));
        let mut samples = page.family(&TIMESLICES);
        cpus.items().for_each(|(labels, [.., slices])| samples.sample(labels, *slices));
        Ok(())
    }
}

/// The CPUs: number as text, and figures. What is no line of a CPU is left out, as the reference does.
fn parse(schedstat: &[u8]) -> impl Iterator<Item = (&[u8], Figures)> {
    text::lines(schedstat).filter_map(|line| {
        let mut fields = text::fields(line);
        let number = fields.next()?.strip_prefix(b"cpu")?;
        text::whole(number)?;
        let mut last_three = fields.skip(6).map(text::whole);
        let mut next = || last_three.next().flatten();
        Some((number, [next()?, next()?, next()?]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_three_columns_are_read() {
        let text = b"version 15\ntimestamp 1\ncpu0 1 0 3 4 5 6 2045936778163039 8 18446744073709551615\ndomain0 3 1 2\n\
            cpu11 1 0 3 4 5 6 7 8 9\n";
        let found: Vec<_> = parse(text).collect();
        assert_eq!(found, [(&b"0"[..], [2_045_936_778_163_039, 8, u64::MAX]), (&b"11"[..], [7, 8, 9])]);
    }

    #[test]
    fn lines_that_make_no_sense_are_left_out() {
        for bad in [
            &b""[..],
            b"cpu0",
            b"cpu 1 0 3 4 5 6 7 8 9",
            b"cpu0 1 0 3 4 5 6 7 8",
            b"cpu0 1 0 3 4 5 6 7 x 9",
            b"cpu0 1 0 3 4 5 6 7 8 18446744073709551616",
            b"\xff",
        ] {
            assert_eq!(parse(bad).count(), 0, "{bad:?}");
        }
    }
}
