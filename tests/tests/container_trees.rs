//! The container half on made-up trees: every figure by value, and what drift, failure and death do to them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod container_support;

use std::{collections::BTreeSet, path::Path, time::Duration};

use container_support::{
    Half, has, lacks, near, settings,
    tree::{Fake, Tree},
};
use exporter::{
    config::{ContainerSettings, CpuSource},
    container::{
        families,
        kernel::{SocketCount, Traffic},
    },
    source::cgroup::{
        CgroupPath,
        spec::{MachineMemory, Spec},
    },
};
use tests::running::until;

const MS: Duration = Duration::from_millis(1);

const V2_MEMORY: &[(&str, &str)] = &[
    ("memory.current", "5000\n"),
    ("memory.peak", "6000\n"),
    ("memory.swap.current", "70\n"),
    ("memory.max", "8192\n"),
    ("memory.swap.max", "max\n"),
    ("memory.min", "0\n"),
    ("memory.events", "low 15\nhigh 3\nmax 4\noom 16\noom_kill 17\noom_group_kill 18\n"),
    (
        "memory.stat",
        "anon 100\nfile 200\nkernel 300\nfile_mapped 40\nfile_dirty 5\nfile_writeback 6\ninactive_file 700\n\
         active_file 800\npgfault 9\npgmajfault 10\npgscan 11\npgsteal 12\nworkingset_refault_anon 13\n\
         workingset_refault_file 14\n",
    ),
];

#[test]
fn every_figure_of_version_2() {
    let tree = Tree::v2();
    tree.write("cgroup", &[("cpu.stat", "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\n")]);
    tree.write("cgroup", &[("memory.stat", "anon 11\nfile 22\ninactive_file 2\n")]);
    let cpu = "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnr_periods 10\nnr_throttled 3\n\
               throttled_usec 70000\nnr_bursts 2\nburst_usec 5000\n";
    tree.write(
        "cgroup/a.slice/b",
        &[("cpu.stat", cpu), ("cpu.max", "20000 100000\n"), ("cpu.weight", "39\n")],
    );
    tree.write("cgroup/a.slice/b", V2_MEMORY);
    let pressure = |some, full| format!("some avg10=0.10 total={some}\nfull avg10=0.00 total={full}\n");
    tree.write(
        "cgroup/a.slice/b",
        &[("cpu.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=1500\n")],
    );
    tree.write("cgroup/a.slice/b", &[("memory.pressure", &pressure(2_000_000, 1_500_000))]);
    tree.write("cgroup/a.slice/b", &[("io.pressure", &pressure(4_000, 3_000))]);
    tree.set_cpu("cgroup/a.slice", 1_600_000);
    tree.set_cpu("cgroup/a.slice/x.mount", 1);
    let page = tree.half(&settings(), None).page();
    has(
        &page,
        "/a.slice/b",
        "container_cpu_usage_seconds_total{cpu=total} 1.5
         container_cpu_user_seconds_total 1
         container_cpu_system_seconds_total 0.5
         container_cpu_cfs_periods_total 10
         container_cpu_cfs_throttled_periods_total 3
         container_cpu_cfs_throttled_seconds_total 0.07
         container_cpu_cfs_burst_periods_total 2
         container_cpu_cfs_burst_seconds_total 0.005
         container_memory_usage_bytes 5000
         container_memory_working_set_bytes 4300
         container_memory_max_usage_bytes 6000
         container_memory_cache 200
         container_memory_rss 100
         container_memory_mapped_file 40
         container_memory_swap 70
         container_memory_kernel_usage 300
         container_memory_total_active_file_bytes 800
         container_memory_total_inactive_file_bytes 700
         container_memory_file_dirty_bytes 5
         container_memory_file_writeback_bytes 6
         container_memory_failcnt 4
         container_memory_events_high_total 3
         container_memory_events_max_total 4
         container_memory_pgscan_total 11
         container_memory_pgsteal_total 12
         container_memory_workingset_refault_anon_total 13
         container_memory_workingset_refault_file_total 14
         container_memory_failures_total{failure_type=pgfault,scope=container} 9
         container_memory_failures_total{failure_type=pgfault,scope=hierarchy} 9
         container_memory_failures_total{failure_type=pgmajfault,scope=container} 10
         container_memory_failures_total{failure_type=pgmajfault,scope=hierarchy} 10
         container_spec_cpu_period 100000
         container_spec_cpu_quota 20000
         container_spec_cpu_shares 998
         container_spec_memory_limit_bytes 8192
         container_spec_memory_swap_limit_bytes 0
         container_spec_memory_reservation_limit_bytes 0
         container_memory_events_low_total 15
         container_memory_events_oom_total 16
         container_memory_events_oom_kill_total 17
         container_memory_events_oom_group_kill_total 18
         container_pressure_cpu_waiting_seconds_total 0.0015
         container_pressure_cpu_stalled_seconds_total 0
         container_pressure_memory_waiting_seconds_total 2
         container_pressure_memory_stalled_seconds_total 1.5
         container_pressure_io_waiting_seconds_total 0.004
         container_pressure_io_stalled_seconds_total 0.003",
    );
    has(
        &page,
        "/",
        "container_cpu_usage_seconds_total{cpu=total} 5
         container_memory_usage_bytes 33
         container_memory_working_set_bytes 31
         container_memory_max_usage_bytes 0
         container_memory_swap 61440
         container_spec_memory_limit_bytes 1024000
         container_spec_memory_swap_limit_bytes 102400
         container_spec_cpu_period 0
         container_spec_cpu_shares 0",
    );
    // Without the controllers there is CPU time and nothing else.
    has(&page, "/a.slice", "container_cpu_usage_seconds_total{cpu=total} 1.6");
    lacks(&page, "/a.slice", &["container_memory_usage_bytes", "container_spec_cpu_shares"]);
    lacks(&page, "/a.slice", &["container_spec_memory_limit_bytes", "container_cpu_cfs_periods_total"]);
    lacks(&page, "/a.slice", &["container_pressure_cpu_waiting_seconds_total"]);
    lacks(&page, "/a.slice/x.mount", &["container_last_seen", "container_cpu_usage_seconds_total"]);
    assert!(page.value("container_start_time_seconds", &[("id", "/a.slice/b")]).unwrap() > 1e9);

    let machine = [("boot_id", "b-1"), ("machine_id", "m-1"), ("system_uuid", "u-1")];
    assert_eq!(page.value("machine_cpu_cores", &machine), Some(4.0));
    assert_eq!(page.value("machine_memory_bytes", &machine), Some(1_024_000.0));
}

#[test]
fn every_figure_of_version_1() {
    let tree = Tree::v1();
    tree.write(
        "cpu/c",
        &[("cpu.shares", "1024\n"), ("cpu.cfs_period_us", "100000\n"), ("cpu.cfs_quota_us", "-1\n")],
    );
    tree.write(
        "cpu/d",
        &[("cpu.shares", "2\n"), ("cpu.cfs_period_us", "50000\n"), ("cpu.cfs_quota_us", "25000\n")],
    );
    tree.write("cpu/d", &[("cpu.stat", "nr_periods 7\nnr_throttled 2\nthrottled_time 1500000000\n")]);
    tree.write("cpuacct/d", &[("cpuacct.usage", "2500000000\n"), ("cpuacct.stat", "user 150\nsystem 90\n")]);
    let stat = "cache 1\nrss 2\nmapped_file 3\nswap 4\npgfault 5\npgmajfault 6\ninactive_file 1\nactive_file 1\n\
                total_cache 10\ntotal_rss 20\ntotal_mapped_file 30\ntotal_swap 40\ntotal_inactive_file 70\n\
                total_active_file 80\n";
    tree.write("memory/d", &[("memory.stat", stat), ("memory.usage_in_bytes", "9000000\n")]);
    tree.write("memory/d", &[("memory.max_usage_in_bytes", "9500000\n"), ("memory.failcnt", "8\n")]);
    tree.write(
        "memory/d",
        &[("memory.limit_in_bytes", "10000000\n"), ("memory.soft_limit_in_bytes", "4096\n")],
    );
    tree.write("memory/d", &[("memory.kmem.usage_in_bytes", "12288\n")]);
    tree.write("memory/d", &[("memory.memsw.limit_in_bytes", "9223372036854771712\n")]);
    let mut half = tree.half(&settings(), None);
    let page = half.page();
    has(
        &page,
        "/d",
        "container_cpu_usage_seconds_total{cpu=total} 2.5
         container_cpu_user_seconds_total 1.5
         container_cpu_system_seconds_total 0.9
         container_cpu_cfs_periods_total 7
         container_cpu_cfs_throttled_periods_total 2
         container_cpu_cfs_throttled_seconds_total 1.5
         container_memory_usage_bytes 9000000
         container_memory_working_set_bytes 8999930
         container_memory_max_usage_bytes 9500000
         container_memory_cache 10
         container_memory_rss 20
         container_memory_mapped_file 30
         container_memory_swap 40
         container_memory_kernel_usage 12288
         container_memory_failcnt 8
         container_memory_failures_total{failure_type=pgfault,scope=hierarchy} 5
         container_memory_failures_total{failure_type=pgmajfault,scope=container} 6
         container_spec_cpu_quota 25000
         container_spec_cpu_period 50000
         container_spec_cpu_shares 2
         container_spec_memory_limit_bytes 10000000
         container_spec_memory_swap_limit_bytes 0
         container_spec_memory_reservation_limit_bytes 4096",
    );
    has(&page, "/c", "container_spec_cpu_shares 1024\ncontainer_spec_cpu_period 100000");
    lacks(&page, "/c", &["container_spec_cpu_quota", "container_cpu_cfs_periods_total"]);
    lacks(&page, "/c", &["container_cpu_usage_seconds_total", "container_memory_usage_bytes"]);
    lacks(&page, "/c", &["container_memory_kernel_usage", "container_memory_failcnt"]);
    lacks(&page, "/d", &["container_memory_events_high_total", "container_memory_events_oom_total"]);

    // Near its limit the number of failures is read at each scrape; far from it nothing can have failed.
    tree.write("memory/d", &[("memory.failcnt", "9\n")]);
    has(&half.page(), "/d", "container_memory_failcnt 9");
}

#[test]
fn a_hybrid_host_s_figures_are_those_of_version_1() {
    let tree = Tree::hybrid();
    tree.write(
        "cpu,cpuacct/s",
        &[("cpuacct.usage", "1000000000\n"), ("cpuacct.stat", "user 60\nsystem 40\n")],
    );
    tree.set_cpu("unified/s", 7_000_000);
    tree.set_cpu("unified/only", 1);
    let fake = Fake::new();
    let mut half = tree.half(&settings(), Some(fake.side()));
    let traffic = Traffic { receive_bytes: 10, receive_packets: 1, transmit_bytes: 20, transmit_packets: 2 };
    let count = SocketCount { devices: traffic, loopback: traffic };
    fake.set_sockets(tree.key("unified/only"), count);
    let page = half.page();
    has(&page, "/s", "container_cpu_usage_seconds_total{cpu=total} 1");
    has(
        &page,
        "/only",
        "container_socket_receive_bytes_total 20
         container_socket_receive_packets_total 2
         container_socket_transmit_bytes_total 40
         container_socket_transmit_packets_total 4",
    );
    lacks(&page, "/only", &["container_cpu_usage_seconds_total", "container_memory_usage_bytes"]);
    assert!(page.value("container_last_seen", &[("id", "/only")]).is_some());
}

#[test]
fn what_is_written_is_what_the_groups_declare() {
    let tree = Tree::v2();
    tree.set_cpu("cgroup/a", 1);
    tree.write("cgroup/a", V2_MEMORY);
    let page = tree.half(&settings(), Some(Fake::new().side())).page();
    let declared: BTreeSet<&str> = families().map(|family| family.name).collect();
    for name in page.names() {
        let is_own = name.starts_with("nodetally_") || name == "container_scrape_error";
        assert!(declared.contains(name) || is_own, "{name}");
    }
}

fn by_count() -> ContainerSettings {
    ContainerSettings { cpu_source: CpuSource::Ebpf, ..settings() }
}

fn usage(half: &mut Half, id: &str) -> f64 {
    half.page().value("container_cpu_usage_seconds_total", &[("id", id), ("cpu", "total")]).unwrap()
}

#[test]
fn user_and_system_time_of_version_1_are_read_once_more_after_the_total_rests() {
    let tree = Tree::v1();
    let write = |total: u32, user: u32| {
        tree.write("cpuacct/a", &[("cpuacct.usage", &format!("{total}\n"))]);
        tree.write("cpuacct/a", &[("cpuacct.stat", &format!("user {user}00\nsystem 0\n"))]);
    };
    write(5, 1);
    let mut half = tree.half(&settings(), None);
    for (total, user, shown) in [(5, 1, 1.0), (5, 2, 2.0), (5, 3, 2.0), (6, 4, 4.0), (6, 5, 5.0), (6, 6, 5.0)]
    {
        write(total, user);
        let page = half.page();
        assert_eq!(
            page.value("container_cpu_user_seconds_total", &[("id", "/a")]),
            Some(shown),
            "{total} {user}"
        );
    }
}

#[test]
fn a_count_goes_on_from_the_file_and_no_file_is_read_for_it() {
    let tree = Tree::v2();
    tree.set_cpu("cgroup/p", 10_000_000);
    tree.set_cpu("cgroup/p/a", 4_000_000);
    let fake = Fake::new();
    let mut half = tree.half(&by_count(), Some(fake.side()));
    assert!((usage(&mut half, "/p/a") - 4.0).abs() < 1e-9);
    tree.set_cpu("cgroup/p/a", 99_000_000);
    fake.set_cpu(tree.key("cgroup/p/a"), 250 * MS, Duration::ZERO);
    fake.set_cpu(tree.key("cgroup/p"), 500 * MS, Duration::ZERO);
    assert!((usage(&mut half, "/p/a") - 4.25).abs() < 1e-9, "the file is not looked at");
    assert!((usage(&mut half, "/p") - 10.75).abs() < 1e-9, "a parent has its child's");
}

#[test]
fn a_parent_keeps_what_its_dead_children_used() {
    for settings in [settings(), by_count()] {
        let tree = Tree::v2();
        tree.set_cpu("cgroup/p", 0);
        let fake = Fake::new();
        let mut half = tree.half(&settings, Some(fake.side()));
        let mut last = 0.0;
        for round in 1..=5_u32 {
            let child = format!("cgroup/p/c{round}");
            tree.add(&child, 0);
            let id = format!("/p/c{round}");
            assert!(half.comes("container_cpu_usage_seconds_total", &[("id", &id)]));
            fake.set_cpu(tree.key(&child), 300 * MS, Duration::ZERO);
            fake.set_switches(tree.key(&child), 20, 10);
            tree.set_cpu(&child, 300_000);
            if round % 2 == 0 {
                tree.set_cpu("cgroup/p", u64::from(round) * 300_000);
                usage(&mut half, "/p");
            }
            tree.set_cpu("cgroup/p", u64::from(round) * 300_000);
            tree.remove(&child);
            assert!(half.goes("container_last_seen", &[("id", &id)]));
            let now = usage(&mut half, "/p");
            assert!((now - f64::from(round) * 0.3).abs() < 1e-9 && now > last, "{now} after {last}");
            assert!((usage(&mut half, &id) - 0.3).abs() < 1e-9, "the dead child's own");
            for (of, lives) in [("/p", f64::from(round)), (id.as_str(), 1.0)] {
                let page = half.page();
                let switches =
                    |kind| page.value("container_context_switches_total", &[("id", of), ("kind", kind)]);
                let of_cpu =
                    |cpu| page.value("container_cpu_counted_seconds_total", &[("id", of), ("cpu", cpu)]);
                assert_eq!(
                    [switches("voluntary"), switches("forced")],
                    [Some(20.0 * lives), Some(10.0 * lives)]
                );
                near(of_cpu("cpu00").unwrap(), 0.02 * lives, 0.0, 1e-9);
                near(of_cpu("cpu01").unwrap(), 0.01 * lives, 0.0, 1e-9);
                assert_eq!(of_cpu("cpu02"), None);
            }
            last = now;
        }
        assert_eq!(fake.counted(), 2, "the root and the parent");
    }
}

/// A cgroup that uses 10 ms a step and is counted `share` of it; at every third step something runs.
fn steps(tree: &Tree, fake: &Fake, half: &mut Half, from: u32, share: f64, counted: &mut Duration) -> f64 {
    let mut last = 0.0;
    for step in from..from + 60 {
        *counted += (10 * MS).mul_f64(share);
        let running = if step % 3 == 0 { MS } else { Duration::ZERO };
        tree.set_cpu("cgroup/a", u64::from(step) * 10_000);
        fake.set_cpu(tree.key("cgroup/a"), *counted, running);
        let (shown, file) = (usage(half, "/a"), f64::from(step) / 100.0);
        assert!(shown >= last, "{share}: {shown} after {last}");
        assert!((shown - file).abs() <= (file * 0.01).max(0.02), "{share}: {shown}, file {file}");
        last = shown;
    }
    last
}

#[test]
fn drift_of_either_sign_makes_no_fall_and_no_jump_at_a_restart() {
    for source in [CpuSource::Auto, CpuSource::Ebpf] {
        for share in [0.95, 1.0, 1.05] {
            let tree = Tree::v2();
            tree.set_cpu("cgroup/a", 0);
            let settings = ContainerSettings { cpu_source: source, ..settings() };
            let (mut before, mut from) = (0.0, 1);
            for _restart in 0..4 {
                let fake = Fake::new();
                let mut half = tree.half(&settings, Some(fake.side()));
                // The file went on by one step while nobody looked.
                tree.set_cpu("cgroup/a", u64::from(from) * 10_000);
                let first = usage(&mut half, "/a");
                assert!(first >= before - 1e-9, "{source:?} {share}: {first} after {before}");
                assert!(first - before <= 0.02, "{source:?} {share}: {first} after {before}");
                let mut counted = Duration::ZERO;
                before = steps(&tree, &fake, &mut half, from + 1, share, &mut counted);
                from += 61;
            }
        }
    }
}

#[test]
fn when_the_kernel_half_fails_the_file_goes_on() {
    let tree = Tree::v2();
    tree.set_cpu("cgroup/a", 0);
    let fake = Fake::new();
    let mut half = tree.half(&by_count(), Some(fake.side()));
    let mut counted = Duration::ZERO;
    let before = steps(&tree, &fake, &mut half, 1, 0.98, &mut counted);
    let source = |half: &mut Half, name: &str| {
        half.page().value("nodetally_figure_source", &[("figure", "container_cpu_usage"), ("source", name)])
    };
    assert_eq!(source(&mut half, "ebpf"), Some(1.0));
    fake.fail();
    let after = usage(&mut half, "/a");
    assert!(after >= before && after - before <= 0.02, "{after} after {before}");
    assert_eq!((source(&mut half, "cgroupfs"), source(&mut half, "ebpf")), (Some(1.0), None));
    tree.set_cpu("cgroup/a", 900_000);
    assert!((usage(&mut half, "/a") - 0.9).abs() < 1e-9);
}

#[test]
fn a_count_that_lies_is_believed_no_more() {
    let tree = Tree::v2();
    tree.set_cpu("cgroup/a", 1_000_000);
    let fake = Fake::new();
    let mut half = tree.half(&by_count(), Some(fake.side()));
    usage(&mut half, "/a");
    fake.set_cpu(tree.key("cgroup/a"), 5_000 * MS, MS);
    tree.set_cpu("cgroup/a", 1_100_000);
    assert!((usage(&mut half, "/a") - 1.1).abs() < 1e-9, "the file is the truth");
    let source = [("figure", "container_cpu_usage"), ("source", "cgroupfs")];
    assert_eq!(half.page().value("nodetally_figure_source", &source), Some(1.0));
}

#[test]
fn a_dead_cgroup_shows_its_counters_for_a_while() {
    let tree = Tree::v2();
    tree.set_cpu("cgroup/a", 1_000_000);
    tree.write("cgroup/a", V2_MEMORY);
    let settings = ContainerSettings { keep_dead: Duration::from_millis(700), ..settings() };
    let mut half = tree.half(&settings, None);
    half.page();
    tree.remove("cgroup/a");
    assert!(half.goes("container_last_seen", &[("id", "/a")]));
    let page = half.page();
    has(
        &page,
        "/a",
        "container_cpu_usage_seconds_total{cpu=total} 1\ncontainer_cpu_user_seconds_total 1
         container_memory_failcnt 4\ncontainer_memory_pgscan_total 11",
    );
    lacks(&page, "/a", &["container_memory_usage_bytes", "container_spec_memory_limit_bytes"]);
    assert!(half.goes("container_cpu_usage_seconds_total", &[("id", "/a")]), "after its time");

    // A new one of the same path is no continuation.
    tree.add("cgroup/a", 5);
    assert!(half.comes("container_cpu_user_seconds_total", &[("id", "/a")]));
    has(&half.page(), "/a", "container_cpu_usage_seconds_total{cpu=total} 0.000005");
}

#[test]
fn a_path_that_is_born_again_in_one_hierarchy_before_the_others_let_go_counts_from_nothing() {
    let tree = Tree::hybrid();
    let spent = |nanoseconds: &str| tree.write("cpu,cpuacct/a", &[("cpuacct.usage", nanoseconds)]);
    spent("2000000000\n");
    tree.write("memory/a", &[("memory.usage_in_bytes", "4096\n"), ("memory.stat", "total_rss 1\n")]);
    let mut half = tree.half(&settings(), None);
    assert!((usage(&mut half, "/a") - 2.0).abs() < 1e-9);
    tree.remove("cpu,cpuacct/a");
    assert!(half.goes("container_last_seen", &[("id", "/a")]));
    spent("500000000\n");
    tree.write("cpu,cpuacct", &[("cgroup.subtree_control", "\n")]);
    // Until it is told, the dead one's time stays.
    let time = [("id", "/a"), ("cpu", "total")];
    let is_new = |time: Option<f64>| time.is_some_and(|seconds| seconds < 1.0);
    until(Duration::from_secs(5), || is_new(half.page().value("container_cpu_usage_seconds_total", &time)));
    let page = half.page();
    has(&page, "/a", "container_cpu_usage_seconds_total{cpu=total} 0.5\ncontainer_memory_usage_bytes 4096");
}

#[test]
fn controllers_that_come_later_are_noticed() {
    let tree = Tree::v2();
    tree.set_cpu("cgroup/p", 1);
    tree.set_cpu("cgroup/p/a", 1);
    tree.write("cgroup/p", &[("cgroup.subtree_control", "\n")]);
    let mut half = tree.half(&settings(), None);
    lacks(&half.page(), "/p/a", &["container_memory_usage_bytes"]);
    tree.write("cgroup/p/a", V2_MEMORY);
    tree.write("cgroup/p", &[("cgroup.subtree_control", "+memory\n")]);
    let came = until(Duration::from_secs(2), || {
        half.page().value("container_memory_usage_bytes", &[("id", "/p/a")]) == Some(5_000.0)
    });
    assert!(came);
}

#[test]
fn the_reference_s_own_trees_give_the_reference_s_limits() {
    let root = std::env::var_os("CONFORMANCE_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"), Into::into);
    let pack = root.join("cadvisor/cgroup_spec");
    if !pack.is_dir() {
        eprintln!("LEFT OUT: needs the conformance data at {} (or $CONFORMANCE_DIR)", root.display());
        return;
    }
    let machine = MachineMemory { total: 1 << 40, swap: 1 << 30 };
    let mut v2 = Tree::v2().layout;
    v2.hierarchies[0].mount = pack.join("cgroup_v2");
    let mut v1 = Tree::v1().layout;
    for (hierarchy, name) in v1.hierarchies.iter_mut().zip(["cpu", "cpuacct", "memory"]) {
        hierarchy.mount = pack.join("cgroup_v1/test1").join(name);
    }
    // The files of version 1 lie right in the hierarchies' folders, where a root has the machine's limits.
    let read = |layout, path: &[u8]| Spec::read(layout, &CgroupPath::new(path), machine);

    for (spec, shares) in [(read(&v2, b"/test1"), 1_286), (read(&v1, b"/."), 1_025)] {
        let (cpu, memory) = (spec.cpu.unwrap(), spec.memory.unwrap());
        assert_eq!((cpu.shares, cpu.period, cpu.quota), (shares, 100_010, Some(20_000)));
        let limits = (memory.limit, memory.swap_limit, memory.reservation);
        assert_eq!(limits, (Some(123_456_789), Some(13_579), Some(24_680)));
    }
    let open = read(&v2, b"/test2");
    let (cpu, memory) = (open.cpu.unwrap(), open.memory.unwrap());
    assert_eq!((cpu.shares, cpu.period, cpu.quota), (1_286, 100_010, None));
    assert_eq!((memory.limit, memory.swap_limit, memory.reservation), (None, None, None));
}
