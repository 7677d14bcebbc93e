//! Time lost to waiting for CPU, disk, memory and interrupts.

use rustix::io::Errno;

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
    name: "pressure",
    on_by_default: true,
    summary: "time lost to waiting for CPU, disk, memory and interrupts",
    reads: "/proc/pressure/{cpu,io,memory,irq}",
    since: "4.20; irq 6.1",
    pace: Pace::Quick,
    flags: &[],
    families: &[&CPU_WAITING, &IO_WAITING, &IO_STALLED, &MEMORY_WAITING, &MEMORY_STALLED, &IRQ_STALLED],
    build: Pressure::build,
};

static CPU_WAITING: Family = Family::counter(
    "node_pressure_cpu_waiting_seconds_total",
    "Seconds in which at least one task waited for a CPU.",
);
static IO_WAITING: Family = Family::counter(
    "node_pressure_io_waiting_seconds_total",
    "Seconds in which at least one task waited for a disk.",
);
static IO_STALLED: Family = Family::counter(
    "node_pressure_io_stalled_seconds_total",
    "Seconds in which every task that had something to do waited for a disk.",
);
static MEMORY_WAITING: Family = Family::counter(
    "node_pressure_memory_waiting_seconds_total",
    "Seconds in which at least one task waited for memory.",
);
static MEMORY_STALLED: Family = Family::counter(
    "node_pressure_memory_stalled_seconds_total",
    "Seconds in which every task that had something to do waited for memory.",
);
static IRQ_STALLED: Family = Family::counter(
    "node_pressure_irq_stalled_seconds_total",
    "Seconds in which tasks stood still because their CPU served interrupts.",
);

/// One of the files, and the families of its two lines.
struct Resource {
    file: KeptFile,
    some: Option<&'static Family>,
    full: Option<&'static Family>,
}

struct Pressure {
    resources: [Resource; 4],
}

impl Pressure {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let resource = |name, some, full| Resource {
            file: KeptFile::new(context.paths.procfs.join("pressure").join(name), Serves::Whole),
            some,
            full,
        };
        Ok(Box::new(Self {
            resources: [
                resource("cpu", Some(&CPU_WAITING), None),
                resource("io", Some(&IO_WAITING), Some(&IO_STALLED)),
                resource("memory", Some(&MEMORY_WAITING), Some(&MEMORY_STALLED)),
                resource("irq", None, Some(&IRQ_STALLED)),
            ],
        }))
    }
}

impl Collector for Pressure {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut missing = None;
        let mut found = false;
        for Resource { file, some, full } in &mut self.resources {
            match file.read() {
                Ok(text) => {
                    found = true;
                    for (family, line) in [(some, &b"some"[..]), (full, b"full")] {
                        let Some(family) = family else { continue };
                        // The reference divides twice, and the last digit shows it.
                        let total = total(text, line).map(|micros| micros as f64 / 1000.0 / 1000.0);
                        let Some(total) = total else {
                            return Err(Failure::unreadable(
                                file.path(),
                                "a line with total=, in microseconds",
                            ));
                        };
                        page.family(family).plain(total);
                    }
                }
                Err(error) if error.is_gone() => _ = missing.get_or_insert(error),
                Err(error) if is_off(&error) => return Err(Failure::absent(error.to_string())),
                Err(error) => return Err(error.into()),
            }
        }
        match missing {
            Some(error) if !found => Err(error.or_absent()),
            _ => Ok(()),
        }
    }
}

/// The kernel can, but was told not to (`psi=0`).
fn is_off(error: &ReadError) -> bool {
    Errno::from_io_error(&error.error) == Some(Errno::OPNOTSUPP)
}

/// The microseconds of the line that begins with this word.
fn total(pressure: &[u8], word: &[u8]) -> Option<u64> {
    text::lines(pressure).find_map(|line| {
        let mut fields = text::fields(line);
        (fields.next()? == word).then_some(())?;
        fields.find_map(|field| text::whole(field.strip_prefix(b"total=")?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_by_line() {
        let text =
            b"some avg10=0.18 avg60=0.34 avg300=0.10 total=159\nfull avg10=0 avg60=0 avg300=0 total=7\n";
        assert_eq!(total(text, b"some"), Some(159));
        assert_eq!(total(text, b"full"), Some(7));
        assert_eq!(total(b"full total=18446744073709551615", b"full"), Some(u64::MAX));
    }

    #[test]
    fn a_line_that_makes_no_sense_has_no_total() {
        for bad in [
            &b""[..],
            b"some",
            b"some avg10=0.18",
            b"some total=",
            b"some total=x",
            b"some \xff",
            b"some total=18446744073709551616",
            b"something total=1",
        ] {
            assert_eq!(total(bad, b"some"), None, "{bad:?}");
        }
    }

    #[test]
    fn only_a_refusal_means_that_it_is_off() {
        let error = |errno: Errno| ReadError { operation: "open", path: "x".into(), error: errno.into() };
        assert!(is_off(&error(Errno::OPNOTSUPP)) && !is_off(&error(Errno::ACCESS)));
    }
}
