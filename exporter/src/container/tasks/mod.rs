//! What the processes of a cgroup say of themselves, read on a thread of its own: there may be many, and the kernel may
//! make us wait for one of them.

mod reader;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{
    group::{Group, Groups},
    process::ProcessFigures,
    roster::{Roster, Shared},
};
use crate::{
    config::Paths,
    source::{
        cgroup::{CgroupPath, Layout},
        host,
        worker::Worker,
    },
};

use reader::TaskReader;

/// The groups that are read here.
const ALL: [Group; 1] = [Group::Process];

/// What was read of the processes of one cgroup.
#[derive(Debug, Default)]
pub struct Figures {
    /// How many there are, and their descriptors.
    pub process: ProcessFigures,
}

/// The figures of one cgroup.
#[derive(Debug)]
struct Row {
    path: CgroupPath,
    /// There when it is handed to the entry; what the entry had before comes back, for its memory.
    figures: Option<Box<Figures>>,
}

/// A cgroup that is asked for.
#[derive(Clone, Debug)]
struct Subject {
    path: CgroupPath,
    /// Whether it has series.
    is_shown: bool,
    /// Its runtime's first process, in the host's numbering.
    main: Option<u32>,
}

/// What a scrape wants.
#[derive(Debug)]
struct Order {
    groups: Groups,
    until: Instant,
    /// In the order of their paths.
    subjects: Vec<Subject>,
}

/// Asks for the figures of processes and takes them over.
#[derive(Debug)]
pub struct Tasks {
    order: Arc<Mutex<Order>>,
    worker: Option<Worker<Vec<Row>>>,
    rows: Vec<Row>,
}

impl Tasks {
    /// Starts the thread, if a group that needs it is on.
    pub fn start(groups: Groups, layout: &Layout, paths: &Paths) -> Self {
        let order = Order { groups: Groups::NONE, until: Instant::now(), subjects: Vec::new() };
        let mut own = Order { subjects: Vec::new(), ..order };
        let order = Arc::new(Mutex::new(order));
        let start = || {
            let in_host_s_pids = host::Facts::look(paths).is_host(host::View::Pid);
            let mut reader = TaskReader::new(layout.clone(), paths.procfs.clone(), in_host_s_pids);
            let order = Arc::clone(&order);
            Worker::start("tasks", move |rows| {
                std::mem::swap(&mut own, &mut lock(&order));
                reader.read(&own, rows);
            })
            .inspect_err(|error| tracing::warn!(%error, "no thread for processes of containers"))
            .ok()
        };
        let worker = if wants(groups) { start() } else { None };
        Self { order, worker, rows: Vec::new() }
    }

    /// Asks for what these groups show.
    pub fn ask(&mut self, groups: Groups, roster: &Roster, deadline: Instant) {
        let Some(worker) = self.worker.as_mut().filter(|_| wants(groups)) else { return };
        let mut order = lock(&self.order);
        (order.groups, order.until) = (groups, shortly_before(deadline));
        order.subjects.clear();
        order.subjects.extend(roster.living.values().map(|entry| Subject {
            path: entry.path.clone(),
            is_shown: !entry.is_hidden,
            main: if entry.path.is_root() { Some(1) } else { entry.pid },
        }));
        drop(order);
        worker.ask();
    }

    /// Waits for what was asked for and gives it to each living cgroup; `false`: it is late, and left out. None if these
    /// groups need nothing of this.
    pub fn hand_out(&mut self, groups: Groups, deadline: Instant, roster: &Shared) -> Option<bool> {
        if !wants(groups) {
            return None;
        }
        let Self { worker, rows, .. } = self;
        let taken =
            worker.as_mut().and_then(|worker| worker.take(deadline, |read| std::mem::swap(read, rows)));
        let mut roster = roster.lock();
        if taken.is_none() {
            roster.living.values_mut().for_each(|entry| entry.tasks = None);
            return Some(false);
        }
        for row in rows {
            if let Some(entry) = roster.living.get_mut(&row.path).filter(|entry| entry.is_there) {
                std::mem::swap(&mut entry.tasks, &mut row.figures);
            }
        }
        Some(true)
    }
}

fn wants(groups: Groups) -> bool {
    ALL.into_iter().any(|group| groups.has(group))
}

fn lock(order: &Mutex<Order>) -> MutexGuard<'_, Order> {
    order.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was read by then is still taken.
fn shortly_before(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline.checked_sub(left / 10).unwrap_or(deadline)
}
