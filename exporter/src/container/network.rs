//! Bytes and packets of a container's network interfaces.

use std::{sync::Arc, time::Instant};

use super::{
    entry::Entry,
    group::{GroupDescriptor, On, Origin},
    links::Row,
    roster::Roster,
};
use crate::metric::{Family, Labels, Page};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "network",
    words: &["network"],
    on: On::ByDefault,
    summary: "bytes, packets, errors and drops of a container's interfaces",
    reads: "rtnetlink, /proc/PID/net/dev, eBPF",
    families: &[
        Origin::same(&RECEIVE_BYTES, "rtnetlink or /proc/PID/net/dev; in the host's network eBPF"),
        Origin::same(&RECEIVE_PACKETS, "rtnetlink or /proc/PID/net/dev; in the host's network eBPF"),
        Origin::same(&RECEIVE_ERRORS, "rtnetlink or /proc/PID/net/dev"),
        Origin::same(&RECEIVE_DROPPED, "rtnetlink or /proc/PID/net/dev"),
        Origin::same(&TRANSMIT_BYTES, "rtnetlink or /proc/PID/net/dev; in the host's network eBPF"),
        Origin::same(&TRANSMIT_PACKETS, "rtnetlink or /proc/PID/net/dev; in the host's network eBPF"),
        Origin::same(&TRANSMIT_ERRORS, "rtnetlink or /proc/PID/net/dev"),
        Origin::same(&TRANSMIT_DROPPED, "rtnetlink or /proc/PID/net/dev"),
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

/// Whose network a cgroup's tasks use, as far as its runtime told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// No runtime told: its interfaces are not shown.
    Unknown,
    /// Its own, or none: the namespace of this process.
    Own {
        /// A process in it, in the host's numbering.
        pid: u32,
    },
    /// The host's: what its own sockets carried is shown, under the interface `host`.
    Host,
    /// Another container's, with which it is shown.
    Joined,
}

/// One interface of a container.
#[derive(Clone, Debug)]
pub struct Interface {
    /// The `interface` label.
    pub labels: Arc<Labels>,
    /// What it carried.
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

/// Gives each living cgroup the interfaces that were read for it, in the order of the rows.
pub fn hand_out(rows: &[Row], roster: &mut Roster) {
    for entry in roster.living.values_mut().filter(|entry| entry.is_there) {
        entry.interfaces.clear();
    }
    for row in rows {
        if let Some(entry) = roster.living.get_mut(&row.path).filter(|entry| entry.is_there) {
            entry.interfaces.push(Interface { labels: Arc::clone(&row.labels), figures: row.figures });
        }
    }
}

/// The labels of this group.
#[derive(Debug)]
pub struct Writer {
    host: Labels,
}

impl Writer {
    /// Prepares the labels.
    pub fn new() -> Self {
        Self { host: Labels::new([("interface", "host")]) }
    }

    /// Writes the group.
    pub fn write(&self, page: &mut Page, roster: &Roster, now: Instant) {
        let mut figure = |family, value: fn(&Figures) -> Option<u64>| {
            let mut samples = page.family(family);
            for entry in roster.shown(now) {
                for interface in &entry.interfaces {
                    if let Some(value) = value(&interface.figures) {
                        samples.joined(&entry.labels, &interface.labels, value);
                    }
                }
                if let Some(value) = host_figures(entry).as_ref().and_then(value) {
                    samples.joined(&entry.labels, &self.host, value);
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
}

/// What a container in the host's network carried itself: its sockets' count, loopback left out.
fn host_figures(entry: &Entry) -> Option<Figures> {
    let devices = entry.sockets.filter(|_| entry.network == Network::Host)?.devices;
    let direction = |bytes, packets| Direction { bytes, packets, errors: None, dropped: None };
    Some(Figures {
        receive: direction(devices.receive_bytes, devices.receive_packets),
        transmit: direction(devices.transmit_bytes, devices.transmit_packets),
    })
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
