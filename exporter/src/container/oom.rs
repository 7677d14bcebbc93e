//! Tasks that were killed for want of memory, counted on the cgroup that they were in.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use super::{
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
    write,
};
use crate::{
    metric::{Family, Page},
    source::{
        cgroup::{CgroupPath, Hierarchy},
        kmsg::{Kill, Kmsg},
    },
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "oom",
    words: &["oom_event"],
    on: On::ByDefault,
    summary: "tasks killed because memory ran out",
    reads: "memory.events.local, or memory.oom_control of cgroup v1; /proc/vmstat; /dev/kmsg",
    families: &[Origin::new(
        &EVENTS,
        "memory.oom_control: oom_kill; /dev/kmsg",
        "memory.events.local: oom_kill; /dev/kmsg",
    )],
};

static EVENTS: Family = Family::counter(
    "container_oom_events_total",
    "Tasks of the container itself that the kernel killed because memory ran out, and those of children that are gone.",
);

/// How long a kill may be told of before the birth of its cgroup is.
const BIRTH_PATIENCE: Duration = Duration::from_secs(10);
/// All files are read again after so many times as long as it took the last time.
const REST: u32 = 10;
/// Kills that wait for a birth at most.
const MOST_WAITING: usize = 64;

/// Writes the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    write::family(page, &EVENTS, roster, now, |entry| entry.kills.shown());
}

/// One cgroup's kills.
///
/// Its file counts each, but is gone with it. The log tells of a kill before the cgroup can go, but of ten in five
/// seconds at most, and of one where a whole group is killed. So the greater of both is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kills {
    /// Whether it has the controller.
    has_file: bool,
    /// What the file said when we came.
    before: u64,
    /// What it said last.
    file: u64,
    /// What the log told since.
    told: u64,
    /// What dead children had since.
    folded: u64,
}

impl Kills {
    /// A cgroup that was there before us.
    pub fn begin(&mut self, file: u64) {
        self.before = file;
    }

    /// It has the controller, which counts.
    pub fn has_file(&mut self) {
        self.has_file = true;
    }

    /// What the file says.
    pub fn read(&mut self, file: u64) {
        self.file = self.file.max(file);
    }

    /// The log tells of one.
    pub fn tell(&mut self) {
        self.told = self.told.saturating_add(1);
    }

    /// Keeps what a child had that is dead now.
    pub fn fold(&mut self, child: u64) {
        self.folded = self.folded.saturating_add(child);
    }

    /// All of them; none without the controller.
    pub fn shown(&self) -> Option<u64> {
        let all = self.own().saturating_add(self.folded);
        (self.has_file || all > 0).then_some(all)
    }

    /// Those that happened while we looked.
    pub fn seen(&self) -> u64 {
        self.own().saturating_sub(self.before).saturating_add(self.folded)
    }

    fn own(&self) -> u64 {
        self.file.max(self.before.saturating_add(self.told))
    }
}

/// The log's side of it.
#[derive(Debug, Default)]
pub struct Told {
    log: Option<Kmsg>,
    /// Kills in cgroups whose birth is still to be told.
    waiting: VecDeque<(Instant, Vec<CgroupPath>)>,
    /// A task was killed, and only the files tell in which cgroup.
    unnamed: bool,
    /// The moment before which they are not to be read again.
    next: Option<Instant>,
}

impl Told {
    /// By this log, should it be readable.
    pub fn by(log: Option<Kmsg>) -> Self {
        Self { log, ..Self::default() }
    }

    /// Readable when there may be something to [`hear`](Self::hear).
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.log.as_ref().map(AsFd::as_fd)
    }

    /// Passes over what was logged until now: the files have it.
    pub fn skip(&mut self) {
        if let Some(log) = &mut self.log {
            log.skip();
        }
    }

    /// Takes in what was logged since. `memory`: the hierarchy that its paths are of.
    pub fn hear(&mut self, memory: Option<&Hierarchy>, roster: &mut Roster, now: Instant) {
        let Some(log) = &mut self.log else { return };
        let (waiting, unnamed) = (&mut self.waiting, &mut self.unnamed);
        let heard = log.drain(|kill| {
            let Kill::Of(readings) = kill else {
                *unnamed = true;
                return;
            };
            let paths = readings.iter().filter_map(|path| memory?.below_mount(path));
            let mut paths: Vec<CgroupPath> = paths.collect();
            paths.sort();
            paths.dedup();
            let mut known = paths.iter().filter(|path| roster.living.contains_key(path));
            match (known.next().cloned(), known.next()) {
                (Some(path), None) => {
                    if let Some(entry) = roster.living.get_mut(&path) {
                        entry.kills.tell();
                    }
                }
                (None, _) if !paths.is_empty() => {
                    if waiting.len() >= MOST_WAITING {
                        waiting.pop_front();
                    }
                    waiting.push_back((now, paths));
                }
                // Of two that it may mean, neither: the file will say.
                _ => {}
            }
        });
        if let Err(error) = heard {
            stop(&error);
            self.log = None;
        }
    }

    /// How long until the files are to be read, because a cgroup was not told.
    pub fn due(&self, now: Instant) -> Option<Duration> {
        let wait = self.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        self.unnamed.then_some(wait)
    }

    /// They are about to be read: whatever is heard from now on asks for another reading.
    pub fn begins(&mut self) {
        self.unnamed = false;
    }

    /// They are read, and it took so long.
    pub fn has_read(&mut self, now: Instant, took: Duration) {
        self.next = now.checked_add(took * REST);
    }

    /// Counts on a cgroup what was told of it before its birth was.
    pub fn claim(&mut self, path: &CgroupPath, kills: &mut Kills, now: Instant) {
        self.waiting.retain(|(since, paths)| {
            let is_its = paths.contains(path);
            if is_its {
                kills.tell();
            }
            !is_its && now.saturating_duration_since(*since) < BIRTH_PATIENCE
        });
    }
}

fn stop(error: &io::Error) {
    tracing::warn!(%error, "read /dev/kmsg: OOM kills of containers that end with them are not counted any more");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_counted_twice() {
        let mut kills = Kills::default();
        assert_eq!(kills.shown(), None);
        kills.has_file();
        assert_eq!(kills.shown(), Some(0));
        kills.begin(5);
        kills.read(5);
        kills.tell();
        assert_eq!((kills.shown(), kills.seen()), (Some(6), 1));
        kills.read(6);
        assert_eq!(kills.shown(), Some(6));
        // Ten at once, of which the log told none.
        kills.read(16);
        assert_eq!((kills.shown(), kills.seen()), (Some(16), 11));
        kills.fold(2);
        assert_eq!((kills.shown(), kills.seen()), (Some(18), 13));
    }
}
