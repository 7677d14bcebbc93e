//! Interrupts, context switches, forks, boot time, running and blocked threads.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::{KeptFile, Serves},
        stat::{Totals, totals},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "stat",
    on_by_default: true,
    summary: "interrupts, context switches, forks, boot time, running and blocked threads",
    reads: "/proc/stat",
    since: "2.6",
    // `node_procs_running` would count the threads of those that may block.
    pace: Pace::First,
    flags: &[Flag {
        name: SOFTIRQ,
        takes: Takes::Switch { default: false },
        help: "Give soft interrupts by vector",
    }],
    families: &[
        &INTERRUPTS,
        &CONTEXT_SWITCHES,
        &FORKS,
        &BOOT_TIME,
        &PROCS_RUNNING,
        &PROCS_BLOCKED,
        &SOFTIRQS,
    ],
    build: Stat::build,
};

const SOFTIRQ: &str = "collector.stat.softirq";

static INTERRUPTS: Family = Family::counter("node_intr_total", "Interrupts served since boot.");
static CONTEXT_SWITCHES: Family =
    Family::counter("node_context_switches_total", "Context switches since boot, all CPUs together.");
static FORKS: Family = Family::counter("node_forks_total", "Processes and threads made since boot.");
static BOOT_TIME: Family =
    Family::gauge("node_boot_time_seconds", "When the node was booted, in seconds since 1970.");
static PROCS_RUNNING: Family =
    Family::gauge("node_procs_running", "Threads that run or wait for a CPU at this moment.");
static PROCS_BLOCKED: Family =
    Family::gauge("node_procs_blocked", "Threads that wait for a disk at this moment.");
static SOFTIRQS: Family =
    Family::counter("node_softirqs_total", "Soft interrupts served since boot, by vector.");

/// In the order of the file.
const VECTORS: [&str; 10] =
    ["hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu"];

struct Stat {
    file: KeptFile,
    /// The vectors' labels; empty when they are not asked for.
    vectors: Vec<Labels>,
}

impl Stat {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let vectors: &[&str] = if context.flags.is_on(SOFTIRQ) { &VECTORS } else { &[] };
        Ok(Box::new(Self {
            file: KeptFile::new(context.paths.procfs.join("stat"), Serves::Whole),
            vectors: vectors.iter().map(|vector| Labels::new([("vector", vector)])).collect(),
        }))
    }
}

impl Collector for Stat {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let totals = totals(self.file.read()?);
        if totals == Totals::default() {
            return Err(Failure::unreadable(self.file.path(), "the lines intr, ctxt, btime and so on"));
        }
        for (family, value) in [
            (&INTERRUPTS, totals.interrupts),
            (&CONTEXT_SWITCHES, totals.context_switches),
            (&FORKS, totals.forks),
            (&BOOT_TIME, totals.boot_time),
            (&PROCS_RUNNING, totals.running),
            (&PROCS_BLOCKED, totals.blocked),
        ] {
            if let Some(value) = value {
                page.family(family).plain(value);
            }
        }
        let mut samples = page.family(&SOFTIRQS);
        for (labels, count) in self.vectors.iter().zip(totals.softirqs.iter().flatten()) {
            samples.sample(labels, *count);
        }
        Ok(())
    }
}
