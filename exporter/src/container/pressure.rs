//! How long a container's tasks waited.

use std::time::Instant;

use super::{
    entry::Entry,
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
    write::{self, seconds},
};
use crate::{
    metric::{Family, Page},
    source::cgroup::reading::Pressure,
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "pressure",
    words: &["pressure"],
    on: On::ByDefault,
    summary: "how long tasks waited for CPU, memory and disks",
    reads: "cpu.pressure, memory.pressure, io.pressure; on a hybrid host only if a flag names it",
    families: &[
        Origin::new(&CPU_WAITING, "-", "cpu.pressure: some"),
        Origin::new(&CPU_STALLED, "-", "cpu.pressure: full"),
        Origin::new(&MEMORY_WAITING, "-", "memory.pressure: some"),
        Origin::new(&MEMORY_STALLED, "-", "memory.pressure: full"),
        Origin::new(&IO_WAITING, "-", "io.pressure: some"),
        Origin::new(&IO_STALLED, "-", "io.pressure: full"),
    ],
};

static CPU_WAITING: Family = Family::counter(
    "container_pressure_cpu_waiting_seconds_total",
    "How long some tasks waited for a CPU, in seconds.",
);
static CPU_STALLED: Family = Family::counter(
    "container_pressure_cpu_stalled_seconds_total",
    "How long all tasks waited for a CPU at once, in seconds.",
);
static MEMORY_WAITING: Family = Family::counter(
    "container_pressure_memory_waiting_seconds_total",
    "How long some tasks waited for memory, in seconds.",
);
static MEMORY_STALLED: Family = Family::counter(
    "container_pressure_memory_stalled_seconds_total",
    "How long all tasks waited for memory at once, in seconds.",
);
static IO_WAITING: Family = Family::counter(
    "container_pressure_io_waiting_seconds_total",
    "How long some tasks waited for a disk, in seconds.",
);
static IO_STALLED: Family = Family::counter(
    "container_pressure_io_stalled_seconds_total",
    "How long all tasks waited for a disk at once, in seconds.",
);

/// Writes the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    let mut figure = |family, of: fn(&Entry) -> Option<Pressure>, kind: fn(Pressure) -> u64| {
        write::family(page, family, roster, now, |entry| Some(seconds(kind(of(entry)?))));
    };
    for (waiting, stalled, of) in [
        (&CPU_WAITING, &CPU_STALLED, (|entry| entry.pressure[0]) as fn(&Entry) -> Option<Pressure>),
        (&MEMORY_WAITING, &MEMORY_STALLED, |entry| entry.pressure[1]),
        (&IO_WAITING, &IO_STALLED, |entry| entry.pressure[2]),
    ] {
        figure(waiting, of, |pressure| pressure.some);
        figure(stalled, of, |pressure| pressure.full);
    }
}
