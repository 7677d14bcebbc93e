//! All network interfaces at once, of our network namespace or of another.

use super::{
    Error,
    conversation::{Conversation, NLM_F_DUMP, Question},
    link::{IFLA_EXT_MASK, IFLA_TARGET_NETNSID, Link, NETNSA_PID, parse_nsid},
    message::Messages,
};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWNSID: u16 = 88;
const RTM_GETNSID: u16 = 90;
/// Leaves out the per-address-family counters, half of each answer. On some kernels (seen: 7.2, not up to 6.18) the
/// link's own too, and then it is asked for no more.
const RTEXT_FILTER_SKIP_STATS: u32 = 8;

const LINKS: Question = Question { name: "RTM_GETLINK", answer: RTM_NEWLINK, is_single: false };
const NSID: Question = Question { name: "RTM_GETNSID", answer: RTM_NEWNSID, is_single: true };

/// A reader of the interfaces of this process's network namespace, and of those it has numbers for.
///
/// It may wait on the kernel's network configuration lock, so it belongs on a thread that may.
#[derive(Debug, Default)]
pub struct Links {
    talk: Conversation,
    /// Whether this kernel gives a link's own counters only together with those of each address family.
    with_all_counters: bool,
}

/// The answer to one dump, read link by link from the buffer it arrived in.
#[derive(Debug, Clone)]
pub struct Dump<'a> {
    answer: &'a [u8],
    messages: Messages<'a>,
    interrupted: bool,
}

impl Dump<'_> {
    /// Whether interfaces came or went during each attempt, so that one may be missing.
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }
}

impl<'a> Iterator for Dump<'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Link<'a>> {
        loop {
            let at = self.messages.0.len();
            let message = self.messages.next()?.ok()?;
            let link = (message.kind == RTM_NEWLINK).then(|| Link::parse(message.body)).flatten();
            let Some(link) = link else { continue };
            // A list that changed under the kernel's cursor can name one interface twice.
            if self.interrupted && self.listed_before(at, link.index) {
                continue;
            }
            return Some(link);
        }
    }
}

impl Dump<'_> {
    fn listed_before(&self, rest: usize, index: u32) -> bool {
        let before = self.answer.get(..self.answer.len().saturating_sub(rest)).unwrap_or(&[]);
        let mut links =
            Messages(before).map_while(Result::ok).filter_map(|message| Link::parse(message.body));
        links.any(|link| link.index == index)
    }
}

impl Links {
    /// A reader whose socket is opened at the first request, and anew after each failure.
    pub fn new() -> Self {
        Self::default()
    }

    /// All interfaces of this process's network namespace, with their counters.
    ///
    /// # Errors
    /// A failing system call, a refusal, no complete answer in time, or nonsense; the next call starts afresh.
    pub fn dump(&mut self) -> Result<Dump<'_>, Error> {
        self.dump_with(None)
    }

    /// The interfaces, with their counters, of the namespace that ours numbers `nsid` (see [`Self::nsid_of_pid`]).
    ///
    /// # Errors
    /// As [`Self::dump`]; `EACCES` without `CAP_NET_ADMIN` over that namespace, `EINVAL` for an unknown number.
    pub fn dump_namespace(&mut self, nsid: i32) -> Result<Dump<'_>, Error> {
        let dump = self.dump_with(Some(nsid))?;
        // A kernel that does not know the attribute ignores it and lists the wrong namespace.
        if dump.clone().any(|link| link.target_netnsid != Some(nsid)) {
            return Err(Error::NoTargetNamespace);
        }
        Ok(dump)
    }

    /// The number our network namespace has for that of process `pid` (in our pid namespace). `None`: it has
    /// no number, as before the first dump that saw a link into it, or the process is gone.
    ///
    /// # Errors
    /// As [`Self::dump`].
    pub fn nsid_of_pid(&mut self, pid: u32) -> Result<Option<i32>, Error> {
        self.talk.begin(RTM_GETNSID, 0, &[0; 4]);
        self.talk.attribute(NETNSA_PID, &pid.to_ne_bytes());
        match self.talk.exchange(NSID) {
            Ok(_) => {}
            Err(error) if error.errno() == Some(libc::ESRCH) => return Ok(None),
            Err(error) => return Err(error),
        }
        let answer = Messages(self.talk.answered()).next().and_then(Result::ok);
        match answer.and_then(|message| parse_nsid(message.body)) {
            Some(nsid) => Ok((nsid >= 0).then_some(nsid)),
            None => Err(Error::Malformed { request: NSID.name }),
        }
    }

    fn dump_with(&mut self, nsid: Option<i32>) -> Result<Dump<'_>, Error> {
        let mut interrupted = self.list(nsid)?;
        if !self.with_all_counters && lacks_counters(self.talk.answered()) {
            self.with_all_counters = true;
            interrupted = self.list(nsid)?;
        }
        let answer = self.talk.answered();
        Ok(Dump { answer, messages: Messages(answer), interrupted })
    }

    fn list(&mut self, nsid: Option<i32>) -> Result<bool, Error> {
        let Self { talk, with_all_counters } = self;
        talk.list(LINKS, |talk| {
            talk.begin(RTM_GETLINK, NLM_F_DUMP, &[0; 16]);
            if !*with_all_counters {
                talk.attribute(IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
            }
            if let Some(nsid) = nsid {
                talk.attribute(IFLA_TARGET_NETNSID, &nsid.to_ne_bytes());
            }
        })
    }
}

/// Whether a link came without its counters, which every link has.
fn lacks_counters(answer: &[u8]) -> bool {
    let mut links = Messages(answer)
        .map_while(Result::ok)
        .filter(|message| message.kind == RTM_NEWLINK)
        .filter_map(|message| Link::parse(message.body));
    links.any(|link| link.stats.is_none())
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(answer: &[u8]) {
    let _ = lacks_counters(answer);
    for interrupted in [false, true] {
        let links = Dump { answer, messages: Messages(answer), interrupted };
        let inner: Vec<_> = links.clone().take(64).filter_map(|link| link.inner_veth()).collect();
        links.take(64).for_each(|link| {
            let _ = inner.iter().filter(|inner| link.is_peer_of(inner)).count() + link.other_names().count();
        });
    }
    let _ = Messages(answer).map_while(Result::ok).filter_map(|message| parse_nsid(message.body)).count();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::netlink::{
        link::{IFLA_IFNAME, IFLA_STATS64},
        recorded::{attr, message},
    };

    fn link(index: u32, name: &[u8], rest: &[u8]) -> Vec<u8> {
        let mut body = vec![0; 16];
        body.splice(4..8, index.to_ne_bytes());
        body.extend(attr(IFLA_IFNAME, name));
        body.extend_from_slice(rest);
        message(RTM_NEWLINK, 2, 1, &body)
    }

    #[test]
    fn counters_that_were_left_out_are_missed() {
        let whole = link(1, b"eth0", &attr(IFLA_STATS64, &[0; 23 * 8]));
        let done = message(3, 2, 1, &[0; 4]);
        assert!(!lacks_counters(&[whole.clone(), done.clone()].concat()));
        assert!(lacks_counters(&[whole, link(2, b"eth1", &[]), done].concat()));
    }

    #[test]
    fn an_interrupted_dump_names_no_interface_twice() {
        let links = [(1, &b"lo"[..]), (2, b"eth0"), (1, b"lo"), (3, b"eth1")];
        let answer: Vec<u8> = links.into_iter().flat_map(|(index, name)| link(index, name, &[])).collect();
        for (interrupted, expected) in [(true, &[1, 2, 3][..]), (false, &[1, 2, 1, 3])] {
            let dump = Dump { answer: &answer, messages: Messages(&answer), interrupted };
            assert_eq!(dump.map(|link| link.index).collect::<Vec<_>>(), expected);
        }
    }
}
