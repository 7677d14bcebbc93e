#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, sync::Arc, sync::Mutex};

use super::*;
use crate::{
    config::{Asked, Paths, parse},
    node::sysfs_test::Root,
    source::ethtool::tests::driver,
};

/// An interface of the test: number, driver, names and values of its counters, link.
#[derive(Clone)]
struct Card {
    index: u32,
    driver: Driver,
    counters: Vec<(&'static str, u64)>,
    link: Option<Link>,
}

/// Stands in for the kernel and counts the calls.
#[derive(Clone, Default)]
struct Cards {
    present: Arc<Mutex<BTreeMap<Vec<u8>, Card>>>,
    calls: Arc<Mutex<Vec<&'static str>>>,
    values: Vec<u64>,
}

fn unsupported() -> io::Error {
    rustix::io::Errno::OPNOTSUPP.into()
}

impl Cards {
    fn card(&self, call: &'static str, interface: &[u8]) -> io::Result<Card> {
        self.calls.lock().unwrap().push(call);
        self.present.lock().unwrap().get(interface).cloned().ok_or_else(unsupported)
    }

    fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl Drivers for Cards {
    fn index(&mut self, interface: &[u8]) -> u32 {
        self.card("index", interface).map_or(0, |card| card.index)
    }

    fn link(&mut self, interface: &[u8]) -> io::Result<Link> {
        self.card("link", interface)?.link.ok_or_else(unsupported)
    }

    fn driver(&mut self, interface: &[u8]) -> io::Result<Driver> {
        Ok(self.card("driver", interface)?.driver)
    }

    fn names(&mut self, interface: &[u8], count: usize) -> io::Result<Vec<u8>> {
        let card = self.card("names", interface)?;
        let mut list = Vec::new();
        for (name, _) in &card.counters[..count] {
            let mut field = [0; 32];
            field[..name.len()].copy_from_slice(name.as_bytes());
            list.extend_from_slice(&field);
        }
        Ok(list)
    }

    fn counters(&mut self, interface: &[u8], count: usize) -> io::Result<&[u64]> {
        let card = self.card("counters", interface)?;
        self.values = card.counters[..count].iter().map(|(_, value)| *value).collect();
        Ok(&self.values)
    }
}

fn card(index: u32, name: &[u8], counters: &[(&'static str, u64)]) -> Card {
    let count = u32::try_from(counters.len()).unwrap();
    Card {
        index,
        driver: driver([name, b"5.11.0-22-generic", b"0.5-4", b"0000:00:1f.6", b""], count),
        counters: counters.to_vec(),
        link: None,
    }
}

struct Bench {
    _root: Root,
    cards: Cards,
    collector: Ethtool<Cards>,
}

impl Bench {
    fn new(name: &str, interfaces: &[&str], line: &str) -> Self {
        let root = Root::new(name);
        for interface in interfaces {
            root.write(&format!("class/net/{interface}/ifindex"), "1\n");
        }
        let Ok(Asked::Run(flags)) = parse(line.split_whitespace().map(str::to_owned)) else {
            panic!("{line}")
        };
        let at = |name: &str| root.path().join(name);
        let paths = Paths { procfs: at("proc"), sysfs: at(""), rootfs: at("root"), udev_data: at("udev") };
        let cards = Cards::default();
        let collector = Ethtool::new(&Context { paths: &paths, flags: &flags }, cards.clone()).unwrap();
        Self { _root: root, cards, collector }
    }

    fn set(&self, interface: &str, card: Card) {
        self.cards.present.lock().unwrap().insert(interface.into(), card);
    }

    /// The samples of a scrape, sorted.
    fn samples(&mut self) -> Vec<String> {
        let mut page = Page::default();
        self.collector.collect(&mut page).unwrap();
        assert_eq!(page.dropped(), 0);
        let text = String::from_utf8(page.text().to_vec()).unwrap();
        let mut lines: Vec<_> =
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }
}

/// As a card that the reference's own tests have; 1260062 and more so as to be seen in exponent form.
#[test]
fn a_card_is_given_as_the_reference_gives_it() {
    let mut bench = Bench::new("ethtool-card", &["eth0", "lo"], "");
    let counters = [
        ("tx_packets", 961_500),
        ("rx_packets", 1_260_062),
        ("tx_errors", 0),
        ("port.rx_dropped", 12_028),
        ("rx_missed", 401),
        ("duplicate metric", 1),
        ("duplicate_metric", 2),
    ];
    let supported = 0b1_0011_0010_1110_1111;
    let link = Link { supported: supported & !(1 << 16), advertised: 0b0_0010_0000_0110_1111, negotiates: 1 };
    bench.set("eth0", Card { link: Some(link), ..card(2, b"e1000e", &counters) });
    let expected = r#"
node_ethtool_info{bus_info="0000:00:1f.6",device="eth0",driver="e1000e",expansion_rom_version="",firmware_version="0.5-4",version="5.11.0-22-generic"} 1
node_ethtool_port_received_dropped{device="eth0"} 12028
node_ethtool_received_missed{device="eth0"} 401
node_ethtool_received_packets_total{device="eth0"} 1.260062e+06
node_ethtool_transmitted_errors_total{device="eth0"} 0
node_ethtool_transmitted_packets_total{device="eth0"} 961500
node_network_advertised_speed_bytes{device="eth0",duplex="full",mode="1000baseT"} 1.25e+08
node_network_advertised_speed_bytes{device="eth0",duplex="full",mode="100baseT"} 1.25e+07
node_network_advertised_speed_bytes{device="eth0",duplex="full",mode="10baseT"} 1.25e+06
node_network_advertised_speed_bytes{device="eth0",duplex="half",mode="100baseT"} 1.25e+07
node_network_advertised_speed_bytes{device="eth0",duplex="half",mode="10baseT"} 1.25e+06
node_network_asymmetricpause_advertised{device="eth0"} 0
node_network_asymmetricpause_supported{device="eth0"} 0
node_network_autonegotiate_advertised{device="eth0"} 1
node_network_autonegotiate_supported{device="eth0"} 1
node_network_autonegotiate{device="eth0"} 1
node_network_pause_advertised{device="eth0"} 1
node_network_pause_supported{device="eth0"} 1
node_network_supported_port_info{device="eth0",type="MII"} 1
node_network_supported_port_info{device="eth0",type="TP"} 1
node_network_supported_speed_bytes{device="eth0",duplex="full",mode="10000baseT"} 1.25e+09
node_network_supported_speed_bytes{device="eth0",duplex="full",mode="1000baseT"} 1.25e+08
node_network_supported_speed_bytes{device="eth0",duplex="full",mode="100baseT"} 1.25e+07
node_network_supported_speed_bytes{device="eth0",duplex="full",mode="10baseT"} 1.25e+06
node_network_supported_speed_bytes{device="eth0",duplex="half",mode="100baseT"} 1.25e+07
node_network_supported_speed_bytes{device="eth0",duplex="half",mode="10baseT"} 1.25e+06
"#;
    let expected: Vec<&str> = expected.trim().lines().collect();
    assert_eq!(bench.samples(), expected);
    assert_eq!(bench.samples(), expected, "the same once more");
}

#[test]
fn names_are_asked_for_once_as_long_as_the_interface_is_the_same() {
    let mut bench = Bench::new("ethtool-calls", &["eth0"], "");
    bench.set("eth0", card(2, b"a", &[("x", 1)]));
    bench.samples();
    assert_eq!(bench.cards.calls(), ["link", "index", "driver", "names", "counters"]);
    bench.samples();
    assert_eq!(bench.cards.calls(), ["link", "index", "driver", "counters"]);
    for changed in
        [card(3, b"a", &[("y", 1)]), card(3, b"b", &[("z", 1)]), card(3, b"b", &[("z", 1), ("zz", 2)])]
    {
        let names: Vec<String> = changed.counters.iter().map(|(name, _)| (*name).to_owned()).collect();
        bench.set("eth0", changed);
        let samples = bench.samples();
        assert!(bench.cards.calls().contains(&"names"));
        for name in names {
            assert!(samples.iter().any(|line| line.starts_with(&format!("node_ethtool_{name}{{"))), "{name}");
        }
    }
    // Without a driver there is nothing to ask for, and the old counters are gone.
    bench.cards.present.lock().unwrap().clear();
    assert_eq!(bench.samples(), [""; 0]);
    assert_eq!(bench.cards.calls(), ["link", "index", "driver"]);
}

#[test]
fn interfaces_and_counters_are_filtered() {
    let both = "--collector.ethtool.device-include=eth --collector.ethtool.device-exclude=eth0 \
        --collector.ethtool.metrics-include=^rx_";
    let mut bench = Bench::new("ethtool-filter", &["eth0", "eth1", "veth2", "br0"], both);
    for name in ["eth0", "eth1", "veth2", "br0"] {
        bench.set(name, card(2, b"a", &[("rx_a", u64::MAX), ("tx_a", 1)]));
    }
    let given: Vec<String> = bench.samples().into_iter().filter(|line| !line.contains("_info")).collect();
    let line = |name: &str| format!("node_ethtool_received_a{{device=\"{name}\"}} 1.8446744073709552e+19");
    assert_eq!(given, [line("eth1"), line("veth2")]);
}

#[test]
fn no_interfaces_are_no_failure_of_ours() {
    let mut bench = Bench::new("ethtool-none", &[], "");
    let none = bench.collector.collect(&mut Page::default());
    assert!(matches!(none, Err(Failure::Absent(_))), "{none:?}");
}
