//! Whether a container's memory follows it to other nodes.

use std::time::Instant;

use super::{
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
    write,
};
use crate::metric::{Family, Page};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "cpuset",
    words: &["cpuset"],
    on: On::Unlisted,
    summary: "whether memory moves along when the nodes that a container may use change",
    reads: "cpuset.memory_migrate of cgroup v1",
    families: &[Origin::new(&MIGRATE, "cpuset.memory_migrate", "-")],
};

static MIGRATE: Family = Family::gauge(
    "container_memory_migrate",
    "1 if memory moves along when the nodes that the container may use change, else 0.",
);

/// Writes the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    write::family(page, &MIGRATE, roster, now, |entry| entry.migrates);
}
