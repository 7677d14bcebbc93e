//! Collectors that speak netlink, in network namespaces made for the test: known interfaces, queues, routes,
//! neighbours and sockets, and the reference beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod node_support;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use exporter::collector::Collector;
use node_support::{build, lines, paths, scrape};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tests::{
    netns::{Pair, Space, within},
    page::Page,
    running::until,
};

/// A collector within the test, on the thread's own network namespace.
fn collector(name: &str, flags: &[&str]) -> Vec<Box<dyn Collector>> {
    let paths = paths("/proc/thread-self".into(), "/sys".into(), "/", "/run/udev/data".into());
    build(&paths, &[name], flags)
}

fn page(collectors: &mut [Box<dyn Collector>]) -> Page {
    Page::parse(&scrape(collectors))
}

/// The samples as text, without what all of them begin with.
fn samples(collectors: &mut [Box<dyn Collector>], prefix: &str) -> Vec<String> {
    let text = scrape(collectors);
    lines(&text).iter().filter_map(|line| line.strip_prefix(prefix)).map(str::to_owned).collect()
}

/// A pair of interfaces, one with an address and a neighbour that takes all and answers nothing.
fn sink(space: &Space, [one, other]: [&str; 2], network: &str) {
    space.shell("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
    space.ip(&format!("link add {one} type veth peer name {other}"));
    space.ip(&format!("addr add {network}.1/24 dev {one}"));
    space.ip(&format!("link set {one} up"));
    space.ip(&format!("link set {other} up"));
    space.ip(&format!("neigh add {network}.2 lladdr 02:00:00:00:00:02 dev {one}"));
}

fn send(network: &str, count: usize, bytes: usize) {
    let socket = UdpSocket::bind(format!("{network}.1:0")).unwrap();
    for _ in 0..count {
        // A full queue is told as a lack of room.
        let _ = socket.send_to(&vec![0; bytes], format!("{network}.2:9"));
    }
}

/// Ethernet, IPv4 and UDP.
const HEADERS: f64 = 14.0 + 20.0 + 8.0;

fn queues(space: &Space) {
    sink(space, ["qa", "qb"], "10.77.0");
    sink(space, ["qc", "qd"], "10.78.0");
    space.tc("qdisc add dev qa root handle 1: htb default 1");
    space.tc("class add dev qa parent 1: classid 1:1 htb rate 1gbit quantum 1514");
    space.tc("qdisc add dev qa parent 1:1 handle 2: pfifo");
    space.tc("qdisc add dev qc root tbf rate 8kbit burst 2000 limit 5000");
    space.tc("qdisc add dev qc ingress");
    space.ip("tuntap add dev qt mode tun");
    space.ip("link set qt up");
}

#[test]
fn queues_have_their_figures() {
    within("qdisc", |space| {
        queues(space);
        send("10.77.0", 5, 100);
        send("10.78.0", 40, 900);
        let mut all = collector("qdisc", &[]);
        let found = page(&mut all);
        let kinds: Vec<_> = found
            .matching("node_qdisc_drops_total", &[])
            .map(|sample| (sample.labels["device"].as_str(), sample.labels["kind"].as_str()))
            .collect();
        let wanted = [
            ("lo", "noqueue"),
            ("qa", "htb"),
            ("qb", "noqueue"),
            ("qc", "tbf"),
            ("qd", "noqueue"),
            ("qt", "pfifo_fast"),
        ];
        assert_eq!(kinds, wanted, "roots, not what is within them, and not the way in");
        let figure = |device, name: &str| found.value(&format!("node_qdisc_{name}"), &[("device", device)]);
        assert_eq!(figure("qa", "packets_total"), Some(5.0));
        assert_eq!(figure("qa", "bytes_total"), Some(5.0 * (100.0 + HEADERS)));
        for name in ["backlog", "current_queue_length", "drops_total", "overlimits_total", "requeues_total"] {
            assert_eq!(figure("qa", name), Some(0.0), "{name}");
        }
        let narrow = |name| figure("qc", name).filter(|figure| *figure > 0.0).expect(name);
        let (sent, dropped) = (narrow("packets_total"), narrow("drops_total"));
        let queued = narrow("current_queue_length");
        assert_eq!(Some(sent + queued + dropped), Some(40.0), "{sent} {queued} {dropped}");
        assert_eq!(Some(narrow("backlog")), Some(queued * (900.0 + HEADERS)));
        assert_eq!(Some(narrow("bytes_total")), Some(sent * (900.0 + HEADERS)));
        assert!(narrow("overlimits_total") >= 1.0);

        space.ip("link set qt name qtun");
        space.tc("qdisc replace dev qa root pfifo_fast");
        let after = page(&mut all);
        let has = |device, kind| {
            after.value("node_qdisc_drops_total", &[("device", device), ("kind", kind)]).is_some()
        };
        assert!(has("qtun", "pfifo_fast") && !has("qt", "pfifo_fast"), "names are followed");
        assert!(has("qa", "pfifo_fast") && !has("qa", "htb"));
        for (flag, wanted) in [
            ("--collector.qdisc.device-include=^q[ac]$", ["qa", "qc"]),
            ("--collector.qdisk.device-exclude=^(lo|q[bd]|qtun)$", ["qa", "qc"]),
        ] {
            let found = page(&mut collector("qdisc", &[flag]));
            let drops = found.matching("node_qdisc_drops_total", &[]);
            assert_eq!(drops.map(|sample| sample.labels["device"].as_str()).collect::<Vec<_>>(), wanted);
        }
    });
}

#[test]
fn queues_are_the_reference_s() {
    within("qdiscref", |space| {
        queues(space);
        let Some(pair) = Pair::start(space, &["--collector.qdisc"]) else { return };
        pair.same(6 * 7);
        send("10.77.0", 500, 700);
        send("10.78.0", 40, 900);
        let page = pair.same(6 * 7);
        assert_eq!(page.value("node_qdisc_packets_total", &[("device", "qa")]), Some(500.0));
        assert!(page.value("node_qdisc_drops_total", &[("device", "qc")]).unwrap() > 0.0);
    });
}

/// Routes of every maker, by several ways, of both versions of IP, in several tables.
fn routes(space: &Space) {
    sink(space, ["ra", "rb"], "10.1.0");
    let of_each = (0..=255).map(|maker| format!("route add 10.9.{maker}.0/24 via 10.1.0.2 proto {maker}\n"));
    space.ip_batch(&of_each.collect::<String>());
    space.shell("echo 0 > /proc/sys/net/ipv6/conf/ra/disable_ipv6");
    space.ip_batch(
        "route add default via 10.1.0.254 src 10.1.0.1 metric 7\n\
         route add 10.20.0.0/16 nexthop via 10.1.0.3 weight 3 nexthop via 10.1.0.4 dev ra\n\
         route add 10.22.0.0/16 dev rb table 100\n\
         route add 10.22.0.0/16 dev rb table 101\n\
         route add blackhole 10.23.0.0/16\n\
         route add unreachable 10.24.0.0/16\n\
         route add 10.26.0.0/16 via inet6 fe80::1 dev ra\n\
         route add 10.27.0.1/32 dev ra onlink via 192.0.2.1\n\
         addr add fd00:1::1/64 dev ra nodad\n\
         route add default via fd00:1::9\n\
         route add fd00:5::/64 via fd00:1::2 metric 5 src fd00:1::1\n\
         route add fd00:6::/64 nexthop via fd00:1::2 nexthop via fd00:1::3 weight 4\n",
    );
}

#[test]
fn routes_are_told_hop_by_hop() {
    within("route", |space| {
        routes(space);
        let mut all = collector("network_route", &[]);
        let prefix = "node_network_route_info{";
        let found: Vec<_> =
            samples(&mut all, prefix).into_iter().filter(|line| !line.contains("10.9.")).collect();
        let wanted = [
            r#"dest="10.1.0.0/24",device="ra",gw="",priority="0",proto="kernel",src="10.1.0.1",weight=""} 1"#,
            r#"dest="10.20.0.0/16",device="ra",gw="10.1.0.3",priority="0",proto="boot",src="",weight="3"} 1"#,
            r#"dest="10.20.0.0/16",device="ra",gw="10.1.0.4",priority="0",proto="boot",src="",weight="1"} 1"#,
            r#"dest="10.22.0.0/16",device="rb",gw="",priority="0",proto="boot",src="",weight=""} 1"#,
            r#"dest="10.26.0.0/16",device="ra",gw="",priority="0",proto="boot",src="",weight=""} 1"#,
            r#"dest="10.27.0.1/32",device="ra",gw="192.0.2.1",priority="0",proto="boot",src="",weight=""} 1"#,
            r#"dest="default",device="ra",gw="10.1.0.254",priority="7",proto="boot",src="10.1.0.1",weight=""} 1"#,
            r#"dest="default",device="ra",gw="fd00:1::9",priority="1024",proto="boot",src="",weight=""} 1"#,
            r#"dest="fd00:1::/64",device="ra",gw="",priority="256",proto="kernel",src="",weight=""} 1"#,
            r#"dest="fd00:5::/64",device="ra",gw="fd00:1::2",priority="5",proto="boot",src="fd00:1::1",weight=""} 1"#,
            r#"dest="fd00:6::/64",device="ra",gw="fd00:1::2",priority="1024",proto="boot",src="",weight="1"} 1"#,
            r#"dest="fd00:6::/64",device="ra",gw="fd00:1::3",priority="1024",proto="boot",src="",weight="4"} 1"#,
            r#"dest="fe80::/64",device="ra",gw="",priority="256",proto="kernel",src="",weight=""} 1"#,
        ];
        assert_eq!(found, wanted);
        let counts = samples(&mut all, "node_network_routes");
        assert_eq!(counts, [r#"{device="ra"} 268"#, r#"{device="rb"} 2"#], "both tables' count");

        space.ip("route del 10.27.0.1/32");
        space.ip("link set rb name rb2");
        let after = samples(&mut all, prefix);
        assert!(!after.iter().any(|line| line.contains("10.27.0.1") || line.contains(r#"device="rb""#)));
        assert!(after.iter().any(|line| line.contains(r#"device="rb2""#)), "names are followed");
    });
}

#[test]
fn routes_are_the_reference_s() {
    within("routeref", |space| {
        routes(space);
        let Some(pair) = Pair::start(space, &["--collector.network_route"]) else { return };
        pair.same(265);
        space.ip("route del 10.9.4.0/24");
        pair.same(264);
    });
}

/// Four that ARP has to do with, and two that it has not.
fn neighbours(space: &Space) {
    sink(space, ["na", "nb"], "10.1.0");
    sink(space, ["nc", "nd"], "10.2.0");
    space.shell("echo 0 > /proc/sys/net/ipv6/conf/na/disable_ipv6");
    space.ip_batch(
        "neigh add 10.1.0.3 lladdr 02:00:00:00:00:03 dev na\n\
         neigh add 10.1.0.4 lladdr 02:00:00:00:00:04 nud stale dev na\n\
         neigh add 10.1.0.50 lladdr 02:00:00:00:00:50 nud noarp dev na\n\
         neigh add proxy 10.1.0.99 dev na\n\
         neigh add fd00::1 lladdr 02:00:00:00:00:06 dev na\n",
    );
}

#[test]
fn neighbours_are_counted_by_interface() {
    within("arp", |space| {
        neighbours(space);
        let entries = |all: &mut [Box<dyn Collector>]| samples(all, "node_arp_entries");
        let mut all = collector("arp", &[]);
        assert_eq!(entries(&mut all), [r#"{device="na"} 3"#, r#"{device="nc"} 1"#]);
        let mut by_file = collector("arp", &["--no-collector.arp.netlink"]);
        assert_eq!(entries(&mut by_file), [r#"{device="na"} 4"#, r#"{device="nc"} 1"#], "the proxy's, too");
        space.ip("neigh del 10.1.0.4 dev na");
        space.ip("link set nc name nx");
        assert_eq!(entries(&mut all), [r#"{device="na"} 2"#, r#"{device="nx"} 1"#]);
        let mut others = collector("arp", &["--collector.arp.device-exclude=^na$"]);
        assert_eq!(entries(&mut others), [r#"{device="nx"} 1"#]);
        space.ip("link del nx");
        assert_eq!(entries(&mut all), [r#"{device="na"} 2"#]);
    });
}

#[test]
fn neighbours_are_the_reference_s() {
    within("arpref", |space| {
        neighbours(space);
        for flags in [&["--collector.arp"][..], &["--collector.arp", "--no-collector.arp.netlink"]] {
            let Some(pair) = Pair::start(space, flags) else { return };
            pair.same(3);
        }
    });
}

/// A connection that is accepted: the client's end and the server's.
fn connect(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn sockets_are_counted_by_state() {
    within("tcp", |space| {
        sink(space, ["ta", "tb"], "10.1.0");
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let six = TcpListener::bind("[::1]:0").unwrap();
        let mut open = vec![connect(&four), connect(&four), connect(&six)];
        open[0].0.write_all(&[0; 1000]).unwrap();
        // One end closed: the other waits. Both closed: the first to close remembers for a while.
        let (half, _) = connect(&four);
        let (mut whole, _) = connect(&six);
        assert_eq!(whole.read(&mut [0]).unwrap(), 0);
        drop(whole);
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let asking = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
        let nobody: std::net::SocketAddrV4 = "10.1.0.2:9".parse().unwrap();
        assert!(rustix::net::connect(&asking, &nobody).is_err());
        let wanted = [
            r#"{state="close_wait"} 1"#,
            r#"{state="established"} 6"#,
            r#"{state="fin_wait2"} 1"#,
            r#"{state="listen"} 2"#,
            r#"{state="rx_queued_bytes"} 1001"#,
            r#"{state="syn_sent"} 1"#,
            r#"{state="time_wait"} 1"#,
            r#"{state="tx_queued_bytes"} 257"#,
        ];
        let mut all = collector("tcpstat", &[]);
        let mut found = Vec::new();
        let come = until(Duration::from_secs(5), || {
            found = samples(&mut all, "node_tcp_connection_states");
            found == wanted
        });
        assert!(come, "{found:#?}");
        let Some(pair) = Pair::start(space, &["--collector.tcpstat"]) else { return };
        pair.same(9);
        drop((open, half, asking));
    });
}
