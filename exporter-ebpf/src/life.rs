//! Births and deaths of cgroups: a slot before any task can enter, and an event for the user half.
//!
//! Both tracepoints fire under the kernel's cgroup lock, so these programs never run beside each other.

use aya_ebpf::{
    btf_maps::{Array, PerCpuArray, RingBuf},
    helpers::bpf_probe_read_kernel_str_bytes,
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use exporter_common::{BORN, CgroupKey, DIED, LifeEvent, LifeState, NO_SLOT, PATH_BYTES, RING_BYTES};

use crate::{
    kernel::{CPU_HIERARCHY, OFF_CGROUP_LEVEL, Struct, cgroup_key, constant},
    slots::{self, MAPPED, NoSlot},
};

/// An event as it is put together, too large for the stack.
#[repr(C)]
pub struct Draft {
    event: LifeEvent,
    path: [u8; PATH_BYTES],
}

#[btf_map]
static LIFE_STATE: Array<LifeState, 1, MAPPED> = Array::new();
#[btf_map]
static LIFE_EVENTS: RingBuf<[u8; 0], { RING_BYTES as usize }> = RingBuf::new();
#[btf_map]
static DRAFT: PerCpuArray<Draft, 1> = PerCpuArray::new();

/// Since 5.8 (ring buffer). Arguments: the cgroup, its path. Fires before the directory can be seen.
#[btf_tracepoint(function = "cgroup_mkdir")]
pub fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    let Some((cgroup, key, state)) = subject(&ctx) else { return 0 };
    let slot = match slots::take(&key, state.taken) {
        Ok(slot) => {
            state.taken += 1;
            slot
        }
        Err(NoSlot::Full) => {
            state.full += 1;
            NO_SLOT
        }
        Err(NoSlot::Refused) => {
            state.failed += 1;
            NO_SLOT
        }
    };
    tell(&ctx, cgroup, state, LifeEvent { key, kind: BORN, slot, level: 0, path_len: 0 });
    0
}

/// Since 5.8 (ring buffer). Arguments: the cgroup, its path. Fires when no task is left in it.
#[btf_tracepoint(function = "cgroup_rmdir")]
pub fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    let Some((cgroup, key, state)) = subject(&ctx) else { return 0 };
    let slot = slots::remove(&key);
    tell(&ctx, cgroup, state, LifeEvent { key, kind: DIED, slot, level: 0, path_len: 0 });
    0
}

/// The cgroup and its key if figures are kept for its hierarchy: that of CPU time, and v2 for the network.
#[inline(always)]
fn subject(ctx: &BtfTracePointContext) -> Option<(Struct, CgroupKey, &'static mut LifeState)> {
    let cgroup = Struct(ctx.arg::<*const u8>(0));
    // SAFETY: the argument is a struct cgroup.
    let key = unsafe { cgroup_key(cgroup) };
    if key.hierarchy != 0 && key.hierarchy != constant(&CPU_HIERARCHY) as u32 {
        return None;
    }
    // SAFETY: a live map entry, written under the cgroup lock only.
    let state = unsafe { &mut *LIFE_STATE.get_ptr_mut(0)? };
    Some((cgroup, key, state))
}

/// Completes `event` and puts it into the ring, or counts it as lost.
#[inline(always)]
fn tell(ctx: &BtfTracePointContext, cgroup: Struct, state: &mut LifeState, event: LifeEvent) {
    let Some(draft) = DRAFT.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's own entry, and no other life program runs meanwhile.
    let draft = unsafe { &mut *draft };
    draft.event = event;
    // SAFETY: a struct cgroup.
    draft.event.level = unsafe { cgroup.member(&OFF_CGROUP_LEVEL) };
    // SAFETY: the helper reads at most the buffer's length and stops at a fault.
    let path = unsafe { bpf_probe_read_kernel_str_bytes(ctx.arg::<*const u8>(1), &mut draft.path) };
    // The mask says to the verifier what the helper's word for it does not: less than the buffer.
    let len = path.map_or(0, <[u8]>::len) & (PATH_BYTES - 1);
    draft.event.path_len = len as u32;
    #[cfg(feature = "log")]
    aya_log_ebpf::info!(ctx, "cgroup {} of hierarchy {}: {}", event.key.id, event.key.hierarchy, event.kind);
    // SAFETY: header and path lie together in the draft, and `len` is below the path's size.
    let bytes = unsafe {
        core::slice::from_raw_parts(core::ptr::from_ref(draft).cast::<u8>(), size_of::<LifeEvent>() + len)
    };
    if LIFE_EVENTS.output_untyped::<[u8]>(bytes, 0).is_err() {
        state.lost += 1;
    }
}
