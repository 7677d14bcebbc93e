//! One reading of what cgroups did with block devices.

use std::time::{Duration, Instant};

use super::{
    count::{Figure, Source},
    disks::Disks,
};
use crate::{
    config::Paths,
    container::entry::Entry,
    source::{
        cgroup::{
            CgroupPath, Controller,
            files::{Files, Opener, Reader},
            io::{self, IoStat, Number, Operation},
            io_files::IoFile,
        },
        disk::Activity,
    },
};

/// How often files that were not there are looked for.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// Lines of a file that are looked at.
const MOST_DISKS: usize = 4_096;
const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;

type Wanted = &'static [(Operation, Figure)];

/// The files of one of version 1's counts.
#[derive(Debug)]
struct Set {
    source: Source,
    bytes: IoFile,
    operations: IoFile,
    /// What a scheduler made for debugging tells besides.
    more: &'static [(IoFile, Wanted)],
    queued: Option<IoFile>,
}

const BYTES: [(Operation, Figure); 6] = [
    (Operation::Read, Figure::ReadBytes),
    (Operation::Write, Figure::WriteBytes),
    (Operation::Sync, Figure::SyncBytes),
    (Operation::Async, Figure::AsyncBytes),
    (Operation::Discard, Figure::DiscardBytes),
    (Operation::Total, Figure::TotalBytes),
];
const OPERATIONS: Wanted = &[(Operation::Read, Figure::Reads), (Operation::Write, Figure::Writes)];
const MERGED: Wanted = &[(Operation::Read, Figure::ReadsMerged), (Operation::Write, Figure::WritesMerged)];
const TIME: Wanted = &[
    (Operation::Read, Figure::ReadTime),
    (Operation::Write, Figure::WriteTime),
    (Operation::Total, Figure::BusyTime),
];

/// In the reference's order. A scheduler knows its own disks alone, and not what it merged; the throttling policy
/// knows every disk on older kernels, and since 6.10 those that had a limit once, from then on.
const SETS: [Set; 3] = [
    Set {
        source: Source::Bfq,
        bytes: IoFile::BfqBytes,
        operations: IoFile::BfqOperations,
        more: &[(IoFile::BfqMerged, MERGED), (IoFile::BfqTime, TIME)],
        queued: Some(IoFile::BfqQueued),
    },
    Set {
        source: Source::Cfq,
        bytes: IoFile::CfqBytes,
        operations: IoFile::CfqOperations,
        more: &[(IoFile::CfqMerged, MERGED), (IoFile::CfqTime, TIME)],
        queued: Some(IoFile::CfqQueued),
    },
    Set {
        source: Source::Throttle,
        bytes: IoFile::ThrottleBytes,
        operations: IoFile::ThrottleOperations,
        more: &[],
        queued: None,
    },
];

/// What version 1 says of a device's bytes: of the set that saw most of it.
#[derive(Clone, Copy, Debug)]
struct Bytes {
    number: Number,
    source: Source,
    by_operation: [Option<u64>; 6],
}

impl Bytes {
    fn of(&self, operation: Operation) -> Option<u64> {
        self.by_operation.get(operation as usize).copied().flatten()
    }

    fn all(&self) -> u64 {
        let either = |operation| self.of(operation).unwrap_or(0);
        let known = either(Operation::Read).saturating_add(either(Operation::Write));
        known.max(either(Operation::Total))
    }
}

/// Reads what cgroups did with block devices.
#[derive(Debug)]
pub struct DiskReader {
    disks: Disks,
    /// The files of the top, which has a line for each device that anyone below has one for.
    top: Files,
    /// Which of [`SETS`] say anything.
    is_live: [bool; SETS.len()],
    next_look: Option<Instant>,
    is_time: bool,
    bytes: Vec<Bytes>,
    of_set: Vec<Bytes>,
}

impl DiskReader {
    /// Has read nothing yet.
    pub fn new(paths: &Paths) -> Self {
        Self {
            disks: Disks::new(paths),
            top: Files::default(),
            is_live: [false; SETS.len()],
            next_look: None,
            is_time: false,
            bytes: Vec::new(),
            of_set: Vec::new(),
        }
    }

    /// Begins a reading of all cgroups.
    pub fn begin(&mut self, reader: &mut Reader, opener: &Opener, now: Instant) {
        self.disks.look();
        self.is_time = self.next_look.is_none_or(|next| next <= now);
        if self.is_time {
            self.next_look = Some(now + LOOK_AGAIN);
            self.top.look_again_for_io();
        }
        for (set, is_live) in SETS.iter().zip(&mut self.is_live) {
            let file = reader.io(&mut self.top, opener, &CgroupPath::root(), set.bytes);
            *is_live = file.is_some_and(|file| io::blkio(file).next().is_some());
        }
    }

    /// Reads one cgroup.
    pub fn read(&mut self, reader: &mut Reader, opener: &Opener, entry: &mut Entry) {
        if self.is_time {
            entry.files.look_again_for_io();
        }
        entry.io.begin();
        match opener.layout.controller(Controller::Blkio) {
            Some(hierarchy) if hierarchy.id == 0 => self.read_stat(reader, opener, entry),
            Some(_) => self.read_sets(reader, opener, entry),
            None => {}
        }
        if entry.path.is_root() && !opener.layout.partial {
            self.read_host(entry);
        }
    }

    fn read_stat(&mut self, reader: &mut Reader, opener: &Opener, entry: &mut Entry) {
        let Some(file) = reader.io(&mut entry.files, opener, &entry.path, IoFile::Stat) else { return };
        for (number, stat) in io::io_stat(file).take(MOST_DISKS) {
            let Some(row) = self.disks.numbered(number).and_then(|disk| entry.io.row(disk)) else {
                continue;
            };
            let IoStat { read_bytes, write_bytes, reads, writes, discard_bytes, discards, .. } = stat;
            for (figure, value) in [
                (Figure::ReadBytes, read_bytes),
                (Figure::WriteBytes, write_bytes),
                (Figure::Reads, reads),
                (Figure::Writes, writes),
                (Figure::DiscardBytes, discard_bytes),
                (Figure::Discards, discards),
            ] {
                row.count(figure, Source::IoStat, value);
            }
            for (figure, microseconds) in [
                (Figure::CostUsage, stat.cost_usage),
                (Figure::CostWait, stat.cost_wait),
                (Figure::CostIndebt, stat.cost_indebt),
                (Figure::CostIndelay, stat.cost_indelay),
            ] {
                let value = microseconds.map(|time| time.saturating_mul(MICROSECOND));
                row.count(figure, Source::IoStat, value);
            }
        }
    }

    fn read_sets(&mut self, reader: &mut Reader, opener: &Opener, entry: &mut Entry) {
        self.bytes.clear();
        let is_live = self.is_live;
        let live = || SETS.iter().zip(is_live).filter(|(_, is_live)| *is_live).map(|(set, _)| set);
        live().for_each(|set| self.read_bytes(reader, opener, entry, set));
        // All files of a policy list the same devices.
        if self.bytes.is_empty() {
            return;
        }
        for bytes in &self.bytes {
            let disk = self.disks.numbered(bytes.number);
            let Some(row) = disk.and_then(|disk| entry.io.row(disk)) else { continue };
            for (operation, figure) in BYTES {
                row.count(figure, bytes.source, bytes.of(operation));
            }
        }
        for set in live() {
            self.read_counts(reader, opener, entry, (set, set.operations), OPERATIONS);
            for (file, wanted) in set.more {
                self.read_counts(reader, opener, entry, (set, *file), wanted);
            }
            if let Some(file) = set.queued {
                self.read_queue(reader, opener, entry, file);
            }
        }
    }

    /// Takes a set's bytes of each device that no set before it saw as much of.
    fn read_bytes(&mut self, reader: &mut Reader, opener: &Opener, entry: &mut Entry, set: &Set) {
        let Some(file) = reader.io(&mut entry.files, opener, &entry.path, set.bytes) else { return };
        self.of_set.clear();
        for (number, operation, value) in io::blkio(file) {
            if self.of_set.last().is_none_or(|last| last.number != number) {
                if self.of_set.len() >= MOST_DISKS {
                    break;
                }
                self.of_set.push(Bytes { number, source: set.source, by_operation: [None; 6] });
            }
            let last = self.of_set.last_mut();
            if let Some(place) = last.and_then(|last| last.by_operation.get_mut(operation as usize)) {
                place.get_or_insert(value);
            }
        }
        if self.bytes.is_empty() {
            return std::mem::swap(&mut self.bytes, &mut self.of_set);
        }
        for bytes in &self.of_set {
            match self.bytes.iter_mut().find(|other| other.number == bytes.number) {
                Some(other) if other.all() >= bytes.all() => {}
                Some(other) => *other = *bytes,
                None => self.bytes.push(*bytes),
            }
        }
    }

    fn read_counts(
        &mut self,
        reader: &mut Reader,
        opener: &Opener,
        entry: &mut Entry,
        (set, file): (&Set, IoFile),
        wanted: Wanted,
    ) {
        // What the files for debugging tell is told by no other set.
        let is_rival = file == set.operations;
        let Some(file) = reader.io(&mut entry.files, opener, &entry.path, file) else { return };
        for (number, operation, value) in io::blkio(file) {
            let Some((_, figure)) = wanted.iter().find(|(wanted, _)| *wanted == operation) else { continue };
            let goes_by = |bytes: &Bytes| bytes.number == number && bytes.source == set.source;
            if is_rival && !self.bytes.iter().any(goes_by) {
                continue;
            }
            if let Some(row) = self.disks.numbered(number).and_then(|disk| entry.io.row(disk)) {
                row.count(*figure, set.source, Some(value));
            }
        }
    }

    fn read_queue(&mut self, reader: &mut Reader, opener: &Opener, entry: &mut Entry, file: IoFile) {
        let Some(file) = reader.io(&mut entry.files, opener, &entry.path, file) else { return };
        for (number, _, value) in io::blkio(file).filter(|(_, operation, _)| *operation == Operation::Total) {
            if let Some(row) = self.disks.numbered(number).and_then(|disk| entry.io.row(disk)) {
                row.waiting = Some(value);
            }
        }
    }

    /// What the devices of the host's file systems do, where the cgroup's own files do not tell.
    fn read_host(&mut self, entry: &mut Entry) {
        for (disk, activity) in self.disks.mounted() {
            let Some(row) = entry.io.row(disk) else { continue };
            for (figure, value) in host_counts(activity) {
                row.count(figure, Source::Host, value);
            }
            row.waiting = row.waiting.or_else(|| activity.column(8));
        }
    }
}

/// By the columns of `/proc/diskstats` behind the name; times are told in milliseconds.
fn host_counts(activity: &Activity) -> [(Figure, Option<u64>); 10] {
    let count = |column| activity.column(column);
    let time = |column| Some(activity.column(column)?.saturating_mul(MILLISECOND));
    [
        (Figure::Reads, count(0)),
        (Figure::ReadsMerged, count(1)),
        (Figure::SectorsRead, count(2)),
        (Figure::ReadTime, time(3)),
        (Figure::Writes, count(4)),
        (Figure::WritesMerged, count(5)),
        (Figure::SectorsWritten, count(6)),
        (Figure::WriteTime, time(7)),
        (Figure::BusyTime, time(9)),
        (Figure::WeightedTime, time(10)),
    ]
}
