//! CPU time and switches per cgroup, at every switch between tasks.
//!
//! The time of a slice is the growth of the task's own total on the scheduler's clock, so what the kernel does
//! not count (steal, interrupts) is not counted here either. It goes to the cgroup the task was in when it
//! came on. The first slice on each CPU has no seen start and is dropped.

use core::ptr::write_volatile;

use aya_ebpf::{
    btf_maps::Array,
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use exporter_common::{CgroupKey, CpuRecord, CurrentTask, NO_SLOT, Running};

use crate::{
    kernel::{
        CPU_HIERARCHY, OFF_CSS_CGROUP, OFF_CSS_SET_CPUACCT, OFF_CSS_SET_DEFAULT, OFF_TASK_CGROUPS, OFF_TASK_PID,
        OFF_TASK_RUNTIME, OFF_TASK_STATE, SLOT_COUNT, Struct, cgroup_id, constant,
    },
    slots::{self, MAPPED},
};

#[btf_map]
static CURRENT: Array<CurrentTask, 1, MAPPED> = Array::new();
#[btf_map]
static CPU_COUNTERS: Array<CpuRecord, 1, MAPPED> = Array::new();

/// Since 5.5: BTF tracepoints. Arguments: preempted, the task going off, the task coming on.
#[btf_tracepoint(function = "sched_switch")]
pub fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    let preempted = ctx.arg::<u64>(0) != 0;
    let prev = Struct(ctx.arg::<*const u8>(1));
    let next = Struct(ctx.arg::<*const u8>(2));
    // SAFETY: a helper without arguments.
    let (cpu, now) = unsafe { (bpf_get_smp_processor_id(), bpf_ktime_get_ns()) };
    let Some(current) = CURRENT.get_ptr_mut(cpu) else { return 0 };
    // SAFETY: a live map entry that this CPU alone writes, interrupts being off; both tasks are typed arguments.
    unsafe {
        let current = &mut *current;
        charge(current, prev, preempted, cpu, now);
        admit(current, next, now);
    }
    0
}

/// Ends the running slice: adds it to where it was noted to belong.
#[inline(always)]
unsafe fn charge(current: &mut CurrentTask, prev: Struct, preempted: bool, cpu: u32, now: u64) {
    // SAFETY: `prev` is a task_struct.
    let (pid, state, runtime): (u32, u32, u64) =
        unsafe { (prev.member(&OFF_TASK_PID), prev.member(&OFF_TASK_STATE), prev.member(&OFF_TASK_RUNTIME)) };
    if current.since_ns == 0 || current.pid != u64::from(pid) {
        current.dropped += 1;
        return;
    }
    if pid == 0 {
        current.idle_ns += now.wrapping_sub(current.since_ns);
        return;
    }
    let slot = (current.running & 0xffff) as u32;
    let place = cpu * constant(&SLOT_COUNT) as u32 + slot;
    let Some(record) = CPU_COUNTERS.get_ptr_mut(place) else { return };
    // SAFETY: a live map entry that this CPU alone adds to. Volatile keeps it before the new slice's word.
    unsafe {
        let record = &mut *record;
        write_volatile(&mut record.ns, record.ns + runtime.wrapping_sub(current.runtime_ns));
        // The kernel's own rule: a task that still wanted to run was made to go.
        if preempted || state == 0 {
            record.forced += 1;
        } else {
            record.voluntary += 1;
        }
    }
}

/// Begins a slice: notes whose it is and where the task's clock stands.
#[inline(always)]
unsafe fn admit(current: &mut CurrentTask, next: Struct, now: u64) {
    // SAFETY: `next` is a task_struct.
    let pid: u32 = unsafe { next.member(&OFF_TASK_PID) };
    let mut slot = NO_SLOT;
    if pid != 0 {
        // SAFETY: as above.
        unsafe {
            current.runtime_ns = next.member(&OFF_TASK_RUNTIME);
            slot = slots::find(&key_of(next));
        }
    }
    current.pid = u64::from(pid);
    current.since_ns = now;
    // SAFETY: a reference is valid to write.
    unsafe { write_volatile(&mut current.running, Running::pack(slot, now)) };
}

/// The key of the cgroup that `task`'s CPU time goes to: on v2 its one cgroup, else that of cpuacct.
#[inline(always)]
unsafe fn key_of(task: Struct) -> CgroupKey {
    let hierarchy = constant(&CPU_HIERARCHY) as u32;
    // SAFETY: `task` is a task_struct, its `cgroups` a css_set.
    unsafe {
        let set = task.follow(&OFF_TASK_CGROUPS);
        let cgroup = if hierarchy == 0 {
            set.follow(&OFF_CSS_SET_DEFAULT)
        } else {
            set.follow(&OFF_CSS_SET_CPUACCT).follow(&OFF_CSS_CGROUP)
        };
        CgroupKey::new(cgroup_id(cgroup), hierarchy)
    }
}
