//! Counters of the performance monitor, by CPU.

mod events;
mod flags;

use std::{collections::BTreeSet, io};

use rustix::thread::CapabilitySet;

use self::events::{CACHE, HARDWARE, Known, SOFTWARE, TRACEPOINT};
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        cpu,
        file::{KeptFile, Serves},
        limit::raise_descriptor_limit,
        perf::{Counters, Counting, Event, KernelCounters},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "perf",
    on_by_default: false,
    summary: "the CPUs' performance counters: cycles, instructions, caches, faults, tracepoints",
    reads: "perf_event_open(2)",
    since: "2.6.32; with CPUs that come and go 5.8",
    // A read asks the CPU itself and waits for nobody else. The counters are opened while there still is the right to.
    pace: Pace::Quick,
    flags: &[
        Flag {
            name: CPUS,
            takes: Takes::Text { placeholder: "LIST", default: "" },
            help: "Only these CPUs: 0,4-7,8-31:2",
        },
        Flag {
            name: TRACEPOINTS,
            takes: Takes::Many { placeholder: "SUBSYSTEM:EVENT", default: "" },
            help: "Count this tracepoint of the kernel",
        },
        Flag {
            name: NO_HARDWARE,
            takes: Takes::Switch { default: false },
            help: "Leave out the events of the processor",
        },
        Flag {
            name: ONLY_HARDWARE,
            takes: Takes::Many { placeholder: "EVENT", default: "" },
            help: "Only these events of the processor, such as CpuCycles",
        },
        Flag {
            name: NO_SOFTWARE,
            takes: Takes::Switch { default: false },
            help: "Leave out the events of the kernel",
        },
        Flag {
            name: ONLY_SOFTWARE,
            takes: Takes::Many { placeholder: "EVENT", default: "" },
            help: "Only these events of the kernel, such as PageFault",
        },
        Flag {
            name: NO_CACHE,
            takes: Takes::Switch { default: false },
            help: "Leave out the events of the processor's caches",
        },
        Flag {
            name: ONLY_CACHE,
            takes: Takes::Many { placeholder: "EVENT", default: "" },
            help: "Only these events of the processor's caches, such as LLReadMiss",
        },
    ],
    families: &events::FAMILIES,
    build: |context| Ok(Box::new(Perf::new(context, KernelCounters)?)),
};

const CPUS: &str = "collector.perf.cpus";
const TRACEPOINTS: &str = "collector.perf.tracepoint";
const NO_HARDWARE: &str = "collector.perf.disable-hardware-profilers";
const ONLY_HARDWARE: &str = "collector.perf.hardware-profilers";
const NO_SOFTWARE: &str = "collector.perf.disable-software-profilers";
const ONLY_SOFTWARE: &str = "collector.perf.software-profilers";
const NO_CACHE: &str = "collector.perf.disable-cache-profilers";
const ONLY_CACHE: &str = "collector.perf.cache-profilers";

/// Something that is counted, and how its samples are called.
struct Counted {
    event: Event,
    family: &'static Family,
    /// The family's own name, which for a tracepoint is not that of `family`.
    name: String,
}

/// Events that are counted and read together: places in the list of all.
type Together = std::ops::Range<usize>;

/// What is kept of a CPU, and its counts of this scrape.
struct Cpu {
    number: u32,
    labels: Labels,
    groups: Vec<Group>,
    counts: Vec<Option<u64>>,
}

struct Group {
    places: Together,
    counting: Box<dyn Counting>,
    /// How long it had counted when it was read last, in nanoseconds.
    enabled: u64,
}

struct Perf<C> {
    counters: C,
    online: KeptFile,
    wanted: Option<BTreeSet<u32>>,
    counted: Vec<Counted>,
    groups: Vec<Together>,
    cpus: Vec<Cpu>,
    buffer: Vec<u64>,
    /// Why a counter could not be opened that this machine has.
    refused: Option<String>,
}

impl<C: Counters> Perf<C> {
    fn new(context: &Context<'_>, counters: C) -> Result<Self, ConfigError> {
        let sysfs = &context.paths.sysfs;
        let mut perf = Self {
            counters,
            online: KeptFile::new(cpu::folder(sysfs).join("online"), Serves::Whole),
            wanted: flags::cpus(CPUS, context.flags.text(CPUS))?,
            counted: Vec::new(),
            groups: Vec::new(),
            cpus: Vec::new(),
            buffer: Vec::new(),
            refused: None,
        };
        perf.choose(context);
        let tracepoints = flags::tracepoints(context.flags, TRACEPOINTS, sysfs)?;
        let first = perf.counted.len();
        perf.counted.extend(tracepoints.iter().map(|tracepoint| Counted {
            event: Event::tracepoint(tracepoint.id),
            family: &TRACEPOINT,
            name: crate::node::names::family_name("node_perf_", tracepoint.name.as_bytes()),
        }));
        perf.gather(first..perf.counted.len());
        raise_descriptor_limit();
        perf.follow_cpus();
        // A counter that was asked for by name must be there.
        match perf.refused.as_ref().filter(|_| !tracepoints.is_empty()) {
            Some(refused) => Err(ConfigError(format!("--{TRACEPOINTS}: {refused}"))),
            None => Ok(perf),
        }
    }

    /// The events that the flags leave. The kernel's own are read in one go; those of the processor one by one, since it
    /// has few counters and takes turns.
    fn choose(&mut self, context: &Context<'_>) {
        let flags = context.flags;
        let kinds: [(&str, &str, &'static [Known], bool); 3] = [
            (NO_HARDWARE, ONLY_HARDWARE, &HARDWARE, false),
            (NO_SOFTWARE, ONLY_SOFTWARE, &SOFTWARE, true),
            (NO_CACHE, ONLY_CACHE, &CACHE, false),
        ];
        for (off, only, all, together) in kinds {
            if flags.is_on(off) {
                continue;
            }
            let first = self.counted.len();
            self.counted.extend(flags::chosen(flags, only, all).into_iter().map(|known| Counted {
                event: known.event,
                family: &known.family,
                name: known.family.name.to_owned(),
            }));
            if together {
                self.gather(first..self.counted.len());
            } else {
                (first..self.counted.len()).for_each(|place| self.gather(place..place + 1));
            }
        }
    }

    fn gather(&mut self, places: Together) {
        if !places.is_empty() {
            self.groups.push(places);
        }
    }

    /// Opens counters on CPUs that have come, and closes those of CPUs that have gone.
    fn follow_cpus(&mut self) {
        let Some(mut online) = self.online.read().ok().and_then(cpu::list) else { return };
        online.retain(|number| {
            let is_wanted =
                |wanted: &BTreeSet<u32>| u32::try_from(*number).is_ok_and(|it| wanted.contains(&it));
            self.wanted.as_ref().is_none_or(is_wanted)
        });
        self.cpus.retain(|cpu| online.binary_search(&cpu.number.into()).is_ok());
        online.retain(|number| self.cpus.iter().all(|cpu| u64::from(cpu.number) != *number));
        if online.is_empty() {
            return;
        }
        for number in online.into_iter().filter_map(|number| u32::try_from(number).ok()) {
            let opened =
                self.groups.iter().map(|places| open(&mut self.counters, &self.counted, number, places));
            let groups = opened.filter_map(|group| kept(group, &mut self.refused)).collect();
            self.cpus.push(Cpu::new(number, groups, self.counted.len()));
        }
        self.cpus.sort_by(|a, b| a.labels.cmp(&b.labels));
    }

    /// Reads all counters. Those that stand still are of a CPU that went and came back: they are opened anew, once.
    fn read(&mut self) {
        for cpu in &mut self.cpus {
            let Cpu { number, counts, groups, .. } = cpu;
            counts.fill(None);
            groups.retain_mut(|group| {
                if group.read(&mut self.buffer, counts) {
                    return true;
                }
                let anew = open(&mut self.counters, &self.counted, *number, &group.places);
                let Some(anew) = kept(anew, &mut self.refused) else { return false };
                *group = anew;
                group.read(&mut self.buffer, counts)
            });
        }
    }
}

/// Opens counters that are read together.
fn open(counters: &mut impl Counters, counted: &[Counted], cpu: u32, places: &Together) -> Opened {
    let counted = counted.get(places.clone()).unwrap_or_default();
    let events: Vec<Event> = counted.iter().map(|one| one.event).collect();
    match counters.count(cpu, &events) {
        Ok(counting) => Ok(Some(Group { places: places.clone(), counting, enabled: 0 })),
        Err(error) if is_lack(&error) => Ok(None),
        Err(error) => {
            let name = counted.first().map_or("", |one| one.name.as_str());
            Err(format!("perf_event_open for {name} on CPU {cpu}: {error}"))
        }
    }
}

/// The counters, nothing where the machine lacks them, or why they were refused.
type Opened = Result<Option<Group>, String>;

fn kept(opened: Opened, refused: &mut Option<String>) -> Option<Group> {
    opened.unwrap_or_else(|why| {
        *refused = Some(why);
        None
    })
}

/// Whether the machine has no such counter, or no longer the CPU.
fn is_lack(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let lacks = [Errno::NOENT, Errno::NODEV, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOSYS];
    Errno::from_io_error(error).is_some_and(|errno| lacks.contains(&errno))
}

impl Cpu {
    fn new(number: u32, groups: Vec<Group>, count: usize) -> Self {
        let labels = Labels::new([("cpu", number.to_string())]);
        Self { number, labels, groups, counts: vec![None; count] }
    }
}

impl Group {
    /// Puts the counts in their places; tells whether the counters still count.
    fn read(&mut self, buffer: &mut Vec<u64>, counts: &mut [Option<u64>]) -> bool {
        let Some(enabled) = self.counting.read(buffer).filter(|enabled| *enabled > self.enabled) else {
            return false;
        };
        self.enabled = enabled;
        let places = counts.iter_mut().skip(self.places.start);
        places.zip(buffer.iter()).for_each(|(count, read)| *count = Some(*read));
        true
    }
}

impl<C: Counters> Collector for Perf<C> {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.follow_cpus();
        self.read();
        for (place, counted) in self.counted.iter().enumerate() {
            let mut samples = page.named(counted.family, &counted.name);
            for cpu in &self.cpus {
                if let Some(count) = cpu.counts.get(place).copied().flatten() {
                    samples.sample(&cpu.labels, count);
                }
            }
        }
        self.refused.clone().map_or(Ok(()), |refused| Err(Failure::Broken(refused)))
    }

    fn rights(&self) -> CapabilitySet {
        CapabilitySet::PERFMON
    }
}

#[cfg(test)]
mod tests;
