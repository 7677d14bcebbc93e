//! The TCP sockets of a container's network.

use std::time::Instant;

use super::{
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
};
use crate::{
    metric::{Family, Labels, Page},
    source::sockets::{TCP_STATES, TcpStates},
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "tcp",
    words: &["tcp"],
    on: On::Unlisted,
    summary: "TCP sockets by state",
    reads: "/proc/PID/net/{tcp,tcp6} of containers with a network of their own and of the host",
    families: &[Origin::same(&TCP, "/proc/PID/net/tcp"), Origin::same(&TCP6, "/proc/PID/net/tcp6")],
};

static TCP: Family =
    Family::gauge("container_network_tcp_usage_total", "TCP sockets over IPv4 that are in this state.");
static TCP6: Family =
    Family::gauge("container_network_tcp6_usage_total", "TCP sockets over IPv6 that are in this state.");

/// The TCP sockets of a network, over IPv4 and IPv6; none where one is not there or was not read in time.
pub type TcpFigures = [Option<TcpStates>; 2];

/// The labels of this group.
#[derive(Debug)]
pub struct Writer {
    states: [Labels; TCP_STATES.len()],
}

impl Writer {
    /// Prepares the labels.
    pub fn new() -> Self {
        Self { states: TCP_STATES.map(|state| Labels::new([("tcp_state", state)])) }
    }

    /// Writes the group.
    pub fn write(&self, page: &mut Page, roster: &Roster, now: Instant) {
        for (version, family) in [&TCP, &TCP6].into_iter().enumerate() {
            let mut samples = page.family(family);
            for entry in roster.shown(now).filter(|entry| entry.is_alive()) {
                let figures = entry.tasks.as_ref().and_then(|tasks| *tasks.tcp.get(version)?);
                for (labels, count) in self.states.iter().zip(figures.iter().flatten()) {
                    samples.joined(&entry.labels, labels, *count);
                }
            }
        }
    }
}
