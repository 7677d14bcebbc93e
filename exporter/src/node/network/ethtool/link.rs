//! What a link can do: speeds, ports, negotiation.

use crate::{
    metric::{Family, Labels, Page},
    source::ethtool::Link,
};

static SUPPORTED_SPEED: Family = Family::gauge(
    "node_network_supported_speed_bytes",
    "Speed of a mode that the interface has, in bytes per second.",
);
static ADVERTISED_SPEED: Family = Family::gauge(
    "node_network_advertised_speed_bytes",
    "Speed of a mode that the interface offers to the other end, in bytes per second.",
);
static PORT: Family =
    Family::gauge("node_network_supported_port_info", "1, with a kind of port that the interface has.");

/// A yes or no, and the link's word for it.
type Ability = (Family, fn(&Link) -> u64);
/// A family of speeds, and the bits that tell which.
type Speeds = (&'static Family, fn(&Link) -> u32);

static ABILITIES: [Ability; 7] = [
    (
        Family::gauge("node_network_autonegotiate_supported", "1 if the interface can negotiate its mode."),
        |link| bit(link.supported, NEGOTIATES),
    ),
    (Family::gauge("node_network_pause_supported", "1 if the interface knows pause frames."), |link| {
        bit(link.supported, PAUSES)
    }),
    (
        Family::gauge(
            "node_network_asymmetricpause_supported",
            "1 if the interface knows pause frames of one direction.",
        ),
        |link| bit(link.supported, PAUSES_ONE_WAY),
    ),
    (
        Family::gauge(
            "node_network_autonegotiate_advertised",
            "1 if the interface offers to negotiate its mode.",
        ),
        |link| bit(link.advertised, NEGOTIATES),
    ),
    (Family::gauge("node_network_pause_advertised", "1 if the interface offers pause frames."), |link| {
        bit(link.advertised, PAUSES)
    }),
    (
        Family::gauge(
            "node_network_asymmetricpause_advertised",
            "1 if the interface offers pause frames of one direction.",
        ),
        |link| bit(link.advertised, PAUSES_ONE_WAY),
    ),
    (
        Family::gauge("node_network_autonegotiate", "1 if the interface negotiates its mode, else 0."),
        |link| link.negotiates.into(),
    ),
];

/// Every family of this file.
pub static FAMILIES: [&Family; ABILITIES.len() + 3] = {
    let mut all = [&PORT; ABILITIES.len() + 3];
    all[1] = &SUPPORTED_SPEED;
    all[2] = &ADVERTISED_SPEED;
    let mut index = 0;
    while index < ABILITIES.len() {
        all[3 + index] = &ABILITIES[index].0;
        index += 1;
    }
    all
};

// The kernel's numbers of the bits.
const NEGOTIATES: u32 = 6;
const PAUSES: u32 = 13;
const PAUSES_ONE_WAY: u32 = 14;
const PORTS: [(u32, &str); 6] =
    [(8, "AUI"), (11, "BNC"), (16, "Backplane"), (10, "FIBRE"), (9, "MII"), (7, "TP")];
/// Speed in Mbit/s, duplex, kind, of the 32 bits that the request can tell of. (Bit 15 the reference does not know.)
const MODES: [(u32, u32, &str, &str); 22] = [
    (0, 10, "half", "T"),
    (1, 10, "full", "T"),
    (2, 100, "half", "T"),
    (3, 100, "full", "T"),
    (4, 1000, "half", "T"),
    (5, 1000, "full", "T"),
    (12, 10_000, "full", "T"),
    (17, 1000, "full", "KX"),
    (18, 10_000, "full", "KX4"),
    (19, 10_000, "full", "KR"),
    (20, 10_000, "full", "R_FEC"),
    (21, 20_000, "full", "MLD2"),
    (22, 20_000, "full", "KR2"),
    (23, 40_000, "full", "KR4"),
    (24, 40_000, "full", "CR4"),
    (25, 40_000, "full", "SR4"),
    (26, 40_000, "full", "LR4"),
    (27, 56_000, "full", "KR4"),
    (28, 56_000, "full", "CR4"),
    (29, 56_000, "full", "SR4"),
    (30, 56_000, "full", "LR4"),
    (31, 25_000, "full", "CR"),
];

fn bit(modes: u32, number: u32) -> u64 {
    modes.checked_shr(number).map_or(0, |bits| u64::from(bits & 1))
}

/// The labels of modes and ports, made once.
pub struct Writer {
    modes: Vec<(u32, Labels, f64)>,
    ports: Vec<(u32, Labels)>,
}

impl Writer {
    /// Makes the labels.
    pub fn new() -> Self {
        let mut modes: Vec<_> = MODES
            .iter()
            .map(|&(number, speed, duplex, kind)| {
                let labels = Labels::new([("duplex", duplex), ("mode", &format!("{speed}base{kind}"))]);
                (number, labels, f64::from(speed) * 1e6 / 8.0)
            })
            .collect();
        modes.sort_by(|a, b| a.1.cmp(&b.1));
        Self { modes, ports: PORTS.map(|(number, kind)| (number, Labels::new([("type", kind)]))).into() }
    }

    /// Writes the families over all interfaces, which come as their label and link.
    pub fn write(&self, links: &[(&Labels, &Link)], page: &mut Page) {
        let speeds: [Speeds; 2] =
            [(&SUPPORTED_SPEED, |link| link.supported), (&ADVERTISED_SPEED, |link| link.advertised)];
        for (family, modes) in speeds {
            let mut samples = page.family(family);
            for (device, link) in links {
                for (_, labels, speed) in self.modes.iter().filter(|mode| bit(modes(link), mode.0) == 1) {
                    samples.joined(device, labels, *speed);
                }
            }
        }
        let mut samples = page.family(&PORT);
        for (device, link) in links {
            for (_, labels) in self.ports.iter().filter(|port| bit(link.supported, port.0) == 1) {
                samples.joined(device, labels, 1_u64);
            }
        }
        for (family, ability) in &ABILITIES {
            let mut samples = page.family(family);
            for (device, link) in links {
                samples.sample(device, ability(link));
            }
        }
    }
}
