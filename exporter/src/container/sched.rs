//! How the processes of a cgroup were scheduled.

use std::time::Instant;

use super::{
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
    write::{self, seconds},
};
use crate::{
    metric::{Family, Page},
    source::process::Scheduled,
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "sched",
    words: &["sched"],
    on: On::Unlisted,
    summary: "how long the first threads of all processes ran and waited for a CPU",
    reads: "cgroup.procs, /proc/PID/{schedstat,stat}",
    families: &[
        Origin::same(&RUN, "/proc/PID/schedstat, 1st field"),
        Origin::same(&WAITED, "/proc/PID/schedstat, 2nd field"),
        Origin::same(&PERIODS, "/proc/PID/schedstat, 3rd field"),
    ],
};

static RUN: Family = Family::counter(
    "container_cpu_schedstat_run_seconds_total",
    "How long the first threads of the processes in the cgroup and below ran, in seconds; of processes that were met.",
);
static WAITED: Family = Family::counter(
    "container_cpu_schedstat_runqueue_seconds_total",
    "How long the first threads of the processes in the cgroup and below waited for a CPU, in seconds.",
);
static PERIODS: Family = Family::counter(
    "container_cpu_schedstat_run_periods_total",
    "How often the first threads of the processes in the cgroup and below got a CPU.",
);

/// Writes the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    let mut figure = |family, seconds_of: fn(Scheduled) -> f64| {
        write::family(page, family, roster, now, |entry| Some(seconds_of(entry.tasks.as_ref()?.scheduled?)));
    };
    figure(&RUN, |scheduled| seconds(scheduled.run));
    figure(&WAITED, |scheduled| seconds(scheduled.waited));
    figure(&PERIODS, |scheduled| scheduled.periods as f64);
}
