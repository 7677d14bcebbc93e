//! How often a container's memory ran short, and what came of it. A group of our own.

use std::time::Instant;

use super::{
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
    write,
};
use crate::{
    metric::{Family, Page},
    source::cgroup::reading::MemoryEvents,
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "memory_events",
    words: &["memory_events"],
    on: On::ByName,
    summary: "how often memory ran short and what came of it, as cgroup v2 counts it with all below",
    reads: "memory.events of cgroup v2",
    families: &[
        Origin::new(&LOW, "-", "memory.events: low"),
        Origin::new(&OOM, "-", "memory.events: oom"),
        Origin::new(&OOM_KILL, "-", "memory.events: oom_kill"),
        Origin::new(&OOM_GROUP_KILL, "-", "memory.events: oom_group_kill (5.17)"),
    ],
};

static LOW: Family = Family::counter(
    "container_memory_events_low_total",
    "Times that memory was taken back from the container or one below it though it was protected.",
);
static OOM: Family = Family::counter(
    "container_memory_events_oom_total",
    "Times that the limit was hit and nothing could be taken back.",
);
static OOM_KILL: Family = Family::counter(
    "container_memory_events_oom_kill_total",
    "Processes of the container and all below it that were killed for want of memory.",
);
static OOM_GROUP_KILL: Family = Family::counter(
    "container_memory_events_oom_group_kill_total",
    "Times that all processes of a group were killed at once for want of memory.",
);

/// Writes the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    let mut figure = |family, value: fn(&MemoryEvents) -> Option<u64>| {
        write::family(page, family, roster, now, |entry| value(entry.memory_events.as_ref()?));
    };
    figure(&LOW, |events| events.low);
    figure(&OOM, |events| events.oom);
    figure(&OOM_KILL, |events| events.oom_kill);
    figure(&OOM_GROUP_KILL, |events| events.oom_group_kill);
}
