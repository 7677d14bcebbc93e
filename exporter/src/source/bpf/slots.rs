//! Who holds which slot. Plain bookkeeping over two mapped arrays; the only system calls are the hash's.
//!
//! A slot is free in our hands, on offer to the kernel half, held by a cgroup, or leaving. The kernel half takes
//! offers when a cgroup is born; we see that in `OWNERS` without being told, so a lost event loses no slot.

use std::{
    collections::{HashMap, VecDeque},
    mem::offset_of,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use aya::maps::{HashMap as BpfHash, MapData, MapError};
use exporter_common::{CgroupKey, LifeState, NO_SLOT, Offer, Owner, UNKNOWN_SLOT};

use super::maps::Mapping;

/// How long a slot rests after its owner left: far longer than any program's run.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// Under this mark, not yet seen to be taken.
    Offered(u32),
    Held,
    Leaving,
}

/// The maps that the bookkeeping works on.
#[derive(Debug)]
pub struct SlotMaps {
    /// Key to slot, in the kernel.
    pub hash: BpfHash<MapData, [u64; 2], u32>,
    /// By slot.
    pub owners: Mapping<Owner>,
    /// The ring of offers; a power of two of entries.
    pub offers: Mapping<u64>,
    /// How many offers were taken.
    pub life: Mapping<LifeState>,
}

/// The bookkeeping.
#[derive(Debug)]
pub struct Slots {
    maps: SlotMaps,
    states: Vec<State>,
    free: Vec<u32>,
    leaving: VecDeque<(u32, Instant)>,
    held: HashMap<CgroupKey, u32>,
    /// Offers made so far, if the kernel half takes any.
    offers: Option<u64>,
    /// Free slots kept from the kernel half for cgroups whose birth nobody saw.
    reserve: usize,
    /// Offers that we know to be taken.
    noticed: u64,
    lost: u64,
    times_full: u64,
}

impl Slots {
    /// All slots but [`UNKNOWN_SLOT`] free.
    pub fn new(maps: SlotMaps) -> Self {
        let count = u32::try_from(maps.owners.len()).unwrap_or(NO_SLOT).min(NO_SLOT);
        // Popped from the end, so that low numbers go first and stay close together.
        let free: Vec<u32> = (UNKNOWN_SLOT + 1..count).rev().collect();
        Self {
            states: vec![State::Free; count as usize],
            reserve: free.len() / 8,
            free,
            leaving: VecDeque::new(),
            held: HashMap::with_capacity(count as usize),
            offers: None,
            maps,
            noticed: 0,
            lost: 0,
            times_full: 0,
        }
    }

    /// From now on the kernel half takes slots too.
    pub fn start_offering(&mut self) {
        self.offers = Some(0);
        self.offer();
    }

    /// The kernel half takes no slots any more: what it was offered is ours again.
    pub fn stop_offering(&mut self) {
        self.offers = None;
        for slot in (0..self.states.len()).rev() {
            let slot = u32::try_from(slot).unwrap_or(NO_SLOT);
            if matches!(self.states.get(slot as usize), Some(State::Offered(_)))
                && self.taken_by(slot).is_none()
            {
                self.set(slot, State::Free);
                self.free.push(slot);
            }
        }
    }

    /// The slot of `key`.
    pub fn find(&self, key: CgroupKey) -> Option<u32> {
        self.held.get(&key).copied()
    }

    /// The slot of `key`, given now if it has none. `None` when all are taken or the kernel refuses the key.
    pub fn enter(&mut self, key: CgroupKey) -> Option<u32> {
        if let Some(slot) = self.find(key).or_else(|| self.adopt(key)) {
            return Some(slot);
        }
        let Some(slot) = self.free.pop() else {
            self.times_full += 1;
            return None;
        };
        self.write_owner(slot, key);
        match self.maps.hash.insert(words(key), slot, NOT_THERE_YET) {
            Ok(()) => {
                self.hold(key, slot);
                Some(slot)
            }
            Err(error) => {
                self.free.push(slot);
                // Refused because the kernel half was quicker, or for want of a right.
                tracing::debug!(?key, %error, "slot not entered");
                self.adopt(key)
            }
        }
    }

    /// Whether [`Slots::enter`] would find a slot.
    pub fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Notes what a birth's event says: the kernel half gave `slot` to `key`.
    pub fn note(&mut self, key: CgroupKey, slot: u32) {
        if self.taken_by(slot) == Some(key) {
            self.hold(key, slot);
        }
    }

    /// Ends `key`'s hold on its slot, which goes back into use after a grace time.
    pub fn leave(&mut self, key: CgroupKey) {
        let Some(slot) = self.held.remove(&key).or_else(|| self.adopt(key)) else { return };
        self.held.remove(&key);
        if self.owner(slot).dead == 0
            && let Err(error) = self.maps.hash.remove(&words(key))
            && !matches!(error, MapError::KeyNotFound)
        {
            // Still in the hash, so figures still come to it: it must not get another owner.
            tracing::debug!(?key, %error, "slot not given back");
            return;
        }
        self.set(slot, State::Leaving);
        self.leaving.push_back((slot, Instant::now()));
    }

    /// Takes back slots whose grace is over and offers them. `busy` tells whether a CPU still runs for a slot,
    /// `clear` sets its figures to 0.
    pub fn recycle(&mut self, busy: impl Fn(u32) -> bool, clear: impl Fn(u32)) {
        for _ in 0..self.leaving.len() {
            let Some(&(slot, since)) = self.leaving.front() else { break };
            if since.elapsed() < GRACE {
                break;
            }
            self.leaving.pop_front();
            if busy(slot) {
                self.leaving.push_back((slot, Instant::now()));
            } else {
                clear(slot);
                self.set(slot, State::Free);
                self.free.push(slot);
            }
        }
        self.offer();
    }

    /// To be called when no event waits: finds slots whose birth and death were both lost.
    pub fn sweep(&mut self) {
        let lost = self.life().lost;
        if std::mem::replace(&mut self.lost, lost) == lost {
            return;
        }
        for slot in 0..self.states.len() {
            let slot = u32::try_from(slot).unwrap_or(NO_SLOT);
            if self.taken_by(slot).is_some() && self.owner(slot).dead != 0 {
                self.noticed += 1;
                self.set(slot, State::Leaving);
                self.leaving.push_back((slot, Instant::now()));
            }
        }
    }

    /// Slots that a cgroup holds, those leaving included.
    pub fn used(&self) -> usize {
        let on_offer = self.offers.unwrap_or(0).saturating_sub(self.life().taken);
        let on_offer = usize::try_from(on_offer).unwrap_or(usize::MAX);
        self.capacity().saturating_sub(self.free.len()).saturating_sub(on_offer)
    }

    /// Slots there are, [`UNKNOWN_SLOT`] aside.
    pub fn capacity(&self) -> usize {
        self.states.len().saturating_sub(1)
    }

    /// Times that [`Slots::enter`] found no slot.
    pub fn times_full(&self) -> u64 {
        self.times_full
    }

    /// What the life program says of itself.
    pub fn life(&self) -> LifeState {
        self.maps.life.load(0)
    }

    fn hold(&mut self, key: CgroupKey, slot: u32) {
        self.noticed += u64::from(self.taken_by(slot).is_some());
        self.set(slot, State::Held);
        self.held.insert(key, slot);
    }

    /// The slot that the kernel half gave to `key` without our having noticed.
    fn adopt(&mut self, key: CgroupKey) -> Option<u32> {
        if self.life().taken == self.noticed {
            return None;
        }
        let count = u32::try_from(self.states.len()).unwrap_or(NO_SLOT);
        let slot = (0..count).find(|slot| self.taken_by(*slot) == Some(key))?;
        self.hold(key, slot);
        Some(slot)
    }

    /// Who took `slot` off the ring, if it was on offer and somebody did.
    fn taken_by(&self, slot: u32) -> Option<CgroupKey> {
        let State::Offered(mark) = *self.states.get(slot as usize)? else { return None };
        let owner = self.owner(slot);
        (owner.offer == mark).then_some(owner.key)
    }

    fn offer(&mut self) {
        let Some(mut number) = self.offers else { return };
        let ring = self.maps.offers.len() as u64;
        let taken = self.life().taken;
        while self.free.len() > self.reserve && number.saturating_sub(taken) < ring {
            let Some(slot) = self.free.pop() else { break };
            self.set(slot, State::Offered(Offer::mark(number)));
            let place = usize::try_from(number % ring).unwrap_or(0);
            if let Some(entry) = self.maps.offers.word(place, 0) {
                entry.store(Offer::pack(slot, number), Ordering::Release);
            }
            number += 1;
        }
        self.offers = Some(number);
    }

    fn owner(&self, slot: u32) -> Owner {
        self.maps.owners.load(slot as usize)
    }

    fn write_owner(&self, slot: u32, key: CgroupKey) {
        let owner = [key.id, u64::from(key.hierarchy), 0];
        for (offset, value) in [0, 8, offset_of!(Owner, offer)].into_iter().zip(owner) {
            if let Some(word) = self.maps.owners.word(slot as usize, offset) {
                word.store(value, Ordering::Relaxed);
            }
        }
    }

    fn set(&mut self, slot: u32, state: State) {
        if let Some(place) = self.states.get_mut(slot as usize) {
            *place = state;
        }
    }
}

/// `BPF_NOEXIST`.
const NOT_THERE_YET: u64 = 1;

fn words(key: CgroupKey) -> [u64; 2] {
    bytemuck::cast(key)
}
