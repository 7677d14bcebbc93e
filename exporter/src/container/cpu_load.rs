//! A container's tasks by their state, and the load that they make.

use std::{fs::File, os::fd::AsFd, time::Instant};

use super::{
    entry::Entry,
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
    write,
};
use crate::{
    metric::{Family, Labels, Page},
    source::{
        cgroup::{CgroupPath, Layout},
        netlink::{TaskCounter, TaskStates},
    },
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "cpu_load",
    words: &["cpuLoad"],
    on: On::ByName,
    summary: "tasks by their state and the load that they make, on cgroup v1; also on by `--enable_load_reader`",
    reads: "netlink: taskstats, of the cpu hierarchy of cgroup v1",
    families: &[
        Origin::new(&STATES, "taskstats", "-"),
        Origin::new(&LOAD, "taskstats: running", "-"),
        Origin::new(&LOAD_D, "taskstats: uninterruptible", "-"),
    ],
};

static STATES: Family = Family::gauge(
    "container_tasks_state",
    "The container's own tasks by their state, those below it left out.",
);
static LOAD: Family = Family::gauge(
    "container_cpu_load_average_10s",
    "Running tasks over the last 10 s or so, by exponential decay from scrape to scrape, times 1000.",
);
static LOAD_D: Family = Family::gauge(
    "container_cpu_load_d_average_10s",
    "Tasks in uninterruptible sleep over the last 10 s or so, by exponential decay from scrape to scrape, times 1000.",
);

/// How long a figure takes to lose all but 1/e of its weight, in seconds.
const DECAY: f64 = 10.0;

/// Tasks as they were seen last, and the averages so far.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    tasks: TaskStates,
    running: f64,
    uninterruptible: f64,
    read_at: Instant,
}

impl Load {
    /// The first reading is the average, as with the reference.
    fn after(before: Option<&Self>, tasks: TaskStates, now: Instant) -> Self {
        let (running, uninterruptible) = (tasks.running as f64, tasks.uninterruptible as f64);
        let Some(before) = before else { return Self { tasks, running, uninterruptible, read_at: now } };
        let rest = (-now.saturating_duration_since(before.read_at).as_secs_f64() / DECAY).exp();
        let average = |before: f64, seen: f64| before * rest + seen * (1.0 - rest);
        Self {
            tasks,
            running: average(before.running, running),
            uninterruptible: average(before.uninterruptible, uninterruptible),
            read_at: now,
        }
    }
}

/// Asks the kernel for the tasks of one cgroup after the other.
#[derive(Debug, Default)]
pub struct LoadReader {
    counter: TaskCounter,
    /// Whether the kernel has no such figures.
    is_without: bool,
}

impl LoadReader {
    /// The load of a cgroup; none on version 2, or where the kernel does not tell.
    pub fn read(
        &mut self,
        layout: &Layout,
        path: &CgroupPath,
        before: Option<&Load>,
        now: Instant,
    ) -> Option<Load> {
        let hierarchy = layout.hierarchy(layout.cpu?).filter(|hierarchy| hierarchy.id != 0)?;
        if self.is_without {
            return None;
        }
        let folder = File::open(hierarchy.directory(path)).ok()?;
        match self.counter.count(folder.as_fd()) {
            Ok(Some(tasks)) => Some(Load::after(before, tasks, now)),
            Ok(None) => {
                tracing::warn!(
                    "no load of containers: the kernel has no taskstats, or not in this network namespace"
                );
                self.is_without = true;
                None
            }
            Err(error) => {
                tracing::debug!(path = %folder_name(path), %error, "cannot count a cgroup's tasks");
                None
            }
        }
    }
}

fn folder_name(path: &CgroupPath) -> String {
    String::from_utf8_lossy(path.relative()).into_owned()
}

type Count = fn(&TaskStates) -> u64;

/// The labels of this group.
#[derive(Debug)]
pub struct Writer {
    states: [(Labels, Count); 5],
}

impl Writer {
    /// Prepares the labels.
    pub fn new() -> Self {
        let state = |name, count: Count| (Labels::new([("state", name)]), count);
        Self {
            states: [
                state("iowaiting", |tasks| tasks.io_waiting),
                state("running", |tasks| tasks.running),
                state("sleeping", |tasks| tasks.sleeping),
                state("stopped", |tasks| tasks.stopped),
                state("uninterruptible", |tasks| tasks.uninterruptible),
            ],
        }
    }

    /// Writes the group.
    pub fn write(&self, page: &mut Page, roster: &Roster, now: Instant) {
        write::rows(page, &STATES, roster, now, |entry, samples| {
            let Some(load) = &entry.load else { return };
            for (labels, count) in &self.states {
                samples.joined(&entry.labels, labels, count(&load.tasks));
            }
        });
        let mut average = |family, of: fn(&Load) -> f64| {
            write::family(page, family, roster, now, |entry: &Entry| {
                Some((of(entry.load.as_ref()?) * 1_000.0).trunc())
            });
        };
        average(&LOAD, |load| load.running);
        average(&LOAD_D, |load| load.uninterruptible);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn averages_decay_by_the_time_between_readings() {
        let tasks =
            |running, uninterruptible| TaskStates { running, uninterruptible, ..TaskStates::default() };
        let begin = Instant::now();
        let first = Load::after(None, tasks(4, 1), begin);
        assert_eq!((first.running, first.uninterruptible), (4.0, 1.0));
        let later = Load::after(Some(&first), tasks(0, 2), begin + Duration::from_secs(10));
        let rest = (-1.0_f64).exp();
        assert!((later.running - 4.0 * rest).abs() < 1e-9, "{later:?}");
        assert!((later.uninterruptible - (2.0 - rest)).abs() < 1e-9, "{later:?}");
        assert_eq!(later.tasks, tasks(0, 2));
        let same = Load::after(Some(&later), tasks(9, 9), begin);
        assert!((same.running - later.running).abs() < 1e-9, "no time has passed");
    }
}
