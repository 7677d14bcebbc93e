//! What is known of every cgroup, and what its birth, its death or a change of its limits does to the roster.

use std::{
    os::fd::BorrowedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    entry::Entry,
    kernel::{Counts, Key},
    links::{Target, Targets},
    names::Names,
    network::Network,
    oom::Told,
    roster::{Roster, Shared},
    runtimes::Source,
    scheduled::Counted,
    usage::{Count, Pace},
};
use crate::source::{
    cgroup::{
        CgroupPath, Place,
        files::{Opener, Reader},
        spec::{MachineMemory, Spec},
        tree::{Change, Tree},
        walk,
    },
    runtime::Answer,
};

/// How long a runtime takes at most to make a cgroup in all hierarchies.
const MADE_WITHIN: Duration = Duration::from_secs(1);

/// The cgroups and what depends on them. Used by the discovery thread alone, save for the roster.
#[derive(Debug)]
pub struct Census {
    /// Where the hierarchies are, and which files are kept open there.
    pub opener: Opener,
    /// Which cgroups there are.
    pub tree: Tree,
    /// Those that are shown.
    pub roster: Shared,
    counts: Option<Arc<dyn Counts>>,
    /// Who knows the containers.
    names: Names,
    /// Kills for want of memory.
    told: Told,
    /// Whether what is found was there before us.
    is_first_look: bool,
    targets: Targets,
    host: Host,
    reader: Reader,
}

/// What is true of the host and of this process for as long as it runs.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// The machine's memory, which the root cgroup shows as its limit.
    pub memory: MachineMemory,
    /// When it was started, in seconds since 1970: no cgroup was made before.
    pub boot: i64,
    /// Whether what each CPU ran of a cgroup is counted.
    pub by_cpu: bool,
}

impl Census {
    /// Knows of no cgroup yet.
    pub fn new(
        opener: Opener,
        roster: Shared,
        counts: Option<Arc<dyn Counts>>,
        names: Names,
        told: Told,
        targets: Targets,
        host: Host,
    ) -> Self {
        let reader = Reader::new(opener.layout.clone());
        Self {
            opener,
            tree: Tree::default(),
            roster,
            counts,
            names,
            told,
            is_first_look: true,
            targets,
            host,
            reader,
        }
    }

    /// All that was there before us is known. Kills that were logged until now are in the files that were read.
    pub fn looked(&mut self) {
        self.is_first_look = false;
        self.told.skip();
    }

    /// Readable when there may be something to [`hear`](Self::hear).
    pub fn kills(&self) -> Option<BorrowedFd<'_>> {
        self.told.descriptor()
    }

    /// Takes in which cgroups lost a task for want of memory.
    pub fn hear(&mut self, now: Instant) {
        let memory = self.opener.layout.memory.and_then(|place| self.opener.layout.hierarchy(place));
        self.told.hear(memory, &mut self.roster.lock(), now);
    }

    /// How long until [`read_all_kills`](Self::read_all_kills) is to be called.
    pub fn kills_due(&self) -> Option<Duration> {
        self.told.due(Instant::now())
    }

    /// Reads of all cgroups how many tasks were killed, should that be due.
    pub fn read_all_kills(&mut self) {
        if !self.kills_due().is_some_and(|wait| wait.is_zero()) {
            return;
        }
        self.told.begins();
        let begun = Instant::now();
        let paths: Vec<_> = self.roster.lock().living.keys().cloned().collect();
        for path in paths {
            let Some(kills) = self.reader.oom_kills(&path) else { continue };
            if let Some(entry) = self.roster.lock().living.get_mut(&path) {
                entry.kills.read(kills);
            }
        }
        self.told.has_read(Instant::now(), begun.elapsed());
    }

    /// A cgroup is there in a hierarchy; `true` if that is new.
    pub fn born(&mut self, place: Place, path: &CgroupPath, id: u64, now: Instant) -> bool {
        let known = self.tree.ids(path).and_then(|ids| *ids.get(place)?);
        if let Some(known) = known.filter(|&known| known != id) {
            // Its death was not told: it left before this one came.
            self.died(place, known, now);
        }
        let change = self.tree.born(place, path, id);
        if change != Change::None
            && let Some(counts) = &self.counts
            && let Some(key) = self.key(place, id)
        {
            counts.enter(key);
        }
        if change == Change::Part
            && let Some(entry) = self.roster.lock().living.get_mut(path)
        {
            entry.born_again_in(place, &self.opener.layout);
        }
        change != Change::None
    }

    /// A cgroup left a hierarchy; its path, if it was known.
    pub fn died(&mut self, place: Place, id: u64, now: Instant) -> Option<CgroupPath> {
        let (path, change) = self.tree.died(place, id)?;
        // What killed its last task was logged before the cgroup could go.
        self.hear(now);
        let roster = self.roster.clone();
        let mut roster = roster.lock();
        if !roster.living.contains_key(&path) {
            // Born and dead before anybody could look at it; what was counted is shown all the same.
            let mut entry = Entry::new(path.clone(), Default::default());
            self.names.introduce(&mut entry, now);
            self.told.claim(&path, &mut entry.kills, now);
            roster.insert(entry);
        }
        self.take_last_figures(&mut roster, &path, place, id);
        if change == Change::Whole {
            hand_on_kills(&mut roster, &path);
            roster.bury(&path, now);
            self.names.forget(&path);
            self.retarget(&roster);
        } else if let Some(entry) = roster.living.get_mut(&path) {
            entry.leaving.get_or_insert(now);
            if let Some(id) = entry.ids.get_mut(place) {
                *id = None;
            }
        }
        Some(path)
    }

    /// A cgroup died that is not in sight: the kernel half counted for it all the same.
    pub fn free(&self, key: Key) {
        if let Some(counts) = &self.counts {
            counts.leave(key);
        }
    }

    /// Reads the counters of a dead cgroup a last time, hands what they say on to its parent and frees their room.
    fn take_last_figures(&self, roster: &mut Roster, path: &CgroupPath, place: Place, id: u64) {
        let (Some(counts), Some(key)) = (&self.counts, self.key(place, id)) else { return };
        let Some(entry) = roster.living.get_mut(path) else { return };
        let sockets = counts.sockets(key).filter(|_| Some(place) == self.opener.layout.unified);
        let sockets = sockets.map(|own| own.plus(entry.sockets_folded));
        let cpu = counts.cpu(key).filter(|_| Some(place) == self.opener.layout.cpuacct);
        let scheduled = cpu.map(|own| {
            let mut by_cpu = Vec::new();
            if self.host.by_cpu {
                counts.add_by_cpu(key, &mut by_cpu);
            }
            let mut scheduled = Counted { switches: own.switches, by_cpu };
            scheduled.add(&entry.scheduled.folded);
            scheduled
        });
        let cpu = cpu.map(|own| own.finished.saturating_add(entry.usage.folded()));
        if let Some(finished) = cpu {
            entry.usage.read_count(finished, Pace::FULL);
        }
        entry.sockets = sockets.or(entry.sockets);
        entry.scheduled.shown.clone_from(&scheduled);
        counts.leave(key);
        let Some(parent) = path.parent().and_then(|parent| roster.living.get_mut(&parent)) else { return };
        parent.usage.fold(cpu.unwrap_or(0));
        parent.scheduled.folded.add(&scheduled.unwrap_or_default());
        parent.sockets_folded = parent.sockets_folded.plus(sockets.unwrap_or_default());
    }

    /// Opens the files of a cgroup that is new or has new ones, and reads its limits.
    pub fn settle(&mut self, path: &CgroupPath, is_watched: bool, now: Instant, time: i64) {
        let Some(ids) = self.tree.ids(path).copied() else { return };
        let spec = Spec::read(&self.opener.layout, path, self.host.memory);
        let is_new = !self.roster.lock().living.contains_key(path);
        if is_new {
            let mut entry = Entry::new(path.clone(), ids);
            entry.files.open(&self.opener, path);
            entry.young_until = Some(now + MADE_WITHIN).filter(|_| !self.is_first_look);
            entry.made = self.made_at(path, time);
            entry.started = entry.made;
            self.anchor(&mut entry);
            self.names.introduce(&mut entry, now);
            self.read_kills(&mut entry);
            self.told.claim(path, &mut entry.kills, now);
            self.roster.lock().insert(entry);
        }
        let mut roster = self.roster.lock();
        let Some(entry) = roster.living.get_mut(path) else { return };
        entry.ids = ids;
        entry.spec = spec;
        entry.is_watched = is_watched;
        if !is_new {
            entry.files.open(&self.opener, path);
            if entry.files.has_memory() {
                entry.kills.has_file();
            }
        }
        if entry.made == 0 {
            entry.made = self.made_at(path, time);
            entry.started = entry.made;
            self.names.ask(path);
        }
    }

    /// The first reading, from which the count goes on.
    fn anchor(&mut self, entry: &mut Entry) {
        let count = self.counted(entry);
        if let Ok(Some(file)) = self.reader.cpu_usage(&entry.files, &entry.path) {
            entry.usage.read_file(file, count);
        }
    }

    fn read_kills(&mut self, entry: &mut Entry) {
        if !entry.files.has_memory() {
            return;
        }
        entry.kills.has_file();
        let file = self.reader.oom_kills(&entry.path).unwrap_or(0);
        if self.is_first_look {
            entry.kills.begin(file);
        }
        entry.kills.read(file);
    }

    fn counted(&self, entry: &Entry) -> Option<Count> {
        let place = self.opener.layout.cpuacct?;
        let key = self.key(place, (*entry.ids.get(place)?)?)?;
        let count = self.counts.as_ref()?.cpu(key)?;
        Some(Count { finished: count.finished, running: count.running })
    }

    /// Reads a cgroup's limits anew.
    pub fn read_limits(&mut self, path: &CgroupPath) {
        let spec = Spec::read(&self.opener.layout, path, self.host.memory);
        if let Some(entry) = self.roster.lock().living.get_mut(path) {
            entry.spec = spec;
        }
    }

    /// The oldest time that the cgroup's files tell, not before the machine was started.
    fn made_at(&self, path: &CgroupPath, time: i64) -> i64 {
        let ids = self.tree.ids(path).copied().unwrap_or_default();
        let made = ids
            .iter()
            .zip(&self.opener.layout.hierarchies)
            .filter(|(id, _)| id.is_some())
            .filter_map(|(_, hierarchy)| walk::made_at(hierarchy, path))
            .min();
        made.unwrap_or(time).max(self.host.boot)
    }

    /// Takes in what a runtime says of a container.
    pub fn named(&mut self, source: Source, answer: Answer) {
        let roster = self.roster.clone();
        let mut roster = roster.lock();
        self.names.take(source, answer, &mut roster);
        self.retarget(&roster);
    }

    /// Whose interfaces are wanted.
    fn retarget(&self, roster: &Roster) {
        self.targets.set(roster.living.values().filter_map(|entry| match entry.network {
            Network::Own { pid } => Some(Target { path: entry.path.clone(), pid }),
            _ => None,
        }));
    }

    /// What the kernel half knows a cgroup by, if it counts in that hierarchy.
    fn key(&self, place: Place, id: u64) -> Option<Key> {
        let counts = self.counts.as_ref()?;
        let is_counted = Some(place) == self.opener.layout.cpuacct && counts.counts_cpu()
            || Some(place) == self.opener.layout.unified && counts.counts_sockets();
        let hierarchy = self.opener.layout.hierarchy(place).filter(|_| is_counted)?.id;
        Some(Key { hierarchy, id })
    }
}

/// The kills of a cgroup that goes stay with the nearest one above that lives.
fn hand_on_kills(roster: &mut Roster, path: &CgroupPath) {
    let seen = roster.living.get(path).map_or(0, |entry| entry.kills.seen());
    let mut above = path.parent().filter(|_| seen > 0);
    while let Some(path) = above {
        if let Some(entry) = roster.living.get_mut(&path) {
            return entry.kills.fold(seen);
        }
        above = path.parent();
    }
}
