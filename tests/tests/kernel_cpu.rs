//! CPU time per cgroup by the kernel half, against the kernel's own files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kernel_support;

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use exporter::source::bpf::{Counters, CpuHierarchy, Program, Request, Slot};
use kernel_support::{Ended, Group, cpu_hierarchy, load, only, turn, until, v2_root};
use tests::live::thrice;

const SPIN: &str = "while :; do :; done";
const FORK: &str = "while :; do /bin/true; done";

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

/// The kernel's figure, ours, the kernel's again: ours belongs between, slices still running aside.
fn look(group: &Group, counters: &Counters) -> (Duration, Duration, Duration) {
    let first = group.kernel_cpu();
    let ours = group.our_cpu(counters);
    (first, ours, group.kernel_cpu())
}

#[test]
fn a_busy_cgroup_agrees_with_the_kernel_within_a_hundredth() {
    let Some(_turn) = turn() else { return };
    thrice(|| agrees(&cpu_hierarchy()));
}

/// cgroup v2 keeps each cgroup's CPU time even where the cpu controller is with v1.
#[test]
fn it_agrees_in_cgroup_v2_too() {
    let Some(_turn) = turn() else { return };
    thrice(|| agrees(&CpuHierarchy { id: 0, root: v2_root() }));
}

/// A task that waits most of the time goes off to an idle CPU, the way that some kernels tell of least.
#[test]
fn one_that_sleeps_and_wakes_agrees_too() {
    let Some(_turn) = turn() else { return };
    thrice(|| {
        let kernel = load(&only(Program::Cpu));
        let counters = kernel.counters.as_ref().unwrap();
        let group = Group::cpu("naps");
        counters.enter(group.key).unwrap();
        let load = Ended(group.run(&format!("exec {} cpu 30", tests::load::binary().display())));
        sleep(Duration::from_secs(4));
        drop(load);
        sleep(Duration::from_millis(50));
        let (theirs, ours, _) = look(&group, counters);
        println!("ours {:.3} ms, the kernel's {:.3}, {:?}", ms(ours), ms(theirs), counters.usage());
        assert!(theirs > Duration::from_millis(500), "the load did not run: {theirs:?}");
        assert!(ours.abs_diff(theirs) <= theirs / 100, "ours {ours:?}, the kernel's {theirs:?}");
    });
}

fn agrees(cpu: &CpuHierarchy) {
    let group = Group::new(&cpu.root, cpu.id, "busy");
    let kernel = load(&Request { cpu: cpu.clone(), ..only(Program::Cpu) });
    let counters = kernel.counters.as_ref().unwrap();
    counters.enter(group.key).unwrap();
    let load = [group.run(SPIN), group.run(SPIN), group.run(SPIN), group.run(FORK)].map(Ended);
    sleep(Duration::from_millis(200));
    // While it runs: `running_ns` tells how much may be missing.
    for _ in 0..5 {
        sleep(Duration::from_millis(200));
        let (_, ours, after) = look(&group, counters);
        let totals = counters.cpu(counters.find(group.key).unwrap());
        let running = Duration::from_nanos(totals.running_ns);
        println!("ours {:.3} ms + running {:.3}, the kernel's {:.3}", ms(ours), ms(running), ms(after));
        assert!(ours <= after + Duration::from_millis(5), "ahead of the kernel");
    }
    drop(load);
    assert!(until(Duration::from_secs(5), || group.pids().is_empty()));
    sleep(Duration::from_millis(50));
    let (theirs, ours, _) = look(&group, counters);
    let allowed = (theirs / 100).max(Duration::from_millis(20));
    println!("ours {:.3} ms, the kernel's {:.3}, {:+.3}", ms(ours), ms(theirs), ms(ours) - ms(theirs));
    assert!(theirs > Duration::from_millis(500), "the load did not run: {theirs:?}");
    assert!(ours + allowed >= theirs, "ours {ours:?}, the kernel's {theirs:?}");
    assert!(ours <= theirs + Duration::from_millis(5), "ours {ours:?}, the kernel's {theirs:?}");
    let totals = counters.cpu(counters.find(group.key).unwrap());
    assert!(totals.voluntary > 0 && totals.forced > 0, "{totals:?}");
    assert_eq!(totals.running_ns, 0, "nothing runs any more");
}

#[test]
fn a_task_that_only_spins_advances_at_every_look() {
    let Some(_turn) = turn() else { return };
    let kernel = load(&only(Program::Cpu));
    let counters = kernel.counters.as_ref().unwrap();
    let group = Group::cpu("spin");
    let slot = counters.enter(group.key).unwrap();
    // Real-time: nothing takes the CPU from it but the kernel's own throttling of such tasks.
    let spinner = Ended(group.run(&format!("exec chrt -f 1 sh -c '{SPIN}'")));
    sleep(Duration::from_millis(300));
    let total = |counters: &Counters| {
        let totals = counters.cpu(slot);
        totals.ns + totals.running_ns
    };
    let mut seen_running = 0;
    let mut last = total(counters);
    for _ in 0..30 {
        sleep(Duration::from_millis(10));
        let now = counters.cpu(slot);
        seen_running += u32::from(now.running_ns > 0);
        let sum = now.ns + now.running_ns;
        assert!(sum > last, "stood still at {sum} ns: {now:?}");
        last = sum;
    }
    assert!(seen_running >= 20, "in the midst of a slice at {seen_running} looks of 30");
    drop(spinner);
}

/// By the kernel's own rule for `/proc/PID/status`.
#[test]
fn switches_are_counted_by_kind() {
    let Some(_turn) = turn() else { return };
    let kernel = load(&only(Program::Cpu));
    let counters = kernel.counters.as_ref().unwrap();
    let group = Group::cpu("switch");
    let slot = counters.enter(group.key).unwrap();
    let sleeper = Ended(
        group.run("exec sh -c 'i=0; while [ $i -lt 100 ]; do sleep 0.001; i=$((i+1)); done; exec sleep 60'"),
    );
    sleep(Duration::from_millis(1500));
    let totals = counters.cpu(slot);
    println!("{totals:?}");
    // The shell waits for each sleep, and each sleep sleeps.
    assert!(totals.voluntary >= 200, "{totals:?}");
    assert!(totals.voluntary < 2000, "{totals:?}");
    drop(sleeper);
}

/// With every CPU at work: one that sleeps is counted from its first switch on, which may be seconds away.
#[test]
fn all_slots_and_idle_time_make_up_the_machines_time() {
    let Some(_turn) = turn() else { return };
    thrice(|| {
        let kernel = load(&only(Program::Cpu));
        let counters = kernel.counters.as_ref().unwrap();
        let group = Group::cpu("whole");
        let cpus = std::thread::available_parallelism().unwrap().get();
        let _busy: Vec<Ended> = (0..cpus).map(|_| Ended(group.run(SPIN))).collect();
        sleep(Duration::from_millis(500));
        let (start, before, lost_before) = (Instant::now(), whole(counters), stolen());
        sleep(Duration::from_secs(2));
        let (span, after, lost) = (start.elapsed(), whole(counters), stolen().saturating_sub(lost_before));
        let ours = Duration::from_nanos(after - before) + lost;
        let wall = span * u32::try_from(cpus).unwrap();
        println!("{:?}", counters.usage());
        println!("ours {ours:?} (stolen {lost:?}), {cpus} CPUs for {span:?}: {wall:?}");
        let off = ours.abs_diff(wall);
        assert!(off < wall / 50 + Duration::from_millis(20), "off by {off:?}");
    });
}

/// All that was charged, known cgroup or not, with what runs now. Only the unknown slot is in use here.
fn whole(counters: &Counters) -> u64 {
    let unknown = counters.cpu(Slot::UNKNOWN);
    let idle: u64 = (0..1024).filter_map(|cpu| counters.idle_ns(cpu)).sum();
    unknown.ns + unknown.running_ns + idle
}

/// Time taken by the hypervisor and by interrupts, which no task is charged for.
fn stolen() -> Duration {
    let text = std::fs::read_to_string("/proc/stat").unwrap();
    let fields: Vec<u64> =
        text.lines().next().unwrap().split_whitespace().skip(1).map(|f| f.parse().unwrap()).collect();
    Duration::from_millis((fields[5] + fields[6] + fields[7]) * 10)
}

#[test]
fn the_hierarchy_is_that_of_cpu_time() {
    let hierarchy = cpu_hierarchy();
    assert!(hierarchy.root.join("cgroup.procs").exists(), "{hierarchy:?}");
}
