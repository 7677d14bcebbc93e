//! The readings themselves. Each has its bound in time, so that one cgroup cannot take that of all.

use std::{fs::File, ops::Range, path::PathBuf, time::Instant};

use super::{Figures, Order, Row, Subject};
use crate::{
    container::{
        group::{Group, Groups},
        links,
        process::ProcessFigures,
    },
    source::{
        cgroup::{CgroupPath, Controller, Layout, Mode, files::Reader},
        process::{Limit, Processes},
        stream::{self, Miss},
        text,
    },
};

/// Processes of one cgroup that are looked at at most, and of all; where there are more, those figures are left out.
const MOST_OF_ONE: usize = 1 << 16;
const MOST_OF_ALL: usize = 1 << 18;

/// Reads figures of processes.
#[derive(Debug)]
pub struct TaskReader {
    layout: Layout,
    cgroups: Reader,
    processes: Processes,
    /// Whether the numbers in a cgroup's files are those in procfs.
    numbers_agree: bool,
    pids: Vec<u32>,
    /// By subject.
    listed: Vec<Listed>,
    buffer: Vec<u8>,
}

/// The processes of one cgroup.
#[derive(Clone, Debug, Default)]
struct Listed {
    /// How many there are; none where they are not known.
    count: Option<u64>,
    /// Their place among the pids; none where they are too many, or not in our sight.
    pids: Option<Range<usize>>,
}

impl TaskReader {
    /// Of the cgroups in this layout and the processes in this procfs.
    pub fn new(layout: Layout, procfs: PathBuf, numbers_agree: bool) -> Self {
        Self {
            cgroups: Reader::new(layout.clone()),
            layout,
            processes: Processes::new(procfs),
            numbers_agree,
            pids: Vec::new(),
            listed: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Reads what is ordered, a row for each subject. What there is no time for stays empty.
    pub fn read(&mut self, order: &Order, rows: &mut Vec<Row>) {
        prepare(order, rows);
        self.processes.begin();
        self.list(order);
        if order.groups.has(Group::Process) {
            self.read_processes(order, rows);
        }
        self.processes.end();
    }

    /// The processes of every cgroup.
    fn list(&mut self, order: &Order) {
        self.pids.clear();
        self.listed.clear();
        for subject in &order.subjects {
            let listed = if needs_pids(order.groups, subject) {
                self.list_one(&subject.path, order.until)
            } else {
                None
            };
            self.listed.push(listed.unwrap_or_default());
        }
    }

    fn list_one(&mut self, path: &CgroupPath, until: Instant) -> Option<Listed> {
        let place = self.layout.cpu.or(self.layout.unified)?;
        let file = self.layout.hierarchy(place)?.directory(path).join("cgroup.procs");
        let begin = self.pids.len();
        let (mut count, mut all_in_sight) = (0, self.numbers_agree);
        let pids = &mut self.pids;
        let read = stream::lines(File::open(file).ok()?, &mut self.buffer, until, |line| {
            count += 1;
            let pid = text::whole(line).and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
            let has_room = pids.len() < MOST_OF_ALL && pids.len() - begin < MOST_OF_ONE;
            match pid.filter(|_| has_room) {
                Some(pid) => pids.push(pid),
                None => all_in_sight = false,
            }
        });
        if read.is_err() || !all_in_sight {
            self.pids.truncate(begin);
        }
        read.ok()?;
        Some(Listed { count: Some(count), pids: all_in_sight.then_some(begin..self.pids.len()) })
    }

    fn read_processes(&mut self, order: &Order, rows: &mut [Row]) {
        for at in 0..order.subjects.len() {
            let Some((subject, figures)) = pair(order, rows, at) else { continue };
            if Instant::now() >= order.until {
                return;
            }
            let count = self.listed.get(at).and_then(|listed| listed.count);
            figures.process = ProcessFigures {
                processes: count,
                threads: self.threads(&subject.path, count),
                threads_max: self.threads_max(&subject.path),
                open_files: subject.main.and_then(|pid| self.open_files(pid, &subject.path)),
                ..ProcessFigures::default()
            };
        }
        // Descriptors may be many, so they come last, and a cgroup has a part of what time is left.
        for at in 0..order.subjects.len() {
            let Some((_, figures)) = pair(order, rows, at) else { continue };
            let Some(pids) = self.listed.get(at).and_then(|listed| listed.pids.clone()) else { continue };
            let descriptors = self.descriptors(pids, part_of(order.until));
            (figures.process.descriptors, figures.process.sockets) = descriptors.unwrap_or_default();
        }
    }

    /// Descriptors of these processes, and how many of them are sockets. None if one cannot be looked at.
    fn descriptors(&mut self, pids: Range<usize>, until: Instant) -> Option<(Option<u64>, Option<u64>)> {
        let (mut all, mut sockets) = (0, Some(0));
        for &pid in self.pids.get(pids)? {
            match self.processes.descriptors(pid, until) {
                Ok(found) => {
                    all += found.all;
                    sockets = sockets.zip(found.sockets).map(|(sum, more)| sum + more);
                }
                Err(Miss::Gone) => {}
                Err(Miss::Unknown) => return None,
            }
        }
        Some((Some(all), sockets))
    }

    fn threads(&mut self, path: &CgroupPath, processes: Option<u64>) -> Option<u64> {
        match self.cgroups.rare(Controller::Pids, path, "pids.current") {
            Some(file) => text::only(file),
            None => processes.filter(|_| self.layout.mode == Mode::V2),
        }
    }

    /// 0 for no limit, as the reference has it.
    fn threads_max(&mut self, path: &CgroupPath) -> Option<u64> {
        match self.cgroups.rare(Controller::Pids, path, "pids.max")?.trim_ascii() {
            b"max" => Some(0),
            number => text::whole(number),
        }
    }

    /// -1 for no limit, as the reference has it.
    fn open_files(&mut self, pid: u32, path: &CgroupPath) -> Option<f64> {
        let limit = match self.processes.open_files(pid).ok()? {
            Limit::Unlimited => -1.0,
            Limit::At(number) => number as f64,
        };
        (path.is_root() || self.is_in(pid, path)).then_some(limit)
    }

    /// Whether a process of which a runtime told a while ago is still this cgroup's.
    fn is_in(&mut self, pid: u32, path: &CgroupPath) -> bool {
        self.processes.cgroups(pid).is_ok_and(|told| links::names(told, path))
    }
}

fn needs_pids(groups: Groups, subject: &Subject) -> bool {
    subject.is_shown && groups.has(Group::Process)
}

/// A row for each subject, with what rows of an earlier run left of memory.
fn prepare(order: &Order, rows: &mut Vec<Row>) {
    rows.truncate(order.subjects.len());
    for (row, subject) in rows.iter_mut().zip(&order.subjects) {
        row.path = subject.path.clone();
        **row.figures.get_or_insert_default() = Figures::default();
    }
    rows.extend(
        order
            .subjects
            .iter()
            .skip(rows.len())
            .map(|subject| Row { path: subject.path.clone(), figures: Some(Box::default()) }),
    );
}

/// A subject that is shown, with its figures.
fn pair<'a>(order: &'a Order, rows: &'a mut [Row], at: usize) -> Option<(&'a Subject, &'a mut Figures)> {
    let subject = order.subjects.get(at).filter(|subject| subject.is_shown)?;
    Some((subject, rows.get_mut(at)?.figures.as_deref_mut()?))
}

/// The end of one cgroup's part of the time that is left.
fn part_of(until: Instant) -> Instant {
    let now = Instant::now();
    now + until.saturating_duration_since(now) / 4
}
