//! Bytes and packets of a container's network interfaces.

use std::time::Instant;

use super::{group::GroupDescriptor, roster::Roster};
use crate::metric::{Family, Labels, Page};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "network",
    summary: "bytes, packets, errors and drops of a container's interfaces",
    reads: "rtnetlink, /proc/PID/net/dev, eBPF",
    families: &[
        &RECEIVE_BYTES,
        &RECEIVE_PACKETS,
        &RECEIVE_ERRORS,
        &RECEIVE_DROPPED,
        &TRANSMIT_BYTES,
        &TRANSMIT_PACKETS,
        &TRANSMIT_ERRORS,
        &TRANSMIT_DROPPED,
    ],
};

static RECEIVE_BYTES: Family =
    Family::counter("container_network_receive_bytes_total", "Bytes received by the interface.");
static RECEIVE_PACKETS: Family =
    Family::counter("container_network_receive_packets_total", "Packets received by the interface.");
static RECEIVE_ERRORS: Family =
    Family::counter("container_network_receive_errors_total", "Packets received with an error.");
static RECEIVE_DROPPED: Family = Family::counter(
    "container_network_receive_packets_dropped_total",
    "Packets received and dropped for want of room.",
);
static TRANSMIT_BYTES: Family =
    Family::counter("container_network_transmit_bytes_total", "Bytes sent by the interface.");
static TRANSMIT_PACKETS: Family =
    Family::counter("container_network_transmit_packets_total", "Packets sent by the interface.");
static TRANSMIT_ERRORS: Family = Family::counter(
    "container_network_transmit_errors_total",
    "Packets that could not be sent for an error.",
);
static TRANSMIT_DROPPED: Family = Family::counter(
    "container_network_transmit_packets_dropped_total",
    "Packets to be sent that were dropped for want of room.",
);

/// One interface of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The `interface` label.
    pub labels: Labels,
    /// What it carried; errors and drops are none where only packets that arrived are counted.
    pub figures: Figures,
}

/// What an interface carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Towards the container.
    pub receive: Direction,
    /// Out of the container.
    pub transmit: Direction,
}

/// One direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Direction {
    pub bytes: u64,
    pub packets: u64,
    pub errors: Option<u64>,
    pub dropped: Option<u64>,
}

/// Whether the reference leaves an interface of this name out: loopback and a host's ends of containers' links.
pub fn is_left_out(name: &[u8]) -> bool {
    [&b"lo"[..], b"veth", b"docker", b"nerdctl"]
        .iter()
        .any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
}

/// Writes the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    let mut figure = |family, value: fn(&Figures) -> Option<u64>| {
        let mut samples = page.family(family);

        for entry in roster.shown(now) {
            for interface in &entry.interfaces {
                if let Some(value) = value(&interface.figures) {
                    samples.joined(&entry.labels, &interface.labels, value);
                }
            }
        }
    };
    figure(&RECEIVE_BYTES, |figures| Some(figures.receive.bytes));
    figure(&RECEIVE_PACKETS, |figures| Some(figures.receive.packets));
    figure(&RECEIVE_ERRORS, |figures| figures.receive.errors);
    figure(&RECEIVE_DROPPED, |figures| figures.receive.dropped);
    figure(&TRANSMIT_BYTES, |figures| Some(figures.transmit.bytes));
    figure(&TRANSMIT_PACKETS, |figures| Some(figures.transmit.packets));
    figure(&TRANSMIT_ERRORS, |figures| figures.transmit.errors);
    figure(&TRANSMIT_DROPPED, |figures| figures.transmit.dropped);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_the_host_s_ends_are_left_out() {
        for name in ["lo", "lowpan0", "veth12", "docker0", "nerdctl0", "VETH1"] {
            assert!(is_left_out(name.as_bytes()), "{name}");
        }
        for name in ["eth0", "br-1", "wlo1", "ve", ""] {
            assert!(!is_left_out(name.as_bytes()), "{name}");
        }
    }
}
