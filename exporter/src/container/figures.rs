//! One reading of all cgroups' figures, before any of them is written.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    accuracy::Accuracy,
    cpu_load::LoadReader,
    disk_io::DiskReader,
    entry::Entry,
    group::{Group, Groups},
    kernel::Counts,
    reads_disks,
    roster::Roster,
    tally::Tally,
    usage::Count,
};
use crate::{
    config::{CpuSource, Paths},
    source::{
        cgroup::{
            Controller,
            files::{Files, Gone, Opener, Reader},
            hugetlb::{self, Size},
            reading::{CpuFigures, MemoryFigures},
            spec::{MachineMemory, Spec},
        },
        file::{KeptFile, Serves},
        text,
    },
};

/// How long a cgroup takes at most to leave all hierarchies, one after the other.
const LEAVING: Duration = Duration::from_secs(1);

/// After this the death of a cgroup that cannot be read should have been told.
const OVERDUE: Duration = Duration::from_secs(3);

/// Reads figures into the roster.
#[derive(Debug)]
pub struct FigureReader {
    opener: Opener,
    reader: Reader,
    source: CpuSource,
    counts: Option<Arc<dyn Counts>>,
    tally: Tally,
    accuracy: Accuracy,
    kills: Killings,
    huge_sizes: Vec<Size>,
    disks: DiskReader,
    load: LoadReader,
}

impl FigureReader {
    /// A reader of the files that the opener opens.
    pub fn new(opener: Opener, source: CpuSource, counts: Option<Arc<dyn Counts>>, paths: &Paths) -> Self {
        Self {
            reader: Reader::new(opener.layout.clone()),
            opener,
            source,
            counts,
            tally: Tally::default(),
            accuracy: Accuracy::default(),
            kills: Killings::new(&paths.procfs),
            huge_sizes: hugetlb::sizes(&paths.sysfs),
            disks: DiskReader::new(paths),
            load: LoadReader::default(),
        }
    }

    /// The sizes of huge pages.
    pub fn huge_sizes(&self) -> &[Size] {
        &self.huge_sizes
    }

    /// How the count of CPU time compares with the kernel's own.
    pub fn accuracy(&self) -> &Accuracy {
        &self.accuracy
    }

    /// Whether CPU time is shown by count; else the files give it.
    pub fn goes_by_count(&self) -> bool {
        self.source == CpuSource::Ebpf && self.counts_cpu() && self.accuracy.is_good()
    }

    fn counts_cpu(&self) -> bool {
        self.counts.as_ref().is_some_and(|counts| counts.counts_cpu())
    }

    /// Reads what the groups need. `machine`: memory of the machine and how much swap is in use. `true`: a cgroup
    /// is gone, and its death should have been told long ago.
    pub fn read(
        &mut self,
        roster: &mut Roster,
        groups: Groups,
        machine: Option<(MachineMemory, u64)>,
        now: Instant,
    ) -> bool {
        let (memory, swap_used) = machine.unwrap_or_default();
        let counted =
            [Group::Cpu, Group::PerCpu, Group::Socket, Group::Network, Group::Switches, Group::CpuCounted];
        let wants_counts = counted.iter().any(|group| groups.has(*group));
        if let Some(counts) = self.counts.as_ref().filter(|_| wants_counts) {
            let by_cpu = groups.has(Group::CpuCounted);
            self.tally.add_up(roster, &self.opener.layout, &**counts, by_cpu);
        }
        self.accuracy.begin();
        let by_count = self.goes_by_count();
        let killed = groups.has(Group::Oom) && self.kills.happened();
        if self.reads_disks(groups) {
            self.disks.begin(&mut self.reader, &self.opener, now);
        }
        let mut overdue = false;
        for entry in roster.living.values_mut() {
            if let Some(since) = entry.leaving {
                entry.is_there = false;
                if now.saturating_duration_since(since) < LEAVING {
                    self.go_on_by_count(entry);
                    continue;
                }
                // One hierarchy has it no more, the others keep it.
                entry.leaving = None;
                entry.files = Files::default();
                entry.files.open(&self.opener, &entry.path);
            }
            if entry.is_hidden {
                continue;
            }
            if let Some(until) = entry.young_until {
                // A runtime makes it in one hierarchy after the other, and that of block devices is not followed.
                entry.files.look_again_for_io();
                entry.young_until = Some(until).filter(|until| *until > now);
            }
            if !entry.is_watched {
                // Nobody tells of changes: limits and files of controllers that were added meanwhile.
                entry.files.open(&self.opener, &entry.path);
                entry.spec = Spec::read(&self.opener.layout, &entry.path, memory);
            }
            entry.is_there = self.read_entry(entry, groups, by_count, swap_used).is_ok();
            if entry.is_there {
                entry.missed = None;
                if killed && let Some(kills) = self.reader.oom_kills(&entry.path) {
                    entry.kills.read(kills);
                }
            } else {
                self.go_on_by_count(entry);
                overdue |= now.saturating_duration_since(*entry.missed.get_or_insert(now)) >= OVERDUE;
            }
        }
        overdue
    }

    fn reads_disks(&self, groups: Groups) -> bool {
        self.opener.wanted.io && reads_disks(groups)
    }

    /// The files are gone and its death is still to be told: what it used since they were read is known.
    fn go_on_by_count(&self, entry: &mut Entry) {
        if let Some(count) = entry.counted {
            entry.usage.read_count(count.finished, self.accuracy.pace);
        }
    }

    fn read_entry(
        &mut self,
        entry: &mut Entry,
        groups: Groups,
        by_count: bool,
        swap_used: u64,
    ) -> Result<(), Gone> {
        if groups.has(Group::Cpu) || groups.has(Group::PerCpu) {
            match entry.counted.filter(|_| by_count && !entry.path.is_root()) {
                Some(count) => self.read_count(entry, count)?,
                None => self.read_cpu(entry)?,
            }
            let Entry { by_cpu, files, path, .. } = entry;
            self.reader.cpu_by_cpu(files, path, |place, time| by_cpu.read(place, time))?;
        }
        if groups.has(Group::Memory) {
            let limit = entry.spec.memory_limit();
            entry.memory = self.reader.memory(&entry.files, &entry.path, limit, entry.memory.as_ref())?;
            if entry.path.is_root()
                && self.opener.layout.memory == self.opener.layout.unified
                && let Some(memory) = &mut entry.memory
            {
                as_root(memory, swap_used);
            }
        }
        if groups.has(Group::MemoryEvents) {
            entry.memory_events = self.reader.memory_events(&entry.files, &entry.path)?;
        }
        if groups.has(Group::Cpuset) {
            let file = self.reader.rare(Controller::Cpuset, &entry.path, "cpuset.memory_migrate");
            entry.migrates = file.and_then(text::only);
        }
        if groups.has(Group::CpuLoad) {
            let before = entry.load.take();
            entry.load = self.load.read(&self.opener.layout, &entry.path, before.as_ref(), Instant::now());
        }
        if groups.has(Group::Hugetlb) {
            self.read_huge_pages(entry);
        }
        if groups.has(Group::MemoryNuma) {
            self.reader.numa(&entry.path, &mut entry.numa);
        }
        if groups.has(Group::Pressure) {
            entry.pressure = self.reader.pressure(&entry.files, &entry.path)?;
        }
        if self.reads_disks(groups) {
            self.disks.read(&mut self.reader, &self.opener, entry);
        }
        Ok(())
    }

    fn read_huge_pages(&mut self, entry: &mut Entry) {
        let Entry { huge_pages, path, .. } = entry;
        huge_pages.resize(self.huge_sizes.len(), None);
        for (size, shown) in self.huge_sizes.iter().zip(huge_pages) {
            let before = shown.and_then(|pages| pages.failures);
            *shown = self.reader.huge_pages(path, size);
            if let Some(pages) = shown {
                pages.failures = pages.failures.max(before);
            }
        }
    }

    /// CPU time from the files; what was counted meanwhile is compared with it.
    fn read_cpu(&mut self, entry: &mut Entry) -> Result<(), Gone> {
        let before = entry.cpu.usage;
        let known = (before.is_some() && entry.cpu_before == before).then_some(&entry.cpu);
        let cpu = self.reader.cpu(&entry.files, &entry.path, entry.spec.has_quota(), known)?;
        (entry.cpu, entry.cpu_before) = (cpu, before);
        let Some(file) = entry.cpu.usage else { return Ok(()) };
        if let (Some(before), Some(count)) = (entry.usage.anchor(), entry.counted) {
            self.accuracy.compare(entry.path.depth(), before, file, count);
        }
        entry.usage.read_file(file, entry.counted);
        Ok(())
    }

    /// CPU time by count. The file is read only where something runs at this moment: the wall clock would say more
    /// than was used on a machine whose host steals.
    fn read_count(&mut self, entry: &mut Entry, count: Count) -> Result<(), Gone> {
        entry.cpu = CpuFigures {
            throttling: if entry.spec.has_quota() {
                self.reader.throttling(&entry.files, &entry.path)?
            } else {
                None
            },
            ..CpuFigures::default()
        };
        if count.running == 0 && entry.usage.anchor().is_some() {
            entry.usage.read_count(count.finished, self.accuracy.pace);
            return Ok(());
        }
        if let Some(file) = self.reader.cpu_usage(&entry.files, &entry.path)? {
            if let Some(before) = entry.usage.anchor() {
                self.accuracy.compare(entry.path.depth(), before, file, count);
            }
            let off = entry.usage.correct(file, count, &mut self.accuracy.pace);
            self.accuracy.judge(&entry.path, off, file);
        }
        Ok(())
    }
}

/// Whether tasks were killed for want of memory, anywhere: only then is it read of each cgroup.
#[derive(Debug)]
struct Killings {
    vmstat: KeptFile,
    known: Option<u64>,
    /// The machine's number is raised a moment before the cgroup's: they are read once more in the next scrape.
    again: bool,
}

impl Killings {
    fn new(procfs: &std::path::Path) -> Self {
        Self { vmstat: KeptFile::new(procfs.join("vmstat"), Serves::Whole), known: None, again: false }
    }

    fn happened(&mut self) -> bool {
        let now = self.vmstat.read().ok().and_then(|file| text::keyed(file, b"oom_kill"));
        let is_new = now.is_none() || now != self.known;
        self.known = now;
        std::mem::replace(&mut self.again, is_new) || is_new
    }
}

/// The root of version 2 has no files of its own for these.
fn as_root(memory: &mut MemoryFigures, swap_used: u64) {
    let stat = &memory.stat;
    memory.usage = Some(stat.anon.unwrap_or(0).saturating_add(stat.file.unwrap_or(0)));
    memory.max_usage = Some(0);
    memory.swap = Some(swap_used);
}
