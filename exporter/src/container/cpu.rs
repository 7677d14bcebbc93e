//! CPU time of a container.

use std::time::Instant;

use super::{
    entry::Entry,
    group::{GroupDescriptor, On, Origin},
    percpu,
    roster::Roster,
    write::{self, seconds},
};
use crate::{
    metric::{Family, Labels, Page},
    source::cgroup::reading::Throttling,
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "cpu",
    words: &["cpu"],
    on: On::ByDefault,
    summary: "CPU time used, and what a quota held back",
    reads: "cpu.stat (cgroup v1: cpuacct.usage, cpuacct.stat), eBPF",
    families: &[
        Origin::new(&USAGE, "cpuacct.usage, cpuacct.usage_percpu; eBPF", "cpu.stat: usage_usec; eBPF"),
        Origin::new(&USER, "cpuacct.stat: user", "cpu.stat: user_usec"),
        Origin::new(&SYSTEM, "cpuacct.stat: system", "cpu.stat: system_usec"),
        Origin::same(&CFS_PERIODS, "cpu.stat: nr_periods"),
        Origin::same(&CFS_THROTTLED_PERIODS, "cpu.stat: nr_throttled"),
        Origin::new(&CFS_THROTTLED, "cpu.stat: throttled_time", "cpu.stat: throttled_usec"),
        Origin::new(&CFS_BURST_PERIODS, "-", "cpu.stat: nr_bursts"),
        Origin::new(&CFS_BURST, "-", "cpu.stat: burst_usec"),
    ],
};

/// CPU time used; [`percpu`](super::percpu) writes it by processor.
pub static USAGE: Family = Family::counter("container_cpu_usage_seconds_total", "CPU time used, in seconds.");
static USER: Family =
    Family::counter("container_cpu_user_seconds_total", "CPU time used in user mode, in seconds.");
static SYSTEM: Family =
    Family::counter("container_cpu_system_seconds_total", "CPU time used in the kernel, in seconds.");
static CFS_PERIODS: Family =
    Family::counter("container_cpu_cfs_periods_total", "Periods of the CPU quota that have passed.");
static CFS_THROTTLED_PERIODS: Family = Family::counter(
    "container_cpu_cfs_throttled_periods_total",
    "Periods in which the CPU quota held the container back.",
);
static CFS_THROTTLED: Family = Family::counter(
    "container_cpu_cfs_throttled_seconds_total",
    "How long the CPU quota held the container back, in seconds.",
);
static CFS_BURST_PERIODS: Family = Family::counter(
    "container_cpu_cfs_burst_periods_total",
    "Periods in which the container took more than its CPU quota.",
);
static CFS_BURST: Family = Family::counter(
    "container_cpu_cfs_burst_seconds_total",
    "CPU time taken above the CPU quota, in seconds.",
);

/// The labels of this group.
#[derive(Debug)]
pub struct Writer {
    total: Labels,
    /// By processor, where that is asked for: no page has both.
    by_cpu: Option<percpu::Writer>,
}

impl Writer {
    /// Prepares the labels.
    pub fn new(by_cpu: bool) -> Self {
        Self { total: Labels::new([("cpu", "total")]), by_cpu: by_cpu.then(percpu::Writer::default) }
    }

    /// Writes the CPU time used.
    pub fn write_usage(&mut self, page: &mut Page, roster: &Roster, now: Instant) {
        let Self { total, by_cpu } = self;
        match by_cpu {
            Some(by_cpu) => by_cpu.write(page, roster, now),
            None => {
                write::labelled(page, &USAGE, total, roster, now, |entry| {
                    Some(seconds(entry.usage.shown()?))
                });
            }
        }
    }
}

/// Writes the rest of the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    write::family(page, &USER, roster, now, |entry| Some(seconds(entry.cpu.user?)));
    write::family(page, &SYSTEM, roster, now, |entry| Some(seconds(entry.cpu.system?)));
    write::family(page, &CFS_PERIODS, roster, now, of(|quota| Some(quota.periods)));
    write::family(page, &CFS_THROTTLED_PERIODS, roster, now, of(|quota| Some(quota.throttled_periods)));
    write::family(page, &CFS_THROTTLED, roster, now, of(|quota| Some(seconds(quota.throttled))));
    write::family(page, &CFS_BURST_PERIODS, roster, now, of(|quota| quota.burst_periods));
    write::family(page, &CFS_BURST, roster, now, of(|quota| Some(seconds(quota.burst?))));
}

fn of<V>(value: impl Fn(&Throttling) -> Option<V>) -> impl Fn(&Entry) -> Option<V> {
    move |entry| value(entry.cpu.throttling.as_ref()?)
}
