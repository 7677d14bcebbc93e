//! The shape of rtnetlink messages: pure parsing of bytes, with no panic and no trust in any length field.

/// Lengths of the fixed headers, in bytes.
const MESSAGE_HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
const LINK_HEADER: usize = 16;

pub(super) const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
pub(super) const IFLA_STATS64: u16 = 23;
pub(super) const IFLA_EXT_MASK: u16 = 29;
const IFLA_LINK_NETNSID: u16 = 37;
pub(super) const IFLA_TARGET_NETNSID: u16 = 46;
const IFLA_INFO_KIND: u16 = 1;
const NETNSA_NSID: u16 = 1;
pub(super) const NETNSA_PID: u16 = 2;
/// The attribute types carry two flag bits at the top.
const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;

/// The bytes are not a run of netlink messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// One netlink message: its header's fields and the bytes behind the header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub body: &'a [u8],
}

/// The messages of one or more datagrams laid end to end, each starting at a multiple of four.
#[derive(Debug, Clone)]
pub(super) struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let message = split_message(self.0);
        // After a bad length nothing behind it can be placed.
        self.0 = message.map_or(&[], |(_, rest)| rest);
        Some(message.map(|(message, _)| message).ok_or(Malformed))
    }
}

fn split_message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let message = Message {
        kind: u16_at(bytes, 4)?,
        flags: u16_at(bytes, 6)?,
        sequence: u32_at(bytes, 8)?,
        body: bytes.get(MESSAGE_HEADER..length)?,
    };
    Some((message, bytes.get(aligned(length)..).unwrap_or(&[])))
}

/// The attributes in `bytes`, as (type without flag bits, payload); ends at the first one that does not fit.
pub(super) struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & ATTRIBUTE_TYPE_MASK;
        let payload = self.0.get(ATTRIBUTE_HEADER..length)?;
        self.0 = self.0.get(aligned(length)..).unwrap_or(&[]);
        Some((kind, payload))
    }
}

/// One network interface as the kernel tells it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// Counters; `None` when the kernel sent none or fewer than there have ever been.
    pub stats: Option<Stats>,
    pub(super) target_netnsid: Option<i32>,
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
        for (kind, payload) in Attributes(body.get(LINK_HEADER..)?) {
            match kind {
                IFLA_IFNAME => link.name = text(payload),
                IFLA_IFALIAS => link.alias = Some(text(payload)),
                IFLA_LINK => link.link = u32_at(payload, 0),
                IFLA_LINK_NETNSID => link.link_netnsid = i32_at(payload, 0),
                IFLA_TARGET_NETNSID => link.target_netnsid = i32_at(payload, 0),
                IFLA_STATS64 => link.stats = Stats::parse(payload),
                IFLA_LINKINFO => {
                    link.kind = Attributes(payload)
                        .find(|(kind, _)| *kind == IFLA_INFO_KIND)
                        .map(|(_, kind)| text(kind));
                }
                _ => {}
            }
        }
        (!link.name.is_empty()).then_some(link)
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    let (_, payload) = Attributes(body.get(4..)?).find(|(kind, _)| *kind == NETNSA_NSID)?;
    i32_at(payload, 0)
}

/// Appends a request's header with the length left open; `finish` fills it in.
pub(super) fn begin(request: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, body: &[u8]) {
    request.clear();
    request.extend_from_slice(&0u32.to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&flags.to_ne_bytes());
    request.extend_from_slice(&sequence.to_ne_bytes());
    request.extend_from_slice(&0u32.to_ne_bytes());
    request.extend_from_slice(body);
}

/// Appends one attribute of four bytes.
pub(super) fn attribute(request: &mut Vec<u8>, kind: u16, value: [u8; 4]) {
    request.extend_from_slice(&8u16.to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&value);
}

/// Writes the request's length into its header.
pub(super) fn finish(request: &mut [u8]) {
    let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
    if let Some(field) = request.first_chunk_mut::<4>() {
        *field = length.to_ne_bytes();
    }
}

/// The next multiple of four, where the following message or attribute starts.
pub(super) fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn text(payload: &[u8]) -> &[u8] {
    payload.split(|byte| *byte == 0).next().unwrap_or(payload)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn attr(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(payload.len() + 4).unwrap().to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(payload);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    fn veth(stats_fields: u64) -> Vec<u8> {
        let mut body = vec![0, 0, 1, 0];
        body.extend_from_slice(&7u32.to_ne_bytes());
        body.extend_from_slice(&0x1_0043u32.to_ne_bytes());
        body.extend_from_slice(&[0; 4]);
        body.extend(attr(IFLA_IFNAME, b"veth12\0"));
        body.extend(attr(IFLA_LINK, &2u32.to_ne_bytes()));
        body.extend(attr(IFLA_LINK_NETNSID, &5i32.to_ne_bytes()));
        body.extend(attr(IFLA_LINKINFO | 0x8000, &attr(IFLA_INFO_KIND, b"veth\0")));
        let stats: Vec<u8> = (1..=stats_fields).flat_map(u64::to_ne_bytes).collect();
        body.extend(attr(IFLA_STATS64, &stats));
        body
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        begin(&mut bytes, kind, 2, 9, body);
        finish(&mut bytes);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    #[test]
    fn a_link_is_read_whole() {
        let body = veth(25);
        let link = Link::parse(&body).unwrap();
        assert_eq!((link.index, link.device_type, link.flags), (7, 1, 0x1_0043));
        assert_eq!((link.name, link.kind), (&b"veth12"[..], Some(&b"veth"[..])));
        assert_eq!((link.link, link.link_netnsid, link.alias), (Some(2), Some(5), None));
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
    fn a_run_of_messages_ends_at_the_first_bad_length() {
        let mut bytes = message(16, b"abcde");
        bytes.extend(message(3, &[0; 4]));
        let kinds: Vec<_> = Messages(&bytes).map(|message| message.map(|message| message.kind)).collect();
        assert_eq!(kinds, [Ok(16), Ok(3)]);
        for length in [0u32, 15, 1000, u32::MAX] {
            let mut broken = bytes.clone();
            broken[24..28].copy_from_slice(&length.to_ne_bytes());
            let kinds: Vec<_> =
                Messages(&broken).map(|message| message.map(|message| message.kind)).collect();
            assert_eq!(kinds, [Ok(16), Err(Malformed)], "{length}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_run_for_ever() {
        let whole = message(16, &veth(25));
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        for round in 0..20_000usize {
            let mut bytes = whole.get(..round % (whole.len() + 1)).unwrap().to_vec();
            if round > whole.len() {
                for _ in 0..=next() % 8 {
                    let at = usize::try_from(next()).unwrap() % bytes.len().max(1);
                    let value = next().to_le_bytes()[0];
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = value;
                    }
                }
            }
            let messages = Messages(&bytes).map_while(Result::ok).inspect(|message| {
                Link::parse(message.body);
                parse_nsid(message.body);
            });
            assert!(messages.count() <= bytes.len() / MESSAGE_HEADER);
        }
    }

    #[test]
    fn a_namespace_number_is_found() {
        let body = [&[0; 4][..], &attr(NETNSA_NSID, &(-1i32).to_ne_bytes())].concat();
        assert_eq!(parse_nsid(&body), Some(-1));
        assert_eq!(parse_nsid(&body[..9]), None);
        assert_eq!(parse_nsid(&[]), None);
    }
}
