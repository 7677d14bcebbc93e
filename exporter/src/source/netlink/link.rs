//! `RTM_NEWLINK`: one network interface, its counters and what ties it to another.

use super::message::{Attributes, i32_at, text, u8_at, u16_at, u32_at};

/// Length of the fixed part, `struct ifinfomsg`.
const HEADER: usize = 16;

const IFLA_ADDRESS: u16 = 1;
const IFLA_BROADCAST: u16 = 2;
pub(super) const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_TXQLEN: u16 = 13;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKMODE: u16 = 17;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
pub(super) const IFLA_STATS64: u16 = 23;
const IFLA_GROUP: u16 = 27;
pub(super) const IFLA_EXT_MASK: u16 = 29;
const IFLA_PROMISCUITY: u16 = 30;
const IFLA_CARRIER: u16 = 33;
const IFLA_CARRIER_CHANGES: u16 = 35;
const IFLA_LINK_NETNSID: u16 = 37;
pub(super) const IFLA_TARGET_NETNSID: u16 = 46;
const IFLA_CARRIER_UP_COUNT: u16 = 47;
const IFLA_CARRIER_DOWN_COUNT: u16 = 48;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
const IFLA_ALLMULTI: u16 = 61;
const IFLA_INFO_KIND: u16 = 1;
const NETNSA_NSID: u16 = 1;
pub(super) const NETNSA_PID: u16 = 2;

/// One network interface as the kernel tells it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Link<'a> {
    /// Interface index, unique within its network namespace.
    pub index: u32,
    /// `ARPHRD_*` of the device: 1 Ethernet, 772 loopback.
    pub device_type: u16,
    /// `IFF_*` flags: 1 up, 8 loopback, 0x10000 carrier.
    pub flags: u32,
    /// Interface name, without the ending zero; the kernel allows any bytes but `/`, `:` and white space.
    pub name: &'a [u8],
    /// The alias an administrator gave, if one did.
    pub alias: Option<&'a [u8]>,
    /// Driver kind (`veth`, `bridge`, `vlan`, ...); `None` for hardware and loopback.
    pub kind: Option<&'a [u8]>,
    /// Index of the interface this one hangs on: the other end for a veth, the parent for a vlan or macvlan.
    pub link: Option<u32>,
    /// Namespace in which `link` is to be looked up, as this process's namespace numbers it; `None`: the same one.
    pub link_netnsid: Option<i32>,
    /// Hardware address and that of a broadcast; empty where the device has none.
    pub address: &'a [u8],
    /// See `address`.
    pub broadcast: &'a [u8],
    /// `IF_OPER_*`: 0 unknown, 2 down, 6 up.
    pub operstate: u8,
    /// `IF_LINK_MODE_*`: 0 default, 1 dormant.
    pub link_mode: u8,
    /// Largest packet, in bytes.
    pub mtu: u32,
    /// Packets that the queue out may hold.
    pub queue_length: u32,
    /// Group that the interface was put in.
    pub group: u32,
    /// How many want all packets that pass by.
    pub promiscuity: u32,
    /// How many want all multicast packets. (Since Linux 6.0.)
    pub all_multicast: Option<u32>,
    /// 1 with a carrier, 0 without.
    pub carrier: Option<u8>,
    /// Times that the carrier came or went.
    pub carrier_changes: Option<u32>,
    /// Times that it came. (Since Linux 4.16.)
    pub carrier_up: Option<u32>,
    /// Times that it went. (Since Linux 4.16.)
    pub carrier_down: Option<u32>,
    /// Counters; `None` when the kernel sent none or fewer than there have ever been.
    pub stats: Option<Stats>,
    pub(crate) target_netnsid: Option<i32>,
    pub(crate) properties: &'a [u8],
}

impl<'a> Link<'a> {
    /// Reads the body of a `RTM_NEWLINK` message; `None` when it is cut short or has no name.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut link = Self {
            device_type: u16_at(body, 2)?,
            index: u32_at(body, 4)?,
            flags: u32_at(body, 8)?,
            ..Self::default()
        };
        for (kind, payload) in Attributes(body.get(HEADER..)?) {
            let number = || u32_at(payload, 0);
            match kind {
                IFLA_IFNAME => link.name = text(payload),
                IFLA_IFALIAS => link.alias = Some(text(payload)),
                IFLA_ADDRESS => link.address = payload,
                IFLA_BROADCAST => link.broadcast = payload,
                IFLA_OPERSTATE => link.operstate = u8_at(payload, 0).unwrap_or_default(),
                IFLA_LINKMODE => link.link_mode = u8_at(payload, 0).unwrap_or_default(),
                IFLA_MTU => link.mtu = number().unwrap_or_default(),
                IFLA_TXQLEN => link.queue_length = number().unwrap_or_default(),
                IFLA_GROUP => link.group = number().unwrap_or_default(),
                IFLA_PROMISCUITY => link.promiscuity = number().unwrap_or_default(),
                IFLA_ALLMULTI => link.all_multicast = number(),
                IFLA_CARRIER => link.carrier = u8_at(payload, 0),
                IFLA_CARRIER_CHANGES => link.carrier_changes = number(),
                IFLA_CARRIER_UP_COUNT => link.carrier_up = number(),
                IFLA_CARRIER_DOWN_COUNT => link.carrier_down = number(),
                IFLA_LINK => link.link = number(),
                IFLA_LINK_NETNSID => link.link_netnsid = i32_at(payload, 0),
                IFLA_TARGET_NETNSID => link.target_netnsid = i32_at(payload, 0),
                IFLA_STATS64 => link.stats = Stats::parse(payload),
                IFLA_PROP_LIST => link.properties = payload,
                IFLA_LINKINFO => link.kind = Attributes(payload).payload(IFLA_INFO_KIND).map(text),
                _ => {}
            }
        }
        (!link.name.is_empty()).then_some(link)
    }

    /// Further names that an administrator gave.
    pub fn other_names(&self) -> impl Iterator<Item = &'a [u8]> {
        Attributes(self.properties).filter(|(kind, _)| *kind == IFLA_ALT_IFNAME).map(|(_, name)| text(name))
    }

    /// For a veth that [`Links::dump_namespace`](super::Links::dump_namespace) found: what its other end is known by.
    pub fn inner_veth(&self) -> Option<InnerVeth> {
        let is_veth = self.kind == Some(b"veth");
        let (index, outer, netnsid) = (self.index, self.link?, self.target_netnsid?);
        is_veth.then_some(InnerVeth { index, outer, netnsid })
    }

    /// Whether this link of our own namespace is the other end of `inner`. Both ends must name each other: an
    /// index alone may belong to an unrelated link.
    pub fn is_peer_of(&self, inner: &InnerVeth) -> bool {
        self.kind == Some(b"veth")
            && self.index == inner.outer
            && self.link == Some(inner.index)
            && self.link_netnsid == Some(inner.netnsid)
    }
}

/// A veth in another network namespace. Namespace numbers are used again after a namespace dies, so keep this
/// no longer than the container it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InnerVeth {
    /// Its index within its namespace.
    pub index: u32,
    /// Index of its other end, in whatever namespace that one is.
    pub outer: u32,
    /// Our number for its namespace.
    pub netnsid: i32,
}

/// The kernel's `struct rtnl_link_stats64`: counts since the interface was made. Bytes and packets are what
/// the names say; the rest are counts of frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the kernel's own")]
pub struct Stats {
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
    pub multicast: u64,
    pub collisions: u64,
    pub rx_length_errors: u64,
    pub rx_over_errors: u64,
    pub rx_crc_errors: u64,
    pub rx_frame_errors: u64,
    pub rx_fifo_errors: u64,
    pub rx_missed_errors: u64,
    pub tx_aborted_errors: u64,
    pub tx_carrier_errors: u64,
    pub tx_fifo_errors: u64,
    pub tx_heartbeat_errors: u64,
    pub tx_window_errors: u64,
    pub rx_compressed: u64,
    pub tx_compressed: u64,
    /// Since Linux 4.6.
    pub rx_nohandler: Option<u64>,
    /// Since Linux 5.19.
    pub rx_otherhost_dropped: Option<u64>,
}

impl Stats {
    fn parse(payload: &[u8]) -> Option<Self> {
        let mut fields =
            payload.chunks_exact(8).map_while(|field| Some(u64::from_ne_bytes(field.try_into().ok()?)));
        // The order of the fields below is the order in the kernel's structure.
        Some(Self {
            rx_packets: fields.next()?,
            tx_packets: fields.next()?,
            rx_bytes: fields.next()?,
            tx_bytes: fields.next()?,
            rx_errors: fields.next()?,
            tx_errors: fields.next()?,
            rx_dropped: fields.next()?,
            tx_dropped: fields.next()?,
            multicast: fields.next()?,
            collisions: fields.next()?,
            rx_length_errors: fields.next()?,
            rx_over_errors: fields.next()?,
            rx_crc_errors: fields.next()?,
            rx_frame_errors: fields.next()?,
            rx_fifo_errors: fields.next()?,
            rx_missed_errors: fields.next()?,
            tx_aborted_errors: fields.next()?,
            tx_carrier_errors: fields.next()?,
            tx_fifo_errors: fields.next()?,
            tx_heartbeat_errors: fields.next()?,
            tx_window_errors: fields.next()?,
            rx_compressed: fields.next()?,
            tx_compressed: fields.next()?,
            rx_nohandler: fields.next(),
            rx_otherhost_dropped: fields.next(),
        })
    }
}

/// The namespace number in the body of a `RTM_NEWNSID` message; negative when none is assigned.
pub(super) fn parse_nsid(body: &[u8]) -> Option<i32> {
    i32_at(Attributes(body.get(4..)?).payload(NETNSA_NSID)?, 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::netlink::recorded::{attr, garble};

    fn veth(stats_fields: u64) -> Vec<u8> {
        let mut body = vec![0, 0, 1, 0];
        body.extend_from_slice(&7u32.to_ne_bytes());
        body.extend_from_slice(&0x1_0043u32.to_ne_bytes());
        body.extend_from_slice(&[0; 4]);
        body.extend(attr(IFLA_IFNAME, b"veth12\0"));
        body.extend(attr(IFLA_ADDRESS, &[2, 0, 0, 0, 0, 0xff]));
        body.extend(attr(IFLA_OPERSTATE, &[6]));
        body.extend(attr(IFLA_MTU, &1500u32.to_ne_bytes()));
        body.extend(attr(IFLA_CARRIER_CHANGES, &u32::MAX.to_ne_bytes()));
        body.extend(attr(IFLA_LINK, &2u32.to_ne_bytes()));
        body.extend(attr(IFLA_LINK_NETNSID, &5i32.to_ne_bytes()));
        body.extend(attr(IFLA_LINKINFO | 0x8000, &attr(IFLA_INFO_KIND, b"veth\0")));
        let names = [attr(IFLA_ALT_IFNAME, b"one\0"), attr(9, b"x"), attr(IFLA_ALT_IFNAME, b"two\0")];
        body.extend(attr(IFLA_PROP_LIST | 0x8000, &names.concat()));
        let stats: Vec<u8> = (1..=stats_fields).flat_map(u64::to_ne_bytes).collect();
        body.extend(attr(IFLA_STATS64, &stats));
        body
    }

    #[test]
    fn a_link_is_read_whole() {
        let body = veth(25);
        let link = Link::parse(&body).unwrap();
        assert_eq!((link.index, link.device_type, link.flags), (7, 1, 0x1_0043));
        assert_eq!((link.name, link.kind), (&b"veth12"[..], Some(&b"veth"[..])));
        assert_eq!((link.link, link.link_netnsid, link.alias), (Some(2), Some(5), None));
        assert_eq!((link.address, link.broadcast), (&[2, 0, 0, 0, 0, 0xff][..], &b""[..]));
        assert_eq!((link.operstate, link.mtu, link.queue_length), (6, 1500, 0));
        assert_eq!((link.carrier, link.carrier_changes), (None, Some(u32::MAX)));
        assert_eq!(link.other_names().collect::<Vec<_>>(), [b"one", b"two"]);
        let stats = link.stats.unwrap();
        assert_eq!((stats.rx_packets, stats.tx_bytes, stats.rx_missed_errors), (1, 4, 16));
        assert_eq!(
            (stats.tx_compressed, stats.rx_nohandler, stats.rx_otherhost_dropped),
            (23, Some(24), Some(25))
        );
    }

    #[test]
    fn fields_an_old_kernel_lacks_are_absent_not_zero() {
        let body = veth(23);
        let stats = Link::parse(&body).unwrap().stats.unwrap();
        assert_eq!((stats.tx_compressed, stats.rx_nohandler, stats.rx_otherhost_dropped), (23, None, None));
        assert_eq!(Link::parse(&veth(22)).unwrap().stats, None);
    }

    #[test]
    fn both_ends_of_a_veth_must_name_each_other() {
        let outer_bytes = veth(0);
        let outer = Link::parse(&outer_bytes).unwrap();
        let inside =
            Link { index: 2, link: Some(7), kind: Some(b"veth"), target_netnsid: Some(5), ..Link::default() };
        let inner = inside.inner_veth().unwrap();
        assert!(outer.is_peer_of(&inner));
        assert!(!outer.is_peer_of(&InnerVeth { netnsid: 4, ..inner }));
        assert!(!outer.is_peer_of(&InnerVeth { outer: 8, ..inner }));
        assert!(!outer.is_peer_of(&InnerVeth { index: 3, ..inner }));
        assert_eq!(Link { kind: Some(b"macvlan"), ..inside }.inner_veth(), None);
        assert_eq!(outer.inner_veth(), None, "a link of our own namespace is nobody's inside");
    }

    #[test]
    fn no_bytes_make_it_panic_or_run_for_ever() {
        garble(&veth(25), |body| {
            assert!(Link::parse(body).is_none_or(|link| link.other_names().count() <= body.len()));
            parse_nsid(body);
        });
    }

    #[test]
    fn a_namespace_number_is_found() {
        let body = [&[0; 4][..], &attr(NETNSA_NSID, &(-1i32).to_ne_bytes())].concat();
        assert_eq!(parse_nsid(&body), Some(-1));
        assert_eq!(parse_nsid(&body[..9]), None);
        assert_eq!(parse_nsid(&[]), None);
    }
}
