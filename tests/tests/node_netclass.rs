//! Interfaces over sysfs and over netlink beside the reference, while they come, change and go; and what many cost.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use tests::{
    calls,
    exporter::{Exporter, binary},
    http::{self, Connection},
    live,
    netns::{Pair, Space, within},
    page::Page,
};

const BY_NETLINK: &[&str] =
    &["--collector.netclass", "--collector.netclass.netlink", "--collector.netclass_rtnl.with-stats"];

fn interfaces(space: &Space) {
    space.ip_batch(
        "link add va type veth peer name vb\n\
         link set va up\n\
         link set vb up\n\
         link add br0 type bridge\n\
         link set br0 up\n\
         link add mv0 link va type macvlan mode bridge\n\
         link set mv0 up\n\
         link add vx0 type vxlan id 5 dstport 4789 remote 10.1.0.9 dev va\n\
         tuntap add dev tun0 mode tun\n\
         tuntap add dev tap0 mode tap\n\
         link set tun0 up\n\
         link property add dev br0 altname bridge-zero altname bridge-one\n",
    );
    space.shell(r#"ip link set br0 alias 'the "way" out\'"#);
}

/// A change, and a series that shows it: name, interface, value; a value below 0 for none.
type Change = (&'static str, &'static str, &'static str, f64);

const CHANGES: &[Change] = &[
    ("ip link set va mtu 1400", "mtu_bytes", "va", 1400.0),
    ("ip link set va txqueuelen 77", "transmit_queue_length", "va", 77.0),
    ("echo 5 > /sys/class/net/va/netdev_group", "net_dev_group", "va", 5.0),
    ("ip link set mv0 down", "up", "mv0", 0.0),
    ("ip link set mv0 up", "up", "mv0", 1.0),
    ("ip link set vb down", "up", "va", 0.0),
    ("ip link set vb up", "carrier", "va", 1.0),
    ("ip link set va promisc on", "iface_id", "lo", 1.0),
    ("ip link set va promisc off", "iface_id", "lo", 1.0),
    ("ip link set va allmulticast on", "iface_id", "lo", 1.0),
    ("ip link set br0 alias other", "iface_id", "lo", 1.0),
    ("ip link set br0 address 02:00:00:00:00:01", "address_assign_type", "br0", 3.0),
    // The address it has, which it now has from somebody.
    ("ip link set va address $(cat /sys/class/net/va/address)", "address_assign_type", "va", 3.0),
    ("ip link set mv0 down; ip link set mv0 name mw0", "name_assign_type", "mw0", 4.0),
    ("ip link set va mode dormant", "iface_link_mode", "va", 1.0),
    ("ip link add new0 type veth peer name new1", "mtu_bytes", "new1", 1500.0),
    ("ip link del new0", "mtu_bytes", "new1", -1.0),
    ("ip link set tun0 down", "flags", "tun0", 4240.0),
    ("ip link del tap0", "up", "tap0", -1.0),
    ("ip link set vb master br0", "up", "br0", 1.0),
];

#[test]
fn interfaces_are_the_reference_s_through_all_changes() {
    within("class", |space| {
        interfaces(space);
        let Some(files) = Pair::start(space, &["--collector.netclass"]) else { return };
        let Some(netlink) = Pair::start(space, BY_NETLINK) else { return };
        files.same(140);
        let page = netlink.same(300);
        assert_eq!(page.matching("node_network_altnames_info", &[("device", "br0")]).count(), 2);
        for (line, name, device, value) in CHANGES {
            space.shell(line);
            let wanted = (*value >= 0.0).then_some(*value);
            let pages = [files.same(120), netlink.same(270)];
            let shown = |page: &Page| page.value(&format!("node_network_{name}"), &[("device", *device)]);
            // (Flags differ between the two.)
            assert!(
                pages.iter().any(|page| shown(page) == wanted),
                "{line}: {:?}",
                pages.map(|page| shown(&page))
            );
        }
        let ignoring = ["--collector.netclass", "--collector.netclass.ignored-devices=^v"];
        for more in [&[][..], &["--collector.netclass.netlink"]] {
            let Some(pair) = Pair::start(space, &[&ignoring, more].concat()) else { return };
            let page = pair.same(50);
            assert!(page.value("node_network_up", &[("device", "va")]).is_none());
        }
    });
}

/// The interfaces that others tell of are not those of the folder: a container that sees the host's `/sys`.
#[test]
fn a_folder_of_another_namespace_is_believed() {
    within("classns", |space| {
        space.ip("link add va type veth peer name vb");
        // Without `ip netns exec` the exporter has the namespace, but not its `/sys`.
        let mut command = Command::new(binary());
        command.args([
            "--collector.disable-defaults",
            "--collector.netclass",
            "--ebpf=off",
            "--no-container",
        ]);
        let exporter = Exporter::start_with(http::free_address(), command.arg("--docker="));
        for _ in 0..2 {
            let page = exporter.page();
            let listed = std::fs::read_dir("/sys/class/net/lo/").is_ok();
            assert_eq!(page.value("node_network_iface_id", &[("device", "lo")]).is_some(), listed);
            assert!(page.value("node_network_up", &[("device", "va")]).is_none());
        }
    });
}

/// An exporter of these collectors in the namespace, which may hold few descriptors.
fn modest(space: &Space, flags: &[&str]) -> Exporter {
    let mut command = space.command(Path::new("sh"));
    command.args(["-c", r#"ulimit -n 128; exec "$0" "$@""#]).arg(binary());
    command.args(["--collector.disable-defaults", "--ebpf=off", "--no-container", "--docker="]);
    Exporter::start_with(http::free_address(), command.arg("--scrape.share=0s").args(flags))
}

/// The system calls of one scrape, by name.
fn calls_of(exporter: &Exporter) -> calls::Calls<f64> {
    let mut connection = Connection::open(exporter.address).unwrap();
    let mut scrape = || match connection.request("GET", "/metrics", &[]).unwrap() {
        answer if answer.status == 200 => Ok(()),
        answer => Err(answer.text()),
    };
    for _ in 0..3 {
        scrape().unwrap();
    }
    calls::per_scrape(exporter.process.pid(), scrape).unwrap()
}

#[test]
fn calls_do_not_grow_with_the_interfaces() {
    const PAIRS: usize = 150;
    if !live::need("strace", Command::new("strace").arg("-V").output().is_ok()) {
        return;
    }
    within("many", |space| {
        let lines = (0..PAIRS).map(|n| {
            format!(
                "link add a{n} type veth peer name b{n}\nlink set a{n} up\nlink set b{n} up\n\
                 addr add 10.1.{n}.1/30 dev a{n}\nneigh add 10.1.{n}.2 lladdr 02:00:00:00:00:01 dev a{n}\n"
            )
        });
        space.ip_batch(&lines.collect::<String>());
        // What a new interface sends by itself ends after a few seconds.
        std::thread::sleep(std::time::Duration::from_secs(3));
        for flags in [
            &["--collector.arp", "--collector.network_route", "--collector.qdisc", "--collector.tcpstat"][..],
            &["--collector.netclass"],
            BY_NETLINK,
        ] {
            let exporter = modest(space, flags);
            if flags.contains(&"--collector.netclass") {
                let interfaces = exporter.page().matching("node_network_up", &[]).count();
                assert_eq!(interfaces, 2 * PAIRS + 1, "{flags:?}");
            }
            let calls = calls_of(&exporter);
            let sum: f64 = calls.values().sum();
            assert!(sum < PAIRS as f64, "{flags:?}: {sum} calls: {calls:?}");
        }
    });
}

/// Others come and go without a pause: those that stay are there in every scrape, once, and nothing fails.
#[test]
fn those_that_stay_are_there_while_others_come_and_go() {
    within("churn", |space| {
        space.ip("link add va type veth peer name vb");
        space.ip("link set va up");
        space.ip("link set vb up");
        space.ip("addr add 10.1.0.1/24 dev va");
        space.ip("neigh add 10.1.0.2 lladdr 02:00:00:00:00:02 dev va");
        let collectors =
            ["--collector.arp", "--collector.qdisc", "--collector.network_route", "--collector.netdev"];
        let by_files = modest(space, &[&collectors[..], &["--collector.netclass"]].concat());
        let by_netlink = modest(space, BY_NETLINK);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let churn = || {
                let lines: Vec<String> = (0..50)
                    .map(|n| {
                        format!("link add x{n} type veth peer name y{n}\nlink set x{n} up\nlink del x{n}\n")
                    })
                    .collect();
                let mut rounds = 0;
                while !is_over.load(Ordering::Relaxed) {
                    space.ip_batch(&lines.concat());
                    rounds += 1;
                }
                rounds
            };
            let churn = scope.spawn(churn);
            let looked = std::panic::catch_unwind(AssertUnwindSafe(|| {
                for _ in 0..40 {
                    for exporter in [&by_files, &by_netlink] {
                        look(&exporter.page(), exporter.process.said().as_str());
                    }
                }
            }));
            is_over.store(true, Ordering::Relaxed);
            assert!(churn.join().unwrap() > 0);
            looked.unwrap_or_else(|panic| resume_unwind(panic));
        });
    });
}

/// Each family that is there has what stays.
fn look(page: &Page, said: &str) {
    for sample in page.matching("node_scrape_collector_success", &[]) {
        assert!(sample.value > 0.0, "{sample:?}\n{said}");
    }
    let families = [
        "node_arp_entries",
        "node_qdisc_bytes_total",
        "node_network_routes",
        "node_network_receive_bytes_total",
        "node_network_up",
        "node_network_info",
        "node_network_mtu_bytes",
    ];
    let mut seen = 0;
    for family in families.into_iter().filter(|family| page.types.contains_key(*family)) {
        assert!(page.value(family, &[("device", "va")]).is_some(), "{family} of va\n{said}");
        seen += 1;
    }
    assert!(seen >= 4, "{seen} families are too few to mean much");
}
