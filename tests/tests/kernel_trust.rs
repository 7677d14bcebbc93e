//! When the kernel half must not be believed, may not be loaded, or has to be gone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kernel_support;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use exporter::source::bpf::{self, Program, Reason, Request, btf::Btf, offsets::VMLINUX};
use exporter_common::names::offset;
use kernel_support::{Ended, Group, cpu_hierarchy, load, only, request, turn, until};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

/// Moves this process into the group until dropped: the self-test then speaks of a cgroup that is not the root of
/// every hierarchy at once, where all ids are 1.
struct Inside(PathBuf);

impl Inside {
    fn new(group: &Group) -> Self {
        fs::write(group.dir.join("cgroup.procs"), "0").unwrap();
        Self(group.dir.parent().unwrap().to_owned())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        fs::write(self.0.join("cgroup.procs"), "0").unwrap();
    }
}

#[test]
fn a_wrong_offset_ends_in_refusal_never_in_belief() {
    let Some(_turn) = turn() else { return };
    let blob = fs::read(VMLINUX).unwrap();
    let btf = Btf::parse(&blob).unwrap();
    let at = |of: &str, path: &str| u64::from(btf.member(of, path).unwrap().offset);
    let group = Group::cpu("poison");
    // Company, so that the burner of the self-test is made to go.
    let spin = "while :; do :; done";
    let company = Group::cpu("company");
    let _spinners = [company.run(spin), company.run(spin), company.run(spin)].map(Ended);
    let inside = Inside::new(&group);
    let v1 = cpu_hierarchy().id != 0;
    let group_of_set = if v1 { offset::CSS_SET_CPUACCT } else { offset::CSS_SET_DEFAULT };
    let (group_of_set, group_at) =
        (group_of_set, if v1 { ("css_set", "subsys") } else { ("css_set", "dfl_cgrp") });
    // The same type a field further, another field of the like, half a word off, nonsense.
    let poisons = [
        (offset::TASK_RUNTIME, at("task_struct", "se.vruntime")),
        (offset::TASK_RUNTIME, at("task_struct", "se.nr_migrations")),
        (offset::TASK_RUNTIME, at("task_struct", "se.sum_exec_runtime") + 4),
        (offset::TASK_RUNTIME, at("task_struct", "start_time")),
        (offset::TASK_STATE, at("task_struct", "flags")),
        (offset::TASK_STATE, at("task_struct", "exit_code")),
        (offset::TASK_PID, at("task_struct", "exit_signal")),
        (offset::TASK_CGROUPS, at("task_struct", "mm")),
        (offset::TASK_CGROUPS, at("task_struct", "cgroups") + 8),
        (offset::TASK_CGROUPS, 0),
        (group_of_set, at(group_at.0, group_at.1) + 8),
        (group_of_set, 1 << 40),
        (offset::CGROUP_KN, at("cgroup", "kn") + 8),
        (offset::KN_ID, at("kernfs_node", "id") + 8),
    ];
    for (name, value) in poisons {
        let kernel = bpf::load(&Request { poison: vec![(name, value)], ..only(Program::Cpu) });
        let status = kernel.status.iter().find(|s| s.program == Program::Cpu).unwrap();
        println!("{name} = {value}: {} {}", status.reason, status.detail.lines().last().unwrap_or_default());
        assert!(
            matches!(status.reason, Reason::Rejected | Reason::SelftestFailed),
            "{name} = {value}: {status:?}"
        );
        assert!(!status.detail.is_empty() && kernel.counters.is_none());
    }
    let life = [
        (offset::CGROUP_LEVEL, at("cgroup", "max_depth")),
        (offset::CGROUP_ROOT, at("cgroup", "kn")),
        (offset::ROOT_HIERARCHY, at("cgroup_root", "flags")),
        (offset::KN_ID, at("kernfs_node", "priv")),
    ];
    for (name, value) in life {
        let kernel = bpf::load(&Request { poison: vec![(name, value)], ..only(Program::Life) });
        let reason = kernel.status_of(Program::Life);
        println!("{name} = {value}: life {reason}");
        assert!(matches!(reason, Reason::Rejected | Reason::SelftestFailed), "{name} = {value}: {reason}");
        assert!(kernel.life.is_none());
    }
    // And unpoisoned, from the same place, it is believed.
    load(&request());
    drop(inside);
}

#[test]
fn each_program_fails_alone() {
    let Some(_turn) = turn() else { return };
    let kernel = bpf::load(&Request { poison: vec![(offset::TASK_CGROUPS, 0)], ..request() });
    assert_eq!(kernel.status_of(Program::Cpu), Reason::Rejected);
    assert_eq!(kernel.status_of(Program::Net), Reason::Ok);
    assert_eq!(kernel.status_of(Program::Life), Reason::Ok);
    let counters = kernel.counters.as_ref().unwrap();
    assert_eq!(counters.idle_ns(0), None, "no figures of a program that does not run");

    for root in [None, Some(PathBuf::from("/nonexistent")), Some(PathBuf::from("/proc"))] {
        let kernel = bpf::load(&Request { cgroup2_root: root, ..request() });
        assert_eq!(kernel.status_of(Program::Net), Reason::NoCgroup2, "{:?}", kernel.status);
        assert_eq!(kernel.status_of(Program::Cpu), Reason::Ok);
    }
    let off = bpf::load(&Request { programs: Vec::new(), ..request() });
    assert!(off.status.iter().all(|s| s.reason == Reason::Off) && off.counters.is_none());
}

/// Drops every capability of the calling thread.
fn drop_all_rights() {
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).unwrap();
}

#[test]
fn without_rights_it_is_said() {
    let Some(_turn) = turn() else { return };
    let (kernel, status) = thread::spawn(|| {
        drop_all_rights();
        let kernel = bpf::load(&request());
        let status = kernel.status.clone();
        (kernel.counters.is_some(), status)
    })
    .join()
    .unwrap();
    assert!(!kernel && status.iter().all(|s| s.reason == Reason::NoPermission), "{status:?}");
}

/// With `kernel.unprivileged_bpf_disabled` as it is here; before 5.19 the slot of a cgroup whose birth was missed
/// needs `CAP_BPF`, all else does not.
#[test]
fn reading_needs_no_rights() {
    let Some(_turn) = turn() else { return };
    println!(
        "unprivileged_bpf_disabled {:?}",
        fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled")
    );
    let early = Group::cpu("early");
    let mut kernel = load(&request());
    let counters = kernel.counters.take().unwrap();
    let mut life = kernel.life.take().unwrap();
    let born = Group::cpu("born");
    let mut child = Ended(born.run("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; exit 0"));
    assert!(child.0.wait().unwrap().success());
    let (early_key, born_key) = (early.key, born.key);
    thread::spawn(move || {
        drop_all_rights();
        assert!(life.drain(|_| {}) > 0);
        let slot = counters.find(born_key).expect("its birth was told");
        assert!(counters.cpu(slot).ns > 0);
        counters.leave(born_key);
        let entered = counters.enter(early_key);
        assert!(entered.is_some(), "bpf(2) on a map in hand is allowed since 5.19");
        counters.leave(early_key);
        assert!(counters.usage().capacity > 0);
    })
    .join()
    .unwrap();
}

/// Run by the test below in a process of its own.
#[test]
#[ignore = "a part of a_killed_process_leaves_nothing"]
fn holds_until_killed() {
    let kernel = load(&request());
    println!("HOLDING");
    thread::sleep(Duration::from_mins(1));
    drop(kernel);
}

/// The numbers after `what` in what `/proc` says of the process' descriptors.
fn held(pid: u32, what: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        found.extend(text.lines().filter_map(|l| l.strip_prefix(what)?.trim().parse::<u32>().ok()));
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn a_killed_process_leaves_nothing() {
    let Some(_turn) = turn() else { return };
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "holds_until_killed", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = holder.id();
    let mut output = BufReader::new(holder.stdout.take().unwrap()).lines();
    let mut holder = Ended(holder);
    assert!(output.any(|line| line.unwrap().contains("HOLDING")));
    let (programs, maps, links) = (held(pid, "prog_id:"), held(pid, "map_id:"), held(pid, "link_id:"));
    println!("programs {programs:?}, maps {maps:?}, links {links:?}");
    assert!(programs.len() >= 6 && maps.len() >= 8 && links.len() >= 6);
    holder.0.kill().unwrap();
    holder.0.wait().unwrap();
    let left = || {
        let programs_left: Vec<_> = aya::programs::loaded_programs()
            .flatten()
            .map(|p| p.id())
            .filter(|id| programs.contains(id))
            .collect();
        let maps_left: Vec<_> =
            aya::maps::loaded_maps().flatten().map(|m| m.id()).filter(|id| maps.contains(id)).collect();
        let links_left: Vec<_> =
            aya::programs::loaded_links().flatten().map(|l| l.id()).filter(|id| links.contains(id)).collect();
        (programs_left, maps_left, links_left)
    };
    let nothing = (Vec::new(), Vec::new(), Vec::new());
    assert!(until(Duration::from_secs(5), || left() == nothing), "left {:?}", left());
}

#[test]
fn dropping_it_leaves_nothing_either() {
    let Some(_turn) = turn() else { return };
    let kernel = load(&request());
    let links = held(std::process::id(), "link_id:");
    assert!(links.len() >= 6);
    drop(kernel);
    assert!(held(std::process::id(), "link_id:").is_empty());
    assert!(until(Duration::from_secs(5), || {
        !aya::programs::loaded_links().flatten().any(|link| links.contains(&link.id()))
    }));
}

#[test]
fn what_the_programs_cost_is_known_when_asked_for() {
    let Some(_turn) = turn() else { return };
    let kernel = load(&Request { stats: true, ..request() });
    thread::sleep(Duration::from_millis(300));
    let stats = kernel.program_stats();
    println!("{stats:?}");
    let switch = stats.iter().find(|s| s.name == "sched_switch").unwrap();
    assert!(switch.runs > 10 && switch.ns / switch.runs < 100_000, "{switch:?}");
}
