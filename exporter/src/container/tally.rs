//! Sums of the kernel half's counts: it counts each cgroup's own tasks and sockets, a cgroup is shown with all below.

use super::{
    entry::Entry,
    kernel::{Counts, Key, SocketCount},
    roster::Roster,
    scheduled::Counted,
    usage::Count,
};
use crate::source::cgroup::{Layout, Place};

/// Sums up what was counted, from the leaves to the root.
#[derive(Debug, Default)]
pub struct Tally {
    /// By depth: the sum of the children met since the last cgroup of the depth above.
    below: Vec<Below>,
}

#[derive(Clone, Debug, Default)]
struct Below {
    cpu: Count,
    /// Whether a child's tasks are not counted.
    uncounted: bool,
    scheduled: Counted,
    sockets: SocketCount,
}

impl Tally {
    /// Sets the sums of every living cgroup; `by_cpu`: those of each CPU as well.
    pub fn add_up(&mut self, roster: &mut Roster, layout: &Layout, counts: &dyn Counts, by_cpu: bool) {
        self.below.iter_mut().for_each(|below| *below = Below::default());
        // Backwards, a subtree comes right before its top.
        for entry in roster.living.values_mut().rev() {
            let depth = entry.path.depth();
            if self.below.len() < depth + 2 {
                self.below.resize(depth + 2, Below::default());
            }
            let children = self.below.get_mut(depth + 1).map(std::mem::take).unwrap_or_default();
            let sum = of_one(entry, children, layout, counts, by_cpu);
            if let Some(below) = self.below.get_mut(depth) {
                below.cpu = below.cpu.plus(sum.cpu);
                below.uncounted |= sum.uncounted;
                below.scheduled.add(&sum.scheduled);
                below.sockets = below.sockets.plus(sum.sockets);
            }
        }
    }
}

fn of_one(entry: &mut Entry, children: Below, layout: &Layout, counts: &dyn Counts, by_cpu: bool) -> Below {
    let mut sum = children;
    if counts.counts_cpu()
        && let Some(key) = key(entry, layout, layout.cpuacct)
    {
        // Without room until now; the file's figure is what its count will go on from.
        let own = counts.cpu(key).or_else(|| counts.enter_late(key).then(|| counts.cpu(key))?);
        let own_count =
            own.map_or_else(Count::default, |own| Count { finished: own.finished, running: own.running });
        sum.cpu = sum.cpu.plus(own_count).plus(Count { finished: entry.usage.folded(), running: 0 });
        sum.uncounted |= own.is_none();
        sum.scheduled.switches = sum.scheduled.switches.plus(own.unwrap_or_default().switches);
        if by_cpu {
            counts.add_by_cpu(key, &mut sum.scheduled.by_cpu);
        }
        sum.scheduled.add(&entry.scheduled.folded);
        entry.counted = (!sum.uncounted).then_some(sum.cpu);
        entry.scheduled.shown = (!sum.uncounted).then(|| sum.scheduled.clone());
    } else {
        entry.counted = None;
        entry.scheduled.shown = None;
    }
    entry.sockets = None;
    if counts.counts_sockets()
        && let Some(key) = key(entry, layout, layout.unified)
        && let Some(own) =
            counts.sockets(key).or_else(|| counts.enter_late(key).then(|| counts.sockets(key))?)
    {
        sum.sockets = sum.sockets.plus(own).plus(entry.sockets_folded);
        entry.sockets = Some(sum.sockets);
    }
    sum
}

fn key(entry: &Entry, layout: &Layout, place: Option<Place>) -> Option<Key> {
    let place = place?;
    let id = (*entry.ids.get(place)?)?;
    Some(Key { hierarchy: layout.hierarchy(place)?.id, id })
}
