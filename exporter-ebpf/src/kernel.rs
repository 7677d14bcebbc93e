//! Reading the kernel's own structs, whose layout is told at load time.
//!
//! The constants lie in `.rodata`, which is frozen before the verifier runs: it knows their values and checks
//! each load against the kernel's types. A wrong offset of another type is refused there.

use core::ptr::read_volatile;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use exporter_common::CgroupKey;

macro_rules! load_time {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $($(#[$doc])* #[unsafe(no_mangle)] pub static $name: u64 = 0;)*
    };
}

load_time! {
    SLOT_COUNT,
    OFFER_MASK,
    CPU_HIERARCHY,
    OFF_TASK_PID,
    OFF_TASK_STATE,
    OFF_TASK_RUNTIME,
    OFF_TASK_SLICE_START,
    OFF_TASK_CGROUPS,
    OFF_CSS_SET_DEFAULT,
    OFF_CSS_SET_CPUACCT,
    OFF_CSS_CGROUP,
    OFF_CGROUP_KN,
    OFF_CGROUP_LEVEL,
    OFF_CGROUP_ROOT,
    OFF_ROOT_HIERARCHY,
    OFF_KN_ID,
}

/// A constant's value at load time. Volatile, or the compiler would fold the 0 it sees.
#[inline(always)]
pub fn constant(of: &'static u64) -> u64 {
    // SAFETY: a reference is valid to read.
    unsafe { read_volatile(of) }
}

/// A pointer to a kernel struct, as the verifier tracks it.
#[derive(Clone, Copy)]
pub struct Struct(pub *const u8);

impl Struct {
    /// The member of type `T` at `offset`.
    ///
    /// # Safety
    /// The verifier must know the pointer's type: it checks offset and size, and makes a fault read as 0.
    #[inline(always)]
    pub unsafe fn member<T: Copy>(self, offset: &'static u64) -> T {
        // SAFETY: the caller's promise.
        unsafe { *self.0.add(constant(offset) as usize).cast::<T>() }
    }

    /// The member of type `T` at `offset` of what may be gone, if it can be read.
    ///
    /// # Safety
    /// Whatever is found there must be a valid `T`.
    #[inline(always)]
    pub unsafe fn try_member<T: Copy>(self, offset: &'static u64) -> Option<T> {
        // SAFETY: the kernel checks each access; the caller's promise.
        unsafe { bpf_probe_read_kernel(self.0.wrapping_add(constant(offset) as usize).cast::<T>()) }.ok()
    }

    /// The struct that the pointer member at `offset` points to.
    ///
    /// # Safety
    /// As [`Struct::member`].
    #[inline(always)]
    pub unsafe fn follow(self, offset: &'static u64) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { self.member::<*const u8>(offset) })
    }
}

/// The id of `cgroup`, a `struct cgroup`.
///
/// # Safety
/// As [`Struct::member`].
#[inline(always)]
pub unsafe fn cgroup_id(cgroup: Struct) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { cgroup.follow(&OFF_CGROUP_KN).member(&OFF_KN_ID) }
}

/// The key of `cgroup`, a `struct cgroup`.
///
/// # Safety
/// As [`Struct::member`].
#[inline(always)]
pub unsafe fn cgroup_key(cgroup: Struct) -> CgroupKey {
    // SAFETY: the caller's promise; the root is a cgroup_root.
    unsafe {
        let hierarchy: u32 = cgroup.follow(&OFF_CGROUP_ROOT).member(&OFF_ROOT_HIERARCHY);
        CgroupKey::new(cgroup_id(cgroup), hierarchy)
    }
}
