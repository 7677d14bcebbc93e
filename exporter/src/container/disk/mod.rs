//! Room and inodes of file systems: the host's for the root, that of the write layer for a container.

mod devices;
mod layer;
mod layers;
mod reader;
mod walks;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{
    group::{Group, GroupDescriptor, Groups, On, Origin},
    roster::{Roster, Shared},
    shape::Kind,
};
use crate::{
    config::{ContainerSettings, Paths},
    metric::{Family, Labels, Page, Value},
    source::{cgroup::CgroupPath, mount::Space, worker::Worker},
};

use reader::DiskReader;

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "disk",
    words: &["disk"],
    on: On::ByDefault,
    summary: "room and inodes of the host's file systems, and what a container's write layer takes of them",
    reads: "/proc/1/mountinfo, statfs(2); /proc/PID/mountinfo, a walk over the layer or its project's quota",
    families: &[
        Origin::same(&LIMIT, "statfs: blocks"),
        Origin::same(&USAGE, "/: statfs: blocks - bfree; containers: disk blocks of the write layer's files"),
        Origin::same(&AGE, "the clock"),
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
static AGE: Family = Family::gauge(
    "container_fs_usage_age_seconds",
    "How long ago the container's write layer was measured, in seconds.",
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
    /// When that was measured; none if in this scrape.
    pub measured: Option<Instant>,
}

/// A file system of a cgroup, read.
#[derive(Clone, Debug)]
pub struct Row {
    /// The cgroup that shows it.
    pub path: CgroupPath,
    /// What it shows.
    pub disk: Disk,
}

/// A container whose write layer is looked for.
#[derive(Clone, Debug)]
struct Subject {
    path: CgroupPath,
    /// Its runtime's first process, in the host's numbering.
    pid: u32,
    kind: Kind,
}

/// What a scrape wants.
#[derive(Debug)]
struct Order {
    until: Instant,
    /// In the order of their paths.
    subjects: Vec<Subject>,
}

/// The thread that asks file systems, and what it said last.
#[derive(Debug)]
pub struct Disks {
    worker: Option<Worker<Vec<Row>>>,
    order: Arc<Mutex<Order>>,
    rows: Vec<Row>,
}

impl Disks {
    /// Starts the thread, if the group is on.
    pub fn start(settings: &ContainerSettings, paths: &Paths) -> Self {
        let mut own = Order { until: Instant::now(), subjects: Vec::new() };
        let order = Arc::new(Mutex::new(Order { subjects: Vec::new(), ..own }));
        let start = || {
            let (mut reader, order) = (DiskReader::new(settings.layer_usage, paths), Arc::clone(&order));
            Worker::start("disks", move |rows| {
                std::mem::swap(&mut own, &mut lock(&order));
                reader.read(&own, rows);
            })
            .inspect_err(|error| tracing::warn!(%error, "no thread for file systems"))
            .ok()
        };
        let worker = if settings.groups.has(Group::Disk) { start() } else { None };
        Self { worker, order, rows: Vec::new() }
    }

    /// Asks for what file systems hold, if the group is among these; it is waited for until `deadline`.
    pub fn ask(&mut self, groups: Groups, roster: &Roster, deadline: Instant) {
        let Some(worker) = self.worker.as_mut().filter(|_| groups.has(Group::Disk)) else { return };
        let mut order = lock(&self.order);
        order.until = deadline;
        order.subjects.clear();
        order.subjects.extend(roster.living.values().filter_map(|entry| {
            Some(Subject { path: entry.path.clone(), pid: entry.pid?, kind: entry.named_by? })
        }));
        drop(order);
        worker.ask();
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

fn lock(order: &Mutex<Order>) -> MutexGuard<'_, Order> {
    order.lock().unwrap_or_else(PoisonError::into_inner)
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
    let age = |disk: &Disk| Some(now.saturating_duration_since(disk.measured?).as_secs_f64());
    figure(page, &AGE, roster, now, age);
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
