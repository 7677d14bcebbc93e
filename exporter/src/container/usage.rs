//! CPU time as it is shown: from the cgroup's file, from the kernel half's count, and never falling.

/// One cgroup's CPU time with all below it, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    shown: Option<u64>,
    anchor: Option<Anchor>,
    /// What children that are dead by now were counted.
    folded: u64,
}

/// The file and the count as they were read together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    /// The file's total.
    pub file: u64,
    /// The count, with all below: what is finished, and the most that running slices can add.
    pub count: Count,
}

/// A count of a cgroup with all below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Finished slices.
    pub finished: u64,
    /// Slices that run still, by the wall clock.
    pub running: u64,
}

impl Count {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            finished: self.finished.saturating_add(other.finished),
            running: self.running.saturating_add(other.running),
        }
    }

    /// All that may have been used.
    pub fn most(self) -> u64 {
        self.finished.saturating_add(self.running)
    }
}

/// How much of what is counted may be shown before the file confirms it: a figure that ran ahead of the file would
/// fall back to it at a restart, and to Prometheus that fall is a reset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace(f64);

impl Default for Pace {
    fn default() -> Self {
        Self::FULL
    }
}

impl Pace {
    /// All that is counted.
    pub const FULL: Self = Self(1.0);
    /// Spans shorter than this say nothing of the pace, nor do differences below a tenth of it.
    const SPAN: u64 = 10_000_000;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number that is in range"
    )]
    fn of(self, counted: u64) -> u64 {
        if self == Self::FULL { counted } else { (counted as f64 * self.0) as u64 }
    }

    /// Takes the pace of the file, should it be slower.
    fn slow_down(&mut self, counted: u64, file: u64) {
        if counted >= Self::SPAN && counted.saturating_sub(file) >= Self::SPAN / 10 {
            self.0 = self.0.min(file as f64 / counted as f64);
        }
    }
}

impl Usage {
    /// The figure that is shown; none before the first.
    pub fn shown(&self) -> Option<u64> {
        self.shown
    }

    /// The last reading of file and count together.
    pub fn anchor(&self) -> Option<Anchor> {
        self.anchor
    }

    /// What dead children were counted.
    pub fn folded(&self) -> u64 {
        self.folded
    }

    /// Keeps what a child was counted that is dead now.
    pub fn fold(&mut self, finished: u64) {
        self.folded = self.folded.saturating_add(finished);
    }

    /// Shows the file's total; a count read with it is what later counts are compared with.
    pub fn read_file(&mut self, file: u64, count: Option<Count>) {
        self.raise(file);
        self.anchor = count.map(|count| Anchor { file, count });
    }

    /// Shows the file's total of the last reading and what was counted since, by this pace. A cgroup that was never
    /// read began at nothing.
    pub fn read_count(&mut self, finished: u64, pace: Pace) {
        self.raise(self.reckoned(finished, pace));
    }

    /// No more than was used: the file had what ran at its reading, or most of it.
    fn reckoned(&self, finished: u64, pace: Pace) -> u64 {
        let anchor = self.anchor.unwrap_or_default();
        let since = finished.saturating_sub(anchor.count.most());
        anchor.file.saturating_add(pace.of(since))
    }

    /// As [`read_file`](Self::read_file), for a figure that goes on by count: the file is what the count is held
    /// to, from below and from above. Gives how far the count stood above (or, negative, below) the file.
    pub fn correct(&mut self, file: u64, count: Count, pace: &mut Pace) -> i64 {
        let Some(anchor) = self.anchor else {
            self.read_file(file, Some(count));
            return 0;
        };
        let least = self.reckoned(count.finished, *pace);
        pace.slow_down(count.finished.saturating_sub(anchor.count.most()), file.saturating_sub(anchor.file));
        let finished = pace.of(count.finished.saturating_sub(anchor.count.finished));
        let most = anchor.file.saturating_add(finished).saturating_add(count.running);
        self.raise(file);
        if (least..=most).contains(&file) {
            return 0;
        }
        self.anchor = Some(Anchor { file, count });
        let off = if file > most {
            i64::try_from(file - most).map(i64::wrapping_neg)
        } else {
            i64::try_from(least - file)
        };
        off.unwrap_or(0)
    }

    fn raise(&mut self, figure: u64) {
        self.shown = Some(self.shown.map_or(figure, |before| before.max(figure)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(finished: u64) -> Count {
        Count { finished, running: 0 }
    }

    #[test]
    fn the_file_is_shown_and_never_falls() {
        let mut usage = Usage::default();
        assert_eq!(usage.shown(), None);
        for (file, shown) in [(100, 100), (90, 100), (120, 120)] {
            usage.read_file(file, None);
            assert_eq!(usage.shown(), Some(shown));
        }
    }

    #[test]
    fn a_count_goes_on_from_where_the_file_was() {
        let mut usage = Usage::default();
        usage.read_file(1_000, Some(finished(400)));
        usage.read_count(450, Pace::FULL);
        assert_eq!(usage.shown(), Some(1_050));
        usage.read_count(300, Pace::FULL);
        assert_eq!(usage.shown(), Some(1_050), "a count that falls lowers nothing");
    }

    #[test]
    fn a_life_that_was_never_read_is_its_count() {
        let mut usage = Usage::default();
        usage.read_count(77, Pace::FULL);
        assert_eq!(usage.shown(), Some(77));
    }

    #[test]
    fn a_count_is_held_to_the_file_from_both_sides() {
        let running = |finished, running| Count { finished, running };
        let mut full = Pace::FULL;
        let pace = &mut full;
        let mut usage = Usage::default();
        assert_eq!(usage.correct(1_000, running(0, 0), pace), 0, "the first reading is the anchor");
        assert_eq!(usage.correct(1_150, running(100, 100), pace), 0, "within what runs still");
        assert_eq!(usage.shown(), Some(1_150));

        assert_eq!(usage.correct(1_150, running(200, 0), pace), 50, "ahead of the file");
        usage.read_count(210, Pace::FULL);
        assert_eq!(usage.shown(), Some(1_160), "goes on from the file");

        assert_eq!(usage.correct(1_400, running(220, 30), pace), -200, "behind the file");
        assert_eq!(usage.shown(), Some(1_400));
        usage.read_count(250, Pace::FULL);
        assert_eq!(usage.shown(), Some(1_400), "what ran at the reading is not counted twice");
        usage.read_count(260, Pace::FULL);
        assert_eq!(usage.shown(), Some(1_410));
    }

    #[test]
    fn a_slice_that_runs_for_long_is_not_counted_twice() {
        let mut pace = Pace::FULL;
        let mut usage = Usage::default();
        // Ten seconds on a CPU without a switch, all of them in the file; then ten more, and the end.
        let long = Count { finished: 0, running: 10_000 };
        assert_eq!(usage.correct(10_000, long, &mut pace), 0);
        assert_eq!(usage.correct(15_000, Count { finished: 0, running: 15_000 }, &mut pace), 0);
        usage.read_count(20_000, pace);
        assert_eq!(usage.shown(), Some(20_000));
        assert_eq!(usage.correct(20_000, finished(20_000), &mut pace), 0);
        assert_eq!(pace, Pace::FULL);
    }

    #[test]
    fn a_restart_under_drift_of_either_sign_never_falls() {
        // 100 scrapes of a cgroup that uses 10 ms a scrape, its count off by 5 %, checked at every fifth one.
        for each in [9_500_000_u64, 10_500_000] {
            let mut pace = Pace::FULL;
            let (mut usage, mut file, mut counted) = (Usage::default(), 0_u64, 0_u64);
            let mut last = 0;
            for scrape in 0..100 {
                (file, counted) = (file + 10_000_000, counted + each);
                if scrape % 5 == 0 {
                    usage.correct(file, Count { finished: counted, running: 0 }, &mut pace);
                } else {
                    usage.read_count(counted, pace);
                }
                let shown = usage.shown().unwrap_or(0);
                let ahead = if scrape < 5 { 2_500_000 } else { 0 };
                assert!(shown >= last && shown <= file + ahead, "{each}: shown {shown}, file {file}");
                assert!(file.saturating_sub(shown) <= 2_500_000, "{each}: shown {shown}, file {file}");
                last = shown;
            }
        }
    }
}
