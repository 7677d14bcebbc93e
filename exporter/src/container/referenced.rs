//! Memory that the processes of a cgroup have touched.

use std::time::Instant;

use super::{
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
    write,
};
use crate::metric::{Family, Page};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "referenced_memory",
    words: &["referenced_memory"],
    on: On::Unlisted,
    summary: "memory touched by processes",
    reads: "/proc/PID/smaps_rollup, before 4.14 /proc/PID/smaps; needs CAP_SYS_PTRACE",
    families: &[Origin::same(&REFERENCED, "Referenced of the cgroup's own processes")],
};

static REFERENCED: Family = Family::gauge(
    "container_referenced_bytes",
    "Memory marked as touched, over the cgroup's own processes, in bytes; what they share counts for each.",
);

/// Writes the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    write::family(page, &REFERENCED, roster, now, |entry| entry.referenced);
}
