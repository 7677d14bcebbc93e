//! Collectors that ask devices and not files: drivers, performance counters. Beside the reference, in a network
//! namespace of the test's own where the devices are those the test makes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{CapabilitySet, CpuSet, UnshareFlags, sched_getaffinity, sched_setaffinity, unshare_unsafe},
};
use tests::{
    exporter::{Copied, Exporter},
    http, live,
    page::{Page, Sample},
    prometheus::program,
    running::{Running, until},
};

/// Moves this thread, and what it starts from now on, to a network namespace with a /sys of its own.
fn enter_namespace() {
    // SAFETY: the thread leaves two namespaces; its file descriptors stay as they are.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::NEWNET) }.unwrap();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None).unwrap();
    ip("link set lo up");
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}: {status}");
}

fn may_make_namespaces() -> bool {
    let have =
        Command::new("ip").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    live::root() && live::need("the `ip` command", have)
}

/// An exporter of nothing but these collectors.
fn exporter(flags: &[&str]) -> Exporter {
    let alone =
        ["--collector.disable-defaults", "--ebpf=off", "--no-container", "--docker=", "--scrape.share=0"];
    Exporter::start(&[&alone[..], flags].concat())
}

type Series = BTreeMap<(String, BTreeMap<String, String>), Sample>;

fn series(page: &Page) -> Series {
    let own = |name: &str| {
        let foreign = ["node_scrape_collector_duration", "node_exporter_"];
        name.starts_with("node_") && !foreign.iter().any(|prefix| name.starts_with(prefix))
    };
    let samples = page.samples.iter().filter(|sample| own(&sample.name)).cloned();
    samples.map(|sample| ((sample.name.clone(), sample.labels.clone()), sample)).collect()
}

/// Both exporters with these flags, scraped in turn: the same series and types, and where they read what the kernel has
/// counted (and not what they count themselves) each of our values between the reference's two. Gives our page.
fn compare(reference: &Path, flags: &[&str], reads: bool) -> Page {
    let mut all = vec!["--collector.disable-defaults"];
    all.extend_from_slice(flags);
    let address = http::free_address();
    let mut command = Command::new(reference);
    command.args(&all).arg("--web.disable-exporter-metrics").arg(format!("--web.listen-address={address}"));
    let reference = Running::start(&mut command);
    let scrape = || Page::parse(&http::get(address, "/metrics").unwrap().text());
    let up = until(Duration::from_secs(20), || http::get(address, "/").is_ok());
    assert!(up, "the reference did not start: {}", reference.said());
    all.extend(["--ebpf=off", "--no-container", "--docker=", "--scrape.share=0"]);
    let exporter = Exporter::start(&all);
    let (before, page, after) = (scrape(), exporter.page(), scrape());
    let (low, ours, high) = (series(&before), series(&page), series(&after));
    let names = |series: &Series| series.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&low), "{}", exporter.process.said());
    for (key, sample) in &ours {
        let lies_between = low[key].value <= sample.value && sample.value <= high[key].value;
        assert!(lies_between || !reads, "{sample:?}");
        assert_eq!(page.types.get(&key.0), before.types.get(&key.0), "{}", key.0);
    }
    page
}

#[test]
fn drivers_are_the_reference_s() {
    if !may_make_namespaces() {
        return;
    }
    let Some(reference) = program("prometheus-node-exporter") else { return };
    enter_namespace();
    ip("link add name veth-a numrxqueues 3 numtxqueues 2 type veth peer name veth-b");
    ip("link add name ifb7 type ifb");
    ip("link add name bridge0 type bridge");
    ip("link set veth-a up");
    ip("link set veth-b up");
    let page = compare(&reference, &["--collector.ethtool"], true);
    let info = |device| page.value("node_ethtool_info", &[("device", device)]);
    assert_eq!(
        [info("veth-a"), info("ifb7"), info("bridge0"), info("lo")],
        [Some(1.0), Some(1.0), Some(1.0), None]
    );
    let count =
        page.samples.iter().filter(|sample| sample.name.starts_with("node_ethtool_received_queue_")).count();
    assert!(count >= 6, "{count} counters of queues");
    let peer = page.value("node_ethtool_peer_ifindex", &[("device", "veth-a")]).unwrap();
    let index = std::fs::read_to_string("/sys/class/net/veth-b/ifindex").unwrap();
    assert_eq!(Ok(peer), index.trim().parse());
    let some = ["--collector.ethtool.device-include=veth|ifb", "--collector.ethtool.device-exclude=-b$"];
    let some =
        [&some[..], &["--collector.ethtool", "--collector.ethtool.metrics-include=^rx_|peer"]].concat();
    let page = compare(&reference, &some, true);
    assert!(page.value("node_ethtool_peer_ifindex", &[("device", "veth-b")]).is_none());
    assert!(!page.names().iter().any(|name| name.starts_with("node_ethtool_transmitted")));
}

/// An interface that is made anew under its name, with more queues, gets the names of these.
#[test]
fn a_driver_that_changes_is_asked_anew() {
    if !may_make_namespaces() {
        return;
    }
    enter_namespace();
    let exporter = exporter(&["--collector.ethtool"]);
    let queues = |count: u32| {
        ip(&format!(
            "link add name veth-a numrxqueues {count} numtxqueues {count} type veth peer name veth-b"
        ));
        ip("link set veth-a up");
        ip("link set veth-b up");
        let page = exporter.page();
        let found = (0..9).filter(|queue| {
            let name = format!("node_ethtool_received_queue_{queue}_xdp_packets");
            page.value(&name, &[("device", "veth-a")]).is_some()
        });
        assert_eq!(found.count(), usize::try_from(count).unwrap());
        let numbers = page.matching("node_ethtool_peer_ifindex", &[]).count();
        assert_eq!(numbers, 2, "no series of an interface that is gone");
        ip("link del veth-a");
    };
    queues(1);
    queues(4);
    queues(2);
    assert_eq!(
        exporter.page().value("node_scrape_collector_success", &[("collector", "ethtool")]),
        Some(1.0)
    );
}

const EXEC: &str = "--collector.perf.tracepoint=sched:sched_process_exec";
/// A system call that hardly anyone makes.
const RARE: &str = "--collector.perf.tracepoint=syscalls:sys_enter_sched_get_priority_max";

fn may_count() -> bool {
    let id = "/sys/kernel/tracing/events/syscalls/sys_enter_sched_get_priority_max/id";
    live::root() && live::need("tracepoints of system calls", std::fs::read(id).is_ok())
}

#[test]
fn counters_of_the_performance_monitor_are_the_reference_s() {
    let Some(reference) = program("prometheus-node-exporter") else { return };
    if !may_count() {
        return;
    }
    let page = compare(&reference, &["--collector.perf", EXEC], false);
    let count = page.matching("node_perf_sched_sched_process_exec", &[]).count();
    assert!(count > 0 && page.matching("node_perf_minor_faults_total", &[]).count() == count);
    for flags in [
        &["--collector.perf.cpus=0,0-7:3", "--collector.perf.software-profilers=MajorFault"][..],
        &["--collector.perf.software-profilers=Nonsense", "--collector.perf.disable-hardware-profilers"],
        &["--collector.perf.disable-software-profilers", EXEC, RARE],
        &["--collector.perf.cpus=8000"],
    ] {
        compare(&reference, &[&["--collector.perf"], flags].concat(), false);
    }
}

/// Makes the rare system call and touches fresh pages on this CPU, that many times.
fn act_on(cpu: usize, times: usize) {
    let before = sched_getaffinity(None).unwrap();
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).unwrap();
    let mut pages = vec![0_u8; (times + 2) * 4096 + (1 << 21)];
    for page in 0..times {
        // SAFETY: a number in, a number out.
        assert!(unsafe { libc::sched_get_priority_max(libc::SCHED_FIFO) } > 0);
        pages[page * 4096] = 1;
    }
    assert_eq!(std::hint::black_box(pages)[0], 1);
    sched_setaffinity(None, &before).unwrap();
}

#[test]
fn each_event_is_counted_on_its_cpu() {
    if !may_count() {
        return;
    }
    let exporter = exporter(&["--collector.perf", RARE]);
    let page = exporter.page();
    let calls = |page: &Page, cpu: &str| {
        page.value("node_perf_syscalls_sys_enter_sched_get_priority_max", &[("cpu", cpu)]).unwrap()
    };
    let allowed = sched_getaffinity(None).unwrap();
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).take(4).collect();
    let mut times = 100;
    for cpu in &cpus {
        act_on(*cpu, times);
        times += 100;
    }
    let after = exporter.page();
    let mut expected = 100.0;
    for cpu in cpus {
        let cpu = cpu.to_string();
        let counted = calls(&after, &cpu) - calls(&page, &cpu);
        assert!((counted - expected).abs() < f64::EPSILON, "CPU {cpu}: {counted} of {expected}");
        let faults = |page: &Page| page.value("node_perf_minor_faults_total", &[("cpu", &cpu)]).unwrap();
        assert!(faults(&after) > faults(&page));
        let switches =
            |page: &Page| page.value("node_perf_context_switches_total", &[("cpu", &cpu)]).unwrap();
        assert!(switches(&after) > switches(&page));
        expected += 100.0;
    }
}

/// Counters are opened while the right to is there, and that right stays for CPUs that come; nobody else keeps it.
#[test]
fn the_right_to_count_stays_where_it_is_needed() {
    if !live::root() {
        return;
    }
    for (collector, kept) in [("--collector.perf", true), ("--collector.loadavg", false)] {
        let exporter = exporter(&[collector]);
        let status = std::fs::read_to_string(format!("/proc/{}/status", exporter.process.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        let held = CapabilitySet::from_bits_retain(u64::from_str_radix(line.trim(), 16).unwrap());
        assert_eq!(held.contains(CapabilitySet::PERFMON), kept, "{collector}: {held:?}");
        assert!(!held.contains(CapabilitySet::SYS_ADMIN), "{collector}: {held:?}");
    }
}

#[test]
fn who_may_not_count_is_told_so() {
    let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let is_guarded = paranoid.trim().parse::<i32>().is_ok_and(|level| level > 0);
    if !live::root() || !live::need("kernel.perf_event_paranoid above 0", is_guarded) {
        return;
    }
    let copied = Copied::new();
    let run = |flags: &[&str]| {
        let mut command = copied.by_nobody(flags);
        command.args(["--collector.disable-defaults", "--ebpf=off", "--no-container", "--docker="]);
        command
    };
    let exporter =
        Exporter::start_with(http::free_address(), &mut run(&["--collector.perf", "--collector.loadavg"]));
    let page = exporter.page();
    assert_eq!(page.value("node_scrape_collector_success", &[("collector", "perf")]), Some(0.0));
    assert_eq!(page.value("node_scrape_collector_success", &[("collector", "loadavg")]), Some(1.0));
    exporter.page();
    let said = exporter.process.said();
    assert_eq!(said.matches("perf_event_open").count(), 1, "{said}");
    let mut refused =
        Running::start(run(&["--collector.perf", EXEC]).arg("--web.listen-address=127.0.0.1:0"));
    let status = refused.wait(Duration::from_secs(10)).unwrap();
    assert_eq!(status.code(), Some(1), "{}", refused.said());
    assert!(refused.said().contains("--collector.perf.tracepoint"), "{}", refused.said());
}
