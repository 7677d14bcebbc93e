//! The groups of `container_*` and `machine_*`, as `collect[]=container.GROUP` names them.

use super::{
    advtcp, cpu, cpu_load, cpu_topology, cpuset, disk, disk_io, hugetlb, life, machine, memory,
    memory_events, memory_numa, network, oom, percpu, pressure, process, referenced, sched, scheduled,
    socket, spec, tcp, udp,
};
use crate::metric::Family;

/// All that is said of a group in one place.
#[derive(Debug)]
pub struct GroupDescriptor {
    /// Its name behind `container.`.
    pub name: &'static str,
    /// What cAdvisor calls it in `--disable_metrics`; none for what is always there, here as there.
    pub words: &'static [&'static str],
    /// When it is on.
    pub on: On,
    /// What it gives, in half a line.
    pub summary: &'static str,
    /// What it reads.
    pub reads: &'static str,
    /// The families that it may write.
    pub families: &'static [Origin],
}

/// When a group is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Unless it is turned off.
    ByDefault,
    /// If it is asked for, or `--disable_metrics` is given and does not list it.
    Unlisted,
    /// If it is asked for by name.
    ByName,
}

/// A family and where its figures come from.
#[derive(Debug)]
pub struct Origin {
    /// The family.
    pub family: &'static Family,
    /// Its source on cgroup v1; `-` for none.
    pub v1: &'static str,
    /// Its source on cgroup v2; `-` for none.
    pub v2: &'static str,
}

impl Origin {
    /// A family with a source for each version of cgroups.
    pub const fn new(family: &'static Family, v1: &'static str, v2: &'static str) -> Self {
        Self { family, v1, v2 }
    }

    /// A family with one source for both.
    pub const fn same(family: &'static Family, source: &'static str) -> Self {
        Self::new(family, source, source)
    }
}

/// Every group, in the order of [`Group`].
pub static GROUPS: &[&GroupDescriptor] = &[
    &cpu::GROUP,
    &memory::GROUP,
    &network::GROUP,
    &socket::GROUP,
    &spec::GROUP,
    &life::GROUP,
    &machine::GROUP,
    &oom::GROUP,
    &pressure::GROUP,
    &process::GROUP,
    &sched::GROUP,
    &tcp::GROUP,
    &udp::GROUP,
    &advtcp::GROUP,
    &referenced::GROUP,
    &memory_events::GROUP,
    &scheduled::SWITCHES,
    &scheduled::CPU_COUNTED,
    &percpu::GROUP,
    &cpu_topology::GROUP,
    &cpu_load::GROUP,
    &disk::GROUP,
    &cpuset::GROUP,
    &hugetlb::GROUP,
    &memory_numa::GROUP,
    &disk_io::GROUP,
    &disk_io::discards::GROUP,
];

/// A group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Group {
    /// CPU time.
    Cpu,
    /// Memory.
    Memory,
    /// Bytes and packets of the container's interfaces.
    Network,
    /// Bytes and packets of its sockets.
    Socket,
    /// Limits.
    Spec,
    /// When it was made, started and seen.
    Life,
    /// The machine.
    Machine,
    /// Tasks killed for want of memory.
    Oom,
    /// Waiting.
    Pressure,
    /// Processes and what they hold.
    Process,
    /// How processes were scheduled.
    Sched,
    /// TCP sockets by state.
    Tcp,
    /// UDP sockets.
    Udp,
    /// Counters of TCP.
    AdvTcp,
    /// Memory that processes have touched.
    ReferencedMemory,
    /// Memory that ran short.
    MemoryEvents,
    /// How often tasks left a CPU.
    Switches,
    /// CPU time by CPU, as counted.
    CpuCounted,
    /// CPU time by processor.
    PerCpu,
    /// Nodes, cores and caches of the machine.
    CpuTopology,
    /// Tasks by state, and load.
    CpuLoad,
    /// File systems.
    Disk,
    /// Nodes of memory that a container may use.
    Cpuset,
    /// Huge pages.
    Hugetlb,
    /// Pages by node.
    MemoryNuma,
    /// Block devices.
    DiskIo,
    /// What was discarded of them.
    DiskDiscards,
}

/// A set of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Groups(u32);

impl Groups {
    /// No group.
    pub const NONE: Self = Self(0);
    /// Every group.
    pub const ALL: Self = Self(u32::MAX);

    /// Those of which this is true.
    pub fn which(is_wanted: impl Fn(&GroupDescriptor) -> bool) -> Self {
        let wanted = GROUPS.iter().enumerate().filter(|(_, group)| is_wanted(group));
        wanted.fold(Self::NONE, |all, (place, _)| all.with(Self(1 << place)))
    }

    /// The one group of that name.
    pub fn named(name: &str) -> Option<Self> {
        let place = GROUPS.iter().position(|group| group.name == name)?;
        Some(Self(1 << place))
    }

    /// The groups of both sets.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// The groups that are not in the other set.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// The groups that are in both sets.
    #[must_use]
    pub const fn both(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Whether a group is in the set.
    pub const fn has(self, group: Group) -> bool {
        self.0 & (1 << group as u32) != 0
    }

    /// Whether no group is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Every family of every group.
pub fn families() -> impl Iterator<Item = &'static Family> {
    GROUPS.iter().flat_map(|group| group.families).map(|origin| origin.family)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn names_and_sets_agree() {
        for (name, group) in [
            ("cpu", Group::Cpu),
            ("memory", Group::Memory),
            ("network", Group::Network),
            ("socket", Group::Socket),
            ("spec", Group::Spec),
            ("life", Group::Life),
            ("machine", Group::Machine),
            ("oom", Group::Oom),
            ("pressure", Group::Pressure),
            ("process", Group::Process),
            ("sched", Group::Sched),
            ("tcp", Group::Tcp),
            ("udp", Group::Udp),
            ("advtcp", Group::AdvTcp),
            ("referenced_memory", Group::ReferencedMemory),
            ("memory_events", Group::MemoryEvents),
            ("switches", Group::Switches),
            ("cpu_counted", Group::CpuCounted),
            ("percpu", Group::PerCpu),
            ("cpu_topology", Group::CpuTopology),
            ("cpu_load", Group::CpuLoad),
            ("disk", Group::Disk),
            ("cpuset", Group::Cpuset),
            ("hugetlb", Group::Hugetlb),
            ("memory_numa", Group::MemoryNuma),
            ("disk_io", Group::DiskIo),
            ("disk_discards", Group::DiskDiscards),
        ] {
            let one = Groups::named(name).unwrap();
            assert!(one.has(group) && Groups::ALL.has(group) && !Groups::NONE.has(group), "{name}");
            assert!(!Groups::ALL.without(one).has(group), "{name}");
        }
        assert_eq!(Groups::named("nonsense"), None);
        let two = Groups::named("cpu").unwrap().with(Groups::named("spec").unwrap());
        assert!(two.has(Group::Cpu) && two.has(Group::Spec) && !two.has(Group::Memory));
    }

    #[test]
    fn a_family_belongs_to_one_group_and_its_help_needs_no_escape() {
        let mut names = std::collections::HashSet::new();
        for family in families() {
            assert!(names.insert(family.name), "{} comes twice", family.name);
            assert!(!family.help.contains(['\\', '\n']) && family.help.ends_with('.'), "{}", family.name);
            let prefixes = ["container_", "machine_", "cadvisor_"];
            assert!(prefixes.iter().any(|prefix| family.name.starts_with(prefix)), "{}", family.name);
        }
    }
}
