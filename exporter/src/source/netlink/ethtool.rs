//! Generic netlink's family `ethtool`: speed and duplex of all interfaces at once.

use super::{
    Error,
    generic::Generic,
    message::{Attributes, nested, u8_at, u32_at},
};

const LINKMODES_GET: u8 = 4;
const LINKMODES_HEADER: u16 = 1;
const LINKMODES_SPEED: u16 = 5;
const LINKMODES_DUPLEX: u16 = 6;
const HEADER_DEV_INDEX: u16 = 1;
const HEADER_FLAGS: u16 = 3;
/// Without names for the modes, which are not looked at.
const COMPACT_BITSETS: u32 = 1;

/// How fast an interface's link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    family: Generic,
}

impl Default for LinkModes {
    fn default() -> Self {
        Self { family: Generic::new(b"ethtool\0") }
    }
}

impl LinkModes {
    /// Those of every interface whose driver tells them; `None` where the kernel has no such family (before Linux
    /// 5.6).
    ///
    /// # Errors
    /// A failing system call, a refusal, no complete answer in time, or nonsense; the next call starts afresh.
    pub fn list(&mut self) -> Result<Option<Vec<LinkMode>>, Error> {
        let mut attributes = Vec::new();
        nested(&mut attributes, LINKMODES_HEADER, HEADER_FLAGS, COMPACT_BITSETS.to_ne_bytes());
        self.family.fold(
            ("ETHTOOL_MSG_LINKMODES_GET", LINKMODES_GET),
            &attributes,
            Vec::new,
            |modes, attributes| modes.extend(parse(&attributes)),
        )
    }
}

fn parse(attributes: &Attributes<'_>) -> Option<LinkMode> {
    let device = Attributes(attributes.payload(LINKMODES_HEADER)?).payload(HEADER_DEV_INDEX)?;
    let speed = attributes.payload(LINKMODES_SPEED).and_then(|speed| u32_at(speed, 0));
    let duplex = attributes.payload(LINKMODES_DUPLEX).and_then(|duplex| u8_at(duplex, 0));
    Some(LinkMode { index: u32_at(device, 0)?, speed: speed.unwrap_or(0), duplex: duplex.unwrap_or(0) })
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(body: &[u8]) {
    let _ = parse(&Attributes(body));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::netlink::recorded::{attr, garble};

    fn mode() -> Vec<u8> {
        let device = [attr(HEADER_DEV_INDEX, &3_u32.to_ne_bytes()), attr(2, b"va\0")].concat();
        let mut body = attr(LINKMODES_HEADER | 0x8000, &device);
        body.extend(attr(2, &[0]));
        body.extend(attr(LINKMODES_SPEED, &10_000_u32.to_ne_bytes()));
        body.extend(attr(LINKMODES_DUPLEX, &[1]));
        body
    }

    #[test]
    fn a_link_s_mode_is_read() {
        assert_eq!(parse(&Attributes(&mode())), Some(LinkMode { index: 3, speed: 10_000, duplex: 1 }));
        assert_eq!(parse(&Attributes(&mode()[..16])), None, "cut short");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        garble(&mode(), |body| {
            parse(&Attributes(body));
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
