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
        CPU_HIERARCHY, OFF_CSS_CGROUP, OFF_CSS_SET_CPUACCT, OFF_CSS_SET_DEFAULT, OFF_TASK_CGROUPS,
        OFF_TASK_PID, OFF_TASK_RUNTIME, OFF_TASK_SLICE_START, OFF_TASK_STATE, SLOT_COUNT, Struct, cgroup_id,
        cgroup_key, constant,
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
        charge(current, prev, next, preempted, cpu, now);
        admit(current, next, now);
    }
    0
}

/// Since 5.5. A task that moves itself (`echo $$ > cgroup.procs`) ends its slice for the old cgroup here, or the
/// new one would miss what it burns before its next switch. Arguments: the new cgroup, its path, the task.
#[btf_tracepoint(function = "cgroup_attach_task")]
pub fn cgroup_attach_task(ctx: BtfTracePointContext) -> i32 {
    let cgroup = Struct(ctx.arg::<*const u8>(0));
    let task = Struct(ctx.arg::<*const u8>(2));
    // SAFETY: typed arguments; helpers without arguments.
    let (key, pid, runtime, cpu, now) = unsafe {
        let (pid, runtime): (u32, u64) = (task.member(&OFF_TASK_PID), task.member(&OFF_TASK_RUNTIME));
        (cgroup_key(cgroup), pid, runtime, bpf_get_smp_processor_id(), bpf_ktime_get_ns())
    };
    if key.hierarchy != constant(&CPU_HIERARCHY) as u32 {
        return 0;
    }
    let Some(current) = CURRENT.get_ptr_mut(cpu) else { return 0 };
    // SAFETY: a live map entry that this CPU alone writes; the kernel calls with interrupts off.
    let current = unsafe { &mut *current };
    if current.since_ns == 0 || pid == 0 || current.pid != u64::from(pid) {
        return 0;
    }
    add(cpu, running_slot(current), runtime.wrapping_sub(current.runtime_ns));
    current.runtime_ns = runtime;
    current.since_ns = now;
    begin(current, slots::find(&key), now);
    0
}

/// Ends the running slice: adds it to where it was noted to belong.
#[inline(always)]
unsafe fn charge(current: &mut CurrentTask, prev: Struct, next: Struct, preempted: bool, cpu: u32, now: u64) {
    // SAFETY: `prev` is a task_struct.
    let (pid, state, runtime): (u32, u32, u64) =
        unsafe { (prev.member(&OFF_TASK_PID), prev.member(&OFF_TASK_STATE), prev.member(&OFF_TASK_RUNTIME)) };
    if current.since_ns == 0 {
        current.dropped += 1;
        return;
    }
    let wall = now.wrapping_sub(current.since_ns);
    let (slot, ns) = if current.pid == u64::from(pid) {
        (running_slot(current), runtime.wrapping_sub(current.runtime_ns))
    } else {
        // A switch nobody told us of: the task that was noted went off, and `prev` came on.
        current.unseen += 1;
        let noted = unsafe { went_off_unseen(current, next) }.min(wall);
        add(cpu, running_slot(current), noted);
        // The scheduler noted the clock at the slice's start; not for every class.
        // SAFETY: `prev` is a task_struct.
        let start: u64 = unsafe { prev.member(&OFF_TASK_SLICE_START) };
        // SAFETY: as above.
        (slots::find(&unsafe { key_of(prev) }), runtime.wrapping_sub(start).min(wall - noted))
    };
    if pid == 0 {
        current.idle_ns += if current.pid == 0 { wall } else { 0 };
        return;
    }
    let Some(record) = add(cpu, slot, ns) else { return };
    // The kernel's own rule: a task that still wanted to run was made to go.
    if preempted || state == 0 {
        record.forced += 1;
    } else {
        record.voluntary += 1;
    }
}

/// How long the noted task ran before it went off unseen. Known if it has not been on a CPU since, or comes on now.
///
/// # Safety
/// `next` is a task_struct.
#[inline(always)]
unsafe fn went_off_unseen(current: &CurrentTask, next: Struct) -> u64 {
    if current.pid == 0 {
        return 0;
    }
    let noted = Struct(current.task as *const u8);
    // SAFETY: the task may be gone: these reads are checked by the kernel, and what they find is checked here.
    let (pid, runtime, start): (Option<u32>, Option<u64>, Option<u64>) = unsafe {
        (
            noted.try_member(&OFF_TASK_PID),
            noted.try_member(&OFF_TASK_RUNTIME),
            noted.try_member(&OFF_TASK_SLICE_START),
        )
    };
    let (Some(pid), Some(runtime), Some(start)) = (pid, runtime, start) else { return 0 };
    let is_same = u64::from(pid) == current.pid && (noted.0 == next.0 || start == current.runtime_ns);
    if is_same { runtime.saturating_sub(current.runtime_ns) } else { 0 }
}

#[inline(always)]
fn running_slot(current: &CurrentTask) -> u32 {
    (current.running & 0xffff) as u32
}

/// Adds CPU time to `slot` and gives its record.
#[inline(always)]
fn add(cpu: u32, slot: u32, ns: u64) -> Option<&'static mut CpuRecord> {
    let place = cpu * constant(&SLOT_COUNT) as u32 + slot;
    // SAFETY: a live map entry that this CPU alone adds to.
    let record = unsafe { &mut *CPU_COUNTERS.get_ptr_mut(place)? };
    // SAFETY: a reference is valid to write. Volatile keeps it before the next slice's word.
    unsafe { write_volatile(&mut record.ns, record.ns + ns) };
    Some(record)
}

/// Says in one store whose slice runs from `now` on.
#[inline(always)]
fn begin(current: &mut CurrentTask, slot: u32, now: u64) {
    // SAFETY: a reference is valid to write.
    unsafe { write_volatile(&mut current.running, Running::pack(slot, now)) };
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
    current.task = next.0 as u64;
    current.since_ns = now;
    begin(current, slot, now);
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
