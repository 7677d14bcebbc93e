//! The UDP sockets of a container's network.

use std::time::Instant;

use super::{
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
};
use crate::{
    metric::{Family, Labels, Page},
    source::sockets::UdpSockets,
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "udp",
    words: &["udp"],
    on: On::Unlisted,
    summary: "UDP sockets, their queues and drops",
    reads: "/proc/PID/net/{udp,udp6} of containers with a network of their own and of the host",
    families: &[Origin::same(&UDP, "/proc/PID/net/udp"), Origin::same(&UDP6, "/proc/PID/net/udp6")],
};

static UDP: Family = Family::gauge(
    "container_network_udp_usage_total",
    "UDP over IPv4: open sockets (listen), datagrams that these dropped, bytes that wait to be read (rxqueued) or sent (txqueued).",
);
static UDP6: Family = Family::gauge(
    "container_network_udp6_usage_total",
    "UDP over IPv6: open sockets (listen), datagrams that these dropped, bytes that wait to be read (rxqueued) or sent (txqueued).",
);

/// The UDP sockets of a network, over IPv4 and IPv6; none where one is not there or was not read in time.
pub type UdpFigures = [Option<UdpSockets>; 2];

type Figure = fn(&UdpSockets) -> u64;

/// The labels of this group.
#[derive(Debug)]
pub struct Writer {
    figures: [(Labels, Figure); 4],
}

impl Writer {
    /// Prepares the labels.
    pub fn new() -> Self {
        let figures: [(&str, Figure); 4] = [
            ("listen", |udp| udp.sockets),
            ("dropped", |udp| udp.dropped),
            ("rxqueued", |udp| udp.received),
            ("txqueued", |udp| udp.sent),
        ];
        Self { figures: figures.map(|(state, figure)| (Labels::new([("udp_state", state)]), figure)) }
    }

    /// Writes the group.
    pub fn write(&self, page: &mut Page, roster: &Roster, now: Instant) {
        for (version, family) in [&UDP, &UDP6].into_iter().enumerate() {
            let mut samples = page.family(family);
            for entry in roster.shown(now).filter(|entry| entry.is_alive()) {
                let Some(udp) = entry.tasks.as_ref().and_then(|tasks| *tasks.udp.get(version)?) else {
                    continue;
                };
                for (labels, figure) in &self.figures {
                    samples.joined(&entry.labels, labels, figure(&udp));
                }
            }
        }
    }
}
