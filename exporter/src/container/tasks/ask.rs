//! What a scrape asks of a thread for each cgroup, and how the answer comes back.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{
    container::{
        entry::Entry,
        group::{Group, Groups},
        network::Network,
        roster::{Roster, Shared},
    },
    source::{
        cgroup::{CgroupPath, tree::Ids},
        worker::Worker,
    },
};

/// The figures of one cgroup.
#[derive(Debug)]
pub struct Row<T> {
    /// The cgroup.
    pub path: CgroupPath,
    /// There when it is handed to the entry; what the entry had before comes back, for its memory.
    pub figures: Option<T>,
}

/// A cgroup that is asked for.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its path.
    pub path: CgroupPath,
    /// Its ids in the hierarchies.
    pub ids: Ids,
    /// Whether it has series; one without counts for those above it.
    pub is_shown: bool,
    /// Its runtime's first process, in the host's numbering.
    pub main: Option<u32>,
    /// A process in the network namespace that it shows.
    pub network: Option<u32>,
}

/// What a scrape wants.
#[derive(Debug)]
pub struct Order {
    /// Groups, others than the reader's among them.
    pub groups: Groups,
    /// When the reader should be done.
    pub until: Instant,
    /// The cgroups, parents before their subtrees.
    pub subjects: Vec<Subject>,
}

/// A thread that is asked by groups.
#[derive(Debug)]
pub struct Asker<T> {
    groups: &'static [Group],
    order: Arc<Mutex<Order>>,
    worker: Option<Worker<Vec<Row<T>>>>,
    rows: Vec<Row<T>>,
}

impl<T: Send + 'static> Asker<T> {
    /// Starts the thread with the job that `make` makes, if one of its groups is on.
    pub fn start<J: FnMut(&Order, &mut Vec<Row<T>>) + Send + 'static>(
        name: &str,
        groups: &'static [Group],
        on: Groups,
        make: impl FnOnce() -> J,
    ) -> Self {
        let empty = || Order { groups: Groups::NONE, until: Instant::now(), subjects: Vec::new() };
        let order = Arc::new(Mutex::new(empty()));
        let mut asker = Self { groups, order: Arc::clone(&order), worker: None, rows: Vec::new() };
        if asker.is_wanted(on) {
            let (mut job, mut own) = (make(), empty());
            let worker = Worker::start(name, move |rows| {
                std::mem::swap(&mut own, &mut lock(&order));
                job(&own, rows);
            });
            asker.worker = worker
                .inspect_err(|error| tracing::warn!(%error, "no thread for processes of containers"))
                .ok();
        }
        asker
    }

    /// Asks for the living, if one of the groups is the thread's.
    pub fn ask(&mut self, groups: Groups, roster: &Roster, deadline: Instant) {
        if !self.is_wanted(groups) {
            return;
        }
        let Some(worker) = &mut self.worker else { return };
        let mut order = lock(&self.order);
        (order.groups, order.until) = (groups, shortly_before(deadline));
        order.subjects.clear();
        order.subjects.extend(roster.living.values().map(subject));
        drop(order);
        worker.ask();
    }

    /// Waits for the answer and gives each living cgroup its figures at `place`; `false`: it is late, and the figures are
    /// left out. None if none of the groups is the thread's.
    pub fn hand_out(
        &mut self,
        groups: Groups,
        deadline: Instant,
        roster: &Shared,
        place: impl Fn(&mut Entry) -> &mut Option<T>,
    ) -> Option<bool> {
        if !self.is_wanted(groups) {
            return None;
        }
        let Self { worker, rows, .. } = self;
        let taken =
            worker.as_mut().and_then(|worker| worker.take(deadline, |read| std::mem::swap(read, rows)));
        let mut roster = roster.lock();
        if taken.is_none() {
            roster.living.values_mut().for_each(|entry| *place(entry) = None);
            return Some(false);
        }
        for row in rows {
            if let Some(entry) = roster.living.get_mut(&row.path).filter(|entry| entry.is_there) {
                std::mem::swap(place(entry), &mut row.figures);
            }
        }
        Some(true)
    }

    fn is_wanted(&self, groups: Groups) -> bool {
        self.groups.iter().any(|group| groups.has(*group))
    }
}

/// A row for each subject, with what an earlier run left; `renew` prepares its figures.
pub fn prepare<T>(order: &Order, rows: &mut Vec<Row<T>>, renew: impl Fn(&mut Option<T>)) {
    rows.truncate(order.subjects.len());
    for (row, subject) in rows.iter_mut().zip(&order.subjects) {
        row.path = subject.path.clone();
    }
    let new = order.subjects.iter().skip(rows.len());
    rows.extend(new.map(|subject| Row { path: subject.path.clone(), figures: None }));
    for row in rows {
        renew(&mut row.figures);
    }
}

/// The end of one cgroup's part of the time that is left, so that it cannot take that of all.
pub fn part_of(until: Instant) -> Instant {
    let now = Instant::now();
    now + until.saturating_duration_since(now) / 4
}

fn subject(entry: &Entry) -> Subject {
    let is_root = entry.path.is_root();
    Subject {
        path: entry.path.clone(),
        ids: entry.ids,
        is_shown: !entry.is_hidden,
        main: if is_root { Some(1) } else { entry.pid },
        network: match entry.network {
            _ if is_root => Some(1),
            Network::Own { pid } => Some(pid),
            _ => None,
        },
    }
}

fn lock(order: &Mutex<Order>) -> MutexGuard<'_, Order> {
    order.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was read by then is still taken.
fn shortly_before(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline.checked_sub(left / 10).unwrap_or(deadline)
}
