//! Records and limits that the kernel half and the user half share.
//!
//! Every record is plain bytes with a fixed layout (`repr(C)`, no hidden padding, size asserted below). The
//! kernel half writes them into maps that the user half has mapped into its memory and reads as atomics.
#![no_std]
#![expect(clippy::inline_always, reason = "a call would be a program of its own in the kernel half")]
#![expect(clippy::cast_possible_truncation, reason = "halves of a word are what is meant")]

use bytemuck::{Pod, Zeroable};

pub mod names;

/// The slot that takes what belongs to no known cgroup.
pub const UNKNOWN_SLOT: u32 = 0;
/// Stands for "no slot": an idle CPU, or a cgroup born when every slot was taken.
pub const NO_SLOT: u32 = 0xffff;
/// Most slots there can be, [`UNKNOWN_SLOT`] included: a slot's number has 16 bits in [`Running`].
pub const MAX_SLOTS: u32 = NO_SLOT;
/// Bytes of a cgroup's path that one life event can carry; the kernel itself cuts at the same length.
pub const PATH_BYTES: usize = 1024;
/// Bytes of the ring buffer for life events: about a thousand births with paths of usual length.
pub const RING_BYTES: u32 = 128 * 1024;
/// `ifindex` of the loopback device in every network namespace.
pub const LOOPBACK_IFINDEX: u32 = 1;

/// A cgroup's name in the kernel: ids are unique within one hierarchy only.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
pub struct CgroupKey {
    /// The cgroup's id, which is the inode number of its directory.
    pub id: u64,
    /// The hierarchy's number as the first field of `/proc/self/cgroup` has it; 0 is cgroup v2.
    pub hierarchy: u32,
    /// Always 0, so that equal keys are equal bytes.
    pub pad: u32,
}

impl CgroupKey {
    /// The key of cgroup `id` in `hierarchy`.
    #[must_use]
    #[inline(always)]
    pub const fn new(id: u64, hierarchy: u32) -> Self {
        Self { id, hierarchy, pad: 0 }
    }
}

/// What one CPU did for one cgroup. A cache line; bank `[cpu][slot]`, written by that CPU only.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct CpuRecord {
    /// Nanoseconds on the CPU by the scheduler's clock, finished slices only.
    pub ns: u64,
    /// Times a task gave the CPU up of its own will.
    pub voluntary: u64,
    /// Times a task was made to give the CPU up.
    pub forced: u64,
    /// Fills the cache line.
    pub pad: [u64; 5],
}

/// Bytes and packets in both directions.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Traffic {
    /// IP bytes received.
    pub rx_bytes: u64,
    /// Packets received, as the stack saw them.
    pub rx_packets: u64,
    /// IP bytes sent.
    pub tx_bytes: u64,
    /// Packets sent, as the stack saw them.
    pub tx_packets: u64,
}

/// What one CPU carried for one cgroup's sockets. A cache line; bank `[cpu][slot]`, added to atomically.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct NetRecord {
    /// By every device but loopback.
    pub devices: Traffic,
    /// By the loopback device.
    pub loopback: Traffic,
}

/// What one CPU is doing now. A cache line; one for each CPU, written by that CPU only.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct CurrentTask {
    /// Slot and start of the running slice in one word ([`Running`]), so that no reader sees a half of it.
    pub running: u64,
    /// Start of the running slice, `CLOCK_MONOTONIC` nanoseconds; 0 until the first switch was seen.
    pub since_ns: u64,
    /// The running task's total on the scheduler's clock when it came on, nanoseconds.
    pub runtime_ns: u64,
    /// The running task's pid; 0 is the idle task.
    pub pid: u64,
    /// Nanoseconds in the idle task, finished slices only, by `CLOCK_MONOTONIC`.
    pub idle_ns: u64,
    /// Slices not counted because they began before the program: the first one of each CPU.
    pub dropped: u64,
    /// Slices whose start the kernel did not tell of: counted by the scheduler's own note of it.
    pub unseen: u64,
    /// Where the running task's `task_struct` lies in the kernel.
    pub task: u64,
}

/// A running slice in one word: the slot it is charged to and when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// The slot; [`NO_SLOT`] while the CPU is idle.
    pub slot: u32,
    /// Start by `CLOCK_MONOTONIC` in microseconds, rounded up: never earlier than it was.
    pub since_us: u64,
}

impl Running {
    /// Packs `slot` and a start given in nanoseconds. 48 bits of microseconds last nine years of uptime.
    #[must_use]
    #[inline(always)]
    pub const fn pack(slot: u32, since_ns: u64) -> u64 {
        ((since_ns / 1000 + 1) << 16) | (slot & 0xffff) as u64
    }

    /// The reverse of [`Running::pack`]; `None` for a CPU whose first switch was not seen yet.
    #[must_use]
    #[inline(always)]
    pub const fn unpack(word: u64) -> Option<Self> {
        if word == 0 {
            return None;
        }
        Some(Self { slot: (word & 0xffff) as u32, since_us: word >> 16 })
    }
}

/// Whose a slot is. Written by whoever takes the slot: the kernel half at a birth, else the user half.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct Owner {
    /// The owner, or the last one.
    pub key: CgroupKey,
    /// Low half of the number of the offer the kernel half took the slot by; 0 when the user half took it.
    pub offer: u32,
    /// 1 once the kernel half has seen the cgroup removed and taken its key out of the hash.
    pub dead: u32,
}

/// A slot that the user half offers to the kernel half, in one word so that a stale one shows.
///
/// The offers lie in a ring; the kernel half takes them in order. An entry counts only if it bears the number
/// of the taking that comes next: what is left from the round before is then never taken twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer;

impl Offer {
    /// The entry that offers `slot` as number `number` (counted from 0).
    #[must_use]
    #[inline(always)]
    pub const fn pack(slot: u32, number: u64) -> u64 {
        ((Self::mark(number) as u64) << 32) | slot as u64
    }

    /// The slot in `entry` if the entry is offer `number`.
    #[must_use]
    #[inline(always)]
    pub const fn unpack(entry: u64, number: u64) -> Option<u32> {
        if (entry >> 32) as u32 == Self::mark(number) { Some(entry as u32) } else { None }
    }

    /// What marks offer `number` in an entry and in [`Owner::offer`]: never 0, the mark of an empty entry.
    #[must_use]
    #[inline(always)]
    pub const fn mark(number: u64) -> u32 {
        (number as u32) | 0x8000_0000
    }
}

/// What the life program says of itself. One record, written under the kernel's own cgroup lock.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct LifeState {
    /// Offers taken so far.
    pub taken: u64,
    /// Births that found no slot on offer.
    pub full: u64,
    /// Events that found the ring buffer full.
    pub lost: u64,
    /// Births whose key could not be put into the hash.
    pub failed: u64,
    /// Fills the cache line.
    pub pad: [u64; 4],
}

/// [`LifeEvent::kind`] of a birth.
pub const BORN: u32 = 1;
/// [`LifeEvent::kind`] of a death.
pub const DIED: u32 = 2;

/// One birth or death in the ring buffer; `path_len` bytes of path follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct LifeEvent {
    /// The cgroup.
    pub key: CgroupKey,
    /// [`BORN`] or [`DIED`].
    pub kind: u32,
    /// The slot it was given at birth or held at death, [`NO_SLOT`] if none.
    pub slot: u32,
    /// Steps below the hierarchy's root.
    pub level: u32,
    /// Bytes of path, without a terminating 0.
    pub path_len: u32,
}

const _: () = {
    assert!(size_of::<CgroupKey>() == 16);
    assert!(size_of::<CpuRecord>() == 64);
    assert!(size_of::<NetRecord>() == 64);
    assert!(size_of::<CurrentTask>() == 64);
    assert!(size_of::<Owner>() == 24);
    assert!(size_of::<LifeState>() == 64);
    assert!(size_of::<LifeEvent>() == 32);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_slice_survives_packing() {
        for (slot, since) in [(0, 0), (1, 999), (4095, 1_000_000), (NO_SLOT, 8 * 365 * 86_400_000_000_000)] {
            let got = Running::unpack(Running::pack(slot, since));
            assert_eq!(got, Some(Running { slot, since_us: since / 1000 + 1 }));
        }
        assert_eq!(Running::unpack(0), None);
    }

    #[test]
    fn an_offer_is_taken_once() {
        let entry = Offer::pack(77, 5);
        assert_eq!(Offer::unpack(entry, 5), Some(77));
        assert_eq!(Offer::unpack(entry, 5 + 1024), None);
        assert_eq!(Offer::unpack(0, 0), None, "an empty ring offers nothing");
        assert_eq!(Offer::unpack(Offer::pack(3, 1 << 40), 1 << 40), Some(3));
    }
}
