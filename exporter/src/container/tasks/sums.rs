//! How the processes of cgroups were scheduled, added up so that the end of a process takes nothing away.

use std::collections::{HashMap, hash_map::Entry};

use crate::source::{cgroup::CgroupPath, process::Scheduled};

/// Processes whose last figures are kept; where there are more, nothing is told.
const MOST_KNOWN: usize = 1 << 17;

/// The sums of all cgroups.
#[derive(Debug, Default)]
pub struct Sums {
    /// By pid: what was added up already.
    known: HashMap<u32, Known>,
    totals: HashMap<CgroupPath, Total>,
    /// The number of this run.
    run: u64,
    has_room: bool,
}

#[derive(Debug)]
struct Known {
    /// When it was started, in ticks since the machine was: numbers are used again.
    start: u64,
    figures: Scheduled,
    seen: u64,
}

#[derive(Debug, Default)]
struct Total {
    /// The cgroup's id in its hierarchy: a path is used again, too.
    id: Option<u64>,
    figures: Scheduled,
    seen: u64,
    /// The run in which a process of it or below could not be looked at.
    missed: u64,
}

impl Sums {
    /// Begins a run.
    pub fn begin(&mut self) {
        self.run += 1;
        self.has_room = true;
    }

    /// This cgroup is there; to be called for each before anything is added.
    pub fn enter(&mut self, path: &CgroupPath, id: Option<u64>) {
        let run = self.run;
        let total = self.totals.entry(path.clone()).or_default();
        if total.id != id {
            *total = Total { id, ..Total::default() };
        }
        total.seen = run;
    }

    /// What a process adds to what was known of it; nothing where it does not fit in.
    pub fn grown(&mut self, pid: u32, start: u64, now: Scheduled) -> Scheduled {
        let is_full = self.known.len() >= MOST_KNOWN;
        let known = match self.known.entry(pid) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => {
                self.has_room = false;
                return Scheduled::default();
            }
            Entry::Vacant(place) => place.insert(Known { start, figures: Scheduled::default(), seen: 0 }),
        };
        if known.start != start {
            *known = Known { start, figures: Scheduled::default(), seen: 0 };
        }
        known.seen = self.run;
        let grown = now.less(known.figures);
        known.figures = known.figures.plus(grown);
        grown
    }

    /// Adds to a cgroup and all above it.
    pub fn add(&mut self, path: &CgroupPath, grown: Scheduled) {
        if grown != Scheduled::default() {
            self.up_from(path, |total| total.figures = total.figures.plus(grown));
        }
    }

    /// A part of this cgroup's processes is not known.
    pub fn miss(&mut self, path: &CgroupPath) {
        let run = self.run;
        self.up_from(path, |total| total.missed = run);
    }

    /// The sum of a cgroup; none where it is not complete.
    pub fn total(&self, path: &CgroupPath) -> Option<Scheduled> {
        let total = self.totals.get(path).filter(|total| total.missed != self.run && self.has_room)?;
        Some(total.figures)
    }

    /// Ends a run in which all that lives was met: forgets the rest.
    pub fn end(&mut self) {
        let run = self.run;
        self.known.retain(|_, known| known.seen == run);
        self.totals.retain(|_, total| total.seen == run);
    }

    fn up_from(&mut self, path: &CgroupPath, change: impl Fn(&mut Total)) {
        let mut next = Some(path.clone());
        while let Some(path) = next {
            if let Some(total) = self.totals.get_mut(&path) {
                change(total);
            }
            next = path.parent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CgroupPath {
        CgroupPath::new(text.as_bytes())
    }

    fn scheduled(run: u64) -> Scheduled {
        Scheduled { run, waited: run * 2, periods: 1 }
    }

    /// A run in which these processes (cgroup, pid, start, time) are met.
    fn run(sums: &mut Sums, cgroups: &[(&str, u64)], processes: &[(&str, u32, u64, u64)]) {
        sums.begin();
        for (cgroup, id) in cgroups {
            sums.enter(&path(cgroup), Some(*id));
        }
        for (cgroup, pid, start, time) in processes {
            let grown = sums.grown(*pid, *start, scheduled(*time));
            sums.add(&path(cgroup), grown);
        }
        sums.end();
    }

    fn shown(sums: &Sums, cgroup: &str) -> Option<u64> {
        sums.total(&path(cgroup)).map(|figures| figures.run)
    }

    const ALL: [(&str, u64); 3] = [("/", 1), ("/a", 2), ("/a/b", 3)];

    #[test]
    fn what_the_dead_used_stays() {
        let mut sums = Sums::default();
        run(&mut sums, &ALL, &[("/", 1, 0, 100), ("/a", 5, 7, 10), ("/a/b", 6, 8, 20)]);
        let of = |sums: &Sums| ["/", "/a", "/a/b"].map(|cgroup| shown(sums, cgroup));
        assert_eq!(of(&sums), [Some(130), Some(30), Some(20)]);
        run(&mut sums, &ALL, &[("/", 1, 0, 101), ("/a", 5, 7, 15)]);
        assert_eq!(of(&sums), [Some(136), Some(35), Some(20)], "6 has ended");
        run(&mut sums, &ALL, &[("/", 1, 0, 101), ("/a", 5, 9, 2), ("/a/b", 6, 10, 3)]);
        assert_eq!(of(&sums), [Some(141), Some(40), Some(23)], "other processes have the numbers");
        assert_eq!(sums.total(&path("/a/b")).map(|all| (all.waited, all.periods)), Some((46, 2)));
        run(&mut sums, &ALL[..2], &[("/a", 5, 9, 1)]);
        assert_eq!(
            of(&sums),
            [Some(141), Some(40), None],
            "a smaller figure of the same process adds nothing"
        );
    }

    #[test]
    fn a_process_that_moves_takes_nothing_along() {
        let mut sums = Sums::default();
        run(&mut sums, &ALL, &[("/", 6, 8, 20)]);
        run(&mut sums, &ALL, &[("/a/b", 6, 8, 25)]);
        assert_eq!((shown(&sums, "/"), shown(&sums, "/a/b")), (Some(25), Some(5)));
    }

    #[test]
    fn a_cgroup_of_the_same_path_begins_anew() {
        let mut sums = Sums::default();
        run(&mut sums, &ALL, &[("/a/b", 6, 8, 20)]);
        run(&mut sums, &[("/", 1), ("/a", 2), ("/a/b", 9)], &[]);
        assert_eq!((shown(&sums, "/a"), shown(&sums, "/a/b")), (Some(20), Some(0)));
    }

    #[test]
    fn a_sum_with_a_gap_is_left_out_until_it_is_whole() {
        let mut sums = Sums::default();
        run(&mut sums, &ALL, &[("/a/b", 6, 8, 20)]);
        sums.begin();
        for (cgroup, id) in ALL {
            sums.enter(&path(cgroup), Some(id));
        }
        sums.miss(&path("/a"));
        assert_eq!((shown(&sums, "/"), shown(&sums, "/a"), shown(&sums, "/a/b")), (None, None, Some(20)));
        run(&mut sums, &ALL, &[("/a/b", 6, 8, 21)]);
        assert_eq!((shown(&sums, "/"), shown(&sums, "/a")), (Some(21), Some(21)));
    }

    #[test]
    fn the_processes_in_mind_are_bounded() {
        let mut sums = Sums::default();
        sums.begin();
        sums.enter(&path("/"), Some(1));
        for pid in 0..=u32::try_from(MOST_KNOWN).unwrap_or(u32::MAX) {
            let grown = sums.grown(pid, 1, scheduled(1));
            sums.add(&path("/"), grown);
        }
        assert_eq!((sums.known.len(), shown(&sums, "/")), (MOST_KNOWN, None));
    }
}
