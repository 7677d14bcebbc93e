//! Traffic per cgroup by the kernel half, against what a program of known size sent.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kernel_support;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use exporter::source::bpf::{Counters, NetTotals, Program, Slot};
use kernel_support::{Ended, Group, load, only, turn, until};

/// IP and UDP headers.
const HEADERS_V4: u64 = 20 + 8;
const HEADERS_V6: u64 = 40 + 8;

/// The figures of the unknown slot, where this process' own traffic goes, do not matter here: each test's
/// traffic is that of a child in its own cgroup.
fn figures(counters: &Counters, group: &Group) -> NetTotals {
    counters.net(counters.find(group.key).unwrap())
}

/// Sends `count` datagrams of 500 bytes from inside `group` to `target`, `bash` being the sender.
fn send_datagrams(group: &Group, target: &str, port: u16, count: u64) {
    let payload = "x".repeat(500);
    let script = format!(
        "exec bash -c 'exec 3>/dev/udp/{target}/{port}; for i in $(seq {count}); do printf %s {payload} >&3; done'"
    );
    let mut child = Ended(group.run(&script));
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn loopback_datagrams_are_counted_to_the_byte_and_kept_apart() {
    let Some(_turn) = turn() else { return };
    let kernel = load(&only(Program::Net));
    let counters = kernel.counters.as_ref().unwrap();
    let group = Group::v2("udp");
    counters.enter(group.key).unwrap();
    for (bind, target, headers) in [("127.0.0.1:0", "127.0.0.1", HEADERS_V4), ("[::1]:0", "::1", HEADERS_V6)]
    {
        let Ok(receiver) = UdpSocket::bind(bind) else {
            assert!(target == "::1", "no loopback");
            continue;
        };
        receiver.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let before = figures(counters, &group);
        send_datagrams(&group, target, receiver.local_addr().unwrap().port(), 40);
        let mut buffer = [0; 600];
        for _ in 0..40 {
            assert_eq!(receiver.recv(&mut buffer).unwrap(), 500, "traffic flows");
        }
        let after = figures(counters, &group);
        assert_eq!(after.loopback.tx_packets - before.loopback.tx_packets, 40);
        assert_eq!(after.loopback.tx_bytes - before.loopback.tx_bytes, 40 * (500 + headers));
        assert_eq!(after.loopback.rx_packets, before.loopback.rx_packets, "nobody answered");
        assert_eq!(after.devices, before.devices, "loopback is not a device's traffic");
    }
}

#[test]
fn a_stream_is_counted_at_both_ends() {
    let Some(_turn) = turn() else { return };
    let kernel = load(&only(Program::Net));
    let counters = kernel.counters.as_ref().unwrap();
    let group = Group::v2("tcp");
    counters.enter(group.key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _client = Ended(group.run(&format!("exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3 >&3'")));
    let (mut stream, _) = listener.accept().unwrap();
    let sent = vec![7; 3_000_000];
    let sent_again = segments_sent_again();
    let mut echo = stream.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; 3_000_000];
        echo.read_exact(&mut got).unwrap();
    });
    stream.write_all(&sent).unwrap();
    reader.join().unwrap();
    let seen = figures(counters, &group).loopback;
    println!("{seen:?}");
    // Payload both ways, headers of at most a twentieth, and what TCP thought lost.
    let again = (segments_sent_again() - sent_again) * 65_536;
    for bytes in [seen.rx_bytes, seen.tx_bytes] {
        assert!((3_000_000..3_150_000 + again).contains(&bytes), "{seen:?} {again}");
    }
}

/// `RetransSegs` of this network namespace.
fn segments_sent_again() -> u64 {
    let text = std::fs::read_to_string("/proc/net/snmp").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:"));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split(' ').position(|name| name == "RetransSegs").unwrap();
    values.split(' ').nth(place).unwrap().parse().unwrap()
}

/// A pair of devices into a network namespace: traffic of the host's own network that does not go over loopback.
struct Pair(String);

impl Pair {
    fn new() -> Self {
        let name = format!("ntk{}", std::process::id() % 100_000);
        let pair = Self(name);
        let n = &pair.0;
        sh(&format!(
            "ip netns add {n} && ip link add {n} type veth peer name eth0 netns {n} && \
             ip addr add 198.18.77.1/30 dev {n} && ip link set {n} up && \
             ip -n {n} addr add 198.18.77.2/30 dev eth0 && ip -n {n} link set eth0 up && ip -n {n} link set lo up"
        ));
        pair
    }
}

fn sh(script: &str) {
    let status = std::process::Command::new("sh").args(["-c", script]).status().unwrap();
    assert!(status.success(), "{script}");
}

impl Drop for Pair {
    fn drop(&mut self) {
        let script = format!("ip link del {0}; ip netns del {0}", self.0);
        let _ = std::process::Command::new("sh").args(["-c", &script]).status();
    }
}

#[test]
fn a_cgroup_on_the_hosts_network_has_its_own_bytes_and_so_has_one_with_a_network_of_its_own() {
    let Some(_turn) = turn() else { return };
    if !tests::live::need("ip", std::process::Command::new("ip").arg("-V").output().is_ok()) {
        return;
    }
    let kernel = load(&only(Program::Net));
    let counters = kernel.counters.as_ref().unwrap();
    let pair = Pair::new();
    let (sender, receiver, bystander) = (Group::v2("host"), Group::v2("netns"), Group::v2("other"));
    for group in [&sender, &receiver, &bystander] {
        counters.enter(group.key).unwrap();
    }
    // In the namespace a socket listens that never reads: what arrives is counted all the same.
    let listen = format!(
        "exec ip netns exec {} perl -MIO::Socket::INET -e \
         'my $s = IO::Socket::INET->new(Proto => \"udp\", LocalPort => 7007) or die; sleep 60'",
        pair.0
    );
    let _listener = Ended(receiver.run(&listen));
    let ready = || {
        let file = format!("/proc/{}/net/udp", receiver.pids().first().cloned().unwrap_or_default());
        std::fs::read_to_string(file).is_ok_and(|text| text.contains(":1B5F "))
    };
    assert!(until(Duration::from_secs(5), ready), "no listener");
    send_datagrams(&sender, "198.18.77.2", 7007, 50);
    std::thread::sleep(Duration::from_millis(100));
    let (sent, got) = (figures(counters, &sender), figures(counters, &receiver));
    println!("sent {sent:?}\ngot {got:?}");
    assert_eq!((sent.devices.tx_packets, sent.devices.tx_bytes), (50, 50 * (500 + HEADERS_V4)));
    assert_eq!((got.devices.rx_packets, got.devices.rx_bytes), (50, 50 * (500 + HEADERS_V4)));
    assert_eq!(sent.loopback.tx_packets + got.loopback.rx_packets, 0);
    assert_eq!(figures(counters, &bystander), NetTotals::default(), "the host's traffic is nobody else's");
}

#[test]
fn traffic_of_no_known_cgroup_is_counted_apart() {
    let Some(_turn) = turn() else { return };
    let kernel = load(&only(Program::Net));
    let counters = kernel.counters.as_ref().unwrap();
    let group = Group::v2("unknown");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let before = counters.net(Slot::UNKNOWN);
    let mut child = Ended(group.run(&format!("exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'")));
    drop::<TcpStream>(listener.accept().unwrap().0);
    assert!(child.0.wait().unwrap().success());
    assert!(counters.net(Slot::UNKNOWN).loopback.tx_packets > before.loopback.tx_packets);
}
