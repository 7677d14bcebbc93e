//! Generic netlink's family `nl80211`: wireless interfaces, the network each is in, and the stations it sees.

use super::{
    Error,
    generic::Generic,
    message::{Attributes, attribute, text, u8_at, u16_at, u32_at, u64_at},
};

const GET_INTERFACE: (&str, u8) = ("NL80211_CMD_GET_INTERFACE", 5);
const GET_STATION: (&str, u8) = ("NL80211_CMD_GET_STATION", 17);
const GET_SCAN: (&str, u8) = ("NL80211_CMD_GET_SCAN", 32);

const ATTR_IFINDEX: u16 = 3;
const ATTR_IFNAME: u16 = 4;
const ATTR_MAC: u16 = 6;
const ATTR_STA_INFO: u16 = 21;
const ATTR_WIPHY_FREQ: u16 = 38;
const ATTR_BSS: u16 = 47;

const BSS_BSSID: u16 = 1;
const BSS_ELEMENTS: u16 = 6;
const BSS_STATUS: u16 = 9;
/// The element of a beacon that holds the network's name.
const ELEMENT_SSID: u8 = 0;

const STA_INACTIVE: u16 = 1;
const STA_RX_BYTES: u16 = 2;
const STA_TX_BYTES: u16 = 3;
const STA_SIGNAL: u16 = 7;
const STA_TX_BITRATE: u16 = 8;
const STA_RX_PACKETS: u16 = 9;
const STA_TX_PACKETS: u16 = 10;
const STA_TX_RETRIES: u16 = 11;
const STA_TX_FAILED: u16 = 12;
const STA_RX_BITRATE: u16 = 14;
const STA_CONNECTED: u16 = 16;
const STA_BEACON_LOSS: u16 = 18;
const STA_RX_BYTES64: u16 = 23;
const STA_TX_BYTES64: u16 = 24;
const RATE_BITRATE: u16 = 1;
const RATE_BITRATE32: u16 = 5;

/// A wireless interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WirelessInterface {
    /// Index of the interface.
    pub index: u32,
    /// Its name; empty for a device that is no network interface.
    pub name: Vec<u8>,
    /// Its hardware address; empty if it was not told.
    pub address: Vec<u8>,
    /// The frequency that it works on, in MHz; 0 if it was not told.
    pub frequency: u32,
}

/// The network that an interface is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Hardware address of the access point.
    pub bssid: Vec<u8>,
    /// The network's name, any bytes; empty for a hidden one.
    pub ssid: Vec<u8>,
    /// 0 authenticated, 1 associated, 2 joined without an access point.
    pub status: u32,
}

/// Another station that an interface talks with. What the driver does not tell is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Station {
    /// Its hardware address.
    pub address: Vec<u8>,
    /// Seconds since it connected.
    pub connected: u32,
    /// Milliseconds since it was heard last.
    pub inactive: u32,
    /// Bytes from it.
    pub rx_bytes: u64,
    /// Bytes to it.
    pub tx_bytes: u64,
    /// Packets from it.
    pub rx_packets: u32,
    /// Packets to it.
    pub tx_packets: u32,
    /// Packets sent to it once more.
    pub tx_retries: u32,
    /// Packets that did not get to it.
    pub tx_failed: u32,
    /// Beacons of it that were missed.
    pub beacon_loss: u32,
    /// Strength of its signal, in dBm.
    pub signal: i8,
    /// Speed of what it sends, in 100 kbit/s.
    pub rx_bitrate: u32,
    /// Speed of what is sent to it, in 100 kbit/s.
    pub tx_bitrate: u32,
}

/// A reader of the wireless interfaces of our network namespace.
#[derive(Debug)]
pub struct Wireless {
    family: Generic,
}

impl Default for Wireless {
    fn default() -> Self {
        Self { family: Generic::new(b"nl80211\0") }
    }
}

impl Wireless {
    /// The interfaces; `None` where the kernel has no wireless at all.
    ///
    /// # Errors
    /// A failing system call, a refusal, no complete answer in time, or nonsense; the next call starts afresh.
    pub fn interfaces(&mut self) -> Result<Option<Vec<WirelessInterface>>, Error> {
        self.family.fold(GET_INTERFACE, &[], Vec::new, |all, attributes| all.push(interface(attributes)))
    }

    /// The network that an interface is in, if it is in one.
    ///
    /// # Errors
    /// As [`Self::interfaces`]; `ENODEV` for an interface that has gone.
    pub fn network(&mut self, interface: &WirelessInterface) -> Result<Option<Network>, Error> {
        let found = self.family.fold(
            GET_SCAN,
            &asked(interface),
            || None,
            |found, attributes| {
                if found.is_none() {
                    *found = network(&attributes);
                }
            },
        );
        found.map(Option::flatten)
    }

    /// The stations that an interface talks with.
    ///
    /// # Errors
    /// As [`Self::network`].
    pub fn stations(&mut self, interface: &WirelessInterface) -> Result<Vec<Station>, Error> {
        let found = self.family.fold(GET_STATION, &asked(interface), Vec::new, |all, attributes| {
            all.extend(station(&attributes));
        });
        found.map(Option::unwrap_or_default)
    }
}

fn asked(interface: &WirelessInterface) -> Vec<u8> {
    let mut attributes = Vec::new();
    attribute(&mut attributes, ATTR_IFINDEX, &interface.index.to_ne_bytes());
    if !interface.address.is_empty() {
        attribute(&mut attributes, ATTR_MAC, &interface.address);
    }
    attributes
}

fn interface(attributes: Attributes<'_>) -> WirelessInterface {
    let mut interface = WirelessInterface::default();
    for (kind, payload) in attributes {
        match kind {
            ATTR_IFINDEX => interface.index = u32_at(payload, 0).unwrap_or(0),
            ATTR_IFNAME => interface.name = text(payload).to_vec(),
            ATTR_MAC => interface.address = payload.to_vec(),
            ATTR_WIPHY_FREQ => interface.frequency = u32_at(payload, 0).unwrap_or(0),
            _ => {}
        }
    }
    interface
}

/// The network in a scan's entry, if the interface is in it: only then it has a status.
fn network(attributes: &Attributes<'_>) -> Option<Network> {
    let entry = Attributes(attributes.payload(ATTR_BSS)?);
    Some(Network {
        status: u32_at(entry.payload(BSS_STATUS)?, 0)?,
        bssid: entry.payload(BSS_BSSID).unwrap_or_default().to_vec(),
        ssid: entry.payload(BSS_ELEMENTS).and_then(ssid).unwrap_or_default().to_vec(),
    })
}

/// The network's name among a beacon's elements, each a number, a length and so many bytes. They come from the air: what
/// makes no sense ends them.
fn ssid(mut elements: &[u8]) -> Option<&[u8]> {
    loop {
        let (&id, rest) = elements.split_first()?;
        let (&length, rest) = rest.split_first()?;
        let (content, rest) = rest.split_at_checked(length.into())?;
        if id == ELEMENT_SSID {
            return Some(content);
        }
        elements = rest;
    }
}

fn station(attributes: &Attributes<'_>) -> Option<Station> {
    let info = Attributes(attributes.payload(ATTR_STA_INFO)?);
    let number = |kind| info.payload(kind).and_then(|payload| u32_at(payload, 0)).unwrap_or(0);
    let bytes = |wide, narrow| {
        let wide = info.payload(wide).and_then(|payload| u64_at(payload, 0)).unwrap_or(0);
        if wide == 0 { number(narrow).into() } else { wide }
    };
    Some(Station {
        address: attributes.payload(ATTR_MAC).unwrap_or_default().to_vec(),
        connected: number(STA_CONNECTED),
        inactive: number(STA_INACTIVE),
        rx_bytes: bytes(STA_RX_BYTES64, STA_RX_BYTES),
        tx_bytes: bytes(STA_TX_BYTES64, STA_TX_BYTES),
        rx_packets: number(STA_RX_PACKETS),
        tx_packets: number(STA_TX_PACKETS),
        tx_retries: number(STA_TX_RETRIES),
        tx_failed: number(STA_TX_FAILED),
        beacon_loss: number(STA_BEACON_LOSS),
        signal: info.payload(STA_SIGNAL).and_then(|payload| u8_at(payload, 0)).unwrap_or(0).cast_signed(),
        rx_bitrate: bitrate(info.payload(STA_RX_BITRATE)),
        tx_bitrate: bitrate(info.payload(STA_TX_BITRATE)),
    })
}

/// The 16-bit form is 0 or missing for what does not fit.
fn bitrate(rate: Option<&[u8]>) -> u32 {
    let rate = Attributes(rate.unwrap_or_default());
    let wide = rate.payload(RATE_BITRATE32).and_then(|payload| u32_at(payload, 0));
    let narrow = rate.payload(RATE_BITRATE).and_then(|payload| u16_at(payload, 0));
    wide.filter(|wide| *wide > 0).unwrap_or_else(|| narrow.unwrap_or(0).into())
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(body: &[u8]) {
    let _ = (interface(Attributes(body)), network(&Attributes(body)), station(&Attributes(body)));
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::fd::OwnedFd;

    use super::*;
    use crate::source::netlink::{
        generic::tests::{family, list, refusal},
        recorded::{attr, garble},
    };

    const NESTED: u16 = 0x8000;
    pub const ACCESS_POINT: [u8; 6] = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55];

    /// A reader before which a kernel's answers lie; the other end of its socket has to stay open.
    pub fn recorded(answers: &[Vec<u8>]) -> (Wireless, OwnedFd) {
        let (family, kernel) = Generic::recorded(b"nl80211\0", answers);
        (Wireless { family }, kernel)
    }

    fn number(kind: u16, value: u32) -> Vec<u8> {
        attr(kind, &value.to_ne_bytes())
    }

    /// What a kernel says of an interface, with some of what else it says.
    pub fn interface_bytes(index: u32, name: Option<&str>, frequency: u32) -> Vec<u8> {
        let name = name.map_or(Vec::new(), |name| attr(ATTR_IFNAME, format!("{name}\0").as_bytes()));
        let wiphy_and_type = [number(1, 0), number(5, 2), attr(153, &1_u64.to_ne_bytes())].concat();
        let address = attr(ATTR_MAC, &[2, 0, 0, 0, 0, 1]);
        let rest = [number(46, 7), number(ATTR_WIPHY_FREQ, frequency), number(39, 1)].concat();
        [number(ATTR_IFINDEX, index), name, wiphy_and_type, address, rest].concat()
    }

    /// An entry of a scan.
    pub fn scan_bytes(bssid: [u8; 6], elements: &[u8], status: Option<u32>) -> Vec<u8> {
        let mut entry = [attr(BSS_BSSID, &bssid), number(2, 2412), attr(BSS_ELEMENTS, elements)].concat();
        entry.extend(attr(7, &(-5200_i32).to_ne_bytes()));
        entry.extend(status.map_or(Vec::new(), |status| number(BSS_STATUS, status)));
        [number(46, 3), number(ATTR_IFINDEX, 3), attr(ATTR_BSS | NESTED, &entry)].concat()
    }

    /// A station, with more than is read.
    pub fn station_bytes(address: [u8; 6], scale: u32, wide: bool) -> Vec<u8> {
        let rate = |narrow: u16, wide: Option<u32>| {
            let wide = wide.map_or(Vec::new(), |wide| number(RATE_BITRATE32, wide));
            [attr(RATE_BITRATE, &narrow.to_ne_bytes()), wide, attr(2, &[7]), attr(4, &[])].concat()
        };
        let mut info = [
            number(STA_CONNECTED, 30 * scale),
            number(STA_INACTIVE, 400 * scale),
            number(STA_RX_BYTES, 1000 * scale),
            number(STA_TX_BYTES, 2000 * scale),
            attr(STA_SIGNAL, &[(-52_i8).cast_unsigned()]),
            attr(13, &[(-60_i8).cast_unsigned()]),
            attr(STA_TX_BITRATE | NESTED, &rate(1640, None)),
            attr(STA_RX_BITRATE | NESTED, &rate(0, Some(70_000))),
            number(STA_RX_PACKETS, 11 * scale),
            number(STA_TX_PACKETS, 12 * scale),
            number(STA_TX_RETRIES, 10 * scale),
            number(STA_TX_FAILED, 2 * scale),
            number(STA_BEACON_LOSS, scale),
        ]
        .concat();
        if wide {
            info.extend(attr(STA_RX_BYTES64, &(1_u64 << 40).to_ne_bytes()));
            info.extend(attr(STA_TX_BYTES64, &(1_u64 << 41).to_ne_bytes()));
        }
        [number(ATTR_IFINDEX, 3), attr(ATTR_MAC, &address), attr(ATTR_STA_INFO | NESTED, &info)].concat()
    }

    /// Elements of a beacon: rates, then the network's name, then a country.
    pub fn beacon(ssid: &[u8]) -> Vec<u8> {
        let length = u8::try_from(ssid.len()).unwrap();
        [&[1, 2, 0x82, 0x84, ELEMENT_SSID, length], ssid, &[7, 3, b'D', b'E', b' ']].concat()
    }

    /// What a machine with two interfaces, and a device without a name, answers to a whole round of requests: the first
    /// interface is in a network with two stations, the second one is refused what it is asked for.
    pub fn machine() -> Vec<Vec<u8>> {
        let interfaces = [
            interface_bytes(3, Some("wlan0"), 2412),
            interface_bytes(4, Some("wlan1"), 5955),
            interface_bytes(0, None, 0),
        ];
        let scan = [
            scan_bytes([9; 6], &beacon(b"Neighbour"), None),
            scan_bytes(ACCESS_POINT, &beacon(b"Ex\xffample"), Some(1)),
            scan_bytes([8; 6], &beacon(b"Other"), Some(1)),
        ];
        let stations = [
            station_bytes([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff], 1, false),
            station_bytes([1, 2, 3, 4, 5, 6], 2, true),
        ];
        [
            vec![family()],
            list(2, 7, &interfaces),
            list(3, 34, &scan),
            list(4, 19, &stations),
            vec![refusal(5, libc::ENOENT)],
            vec![refusal(6, libc::EOPNOTSUPP)],
        ]
        .concat()
    }

    #[test]
    fn a_machine_s_answers_are_read() {
        let (mut wireless, _kernel) = recorded(&machine());
        let interfaces = wireless.interfaces().unwrap().unwrap();
        assert_eq!(interfaces.len(), 3);
        let first = WirelessInterface {
            index: 3,
            name: b"wlan0".to_vec(),
            address: vec![2, 0, 0, 0, 0, 1],
            frequency: 2412,
        };
        assert_eq!(interfaces.first(), Some(&first));
        assert!(interfaces.iter().any(|interface| interface.name.is_empty()));
        let network = wireless.network(&first).unwrap();
        let expected = Network { bssid: ACCESS_POINT.to_vec(), ssid: b"Ex\xffample".to_vec(), status: 1 };
        assert_eq!(network, Some(expected));
        let stations = wireless.stations(&first).unwrap();
        let expected = Station {
            address: vec![0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff],
            connected: 30,
            inactive: 400,
            rx_bytes: 1000,
            tx_bytes: 2000,
            rx_packets: 11,
            tx_packets: 12,
            tx_retries: 10,
            tx_failed: 2,
            beacon_loss: 1,
            signal: -52,
            rx_bitrate: 70_000,
            tx_bitrate: 1640,
        };
        assert_eq!(stations.first(), Some(&expected));
        let second = stations.get(1).unwrap();
        assert_eq!((second.rx_bytes, second.tx_bytes, second.connected), (1 << 40, 1 << 41, 60));
        assert_eq!(wireless.network(&first).unwrap_err().errno(), Some(libc::ENOENT));
    }

    #[test]
    fn requests_name_the_interface() {
        let interface = WirelessInterface { index: 3, address: vec![1; 6], ..WirelessInterface::default() };
        assert_eq!(asked(&interface), [number(ATTR_IFINDEX, 3), attr(ATTR_MAC, &[1; 6])].concat());
        assert_eq!(asked(&WirelessInterface::default()), number(ATTR_IFINDEX, 0));
    }

    #[test]
    fn a_beacon_that_makes_no_sense_has_the_name_before_it_or_none() {
        assert_eq!(ssid(&beacon(b"x")), Some(&b"x"[..]));
        assert_eq!(ssid(&beacon(b"")), Some(&b""[..]));
        assert_eq!(ssid(&[0, 1, b'x', 1, 200]), Some(&b"x"[..]));
        for bad in [&[][..], &[0], &[0, 1], &[1, 200, 0, 1, b'x'], &[1, 0, 0]] {
            assert_eq!(ssid(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        garble(&interface_bytes(3, Some("wlan0"), 2412), |body| drop(interface(Attributes(body))));
        garble(&scan_bytes([1; 6], &beacon(b"Example"), Some(1)), |body| drop(network(&Attributes(body))));
        garble(&station_bytes([1; 6], 1, true), |body| drop(station(&Attributes(body))));
    }
}
