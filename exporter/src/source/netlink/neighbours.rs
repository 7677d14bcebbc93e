//! `RTM_GETNEIGH`: the neighbours that ARP knows.

use std::collections::BTreeMap;

use super::{
    Error,
    conversation::{Conversation, NLM_F_DUMP, Question},
    message::{u16_at, u32_at},
};

const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
/// `struct ndmsg`, of which the family alone is asked for.
const HEADER: usize = 12;
const AF_INET: u8 = 2;
/// State of addresses that need no resolution: multicast, broadcast, the loopback.
const NUD_NOARP: u16 = 0x40;

const QUESTION: Question = Question { name: "RTM_GETNEIGH", answer: RTM_NEWNEIGH, is_single: false };

/// A reader of the ARP table of our network namespace.
#[derive(Debug, Default)]
pub struct Neighbours {
    talk: Conversation,
}

impl Neighbours {
    /// Entries for IPv4 by the index of their interface, less those that need no ARP.
    ///
    /// # Errors
    /// A failing system call, a refusal, no complete answer in time, or nonsense; the next call starts afresh.
    pub fn count(&mut self) -> Result<BTreeMap<u32, u64>, Error> {
        let mut request = [0; HEADER];
        request[0] = AF_INET;
        self.talk.fold(
            QUESTION,
            |talk| talk.begin(RTM_GETNEIGH, NLM_F_DUMP, &request),
            BTreeMap::new,
            |counts, body| {
                if let Some(index) = resolved_on(body) {
                    *counts.entry(index).or_default() += 1;
                }
            },
        )
    }
}

/// The interface of an IPv4 neighbour; `None` for one that needs no ARP, and for what is no neighbour.
fn resolved_on(body: &[u8]) -> Option<u32> {
    let (index, state) = (u32_at(body, 4)?, u16_at(body, 8)?);
    (body.first() == Some(&AF_INET) && state & NUD_NOARP == 0).then_some(index)
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(body: &[u8]) {
    let _ = resolved_on(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::netlink::recorded::{bytes, garble};

    #[test]
    fn neighbours_count_unless_they_need_no_arp() {
        // 10.1.0.3 on interface 3, permanent; 224.0.0.22 on 4, needs none; fe80::1 on 3.
        let permanent = bytes("02000000 03000000 8000 00 01  08000100 0a010003");
        assert_eq!(resolved_on(&permanent), Some(3));
        assert_eq!(resolved_on(&bytes("02000000 04000000 4000 00 05  08000100 e0000016")), None);
        assert_eq!(resolved_on(&bytes("0a000000 03000000 0200 00 01")), None);
        for end in 0..10 {
            assert_eq!(resolved_on(&permanent[..end]), None, "{end}");
        }
        garble(&permanent, |body| {
            resolved_on(body);
        });
    }
}
