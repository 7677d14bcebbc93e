//! The figures, read out of mapped memory: no system call but for a cgroup whose birth the kernel half missed.

use std::{
    mem::offset_of,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use exporter_common::{CgroupKey, CpuRecord, CurrentTask, NetRecord, Running, Traffic, UNKNOWN_SLOT};
use rustix::time::{ClockId, clock_gettime};

use super::{Program, maps::Mapping, slots::Slots};

/// Place of a cgroup's figures. Good until [`Counters::leave`] is called for its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub(super) u32);

impl Slot {
    /// Where all is charged whose cgroup has no slot.
    pub const UNKNOWN: Self = Self(UNKNOWN_SLOT);
}

/// CPU time and switches of one cgroup, its children not included, since its slot was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTotals {
    /// Nanoseconds on a CPU by the scheduler's clock, finished slices only: at or just below the kernel's figure.
    pub ns: u64,
    /// Nanoseconds, by the wall clock, of slices running now: what `ns` lacks. At most this much will be added.
    pub running_ns: u64,
    /// Switches the tasks wanted.
    pub voluntary: u64,
    /// Switches they did not want.
    pub forced: u64,
}

/// Traffic of one cgroup's sockets, its children's not included, since its slot was given. IP bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetTotals {
    /// By every device but loopback.
    pub devices: Traffic,
    /// By loopback: what a process says to another on the same host is counted at both ends.
    pub loopback: Traffic,
}

/// How the slots stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotUsage {
    /// Slots held by a cgroup.
    pub used: usize,
    /// Slots there are.
    pub capacity: usize,
    /// Cgroups that [`Counters::enter`] found no slot for.
    pub times_full: u64,
    /// Births that the kernel half found no slot on offer for; [`Counters::enter`] may still find one.
    pub births_full: u64,
    /// Births and deaths that found the ring buffer full: after one, the tree must be walked.
    pub events_lost: u64,
    /// Slices not counted because they began before the program, one a CPU.
    pub slices_dropped: u64,
    /// Slices whose start the kernel did not tell of: counted, but by the scheduler's own note of it.
    pub slices_unseen: u64,
    /// CPU time charged to no known cgroup.
    pub unknown_cpu: CpuTotals,
    /// Traffic charged to no known cgroup.
    pub unknown_net: NetTotals,
}

/// The kernel half's figures. Shared between threads; alive even after every capability was dropped.
#[derive(Debug)]
pub struct Counters {
    pub(super) slots: Mutex<Slots>,
    /// Slots in a bank.
    pub(super) bank: usize,
    /// `None` unless the program runs.
    pub(super) cpu: Option<Mapping<CpuRecord>>,
    /// `None` unless the program runs.
    pub(super) net: Option<Mapping<NetRecord>>,
    pub(super) current: Mapping<CurrentTask>,
    /// CPUs to sum over: all below this number.
    pub(super) cpus: AtomicUsize,
}

impl Counters {
    /// The slot of `key`; one is given to it if it has none, as for a cgroup that existed before the kernel half.
    /// `None` when every slot is taken. At most two system calls, none if it has a slot.
    pub fn enter(&self, key: CgroupKey) -> Option<Slot> {
        let mut slots = self.lock();
        self.recycle(&mut slots);
        slots.enter(key).map(Slot)
    }

    /// As [`Counters::enter`], for a key that was refused before: `false`, and not counted as refused once more, while
    /// there is no slot. No system call then.
    pub fn enter_if_free(&self, key: CgroupKey) -> bool {
        let mut slots = self.lock();
        self.recycle(&mut slots);
        slots.find(key).is_some() || (slots.has_free() && slots.enter(key).is_some())
    }

    /// The slot of `key`, if it has one that we know of. No system call.
    pub fn find(&self, key: CgroupKey) -> Option<Slot> {
        self.lock().find(key).map(Slot)
    }

    /// Gives `key`'s slot back, to be used anew a second later at the earliest. Read its last figures first.
    /// No system call if the kernel half saw the cgroup's death.
    pub fn leave(&self, key: CgroupKey) {
        let mut slots = self.lock();
        slots.leave(key);
        self.recycle(&mut slots);
    }

    /// CPU time charged to `slot`; all zero while the program is not running.
    pub fn cpu(&self, slot: Slot) -> CpuTotals {
        let mut totals = CpuTotals::default();
        let Some(bank) = &self.cpu else { return totals };
        for cpu in 0..self.cpus.load(Ordering::Relaxed) {
            let (record, running) = self.one_cpu(bank, cpu, slot);
            totals.ns = totals.ns.wrapping_add(record.ns);
            totals.voluntary = totals.voluntary.wrapping_add(record.voluntary);
            totals.forced = totals.forced.wrapping_add(record.forced);
            totals.running_ns = totals.running_ns.saturating_add(running);
        }
        totals
    }

    /// CPU time charged to `slot` by each CPU that ever ran something, finished slices only, added to what is there.
    pub fn add_by_cpu(&self, slot: Slot, times: &mut Vec<u64>) {
        let Some(bank) = &self.cpu else { return };
        let cpus = self.cpus.load(Ordering::Relaxed);
        times.resize(times.len().max(cpus), 0);
        for (cpu, time) in times.iter_mut().enumerate().take(cpus) {
            *time = time.wrapping_add(bank.load(cpu * self.bank + slot.0 as usize).ns);
        }
    }

    /// Traffic charged to `slot`; all zero while the programs are not running.
    pub fn net(&self, slot: Slot) -> NetTotals {
        let mut totals = NetTotals::default();
        let Some(bank) = &self.net else { return totals };
        for cpu in 0..self.cpus.load(Ordering::Relaxed) {
            let record = bank.load(cpu * self.bank + slot.0 as usize);
            add(&mut totals.devices, &record.devices);
            add(&mut totals.loopback, &record.loopback);
        }
        totals
    }

    /// Nanoseconds that CPU `cpu` was idle since the program saw its first switch, the idle stretch now running
    /// included; `None` while the program is not running or has not seen this CPU.
    pub fn idle_ns(&self, cpu: usize) -> Option<u64> {
        self.cpu.as_ref()?;
        let now = self.current.load(cpu);
        let idle = now.since_ns != 0 && now.pid == 0;
        let running = if idle { monotonic_ns().saturating_sub(now.since_ns) } else { 0 };
        (now.since_ns != 0).then(|| now.idle_ns.saturating_add(running))
    }

    /// How the slots stand. Also notices CPUs that came online: to be called once per scrape.
    pub fn usage(&self) -> SlotUsage {
        self.see_cpus();
        let (mut dropped, mut unseen) = (0, 0);
        for cpu in 0..self.current.len() {
            let current = self.current.load(cpu);
            dropped += current.dropped;
            unseen += current.unseen;
        }
        let mut slots = self.lock();
        self.recycle(&mut slots);
        let life = slots.life();
        SlotUsage {
            used: slots.used(),
            capacity: slots.capacity(),
            times_full: slots.times_full(),
            births_full: life.full.saturating_add(life.failed),
            events_lost: life.lost,
            slices_dropped: dropped,
            slices_unseen: unseen,
            unknown_cpu: self.cpu(Slot::UNKNOWN),
            unknown_net: self.net(Slot::UNKNOWN),
        }
    }

    /// What the kernel half charged on `cpu`, and the running slice, seen together: had it ended between the two
    /// looks it would be counted twice or not at all.
    fn one_cpu(&self, bank: &Mapping<CpuRecord>, cpu: usize, slot: Slot) -> (CpuRecord, u64) {
        let word = || {
            self.current.word(cpu, offset_of!(CurrentTask, running)).map_or(0, |w| w.load(Ordering::Acquire))
        };
        let mut before = word();
        let mut record = CpuRecord::default();
        for _ in 0..4 {
            record = bank.load(cpu * self.bank + slot.0 as usize);
            std::sync::atomic::fence(Ordering::Acquire);
            let after = word();
            if after == before {
                let running = Running::unpack(before).filter(|r| r.slot == slot.0);
                return (record, running.map_or(0, |r| monotonic_ns().saturating_sub(r.since_us * 1000)));
            }
            before = after;
        }
        // Switching faster than we look: its slices are too short to matter.
        (record, 0)
    }

    /// Widens the sums to every CPU that ever ran something: hosts with room for hundreds have a handful.
    pub(super) fn see_cpus(&self) {
        let ran = |cpu: &usize| self.cpu.is_none() || self.current.load(*cpu).since_ns != 0;
        let last = (self.cpus.load(Ordering::Relaxed)..self.current.len()).rev().find(ran);
        if let Some(last) = last {
            self.cpus.fetch_max(last + 1, Ordering::Relaxed);
        }
    }

    /// Lets go of the figures of programs that are not in `up`.
    pub(super) fn keep(&mut self, up: &[Program]) {
        self.cpu = self.cpu.take().filter(|_| up.contains(&Program::Cpu));
        self.net = self.net.take().filter(|_| up.contains(&Program::Net));
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recycle(&self, slots: &mut Slots) {
        let cpus = self.current.len();
        let busy = |slot| {
            (0..cpus)
                .any(|cpu| Running::unpack(self.current.load(cpu).running).is_some_and(|r| r.slot == slot))
        };
        let clear = |slot: u32| {
            for cpu in 0..cpus {
                let place = cpu * self.bank + slot as usize;
                self.cpu.iter().for_each(|bank| bank.clear(place));
                self.net.iter().for_each(|bank| bank.clear(place));
            }
        };
        slots.recycle(busy, clear);
    }
}

fn add(total: &mut Traffic, more: &Traffic) {
    total.rx_bytes = total.rx_bytes.wrapping_add(more.rx_bytes);
    total.rx_packets = total.rx_packets.wrapping_add(more.rx_packets);
    total.tx_bytes = total.tx_bytes.wrapping_add(more.tx_bytes);
    total.tx_packets = total.tx_packets.wrapping_add(more.tx_packets);
}

/// The clock that the kernel half's stamps are of.
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}
