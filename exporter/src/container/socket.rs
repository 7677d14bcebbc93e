//! What a container's sockets carried, whatever network they are in. Counted by eBPF alone.

use std::time::Instant;

use super::{
    entry::Entry,
    group::{GroupDescriptor, On, Origin},
    kernel::Traffic,
    roster::Roster,
    write,
};
use crate::metric::{Family, Page};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "socket",
    words: &["network"],
    on: On::ByDefault,
    summary: "IP bytes and packets of a container's sockets, in whatever network, loopback included",
    reads: "eBPF",
    families: &[
        Origin::same(&RECEIVE_BYTES, "eBPF"),
        Origin::same(&RECEIVE_PACKETS, "eBPF"),
        Origin::same(&TRANSMIT_BYTES, "eBPF"),
        Origin::same(&TRANSMIT_PACKETS, "eBPF"),
    ],
};

static RECEIVE_BYTES: Family = Family::counter(
    "container_socket_receive_bytes_total",
    "IP bytes that the container's own sockets received, loopback included.",
);
static RECEIVE_PACKETS: Family = Family::counter(
    "container_socket_receive_packets_total",
    "Packets that the container's own sockets received, loopback included.",
);
static TRANSMIT_BYTES: Family = Family::counter(
    "container_socket_transmit_bytes_total",
    "IP bytes that the container's own sockets sent, loopback included.",
);
static TRANSMIT_PACKETS: Family = Family::counter(
    "container_socket_transmit_packets_total",
    "Packets that the container's own sockets sent, loopback included.",
);

/// Writes the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    let mut figure = |family, value: fn(Traffic) -> u64| {
        write::family(page, family, roster, now, |entry| Some(value(all(entry)?)));
    };
    figure(&RECEIVE_BYTES, |traffic| traffic.receive_bytes);
    figure(&RECEIVE_PACKETS, |traffic| traffic.receive_packets);
    figure(&TRANSMIT_BYTES, |traffic| traffic.transmit_bytes);
    figure(&TRANSMIT_PACKETS, |traffic| traffic.transmit_packets);
}

fn all(entry: &Entry) -> Option<Traffic> {
    entry.sockets.map(|count| count.devices.plus(count.loopback))
}
