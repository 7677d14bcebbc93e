//! CPU time by CPU and mode, and what is known of the CPUs.

mod info;
mod topology;

use std::path::PathBuf;

use self::{info::Info, topology::Topology};
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::{
        cpu,
        file::{KeptFile, Serves},
        stat::{Mode, TICKS_PER_SECOND, Ticks, cpus},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "cpu",
    on_by_default: true,
    summary: "CPU time by CPU and mode, throttling, and which CPUs are online",
    reads: "/proc/stat, /sys/devices/system/cpu, /proc/cpuinfo",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[
        Flag {
            name: GUEST,
            takes: Takes::Switch { default: true },
            help: "Give the time of virtual machines as node_cpu_guest_seconds_total",
        },
        Flag {
            name: INFO_FLAG,
            takes: Takes::Switch { default: false },
            help: "Give model and frequency as node_cpu_info and node_cpu_frequency_hertz",
        },
        Flag {
            name: FLAGS_INCLUDE,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "CPU features to give; turns on collector.cpu.info",
        },
        Flag {
            name: BUGS_INCLUDE,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "CPU bugs to give; turns on collector.cpu.info",
        },
    ],
    families: &[
        &SECONDS,
        &GUEST_SECONDS,
        &CORE_THROTTLES,
        &PACKAGE_THROTTLES,
        &ISOLATED,
        &ONLINE,
        &INFO,
        &FREQUENCY,
        &FLAG_INFO,
        &BUG_INFO,
    ],
    build: Cpu::build,
};

const GUEST: &str = "collector.cpu.guest";
const INFO_FLAG: &str = "collector.cpu.info";
const FLAGS_INCLUDE: &str = "collector.cpu.info.flags-include";
const BUGS_INCLUDE: &str = "collector.cpu.info.bugs-include";

static SECONDS: Family = Family::counter(
    "node_cpu_seconds_total",
    "Seconds that the CPU has spent in each mode; user and nice hold the time of virtual machines too.",
);
static GUEST_SECONDS: Family = Family::counter(
    "node_cpu_guest_seconds_total",
    "Seconds that the CPU has spent in virtual machines, plain (user) and niced (nice).",
);
static CORE_THROTTLES: Family = Family::counter(
    "node_cpu_core_throttles_total",
    "Times that the core was slowed down because of its heat.",
);
static PACKAGE_THROTTLES: Family = Family::counter(
    "node_cpu_package_throttles_total",
    "Times that the package was slowed down because of its heat.",
);
static ISOLATED: Family =
    Family::gauge("node_cpu_isolated", "1 for a CPU that the scheduler leaves to those who ask for it.");
static ONLINE: Family = Family::gauge("node_cpu_online", "Whether the CPU is switched on, 1 or 0.");
static INFO: Family = Family::gauge("node_cpu_info", "1, with what the CPU says of itself.");
static FREQUENCY: Family = Family::gauge("node_cpu_frequency_hertz", "The CPU's frequency now, in hertz.");
static FLAG_INFO: Family = Family::gauge("node_cpu_flag_info", "1 for each feature of the first CPU.");
static BUG_INFO: Family = Family::gauge("node_cpu_bug_info", "1 for each known bug of the first CPU.");

/// A CPU whose idle time falls by this much, three seconds, was off in between and counts anew.
const HOTPLUG_TICKS: u64 = 300;

const MODES: [(Mode, &str); 8] = [
    (Mode::Idle, "idle"),
    (Mode::Iowait, "iowait"),
    (Mode::Irq, "irq"),
    (Mode::Nice, "nice"),
    (Mode::Softirq, "softirq"),
    (Mode::Steal, "steal"),
    (Mode::System, "system"),
    (Mode::User, "user"),
];
const GUEST_MODES: [(Mode, &str); 2] = [(Mode::GuestNice, "nice"), (Mode::Guest, "user")];

/// One CPU's label, and its time as it was shown last.
#[derive(Debug)]
struct Time {
    cpu: Labels,
    ticks: Ticks,
}

impl Time {
    /// Takes in new figures. The kernel's idle and iowait waver; a counter that falls would look like a reset.
    fn advance(&mut self, now: &Ticks) {
        let idle = Mode::Idle as usize;
        if self.ticks[idle].saturating_sub(now[idle]) >= HOTPLUG_TICKS {
            self.ticks = Ticks::default();
        }
        for (shown, now) in self.ticks.iter_mut().zip(now) {
            *shown = (*shown).max(*now);
        }
    }
}

struct Cpu {
    stat: KeptFile,
    times: Kept<Time>,
    modes: Vec<(Mode, Labels)>,
    /// Empty when the time of virtual machines is not asked for.
    guest_modes: Vec<(Mode, Labels)>,
    folder: PathBuf,
    topology: Topology,
    isolated: Vec<Labels>,
    info: Option<Info>,
}

impl Cpu {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let folder = cpu::folder(&context.paths.sysfs);
        let labels = |(mode, name)| (mode, Labels::new([("mode", name)]));
        let guest = context.flags.is_on(GUEST);
        Ok(Box::new(Self {
            stat: KeptFile::new(context.paths.procfs.join("stat"), Serves::Whole),
            times: Kept::default(),
            modes: MODES.map(labels).into(),
            guest_modes: if guest { GUEST_MODES.map(labels).into() } else { Vec::new() },
            isolated: isolated(&folder),
            topology: Topology::default(),
            folder,
            info: Info::from_flags(context.flags, &context.paths.procfs)?,
        }))
    }

    fn read(&mut self) -> Result<(), Failure> {
        let stat = self.stat.read()?;
        self.times.begin();
        for (number, ticks) in cpus(stat) {
            let make = || Time { cpu: Labels::new([("cpu", number)]), ticks: Ticks::default() };
            if let Some(time) = self.times.meet(number, make) {
                time.advance(&ticks);
            }
        }
        if self.times.end() {
            self.topology = Topology::read(&self.folder);
        }
        if self.times.items().next().is_none() {
            return Err(Failure::unreadable(self.stat.path(), "a line for each CPU"));
        }
        Ok(())
    }
}

/// The isolated CPUs: set at boot, so read once. A kernel without the file isolates none.
fn isolated(folder: &std::path::Path) -> Vec<Labels> {
    let path = folder.join("isolated");
    let Ok(text) = std::fs::read(&path) else { return Vec::new() };
    let Some(numbers) = cpu::list(&text) else {
        tracing::warn!("{}: expected a list such as 1,3-5", path.display());
        return Vec::new();
    };
    numbers.iter().map(|number| Labels::new([("cpu", number.to_string())])).collect()
}

impl Collector for Cpu {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        if let Some(info) = &mut self.info {
            info.write(page)?;
        }
        self.read()?;
        for (family, modes) in [(&SECONDS, &self.modes), (&GUEST_SECONDS, &self.guest_modes)] {
            let mut samples = page.family(family);
            for time in self.times.items() {
                for (mode, labels) in modes {
                    let seconds = time.ticks[*mode as usize] as f64 / TICKS_PER_SECOND;
                    samples.joined(&time.cpu, labels, seconds);
                }
            }
        }
        let mut samples = page.family(&ISOLATED);
        self.isolated.iter().for_each(|labels| samples.sample(labels, 1_u64));
        self.topology.write(page);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(idle: u64, iowait: u64) -> Ticks {
        let mut ticks = [7; 10];
        ticks[Mode::Idle as usize] = idle;
        ticks[Mode::Iowait as usize] = iowait;
        ticks
    }

    #[test]
    fn time_never_falls_save_after_hotplug() {
        let mut time = Time { cpu: Labels::EMPTY, ticks: Ticks::default() };
        time.advance(&ticks(1000, 50));
        time.advance(&ticks(999, 40));
        assert_eq!(time.ticks, ticks(1000, 50), "held");
        time.advance(&ticks(701, 60));
        assert_eq!(time.ticks, ticks(1000, 60), "each by itself");
        time.advance(&ticks(700, 1));
        assert_eq!(time.ticks, ticks(700, 1), "three seconds less: it begins anew");
        time.advance(&[u64::MAX; 10]);
        time.advance(&[0; 10]);
        assert_eq!(time.ticks, [0; 10]);
    }
}
