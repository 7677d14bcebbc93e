//! Soft interrupts by CPU and type.

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
    name: "softirqs",
    on_by_default: false,
    summary: "soft interrupts by CPU and type",
    reads: "/proc/softirqs",
    since: "2.6.31",
    pace: Pace::Quick,
    flags: &[],
    families: &[&FUNCTIONS],
    build: Softirqs::build,
};

static FUNCTIONS: Family = Family::counter(
    "node_softirqs_functions_total",
    "Soft interrupts that the CPU has served since boot, by type.",
);

const TYPES: [&str; 10] =
    ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];

struct Softirqs {
    file: KeptFile,
    /// Labels by CPU for each type; the reference counts the columns, whatever their headings say.
    labels: [Vec<Labels>; TYPES.len()],
}

impl Softirqs {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file = KeptFile::new(context.paths.procfs.join("softirqs"), Serves::Whole);
        Ok(Box::new(Self { file, labels: Default::default() }))
    }
}

impl Collector for Softirqs {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let Self { file, labels } = self;
        let text = file.read()?;
        let mut samples = page.family(&FUNCTIONS);
        let mut write = || {
            for (index, counts) in rows(text) {
                let (labels, kind) = (labels.get_mut(index)?, TYPES.get(index)?);
                for (cpu, field) in counts.enumerate() {
                    let count = text::whole(field)?;
                    if labels.len() <= cpu {
                        labels.push(Labels::new([("cpu", cpu.to_string().as_str()), ("type", kind)]));
                    }
                    samples.sample(labels.get(cpu)?, count);
                }
            }
            Some(())
        };
        let written = write();
        written.ok_or_else(|| Failure::unreadable(file.path(), "a number for each type and CPU"))
    }
}

/// The lines of known types, each once: place in [`TYPES`] and counts by CPU.
fn rows(softirqs: &[u8]) -> impl Iterator<Item = (usize, impl Iterator<Item = &[u8]>)> {
    let mut seen = [false; TYPES.len()];
    text::lines(softirqs).filter_map(move |line| {
        let mut fields = text::fields(line);
        let kind = fields.next()?.strip_suffix(b":")?;
        let index = TYPES.iter().position(|known| known.as_bytes() == kind)?;
        let is_new = !std::mem::replace(seen.get_mut(index)?, true);
        is_new.then_some((index, fields))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &[u8]) -> Vec<(&str, Vec<Option<u64>>)> {
        rows(text).map(|(index, counts)| (TYPES[index], counts.map(text::whole).collect())).collect()
    }

    #[test]
    fn known_types_are_read() {
        let text = b"    CPU0  CPU3\n  HI:  7  1\nNEW: 1 2\n RCU: 5 18446744073709551615\n";
        assert_eq!(parsed(text), [("HI", vec![Some(7), Some(1)]), ("RCU", vec![Some(5), Some(u64::MAX)])]);
    }

    #[test]
    fn what_makes_no_sense_is_no_number() {
        assert_eq!(parsed(b"HI: x \xff 18446744073709551616\nHI: 3\n"), [("HI", vec![None, None, None])]);
        for odd in [&b""[..], b"HI", b"HI 3", b"\xff: 3", b"CPU0 CPU1"] {
            assert!(parsed(odd).is_empty(), "{odd:?}");
        }
    }
}
