//! `RTM_GETQDISC`: the queues through which packets leave.

use super::{
    Error,
    conversation::{Conversation, NLM_F_DUMP, Question},
    message::{Attributes, text, u32_at, u64_at},
};

const RTM_NEWQDISC: u16 = 36;
const RTM_GETQDISC: u16 = 38;
/// `struct tcmsg`.
const HEADER: usize = 20;
/// The parent of a queue that is not within another.
const ROOT: u32 = u32::MAX;

const TCA_KIND: u16 = 1;
const TCA_STATS: u16 = 3;
const TCA_STATS2: u16 = 7;
const TCA_STATS_BASIC: u16 = 1;
const TCA_STATS_QUEUE: u16 = 3;
const TCA_STATS_PKT64: u16 = 8;

const QUESTION: Question = Question { name: "RTM_GETQDISC", answer: RTM_NEWQDISC, is_single: false };

/// A queueing discipline at an interface's root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootQdisc {
    /// Index of the interface.
    pub index: u32,
    /// What it is: `fq_codel`, `htb`, ...
    pub kind: Vec<u8>,
    /// Its counts.
    pub counts: QdiscCounts,
}

/// What a queueing discipline has counted since it was made, and what is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QdiscCounts {
    /// Bytes sent.
    pub bytes: u64,
    /// Packets sent.
    pub packets: u64,
    /// Packets dropped.
    pub drops: u32,
    /// Packets that were put back, since the device did not take them.
    pub requeues: u32,
    /// Packets that were held back by a limit.
    pub overlimits: u32,
    /// Packets in the queue.
    pub queued_packets: u32,
    /// Bytes in the queue.
    pub queued_bytes: u32,
}

/// A reader of the queueing disciplines of our network namespace.
#[derive(Debug, Default)]
pub struct Qdiscs {
    talk: Conversation,
}

impl Qdiscs {
    /// The one at the root of each interface that has one, in the kernel's order.
    ///
    /// # Errors
    /// A failing system call, a refusal, no complete answer in time, or nonsense; the next call starts afresh.
    pub fn roots(&mut self) -> Result<Vec<RootQdisc>, Error> {
        self.talk.fold(
            QUESTION,
            |talk| talk.begin(RTM_GETQDISC, NLM_F_DUMP, &[0; HEADER]),
            Vec::new,
            |roots, body| roots.extend(parse(body)),
        )
    }
}

/// `None` for one that is within another or at the way in, and for what is cut short.
fn parse(body: &[u8]) -> Option<RootQdisc> {
    let (index, parent) = (u32_at(body, 4)?, u32_at(body, 12)?);
    if parent != ROOT && parent != 0 {
        return None;
    }
    let attributes = Attributes(body.get(HEADER..)?);
    let kind = text(attributes.payload(TCA_KIND)?).to_vec();
    let counts = attributes.payload(TCA_STATS2).and_then(counts);
    let counts = counts.or_else(|| attributes.payload(TCA_STATS).and_then(old_counts));
    Some(RootQdisc { index, kind, counts: counts.unwrap_or_default() })
}

fn counts(payload: &[u8]) -> Option<QdiscCounts> {
    let parts = Attributes(payload);
    let basic = parts.payload(TCA_STATS_BASIC)?;
    let queue = parts.payload(TCA_STATS_QUEUE)?;
    // The 32 bits of old come round soon; the kernel sends 64 once they have.
    let packets = parts.payload(TCA_STATS_PKT64).and_then(|packets| u64_at(packets, 0));
    Some(QdiscCounts {
        bytes: u64_at(basic, 0)?,
        packets: packets.or_else(|| u32_at(basic, 8).map(u64::from))?,
        queued_packets: u32_at(queue, 0)?,
        queued_bytes: u32_at(queue, 4)?,
        drops: u32_at(queue, 8)?,
        requeues: u32_at(queue, 12)?,
        overlimits: u32_at(queue, 16)?,
    })
}

/// `struct tc_stats`, which knows of no requeues.
fn old_counts(stats: &[u8]) -> Option<QdiscCounts> {
    Some(QdiscCounts {
        bytes: u64_at(stats, 0)?,
        packets: u32_at(stats, 8)?.into(),
        drops: u32_at(stats, 12)?,
        overlimits: u32_at(stats, 16)?,
        queued_packets: u32_at(stats, 28)?,
        queued_bytes: u32_at(stats, 32)?,
        requeues: 0,
    })
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(body: &[u8]) {
    let _ = parse(body);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::netlink::recorded::{attr, bytes, garble};

    fn numbers(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
    }

    fn qdisc(parent: u32, rest: &[Vec<u8>]) -> Vec<u8> {
        let mut body = numbers(&[0, 5, 0x8001_0000, parent, 2]);
        body.extend(attr(TCA_KIND, b"tbf\0"));
        body.extend(rest.concat());
        body
    }

    fn stats2(more: &[u8]) -> Vec<u8> {
        let basic = attr(TCA_STATS_BASIC, &numbers(&[1000, 1, 7, 0]));
        let queue = attr(TCA_STATS_QUEUE, &numbers(&[2, 3000, 4, 5, 6]));
        attr(TCA_STATS2 | 0x8000, &[&basic, more, &queue].concat())
    }

    fn old_stats() -> Vec<u8> {
        attr(TCA_STATS, &numbers(&[9, 0, 8, 7, 6, 5, 4, 3, 2]))
    }

    #[test]
    fn a_root_s_counts_are_read_in_either_form() {
        let wanted = QdiscCounts {
            bytes: (1 << 32) + 1000,
            packets: 7,
            queued_packets: 2,
            queued_bytes: 3000,
            drops: 4,
            requeues: 5,
            overlimits: 6,
        };
        let body = qdisc(ROOT, &[stats2(&[]), old_stats()]);
        assert_eq!(parse(&body), Some(RootQdisc { index: 5, kind: b"tbf".to_vec(), counts: wanted }));
        let many = attr(TCA_STATS_PKT64, &(u64::MAX - 1).to_ne_bytes());
        let body = qdisc(0, &[stats2(&many)]);
        assert_eq!(parse(&body).unwrap().counts, QdiscCounts { packets: u64::MAX - 1, ..wanted });
        let old = parse(&qdisc(ROOT, &[old_stats()])).unwrap().counts;
        assert_eq!((old.bytes, old.packets, old.drops, old.overlimits), (9, 8, 7, 6));
        assert_eq!((old.queued_packets, old.queued_bytes, old.requeues), (3, 2, 0));
        assert_eq!(parse(&qdisc(ROOT, &[])).unwrap().counts, QdiscCounts::default());
    }

    #[test]
    fn others_than_roots_are_left_out() {
        for parent in [0xffff_fff1, 0x0001_0000] {
            assert_eq!(parse(&qdisc(parent, &[stats2(&[])])), None, "{parent:x}");
        }
    }

    #[test]
    fn what_a_kernel_sent_is_read() {
        let htb = bytes(
            "00000000030000000000 0100ffffffff03000000 08000100687462002400020018000200110003000a0000000100
             0000000000000000000008000500e803000005000c00000000003000070014000100ec030000000000000e0000000000
             00001800030000000000000000000000000000000000000000002c000300ec030000000000000e000000000000000000
             00000000000000000000000000000000000000000000",
        );
        let counts = QdiscCounts { bytes: 1004, packets: 14, ..QdiscCounts::default() };
        assert_eq!(parse(&htb), Some(RootQdisc { index: 3, kind: b"htb".to_vec(), counts }));
        let ingress = bytes("00000000020000000000fffff1ffffff010000000c000100696e67726573730004000200");
        assert_eq!(parse(&ingress), None);
        garble(&htb, |body| {
            parse(body);
        });
    }

    #[test]
    fn no_bytes_make_it_panic() {
        garble(&qdisc(ROOT, &[stats2(&[]), old_stats()]), |body| {
            parse(body);
        });
    }
}
