//! Births and deaths of cgroups as the kernel half tells them.

use std::{
    fmt,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::Arc,
};

use aya::maps::{MapData, RingBuf};
use exporter_common::{BORN, CgroupKey, DIED, LifeEvent as Record};

use super::counters::{Counters, Slot};

/// Events handled in one go, so that a storm of births cannot hold a thread for ever.
const AT_ONCE: usize = 16_384;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// The directory is about to appear; no task was ever in it.
    Born,
    /// The directory is gone, and no task is left.
    Died,
}

/// One birth or death, in the hierarchy of CPU time or in cgroup v2. Where these are two, a container that is in both
/// is told of twice, by different keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifeEvent<'a> {
    /// Which of the two.
    pub what: Life,
    /// The cgroup.
    pub key: CgroupKey,
    /// Steps below the hierarchy's root: 1 for a top-level cgroup.
    pub level: u32,
    /// Path from the hierarchy's root, `/` first, as the initial namespace sees it; bytes of any kind but 0. The
    /// kernel cuts what is longer than 1,023.
    pub path: &'a [u8],
    /// Its slot; at a birth `None` means that every slot was taken.
    pub slot: Option<Slot>,
}

/// The stream of events. To be drained by one thread whenever the descriptor is readable.
pub struct LifeEvents {
    ring: RingBuf<MapData>,
    counters: Arc<Counters>,
}

impl LifeEvents {
    pub(super) fn new(ring: RingBuf<MapData>, counters: Arc<Counters>) -> Self {
        Self { ring, counters }
    }

    /// Readable when events wait (`poll`, `epoll`).
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring owns the descriptor and lives as long as `self`.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }

    /// Hands every waiting event to `f`, oldest first, and gives their number. No system call.
    pub fn drain(&mut self, mut f: impl FnMut(LifeEvent<'_>)) -> usize {
        let mut count = 0;
        while count < AT_ONCE {
            let Some(item) = self.ring.next() else { break };
            count += 1;
            let Some((record, path)) = parse(&item) else { continue };
            let slot = Some(Slot(record.slot)).filter(|s| (s.0 as usize) < self.counters.bank);
            let what = if record.kind == BORN { Life::Born } else { Life::Died };
            if let (Life::Born, Some(slot)) = (what, slot) {
                self.counters.lock().note(record.key, slot.0);
            }
            f(LifeEvent { what, key: record.key, level: record.level, path, slot });
        }
        self.counters.see_cpus();
        let mut slots = self.counters.lock();
        if count < AT_ONCE {
            slots.sweep();
        }
        self.counters.recycle(&mut slots);
        count
    }
}

impl fmt::Debug for LifeEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LifeEvents")
    }
}

impl AsFd for LifeEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        LifeEvents::as_fd(self)
    }
}

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(event: &[u8]) {
    let _ = parse(event);
}

/// The fixed part and the path of an event; `None` if it is not one.
fn parse(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (head, rest) = bytes.split_at_checked(size_of::<Record>())?;
    let record: Record = bytemuck::pod_read_unaligned(head);
    let path = rest.get(..record.path_len as usize)?;
    matches!(record.kind, BORN | DIED).then_some((record, path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn an_event_is_parsed_or_refused() {
        let record = Record { key: CgroupKey::new(7, 2), kind: BORN, slot: 3, level: 1, path_len: 4 };
        let mut bytes = bytemuck::bytes_of(&record).to_vec();
        bytes.extend(b"/a\xff\nmore");
        let (got, path) = parse(&bytes).unwrap();
        assert_eq!((got.key, got.slot, path), (CgroupKey::new(7, 2), 3, &b"/a\xff\n"[..]));
        assert!(parse(&bytes[..31]).is_none(), "head cut off");
        assert!(parse(&bytes[..33]).is_none(), "path cut off");
        let other = Record { kind: 9, ..record };
        assert!(parse(bytemuck::bytes_of(&other)).is_none());
    }
}
