//! Bytes and packets per cgroup, seen where a packet meets the socket of the cgroup it belongs to.
//!
//! Both programs sit in the path of every packet and must let each one pass: they return 1, always. Lengths
//! are those of the IP packet as the stack saw it, so a segmented or merged one counts once.

use core::intrinsics::{AtomicOrdering::Relaxed, atomic_xadd};

use aya_ebpf::{
    btf_maps::Array,
    helpers::{bpf_get_smp_processor_id, bpf_skb_cgroup_id},
    macros::{btf_map, cgroup_skb},
    programs::SkBuffContext,
};
use exporter_common::{CgroupKey, LOOPBACK_IFINDEX, NetRecord};

use crate::{
    kernel::{SLOT_COUNT, constant},
    slots::{self, MAPPED},
};

/// Lets the packet through.
const PASS: i32 = 1;

#[btf_map]
static NET_COUNTERS: Array<NetRecord, 1, MAPPED> = Array::new();

/// Since 5.8 (`bpf_skb_cgroup_id` for this kind of program).
#[cgroup_skb(ingress)]
pub fn net_ingress(ctx: SkBuffContext) -> i32 {
    count(&ctx, |record, loopback| {
        let traffic = if loopback { &mut record.loopback } else { &mut record.devices };
        (&mut traffic.rx_bytes, &mut traffic.rx_packets)
    });
    PASS
}

/// Since 5.8 (`bpf_skb_cgroup_id` for this kind of program).
#[cgroup_skb(egress)]
pub fn net_egress(ctx: SkBuffContext) -> i32 {
    count(&ctx, |record, loopback| {
        let traffic = if loopback { &mut record.loopback } else { &mut record.devices };
        (&mut traffic.tx_bytes, &mut traffic.tx_packets)
    });
    PASS
}

/// Adds the packet to the two counters that `pick` names.
#[inline(always)]
fn count(ctx: &SkBuffContext, pick: impl FnOnce(&mut NetRecord, bool) -> (&mut u64, &mut u64)) {
    // SAFETY: the context is the program's own, and the verifier knows its type.
    let (id, len, device, cpu) = unsafe {
        let skb = ctx.skb.skb;
        (bpf_skb_cgroup_id(skb), (*skb).len, (*skb).ifindex, bpf_get_smp_processor_id())
    };
    let slot = slots::find(&CgroupKey::new(id, 0));
    let place = cpu * constant(&SLOT_COUNT) as u32 + slot;
    let Some(record) = NET_COUNTERS.get_ptr_mut(place) else { return };
    // SAFETY: a live map entry. A softirq may add to it in the midst of this, hence the atomics.
    unsafe {
        let (bytes, packets) = pick(&mut *record, device == LOOPBACK_IFINDEX);
        atomic_xadd::<u64, u64, { Relaxed }>(bytes, u64::from(len));
        atomic_xadd::<u64, u64, { Relaxed }>(packets, 1);
    }
}
