//! The kernel half: counters per cgroup, written where the user half reads them without a system call.
#![no_std]
#![no_main]
// The target has atomic additions but no compare-and-swap, so the standard library hides both.
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "there is no other name for an atomic addition on this target")]

mod cpu;
mod kernel;
mod life;
mod net;
mod slots;

/// Helpers such as `bpf_skb_cgroup_id` and `bpf_probe_read_kernel_str` are for GPL-compatible programs.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
