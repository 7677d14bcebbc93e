//! What the scheduler did with a container's tasks. Counted by eBPF alone, since it has known the cgroup.

use std::time::Instant;

use super::{
    group::{Group, GroupDescriptor, Groups, On, Origin},
    kernel::Switches,
    roster::Roster,
    write::seconds,
};
use crate::metric::{Family, Labels, Page};

/// Switches.
pub static SWITCHES: GroupDescriptor = GroupDescriptor {
    name: "switches",
    words: &["switches"],
    on: On::ByName,
    summary: "how often tasks left a CPU, of their own will or not, since it is counted",
    reads: "eBPF",
    families: &[Origin::same(&CONTEXT_SWITCHES, "eBPF")],
};

/// CPU time by CPU.
pub static CPU_COUNTED: GroupDescriptor = GroupDescriptor {
    name: "cpu_counted",
    words: &["cpu_counted"],
    on: On::ByName,
    summary: "CPU time by CPU, since it is counted, on cgroup v1 and v2",
    reads: "eBPF",
    families: &[Origin::same(&CPU_TIME, "eBPF")],
};

static CONTEXT_SWITCHES: Family = Family::counter(
    "container_context_switches_total",
    "Times that a task left a CPU: voluntary, to wait for something, or forced, for others to run.",
);
static CPU_TIME: Family = Family::counter(
    "container_cpu_counted_seconds_total",
    "CPU time used on this CPU since it is counted, without what runs at this moment, in seconds.",
);

/// What was counted of a cgroup with all below it.
#[derive(Debug, Default)]
pub struct Scheduled {
    /// What is shown; none where not all of it is counted.
    pub shown: Option<Counted>,
    /// Of children that are dead by now.
    pub folded: Counted,
}

/// A count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How often tasks left a CPU.
    pub switches: Switches,
    /// Nanoseconds by CPU; empty where nobody asked.
    pub by_cpu: Vec<u64>,
}

impl Counted {
    /// Adds another count.
    pub fn add(&mut self, other: &Self) {
        self.switches = self.switches.plus(other.switches);
        add(&mut self.by_cpu, &other.by_cpu);
    }
}

/// Adds each figure to that at the same place.
fn add(sum: &mut Vec<u64>, more: &[u64]) {
    sum.resize(sum.len().max(more.len()), 0);
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.wrapping_add(*more);
    }
}

/// The labels of these groups.
#[derive(Debug)]
pub struct Writer {
    kinds: [Labels; 2],
    cpus: Vec<Labels>,
}

impl Writer {
    /// Prepares the labels.
    pub fn new() -> Self {
        let kind = |kind| Labels::new([("kind", kind)]);
        Self { kinds: ["voluntary", "forced"].map(kind), cpus: Vec::new() }
    }

    /// Writes those of the groups that are asked for.
    pub fn write(&mut self, page: &mut Page, roster: &Roster, now: Instant, groups: Groups) {
        if groups.has(Group::Switches) {
            let mut samples = page.family(&CONTEXT_SWITCHES);
            for entry in roster.shown(now) {
                let Some(Counted { switches, .. }) = entry.scheduled.shown else { continue };
                let [voluntary, forced] = &self.kinds;
                samples.joined(&entry.labels, voluntary, switches.voluntary);
                samples.joined(&entry.labels, forced, switches.forced);
            }
        }
        if groups.has(Group::CpuCounted) {
            let mut samples = page.family(&CPU_TIME);
            for entry in roster.shown(now) {
                let Some(counted) = &entry.scheduled.shown else { continue };
                // The labels are those of the reference.
                while self.cpus.len() < counted.by_cpu.len() {
                    let name = format!("cpu{:02}", self.cpus.len());
                    self.cpus.push(Labels::new([("cpu", name)]));
                }
                for (labels, time) in self.cpus.iter().zip(&counted.by_cpu).filter(|(_, time)| **time > 0) {
                    samples.joined(&entry.labels, labels, seconds(*time));
                }
            }
        }
    }
}
