//! The limits of a container.

use std::time::Instant;

use super::{
    entry::Entry,
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
};
use crate::{
    metric::{Family, Page},
    source::cgroup::spec::{CpuSpec, MemorySpec},
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "spec",
    words: &[],
    on: On::ByDefault,
    summary: "limits of CPU time and memory",
    reads: "cpu.max, cpu.weight, memory.max and their like, when they change",
    families: &[
        Origin::new(&CPU_PERIOD, "cpu.cfs_period_us", "cpu.max"),
        Origin::new(&CPU_QUOTA, "cpu.cfs_quota_us", "cpu.max"),
        Origin::new(&CPU_SHARES, "cpu.shares", "cpu.weight"),
        Origin::new(&MEMORY_LIMIT, "memory.limit_in_bytes", "memory.max"),
        Origin::new(&MEMORY_SWAP_LIMIT, "memory.memsw.limit_in_bytes", "memory.swap.max"),
        Origin::new(&MEMORY_RESERVATION, "memory.soft_limit_in_bytes", "memory.min"),
    ],
};

static CPU_PERIOD: Family = Family::gauge(
    "container_spec_cpu_period",
    "The period over which the CPU quota is reckoned, in microseconds.",
);
static CPU_QUOTA: Family = Family::gauge(
    "container_spec_cpu_quota",
    "CPU time allowed in each period, in microseconds; absent without a quota.",
);
static CPU_SHARES: Family =
    Family::gauge("container_spec_cpu_shares", "Weight in the sharing of CPU time; 1024 is the default.");
static MEMORY_LIMIT: Family = Family::gauge(
    "container_spec_memory_limit_bytes",
    "The most memory allowed, in bytes; 0 without a limit.",
);
static MEMORY_SWAP_LIMIT: Family = Family::gauge(
    "container_spec_memory_swap_limit_bytes",
    "The most swap allowed (cgroup v1: memory and swap together), in bytes; 0 without a limit.",
);
static MEMORY_RESERVATION: Family = Family::gauge(
    "container_spec_memory_reservation_limit_bytes",
    "Memory set aside (cgroup v1: the soft limit), in bytes; 0 without one.",
);

/// Writes the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    let mut cpu = |family, value: fn(&CpuSpec) -> Option<u64>| {
        write_family(page, family, roster, now, |entry| value(entry.spec.cpu.as_ref()?));
    };
    cpu(&CPU_PERIOD, |spec| Some(spec.period));
    cpu(&CPU_QUOTA, |spec| spec.quota);
    cpu(&CPU_SHARES, |spec| Some(spec.shares));
    let mut memory = |family, value: fn(&MemorySpec) -> Option<u64>| {
        write_family(page, family, roster, now, |entry| {
            Some(value(entry.spec.memory.as_ref()?).unwrap_or(0))
        });
    };
    memory(&MEMORY_LIMIT, |spec| spec.limit);
    memory(&MEMORY_SWAP_LIMIT, |spec| spec.swap_limit);
    memory(&MEMORY_RESERVATION, |spec| spec.reservation);
}

fn write_family(
    page: &mut Page,
    family: &Family,
    roster: &Roster,
    now: Instant,
    value: impl Fn(&Entry) -> Option<u64>,
) {
    let mut samples = page.family(family);
    for entry in roster.shown(now).filter(|entry| entry.is_alive()) {
        if let Some(value) = value(entry) {
            samples.sample(&entry.labels, value);
        }
    }
}
