//! Generic netlink's family `ethtool`: speed and duplex of all interfaces at once.

use rustix::net::netlink::GENERIC;

use super::{
    Error,
    conversation::{Conversation, NLM_F_DUMP, Question},
    message::{Attributes, nested, u8_at, u16_at, u32_at},
};

/// The family that numbers the others.
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// `struct genlmsghdr`.
const HEADER: usize = 4;

const LINKMODES_GET: u8 = 4;
const LINKMODES_HEADER: u16 = 1;
const LINKMODES_SPEED: u16 = 5;
const LINKMODES_DUPLEX: u16 = 6;
const HEADER_DEV_INDEX: u16 = 1;
const HEADER_FLAGS: u16 = 3;
/// Without names for the modes, which are not looked at.
const COMPACT_BITSETS: u32 = 1;

const FAMILY: Question = Question { name: "CTRL_CMD_GETFAMILY", answer: GENL_ID_CTRL, is_single: true };

/// How fast an interface's link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkMode {
    /// Index of the interface.
    pub index: u32,
    /// Megabits per second; `u32::MAX` where the driver does not know.
    pub speed: u32,
    /// 0 half, 1 full, 255 unknown.
    pub duplex: u8,
}

/// A reader of speed and duplex of our network namespace's interfaces.
#[derive(Debug)]
pub struct LinkModes {
    talk: Conversation,
    /// The number of the family, once the kernel has told it.
    family: Option<u16>,
}

impl Default for LinkModes {
    fn default() -> Self {
        Self { talk: Conversation::new(GENERIC), family: None }
    }
}

impl LinkModes {
    /// Those of every interface whose driver tells them; `None` where the kernel has no such family (before Linux
    /// 5.6).
    ///
    /// # Errors
    /// A failing system call, a refusal, no complete answer in time, or nonsense; the next call starts afresh.
    pub fn list(&mut self) -> Result<Option<Vec<LinkMode>>, Error> {
        let Some(family) = self.family()? else { return Ok(None) };
        let mut request = vec![LINKMODES_GET, 1, 0, 0];
        nested(&mut request, LINKMODES_HEADER, HEADER_FLAGS, COMPACT_BITSETS.to_ne_bytes());
        let question = Question { name: "ETHTOOL_MSG_LINKMODES_GET", answer: family, is_single: false };
        let modes = self.talk.fold(
            question,
            |talk| talk.begin(family, NLM_F_DUMP, &request),
            Vec::new,
            |modes, body| modes.extend(parse(body)),
        )?;
        Ok(Some(modes))
    }

    fn family(&mut self) -> Result<Option<u16>, Error> {
        if self.family.is_some() {
            return Ok(self.family);
        }
        self.talk.begin(GENL_ID_CTRL, 0, &[CTRL_CMD_GETFAMILY, 1, 0, 0]);
        self.talk.attribute(CTRL_ATTR_FAMILY_NAME, b"ethtool\0");
        match self.talk.exchange(FAMILY) {
            Ok(_) => {}
            Err(error) if error.errno() == Some(libc::ENOENT) => return Ok(None),
            Err(error) => return Err(error),
        }
        self.family = super::message::Messages(self.talk.answered())
            .next()
            .and_then(Result::ok)
            .and_then(|message| family_id(message.body));
        if self.family.is_none() {
            return Err(Error::Malformed { request: FAMILY.name });
        }
        Ok(self.family)
    }
}

fn family_id(body: &[u8]) -> Option<u16> {
    u16_at(Attributes(body.get(HEADER..)?).payload(CTRL_ATTR_FAMILY_ID)?, 0)
}

fn parse(body: &[u8]) -> Option<LinkMode> {
    let attributes = Attributes(body.get(HEADER..)?);
    let device = Attributes(attributes.payload(LINKMODES_HEADER)?).payload(HEADER_DEV_INDEX)?;
    let speed = attributes.payload(LINKMODES_SPEED).and_then(|speed| u32_at(speed, 0));
    let duplex = attributes.payload(LINKMODES_DUPLEX).and_then(|duplex| u8_at(duplex, 0));
    Some(LinkMode { index: u32_at(device, 0)?, speed: speed.unwrap_or(0), duplex: duplex.unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::netlink::recorded::{attr, garble};

    fn mode() -> Vec<u8> {
        let device = [attr(HEADER_DEV_INDEX, &3_u32.to_ne_bytes()), attr(2, b"va\0")].concat();
        let mut body = vec![LINKMODES_GET, 1, 0, 0];
        body.extend(attr(LINKMODES_HEADER | 0x8000, &device));
        body.extend(attr(2, &[0]));
        body.extend(attr(LINKMODES_SPEED, &10_000_u32.to_ne_bytes()));
        body.extend(attr(LINKMODES_DUPLEX, &[1]));
        body
    }

    #[test]
    fn a_link_s_mode_is_read() {
        assert_eq!(parse(&mode()), Some(LinkMode { index: 3, speed: 10_000, duplex: 1 }));
        assert_eq!(parse(&mode()[..20]), None, "cut short");
        assert_eq!(family_id(&[&[1, 2, 0, 0][..], &attr(1, &[0x15, 0])].concat()), Some(0x15));
        assert_eq!(family_id(&[1, 2, 0, 0]), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        garble(&mode(), |body| {
            parse(body);
            family_id(body);
        });
    }

    #[test]
    fn this_kernel_answers_twice() {
        let mut modes = LinkModes::default();
        let first = modes.list().unwrap();
        assert_eq!(modes.list().unwrap().is_some(), first.is_some());
        assert!(first.is_none_or(|modes| modes.iter().all(|mode| mode.index > 0)));
    }
}
