//! Interrupts by CPU and line.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, Filter, FilterFlags},
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "interrupts",
    on_by_default: false,
    summary: "interrupts by CPU and line",
    reads: "/proc/interrupts",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[
        Flag {
            name: FILTER.include,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Only these interrupts, as TYPE;INFO;DEVICES",
        },
        Flag {
            name: FILTER.exclude,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "All interrupts but these, as TYPE;INFO;DEVICES",
        },
        Flag {
            name: ZEROS,
            takes: Takes::Switch { default: true },
            help: "Give interrupts that a CPU has never seen, too",
        },
    ],
    families: &[&INTERRUPTS],
    build: Interrupts::build,
};

const ZEROS: &str = "collector.interrupts.include-zeros";
const FILTER: FilterFlags = FilterFlags {
    include: "collector.interrupts.name-include",
    exclude: "collector.interrupts.name-exclude",
    old_include: None,
    old_exclude: None,
};

static INTERRUPTS: Family =
    Family::counter("node_interrupts_total", "Interrupts of this line that the CPU has served since boot.");

/// A line of the file.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    name: &'a [u8],
    /// The counts by CPU.
    counts: &'a [u8],
    /// What stands behind the counts.
    rest: &'a [u8],
}

struct Interrupts {
    file: KeptFile,
    filter: Filter,
    zeros: bool,
    /// By name and what stands behind the counts; `None` for one that is filtered out.
    known: Kept<Option<Interrupt>>,
}

/// What a line's labels are made of, the CPU aside.
struct Interrupt {
    devices: Vec<u8>,
    info: Vec<u8>,
    name: Vec<u8>,
    /// By CPU.
    labels: Vec<Labels>,
    counts: Vec<u64>,
}

impl Interrupts {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            file: KeptFile::new(context.paths.procfs.join("interrupts"), Serves::Records),
            filter: Filter::from_flags(context.flags, &FILTER)?,
            zeros: context.flags.is_on(ZEROS),
            known: Kept::default(),
        }))
    }

    fn read(&mut self) -> Result<(), Failure> {
        let Self { file, filter, known, .. } = self;
        let text = file.read()?;
        known.begin();
        let mut take = || {
            let mut lines = text::lines(text);
            let cpus = text::fields(lines.next()?).count();
            let mut key = Vec::new();
            for line in lines.filter_map(|line| parse(line, cpus)) {
                key.clear();
                key.extend_from_slice(line.name);
                key.push(b':');
                key.extend_from_slice(line.rest);
                if let Some(Some(interrupt)) = known.meet(&key, || Interrupt::new(&line, filter)) {
                    interrupt.count(line.counts)?;
                }
            }
            Some(())
        };
        let taken = take();
        known.end();
        taken.ok_or_else(|| Failure::unreadable(file.path(), "a number for each interrupt and CPU"))
    }
}

impl Interrupt {
    fn new(line: &Line<'_>, filter: &Filter) -> Option<Self> {
        let words = text::fields(line.rest).collect::<Vec<_>>();
        // A numbered line tells the controller in its first word and then the devices.
        let (info, devices) = match text::whole(line.name) {
            Some(_) => words.split_at_checked(1)?,
            None => (&words[..], &[][..]),
        };
        let (info, devices) = (info.join(&b' '), devices.join(&b' '));
        let wanted = [line.name, b";", &info, b";", &devices].concat();
        filter.keeps(&String::from_utf8_lossy(&wanted)).then(|| Self {
            devices,
            info,
            name: line.name.to_vec(),
            labels: Vec::new(),
            counts: Vec::new(),
        })
    }

    /// Takes this scrape's counts; `None` if one is no number.
    fn count(&mut self, counts: &[u8]) -> Option<()> {
        self.counts.clear();
        for (cpu, field) in text::fields(counts).enumerate() {
            self.counts.push(text::whole(field)?);
            if self.labels.len() <= cpu {
                self.labels.push(Labels::new([
                    ("cpu", cpu.to_string().as_bytes()),
                    ("devices", &self.devices),
                    ("info", &self.info),
                    ("type", &self.name),
                ]));
            }
        }
        Some(())
    }
}

impl Collector for Interrupts {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.read()?;
        let mut samples = page.family(&INTERRUPTS);
        for interrupt in self.known.items().flatten() {
            for (labels, count) in interrupt.labels.iter().zip(&interrupt.counts) {
                if self.zeros || *count != 0 {
                    samples.sample(labels, *count);
                }
            }
        }
        Ok(())
    }
}

/// `None` for a line with no words behind its counts, such as `ERR`, which the reference leaves out.
fn parse(line: &[u8], cpus: usize) -> Option<Line<'_>> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, data) = (line.get(..colon)?.trim_ascii(), line.get(colon + 1..)?);
    let behind = text::fields(data).nth(cpus)?;
    // Where that word begins: fields are parts of the line.
    let at = behind.as_ptr().addr().checked_sub(data.as_ptr().addr())?;
    let (counts, rest) = data.split_at_checked(at)?;
    Some(Line { name, counts, rest: rest.trim_ascii_end() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(line: &[u8], cpus: usize) -> Option<(String, Vec<u64>)> {
        let line = parse(line, cpus)?;
        let mut interrupt = Interrupt::new(&line, &Filter::default())?;
        interrupt.count(line.counts)?;
        let last = interrupt.labels.last()?.text();
        Some((String::from_utf8_lossy(last).into_owned(), interrupt.counts))
    }

    #[test]
    fn numbered_lines_have_devices_and_others_a_text() {
        let (text, counts) =
            labels(b" 16:   1   18446744073709551615  IR-IO-APIC-fasteoi   ehci_hcd:usb1, mmc0", 2)
                .expect("is a line");
        assert_eq!(text, r#"cpu="1",devices="ehci_hcd:usb1, mmc0",info="IR-IO-APIC-fasteoi",type="16""#);
        assert_eq!(counts, [1, u64::MAX]);
        let (text, counts) = labels(b"NMI:  47  Non-maskable interrupts", 1).expect("is a line");
        assert_eq!(text, r#"cpu="0",devices="",info="Non-maskable interrupts",type="NMI""#);
        assert_eq!(counts, [47]);
        let (text, _) = labels(b"IPI0:7 2  Rescheduling\xff interrupts", 2).expect("is a line");
        assert!(text.contains("info=\"Rescheduling\u{fffd} interrupts\",type=\"IPI0\""), "{text}");
    }

    #[test]
    fn lines_without_a_text_or_numbers_are_left_out() {
        for odd in [
            &b"ERR:   0"[..],
            b"",
            b"NMI 1 2 x",
            b"NMI:",
            b"0: 1 x acpi",
            b"0: 18446744073709551616 1 acpi x",
            b"\xff",
        ] {
            assert_eq!(labels(odd, 2), None, "{odd:?}");
        }
    }
}
