//! Groups that are off by default, of cgroups of this machine: against what was done in them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod container_support;

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use container_support::{Half, settings};
use exporter::{config::ContainerSettings, container::Groups};
use tests::{
    cadvisor::Cadvisor,
    cgroup::Cgroup,
    exporter::Exporter,
    live::{need, root},
    page::Page,
    prometheus::program,
    running::until,
    temp::TempDir,
};

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn tasks_by_state_and_their_load() {
    if !root() {
        return;
    }
    let group = Cgroup::new("load");
    if !need("cgroup v1 for CPU time", group.dir("cpu").join("cpu.shares").exists()) {
        return;
    }
    let _running = group.start(&sh("while :; do :; done"));
    let _sleeping = [(); 3].map(|()| group.start(Command::new("sleep").arg("infinity")));
    let _stopped = group.start(&sh("kill -STOP $$"));
    let mut half = Half::start();
    let states = |page: &Page| {
        let of = |state| page.value("container_tasks_state", &[("id", group.path()), ("state", state)]);
        ["running", "sleeping", "stopped", "uninterruptible", "iowaiting"].map(of)
    };
    let expected = [1.0, 3.0, 1.0, 0.0, 0.0].map(Some);
    let mut page = Page::default();
    let settled = until(Duration::from_secs(10), || {
        page = half.page_of(&["cpu_load"]);
        states(&page) == expected
    });
    assert!(settled, "{:?}", states(&page));
    // From the first reading the average goes to one running task, whichever state the others were seen in.
    let begin = Instant::now();
    let load = |half: &mut Half| {
        let page = half.page_of(&["cpu_load"]);
        page.value("container_cpu_load_average_10s", &[("id", group.path())]).unwrap()
    };
    assert!(load(&mut half) > 0.0);
    let is_near = until(Duration::from_mins(1), || (900.0..1_100.0).contains(&load(&mut half)));
    assert!(is_near, "{} after {:?}", load(&mut half), begin.elapsed());
    let d = page.value("container_cpu_load_d_average_10s", &[("id", group.path())]);
    assert!(d.is_some_and(|d| d < 1_000.0), "{d:?}");
}

#[test]
fn cpu_time_by_processor_adds_up_to_all_of_it() {
    if !root() {
        return;
    }
    let group = Cgroup::new("percpu");
    if !need("cgroup v1 for CPU time", group.dir("cpuacct").join("cpuacct.usage_percpu").exists()) {
        return;
    }
    let _running = group.start(&sh("while :; do :; done"));
    let by_cpu = ContainerSettings { groups: Groups::ALL, ..settings() };
    let mut half = Half::with(&by_cpu, None);
    assert!(until(Duration::from_secs(10), || group.cpu_usage() > Duration::from_millis(50)));
    let before = group.cpu_usage().as_secs_f64();
    let page = half.page_of(&["cpu"]);
    let after = group.cpu_usage().as_secs_f64();
    let labels = [("id", group.path())];
    let rows: Vec<_> = page.matching("container_cpu_usage_seconds_total", &labels).collect();
    let sum: f64 = rows.iter().map(|row| row.value).sum();
    assert!(before - 1e-6 <= sum && sum <= after + 1e-6, "{before} <= {sum} <= {after}");
    assert!(rows.iter().all(|row| row.value > 0.0 && row.labels["cpu"] != "total"), "{rows:?}");
}

/// So many huge pages for the machine, and as many as before when it is dropped.
struct Reserved(String);

const NUMBER: &str = "/proc/sys/vm/nr_hugepages";

impl Reserved {
    /// None where that many cannot be had.
    fn more(pages: u64) -> Option<Self> {
        let before = fs::read_to_string(NUMBER).ok()?;
        let wanted = before.trim().parse::<u64>().ok()? + pages;
        let reserved = Self(before);
        fs::write(NUMBER, wanted.to_string()).ok()?;
        let got = fs::read_to_string(NUMBER).ok()?.trim().parse::<u64>().ok()?;
        (got >= wanted).then_some(reserved)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let _ = fs::write(NUMBER, &self.0);
    }
}

#[test]
fn huge_pages_in_use_and_refused() {
    if !root() {
        return;
    }
    let group = Cgroup::new("huge");
    let files = ["hugetlb.2MB.max", "hugetlb.2MB.limit_in_bytes"].map(|file| group.dir("hugetlb").join(file));
    let limit = files.iter().find(|file| file.exists());
    if !need("the hugetlb controller and pages of 2 MiB", limit.is_some()) {
        return;
    }
    let reserved = Reserved::more(4);
    if !need("room for four huge pages", reserved.is_some()) {
        return;
    }
    fs::write(limit.unwrap(), (4 << 20).to_string()).unwrap();
    let dir = TempDir::new("huge");
    let place = dir.path().display();
    let script = format!(
        "mount -t hugetlbfs none {place} && fallocate -l 4M {place}/two && ! fallocate -l 2M {place}/third \
         && echo done && exec sleep infinity"
    );
    let user = group.start(Command::new("unshare").args(["-m", "sh", "-c", &script]));
    assert!(user.says("done", Duration::from_secs(20)), "{}", user.said());
    let mut half = Half::start();
    let page = half.page_of(&["hugetlb"]);
    let of = |name, size| page.value(name, &[("id", group.path()), ("pagesize", size)]);
    assert_eq!(of("container_hugetlb_usage_bytes", "2MB"), Some(f64::from(4 << 20)));
    assert!(of("container_hugetlb_failcnt", "2MB").is_some_and(|refused| refused > 0.0) || files[1].exists());
    if Path::new("/sys/kernel/mm/hugepages/hugepages-1048576kB").exists() {
        assert_eq!(of("container_hugetlb_usage_bytes", "1GB"), Some(0.0));
    }
}

#[test]
fn a_list_to_leave_out_turns_the_rest_on_as_with_the_reference() {
    let Some(_) = program("cadvisor") else { return };
    let nobody = TempDir::new("no-docker");
    let theirs = Cadvisor::start(&nobody.path().join("docker.sock"), &["-disable_metrics=disk"]).unwrap();
    let ours = Exporter::start(&["--ebpf=off", "--disable_metrics=disk", "--scrape.share=0"]);
    let theirs = theirs.page_with("container_last_seen", &["/"]);
    let ours = ours.page();
    // Off by default, there as here.
    for name in ["container_processes", "container_memory_numa_pages", "machine_node_memory_capacity_bytes"] {
        assert!(theirs.names().contains(name) && ours.names().contains(name), "{name}");
    }
    // How the machine is built, to the row.
    let built = |page: &Page| {
        let is_built = |name: &str| {
            ["machine_node_", "machine_thread_", "machine_cpu_cache_"]
                .iter()
                .any(|start| name.starts_with(start))
        };
        let mut rows: Vec<_> = { page.samples.iter() }
            .filter(|row| is_built(&row.name) && row.name != "machine_node_distance")
            .map(|row| {
                let labels = row.labels.iter().filter(|(_, value)| !value.is_empty());
                format!("{} {:?} {}", row.name, labels.collect::<Vec<_>>(), row.value)
            })
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(built(&ours), built(&theirs));
    assert!(built(&ours).len() > 3);
    let distance =
        ours.matching("machine_node_distance", &[("node_id", "0"), ("target_node_id", "0")]).next();
    assert!(distance.is_none_or(|row| row.value.to_bits() == 10.0_f64.to_bits()), "{distance:?}");
}
