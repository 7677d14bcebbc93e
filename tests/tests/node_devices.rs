//! Collectors that ask devices and not files: drivers, performance counters. Beside the reference, in a network
//! namespace of the test's own where the devices are those the test makes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};
use tests::{
    exporter::Exporter,
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

type Series = BTreeMap<(String, BTreeMap<String, String>), Sample>;

fn series(page: &Page) -> Series {
    let own = |name: &str| {
        let foreign = ["node_scrape_collector_duration", "node_exporter_"];
        name.starts_with("node_") && !foreign.iter().any(|prefix| name.starts_with(prefix))
    };
    let samples = page.samples.iter().filter(|sample| own(&sample.name)).cloned();
    samples.map(|sample| ((sample.name.clone(), sample.labels.clone()), sample)).collect()
}

/// Both exporters with these flags, scraped in turn: the same series and types, and each of our values between the
/// reference's two. Gives our page.
fn compare(reference: &std::path::Path, flags: &[&str]) -> Page {
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
        assert!(low[key].value <= sample.value && sample.value <= high[key].value, "{sample:?}");
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
    let page = compare(&reference, &["--collector.ethtool"]);
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
    let page = compare(&reference, &some);
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
    let exporter = Exporter::start(&[
        "--collector.disable-defaults",
        "--collector.ethtool",
        "--ebpf=off",
        "--no-container",
        "--docker=",
        "--scrape.share=0",
    ]);
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
