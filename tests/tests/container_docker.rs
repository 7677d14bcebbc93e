//! The container half with a real Docker engine: names, limits, networks.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod container_support;
mod kernel_support;

use std::{
    fmt::Write,
    process::Command,
    time::{Duration, Instant},
};

use container_support::{Half, near, settings};
use exporter::{config::ContainerSettings, container::kernel::KernelSide};
use kernel_support::{load, request, turn};
use tests::{
    cgroup::{Hierarchy, hierarchies},
    docker::Docker,
    image::{BUSYBOX, import_busybox},
    page::Page,
    running::{is_slow, output, until},
};

const MIB: f64 = 1_048_576.0;
const SECOND: Duration = Duration::from_secs(1);

// One test: an engine takes seconds to start, and one process has one.
#[test]
fn containers_of_a_real_engine() {
    let Some(_turn) = turn() else { return };
    let Some(docker) = Docker::start() else { return };
    import_busybox(&docker);
    let early = docker.container(&["--name", "early", BUSYBOX, "sleep", "1000"]);
    let mut kernel = load(&request());
    let settings = ContainerSettings { docker_socket: Some(docker.socket()), ..settings() };
    let mut half = Half::with(&settings, KernelSide::of(&mut kernel));
    assert!(half.comes("container_last_seen", &[("name", "early"), ("id", &format!("/docker/{early}"))]));

    names_and_labels(&docker, &mut half);
    health(&docker, &mut half);
    limits(&docker, &mut half);
    a_container_is_never_shown_without_its_name(&docker, &mut half);
    a_short_life_has_its_name(&docker, &mut half);
    networks(&docker, &mut half);
}

fn names_and_labels(docker: &Docker, half: &mut Half) {
    let labels = ["--label", "com.example/x=slash", "--label", "com.example.x=dot", "--label", "quote=a\"b"];
    let id = docker.container(&[&["--name", "labelled"], &labels[..], &[BUSYBOX, "sleep", "1000"]].concat());
    let path = format!("/docker/{id}");
    let series = [
        ("id", path.as_str()),
        ("name", "labelled"),
        ("image", BUSYBOX),
        ("container_label_com_example_x", "dot"),
        ("container_label_quote", "a\"b"),
    ];
    assert!(half.comes("container_memory_usage_bytes", &series));
    assert!(half.page().value("container_cpu_usage_seconds_total", &series).is_some());
    let time = |field: &str| {
        let text = docker.run(&["inspect", "-f", &format!("{{{{{field}}}}}"), &id]);
        output(Command::new("date").args(["-d", &text, "+%s"])).trim().parse::<f64>().unwrap()
    };
    let page = half.page();
    let value = |name: &str| page.value(name, &series);
    assert_eq!(value("container_creation_time_seconds"), Some(time(".Created")));
    assert_eq!(value("container_start_time_seconds"), Some(time(".State.StartedAt")));

    docker.run(&["rename", "labelled", "renamed"]);
    assert!(half.comes("container_last_seen", &[("name", "renamed")]));
    assert_eq!(half.page().value("container_last_seen", &[("name", "labelled")]), None);
}

fn health(docker: &Docker, half: &mut Half) {
    let check = ["--health-cmd", "test ! -e /ill", "--health-interval", "1s", "--health-retries", "1"];
    docker.container(&[&["--name", "checked"], &check[..], &[BUSYBOX, "sleep", "1000"]].concat());
    let mut becomes = |name: &str, state: f64| {
        until(Duration::from_secs(20), || {
            half.page().value("container_health_state", &[("name", name)]) == Some(state)
        })
    };
    assert!(becomes("checked", 0.0), "starting");
    assert!(becomes("checked", 1.0), "healthy");
    docker.run(&["exec", "checked", "sh", "-c", ": > /ill"]);
    assert!(becomes("checked", 0.0), "ill");
    docker.run(&["exec", "checked", "busybox", "rm", "/ill"]);
    assert!(becomes("checked", 1.0), "healthy again");
    assert!(becomes("early", -1.0), "no check");
    assert_eq!(half.page().value("container_health_state", &[("id", "/")]), Some(-1.0));
    docker.run(&["rm", "-f", "checked"]);
}

fn limits(docker: &Docker, half: &mut Half) {
    let spin = ["sh", "-c", "while :; do :; done"];
    let limits = ["--cpus", "0.2", "-m", "64m", "--memory-reservation", "32m", "--cpu-shares", "512"];
    docker.container(&[&["--name", "limited"], &limits[..], &[BUSYBOX], &spin].concat());
    let name = [("name", "limited")];
    assert!(half.comes("container_spec_cpu_quota", &name));
    let page = half.page();
    let unified = hierarchies().iter().all(Hierarchy::is_v2);
    for (family, expected) in [
        ("cpu_quota", 20_000.0),
        ("cpu_period", 100_000.0),
        // On cgroup v2 the runtime makes a weight of it (20), which the reference turns back into shares.
        ("cpu_shares", if unified { 500.0 } else { 512.0 }),
        ("memory_limit_bytes", 64.0 * MIB),
        // There the reference reads `memory.min`, and the runtime writes `memory.low`.
        ("memory_reservation_limit_bytes", if unified { 0.0 } else { 32.0 * MIB }),
    ] {
        assert_eq!(page.value(&format!("container_spec_{family}"), &name), Some(expected), "{family}");
    }
    std::thread::sleep(Duration::from_secs(1));
    let page = half.page();
    assert!(page.value("container_cpu_cfs_periods_total", &name).unwrap() >= 5.0);
    assert!(page.value("container_cpu_cfs_throttled_periods_total", &name).unwrap() >= 1.0);
    assert!(page.value("container_cpu_cfs_throttled_seconds_total", &name).unwrap() > 0.0);

    docker.run(&["update", "--memory", "96m", "--memory-swap", "192m", "limited"]);
    let changed = until(Duration::from_secs(2), || {
        half.page().value("container_spec_memory_limit_bytes", &name) == Some(96.0 * MIB)
    });
    assert!(changed, "the new limit");
    docker.run(&["rm", "-f", "limited"]);
}

/// Every page from before its start on: the cgroup appears with its name or not at all.
fn a_container_is_never_shown_without_its_name(docker: &Docker, half: &mut Half) {
    let mut start = docker.command(&["run", "-d", "--name", "late", BUSYBOX, "sleep", "1000"]);
    let start = std::thread::spawn(move || output(&mut start).trim().to_owned());
    let mut pages = Vec::new();
    let mut last = None;
    while last.is_none_or(|last| Instant::now() < last) {
        if start.is_finished() && last.is_none() {
            last = Some(Instant::now() + 2 * SECOND);
        }
        pages.push(half.page());
        std::thread::sleep(Duration::from_millis(5));
    }
    let path = format!("/docker/{}", start.join().unwrap());
    let of_it = |page: &Page| -> Vec<bool> {
        page.matching("container_last_seen", &[("id", &path)])
            .map(|s| s.labels.contains_key("name"))
            .collect()
    };
    let mut shown: Vec<bool> = pages.iter().flat_map(of_it).collect();
    assert_eq!(shown.last(), Some(&true), "it is shown");
    if is_slow() {
        // An engine that takes longer than the exporter waits for it.
        shown.retain(|named| *named);
    }
    assert!(
        shown.iter().all(|named| *named),
        "{} of {} pages without its name",
        shown.iter().filter(|named| !**named).count(),
        shown.len()
    );
}

fn a_short_life_has_its_name(docker: &Docker, half: &mut Half) {
    let burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    docker.run(&["run", "--name", "short", BUSYBOX, "sh", "-c", burn]);
    let name = [("name", "short")];
    assert!(half.comes("container_cpu_usage_seconds_total", &name), "its CPU time");
    assert!(half.goes("container_last_seen", &name));
    let used = half.page().value("container_cpu_usage_seconds_total", &name).unwrap();
    assert!(used > 0.02, "{used} s of CPU time");
}

fn networks(docker: &Docker, half: &mut Half) {
    let serve = "mkdir /w; dd if=/dev/zero of=/w/f bs=1M count=8; httpd -f -p 80 -h /w";
    docker.container(&["--name", "server", BUSYBOX, "sh", "-c", serve]);
    let address = docker.address_of("server");
    let fetch = format!("wget -q -O /dev/null http://{address}/f");
    docker.container(&["--name", "bridged", BUSYBOX, "sleep", "1000"]);
    docker.container(&["--name", "hosted", "--network", "host", BUSYBOX, "sleep", "1000"]);
    docker.container(&["--name", "joined", "--network", "container:bridged", BUSYBOX, "sleep", "1000"]);
    docker.container(&["--name", "alone", "--network", "none", BUSYBOX, "sleep", "1000"]);
    let bridged = [("name", "bridged"), ("interface", "eth0")];
    let hosted = [("name", "hosted"), ("interface", "host")];
    assert!(half.comes("container_network_receive_bytes_total", &bridged));
    assert!(half.comes("container_network_receive_bytes_total", &hosted));
    let before = half.page().value("container_network_receive_bytes_total", &hosted).unwrap();
    assert!(before < MIB, "none of the host's traffic: {before}");
    let served = until(Duration::from_secs(10), || {
        docker.command(&["exec", "bridged", "sh", "-c", &fetch]).output().unwrap().status.success()
    });
    assert!(served, "8 MiB over the bridge");
    docker.run(&["exec", "hosted", "sh", "-c", &fetch]);
    docker.run(&["exec", "hosted", "sh", "-c", "ping -c 3 -s 1000 -i 0.2 127.0.0.1 || true"]);

    let page = half.page();
    let of = |name: &str, what: &str, interface: &str| {
        page.value(&format!("container_network_{what}_total"), &[("name", name), ("interface", interface)])
    };
    let inside = |what: &str| {
        let file = format!("/sys/class/net/eth0/statistics/{what}");
        docker.run(&["exec", "bridged", "cat", &file]).trim().parse::<f64>().unwrap()
    };
    for (what, file) in [
        ("receive_bytes", "rx_bytes"),
        ("receive_packets", "rx_packets"),
        ("transmit_bytes", "tx_bytes"),
        ("transmit_packets", "tx_packets"),
    ] {
        near(of("bridged", what, "eth0").unwrap(), inside(file), 0.001, 1_000.0);
    }
    assert!(of("bridged", "receive_bytes", "eth0").unwrap() >= 8.0 * MIB);
    assert_eq!(of("bridged", "receive_errors", "eth0"), Some(0.0));

    let received = of("hosted", "receive_bytes", "host").unwrap();
    assert!((8.0 * MIB..9.0 * MIB).contains(&received), "{received} bytes by the host-network container");
    let sockets = page.value("container_socket_receive_bytes_total", &[("name", "hosted")]).unwrap();
    assert!(sockets >= received, "sockets count loopback too: {sockets}");
    let other = page.matching("container_network_receive_bytes_total", &[("name", "hosted")]).count();
    assert_eq!(other, 1, "no device of the host is shown as its own");
    for name in ["joined", "alone"] {
        let rows = page.matching("container_network_receive_bytes_total", &[("name", name)]).count();
        assert_eq!(rows, 0, "{name}");
    }
    let root = page.matching("container_network_receive_bytes_total", &[("id", "/")]);
    let interfaces = root.fold(String::new(), |mut all, sample| {
        write!(all, "{} ", sample.labels["interface"]).unwrap();
        all
    });
    assert!(interfaces.contains(docker.bridge()) && !interfaces.contains("veth"), "{interfaces}");

    another_kind_of_device(docker, half);
    a_second_network(docker, half);
    another_run(docker, half);
}

/// A link that comes later is noticed by the next scrape, one that goes too.
fn a_second_network(docker: &Docker, half: &mut Half) {
    let network = format!("{}-second", docker.bridge());
    docker.run(&["network", "create", &network]);
    docker.run(&["network", "connect", &network, "bridged"]);
    let second = [("name", "bridged"), ("interface", "eth1")];
    assert!(half.comes("container_network_receive_bytes_total", &second));
    docker.run(&["network", "disconnect", &network, "bridged"]);
    assert!(half.goes("container_network_receive_bytes_total", &second));
    let first = [("name", "bridged"), ("interface", "eth0")];
    assert!(half.page().value("container_network_receive_bytes_total", &first).is_some());
    docker.run(&["network", "rm", &network]);
}

/// The same container in a new cgroup of the same path: one series, counted from nothing.
fn another_run(docker: &Docker, half: &mut Half) {
    let bridged = [("name", "bridged"), ("interface", "eth0")];
    let received = |half: &mut Half| half.page().value("container_network_receive_bytes_total", &bridged);
    assert!(received(half).unwrap() > 8.0 * MIB);
    docker.run(&["restart", "-t", "0", "bridged"]);
    let fresh = until(Duration::from_secs(5), || received(half).is_some_and(|bytes| bytes < MIB));
    assert!(fresh, "the new run's interface: {:?}", received(half));
    let page = half.page();
    assert_eq!(page.matching("container_last_seen", &[("name", "bridged")]).count(), 1);
    assert_eq!(page.matching("container_cpu_usage_seconds_total", &[("name", "bridged")]).count(), 1);
}

/// A device that is no veth is read through the process.
fn another_kind_of_device(docker: &Docker, half: &mut Half) {
    let pid = docker.run(&["inspect", "-f", "{{.State.Pid}}", "alone"]);
    let ip = ["-t", &pid, "-n", "ip", "link", "add", "odd0", "type", "bridge"];
    output(Command::new("nsenter").args(ip));
    assert!(half.comes("container_network_receive_bytes_total", &[("name", "alone"), ("interface", "odd0")]));
}
