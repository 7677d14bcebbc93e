//! Wireless interfaces, their networks and stations.

use rustix::io::Errno;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::netlink::{Error, Network, Station, Wireless, WirelessInterface},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "wifi",
    on_by_default: false,
    summary: "wireless interfaces: frequency, network, stations",
    reads: "nl80211",
    since: "2.6.24",
    // The kernel's lock on its network configuration may be held for long.
    pace: Pace::MayBlock,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Wifi::build,
};

static FREQUENCY: Family = Family::gauge(
    "node_wifi_interface_frequency_hertz",
    "Frequency that the wireless interface works on, in hertz.",
);
static INFO: Family = Family::gauge(
    "node_wifi_station_info",
    "1, with the network that the wireless interface is in: its name, its access point and how.",
);

/// Of each station: the family, and the station's figure.
type Figure = (Family, fn(&Station) -> f64);

static FIGURES: [Figure; 12] = [
    (
        Family::counter("node_wifi_station_connected_seconds_total", "Seconds since the station connected."),
        |station| station.connected.into(),
    ),
    (
        Family::gauge("node_wifi_station_inactive_seconds", "Seconds since the station was heard last."),
        |station| f64::from(station.inactive) / 1000.0,
    ),
    (
        Family::gauge(
            "node_wifi_station_receive_bits_per_second",
            "Speed of what the station sends to us, in bits per second.",
        ),
        |station| f64::from(station.rx_bitrate) * RATE_UNIT,
    ),
    (
        Family::gauge(
            "node_wifi_station_transmit_bits_per_second",
            "Speed of what we send to the station, in bits per second.",
        ),
        |station| f64::from(station.tx_bitrate) * RATE_UNIT,
    ),
    (
        Family::counter("node_wifi_station_receive_bytes_total", "Bytes that came from the station."),
        |station| station.rx_bytes as f64,
    ),
    (
        Family::counter("node_wifi_station_transmit_bytes_total", "Bytes that went to the station."),
        |station| station.tx_bytes as f64,
    ),
    (
        Family::counter("node_wifi_station_received_packets_total", "Packets that came from the station."),
        |station| station.rx_packets.into(),
    ),
    (
        Family::counter("node_wifi_station_transmitted_packets_total", "Packets that went to the station."),
        |station| station.tx_packets.into(),
    ),
    (Family::gauge("node_wifi_station_signal_dbm", "Strength of the station's signal, in dBm."), |station| {
        station.signal.into()
    }),
    (
        Family::counter(
            "node_wifi_station_transmit_retries_total",
            "Packets that were sent to the station once more.",
        ),
        |station| station.tx_retries.into(),
    ),
    (
        Family::counter(
            "node_wifi_station_transmit_failed_total",
            "Packets that did not get to the station.",
        ),
        |station| station.tx_failed.into(),
    ),
    (
        Family::counter(
            "node_wifi_station_beacon_loss_total",
            "Times that the station's beacons were missed.",
        ),
        |station| station.beacon_loss.into(),
    ),
];

static EVERY_FAMILY: [&Family; FIGURES.len() + 2] = {
    let mut all = [&FREQUENCY; FIGURES.len() + 2];
    all[1] = &INFO;
    let mut index = 0;
    while index < FIGURES.len() {
        all[2 + index] = &FIGURES[index].0;
        index += 1;
    }
    all
};

const HERTZ: f64 = 1e6;
/// Bits per second in the kernel's unit of speed.
const RATE_UNIT: f64 = 1e5;

/// What is kept of an interface, and what it had at this scrape.
struct Known {
    device: Labels,
    name: Vec<u8>,
    frequency: f64,
    network: Option<(Network, Labels)>,
    stations: Kept<(Labels, Station)>,
}

#[derive(Default)]
struct Wifi {
    wireless: Wireless,
    interfaces: Kept<Known>,
}

impl Wifi {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(_: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self::default()))
    }

    /// Asks for all interfaces; what could not be read of one of them is told when all have been asked.
    fn read(&mut self) -> Result<Option<Error>, Failure> {
        let interfaces = match self.wireless.interfaces() {
            Ok(Some(interfaces)) => interfaces,
            Ok(None) => return Err(Failure::absent("nl80211: the kernel has no wireless".to_owned())),
            Err(error) if is_one_of(&error, &[Errno::PERM, Errno::ACCESS]) => {
                return Err(Failure::absent(error.to_string()));
            }
            Err(error) => return Err(Failure::Broken(error.to_string())),
        };
        let mut failed = None;
        self.interfaces.begin();
        // A device for peer-to-peer use has no name.
        for interface in interfaces.iter().filter(|interface| !interface.name.is_empty()) {
            if let Some(known) = self.interfaces.meet(&interface.name, || Known::new(&interface.name)) {
                let read = known.read(&mut self.wireless, interface);
                failed = failed.or(read.err());
            }
        }
        self.interfaces.end();
        Ok(failed)
    }
}

fn is_one_of(error: &Error, errnos: &[Errno]) -> bool {
    errnos.iter().any(|errno| error.errno() == Some(errno.raw_os_error()))
}

/// Nothing where the interface has no such thing, its driver cannot tell, or it has just gone.
fn if_there<T: Default>(answer: Result<T, Error>) -> Result<T, Error> {
    let lacks = [Errno::NOENT, Errno::NODEV, Errno::OPNOTSUPP];
    answer.or_else(|error| if is_one_of(&error, &lacks) { Ok(T::default()) } else { Err(error) })
}

impl Known {
    fn new(name: &[u8]) -> Self {
        Self {
            device: Labels::new([("device", name)]),
            name: name.to_vec(),
            frequency: 0.0,
            network: None,
            stations: Kept::default(),
        }
    }

    fn read(&mut self, wireless: &mut Wireless, interface: &WirelessInterface) -> Result<(), Error> {
        self.frequency = f64::from(interface.frequency) * HERTZ;
        let network = if_there(wireless.network(interface));
        let stations = if_there(wireless.stations(interface));
        self.join(network.as_ref().ok().cloned().flatten());
        self.stations.begin();
        for station in stations.as_ref().into_iter().flatten() {
            let address = address(&station.address);
            let labels = || {
                let labels =
                    Labels::new([("device", self.name.as_slice()), ("mac_address", address.as_bytes())]);
                (labels, Station::default())
            };
            if let Some((_, kept)) = self.stations.meet(address.as_bytes(), labels) {
                kept.clone_from(station);
            }
        }
        self.stations.end();
        network.and(stations).map(drop)
    }

    fn join(&mut self, network: Option<Network>) {
        if self.network.as_ref().map(|(network, _)| network) == network.as_ref() {
            return;
        }
        self.network = network.map(|network| {
            let labels = Labels::new([
                ("bssid", address(&network.bssid).as_bytes()),
                ("device", &self.name),
                ("mode", mode(network.status).as_bytes()),
                ("ssid", readable(&network.ssid).as_bytes()),
            ]);
            (network, labels)
        });
    }
}

/// A hardware address as people write it.
fn address(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn mode(status: u32) -> &'static str {
    match status {
        0 | 1 => "client",
        2 => "ad-hoc",
        _ => "unknown",
    }
}

/// As the reference has it, each byte that is not UTF-8 stands as one U+FFFD.
fn readable(ssid: &[u8]) -> String {
    let mut text = String::with_capacity(ssid.len());
    for chunk in ssid.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

impl Collector for Wifi {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let failed = self.read()?;
        let mut samples = page.family(&FREQUENCY);
        for known in self.interfaces.items() {
            samples.sample(&known.device, known.frequency);
        }
        let mut samples = page.family(&INFO);
        for (_, labels) in self.interfaces.items().filter_map(|known| known.network.as_ref()) {
            samples.sample(labels, 1_u64);
        }
        for (family, figure) in &FIGURES {
            let mut samples = page.family(family);
            for (labels, station) in self.interfaces.items().flat_map(|known| known.stations.items()) {
                samples.sample(labels, figure(station));
            }
        }
        failed.map_or(Ok(()), |error| Err(Failure::Broken(error.to_string())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::netlink::{
        generic::tests::{family, list, refusal},
        nl80211::tests::{interface_bytes, machine, recorded, station_bytes},
    };

    fn samples(wifi: &mut Wifi) -> (Vec<String>, Result<(), Failure>) {
        let mut page = Page::default();
        let collected = wifi.collect(&mut page);
        assert_eq!(page.dropped(), 0);
        let text = String::from_utf8(page.text().to_vec()).unwrap();
        (text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect(), collected)
    }

    #[test]
    fn a_recorded_machine_is_given_as_the_reference_gives_it() {
        let (wireless, _kernel) = recorded(&machine());
        let mut wifi = Wifi { wireless, ..Wifi::default() };
        let (given, collected) = samples(&mut wifi);
        collected.unwrap();
        let expected = r#"
node_wifi_interface_frequency_hertz{device="wlan0"} 2.412e+09
node_wifi_interface_frequency_hertz{device="wlan1"} 5.955e+09
node_wifi_station_info{bssid="00:11:22:33:44:55",device="wlan0",mode="client",ssid="ExXample"} 1
node_wifi_station_connected_seconds_total{device="wlan0",mac_address="01:02:03:04:05:06"} 60
node_wifi_station_connected_seconds_total{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 30
node_wifi_station_inactive_seconds{device="wlan0",mac_address="01:02:03:04:05:06"} 0.8
node_wifi_station_inactive_seconds{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 0.4
node_wifi_station_receive_bits_per_second{device="wlan0",mac_address="01:02:03:04:05:06"} 7e+09
node_wifi_station_receive_bits_per_second{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 7e+09
node_wifi_station_transmit_bits_per_second{device="wlan0",mac_address="01:02:03:04:05:06"} 1.64e+08
node_wifi_station_transmit_bits_per_second{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 1.64e+08
node_wifi_station_receive_bytes_total{device="wlan0",mac_address="01:02:03:04:05:06"} 1.099511627776e+12
node_wifi_station_receive_bytes_total{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 1000
node_wifi_station_transmit_bytes_total{device="wlan0",mac_address="01:02:03:04:05:06"} 2.199023255552e+12
node_wifi_station_transmit_bytes_total{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 2000
node_wifi_station_received_packets_total{device="wlan0",mac_address="01:02:03:04:05:06"} 22
node_wifi_station_received_packets_total{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 11
node_wifi_station_transmitted_packets_total{device="wlan0",mac_address="01:02:03:04:05:06"} 24
node_wifi_station_transmitted_packets_total{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 12
node_wifi_station_signal_dbm{device="wlan0",mac_address="01:02:03:04:05:06"} -52
node_wifi_station_signal_dbm{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} -52
node_wifi_station_transmit_retries_total{device="wlan0",mac_address="01:02:03:04:05:06"} 20
node_wifi_station_transmit_retries_total{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 10
node_wifi_station_transmit_failed_total{device="wlan0",mac_address="01:02:03:04:05:06"} 4
node_wifi_station_transmit_failed_total{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 2
node_wifi_station_beacon_loss_total{device="wlan0",mac_address="01:02:03:04:05:06"} 2
node_wifi_station_beacon_loss_total{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 1
"#;
        let expected = expected.replace("ExXample", "Ex\u{fffd}ample");
        assert_eq!(given, expected.trim().lines().collect::<Vec<_>>());
        // The record ends here: what was given is not given again as if it were still so.
        let (given, collected) = samples(&mut wifi);
        assert!(matches!(collected, Err(Failure::Broken(_))), "{collected:?}");
        assert_eq!(given, [""; 0]);
    }

    #[test]
    fn what_one_interface_refuses_leaves_the_others() {
        let mut answers = machine();
        let refused = answers.len() - 2;
        *answers.get_mut(refused).unwrap() = refusal(5, libc::EBUSY);
        let (wireless, _kernel) = recorded(&answers);
        let (given, collected) = samples(&mut Wifi { wireless, ..Wifi::default() });
        assert_eq!(given.len(), 27);
        assert!(collected.unwrap_err().to_string().contains("NL80211_CMD_GET_SCAN"));
    }

    #[test]
    fn stations_are_told_apart_by_any_byte() {
        let stations: Vec<_> =
            (0xf0..=0xff).map(|last| station_bytes([0xff, 0xfe, 0, 0, 0, last], 1, false)).collect();
        let answers = [
            vec![family()],
            list(2, 7, &[interface_bytes(3, Some("wlan0"), 1)]),
            list(3, 34, &[]),
            list(4, 19, &stations),
        ];
        let (wireless, _kernel) = recorded(&answers.concat());
        let (given, collected) = samples(&mut Wifi { wireless, ..Wifi::default() });
        collected.unwrap();
        assert_eq!(given.len(), 1 + 16 * FIGURES.len());
    }

    #[test]
    fn a_kernel_without_wireless_has_no_data() {
        for errno in [libc::ENOENT, libc::EPERM] {
            let (wireless, _kernel) = recorded(&[refusal(1, errno)]);
            let (given, collected) = samples(&mut Wifi { wireless, ..Wifi::default() });
            assert!(matches!(collected, Err(Failure::Absent(_))) && given.is_empty(), "{collected:?}");
        }
    }

    #[test]
    fn networks_change_and_go() {
        let mut known = Known::new(b"wlan0");
        let network = |status| Network { bssid: vec![1; 6], ssid: b"a\xff\xfe\"".to_vec(), status };
        for (status, mode) in [(0, "client"), (1, "client"), (2, "ad-hoc"), (7, "unknown")] {
            known.join(Some(network(status)));
            let expected = format!(
                "bssid=\"01:01:01:01:01:01\",device=\"wlan0\",mode=\"{mode}\",ssid=\"a\u{fffd}\u{fffd}\\\"\""
            );
            let (_, labels) = known.network.as_ref().unwrap();
            assert_eq!(str::from_utf8(labels.text()), Ok(expected.as_str()));
        }
        known.join(None);
        assert!(known.network.is_none());
    }
}
