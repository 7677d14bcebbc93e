//! How well the kernel half's count of CPU time agrees with the kernel's own.

use super::usage::{Anchor, Count, Pace};
use crate::source::cgroup::CgroupPath;

/// A count that is farther from the kernel's own than this is believed no more.
const TOLERANCE: i64 = 100_000_000;
/// Or farther than one part in so many of what was used.
const TOLERANCE_SHARE: u64 = 20;
/// What lies above a top-level cgroup: the root.
const TOP_LEVEL: usize = 1;

/// The comparison, over all cgroups.
#[derive(Debug, Default)]
pub struct Accuracy {
    /// CPU time of the top-level cgroups by the kernel's own count, in nanoseconds.
    pub kernel: u64,
    /// The same over the same spans as it was counted.
    pub counted: u64,
    /// The difference that is farthest from 0 in the last scrape; positive where more was counted.
    pub worst: i64,
    /// What was counted less than what was taken off before, to keep the sum from falling.
    owed: i64,
    /// How much of the count is shown where no file is read.
    pub pace: Pace,
    is_bad: bool,
}

impl Accuracy {
    /// Begins a scrape.
    pub fn begin(&mut self) {
        self.worst = 0;
    }

    /// Compares what both counted since the last reading.
    pub fn compare(&mut self, depth: usize, before: Anchor, file: u64, count: Count) {
        let kernel = file.saturating_sub(before.file);
        let counted = difference(count.most(), before.count.most());
        let off = counted.saturating_sub(i64::try_from(kernel).unwrap_or(i64::MAX));
        // The root of version 2 is not on the scheduler's clock: the kernel adds up /proc/stat's ticks for it.
        if depth >= TOP_LEVEL && off.abs() > self.worst.abs() {
            self.worst = off;
        }
        // Each top-level cgroup holds all below it, so that every cgroup is compared once.
        if depth == TOP_LEVEL {
            self.kernel = self.kernel.saturating_add(kernel);
            let counted = counted.saturating_add(self.owed);
            self.owed = counted.min(0);
            self.counted = self.counted.saturating_add(u64::try_from(counted).unwrap_or(0));
        }
    }

    /// Judges a figure that was shown by count. `off`: how far it stood above or below the file.
    pub fn judge(&mut self, path: &CgroupPath, off: i64, file: u64) {
        let share = i64::try_from(file / TOLERANCE_SHARE).unwrap_or(i64::MAX);
        if off.abs() > TOLERANCE.max(share) && !self.is_bad {
            self.is_bad = true;
            tracing::error!(cgroup = ?path, nanoseconds = off, "eBPF's CPU time is off; the files serve from now on");
        }
    }

    /// Whether the count may be shown.
    pub fn is_good(&self) -> bool {
        !self.is_bad
    }
}

fn difference(now: u64, before: u64) -> i64 {
    let size = i64::try_from(now.abs_diff(before)).unwrap_or(i64::MAX);
    if now < before { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: u64, finished: u64) -> Anchor {
        Anchor { file, count: Count { finished, running: 0 } }
    }

    fn count(finished: u64) -> Count {
        Count { finished, running: 0 }
    }

    #[test]
    fn top_level_cgroups_are_summed_and_the_worst_below_the_root_is_kept() {
        let mut accuracy = Accuracy::default();
        accuracy.compare(1, at(100, 50), 200, count(140));
        accuracy.compare(2, at(0, 0), 30, count(60));
        accuracy.compare(0, at(0, 0), 0, count(500));
        assert_eq!((accuracy.kernel, accuracy.counted, accuracy.worst), (100, 90, 30));
        accuracy.begin();
        assert_eq!((accuracy.kernel, accuracy.worst), (100, 0));
    }

    #[test]
    fn the_sum_does_not_fall_where_a_running_slice_turns_out_shorter() {
        let mut accuracy = Accuracy::default();
        let running = Anchor { file: 0, count: Count { finished: 0, running: 20 } };
        accuracy.compare(1, running, 10, count(5));
        assert_eq!(accuracy.counted, 0);
        accuracy.compare(1, at(10, 5), 40, count(40));
        assert_eq!(accuracy.counted, 20, "35 less the 15 that were owed");
    }

    #[test]
    fn a_count_that_is_far_off_is_believed_no_more() {
        let mut accuracy = Accuracy::default();
        let path = CgroupPath::new(b"/a");
        accuracy.judge(&path, TOLERANCE, 0);
        accuracy.judge(&path, -TOLERANCE * 2, 100_000_000_000);
        assert!(accuracy.is_good());
        accuracy.judge(&path, TOLERANCE + 1, 0);
        assert!(!accuracy.is_good());
    }
}
