//! One cgroup as it is shown: its labels, its open files and its last figures.

use std::time::Instant;

use crate::{
    metric::Labels,
    source::{
        cgroup::{
            CgroupPath, Layout, Place,
            files::Files,
            hugetlb::HugePages,
            numa::NumaPages,
            reading::{CpuFigures, MemoryEvents, MemoryFigures, Pressure},
            spec::Spec,
            tree::Ids,
        },
        runtime::Health,
    },
};

use super::{
    cpu_load::Load,
    disk::Disk,
    disk_io::DiskCounts,
    identity,
    kernel::SocketCount,
    network::{Interface, Network},
    oom::Kills,
    percpu::ByCpu,
    scheduled::Scheduled,
    shape::Kind,
    tasks,
    usage::{Count, Usage},
};

/// A cgroup that is shown, or was until a moment ago.
#[derive(Debug)]
pub struct Entry {
    /// Its path.
    pub path: CgroupPath,
    /// The labels of all its series.
    pub labels: Labels,
    /// Its ids in the hierarchies that have it.
    pub ids: Ids,
    /// Its open files.
    pub files: Files,
    /// Its limits.
    pub spec: Spec,
    /// Whether a change of its limits is noticed; else they are read at each scrape.
    pub is_watched: bool,
    /// Whether it is left out of every page.
    pub is_hidden: bool,
    /// The kind of runtime that named it.
    pub named_by: Option<Kind>,
    /// How many runtimes are still to say whether they know it.
    pub asked: usize,
    /// When it was made, in seconds since 1970; 0 if that is still to be found out.
    pub made: i64,
    /// When it was started, in seconds since 1970.
    pub started: i64,
    /// What its health check says; none without one.
    pub health: Option<Health>,
    /// Not shown before this moment, because its runtime is still asked for its name.
    pub waits_until: Option<Instant>,
    /// When the first of its hierarchies had it no more; none while all have it.
    pub leaving: Option<Instant>,
    /// Until when hierarchies that nobody follows may still get it; none once all that will have it do.
    pub young_until: Option<Instant>,
    /// When it went; none while it lives.
    pub died: Option<Instant>,
    /// Whether its files answered in this scrape.
    pub is_there: bool,
    /// Since when they have not answered.
    pub missed: Option<Instant>,
    /// CPU time.
    pub cpu: CpuFigures,
    /// The total at the reading before the last. Version 1's user and system time may be raised a moment after it: they
    /// are read once more before they count as known.
    pub cpu_before: Option<u64>,
    /// CPU time as it is shown.
    pub usage: Usage,
    /// CPU time by processor; empty unless that is asked for.
    pub by_cpu: ByCpu,
    /// Memory; none without the controller.
    pub memory: Option<MemoryFigures>,
    /// How often its memory ran short; none with version 1 or without the controller.
    pub memory_events: Option<MemoryEvents>,
    /// 1 if its memory moves along to other nodes; none unless that is asked for, or without version 1's controller.
    pub migrates: Option<u64>,
    /// Its tasks and their load; none unless that is asked for.
    pub load: Option<Load>,
    /// Its huge pages of each size; empty unless they are asked for.
    pub huge_pages: Vec<Option<HugePages>>,
    /// Its pages by node; empty unless they are asked for.
    pub numa: NumaPages,
    /// How long its tasks waited for CPU, memory and disks.
    pub pressure: [Option<Pressure>; 3],
    /// What it does with block devices.
    pub io: DiskCounts,
    /// Tasks killed for want of memory.
    pub kills: Kills,
    /// Its network interfaces.
    pub interfaces: Vec<Interface>,
    /// Its file systems.
    pub disks: Vec<Disk>,
    /// What its sockets and those below it carried; none where nobody counts.
    pub sockets: Option<SocketCount>,
    /// What the sockets of children carried that are dead by now.
    pub sockets_folded: SocketCount,
    /// CPU time counted for it with all below; none where it is not, or not all of it.
    pub counted: Option<Count>,
    /// What the scheduler did with its tasks and those below.
    pub scheduled: Scheduled,
    /// Whose network its tasks use.
    pub network: Network,
    /// Its runtime's first process, in the host's numbering.
    pub pid: Option<u32>,
    /// What its processes say of themselves; none where nobody asked, or not in time.
    pub tasks: Option<Box<tasks::Figures>>,
    /// Memory that its processes have touched, in bytes.
    pub referenced: Option<u64>,
}

impl Entry {
    /// A cgroup without files or figures yet.
    pub fn new(path: CgroupPath, ids: Ids) -> Self {
        Self {
            labels: identity::of_plain(&path),
            path,
            ids,
            files: Files::default(),
            spec: Spec::default(),
            is_watched: false,
            is_hidden: false,
            named_by: None,
            asked: 0,
            made: 0,
            started: 0,
            health: None,
            waits_until: None,
            leaving: None,
            young_until: None,
            died: None,
            is_there: true,
            missed: None,
            cpu: CpuFigures::default(),
            cpu_before: None,
            usage: Usage::default(),
            by_cpu: ByCpu::default(),
            memory: None,
            memory_events: None,
            migrates: None,
            load: None,
            huge_pages: Vec::new(),
            numa: NumaPages::default(),
            pressure: [None; 3],
            io: DiskCounts::default(),
            kills: Kills::default(),
            interfaces: Vec::new(),
            disks: Vec::new(),
            sockets: None,
            sockets_folded: SocketCount::default(),
            counted: None,
            scheduled: Scheduled::default(),
            network: Network::Unknown,
            pid: None,
            tasks: None,
            referenced: None,
        }
    }

    /// A hierarchy has its path anew, while others may still have the cgroup that bore it before: what was read and
    /// counted there was of the dead one. The files of all are opened anew by whoever settles it.
    pub fn born_again_in(&mut self, place: Place, layout: &Layout) {
        self.files = Files::default();
        self.huge_pages.clear();
        self.io = DiskCounts::default();
        self.load = None;
        if self.leaving.take().is_some() {
            self.made = 0;
        }
        if Some(place) == layout.cpu {
            self.tasks = None;
        }
        if Some(place) == layout.cpuacct {
            self.cpu_before = None;
            self.usage = Usage::default();
            self.by_cpu = ByCpu::default();
            self.counted = None;
            self.scheduled = Scheduled::default();
        }
        if Some(place) == layout.unified {
            self.sockets = None;
            self.sockets_folded = SocketCount::default();
            self.pressure = [None; 3];
        }
        if Some(place) == layout.memory {
            self.memory = None;
            self.memory_events = None;
            self.numa = NumaPages::default();
            self.kills = Kills::default();
        }
    }

    /// Whether its series are shown now.
    pub fn is_shown(&self, now: Instant) -> bool {
        !self.is_hidden && self.waits_until.is_none_or(|until| until <= now)
    }

    /// Whether anything ever ran in it, as far as is known.
    pub fn has_lived(&self) -> bool {
        let sockets = self.sockets.is_some_and(|sockets| sockets != SocketCount::default());
        let kills = self.kills.shown().is_some_and(|kills| kills > 0);
        self.usage.shown().map_or(self.memory.is_some(), |shown| shown > 0) || sockets || kills
    }

    /// Whether it lives, so that what is true of this moment (not only what was counted) is shown.
    pub fn is_alive(&self) -> bool {
        self.is_there && self.died.is_none()
    }
}
