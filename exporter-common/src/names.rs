//! Names of programs, maps and load-time constants: the kernel half defines symbols of exactly these names.

/// `tp_btf/sched_switch`.
pub const PROGRAM_CPU: &str = "sched_switch";
/// `tp_btf/cgroup_attach_task`.
pub const PROGRAM_MOVED: &str = "cgroup_attach_task";
/// `cgroup_skb/ingress`.
pub const PROGRAM_NET_IN: &str = "net_ingress";
/// `cgroup_skb/egress`.
pub const PROGRAM_NET_OUT: &str = "net_egress";
/// `tp_btf/cgroup_mkdir`.
pub const PROGRAM_BORN: &str = "cgroup_mkdir";
/// `tp_btf/cgroup_rmdir`.
pub const PROGRAM_DIED: &str = "cgroup_rmdir";

/// Hash: [`crate::CgroupKey`] to slot number (u32).
pub const MAP_SLOTS: &str = "SLOTS";
/// Array, mapped: [`crate::Owner`] of each slot.
pub const MAP_OWNERS: &str = "OWNERS";
/// Array, mapped: ring of [`crate::Offer`] entries.
pub const MAP_OFFERS: &str = "OFFERS";
/// Array, mapped: [`crate::CpuRecord`], bank by bank.
pub const MAP_CPU: &str = "CPU_COUNTERS";
/// Array, mapped: [`crate::NetRecord`], bank by bank.
pub const MAP_NET: &str = "NET_COUNTERS";
/// Array, mapped: [`crate::CurrentTask`] of each CPU.
pub const MAP_CURRENT: &str = "CURRENT";
/// Array of one, mapped: [`crate::LifeState`].
pub const MAP_LIFE_STATE: &str = "LIFE_STATE";
/// Ring buffer of [`crate::LifeEvent`] with path.
pub const MAP_LIFE_EVENTS: &str = "LIFE_EVENTS";

/// Slots in a bank (u64).
pub const SLOT_COUNT: &str = "SLOT_COUNT";
/// Entries in the ring of offers less one; the number of entries is a power of two (u64).
pub const OFFER_MASK: &str = "OFFER_MASK";
/// Number of the hierarchy whose cgroups CPU time is charged to (u64).
pub const CPU_HIERARCHY: &str = "CPU_HIERARCHY";

/// Byte offsets of kernel struct members, as u64 each. The comment names the member.
pub mod offset {
    /// `task_struct.pid`
    pub const TASK_PID: &str = "OFF_TASK_PID";
    /// `task_struct.__state`, `state` before 5.14
    pub const TASK_STATE: &str = "OFF_TASK_STATE";
    /// `task_struct.se.sum_exec_runtime`
    pub const TASK_RUNTIME: &str = "OFF_TASK_RUNTIME";
    /// `task_struct.se.prev_sum_exec_runtime`
    pub const TASK_SLICE_START: &str = "OFF_TASK_SLICE_START";
    /// `task_struct.cgroups`
    pub const TASK_CGROUPS: &str = "OFF_TASK_CGROUPS";
    /// `css_set.dfl_cgrp`
    pub const CSS_SET_DEFAULT: &str = "OFF_CSS_SET_DEFAULT";
    /// `css_set.subsys[cpuacct]`
    pub const CSS_SET_CPUACCT: &str = "OFF_CSS_SET_CPUACCT";
    /// `cgroup_subsys_state.cgroup`
    pub const CSS_CGROUP: &str = "OFF_CSS_CGROUP";
    /// `cgroup.kn`
    pub const CGROUP_KN: &str = "OFF_CGROUP_KN";
    /// `cgroup.level`
    pub const CGROUP_LEVEL: &str = "OFF_CGROUP_LEVEL";
    /// `cgroup.root`
    pub const CGROUP_ROOT: &str = "OFF_CGROUP_ROOT";
    /// `cgroup_root.hierarchy_id`
    pub const ROOT_HIERARCHY: &str = "OFF_ROOT_HIERARCHY";
    /// `kernfs_node.id`
    pub const KN_ID: &str = "OFF_KN_ID";
}
