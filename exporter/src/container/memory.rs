//! Memory of a container.

use std::time::Instant;

use super::{
    entry::Entry,
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
    write,
};
use crate::{
    metric::{Family, Labels, Page},
    source::cgroup::reading::{MemoryFigures, MemoryStat},
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "memory",
    words: &["memory"],
    on: On::ByDefault,
    summary: "memory in use, by kind, and how often the limit was hit",
    reads: "memory.current, memory.stat, memory.peak, memory.swap.current, memory.events, or those of cgroup v1",
    families: &[
        Origin::new(&USAGE, "memory.usage_in_bytes", "memory.current; /: anon + file"),
        Origin::new(
            &WORKING_SET,
            "memory.usage_in_bytes - total_inactive_file",
            "memory.current - inactive_file",
        ),
        Origin::new(&MAX_USAGE, "memory.max_usage_in_bytes", "memory.peak (5.19)"),
        Origin::new(&CACHE, "memory.stat: total_cache", "memory.stat: file"),
        Origin::new(&RSS, "memory.stat: total_rss", "memory.stat: anon"),
        Origin::new(&MAPPED_FILE, "memory.stat: total_mapped_file", "memory.stat: file_mapped"),
        Origin::new(&SWAP, "memory.stat: total_swap", "memory.swap.current; /: /proc/meminfo"),
        Origin::new(&KERNEL, "memory.kmem.usage_in_bytes", "memory.stat: kernel (5.18)"),
        Origin::new(&ACTIVE_FILE, "memory.stat: total_active_file", "memory.stat: active_file"),
        Origin::new(&INACTIVE_FILE, "memory.stat: total_inactive_file", "memory.stat: inactive_file"),
        Origin::new(&FILE_DIRTY, "-", "memory.stat: file_dirty"),
        Origin::new(&FILE_WRITEBACK, "-", "memory.stat: file_writeback"),
        Origin::new(&FAILCNT, "memory.failcnt", "memory.events: max"),
        Origin::new(&EVENTS_HIGH, "-", "memory.events: high"),
        Origin::new(&EVENTS_MAX, "-", "memory.events: max"),
        Origin::new(&PGSCAN, "-", "memory.stat: pgscan"),
        Origin::new(&PGSTEAL, "-", "memory.stat: pgsteal"),
        Origin::same(&REFAULT_FILE, "memory.stat: workingset_refault_file"),
        Origin::same(&REFAULT_ANON, "memory.stat: workingset_refault_anon"),
        Origin::same(&FAILURES, "memory.stat: pgfault, pgmajfault"),
    ],
};

static USAGE: Family =
    Family::gauge("container_memory_usage_bytes", "All memory charged to the container, in bytes.");
static WORKING_SET: Family = Family::gauge(
    "container_memory_working_set_bytes",
    "Memory charged, less file pages that were not used for long, in bytes.",
);
static MAX_USAGE: Family = Family::gauge(
    "container_memory_max_usage_bytes",
    "The most memory ever charged, in bytes; 0 where the kernel does not tell.",
);
static CACHE: Family = Family::gauge("container_memory_cache", "Memory of the page cache, in bytes.");
static RSS: Family =
    Family::gauge("container_memory_rss", "Anonymous memory (not backed by a file), in bytes.");
static MAPPED_FILE: Family =
    Family::gauge("container_memory_mapped_file", "Memory of files mapped into processes, in bytes.");
static SWAP: Family = Family::gauge("container_memory_swap", "Memory that is swapped out, in bytes.");
static KERNEL: Family = Family::gauge(
    "container_memory_kernel_usage",
    "Memory that the kernel holds for the container, in bytes.",
);
static ACTIVE_FILE: Family =
    Family::gauge("container_memory_total_active_file_bytes", "File pages that were used lately, in bytes.");
static INACTIVE_FILE: Family = Family::gauge(
    "container_memory_total_inactive_file_bytes",
    "File pages that were not used for long, in bytes.",
);
static FILE_DIRTY: Family =
    Family::gauge("container_memory_file_dirty_bytes", "File pages yet to be written to disk, in bytes.");
static FILE_WRITEBACK: Family =
    Family::gauge("container_memory_file_writeback_bytes", "File pages on their way to disk, in bytes.");
static FAILCNT: Family =
    Family::counter("container_memory_failcnt", "Times that memory was asked for at the limit.");
static EVENTS_HIGH: Family =
    Family::counter("container_memory_events_high_total", "Times that the high mark was passed.");
static EVENTS_MAX: Family =
    Family::counter("container_memory_events_max_total", "Times that the limit was about to be passed.");
static PGSCAN: Family =
    Family::counter("container_memory_pgscan_total", "Pages looked at in search of free memory.");
static PGSTEAL: Family = Family::counter("container_memory_pgsteal_total", "Pages taken back.");
static REFAULT_FILE: Family = Family::counter(
    "container_memory_workingset_refault_file_total",
    "File pages read anew soon after they were taken back.",
);
static REFAULT_ANON: Family = Family::counter(
    "container_memory_workingset_refault_anon_total",
    "Anonymous pages read anew soon after they were swapped out.",
);
static FAILURES: Family = Family::counter(
    "container_memory_failures_total",
    "Page faults; pgmajfault those that had to wait for a disk.",
);

/// The labels of this group.
#[derive(Debug)]
pub struct Writer {
    /// Type and scope of a page fault, and where its number is.
    faults: [(Labels, Faults); 4],
}

type Faults = fn(&MemoryStat) -> Option<u64>;

impl Writer {
    /// Prepares the labels.
    pub fn new() -> Self {
        let kind = |kind, scope| Labels::new([("failure_type", kind), ("scope", scope)]);
        let faults: Faults = |stat| stat.pgfault;
        let major: Faults = |stat| stat.pgmajfault;
        Self {
            faults: [
                (kind("pgfault", "container"), faults),
                (kind("pgfault", "hierarchy"), faults),
                (kind("pgmajfault", "container"), major),
                (kind("pgmajfault", "hierarchy"), major),
            ],
        }
    }

    /// Writes the group. `unified`: whether version 2 gives the figures.
    pub fn write(&self, page: &mut Page, roster: &Roster, now: Instant, unified: bool) {
        let mut figure = |family, value: fn(&MemoryFigures) -> Option<u64>| {
            write::family(page, family, roster, now, of(value));
        };
        figure(&USAGE, |memory| memory.usage);
        figure(&WORKING_SET, MemoryFigures::working_set);
        figure(&MAX_USAGE, |memory| Some(memory.max_usage.unwrap_or(0)));
        figure(&CACHE, |memory| memory.stat.file);
        figure(&RSS, |memory| memory.stat.anon);
        figure(&MAPPED_FILE, |memory| memory.stat.file_mapped);
        figure(&SWAP, |memory| Some(memory.swap.unwrap_or(0)));
        figure(&KERNEL, |memory| memory.kernel);
        figure(&ACTIVE_FILE, |memory| memory.stat.active_file);
        figure(&INACTIVE_FILE, |memory| memory.stat.inactive_file);
        figure(&FILE_DIRTY, |memory| memory.stat.file_dirty);
        figure(&FILE_WRITEBACK, |memory| memory.stat.file_writeback);
        figure(&FAILCNT, |memory| memory.failures);
        if unified {
            figure(&EVENTS_HIGH, |memory| memory.high_events);
            figure(&EVENTS_MAX, |memory| memory.failures);
        }
        figure(&PGSCAN, |memory| memory.stat.pgscan);
        figure(&PGSTEAL, |memory| memory.stat.pgsteal);
        figure(&REFAULT_FILE, |memory| memory.stat.workingset_refault_file);
        figure(&REFAULT_ANON, |memory| memory.stat.workingset_refault_anon);
        self.write_faults(page, roster, now);
    }

    fn write_faults(&self, page: &mut Page, roster: &Roster, now: Instant) {
        let mut samples = page.family(&FAILURES);
        for entry in roster.shown(now) {
            let Some(memory) = &entry.memory else { continue };
            for (labels, value) in &self.faults {
                if let Some(value) = value(&memory.stat) {
                    samples.joined(&entry.labels, labels, value);
                }
            }
        }
    }
}

fn of(value: fn(&MemoryFigures) -> Option<u64>) -> impl Fn(&Entry) -> Option<u64> {
    move |entry| value(entry.memory.as_ref()?)
}
