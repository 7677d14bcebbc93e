//! TCP sockets by state, and what waits in their queues.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::netlink::{TCP_STATES, TcpReader, TcpSockets},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "tcpstat",
    on_by_default: false,
    summary: "TCP sockets by state",
    reads: "socket diagnosis over netlink",
    since: "2.6.14",
    // The kernel walks through all sockets.
    pace: Pace::MayBlock,
    flags: &[],
    families: &[&STATES],
    build: Tcpstat::build,
};

static STATES: Family = Family::gauge(
    "node_tcp_connection_states",
    "TCP sockets in this state; for rx_queued_bytes and tx_queued_bytes, bytes in the queues of all of them.",
);

/// The states' names by the kernel's numbers, which begin at 1.
const NAMES: [&str; TCP_STATES] = [
    "unknown",
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];

struct Tcpstat {
    reader: TcpReader,
    labels: [Labels; TCP_STATES],
    received: Labels,
    sent: Labels,
}

impl Tcpstat {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(_: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let labels = |state| Labels::new([("state", state)]);
        Ok(Box::new(Self {
            reader: TcpReader::default(),
            labels: NAMES.map(labels),
            received: labels("rx_queued_bytes"),
            sent: labels("tx_queued_bytes"),
        }))
    }

    /// A state without sockets has no series, as in the reference; nor have the queues without any socket.
    fn write(&self, sockets: &TcpSockets, page: &mut Page) {
        let mut samples = page.family(&STATES);
        let figures = self.labels.iter().zip(sockets.states).filter(|(_, count)| *count > 0);
        let mut has_any = false;
        for (labels, count) in figures {
            samples.sample(labels, count);
            has_any = true;
        }
        if has_any {
            samples.sample(&self.received, sockets.received);
            samples.sample(&self.sent, sockets.sent);
        }
    }
}

impl Collector for Tcpstat {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let sockets = self.reader.count()?;
        self.write(&sockets, page);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(states: &[(usize, u64)], received: u64) -> String {
        let labels = |state| Labels::new([("state", state)]);
        let collector = Tcpstat {
            reader: TcpReader::default(),
            labels: NAMES.map(labels),
            received: labels("rx_queued_bytes"),
            sent: labels("tx_queued_bytes"),
        };
        let mut sockets = TcpSockets { received, sent: 7, ..TcpSockets::default() };
        for (state, count) in states {
            sockets.states[*state] = *count;
        }
        let mut page = Page::default();
        collector.write(&sockets, &mut page);
        let text = str::from_utf8(page.text()).expect("a page is UTF-8");
        text.lines().filter_map(|line| line.strip_prefix("node_tcp_connection_states")).collect()
    }

    #[test]
    fn states_without_sockets_are_left_out() {
        assert_eq!(
            page(&[(1, 2), (10, 1)], 5),
            concat!(
                r#"{state="established"} 2{state="listen"} 1"#,
                r#"{state="rx_queued_bytes"} 5{state="tx_queued_bytes"} 7"#
            )
        );
        assert_eq!(page(&[], 0), "");
        assert!(page(&[(0, 1), (11, 3)], 0).starts_with(r#"{state="unknown"} 1{state="closing"} 3"#));
    }
}
