//! Processes, their threads and their descriptors.

use std::time::Instant;

use super::{
    entry::Entry,
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
    write,
};
use crate::metric::{Family, Labels, Page, Value};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "process",
    words: &["process"],
    on: On::Unlisted,
    summary: "processes, threads, open files and sockets",
    reads: "cgroup.procs, pids.current, pids.max, /proc/PID/{fd,limits}",
    families: &[
        Origin::new(&PROCESSES, "cgroup.procs of the cpu hierarchy", "cgroup.procs"),
        Origin::same(&DESCRIPTORS, "/proc/PID/fd of these processes"),
        Origin::same(&SOCKETS, "the links in /proc/PID/fd; needs CAP_SYS_PTRACE"),
        Origin::new(&THREADS, "pids.current", "pids.current; without the controller cgroup.procs"),
        Origin::same(&THREADS_MAX, "pids.max"),
        Origin::same(&ULIMITS, "/proc/PID/limits of the container's first process; of `/` that of process 1"),
    ],
};

static PROCESSES: Family =
    Family::gauge("container_processes", "Processes in the cgroup itself, those below it left out.");
static DESCRIPTORS: Family =
    Family::gauge("container_file_descriptors", "Open files of the cgroup's own processes.");
static SOCKETS: Family = Family::gauge("container_sockets", "Open sockets of the cgroup's own processes.");
static THREADS: Family = Family::gauge("container_threads", "Threads in the cgroup and below.");
static THREADS_MAX: Family =
    Family::gauge("container_threads_max", "How many threads there may be; 0 if there is no limit.");
static ULIMITS: Family = Family::gauge(
    "container_ulimits_soft",
    "Soft limit of the container's first process; max_open_files in files, -1 if there is none.",
);

/// What is known of a cgroup's processes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessFigures {
    /// How many are in the cgroup itself.
    pub processes: Option<u64>,
    /// Their open files.
    pub descriptors: Option<u64>,
    /// Those of them that are sockets.
    pub sockets: Option<u64>,
    /// Threads in the cgroup and below.
    pub threads: Option<u64>,
    /// How many there may be; 0 without a limit.
    pub threads_max: Option<u64>,
    /// How many files its first process may have open; -1 without a limit.
    pub open_files: Option<f64>,
}

/// The labels of this group.
#[derive(Debug)]
pub struct Writer {
    open_files: Labels,
}

impl Writer {
    /// Prepares the labels.
    pub fn new() -> Self {
        Self { open_files: Labels::new([("ulimit", "max_open_files")]) }
    }

    /// Writes the group.
    pub fn write(&self, page: &mut Page, roster: &Roster, now: Instant) {
        let mut figure = |family, value: fn(&ProcessFigures) -> Option<u64>| {
            write::family(page, family, roster, now, |entry| value(of(entry)?));
        };
        figure(&PROCESSES, |process| process.processes);
        figure(&DESCRIPTORS, |process| process.descriptors);
        figure(&SOCKETS, |process| process.sockets);
        figure(&THREADS, |process| process.threads);
        figure(&THREADS_MAX, |process| process.threads_max);
        write::labelled(page, &ULIMITS, &self.open_files, roster, now, |entry| {
            of(entry)?.open_files.map(Value::Float)
        });
    }
}

fn of(entry: &Entry) -> Option<&ProcessFigures> {
    entry.tasks.as_ref().map(|tasks| &tasks.process)
}
