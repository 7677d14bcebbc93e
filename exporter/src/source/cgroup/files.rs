//! The files of one cgroup, opened once and read in place into one buffer that all cgroups share.

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd, unix::fs::FileExt},
    path::Path,
};

use rustix::io::Errno;

use super::{
    CgroupPath, Hierarchy, Layout,
    io_files::IoFiles,
    reading::{self, CpuFigures, MemoryEvents, MemoryFigures, MemoryStat, Pressure, Throttling},
};
use crate::source::text;

/// More than any of these files is long.
const ROOM: usize = 16 << 10;
/// No cgroup's file is longer than this.
const LARGEST: usize = 4 << 20;
/// The limit is hit in steps of at most a huge page and a batch; farther below it no charge can have failed.
const LIMIT_MARGIN: u64 = 4 << 20;

/// A file that is read at each scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Name {
    CpuUsage,
    CpuUsageByCpu,
    CpuTimes,
    CpuStat,
    MemoryUsage,
    MemoryStat,
    MemoryPeak,
    MemorySwap,
    MemoryFailures,
    MemoryKernel,
    PressureCpu,
    PressureMemory,
    PressureIo,
}

const ALL: [Name; 13] = [
    Name::CpuUsage,
    Name::CpuUsageByCpu,
    Name::CpuTimes,
    Name::CpuStat,
    Name::MemoryUsage,
    Name::MemoryStat,
    Name::MemoryPeak,
    Name::MemorySwap,
    Name::MemoryFailures,
    Name::MemoryKernel,
    Name::PressureCpu,
    Name::PressureMemory,
    Name::PressureIo,
];

/// Which kinds of files are wanted; of others no descriptor is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of waiting for CPU, memory and disks.
    pub pressure: bool,
    /// Of CPU time by processor.
    pub by_cpu: bool,
    /// Of block devices.
    pub io: bool,
}

impl Wanted {
    /// Every kind.
    pub const ALL: Self = Self { pressure: true, by_cpu: true, io: true };
}

impl Name {
    /// The file's name in version 1 and 2; empty where there is none.
    fn text(self, unified: bool) -> &'static str {
        let (v1, v2) = match self {
            Self::CpuUsage => ("cpuacct.usage", ""),
            Self::CpuUsageByCpu => ("cpuacct.usage_percpu", ""),
            Self::CpuTimes => ("cpuacct.stat", ""),
            Self::CpuStat => ("cpu.stat", "cpu.stat"),
            Self::MemoryUsage => ("memory.usage_in_bytes", "memory.current"),
            Self::MemoryStat => ("memory.stat", "memory.stat"),
            Self::MemoryPeak => ("memory.max_usage_in_bytes", "memory.peak"),
            Self::MemorySwap => ("", "memory.swap.current"),
            Self::MemoryFailures => ("memory.failcnt", "memory.events"),
            Self::MemoryKernel => ("memory.kmem.usage_in_bytes", ""),
            Self::PressureCpu => ("", "cpu.pressure"),
            Self::PressureMemory => ("", "memory.pressure"),
            Self::PressureIo => ("", "io.pressure"),
        };
        if unified { v2 } else { v1 }
    }

    fn hierarchy(self, layout: &Layout) -> Option<&Hierarchy> {
        let place = match self {
            Self::CpuUsage | Self::CpuUsageByCpu | Self::CpuTimes => layout.cpuacct,
            Self::CpuStat => layout.cpu,
            Self::PressureCpu | Self::PressureMemory | Self::PressureIo => layout.unified,
            _ => layout.memory,
        };
        layout.hierarchy(place?)
    }

    fn is_wanted(self, wanted: Wanted) -> bool {
        match self {
            Self::PressureCpu | Self::PressureMemory | Self::PressureIo => wanted.pressure,
            Self::CpuUsageByCpu => wanted.by_cpu,
            _ => true,
        }
    }
}

/// The cgroup is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

#[derive(Debug, Default)]
pub(super) enum Kept {
    #[default]
    Absent,
    Open(File),
    /// There, but there was no descriptor left: opened for each reading.
    Unkept,
}

impl Kept {
    fn open(file: &Path, keep_below: i32) -> Self {
        match File::open(file) {
            Ok(file) => Self::of(file, keep_below),
            Err(error) if is_exhausted(&error) => Self::Unkept,
            Err(_) => Self::Absent,
        }
    }

    pub(super) fn of(file: File, keep_below: i32) -> Self {
        if file.as_raw_fd() < keep_below { Self::Open(file) } else { Self::Unkept }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }
}

/// Which files are opened, and where.
#[derive(Clone, Debug)]
pub struct Opener {
    /// Where the hierarchies are.
    pub layout: Layout,
    /// The number below which descriptors are for cgroups' files.
    pub keep_below: i32,
    /// Which kinds there are.
    pub wanted: Wanted,
}

/// The open files of one cgroup.
#[derive(Debug, Default)]
pub struct Files {
    kept: [Kept; ALL.len()],
    pub(super) io: IoFiles,
}

impl Files {
    /// Opens what is not open yet. A file that is not there stays absent until the next call; one whose descriptor
    /// is not below the bound is opened anew for each reading.
    pub fn open(&mut self, opener: &Opener, path: &CgroupPath) {
        for (name, kept) in ALL.into_iter().zip(&mut self.kept) {
            if kept.is_open() || !name.is_wanted(opener.wanted) {
                continue;
            }
            let Some(file) = file_path(&opener.layout, path, name) else { continue };
            *kept = Kept::open(&file, opener.keep_below);
        }
        self.io.look_again();
    }

    /// How many descriptors are held.
    pub fn held(&self) -> usize {
        self.kept.iter().filter(|kept| kept.is_open()).count() + self.io.held()
    }

    /// Whether the cgroup has the memory controller.
    pub fn has_memory(&self) -> bool {
        self.has(Name::MemoryStat)
    }

    fn has(&self, name: Name) -> bool {
        self.kept.get(name as usize).is_some_and(|kept| !matches!(kept, Kept::Absent))
    }
}

fn file_path(layout: &Layout, path: &CgroupPath, name: Name) -> Option<std::path::PathBuf> {
    let hierarchy = name.hierarchy(layout)?;
    let file = name.text(hierarchy.id == 0);
    (!file.is_empty()).then(|| hierarchy.directory(path).join(file))
}

pub(super) fn is_exhausted(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Reads cgroups' files, one after the other, into one buffer.
#[derive(Debug)]
pub struct Reader {
    pub(super) layout: Layout,
    ticks_per_second: u64,
    pub(super) buffer: Vec<u8>,
    pub(super) reads: u64,
}

impl Reader {
    /// A reader for the files of this layout.
    pub fn new(layout: Layout) -> Self {
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        Self { layout, ticks_per_second, buffer: vec![0; ROOM], reads: 0 }
    }

    /// How many times a file was read.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// CPU time. `limited` says whether a quota is set, without which version 1's throttling is not looked at; what `known`
    /// holds of version 1's user and system time is still true while the total is the same.
    ///
    /// # Errors
    /// The cgroup is no more.
    pub fn cpu(
        &mut self,
        files: &Files,
        path: &CgroupPath,
        limited: bool,
        known: Option<&CpuFigures>,
    ) -> Result<CpuFigures, Gone> {
        if self.is_unified(self.layout.cpuacct) {
            let mut cpu =
                self.read(files, path, Name::CpuStat)?.map_or_else(CpuFigures::default, reading::cpu_stat);
            cpu.throttling = cpu.throttling.filter(|_| limited);
            return Ok(cpu);
        }
        let ticks = self.ticks_per_second;
        let usage = self.read(files, path, Name::CpuUsage)?.and_then(text::only);
        let times = match known.filter(|known| usage.is_some() && known.usage == usage) {
            Some(known) => known.user.zip(known.system),
            None => {
                self.read(files, path, Name::CpuTimes)?.and_then(|file| reading::cpuacct_stat(file, ticks))
            }
        };
        let throttling = if limited { self.throttling(files, path)? } else { None };
        Ok(CpuFigures {
            usage,
            user: times.map(|times| times.0),
            system: times.map(|times| times.1),
            throttling,
        })
    }

    /// CPU time on each processor, in nanoseconds, where version 1 accounts it: `take` gets the place of each processor
    /// and its time.
    ///
    /// # Errors
    /// The cgroup is no more.
    pub fn cpu_by_cpu(
        &mut self,
        files: &Files,
        path: &CgroupPath,
        mut take: impl FnMut(usize, u64),
    ) -> Result<(), Gone> {
        let file = self.read(files, path, Name::CpuUsageByCpu)?.unwrap_or_default();
        for (place, time) in reading::usage_by_cpu(file).enumerate() {
            if let Some(time) = time {
                take(place, time);
            }
        }
        Ok(())
    }

    /// What the quota did alone.
    ///
    /// # Errors
    /// The cgroup is no more.
    pub fn throttling(&mut self, files: &Files, path: &CgroupPath) -> Result<Option<Throttling>, Gone> {
        let unified = self.is_unified(self.layout.cpu);
        let Some(file) = self.read(files, path, Name::CpuStat)? else { return Ok(None) };
        Ok(if unified { reading::cpu_stat(file).throttling } else { reading::cpu_stat_v1(file) })
    }

    /// The total CPU time alone, in nanoseconds.
    ///
    /// # Errors
    /// The cgroup is no more.
    pub fn cpu_usage(&mut self, files: &Files, path: &CgroupPath) -> Result<Option<u64>, Gone> {
        if self.is_unified(self.layout.cpuacct) {
            return Ok(self.cpu(files, path, false, None)?.usage);
        }
        Ok(self.read(files, path, Name::CpuUsage)?.and_then(text::only))
    }

    /// Memory; none without the controller. `limit` is the cgroup's, none if unlimited; `before` the last figures.
    ///
    /// # Errors
    /// The cgroup is no more.
    pub fn memory(
        &mut self,
        files: &Files,
        path: &CgroupPath,
        limit: Option<u64>,
        before: Option<&MemoryFigures>,
    ) -> Result<Option<MemoryFigures>, Gone> {
        if !files.has_memory() {
            return Ok(None);
        }
        let unified = self.is_unified(self.layout.memory);
        let parse = if unified { reading::memory_stat } else { reading::memory_stat_v1 };
        let stat = self.read(files, path, Name::MemoryStat)?.map_or_else(MemoryStat::default, parse);
        let mut memory = MemoryFigures {
            usage: self.read(files, path, Name::MemoryUsage)?.and_then(text::only),
            max_usage: self.read(files, path, Name::MemoryPeak)?.and_then(text::only),
            swap: stat.swap,
            kernel: stat.kernel,
            failures: before.and_then(|before| before.failures),
            high_events: None,
            stat,
        };
        if unified {
            memory.swap = self.read(files, path, Name::MemorySwap)?.and_then(text::only);
            let events = self.memory_events(files, path)?.unwrap_or_default();
            (memory.high_events, memory.failures) = (events.high, events.max);
            return Ok(Some(memory));
        }
        memory.kernel = self.read(files, path, Name::MemoryKernel)?.and_then(text::only);
        if memory.failures.is_none() || limit.is_some_and(|limit| may_fail(memory.max_usage, limit)) {
            memory.failures = self.read(files, path, Name::MemoryFailures)?.and_then(text::only);
        }
        Ok(Some(memory))
    }

    /// What happened to its memory; none with version 1 or without the controller.
    ///
    /// # Errors
    /// The cgroup is no more.
    pub fn memory_events(&mut self, files: &Files, path: &CgroupPath) -> Result<Option<MemoryEvents>, Gone> {
        if !self.is_unified(self.layout.memory) {
            return Ok(None);
        }
        Ok(self.read(files, path, Name::MemoryFailures)?.map(reading::memory_events))
    }

    /// How long tasks waited for CPU, memory and disks; none where the kernel does not tell.
    ///
    /// # Errors
    /// The cgroup is no more.
    pub fn pressure(&mut self, files: &Files, path: &CgroupPath) -> Result<[Option<Pressure>; 3], Gone> {
        let mut of = |name| Ok(self.read(files, path, name)?.and_then(reading::pressure));
        Ok([of(Name::PressureCpu)?, of(Name::PressureMemory)?, of(Name::PressureIo)?])
    }

    /// Reads a file that is not kept open; none if that fails.
    pub(super) fn read_once(&mut self, file: &File) -> Option<&[u8]> {
        self.reads = self.reads.wrapping_add(1);
        let length = fill(file, &mut self.buffer).ok()?;
        self.buffer.get(..length)
    }

    pub(super) fn is_unified(&self, place: Option<usize>) -> bool {
        place.is_some() && place == self.layout.unified
    }

    fn read(&mut self, files: &Files, path: &CgroupPath, name: Name) -> Result<Option<&[u8]>, Gone> {
        let opened;
        let file = match files.kept.get(name as usize) {
            Some(Kept::Open(file)) => file,
            Some(Kept::Unkept) => {
                let Some(file) = file_path(&self.layout, path, name) else { return Ok(None) };
                opened = match File::open(&file) {
                    Ok(file) => file,
                    Err(error) if is_exhausted(&error) => return Ok(None),
                    Err(error) => return gone_or_none(&error, &file),
                };
                &opened
            }
            _ => return Ok(None),
        };
        self.reads = self.reads.wrapping_add(1);
        match fill(file, &mut self.buffer) {
            Ok(length) => Ok(self.buffer.get(..length)),
            Err(error) => gone_or_none(&error, Path::new(name.text(self.layout.mode == super::Mode::V2))),
        }
    }
}

fn may_fail(max_usage: Option<u64>, limit: u64) -> bool {
    max_usage.is_none_or(|most| most.saturating_add(LIMIT_MARGIN) >= limit)
}

/// The kernel answers ENODEV for the files of a removed cgroup, ENOENT where it is opened anew.
fn gone_or_none<T>(error: &io::Error, file: &Path) -> Result<Option<T>, Gone> {
    if matches!(Errno::from_io_error(error), Some(Errno::NODEV | Errno::NOENT)) {
        return Err(Gone);
    }
    tracing::debug!(file = %file.display(), %error, "cannot read a cgroup's file");
    Ok(None)
}

pub(super) fn fill(file: &File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, 0) {
            Ok(length) if length < buffer.len() => return Ok(length),
            Ok(_) if buffer.len() >= LARGEST => return Err(io::ErrorKind::FileTooLarge.into()),
            Ok(_) => buffer.resize(buffer.len() * 2, 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::cgroup::{Hierarchy, Mode};

    /// A version 2 tree with one cgroup, `/a`, in a folder of its own.
    fn with_tree(test: &str, check: impl FnOnce(&Layout, &Path)) {
        let mount = std::env::temp_dir().join(format!("nodetally-files-{test}-{}", std::process::id()));
        std::fs::create_dir_all(mount.join("a")).unwrap();
        std::fs::write(mount.join("a/cpu.stat"), "usage_usec 5\nuser_usec 3\nsystem_usec 2\n").unwrap();
        let layout = Layout {
            mode: Mode::V2,
            hierarchies: vec![Hierarchy { id: 0, mount: mount.clone(), top: Some(b"/".into()) }],
            cpu: Some(0),
            cpuacct: Some(0),
            memory: Some(0),
            unified: Some(0),
            beside: Vec::new(),
            partial: false,
        };
        check(&layout, &mount);
        std::fs::remove_dir_all(mount).unwrap();
    }

    fn opener(layout: &Layout, keep_below: i32) -> Opener {
        Opener { layout: layout.clone(), keep_below, wanted: Wanted::ALL }
    }

    #[test]
    fn files_beyond_the_descriptors_are_read_all_the_same() {
        with_tree("unkept", |layout, mount| {
            let path = CgroupPath::new(b"/a");
            let mut reader = Reader::new(layout.clone());
            for (keep_below, held) in [(i32::MAX, 1), (0, 0)] {
                let mut files = Files::default();
                files.open(&opener(layout, keep_below), &path);
                assert_eq!(files.held(), held);
                assert_eq!(reader.cpu(&files, &path, false, None).map(|cpu| cpu.usage), Ok(Some(5_000)));
                assert_eq!(reader.memory(&files, &path, None, None), Ok(None), "no such controller");
            }
            let mut files = Files::default();
            files.open(&opener(layout, 0), &path);
            std::fs::remove_file(mount.join("a/cpu.stat")).unwrap();
            assert_eq!(reader.cpu(&files, &path, false, None), Err(Gone));
        });
    }

    #[test]
    fn a_file_longer_than_the_buffer_is_read_whole() {
        with_tree("long", |layout, mount| {
            let filler = "x 1\n".repeat(ROOM);
            std::fs::write(mount.join("a/cpu.stat"), format!("{filler}usage_usec 7\n")).unwrap();
            let path = CgroupPath::new(b"/a");
            let mut files = Files::default();
            files.open(&opener(layout, i32::MAX), &path);
            let mut reader = Reader::new(layout.clone());
            assert_eq!(reader.cpu_usage(&files, &path), Ok(Some(7_000)));
        });
    }
}
