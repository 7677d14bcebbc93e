//! Room and inodes of file systems: the host's for the root, that of the write layer for a container.

mod devices;
mod reader;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::{
    group::{Group, GroupDescriptor, Groups, On, Origin},
    roster::{Roster, Shared},
};
use crate::{
    config::Paths,
    metric::{Family, Labels, Page, Value},
    source::{cgroup::CgroupPath, mount::Space, worker::Worker},
};

use reader::DiskReader;

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "disk",
    words: &["disk"],
    on: On::ByDefault,
    summary: "room and inodes of the host's file systems",
    reads: "/proc/1/mountinfo, statfs(2)",
    families: &[
        Origin::same(&LIMIT, "statfs: blocks"),
        Origin::same(&USAGE, "/: statfs: blocks - bfree"),
        Origin::same(&INODES, "statfs: files"),
        Origin::same(&INODES_FREE, "statfs: ffree"),
    ],
};

static LIMIT: Family =
    Family::gauge("container_fs_limit_bytes", "Size of the file system on this device, in bytes.");
static USAGE: Family = Family::gauge(
    "container_fs_usage_bytes",
    "Room taken on this device, in bytes: all of it for the machine, by its write layer for a container.",
);
static INODES: Family = Family::gauge(
    "container_fs_inodes_total",
    "Files (inodes) that the file system on this device can hold.",
);
static INODES_FREE: Family = Family::gauge(
    "container_fs_inodes_free",
    "Files (inodes) that can still be made in the file system on this device.",
);

/// A file system as one cgroup shows it.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The `device` label.
    pub labels: Arc<Labels>,
    /// What the file system holds.
    pub space: Space,
    /// How much of it the cgroup takes, in bytes; none where nobody knows.
    pub usage: Option<u64>,
}

/// A file system of a cgroup, read.
#[derive(Clone, Debug)]
pub struct Row {
    /// The cgroup that shows it.
    pub path: CgroupPath,
    /// What it shows.
    pub disk: Disk,
}

/// The thread that asks file systems, and what it said last.
#[derive(Debug)]
pub struct Disks {
    worker: Option<Worker<Vec<Row>>>,
    /// Until when the reading asked for last is waited for.
    deadline: Arc<Mutex<Option<Instant>>>,
    rows: Vec<Row>,
}

impl Disks {
    /// Starts the thread, if the group is among these.
    pub fn start(groups: Groups, paths: &Paths) -> Self {
        let deadline: Arc<Mutex<Option<Instant>>> = Arc::default();
        let worker = groups.has(Group::Disk).then(|| {
            let (mut reader, until) = (DiskReader::new(paths), Arc::clone(&deadline));
            Worker::start("disks", move |rows| {
                let until = *until.lock().unwrap_or_else(PoisonError::into_inner);
                reader.read(rows, until.unwrap_or_else(Instant::now));
            })
        });
        let worker = worker.and_then(|started| {
            started.inspect_err(|error| tracing::warn!(%error, "no thread for file systems")).ok()
        });
        Self { worker, deadline, rows: Vec::new() }
    }

    /// Asks for what file systems hold, if the group is among these; it is waited for until `deadline`.
    pub fn ask(&mut self, groups: Groups, deadline: Instant) {
        if let Some(worker) = self.worker.as_mut().filter(|_| groups.has(Group::Disk)) {
            *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
            worker.ask();
        }
    }

    /// Takes over what was read; what is late is left out.
    pub fn hand_out(&mut self, groups: Groups, deadline: Instant, roster: &Shared) {
        if !groups.has(Group::Disk) {
            return;
        }
        let rows = &mut self.rows;
        let taken =
            self.worker.as_mut().and_then(|worker| worker.take(deadline, |read| std::mem::swap(read, rows)));
        if taken.is_none() {
            rows.clear();
        }
        hand_out(rows, &mut roster.lock());
    }
}

/// Gives each living cgroup the file systems that were read for it, in the order of the rows.
fn hand_out(rows: &[Row], roster: &mut Roster) {
    for entry in roster.living.values_mut() {
        entry.disks.clear();
    }
    for row in rows {
        if let Some(entry) = roster.living.get_mut(&row.path).filter(|entry| entry.is_there) {
            entry.disks.push(row.disk.clone());
        }
    }
}

/// Writes the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    figure(page, &LIMIT, roster, now, |disk| Some(disk.space.size()));
    figure(page, &USAGE, roster, now, |disk| disk.usage);
    // Some file systems make inodes as they are wanted, and tell of none.
    let files = |disk: &Disk| Some(disk.space.files).filter(|&files| files > 0);
    figure(page, &INODES, roster, now, files);
    figure(page, &INODES_FREE, roster, now, |disk| files(disk).map(|_| disk.space.files_free));
}

fn figure<V: Into<Value>>(
    page: &mut Page,
    family: &Family,
    roster: &Roster,
    now: Instant,
    value: impl Fn(&Disk) -> Option<V>,
) {
    let mut samples = page.family(family);
    for entry in roster.shown(now).filter(|entry| entry.is_alive()) {
        for disk in &entry.disks {
            if let Some(value) = value(disk) {
                samples.joined(&entry.labels, &disk.labels, value);
            }
        }
    }
}
