//! Cgroups that were there before the exporter are counted, though the right to say so is given up.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kernel_support;

use exporter::{
    config::Paths,
    ebpf,
    source::{bpf, cgroup::Layout, privilege},
};
use kernel_support::{Group, load, request, turn};
use rustix::thread::CapabilitySet;

#[test]
fn what_is_there_is_entered_while_it_may_be() {
    let Some(_turn) = turn() else { return };
    let (cpu, v2) = (Group::cpu("enter"), Group::v2("enter"));
    let kernel = load(&request());
    let counters = kernel.counters.clone().unwrap();
    assert!(counters.find(cpu.key).is_none() && counters.find(v2.key).is_none());
    let paths = Paths {
        procfs: "/proc".into(),
        sysfs: "/sys".into(),
        rootfs: "/".into(),
        udev_data: "/run/udev/data".into(),
    };
    ebpf::enter_all(&kernel, &Layout::find(&paths).unwrap());
    assert!(counters.find(cpu.key).is_some(), "{}", cpu.dir.display());
    assert!(counters.find(v2.key).is_some(), "{}", v2.dir.display());
}

/// The question that decides it: since 5.19 the answer is yes for everyone.
#[test]
fn whether_maps_may_be_used_is_tried() {
    let Some(_turn) = turn() else { return };
    assert!(bpf::may_use_maps(), "as root");
    let disabled = std::fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled").unwrap();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let number = |at: usize| release.split(['.', '-']).nth(at).and_then(|n| n.parse::<u32>().ok()).unwrap();
    let free = (number(0), number(1)) >= (5, 19) || disabled.trim() == "0";
    let without = privilege::with_only(CapabilitySet::empty(), bpf::may_use_maps).unwrap();
    assert_eq!(without, free, "{release} {disabled}");
}
