//! `RTM_GETROUTE`: the ways that packets may take.

use std::net::IpAddr;

use super::{
    Error,
    conversation::{Conversation, NLM_F_DUMP, Question},
    message::{Attributes, aligned, u8_at, u16_at, u32_at},
};

const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
/// `struct rtmsg`, `struct rtnexthop`.
const HEADER: usize = 12;
const HOP_HEADER: usize = 8;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const RTN_UNICAST: u8 = 1;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;

const QUESTION: Question = Question { name: "RTM_GETROUTE", answer: RTM_NEWROUTE, is_single: false };

/// One hop of a unicast route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Index of the interface that packets leave by; 0 for none.
    pub index: u32,
    /// Where it leads to, and how many bits of that count; `None` for the default route.
    pub destination: Option<(IpAddr, u8)>,
    /// The address that packets are sent from, unless they have one.
    pub source: Option<IpAddr>,
    /// The router, if it is of the same version of IP.
    pub gateway: Option<IpAddr>,
    /// Of two routes to the same place the one with the lower number counts.
    pub priority: u32,
    /// Who made it, `RTPROT_*`: 2 the kernel, 4 an administrator.
    pub protocol: u8,
    /// Its share, for one hop of several.
    pub weight: Option<u16>,
}

/// A reader of the IPv4 and IPv6 routes of our network namespace.
#[derive(Debug, Default)]
pub struct Routes {
    talk: Conversation,
}

impl Routes {
    /// Every hop of every unicast route of every table, in the kernel's order.
    ///
    /// # Errors
    /// A failing system call, a refusal, no complete answer in time, or nonsense; the next call starts afresh.
    pub fn hops(&mut self) -> Result<Vec<Route>, Error> {
        self.talk.fold(
            QUESTION,
            |talk| talk.begin(RTM_GETROUTE, NLM_F_DUMP, &[0; HEADER]),
            Vec::new,
            |routes, body| {
                parse(body, routes);
            },
        )
    }
}

/// Appends the hops of a route; none for one that is not unicast or of another family, or is cut short.
fn parse(body: &[u8], hops: &mut Vec<Route>) -> Option<()> {
    let (family, bits) = (u8_at(body, 0)?, u8_at(body, 1)?);
    let (protocol, kind) = (u8_at(body, 5)?, u8_at(body, 7)?);
    if kind != RTN_UNICAST || ![AF_INET, AF_INET6].contains(&family) {
        return None;
    }
    let attributes = Attributes(body.get(HEADER..)?);
    let ip = |kind| attributes.payload(kind).and_then(|payload| address(family, payload));
    let number = |kind| attributes.payload(kind).and_then(|payload| u32_at(payload, 0)).unwrap_or_default();
    let destination = if bits == 0 { None } else { Some((ip(RTA_DST)?, bits)) };
    let route = Route {
        index: number(RTA_OIF),
        destination,
        source: ip(RTA_PREFSRC),
        gateway: ip(RTA_GATEWAY),
        priority: number(RTA_PRIORITY),
        protocol,
        weight: None,
    };
    let before = hops.len();
    let mut rest = attributes.payload(RTA_MULTIPATH).unwrap_or_default();
    while let Some((hop, next)) = split_hop(rest) {
        let gateway = Attributes(hop.get(HOP_HEADER..)?).payload(RTA_GATEWAY);
        hops.push(Route {
            index: u32_at(hop, 4)?,
            gateway: gateway.and_then(|payload| address(family, payload)),
            weight: Some(u16::from(u8_at(hop, 3)?) + 1),
            ..route
        });
        rest = next;
    }
    if hops.len() == before {
        hops.push(route);
    }
    Some(())
}

/// The first `struct rtnexthop` with its attributes, and what follows.
fn split_hop(hops: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(u16_at(hops, 0)?);
    let hop = hops.get(..length).filter(|hop| hop.len() >= HOP_HEADER)?;
    Some((hop, hops.get(aligned(length)..).unwrap_or_default()))
}

fn address(family: u8, payload: &[u8]) -> Option<IpAddr> {
    if family == AF_INET {
        return Some(IpAddr::from(*payload.first_chunk::<4>()?));
    }
    Some(IpAddr::from(*payload.first_chunk::<16>()?))
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(body: &[u8]) {
    let _ = parse(body, &mut Vec::new());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::netlink::recorded::{attr, bytes, garble};

    fn route(family: u8, bits: u8, kind: u8, rest: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![family, bits, 0, 0, 254, 3, 0, kind, 0, 0, 0, 0];
        body.extend(rest.concat());
        body
    }

    fn number(kind: u16, number: u32) -> Vec<u8> {
        attr(kind, &number.to_ne_bytes())
    }

    fn hop(hops: u8, index: u32, gateway: &[u8]) -> Vec<u8> {
        let rest = attr(RTA_GATEWAY, gateway);
        let length = u16::try_from(HOP_HEADER + rest.len()).unwrap();
        [&length.to_ne_bytes()[..], &[0, hops], &index.to_ne_bytes(), &rest].concat()
    }

    fn hops(body: &[u8]) -> Vec<Route> {
        let mut hops = Vec::new();
        parse(body, &mut hops);
        hops
    }

    fn several() -> Vec<u8> {
        let hops = [hop(2, 7, &[10, 1, 0, 3]), hop(255, 8, &[10, 1, 0, 4])].concat();
        route(AF_INET, 16, RTN_UNICAST, &[attr(RTA_DST, &[10, 20, 0, 0]), attr(RTA_MULTIPATH, &hops)])
    }

    #[test]
    fn a_route_has_one_hop_or_several() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let gateway = attr(RTA_GATEWAY, &[10, 1, 0, 254]);
        let source = attr(RTA_PREFSRC, &[10, 1, 0, 1]);
        let default = route(AF_INET, 0, RTN_UNICAST, &[gateway, source, number(RTA_OIF, 3)]);
        let one = Route {
            index: 3,
            destination: None,
            source: Some(ip("10.1.0.1")),
            gateway: Some(ip("10.1.0.254")),
            priority: 0,
            protocol: 3,
            weight: None,
        };
        assert_eq!(hops(&default), [one]);
        let first = Route {
            index: 7,
            destination: Some((ip("10.20.0.0"), 16)),
            source: None,
            gateway: Some(ip("10.1.0.3")),
            weight: Some(3),
            ..one
        };
        let second = Route { index: 8, gateway: Some(ip("10.1.0.4")), weight: Some(256), ..first };
        assert_eq!(hops(&several()), [first, second]);
        let six = [attr(RTA_DST, &ipv6("fd00::")), number(RTA_PRIORITY, 1024), number(RTA_OIF, 3)];
        let six = hops(&route(AF_INET6, 64, RTN_UNICAST, &six));
        assert_eq!((six[0].destination, six[0].priority), (Some((ip("fd00::"), 64)), 1024));
        assert_eq!((six[0].gateway, six[0].index), (None, 3));
    }

    fn ipv6(text: &str) -> [u8; 16] {
        text.parse::<std::net::Ipv6Addr>().unwrap().octets()
    }

    #[test]
    fn what_is_not_unicast_or_makes_no_sense_is_left_out() {
        let destination = attr(RTA_DST, &[10, 0, 0, 0]);
        for (family, bits, kind) in [(AF_INET, 8, 2), (28, 8, 1), (AF_INET6, 8, 1)] {
            assert!(hops(&route(family, bits, kind, std::slice::from_ref(&destination))).is_empty());
        }
        assert!(hops(&route(AF_INET, 8, RTN_UNICAST, &[])).is_empty(), "leads nowhere");
    }

    #[test]
    fn what_a_kernel_sent_is_read() {
        let four = bytes(
            "02100000fe0300010000000008000f00fe000000080001000a140000240009001000000203000000080005000a010003
             1000000003000000080005000a010004",
        );
        let six = bytes(
            "0a400000fe0300010000000008000f00fe00000014000100fd0000060000000000000000000000000800060000040000
             3c0009001c0000000300000014000500fd0000010000000000000000000000021c0000030300000014000500fd000001
             00000000000000000000000324000c00000000000000000000000000000000000000000000000000000000000000000005
             00140000000000",
        );
        let told = |body: &[u8]| -> Vec<String> {
            let hops = hops(body).into_iter();
            hops.map(|hop| {
                let (to, bits) = hop.destination.unwrap();
                let (by, weight) = (hop.gateway.unwrap(), hop.weight.unwrap());
                format!("{to}/{bits} by {by} on {} at {}, {weight}", hop.index, hop.priority)
            })
            .collect()
        };
        assert_eq!(
            told(&four),
            ["10.20.0.0/16 by 10.1.0.3 on 3 at 0, 3", "10.20.0.0/16 by 10.1.0.4 on 3 at 0, 1"]
        );
        let wanted = ["fd00:6::/64 by fd00:1::2 on 3 at 1024, 1", "fd00:6::/64 by fd00:1::3 on 3 at 1024, 4"];
        assert_eq!(told(&six), wanted);
        garble(&six, |body| assert!(hops(body).len() <= body.len()));
    }

    #[test]
    fn no_bytes_make_it_panic_or_run_for_ever() {
        garble(&several(), |body| assert!(hops(body).len() <= body.len()));
    }
}
