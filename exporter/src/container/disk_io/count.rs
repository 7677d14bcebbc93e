//! What a cgroup did with each block device, as it is shown.

use std::sync::Arc;

use super::disks::Disk;

/// The devices of a cgroup that are shown at most.
const MOST_DISKS: usize = 1_024;

/// A figure of a cgroup and a device. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Figure {
    /// Bytes by operation.
    ReadBytes,
    WriteBytes,
    SyncBytes,
    AsyncBytes,
    DiscardBytes,
    TotalBytes,
    /// Operations.
    Reads,
    Writes,
    Discards,
    /// Sectors of 512 bytes.
    SectorsRead,
    SectorsWritten,
    /// Operations merged with a neighbour.
    ReadsMerged,
    WritesMerged,
    /// Time spent, all operations added up.
    ReadTime,
    WriteTime,
    /// Time spent on any.
    BusyTime,
    /// Time that operations waited, all added up.
    WeightedTime,
    /// As the cost model has it.
    CostUsage,
    CostWait,
    CostIndebt,
    CostIndelay,
}

const COUNT: usize = Figure::CostIndelay as usize + 1;

/// Who counted. The counts of two agree in what they count, not in when they began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Version 2's `io.stat`.
    IoStat,
    /// Version 1's throttling policy.
    Throttle,
    /// Version 1's BFQ scheduler.
    Bfq,
    /// Version 1's CFQ scheduler.
    Cfq,
    /// `/proc/diskstats`: all that the device does.
    Host,
}

/// A counter that never falls.
#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    shown: u64,
    last: u64,
    source: Option<Source>,
}

impl Counter {
    /// Takes in what a source says. Version 1 forgets what dead children did, so its count may fall and go on from there.
    fn read(&mut self, source: Source, value: u64, anew: Anew) {
        self.shown = match self.source {
            Some(known) if known == source && anew != Anew::Yes => {
                let more = value.checked_sub(self.last);
                let fallen = if anew == Anew::IfFallen { value } else { 0 };
                self.shown.saturating_add(more.unwrap_or(fallen))
            }
            Some(_) if anew != Anew::Yes => self.shown.max(value),
            _ => self.shown.saturating_add(value),
        };
        (self.last, self.source) = (value, Some(source));
    }
}

/// Whether the device's counts began anew since they were read last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Anew {
    #[default]
    No,
    /// It was away for a moment.
    IfFallen,
    /// It is another one of the same name.
    Yes,
}

/// A device of a cgroup.
#[derive(Debug)]
pub struct Row {
    /// Which.
    pub disk: Arc<Disk>,
    /// Operations that wait now; where somebody tells.
    pub waiting: Option<u64>,
    counters: [Counter; COUNT],
    /// Which counters were told of in the last reading: a bit each.
    told: u32,
    anew: Anew,
}

impl Row {
    fn new(disk: &Arc<Disk>) -> Self {
        let counters = [Counter::default(); COUNT];
        Self { disk: Arc::clone(disk), waiting: None, counters, told: 0, anew: Anew::No }
    }

    /// Takes in a count; the first of a reading stands.
    pub fn count(&mut self, figure: Figure, source: Source, value: Option<u64>) {
        let bit = 1_u32 << figure as u32;
        let (Some(value), Some(counter)) = (value, self.counters.get_mut(figure as usize)) else { return };
        if self.told & bit == 0 {
            self.told |= bit;
            counter.read(source, value, self.anew);
        }
    }

    /// What is shown of a figure; none where nobody ever told of it. What the host's disk does is shown for as long
    /// as it is told of.
    pub fn shown(&self, figure: Figure) -> Option<u64> {
        let counter = self.counters.get(figure as usize)?;
        let is_told = self.told & (1 << figure as u32) != 0;
        (is_told || counter.source? != Source::Host).then_some(counter.shown)
    }

    /// Whether the device is there.
    pub fn is_shown(&self) -> bool {
        self.disk.is_there() && (self.told != 0 || self.disk.is_known())
    }
}

/// The devices of a cgroup.
#[derive(Debug, Default)]
pub struct DiskCounts {
    rows: Vec<Row>,
    /// Behind the row that was looked up last: the kernel tells of devices in the same order again.
    next: usize,
}

impl DiskCounts {
    /// Begins a reading.
    pub fn begin(&mut self) {
        self.next = 0;
        for row in &mut self.rows {
            (row.told, row.waiting, row.anew) = (0, None, Anew::No);
        }
    }

    /// The row of a device, which is new if need be; none where there are too many.
    pub fn row(&mut self, disk: &Arc<Disk>) -> Option<&mut Row> {
        let is_it = |row: &Row| Arc::ptr_eq(&row.disk, disk);
        let expected = self.rows.get(self.next).filter(|row| is_it(row)).map(|_| self.next);
        let found = expected.or_else(|| self.rows.iter().position(is_it));
        let place = match found.or_else(|| self.returned(disk)) {
            Some(place) => place,
            None if self.rows.len() < MOST_DISKS => {
                self.rows.push(Row::new(disk));
                self.rows.len() - 1
            }
            None => {
                let gone = self.rows.iter().position(|row| !row.disk.is_there())?;
                *self.rows.get_mut(gone)? = Row::new(disk);
                gone
            }
        };
        self.next = place + 1;
        self.rows.get_mut(place)
    }

    /// A device was away, or another one has its name.
    fn returned(&mut self, disk: &Arc<Disk>) -> Option<usize> {
        let place = self.rows.iter().position(|row| row.disk.path() == disk.path())?;
        let row = self.rows.get_mut(place)?;
        row.anew = if row.disk.number() == disk.number() { Anew::IfFallen } else { Anew::Yes };
        row.disk = Arc::clone(disk);
        Some(place)
    }

    /// The devices that are there.
    pub fn shown(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.is_shown())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::cgroup::io::Number;

    fn disk(minor: u32) -> Arc<Disk> {
        Arc::new(Disk::numbered(b"/dev/sda", Number { major: 8, minor }, true))
    }

    /// One reading of reads from a disk; what is shown then.
    fn read(counts: &mut DiskCounts, disk: &Arc<Disk>, source: Source, value: u64) -> Option<u64> {
        counts.begin();
        counts.row(disk).unwrap().count(Figure::Reads, source, Some(value));
        counts.shown().next()?.shown(Figure::Reads)
    }

    #[test]
    fn a_counter_never_falls() {
        let (mut counts, disk) = (DiskCounts::default(), disk(0));
        for (value, shown) in [(5, 5), (8, 8), (2, 8), (3, 9), (3, 9), (10, 16)] {
            assert_eq!(read(&mut counts, &disk, Source::Throttle, value), Some(shown), "{value}");
        }
        counts.begin();
        assert_eq!(counts.shown().next().unwrap().shown(Figure::Reads), Some(16), "a line is missing");
        assert_eq!(read(&mut counts, &disk, Source::Throttle, 11), Some(17));
    }

    #[test]
    fn another_source_of_the_same_is_not_added() {
        let (mut counts, disk) = (DiskCounts::default(), disk(0));
        assert_eq!(read(&mut counts, &disk, Source::Bfq, 10), Some(10));
        assert_eq!(read(&mut counts, &disk, Source::Throttle, 4), Some(10));
        assert_eq!(read(&mut counts, &disk, Source::Throttle, 5), Some(11));
        assert_eq!(read(&mut counts, &disk, Source::Bfq, 30), Some(30));
    }

    #[test]
    fn a_disk_that_comes_back_or_follows_another_goes_on() {
        let (mut counts, first) = (DiskCounts::default(), disk(0));
        assert_eq!(read(&mut counts, &first, Source::IoStat, 10), Some(10));
        first.leave();
        counts.begin();
        assert_eq!(counts.shown().count(), 0);
        assert_eq!(read(&mut counts, &disk(0), Source::IoStat, 12), Some(12), "the same, never reset");
        assert_eq!(read(&mut counts, &disk(0), Source::IoStat, 1), Some(13), "the same, reset");
        assert_eq!(read(&mut counts, &disk(16), Source::IoStat, 20), Some(33), "another of the name");
        assert_eq!(counts.rows.len(), 1);
    }

    #[test]
    fn a_device_twice_in_a_file_is_read_once() {
        let (mut counts, disk) = (DiskCounts::default(), disk(0));
        for _ in 0..3 {
            counts.begin();
            for value in [5, 100] {
                counts.row(&disk).unwrap().count(Figure::Reads, Source::IoStat, Some(value));
            }
            assert_eq!(counts.shown().next().unwrap().shown(Figure::Reads), Some(5));
        }
    }

    #[test]
    fn the_number_of_devices_is_bounded_and_the_gone_make_room() {
        let mut counts = DiskCounts::default();
        let disks: Vec<_> = (0..2_000_u32)
            .map(|minor| {
                let path = format!("/dev/sd{minor}");
                Arc::new(Disk::numbered(path.as_bytes(), Number { major: 8, minor }, true))
            })
            .collect();
        let taken = disks.iter().filter(|disk| counts.row(disk).is_some()).count();
        assert_eq!(taken, MOST_DISKS);
        disks[3].leave();
        assert!(counts.row(&disks[1_999]).is_some());
        assert!(counts.row(&disks[1_998]).is_none());
    }

    #[test]
    fn what_the_host_does_is_shown_while_it_is_told() {
        let (mut counts, disk) = (DiskCounts::default(), disk(0));
        assert_eq!(read(&mut counts, &disk, Source::Host, 7), Some(7));
        counts.begin();
        assert_eq!(counts.shown().next().unwrap().shown(Figure::Reads), None, "no mount of it any more");
        assert_eq!(read(&mut counts, &disk, Source::Host, 9), Some(9));
    }
}
