//! The readings of small files. Each has its bound in time, so that one cgroup cannot take that of all.

use std::{ops::Range, time::Instant};

use rustix::fs::{Mode as Permissions, OFlags};

use super::{
    Figures,
    ask::{self, Order, Row, Subject},
    network::NetworkReader,
    sums::Sums,
};
use crate::{
    container::{
        group::{Group, Groups},
        links,
        process::ProcessFigures,
    },
    source::{
        cgroup::{CgroupPath, Controller, Layout, Mode, Place, files::Reader},
        process::{Limit, Processes},
        stream::{self, Miss},
        text,
    },
};

/// Processes of one cgroup that are looked at at most, and of all; where there are more, those figures are left out.
const MOST_OF_ONE: usize = 1 << 16;
const MOST_OF_ALL: usize = 1 << 18;

/// The processes of every cgroup, as its own file lists them.
#[derive(Debug)]
pub struct Listing {
    layout: Layout,
    /// Whether the numbers in a cgroup's files are those in procfs.
    numbers_agree: bool,
    pids: Vec<u32>,
    /// By subject.
    listed: Vec<Listed>,
    buffer: Vec<u8>,
}

/// The processes of one cgroup.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// Whether the cgroup is in the hierarchy whose lists are read.
    pub is_there: bool,
    /// How many there are; none where they are not known.
    pub count: Option<u64>,
    /// Their place among the pids; none where they are too many, or not in our sight.
    pub pids: Option<Range<usize>>,
}

impl Listing {
    /// Of the cgroups in this layout.
    pub fn new(layout: Layout, numbers_agree: bool) -> Self {
        Self { layout, numbers_agree, pids: Vec::new(), listed: Vec::new(), buffer: Vec::new() }
    }

    /// Lists the processes of those subjects of which this is true.
    pub fn list(&mut self, order: &Order, is_wanted: impl Fn(&Subject) -> bool) {
        self.pids.clear();
        self.listed.clear();
        for subject in &order.subjects {
            let listed = match is_wanted(subject).then(|| self.list_one(&subject.path, order.until)) {
                Some(Ok(listed)) => listed,
                Some(Err(Miss::Unknown)) => Listed { is_there: true, ..Listed::default() },
                Some(Err(Miss::Gone)) | None => Listed::default(),
            };
            self.listed.push(listed);
        }
    }

    /// What was listed of the subject at this place.
    pub fn of(&self, at: usize) -> Listed {
        self.listed.get(at).cloned().unwrap_or_default()
    }

    /// The processes at a place.
    pub fn pids(&self, place: Range<usize>) -> &[u32] {
        self.pids.get(place).unwrap_or_default()
    }

    /// The hierarchy whose lists are read.
    fn place(&self) -> Option<Place> {
        self.layout.cpu.or(self.layout.unified)
    }

    fn list_one(&mut self, path: &CgroupPath, until: Instant) -> Result<Listed, Miss> {
        let hierarchy = self.place().and_then(|place| self.layout.hierarchy(place)).ok_or(Miss::Gone)?;
        let file = hierarchy.directory(path).join("cgroup.procs");
        let file = rustix::fs::open(file, OFlags::RDONLY | OFlags::CLOEXEC, Permissions::empty())?;
        let begin = self.pids.len();
        let (mut count, mut all_in_sight) = (0, self.numbers_agree);
        let pids = &mut self.pids;
        let read = stream::lines(file, &mut self.buffer, until, |line| {
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
        read?;
        let pids = all_in_sight.then_some(begin..self.pids.len());
        Ok(Listed { is_there: true, count: Some(count), pids })
    }
}

/// Reads figures of processes.
#[derive(Debug)]
pub struct TaskReader {
    layout: Layout,
    listing: Listing,
    cgroups: Reader,
    processes: Processes,
    sums: Sums,
    networks: NetworkReader,
}

impl TaskReader {
    /// Of the cgroups in this layout and the processes listed so.
    pub fn new(layout: Layout, listing: Listing, processes: Processes) -> Self {
        Self {
            cgroups: Reader::new(layout.clone()),
            layout,
            listing,
            processes,
            sums: Sums::default(),
            networks: NetworkReader::default(),
        }
    }

    /// Reads what is ordered, a row for each subject. What there is no time for stays empty. What may take longest
    /// comes last.
    pub fn read(&mut self, order: &Order, rows: &mut Vec<Row<Box<Figures>>>) {
        ask::prepare(order, rows, |figures| figures.get_or_insert_default().clear());
        self.processes.begin();
        let groups = order.groups;
        self.listing.list(order, |subject| needs_pids(groups, subject));
        if groups.has(Group::Sched) {
            self.read_scheduled(order, rows);
        }
        if groups.has(Group::Process) {
            self.each(order, rows, Self::read_process);
        }
        if [Group::Tcp, Group::Udp, Group::AdvTcp].into_iter().any(|group| groups.has(group)) {
            self.each(order, rows, |reader, _, subject, figures| {
                reader.networks.read(&mut reader.processes, subject, groups, order.until, figures);
            });
        }
        if groups.has(Group::Process) {
            self.each(order, rows, |reader, listed, _, figures| {
                let found =
                    listed.pids.clone().and_then(|pids| reader.descriptors(pids, ask::part_of(order.until)));
                (figures.process.descriptors, figures.process.sockets) = found.unwrap_or_default();
            });
        }
        self.processes.end();
    }

    /// Reads each subject that is shown, until the time is over.
    fn each(
        &mut self,
        order: &Order,
        rows: &mut [Row<Box<Figures>>],
        read: impl Fn(&mut Self, &Listed, &Subject, &mut Figures),
    ) {
        for (at, (subject, row)) in order.subjects.iter().zip(rows).enumerate() {
            if Instant::now() >= order.until {
                return;
            }
            if let Some(figures) = row.figures.as_deref_mut().filter(|_| subject.is_shown) {
                let listed = self.listing.of(at);
                read(self, &listed, subject, figures);
            }
        }
    }

    /// Adds up how all processes were scheduled.
    fn read_scheduled(&mut self, order: &Order, rows: &mut [Row<Box<Figures>>]) {
        let place = self.listing.place();
        self.sums.begin();
        for subject in &order.subjects {
            self.sums.enter(&subject.path, place.and_then(|place| *subject.ids.get(place)?));
        }
        let mut is_whole = true;
        for (at, subject) in order.subjects.iter().enumerate() {
            let listed = self.listing.of(at);
            let read = listed.pids.is_some_and(|pids| self.add_scheduled(pids, &subject.path, order.until));
            if listed.is_there && !read {
                self.sums.miss(&subject.path);
                is_whole = false;
            }
        }
        for (at, row) in rows.iter_mut().enumerate() {
            if let Some(figures) = row.figures.as_deref_mut().filter(|_| self.listing.of(at).is_there) {
                figures.scheduled = self.sums.total(&row.path);
            }
        }
        if is_whole {
            self.sums.end();
        }
    }

    /// `false`: one of the processes is there and does not tell, or there was no time for all.
    fn add_scheduled(&mut self, pids: Range<usize>, path: &CgroupPath, until: Instant) -> bool {
        for &pid in self.listing.pids(pids) {
            match self.processes.scheduled(pid) {
                Ok((start, scheduled)) => {
                    let grown = self.sums.grown(pid, start, scheduled);
                    self.sums.add(path, grown);
                }
                Err(Miss::Gone) => {}
                Err(Miss::Unknown) => return false,
            }
            if Instant::now() >= until {
                return false;
            }
        }
        true
    }

    fn read_process(&mut self, listed: &Listed, subject: &Subject, figures: &mut Figures) {
        figures.process = ProcessFigures {
            processes: listed.count,
            threads: self.threads(&subject.path, listed.count),
            threads_max: self.threads_max(&subject.path),
            open_files: subject.main.and_then(|pid| self.open_files(pid, &subject.path)),
            ..ProcessFigures::default()
        };
    }

    /// Descriptors of these processes, and how many of them are sockets. None if one cannot be looked at.
    fn descriptors(&mut self, pids: Range<usize>, until: Instant) -> Option<(Option<u64>, Option<u64>)> {
        let (mut all, mut sockets) = (0, Some(0));
        for &pid in self.listing.pids(pids) {
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

    /// -1 for no limit, as the reference has it. Of a process of which a runtime told a while ago, if it is still this
    /// cgroup's.
    fn open_files(&mut self, pid: u32, path: &CgroupPath) -> Option<f64> {
        let limit = match self.processes.open_files(pid).ok()? {
            Limit::Unlimited => -1.0,
            Limit::At(number) => number as f64,
        };
        let is_in = path.is_root() || self.processes.cgroups(pid).is_ok_and(|told| links::names(told, path));
        is_in.then_some(limit)
    }
}

/// Those that are not shown as well, for the sums of the ones above.
fn needs_pids(groups: Groups, subject: &Subject) -> bool {
    groups.has(Group::Sched) || (subject.is_shown && groups.has(Group::Process))
}
