//! What the kernel half counts for a cgroup, as this half needs it.

use std::{fmt::Debug, os::fd::BorrowedFd, sync::Arc};

/// A cgroup as the kernel half knows it: ids are unique within a hierarchy only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The kernel's number of the hierarchy; 0 is version 2.
    pub hierarchy: u32,
    /// The directory's inode number.
    pub id: u64,
}

/// CPU time of a cgroup's own tasks, in nanoseconds, and their switches, since it was first counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuCount {
    /// Of finished slices, on the scheduler's clock.
    pub finished: u64,
    /// Of slices still running, on the wall clock: the most that they can add.
    pub running: u64,
    /// How often its tasks left a CPU.
    pub switches: Switches,
}

/// How often tasks left a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// To wait for something.
    pub voluntary: u64,
    /// Because others were to run.
    pub forced: u64,
}

impl Switches {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            voluntary: self.voluntary.wrapping_add(other.voluntary),
            forced: self.forced.wrapping_add(other.forced),
        }
    }
}

/// What a cgroup's own sockets carried since it was first counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCount {
    /// By every device but loopback.
    pub devices: Traffic,
    /// By loopback.
    pub loopback: Traffic,
}

/// IP bytes and packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Traffic {
    pub receive_bytes: u64,
    pub receive_packets: u64,
    pub transmit_bytes: u64,
    pub transmit_packets: u64,
}

impl SocketCount {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { devices: self.devices.plus(other.devices), loopback: self.loopback.plus(other.loopback) }
    }
}

impl Traffic {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            receive_bytes: self.receive_bytes.wrapping_add(other.receive_bytes),
            receive_packets: self.receive_packets.wrapping_add(other.receive_packets),
            transmit_bytes: self.transmit_bytes.wrapping_add(other.transmit_bytes),
            transmit_packets: self.transmit_packets.wrapping_add(other.transmit_packets),
        }
    }
}

/// The kernel half's counters.
pub trait Counts: Debug + Send + Sync {
    /// Whether CPU time is counted.
    fn counts_cpu(&self) -> bool;
    /// Whether socket traffic is counted.
    fn counts_sockets(&self) -> bool;
    /// Has the cgroup counted from now on, unless it is already. `false`: there is no room.
    fn enter(&self, key: Key) -> bool;
    /// As [`enter`](Self::enter) for a cgroup that was refused before, should there be room by now.
    fn enter_late(&self, key: Key) -> bool;
    /// Ends the count; last figures are to be read before.
    fn leave(&self, key: Key);
    /// CPU time, if the cgroup is counted.
    fn cpu(&self, key: Key) -> Option<CpuCount>;
    /// CPU time of finished slices in nanoseconds, added to the figure of each CPU in order.
    fn add_by_cpu(&self, key: Key, times: &mut Vec<u64>);
    /// Socket traffic, if the cgroup is counted.
    fn sockets(&self, key: Key) -> Option<SocketCount>;
    /// How the room stands.
    fn room(&self) -> Room;
}

/// How the room of the kernel half's counters stands, and what was counted of cgroups that found none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Cgroups that are counted.
    pub used: u64,
    /// Cgroups that can be.
    pub capacity: u64,
    /// Cgroups that found no room.
    pub refused: u64,
    /// Births and deaths that were not told.
    pub events_lost: u64,
    /// CPU time of no cgroup that is counted, in nanoseconds.
    pub unknown_cpu: u64,
    /// Traffic of no cgroup that is counted.
    pub unknown_sockets: SocketCount,
}

/// A birth or a death of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life<'a> {
    /// It is being made; its directory may take a moment to appear.
    Born {
        /// The cgroup.
        key: Key,
        /// Its path from the root of its hierarchy.
        path: &'a [u8],
    },
    /// It is no more.
    Died {
        /// The cgroup.
        key: Key,
    },
}

/// The kernel half's births and deaths.
pub trait Lives: Debug + Send {
    /// Readable when there are some.
    fn descriptor(&self) -> BorrowedFd<'_>;
    /// Gives all that happened, without waiting. `true`: some were lost, and only a walk tells which.
    fn drain(&mut self, each: &mut dyn FnMut(Life<'_>)) -> bool;
}

/// The kernel half, as far as it runs.
#[derive(Debug)]
pub struct KernelSide {
    /// Its counters.
    pub counts: Arc<dyn Counts>,
    /// Births and deaths; none where inotify tells of them.
    pub lives: Option<Box<dyn Lives>>,
}
