//! Generic netlink: families that are known by name and numbered by the kernel.

use rustix::net::netlink::GENERIC;

use super::{
    Error,
    conversation::{Conversation, NLM_F_DUMP, Question},
    message::{Attributes, Messages, u16_at},
};

/// The family that numbers the others.
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// `struct genlmsghdr`: the command, its version, and two bytes that are kept free.
const HEADER: usize = 4;

const FAMILY: Question = Question { name: "CTRL_CMD_GETFAMILY", answer: GENL_ID_CTRL, is_single: true };

/// A talk with one family.
#[derive(Debug)]
pub(super) struct Generic {
    talk: Conversation,
    /// The family's name, with its ending zero.
    name: &'static [u8],
    /// Its number, once the kernel has told it.
    family: Option<u16>,
}

impl Generic {
    /// With the family of this name, which ends with a zero.
    pub fn new(name: &'static [u8]) -> Self {
        Self { talk: Conversation::new(GENERIC), name, family: None }
    }

    /// What `take` makes of a list's messages, given one by one, from what `start` gives. The command is asked with
    /// `attributes`. `None` where the kernel has no such family.
    pub fn fold<T>(
        &mut self,
        (name, command): (&'static str, u8),
        attributes: &[u8],
        start: impl Fn() -> T,
        mut take: impl FnMut(&mut T, Attributes<'_>),
    ) -> Result<Option<T>, Error> {
        let Some(family) = self.family()? else { return Ok(None) };
        let request = [&[command, 1, 0, 0], attributes].concat();
        let question = Question { name, answer: family, is_single: false };
        let begin = |talk: &mut Conversation| talk.begin(family, NLM_F_DUMP, &request);
        let take =
            |state: &mut T, body: &[u8]| take(state, Attributes(body.get(HEADER..).unwrap_or_default()));
        let folded = self.talk.fold(question, begin, start, take);
        // A module that was unloaded and loaded again has another number.
        self.family = folded.as_ref().map_or(None, |_| Some(family));
        folded.map(Some)
    }

    /// What `take` makes of the one message that answers. The command is asked with `attributes`. `None` where the
    /// kernel has no such family.
    pub fn one<T>(
        &mut self,
        (name, command): (&'static str, u8),
        attributes: &[u8],
        take: impl FnOnce(Attributes<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        let Some(family) = self.family()? else { return Ok(None) };
        self.talk.begin(family, 0, &[&[command, 1, 0, 0], attributes].concat());
        let answered = self.talk.exchange(Question { name, answer: family, is_single: true });
        self.family = answered.as_ref().map_or(None, |_| Some(family));
        answered?;
        let mut messages = Messages(self.talk.answered()).map_while(Result::ok);
        let answer = messages.find(|message| message.kind == family);
        let answer = answer.ok_or(Error::Malformed { request: name })?;
        Ok(Some(take(Attributes(answer.body.get(HEADER..).unwrap_or_default()))))
    }

    fn family(&mut self) -> Result<Option<u16>, Error> {
        if self.family.is_some() {
            return Ok(self.family);
        }
        self.talk.begin(GENL_ID_CTRL, 0, &[CTRL_CMD_GETFAMILY, 1, 0, 0]);
        self.talk.attribute(CTRL_ATTR_FAMILY_NAME, self.name);
        match self.talk.exchange(FAMILY) {
            Ok(_) => {}
            Err(error) if error.errno() == Some(libc::ENOENT) => return Ok(None),
            Err(error) => return Err(error),
        }
        let answer = Messages(self.talk.answered()).next().and_then(Result::ok);
        self.family = answer.and_then(|message| family_id(message.body));
        if self.family.is_none() {
            return Err(Error::Malformed { request: FAMILY.name });
        }
        Ok(self.family)
    }
}

fn family_id(body: &[u8]) -> Option<u16> {
    u16_at(Attributes(body.get(HEADER..)?).payload(CTRL_ATTR_FAMILY_ID)?, 0)
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(body: &[u8]) {
    let _ = family_id(body);
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::fd::OwnedFd;

    use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};

    use super::*;
    use crate::source::netlink::recorded::{attr, garble, message};

    /// A family's number in recorded answers.
    pub const RECORDED: u16 = 0x21;

    impl Generic {
        /// A talk with a socket on which all answers wait already; gives the other end too, which has to stay open.
        pub fn recorded(name: &'static [u8], answers: &[Vec<u8>]) -> (Self, OwnedFd) {
            let (ours, kernel) = rustix::net::socketpair(
                AddressFamily::UNIX,
                SocketType::SEQPACKET,
                SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
                None,
            )
            .unwrap();
            for answer in answers {
                rustix::net::send(&kernel, answer, SendFlags::empty()).unwrap();
            }
            (Self { talk: Conversation::over(ours), name, family: None }, kernel)
        }
    }

    /// The kernel's answer to the first request, for a family's number.
    pub fn family() -> Vec<u8> {
        let body = [
            &[1, 2, 0, 0][..],
            &attr(CTRL_ATTR_FAMILY_NAME, b"nl80211\0"),
            &attr(1, &RECORDED.to_ne_bytes()),
        ];
        message(GENL_ID_CTRL, 0, 1, &body.concat())
    }

    /// The answer to the request of this number: a list of the command's messages, in one datagram, and its end.
    pub fn list(sequence: u32, command: u8, entries: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let entries = entries.iter().flat_map(|attributes| {
            message(RECORDED, 2, sequence, &[&[command, 1, 0, 0], attributes.as_slice()].concat())
        });
        let entries: Vec<u8> = entries.collect();
        let done = message(3, 2, sequence, &[0; 4]);
        if entries.is_empty() { vec![done] } else { vec![entries, done] }
    }

    /// A refusal.
    pub fn refusal(sequence: u32, errno: i32) -> Vec<u8> {
        message(2, 0, sequence, &[&(-errno).to_ne_bytes()[..], &[0; 16]].concat())
    }

    fn counted(generic: &mut Generic) -> Result<Option<usize>, Error> {
        generic.fold(("TEST", 5), &[], || 0, |count, attributes| *count += attributes.count())
    }

    #[test]
    fn a_family_is_numbered_once() {
        let entry = || attr(1, b"abcd");
        let answers = [
            vec![family()],
            list(2, 7, &[entry(), entry()]),
            list(3, 7, &[entry()]),
            vec![refusal(4, libc::ENOENT)],
        ];
        let (mut generic, _kernel) = Generic::recorded(b"nl80211\0", &answers.concat());
        assert_eq!(counted(&mut generic).unwrap(), Some(2));
        assert_eq!(counted(&mut generic).unwrap(), Some(1));
        assert!(generic.family.is_some());
        assert!(counted(&mut generic).is_err());
        assert_eq!(generic.family, None, "it is asked for anew");
    }

    #[test]
    fn a_family_may_be_missing_or_nonsense() {
        let (mut missing, _kernel) = Generic::recorded(b"none\0", &[refusal(1, libc::ENOENT)]);
        assert_eq!(counted(&mut missing).unwrap(), None);
        let (mut refused, _kernel) = Generic::recorded(b"none\0", &[refusal(1, libc::EPERM)]);
        assert_eq!(counted(&mut refused).unwrap_err().errno(), Some(libc::EPERM));
        let (mut nonsense, _kernel) =
            Generic::recorded(b"none\0", &[message(GENL_ID_CTRL, 0, 1, &[1, 2, 0, 0])]);
        assert!(matches!(counted(&mut nonsense), Err(Error::Malformed { .. })));
        let (mut silent, _kernel) = Generic::recorded(b"none\0", &[]);
        assert!(matches!(counted(&mut silent), Err(Error::Late { .. })));
        assert_eq!(counted(&mut Generic::new(b"nodetally-none\0")).unwrap(), None, "asked of this kernel");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let body = [&[1, 2, 0, 0][..], &attr(1, &[0x15, 0])].concat();
        assert_eq!(family_id(&body), Some(0x15));
        garble(&body, |body| {
            family_id(body);
        });
    }
}
