//! Network interfaces over rtnetlink: one kept socket, one request and one reused buffer for a whole dump.
//!
//! A container's interfaces are counted without entering its namespace: [`Links::nsid_of_pid`] numbers the
//! namespace, [`Links::dump_namespace`] lists what is in it, and [`Link::is_peer_of`] finds the host's
//! end of each veth, whose counters (receive and transmit swapped) come with every [`Links::dump`].

mod message;

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink};

pub use message::{InnerVeth, Link, Malformed, Stats};
use message::{Message, Messages, aligned, attribute, begin, finish, i32_at, parse_nsid};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWNSID: u16 = 88;
const RTM_GETNSID: u16 = 90;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;
/// Leaves out the per-address-family counters, half of each answer. On some kernels (seen: 7.2, not up to 6.18) the
/// link's own too, and then it is asked for no more.
const RTEXT_FILTER_SKIP_STATS: u32 = 8;

/// The kernel fills at most 32 KiB of one datagram of a dump when that much is offered.
const DATAGRAM: usize = 32 * 1024;
/// A host with 40,000 interfaces stays below this; a larger answer is nonsense.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// The longest wait for one datagram, and for a whole answer.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Interfaces that come and go during a dump spoil it; beyond this many attempts the last answer is used.
const ATTEMPTS: u32 = 4;

/// What went wrong between us and rtnetlink.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on the netlink socket failed.
    #[error("rtnetlink: {call}: {source}")]
    Call {
        /// Name of the system call.
        call: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel answered the request with an error.
    #[error("rtnetlink: {request}: {source}")]
    Refused {
        /// Name of the request.
        request: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No complete answer in time.
    #[error("rtnetlink: {request}: no complete answer in time")]
    Late {
        /// Name of the request.
        request: &'static str,
    },
    /// The answer is not a run of netlink messages, or is larger than any real one.
    #[error("rtnetlink: {request}: the answer makes no sense")]
    Malformed {
        /// Name of the request.
        request: &'static str,
    },
    /// This kernel lists its own namespace when asked for another one (before Linux 4.20).
    #[error("rtnetlink: this kernel cannot list the interfaces of another namespace")]
    NoTargetNamespace,
}

impl Error {
    /// The kernel's error number, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Call { source, .. } | Self::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// A reader of the interfaces of this process's network namespace, and of those it has numbers for.
///
/// It may wait on the kernel's network configuration lock, so it belongs on a thread that may.
#[derive(Debug, Default)]
pub struct Links {
    socket: Option<OwnedFd>,
    sequence: u32,
    /// Whether this kernel gives a link's own counters only together with those of each address family.
    with_all_counters: bool,
    request: Vec<u8>,
    /// The answer: `filled` bytes are messages, the rest is room for the next datagram.
    answer: Vec<u8>,
    filled: usize,
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
        const REQUEST: &str = "RTM_GETNSID";
        self.begin(RTM_GETNSID, NLM_F_REQUEST, &[0; 4]);
        attribute(&mut self.request, message::NETNSA_PID, pid.to_ne_bytes());
        match self.exchange(REQUEST, RTM_NEWNSID) {
            Ok(_) => {}
            Err(error) if error.errno() == Some(libc::ESRCH) => return Ok(None),
            Err(error) => return Err(error),
        }
        let answer = Messages(self.answered()).next().and_then(Result::ok);
        match answer.and_then(|message| parse_nsid(message.body)) {
            Some(nsid) => Ok((nsid >= 0).then_some(nsid)),
            None => Err(Error::Malformed { request: REQUEST }),
        }
    }

    fn dump_with(&mut self, nsid: Option<i32>) -> Result<Dump<'_>, Error> {
        let mut attempt = 1;
        let interrupted = loop {
            self.begin(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, &[0; 16]);
            if !self.with_all_counters {
                attribute(&mut self.request, message::IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
            }
            if let Some(nsid) = nsid {
                attribute(&mut self.request, message::IFLA_TARGET_NETNSID, nsid.to_ne_bytes());
            }
            match self.exchange("RTM_GETLINK", RTM_NEWLINK) {
                Ok(_) if !self.with_all_counters && lacks_counters(self.answered()) => {
                    self.with_all_counters = true;
                }
                Ok(false) => break false,
                Ok(true) if attempt == ATTEMPTS => break true,
                Err(error) if attempt == ATTEMPTS || error.errno() != Some(libc::ENOBUFS) => {
                    return Err(error);
                }
                Ok(true) | Err(_) => attempt += 1,
            }
        };
        let answer = self.answered();
        Ok(Dump { answer, messages: Messages(answer), interrupted })
    }

    fn answered(&self) -> &[u8] {
        self.answer.get(..self.filled).unwrap_or(&[])
    }

    fn begin(&mut self, kind: u16, flags: u16, body: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        begin(&mut self.request, kind, flags, self.sequence, body);
    }

    /// Sends the request and gathers the messages of type `wanted` that answer it; tells whether the kernel
    /// called the list inconsistent. After a failure the socket is closed: what is still to come on it is not ours.
    fn exchange(&mut self, request: &'static str, wanted: u16) -> Result<bool, Error> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open()?,
        };
        finish(&mut self.request);
        rustix::net::send(&socket, &self.request, SendFlags::empty()).map_err(call("send"))?;
        self.filled = 0;
        let mut interrupted = false;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        while !self.receive(&socket, request, wanted, &mut interrupted)? {
            if Instant::now() >= deadline {
                return Err(Error::Late { request });
            }
        }
        self.socket = Some(socket);
        Ok(interrupted)
    }

    /// Takes in one datagram; `true` when the answer is complete.
    fn receive(
        &mut self,
        socket: &OwnedFd,
        request: &'static str,
        wanted: u16,
        interrupted: &mut bool,
    ) -> Result<bool, Error> {
        let malformed = Error::Malformed { request };
        if self.filled > ANSWER_LIMIT {
            return Err(malformed);
        }
        self.answer.resize(self.answer.len().max(self.filled + DATAGRAM), 0);
        let Some(room) = self.answer.get_mut(self.filled..) else { return Err(malformed) };
        let (_, length) = match rustix::net::recv(socket, room, RecvFlags::TRUNC) {
            Ok(received) => received,
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(rustix::io::Errno::AGAIN) => return Err(Error::Late { request }),
            Err(errno) => return Err(call("recv")(errno)),
        };
        let end = self.filled.saturating_add(length);
        let Some(datagram) = self.answer.get(self.filled..end) else { return Err(malformed) };
        let ours = match sort(datagram, self.sequence, wanted) {
            Ok(ours) => ours,
            Err(Malformed) => return Err(malformed),
        };
        *interrupted |= ours.interrupted;
        if let Some(code) = ours.end.filter(|code| *code < 0) {
            return Err(Error::Refused {
                request,
                source: io::Error::from_raw_os_error(code.saturating_neg()),
            });
        }
        if ours.wanted {
            self.filled = aligned(end);
        }
        Ok(ours.end.is_some() || ours.wanted && wanted == RTM_NEWNSID)
    }
}

/// What one datagram holds for us.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ours {
    /// Messages of the wanted type.
    wanted: bool,
    /// The error number, negative, that ended the answer, or 0 for a good end.
    end: Option<i32>,
    interrupted: bool,
}

/// Looks through a datagram. One that holds another request's messages counts as empty.
fn sort(datagram: &[u8], sequence: u32, wanted: u16) -> Result<Ours, Malformed> {
    let mut ours = Ours::default();
    for message in Messages(datagram) {
        let Message { kind, flags, sequence: its, body } = message?;
        if its != sequence {
            continue;
        }
        ours.interrupted |= flags & NLM_F_DUMP_INTR != 0;
        match kind {
            NLMSG_ERROR => ours.end = Some(i32_at(body, 0).ok_or(Malformed)?),
            // Old kernels end a dump without a code.
            NLMSG_DONE => ours.end = Some(i32_at(body, 0).unwrap_or(0)),
            kind if kind == wanted => ours.wanted = true,
            _ => {}
        }
    }
    Ok(ours)
}

/// Whether a link came without its counters, which every link has.
fn lacks_counters(answer: &[u8]) -> bool {
    let mut links = Messages(answer)
        .map_while(Result::ok)
        .filter(|message| message.kind == RTM_NEWLINK)
        .filter_map(|message| Link::parse(message.body));
    links.any(|link| link.stats.is_none())
}

fn call(call: &'static str) -> impl Fn(rustix::io::Errno) -> Error {
    move |errno| Error::Call { call, source: errno.into() }
}

fn open() -> Result<OwnedFd, Error> {
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .map_err(call("socket"))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(RECEIVE_TIMEOUT))
        .map_err(call("setsockopt SO_RCVTIMEO"))?;
    // Connected to the kernel, the socket takes messages from nobody else.
    rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0)).map_err(call("connect"))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        begin(&mut bytes, kind, flags, sequence, body);
        finish(&mut bytes);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    fn link(index: u32, name: [u8; 4]) -> Vec<u8> {
        let mut body = vec![0; 16];
        body.splice(4..8, index.to_ne_bytes());
        attribute(&mut body, message::IFLA_IFNAME, name);
        message(RTM_NEWLINK, 2, 1, &body)
    }

    #[test]
    fn only_answers_to_our_request_count() {
        let stale = [message(RTM_NEWLINK, 0x12, 4, &[0; 16]), message(NLMSG_DONE, 0, 4, &[0; 4])].concat();
        assert_eq!(sort(&stale, 5, RTM_NEWLINK), Ok(Ours::default()));
        assert_eq!(sort(&stale, 4, RTM_NEWLINK), Ok(Ours { wanted: true, end: Some(0), interrupted: true }));
        let refused = message(NLMSG_ERROR, 0, 5, &(-13i32).to_ne_bytes());
        assert_eq!(sort(&refused, 5, RTM_NEWLINK), Ok(Ours { end: Some(-13), ..Ours::default() }));
        assert_eq!(sort(&message(NLMSG_ERROR, 0, 5, &[1]), 5, RTM_NEWLINK), Err(Malformed));
        assert_eq!(sort(b"garbage", 5, RTM_NEWLINK), Err(Malformed));
    }

    #[test]
    fn counters_that_were_left_out_are_missed() {
        let mut body = vec![0; 16];
        attribute(&mut body, message::IFLA_IFNAME, *b"eth0");
        body.extend_from_slice(&(4 + 23 * 8_u16).to_ne_bytes());
        body.extend_from_slice(&message::IFLA_STATS64.to_ne_bytes());
        body.extend_from_slice(&[0; 23 * 8]);
        let whole = message(RTM_NEWLINK, 2, 1, &body);
        let done = message(NLMSG_DONE, 2, 1, &[0; 4]);
        assert!(!lacks_counters(&[whole.clone(), done.clone()].concat()));
        assert!(lacks_counters(&[whole, link(2, *b"eth1"), done].concat()));
    }

    #[test]
    fn an_interrupted_dump_names_no_interface_twice() {
        let answer =
            [link(1, *b"lo\0\0"), link(2, *b"eth0"), link(1, *b"lo\0\0"), link(3, *b"eth1")].concat();
        for (interrupted, expected) in [(true, &[1, 2, 3][..]), (false, &[1, 2, 1, 3])] {
            let dump = Dump { answer: &answer, messages: Messages(&answer), interrupted };
            assert_eq!(dump.map(|link| link.index).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn answers_over_a_socket_end_in_time_whatever_they_are() {
        let (ours, kernel) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        set_socket_timeout(&ours, Timeout::Recv, Some(Duration::from_millis(50))).unwrap();
        let mut links = Links { sequence: 1, ..Links::default() };
        let mut receive = |bytes: &[u8]| {
            rustix::net::send(&kernel, bytes, SendFlags::empty()).unwrap();
            links.filled = 0;
            links.receive(&ours, "test", RTM_NEWLINK, &mut false).map_err(|error| error.to_string())
        };
        assert_eq!(receive(&link(1, *b"lo\0\0")), Ok(false));
        assert_eq!(receive(&message(NLMSG_DONE, 0, 1, &[0; 4])), Ok(true));
        assert!(
            receive(&message(NLMSG_DONE, 0, 1, &(-95i32).to_ne_bytes())).unwrap_err().contains("os error 95")
        );
        assert!(receive(&vec![7; 40_000]).unwrap_err().contains("makes no sense"));
        let started = Instant::now();
        let silent = links.receive(&ours, "test", RTM_NEWLINK, &mut false);
        assert!(matches!(silent, Err(Error::Late { .. })));
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}
