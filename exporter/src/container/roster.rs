//! The cgroups that a scrape shows. Discovery changes it, a scrape reads it; both hold the lock for moments only.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{entry::Entry, shape};
use crate::source::cgroup::{CgroupPath, files::Files};

/// The dead that are kept at most; the oldest go first.
const MOST_DEAD: usize = 1_000;

/// The cgroups, the living and the dead of the last moments.
#[derive(Debug)]
pub struct Roster {
    /// The living, parents before their subtrees.
    pub living: BTreeMap<CgroupPath, Entry>,
    dead: VecDeque<Entry>,
    keep_dead: Duration,
}

impl Roster {
    /// An empty one, which keeps the dead for so long.
    pub fn new(keep_dead: Duration) -> Self {
        Self { living: BTreeMap::new(), dead: VecDeque::new(), keep_dead }
    }

    /// Takes in a living cgroup. A dead one of the same path goes: no two may show the same series.
    pub fn insert(&mut self, entry: Entry) {
        self.dead.retain(|dead| dead.path != entry.path);
        self.living.insert(entry.path.clone(), entry);
    }

    /// Moves a cgroup from the living to the dead. Its files are closed and its counters stay.
    pub fn bury(&mut self, path: &CgroupPath, now: Instant) {
        if let Some(entry) = self.living.remove(path) {
            self.bury_unlisted(entry, now);
        }
    }

    /// Takes in a cgroup that died before it was listed.
    pub fn bury_unlisted(&mut self, mut entry: Entry, now: Instant) {
        self.expire(now);
        if self.keep_dead.is_zero() || !entry.has_lived() {
            return;
        }
        entry.files = Files::default();
        entry.died = Some(now);
        self.dead.retain(|dead| dead.path != entry.path);
        if self.dead.len() >= MOST_DEAD {
            // Units that come and go by the hundred must not push out what a container used last.
            let plain = self.dead.iter().position(|dead| shape::container(&dead.path).is_none());
            self.dead.remove(plain.unwrap_or(0));
        }
        self.dead.push_back(entry);
    }

    /// Forgets those that have been dead for long enough.
    pub fn expire(&mut self, now: Instant) {
        let keep = self.keep_dead;
        let is_old =
            |entry: &Entry| entry.died.is_some_and(|died| now.saturating_duration_since(died) >= keep);
        while self.dead.front().is_some_and(is_old) {
            self.dead.pop_front();
        }
    }

    /// Every entry, dead or alive.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.living.values_mut().chain(&mut self.dead)
    }

    /// All that is shown now.
    pub fn shown(&self, now: Instant) -> impl Iterator<Item = &Entry> + Clone {
        self.living.values().chain(&self.dead).filter(move |entry| entry.is_shown(now))
    }
}

/// The roster between the threads.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<Roster>>);

impl Shared {
    /// Shares a roster.
    pub fn new(roster: Roster) -> Self {
        Self(Arc::new(Mutex::new(roster)))
    }

    /// The roster, for a moment. A thread that panicked with it leaves at worst one stale entry.
    pub fn lock(&self) -> MutexGuard<'_, Roster> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::usage::Usage;

    fn entry(path: &str) -> Entry {
        let mut entry = Entry::new(CgroupPath::new(path.as_bytes()), [Some(1), None, None, None]);
        entry.usage.read_file(1, None);
        entry
    }

    #[test]
    fn the_dead_are_shown_for_their_time() {
        let mut roster = Roster::new(Duration::from_mins(1));
        let now = Instant::now();
        roster.insert(entry("/a"));
        roster.bury(&CgroupPath::new(b"/a"), now);
        roster.bury_unlisted(entry("/b"), now + Duration::from_secs(1));
        let shown: Vec<_> = roster.shown(now).map(|entry| entry.path.clone()).collect();
        assert_eq!(shown, [CgroupPath::new(b"/a"), CgroupPath::new(b"/b")]);
        roster.expire(now + Duration::from_mins(1));
        assert_eq!(roster.dead.len(), 1);
        roster.expire(now + Duration::from_secs(61));
        assert_eq!(roster.dead.len(), 0);
    }

    #[test]
    fn a_path_is_shown_once_when_it_lives_again() {
        let mut roster = Roster::new(Duration::from_mins(1));
        let now = Instant::now();
        for _ in 0..2 {
            roster.insert(entry("/a"));
            roster.bury(&CgroupPath::new(b"/a"), now);
        }
        assert_eq!(roster.shown(now).count(), 1);
        roster.insert(entry("/a"));
        assert_eq!(roster.shown(now).count(), 1);
        assert!(roster.shown(now).all(Entry::is_alive));
    }

    #[test]
    fn the_number_of_the_dead_is_bounded() {
        let mut roster = Roster::new(Duration::from_mins(1));
        let now = Instant::now();
        for number in 0..10_000 {
            roster.bury_unlisted(entry(&format!("/{number}")), now);
        }
        assert_eq!(roster.dead.len(), MOST_DEAD);
        assert_eq!(roster.dead.front().map(|entry| entry.path.clone()), Some(CgroupPath::new(b"/9000")));

        let id = "c".repeat(64);
        roster.bury_unlisted(entry(&format!("/docker/{id}")), now);
        for number in 0..MOST_DEAD {
            roster.bury_unlisted(entry(&format!("/again{number}")), now);
        }
        assert_eq!(roster.dead.len(), MOST_DEAD);
        assert!(roster.dead.iter().any(|dead| shape::container(&dead.path).is_some()), "a container stays");

        let mut idle = entry("/idle");
        idle.usage = Usage::default();
        roster.bury_unlisted(idle, now);
        assert!(
            roster.dead.iter().all(|dead| dead.path != CgroupPath::new(b"/idle")),
            "nothing ever ran in it"
        );

        let mut none = Roster::new(Duration::ZERO);
        none.bury_unlisted(entry("/a"), now);
        assert_eq!(none.dead.len(), 0);
    }
}
