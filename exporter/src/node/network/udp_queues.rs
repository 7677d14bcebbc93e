//! Bytes that wait in the queues of all UDP sockets.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "udp_queues",
    on_by_default: true,
    summary: "bytes that wait in the queues of UDP sockets",
    reads: "/proc/net/udp, /proc/net/udp6",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&QUEUES],
    build: UdpQueues::build,
};

static QUEUES: Family = Family::gauge(
    "node_udp_queues",
    "Bytes that wait to be sent (tx) or to be read (rx), all UDP sockets of the network namespace together.",
);

/// One version of IP: its sockets, and the labels of the two queues.
struct Version {
    file: KeptFile,
    sending: Labels,
    receiving: Labels,
}

struct UdpQueues {
    versions: [Version; 2],
}

impl UdpQueues {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let version = |name, ip| Version {
            file: KeptFile::new(context.paths.procfs.join("net").join(name), Serves::Rows),
            sending: Labels::new([("ip", ip), ("queue", "tx")]),
            receiving: Labels::new([("ip", ip), ("queue", "rx")]),
        };
        Ok(Box::new(Self { versions: [version("udp", "v4"), version("udp6", "v6")] }))
    }
}

impl Collector for UdpQueues {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut samples = page.family(&QUEUES);
        let mut missing = Vec::new();
        for Version { file, sending, receiving } in &mut self.versions {
            match file.read() {
                Ok(text) => {
                    let (sent, received) = sums(text)
                        .ok_or_else(|| Failure::unreadable(file.path(), "sockets with two queues"))?;
                    samples.sample(sending, sent);
                    samples.sample(receiving, received);
                }
                Err(error) if error.is_gone() => missing.push(error),
                Err(error) => return Err(error.into()),
            }
        }
        match missing.pop() {
            Some(error) if !missing.is_empty() => Err(error.or_absent()),
            _ => Ok(()),
        }
    }
}

/// Bytes in the sockets' queues, to send and to read; `None` if a line makes no sense.
fn sums(sockets: &[u8]) -> Option<(u64, u64)> {
    let mut sums = (0_u64, 0_u64);
    for line in text::lines(sockets).skip(1) {
        let queues = text::fields(line).nth(4)?;
        let colon = queues.iter().position(|&byte| byte == b':')?;
        sums.0 = sums.0.wrapping_add(text::hex(queues.get(..colon)?)?);
        sums.1 = sums.1.wrapping_add(text::hex(queues.get(colon + 1..)?)?);
    }
    Some(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid";

    fn queues(lines: &str) -> Option<(u64, u64)> {
        sums(format!("{HEAD}\n{lines}\n").as_bytes())
    }

    #[test]
    fn sockets_are_added_up() {
        let line = "   0: 00000000:0016 00000000:0000 0A 00000015:00000001 00:00000000 00000000     0";
        assert_eq!(queues(&format!("{line}\n{line}")), Some((42, 2)));
        assert_eq!(queues(""), Some((0, 0)));
        assert_eq!(sums(b""), Some((0, 0)));
    }

    #[test]
    fn lines_that_make_no_sense_are_failures() {
        for bad in [
            "0: a b 0A",
            "0: a b 0A 1",
            "0: a b 0A x:1",
            "0: a b 0A 1:",
            "0: a b 0A 10000000000000000:0",
            "\u{fffd}",
        ] {
            assert_eq!(queues(bad), None, "{bad:?}");
        }
    }
}
