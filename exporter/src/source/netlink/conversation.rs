//! Asking the kernel over netlink: one kept socket, one request at a time, one reused buffer.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType,
    netlink::SocketAddrNetlink,
    sockopt::{Timeout, set_socket_timeout},
};

use super::{
    Error,
    message::{Malformed, Message, Messages, aligned, attribute, begin, finish, i32_at},
};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
pub(super) const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP_INTR: u16 = 0x10;
pub(super) const NLM_F_DUMP: u16 = 0x300;

/// The kernel fills at most 32 KiB of one datagram of a dump when that much is offered.
const DATAGRAM: usize = 32 * 1024;
/// A host with 40,000 interfaces stays below this; a larger answer is nonsense.
const GATHERED_LIMIT: usize = 64 << 20;
/// An answer that is not kept may be longer: this is ten million sockets.
const FOLDED_LIMIT: usize = 1 << 30;
/// The longest wait for one datagram, and for a whole answer.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(1);
const GATHERED_TIMEOUT: Duration = Duration::from_secs(3);
const FOLDED_TIMEOUT: Duration = Duration::from_secs(15);
/// What comes and goes during a dump spoils it; beyond this many attempts the last answer is used.
const ATTEMPTS: u32 = 4;

/// What is asked, and what counts as an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    /// The request's name, for errors.
    pub name: &'static str,
    /// Type of the messages that answer it.
    pub answer: u16,
    /// Whether one message is the whole answer; a list has an end of its own.
    pub is_single: bool,
}

/// One end of a talk with one of netlink's protocols; rtnetlink by default.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    protocol: Option<Protocol>,
    socket: Option<OwnedFd>,
    sequence: u32,
    request: Vec<u8>,
    /// The answer: `filled` bytes are messages, the rest is room for the next datagram.
    answer: Vec<u8>,
    filled: usize,
}

impl Conversation {
    /// One whose socket is opened at the first request, and anew after each failure.
    pub fn new(protocol: Protocol) -> Self {
        Self { protocol: Some(protocol), ..Self::default() }
    }

    /// Begins a request: its type, its flags and the fixed part of its body.
    pub fn begin(&mut self, kind: u16, flags: u16, body: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        begin(&mut self.request, kind, NLM_F_REQUEST | flags, self.sequence, body);
    }

    /// Appends an attribute to the request.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        attribute(&mut self.request, kind, value);
    }

    /// The messages of the last answer, after [`Self::exchange`] or [`Self::list`].
    pub fn answered(&self) -> &[u8] {
        self.answer.get(..self.filled).unwrap_or(&[])
    }

    /// Sends the request that was begun and gathers its answer; tells whether the kernel called it inconsistent.
    pub fn exchange(&mut self, question: Question) -> Result<bool, Error> {
        self.ask(question, GATHERED_TIMEOUT, &mut None)
    }

    /// Gathers a list that `begin` asks for, again while the kernel calls it inconsistent; tells whether the last is.
    pub fn list(&mut self, question: Question, begin: impl Fn(&mut Self)) -> Result<bool, Error> {
        self.repeat(|talk, _| {
            begin(talk);
            talk.exchange(question)
        })
    }

    /// What `take` makes of a list's messages, given one by one, from what `start` gives; nothing of the list is
    /// kept. Asked for again, from the start, while the kernel calls the list inconsistent.
    pub fn fold<T>(
        &mut self,
        question: Question,
        begin: impl Fn(&mut Self),
        start: impl Fn() -> T,
        mut take: impl FnMut(&mut T, &[u8]),
    ) -> Result<T, Error> {
        let mut state = start();
        self.repeat(|talk, is_first| {
            if !is_first {
                state = start();
            }
            begin(talk);
            let give: &mut dyn FnMut(&[u8]) = &mut |body| take(&mut state, body);
            talk.ask(question, FOLDED_TIMEOUT, &mut Some(give))
        })?;
        Ok(state)
    }

    fn repeat(
        &mut self,
        mut attempt: impl FnMut(&mut Self, bool) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        for number in 1..ATTEMPTS {
            match attempt(self, number == 1) {
                Ok(false) => return Ok(false),
                Err(error) if error.errno() != Some(libc::ENOBUFS) => return Err(error),
                Ok(true) | Err(_) => {}
            }
        }
        attempt(self, false)
    }

    /// After a failure the socket is closed: what is still to come on it is not ours.
    fn ask(&mut self, question: Question, timeout: Duration, take: &mut Take<'_>) -> Result<bool, Error> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open(self.protocol)?,
        };
        finish(&mut self.request);
        rustix::net::send(&socket, &self.request, SendFlags::empty()).map_err(call("send"))?;
        self.filled = 0;
        let mut progress = Progress::default();
        let deadline = Instant::now() + timeout;
        while !self.receive(&socket, question, take, &mut progress)? {
            if Instant::now() >= deadline {
                return Err(Error::Late { request: question.name });
            }
        }
        self.socket = Some(socket);
        Ok(progress.interrupted)
    }

    /// Takes in one datagram; `true` when the answer is complete.
    fn receive(
        &mut self,
        socket: &OwnedFd,
        question: Question,
        take: &mut Take<'_>,
        progress: &mut Progress,
    ) -> Result<bool, Error> {
        let request = question.name;
        let malformed = Error::Malformed { request };
        if self.filled > GATHERED_LIMIT || progress.received > FOLDED_LIMIT {
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
        let ours = match sort(datagram, self.sequence, question.answer) {
            Ok(ours) => ours,
            Err(Malformed) => return Err(malformed),
        };
        progress.interrupted |= ours.interrupted;
        progress.received = progress.received.saturating_add(length);
        if let Some(code) = ours.end.filter(|code| *code < 0) {
            return Err(Error::Refused {
                request,
                source: io::Error::from_raw_os_error(code.saturating_neg()),
            });
        }
        match take {
            Some(take) => {
                let messages = Messages(datagram).map_while(Result::ok);
                let ours = |message: &Message<'_>| {
                    message.sequence == self.sequence && message.kind == question.answer
                };
                messages.filter(ours).for_each(|message| take(message.body));
            }
            None if ours.wanted => self.filled = aligned(end),
            None => {}
        }
        Ok(ours.end.is_some() || ours.wanted && question.is_single)
    }
}

/// Who is given each message instead of gathering them.
type Take<'a> = Option<&'a mut dyn FnMut(&[u8])>;

/// What is known of an answer that is not complete yet.
#[derive(Debug, Default)]
struct Progress {
    interrupted: bool,
    /// Bytes so far.
    received: usize,
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

pub(super) fn call(call: &'static str) -> impl Fn(rustix::io::Errno) -> Error {
    move |errno| Error::Call { call, source: errno.into() }
}

fn open(protocol: Option<Protocol>) -> Result<OwnedFd, Error> {
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
            .map_err(call("socket"))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(RECEIVE_TIMEOUT))
        .map_err(call("setsockopt SO_RCVTIMEO"))?;
    // Connected to the kernel, the socket takes messages from nobody else.
    rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0)).map_err(call("connect"))?;
    Ok(socket)
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(datagram: &[u8]) {
    let _ = sort(datagram, 1, 16);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::netlink::recorded::message;

    const LINKS: Question = Question { name: "test", answer: 16, is_single: false };

    fn entry(value: u32, sequence: u32, flags: u16) -> Vec<u8> {
        message(LINKS.answer, flags, sequence, &value.to_ne_bytes())
    }

    #[test]
    fn only_answers_to_our_request_count() {
        let stale = [message(16, 0x12, 4, &[0; 16]), message(NLMSG_DONE, 0, 4, &[0; 4])].concat();
        assert_eq!(sort(&stale, 5, 16), Ok(Ours::default()));
        assert_eq!(sort(&stale, 4, 16), Ok(Ours { wanted: true, end: Some(0), interrupted: true }));
        let refused = message(NLMSG_ERROR, 0, 5, &(-13i32).to_ne_bytes());
        assert_eq!(sort(&refused, 5, 16), Ok(Ours { end: Some(-13), ..Ours::default() }));
        assert_eq!(sort(&message(NLMSG_ERROR, 0, 5, &[1]), 5, 16), Err(Malformed));
        assert_eq!(sort(b"garbage", 5, 16), Err(Malformed));
    }

    impl Conversation {
        /// Over a socket on which a test plays the kernel.
        pub fn over(socket: OwnedFd) -> Self {
            Self { socket: Some(socket), ..Self::default() }
        }
    }

    /// A pair of sockets: ours, and the one on which the test plays the kernel.
    fn pair() -> (OwnedFd, OwnedFd) {
        let (ours, kernel) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        set_socket_timeout(&ours, Timeout::Recv, Some(Duration::from_millis(50))).unwrap();
        (ours, kernel)
    }

    #[test]
    fn answers_over_a_socket_end_in_time_whatever_they_are() {
        let (ours, kernel) = pair();
        let mut talk = Conversation { sequence: 1, ..Conversation::default() };
        let mut receive = |bytes: &[u8]| {
            rustix::net::send(&kernel, bytes, SendFlags::empty()).unwrap();
            talk.filled = 0;
            talk.receive(&ours, LINKS, &mut None, &mut Progress::default()).map_err(|error| error.to_string())
        };
        assert_eq!(receive(&entry(7, 1, 2)), Ok(false));
        assert_eq!(receive(&message(NLMSG_DONE, 0, 1, &[0; 4])), Ok(true));
        assert!(
            receive(&message(NLMSG_DONE, 0, 1, &(-95i32).to_ne_bytes())).unwrap_err().contains("os error 95")
        );
        assert!(receive(&vec![7; 40_000]).unwrap_err().contains("makes no sense"));
        let started = Instant::now();
        let silent = talk.receive(&ours, LINKS, &mut None, &mut Progress::default());
        assert!(matches!(silent, Err(Error::Late { .. })));
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    /// Sums the numbers of the recorded answers, which are sent before they are asked for.
    fn folded(answers: &[Vec<u8>]) -> Result<u32, Error> {
        let (ours, kernel) = pair();
        for answer in answers {
            rustix::net::send(&kernel, answer, SendFlags::empty()).unwrap();
        }
        let mut talk = Conversation { socket: Some(ours), ..Conversation::default() };
        let add = |sum: &mut u32, body: &[u8]| *sum += u32::from_ne_bytes(body.try_into().unwrap());
        let sum = talk.fold(LINKS, |talk| talk.begin(18, NLM_F_DUMP, &[]), || 0, add)?;
        assert!(talk.answered().is_empty() && talk.answer.len() <= DATAGRAM, "nothing is kept");
        Ok(sum)
    }

    fn done(sequence: u32) -> Vec<u8> {
        message(NLMSG_DONE, 0, sequence, &[0; 4])
    }

    #[test]
    fn an_interrupted_list_is_begun_again_from_nothing() {
        let good = [entry(1, 1, 2), [entry(2, 1, 2), entry(64, 9, 2)].concat(), done(1)];
        assert_eq!(folded(&good).unwrap(), 3, "another's message does not count");
        let broken = [entry(1, 1, 2), entry(2, 1, 0x12), done(1), entry(4, 2, 2), done(2)];
        assert_eq!(folded(&broken).unwrap(), 4);
        let always: Vec<_> = (1..=4).flat_map(|round| [entry(round, round, 0x12), done(round)]).collect();
        assert_eq!(folded(&always).unwrap(), 4, "the last one is used");
        assert!(matches!(folded(&[entry(1, 1, 2)]), Err(Error::Late { .. })));
        let refused = message(NLMSG_ERROR, 0, 1, &(-1i32).to_ne_bytes());
        assert!(matches!(folded(&[refused]), Err(Error::Refused { .. })));
    }
}
