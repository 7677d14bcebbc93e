//! One reading of all cgroups' figures, before any of them is written.

use std::sync::Arc;

use super::{
    entry::Entry,
    group::{Group, Groups},
    kernel::{Counts, Key},
    roster::Roster,
};
use crate::{
    config::CpuSource,
    source::cgroup::{
        Layout,
        files::{Gone, Reader},
        reading::MemoryFigures,
        spec::{MachineMemory, Spec},
    },
};

/// Reads figures into the roster.
#[derive(Debug)]
pub struct FigureReader {
    layout: Layout,
    reader: Reader,
    source: CpuSource,
    counts: Option<Arc<dyn Counts>>,
}

impl FigureReader {
    /// A reader for this layout.
    pub fn new(layout: Layout, source: CpuSource, counts: Option<Arc<dyn Counts>>) -> Self {
        Self { reader: Reader::new(layout.clone()), layout, source, counts }
    }

    /// Reads what the groups need. `machine`: memory of the machine and how much swap is in use.
    pub fn read(&mut self, roster: &mut Roster, groups: Groups, machine: Option<(MachineMemory, u64)>) {
        let (memory, swap_used) = machine.unwrap_or_default();
        for entry in roster.living.values_mut() {
            if !entry.is_watched {
                // Nobody tells of changes: limits and files of controllers that were added meanwhile.
                entry.files.open(&self.layout, &entry.path);
                entry.spec = Spec::read(&self.layout, &entry.path, memory);
            }
            entry.is_there = self.read_entry(entry, groups, swap_used).is_ok();
        }
    }

    fn sockets(&self, entry: &Entry) -> Option<super::kernel::SocketCount> {
        let counts = self.counts.as_ref().filter(|counts| counts.counts_sockets())?;
        let place = self.layout.unified?;
        let id = (*entry.ids.get(place)?)?;
        counts.sockets(Key { hierarchy: 0, id })
    }

    fn read_entry(&mut self, entry: &mut Entry, groups: Groups, swap_used: u64) -> Result<(), Gone> {
        if groups.has(Group::Socket) || groups.has(Group::Network) {
            entry.sockets = self.sockets(entry).or(entry.sockets);
        }
        if groups.has(Group::Cpu) {
            entry.cpu = self.reader.cpu(&entry.files, &entry.path, entry.spec.has_quota())?;
            if let Some(file) = entry.cpu.usage {
                entry.usage.read_file(file, None);
            }
        }
        if groups.has(Group::Memory) {
            let limit = entry.spec.memory_limit();
            entry.memory = self.reader.memory(&entry.files, &entry.path, limit, entry.memory.as_ref())?;
            if entry.path.is_root()
                && self.layout.memory == self.layout.unified
                && let Some(memory) = &mut entry.memory
            {
                as_root(memory, swap_used);
            }
        }
        Ok(())
    }
}

/// The root of version 2 has no files of its own for these.
fn as_root(memory: &mut MemoryFigures, swap_used: u64) {
    let stat = &memory.stat;
    memory.usage = Some(stat.anon.unwrap_or(0).saturating_add(stat.file.unwrap_or(0)));
    memory.max_usage = Some(0);
    memory.swap = Some(swap_used);
}
