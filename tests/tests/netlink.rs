//! The rtnetlink reader against the live kernel: own interfaces, a veth pair, another namespace.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use exporter::source::netlink::{Error, Links, Stats};

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}: {status}");
}

/// A network namespace with a process in it and a veth into ours, gone at the end of the test.
struct Namespace {
    name: &'static str,
    outer: &'static str,
    inhabitant: Child,
}

impl Namespace {
    fn new(name: &'static str, outer: &'static str) -> Self {
        ip(&format!("netns add {name}"));
        let mut sleep = Command::new("ip");
        sleep.args(["netns", "exec", name, "sleep", "600"]).stdin(Stdio::null());
        let namespace = Self { name, outer, inhabitant: sleep.spawn().unwrap() };
        ip(&format!("link add {outer} type veth peer name inner0 netns {name}"));
        ip(&format!("addr add 198.18.77.1/24 dev {outer}"));
        ip(&format!("link set {outer} up"));
        ip(&format!("-n {name} addr add 198.18.77.2/24 dev inner0"));
        ip(&format!("-n {name} link set inner0 up"));
        ip(&format!("-n {name} link set lo up"));
        namespace
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.inhabitant.kill();
        let _ = self.inhabitant.wait();
        let _ = Command::new("ip").args(["link", "del", self.outer]).status();
        let _ = Command::new("ip").args(["netns", "del", self.name]).status();
    }
}

fn may_make_namespaces() -> bool {
    let have = rustix::process::geteuid().is_root() && Command::new("ip").arg("-V").output().is_ok();
    tests::live::need("root and the `ip` command", have)
}

/// The sixteen columns of `/proc/PID/net/dev` for one interface.
fn proc_net_dev(pid: &str, interface: &str) -> Vec<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap();
    let (_, columns) = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == interface)
        .unwrap();
    columns.split_whitespace().map(|column| column.parse().unwrap()).collect()
}

/// The same columns folded from the 64-bit counters the way the kernel prints them.
fn folded(stats: &Stats) -> Vec<u64> {
    let s = stats;
    vec![
        s.rx_bytes,
        s.rx_packets,
        s.rx_errors,
        s.rx_dropped + s.rx_missed_errors,
        s.rx_fifo_errors,
        s.rx_length_errors + s.rx_over_errors + s.rx_crc_errors + s.rx_frame_errors,
        s.rx_compressed,
        s.multicast,
        s.tx_bytes,
        s.tx_packets,
        s.tx_errors,
        s.tx_dropped,
        s.tx_fifo_errors,
        s.collisions,
        s.tx_carrier_errors + s.tx_aborted_errors + s.tx_window_errors + s.tx_heartbeat_errors,
        s.tx_compressed,
    ]
}

fn named(links: &mut Links, name: &str) -> (u32, Stats) {
    let link = links.dump().unwrap().find(|link| link.name == name.as_bytes()).unwrap();
    (link.index, link.stats.unwrap())
}

fn interfaces_in_proc() -> BTreeSet<String> {
    let text = std::fs::read_to_string("/proc/self/net/dev").unwrap();
    text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

#[test]
fn own_interfaces_are_those_of_proc() {
    let mut links = Links::new();
    // Bracketed: others may make and drop interfaces meanwhile.
    let before = interfaces_in_proc();
    let dumped: Vec<String> =
        links.dump().unwrap().map(|link| String::from_utf8_lossy(link.name).into_owned()).collect();
    let after = interfaces_in_proc();
    let unique: BTreeSet<String> = dumped.iter().cloned().collect();
    assert_eq!(unique.len(), dumped.len(), "{dumped:?}");
    assert!(unique.contains("lo"));
    assert!(unique.is_superset(&(&before & &after)), "{before:?} {unique:?} {after:?}");
    assert!(unique.is_subset(&(&before | &after)), "{before:?} {unique:?} {after:?}");
    assert!(links.dump().unwrap().all(|link| link.stats.is_some_and(|stats| stats.rx_nohandler.is_some())));
}

#[test]
fn a_veth_is_counted_and_its_peer_is_found() {
    if !may_make_namespaces() {
        return;
    }
    let space = Namespace::new("ntt-veth", "ntt-outer");
    let pid = space.inhabitant.id();
    // A datagram to a closed port comes back as an ICMP error, so both directions count.
    let socket = std::net::UdpSocket::bind("198.18.77.1:0").unwrap();
    socket.send_to(&[0; 500], "198.18.77.2:9").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    let mut links = Links::new();

    // Bracketed: the counters lie between two readings of the file.
    let before = proc_net_dev("self", space.outer);
    let (index, stats) = named(&mut links, space.outer);
    let after = proc_net_dev("self", space.outer);
    for ((low, value), high) in before.iter().zip(folded(&stats)).zip(&after) {
        assert!(*low <= value && value <= *high, "{before:?} <= {stats:?} <= {after:?}");
    }
    assert!(stats.rx_bytes > 0 && stats.tx_packets > 0, "{stats:?}");

    let nsid = links.nsid_of_pid(pid).unwrap().unwrap();
    let inner = links
        .dump_namespace(nsid)
        .unwrap()
        .find(|link| link.name == b"inner0")
        .unwrap()
        .inner_veth()
        .unwrap();
    assert_eq!((inner.outer, inner.netnsid), (index, nsid));
    let peers: Vec<u32> =
        links.dump().unwrap().filter(|link| link.is_peer_of(&inner)).map(|link| link.index).collect();
    assert_eq!(peers, [index]);

    // What the host's end received is what the inside sent, and the other way round.
    let inside = proc_net_dev(&pid.to_string(), "inner0");
    let (_, stats) = named(&mut links, space.outer);
    let from_inside = links.dump_namespace(nsid).unwrap().find(|link| link.name == b"inner0").unwrap();
    let from_inside = folded(&from_inside.stats.unwrap());
    let again = proc_net_dev(&pid.to_string(), "inner0");
    for (inner, outer) in
        [(8, stats.rx_bytes), (9, stats.rx_packets), (0, stats.tx_bytes), (1, stats.tx_packets)]
    {
        assert!(inside[inner] <= outer && outer <= again[inner], "{inside:?} {stats:?} {again:?}");
        assert!(outer <= from_inside[inner] && from_inside[inner] <= again[inner], "{from_inside:?}");
    }
}

#[test]
fn what_is_not_there_is_told() {
    if !may_make_namespaces() {
        return;
    }
    let mut links = Links::new();
    assert_eq!(links.nsid_of_pid(u32::try_from(i32::MAX).unwrap()).unwrap(), None);
    let unknown = links.dump_namespace(1_000_000).map(Iterator::count);
    assert!(matches!(&unknown, Err(Error::Refused { .. })), "{unknown:?}");
    // The reader works on after a refusal.
    assert!(links.dump().unwrap().any(|link| link.name == b"lo"));
}

#[test]
fn many_dumps_keep_no_namespace_alive() {
    if !may_make_namespaces() {
        return;
    }
    let space = Namespace::new("ntt-many", "ntt-many0");
    let mut links = Links::new();
    assert!(links.dump().unwrap().count() > 1);
    let nsid = links.nsid_of_pid(space.inhabitant.id()).unwrap().unwrap();
    for _ in 0..100 {
        assert!(links.dump().unwrap().count() > 1);
        assert_eq!(links.dump_namespace(nsid).unwrap().filter(|link| link.kind == Some(b"veth")).count(), 1);
    }
    let open: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("net:"))
        .collect();
    assert!(open.is_empty(), "{open:?}");
    // With the process and the name gone the namespace dies, and its number with it.
    drop(space);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while links.dump_namespace(nsid).is_ok() {
        assert!(std::time::Instant::now() < deadline, "the namespace outlived its last user");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
