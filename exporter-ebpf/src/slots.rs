//! Which slot a cgroup's figures go to.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, HashMap},
    macros::btf_map,
};
use exporter_common::{CgroupKey, NO_SLOT, Offer, Owner, UNKNOWN_SLOT};

use crate::kernel::{OFFER_MASK, constant};

/// Flag of the arrays that user space maps into its memory.
pub const MAPPED: usize = BPF_F_MMAPABLE as usize;

// Every array has one entry here; the true number is set at load.
#[btf_map]
static SLOTS: HashMap<CgroupKey, u32, 1, 0> = HashMap::new();
#[btf_map]
static OWNERS: Array<Owner, 1, MAPPED> = Array::new();
#[btf_map]
static OFFERS: Array<u64, 1, MAPPED> = Array::new();

/// The slot of `key`, [`UNKNOWN_SLOT`] if it has none.
#[inline(always)]
pub fn find(key: &CgroupKey) -> u32 {
    get(key).unwrap_or(UNKNOWN_SLOT)
}

#[inline(always)]
fn get(key: &CgroupKey) -> Option<u32> {
    // SAFETY: an entry's slot never changes; at worst it is that of an owner just removed.
    unsafe { SLOTS.get(key).copied() }
}

/// Why a cgroup got no slot.
pub enum NoSlot {
    /// None is on offer.
    Full,
    /// The hash refused the key.
    Refused,
}

/// Gives offer `number` to `key`. Births run one at a time, under the kernel's cgroup lock.
#[inline(always)]
pub fn take(key: &CgroupKey, number: u64) -> Result<u32, NoSlot> {
    let entry = *OFFERS.get((number & constant(&OFFER_MASK)) as u32).ok_or(NoSlot::Full)?;
    let slot = Offer::unpack(entry, number).ok_or(NoSlot::Full)?;
    let owner = OWNERS.get_ptr_mut(slot).ok_or(NoSlot::Full)?;
    // SAFETY: the pointer is to a live map entry, which only the taker of its slot writes.
    let owner = unsafe { &mut *owner };
    SLOTS.insert(key, &slot, 0).map_err(|_| NoSlot::Refused)?;
    owner.key = *key;
    owner.dead = 0;
    owner.offer = Offer::mark(number);
    Ok(slot)
}

/// Takes `key` out of the hash: its last slices find their slot still, its sockets' late packets do not.
/// The mark is for a user half that misses the event.
#[inline(always)]
pub fn remove(key: &CgroupKey) -> u32 {
    let Some(slot) = get(key) else { return NO_SLOT };
    let _ = SLOTS.remove(key);
    if let Some(owner) = OWNERS.get_ptr_mut(slot) {
        // SAFETY: a live map entry; deaths run under the same lock as births.
        unsafe { (*owner).dead = 1 };
    }
    slot
}
