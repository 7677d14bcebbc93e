//! What the processes of cgroups say of themselves: made-up ones by value, and real ones against what they do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod container_support;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use container_support::{Half, settings, tree::Tree};
use exporter::{config::ContainerSettings, container::Groups};
use tests::{
    cgroup::Cgroup,
    docker::Docker,
    image::{BUSYBOX, import_busybox},
    live, load,
    page::Page,
    running::{Running, output, until},
};

const PROCESS: [&str; 6] = [
    "container_processes",
    "container_file_descriptors",
    "container_sockets",
    "container_threads",
    "container_threads_max",
    "container_ulimits_soft",
];

fn values<const N: usize>(page: &Page, names: [&str; N], id: &str) -> [Option<f64>; N] {
    names.map(|name| page.value(name, &[("id", id)]))
}

/// The made-up procfs, as its own folder.
fn procfs(tree: &Tree) -> PathBuf {
    tree.layout.hierarchies[0].mount.with_file_name("proc")
}

/// A process with these descriptors.
fn process(tree: &Tree, pid: u32, links: &[&str]) {
    let folder = procfs(tree).join(format!("{pid}/fd"));
    fs::create_dir_all(&folder).unwrap();
    for (number, link) in links.iter().enumerate() {
        symlink(link, folder.join(number.to_string())).unwrap();
    }
}

#[test]
fn a_cgroup_s_own_processes_are_counted_on_version_2() {
    let tree = Tree::v2();
    tree.write("cgroup", &[("cgroup.procs", "1\n2\n")]);
    process(&tree, 1, &["/dev/null", "socket:[1]"]);
    tree.write(
        "proc/1",
        &[("limits", "Limit Soft\nMax open files            unlimited  unlimited  files\n")],
    );
    tree.write(
        "cgroup/a",
        &[("cgroup.procs", "11\n12\n13\n"), ("pids.current", "9\n"), ("pids.max", "100\n")],
    );
    process(&tree, 11, &["/dev/null", "socket:[5]", "anon_inode:[eventpoll]", "pipe:[6]"]);
    process(&tree, 12, &["/socket:[7]", "socket:[8]", "socket:[9]"]);
    tree.write("cgroup/a/b", &[("cgroup.procs", "14\n"), ("pids.current", "1\n"), ("pids.max", "max\n")]);
    tree.write("proc/14/fd", &[("0", "no link")]);
    tree.write("cgroup/c", &[("cgroup.procs", "")]);
    tree.write("cgroup/d", &[("cgroup.procs", "15\nwhat\n")]);
    process(&tree, 15, &[]);
    let page = tree.half(&settings(), None).page();
    let of = |id| values(&page, PROCESS, id);
    // Process 2 and 13 have ended; of two processes without the controller nobody knows their threads.
    assert_eq!(of("/"), [Some(2.0), Some(2.0), Some(1.0), Some(2.0), None, Some(-1.0)]);
    assert_eq!(of("/a"), [Some(3.0), Some(7.0), Some(3.0), Some(9.0), Some(100.0), None]);
    assert_eq!(
        of("/a/b"),
        [Some(1.0), Some(1.0), None, Some(1.0), Some(0.0), None],
        "its link cannot be read"
    );
    assert_eq!(of("/c"), [Some(0.0), Some(0.0), Some(0.0), Some(0.0), None, None]);
    assert_eq!(of("/d"), [Some(2.0), None, None, Some(2.0), None, None], "one is not in sight");
    let source = [("figure", "container_tasks"), ("source", "procfs")];
    assert_eq!(page.value("nodetally_figure_source", &source), Some(1.0));
}

#[test]
fn version_1_has_processes_by_the_cpu_hierarchy_and_threads_by_pids() {
    let tree = Tree::v1();
    tree.write("cpu/a", &[("cgroup.procs", "11\n")]);
    tree.write("memory/a", &[("cgroup.procs", "11\n12\n")]);
    tree.write("pids/a", &[("pids.current", "3\n"), ("pids.max", "max\n")]);
    tree.write("cpu/b", &[("cgroup.procs", "12\n")]);
    process(&tree, 11, &["/x"]);
    process(&tree, 12, &["/x", "/y"]);
    let page = tree.half(&settings(), None).page();
    assert_eq!(values(&page, PROCESS, "/a"), [Some(1.0), Some(1.0), Some(0.0), Some(3.0), Some(0.0), None]);
    assert_eq!(values(&page, PROCESS, "/b"), [Some(1.0), Some(2.0), Some(0.0), None, None, None]);
}

#[test]
fn what_is_not_asked_for_is_not_read() {
    let tree = Tree::v2();
    tree.write("cgroup/a", &[("cgroup.procs", "11\n")]);
    let mut half = tree.half(&settings(), None);
    let page = half.page_of(&["cpu"]);
    assert_eq!(values(&page, PROCESS, "/a"), [None; 6]);
    assert_eq!(page.matching("nodetally_figure_source", &[("figure", "container_tasks")]).count(), 0);
    assert_eq!(half.page_of(&["process"]).value("container_processes", &[("id", "/a")]), Some(1.0));
}

#[test]
fn a_process_that_hangs_costs_its_own_figures() {
    let tree = Tree::v2();
    tree.write("cgroup/a", &[("cgroup.procs", "11\n"), ("cpu.stat", "usage_usec 5\n")]);
    scheduled(&tree, 11, 5, "1000000000 0 1\n");
    tree.write("proc/11", &[("smaps", "Referenced: 4 kB\n")]);
    // Whoever opens it waits for a writer.
    let hangs = procfs(&tree).join("11/schedstat");
    fs::remove_file(&hangs).unwrap();
    output(Command::new("mkfifo").arg(&hangs));
    let mut half = tree.half(&settings(), None);
    let mut page = || {
        half.page.clear();
        half.half.collect(Groups::ALL, Instant::now() + Duration::from_millis(300), &mut half.page);
        Page::parse(str::from_utf8(half.page.text()).unwrap())
    };
    let from = |page: &Page, figure, source| {
        page.value("nodetally_figure_source", &[("figure", figure), ("source", source)])
    };
    for _ in 0..2 {
        let page = page();
        assert_eq!(values(&page, SCHED, "/a"), [None; 3]);
        assert_eq!(page.value("container_processes", &[("id", "/a")]), None, "read by the same thread");
        assert_eq!(from(&page, "container_tasks", "none"), Some(1.0));
        assert_eq!(page.value("container_referenced_bytes", &[("id", "/a")]), Some(4_096.0), "by another");
        assert_eq!(from(&page, "container_referenced", "procfs"), Some(1.0));
        assert!(page.value("container_cpu_usage_seconds_total", &[("id", "/a")]).is_some());
    }
    let writer = fs::OpenOptions::new().write(true).open(&hangs).unwrap();
    fs::remove_file(&hangs).unwrap();
    scheduled(&tree, 11, 5, "1000000000 0 1\n");
    drop(writer);
    let comes = until(Duration::from_secs(10), || page().value(SCHED[0], &[("id", "/a")]) == Some(1.0));
    assert!(comes, "by itself");
}

/// Starts it in the cgroup and waits until it has all that it is to hold.
fn ready(group: &Cgroup, command: &Command) -> Running {
    let running = group.start(command);
    assert!(running.says("ready", Duration::from_secs(20)), "{}", running.said());
    running
}

#[test]
fn processes_show_what_they_hold() {
    if !live::root() {
        return;
    }
    let mut half = Half::start();
    let parent = Cgroup::new("tasks");
    let group = parent.child("holds");
    let other = parent.child("other");
    let bare = ready(&group, &load::hold(0, 0, 0));
    let id = [("id", group.path())];
    assert!(half.comes("container_processes", &id));
    let page = half.page();
    let [processes, files, sockets, threads, ..] = values(&page, PROCESS, group.path());
    assert_eq!((processes, sockets, threads), (Some(1.0), Some(0.0), Some(1.0)));

    let _holds = ready(&group, &load::hold(200, 70, 9));
    let _others = ready(&other, &load::hold(10, 10, 1));
    let page = half.page();
    let own = fs::read_dir(format!("/proc/{}/fd", bare.pid())).unwrap().count() as f64;
    assert_eq!(files, Some(own));
    let held = [Some(2.0), Some(2.0 * own + 270.0), Some(70.0), Some(11.0)];
    assert_eq!(values(&page, PROCESS, group.path())[..4], held);
    let held = [Some(1.0), Some(own + 20.0), Some(10.0), Some(2.0)];
    assert_eq!(values(&page, PROCESS, other.path())[..4], held);
    let above = [Some(0.0), Some(0.0), Some(0.0), Some(13.0)];
    assert_eq!(values(&page, PROCESS, parent.path())[..4], above, "threads alone are those below as well");

    fs::write(group.dir("pids").join("pids.max"), "50").unwrap();
    let page = half.page();
    assert_eq!(page.value("container_threads_max", &id), Some(50.0));
    assert_eq!(page.value("container_threads_max", &[("id", parent.path())]), Some(0.0));
    assert_eq!(page.value("container_ulimits_soft", &id), None, "a plain cgroup has no first process");
    let of_init = page.value("container_ulimits_soft", &[("id", "/"), ("ulimit", "max_open_files")]);
    let limits = fs::read_to_string("/proc/1/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    assert_eq!(of_init, Some(line.split_whitespace().next().unwrap().parse().unwrap_or(-1.0)));
    drop(bare);
    let gone = until(Duration::from_secs(5), || half.page().value("container_processes", &id) == Some(1.0));
    assert!(gone, "one has ended");
}

const SCHED: [&str; 3] = [
    "container_cpu_schedstat_run_seconds_total",
    "container_cpu_schedstat_runqueue_seconds_total",
    "container_cpu_schedstat_run_periods_total",
];

/// A process that was started then, and how it was scheduled.
fn scheduled(tree: &Tree, pid: u32, start: u32, schedstat: &str) {
    let stat = format!("{pid} (a) b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 1 2\n");
    tree.write(&format!("proc/{pid}"), &[("stat", &stat), ("schedstat", schedstat)]);
}

#[test]
fn how_processes_were_scheduled_outlives_them() {
    let tree = Tree::v2();
    tree.write("cgroup", &[("cgroup.procs", "1\n")]);
    scheduled(&tree, 1, 0, "1000000000 0 10\n");
    tree.write("cgroup/a", &[("cgroup.procs", "11\n12\n13\n")]);
    scheduled(&tree, 11, 5, "2000000000 500000000 20\n");
    scheduled(&tree, 12, 6, "3000000000 0 1\n");
    tree.write("cgroup/a/hidden.mount", &[("cgroup.procs", "14\n")]);
    scheduled(&tree, 14, 6, "500000000 0 1\n");
    tree.write("cgroup/b", &[("cgroup.procs", "")]);
    tree.write("cgroup/c", &[("cpu.stat", "usage_usec 1\n")]);
    let mut half = tree.half(&settings(), None);
    let page = half.page_of(&["sched"]);
    let of = |page: &Page, id| values(page, SCHED, id);
    assert_eq!(of(&page, "/a"), [Some(5.5), Some(0.5), Some(22.0)], "13 has ended");
    assert_eq!(of(&page, "/"), [Some(6.5), Some(0.5), Some(32.0)]);
    assert_eq!(of(&page, "/b"), [Some(0.0); 3]);
    assert_eq!(of(&page, "/c"), [None; 3], "not in this hierarchy");

    // 11 ends, another process gets 12's number, and 1 moves.
    tree.write("cgroup", &[("cgroup.procs", "")]);
    tree.write("cgroup/a", &[("cgroup.procs", "12\n1\n")]);
    scheduled(&tree, 12, 7, "250000000 0 1\n");
    scheduled(&tree, 1, 0, "1250000000 0 11\n");
    let page = half.page_of(&["sched"]);
    assert_eq!(of(&page, "/a"), [Some(6.0), Some(0.5), Some(24.0)]);
    assert_eq!(of(&page, "/"), [Some(7.0), Some(0.5), Some(34.0)]);

    scheduled(&tree, 12, 7, "what 0 1\n");
    let page = half.page_of(&["sched"]);
    assert_eq!([of(&page, "/a"), of(&page, "/")], [[None; 3]; 2], "a part is not the sum");
    assert_eq!(of(&page, "/b"), [Some(0.0); 3]);
    scheduled(&tree, 12, 7, "250000000 0 2\n");
    assert_eq!(of(&half.page_of(&["sched"]), "/a"), [Some(6.0), Some(0.5), Some(25.0)]);
}

#[test]
fn a_spinner_s_time_is_counted_and_stays() {
    if !live::root() {
        return;
    }
    let mut half = Half::start();
    let parent = Cgroup::new("sched");
    let group = parent.child("spins");
    let spins = group.start(&load::cpu(100));
    let id = [("id", group.path())];
    let run = |half: &mut Half, id: &str| half.page_of(&["sched"]).value(SCHED[0], &[("id", id)]);
    assert!(until(Duration::from_secs(10), || run(&mut half, group.path()).is_some_and(|run| run > 0.2)));
    let told = || {
        let text = fs::read_to_string(format!("/proc/{}/schedstat", spins.pid())).unwrap();
        text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
    };
    let (before, shown, after) = (told(), run(&mut half, group.path()).unwrap(), told());
    // What the shell that became the spinner used before it joined may have been counted where it was.
    assert!(before - 0.1 <= shown && shown <= after, "{before} <= {shown} <= {after}");
    let last = run(&mut half, parent.path()).unwrap();
    assert!(last >= shown, "the parent has its child's");
    drop(spins);
    assert!(until(Duration::from_secs(5), || half.page().value("container_processes", &id) == Some(0.0)));
    let stays = run(&mut half, group.path()).unwrap();
    assert!(stays >= shown, "{stays} after {shown}");
    let path = group.path().to_owned();
    drop(group);
    assert!(half.goes("container_last_seen", &[("id", &path)]));
    assert_eq!(run(&mut half, &path), Some(stays), "of the dead, too");
    assert!(run(&mut half, parent.path()).unwrap() >= last);
}

fn conformance(file: &str) -> Option<String> {
    let root = std::env::var_os("CONFORMANCE_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
        PathBuf::from,
    );
    let text = fs::read_to_string(root.join("cadvisor/libcontainer").join(file)).ok();
    live::need("the conformance data", text.is_some());
    text
}

#[test]
fn upstream_s_own_files_give_upstream_s_figures() {
    let tree = Tree::v2();
    tree.write("cgroup/a", &[("cgroup.procs", "4\n6\n8\n")]);
    for pid in [4, 6, 8] {
        let Some(smaps) = conformance(&format!("smaps{pid}")) else { return };
        tree.write(&format!("proc/{pid}"), &[("smaps", &smaps)]);
    }
    let (Some(udp), Some(limits)) = (conformance("procnetudp"), conformance("limits")) else { return };
    tree.write("proc/1", &[("limits", &limits)]);
    tree.write("proc/1/net", &[("udp", &udp)]);
    let page = tree.half(&settings(), None).page();
    assert_eq!(page.value("container_referenced_bytes", &[("id", "/a")]), Some(425_984.0));
    assert_eq!(page.value("container_ulimits_soft", &[("id", "/")]), Some(1_073_741_816.0));
    let udp = ["listen", "dropped", "rxqueued", "txqueued"]
        .map(|state| page.value("container_network_udp_usage_total", &[("id", "/"), ("udp_state", state)]));
    // The queues are those that the kernel names so.
    assert_eq!(udp, [Some(2.0), Some(4.0), Some(11.0), Some(10.0)]);
    assert_eq!(page.value("container_network_udp6_usage_total", &[("id", "/")]), None, "without IPv6");
}

#[test]
fn the_host_s_sockets_are_those_of_process_1() {
    let tree = Tree::v2();
    tree.write("cgroup/a", &[("cgroup.procs", "4\n")]);
    let head = "  sl  local_address rem_address   st tx_queue rx_queue\n";
    let row = |state| format!("   0: 0100007F:1F90 00000000:0000 {state} 00000000:00000000 0\n");
    let many = row("06").repeat(20_000);
    tree.write("proc/1/net", &[("tcp", &format!("{head}{}{}{many}{}", row("0A"), row("01"), row("01")))]);
    tree.write("proc/1/net", &[("tcp6", head)]);
    let snmp = "Ip: Forwarding\nIp: 1\nTcp: RtoMin MaxConn InErrs InCsumErrors\nTcp: 200 -1 7 1\nUdp: InErrors InCsumErrors\nUdp: 5 6\n";
    tree.write("proc/1/net", &[("snmp", snmp), ("netstat", "TcpExt: TW TCPNew\nTcpExt: 10436427 3\n")]);
    let mut half = tree.half(&settings(), None);
    let page = half.page();
    let tcp = |family: &str, state| {
        page.value(&format!("container_network_{family}_usage_total"), &[("id", "/"), ("tcp_state", state)])
    };
    let states = ["listen", "established", "timewait", "close"];
    assert_eq!(states.map(|state| tcp("tcp", state)), [Some(1.0), Some(2.0), Some(20_000.0), Some(0.0)]);
    assert_eq!(states.map(|state| tcp("tcp6", state)), [Some(0.0); 4]);
    assert_eq!(page.matching("container_network_tcp_usage_total", &[]).count(), 11, "`/` alone, each state");
    let counters: Vec<_> = page
        .matching("container_network_advance_tcp_stats_total", &[("id", "/")])
        .map(|sample| (sample.labels["tcp_state"].as_str(), sample.value))
        .collect();
    let expected =
        [("incsumerrors", 1.0), ("inerrs", 7.0), ("maxconn", -1.0), ("rtomin", 200.0), ("tw", 10_436_427.0)];
    assert_eq!(counters, expected, "no others are known");
}

#[test]
fn referenced_memory_is_that_of_smaps() {
    if !live::root() {
        return;
    }
    let mut half = Half::start();
    let group = Cgroup::new("touched");
    let holds = group.start(&load::memory(32 << 20));
    let smaps = || {
        let text = fs::read_to_string(format!("/proc/{}/smaps", holds.pid())).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.strip_prefix("Referenced:"));
        let sum = lines.map(|line| line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()).sum::<u64>();
        Some(sum as f64 * 1024.0)
    };
    let touched = until(Duration::from_secs(10), || smaps() >= Some(f64::from(32 << 20)));
    assert!(touched, "{:?}", smaps());
    let same = until(Duration::from_secs(10), || {
        let before = smaps();
        let page = half.page_of(&["referenced_memory"]);
        page.value("container_referenced_bytes", &[("id", group.path())]) == before && before == smaps()
    });
    assert!(same, "{:?} and {}", smaps(), half.page().sum("container_referenced_bytes", &[]).unwrap_or(-1.0));
    let source = [("figure", "container_referenced"), ("source", "procfs")];
    assert_eq!(half.page().value("nodetally_figure_source", &source), Some(1.0));
}

#[test]
fn containers_show_the_sockets_of_their_own_network() {
    let Some(docker) = Docker::start() else { return };
    import_busybox(&docker);
    let settings = ContainerSettings { docker_socket: Some(docker.socket()), ..settings() };
    let mut half = Half::with(&settings, None);
    let program = format!("{}:/load:ro", load::binary().display());
    let connect = ["-v", &program, BUSYBOX, "/load", "connect", "3", "5", "2"];
    let own = docker.container(&[&["--name", "own", "--ulimit", "nofile=1234:4321"], &connect[..]].concat());
    docker.container(&[&["--name", "host", "--network", "host"], &connect[..]].concat());
    docker.container(&["--name", "joined", "--network", "container:own", BUSYBOX, "sleep", "1000"]);
    for name in ["own", "host", "joined"] {
        assert!(half.comes("container_processes", &[("name", name)]), "{name}");
    }
    let tcp = "container_network_tcp_usage_total";
    let states = |page: &Page| {
        ["listen", "established", "synsent"]
            .map(|state| page.value(tcp, &[("name", "own"), ("tcp_state", state)]))
    };
    // Each connection has both its ends there.
    let ready = until(Duration::from_secs(20), || states(&half.page()) == [Some(3.0), Some(10.0), Some(0.0)]);
    let page = half.page();
    assert!(ready, "{:?} {}", states(&page), docker.run(&["logs", "own"]));
    let udp =
        |state| page.value("container_network_udp_usage_total", &[("name", "own"), ("udp_state", state)]);
    assert_eq!(["listen", "dropped", "rxqueued"].map(udp), [Some(2.0), Some(0.0), Some(0.0)]);
    let counter = |state| {
        page.value("container_network_advance_tcp_stats_total", &[("name", "own"), ("tcp_state", state)])
    };
    assert_eq!(["activeopens", "passiveopens", "maxconn"].map(counter), [Some(5.0), Some(5.0), Some(-1.0)]);
    for name in ["host", "joined"] {
        for family in [tcp, "container_network_udp_usage_total", "container_network_advance_tcp_stats_total"]
        {
            assert_eq!(page.value(family, &[("name", name)]), None, "{family} of {name}");
        }
    }
    let root = [("id", "/"), ("tcp_state", "established")];
    assert!(page.value(tcp, &root).is_some_and(|all| all >= 10.0), "the host has those of its own network");
    let limit = |name| page.value("container_ulimits_soft", &[("name", name), ("ulimit", "max_open_files")]);
    assert_eq!(limit("own"), Some(1234.0));
    assert!(limit("host").is_some());
    assert_eq!(page.value("container_sockets", &[("name", "own")]), Some(15.0));

    // Nothing of theirs is held between two scrapes.
    let pid = docker.run(&["inspect", "-f", "{{.State.Pid}}", &own]);
    let theirs = fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    for thread in fs::read_dir("/proc/self/task").unwrap().flatten() {
        for link in fs::read_dir(thread.path().join("fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(link.path()).unwrap_or_default();
            assert!(target != theirs && !target.starts_with(format!("/proc/{pid}")), "{}", target.display());
        }
    }
}
