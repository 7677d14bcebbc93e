//! `/proc/net/ip_vs` and `/proc/net/ip_vs_stats`: the kernel's load balancer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::text;

/// What clients connect to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Service<'a> {
    /// `TCP`, `UDP`, or `FWM` for a service that is known by a firewall mark.
    pub protocol: &'a [u8],
    /// Its address; none for a firewall mark.
    pub address: Option<IpAddr>,
    /// Its port; 0 for a firewall mark.
    pub port: u16,
    /// The firewall mark, as the kernel writes it; empty for an address.
    pub mark: &'a [u8],
}

/// A server behind a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend<'a> {
    /// The service.
    pub service: Service<'a>,
    /// The server's address.
    pub address: IpAddr,
    /// The server's port.
    pub port: u16,
    /// Its share of new connections.
    pub weight: u64,
    /// Connections in use.
    pub active: u64,
    /// Connections at rest.
    pub inactive: u64,
}

/// Connections, incoming packets, outgoing packets, incoming bytes and outgoing bytes since boot: the third line of
/// `ip_vs_stats`. `None` where that holds anything but five hexadecimal numbers.
pub fn totals(ip_vs_stats: &[u8]) -> Option<[u64; 5]> {
    // Another line has to follow, so that a text cut short in the numbers is noticed.
    let mut lines = ip_vs_stats.split(|&byte| byte == b'\n').skip(2);
    let (line, _) = (lines.next()?, lines.next()?);
    let mut fields = text::fields(line);
    let mut next = || hexadecimal(fields.next()?);
    let totals = [next()?, next()?, next()?, next()?, next()?];
    fields.next().is_none().then_some(totals)
}

/// The backends of all services; `None` for a line that makes no sense.
pub fn backends(ip_vs: &[u8]) -> impl Iterator<Item = Option<Backend<'_>>> {
    let mut service = Service::default();
    text::lines(ip_vs).filter_map(move |line| {
        let mut fields = text::fields(line);
        let (first, second) = (fields.next()?, fields.next()?);
        match first {
            b"TCP" | b"UDP" => {
                let Some((address, port)) = endpoint(second) else { return Some(None) };
                service = Service { protocol: first, address: Some(address), port, mark: b"" };
            }
            b"FWM" => service = Service { protocol: first, address: None, port: 0, mark: second },
            // A heading has an arrow, too, and `RemoteAddress:Port` behind it.
            b"->" if second != b"RemoteAddress:Port" => {
                let [weight, active, inactive] = [fields.nth(1)?, fields.next()?, fields.next()?];
                return Some(backend(service, second, [weight, active, inactive]));
            }
            _ => {}
        }
        None
    })
}

fn backend<'a>(service: Service<'a>, remote: &[u8], numbers: [&[u8]; 3]) -> Option<Backend<'a>> {
    let (address, port) = endpoint(remote)?;
    let [weight, active, inactive] = numbers.map(text::whole);
    Some(Backend { service, address, port, weight: weight?, active: active?, inactive: inactive? })
}

/// `C0A80016:0CEA` and the like; the newer kernels' `[2001:...]:0050` for IPv6 too.
fn endpoint(text: &[u8]) -> Option<(IpAddr, u16)> {
    let at = text.iter().rposition(|&byte| byte == b':')?;
    let (address, port) = text.split_at_checked(at)?;
    let port = u16::try_from(hexadecimal(port.get(1..)?)?).ok()?;
    let bracketed = address.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let address = match (bracketed, address.len()) {
        (Some(address), _) => IpAddr::V6(str::from_utf8(address).ok()?.parse().ok()?),
        (None, 8) => IpAddr::V4(Ipv4Addr::from(u32::try_from(hexadecimal(address)?).ok()?)),
        (None, 32) => {
            let (high, low) = address.split_at_checked(16)?;
            let bits = u128::from(hexadecimal(high)?) << 64 | u128::from(hexadecimal(low)?);
            IpAddr::V6(Ipv6Addr::from(bits))
        }
        _ => return None,
    };
    Some((address, port))
}

/// Hexadecimal digits as a number; `None` for anything else, overflow included.
fn hexadecimal(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0_u64, |value, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        value.checked_mul(16)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_line_has_the_totals() {
        let text = b"   Total Incoming\n   Conns  Packets\n 16AA370 E33656E5        0     51D8C8883AB3                0\n\n";
        assert_eq!(totals(text), Some([23_765_872, 3_811_989_221, 0, 89_991_519_156_915, 0]));
        for bad in [
            &b""[..],
            b"a\nb\n1 2 3 4 5",
            b"a\nb\n1 2 3 4\n",
            b"a\nb\n1 2 3 4 5 6\n",
            b"a\nb\n1 2 3 4 x\n",
            b"a\nb\n1 2 3 4 10000000000000000\n",
            b"a\nb\n\xff\n",
        ] {
            assert_eq!(totals(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn backends_belong_to_the_service_above() {
        let text = b"IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n\
              -> RemoteAddress:Port Forward Weight ActiveConn InActConn\nTCP  C0A80016:0CEA wlc\n\
              -> C0A85216:0CEA      Tunnel  100    248        2\n\
              -> cut short\nFWM  10001000 wlc\n  -> [2001:0db8::1]:0050 Masq 1 2 3\n\
              -> 20010DB8000000000000000000000001:0050 Masq 1 2 3\n";
        let found: Vec<_> = backends(text).map(|backend| backend.expect("parses")).collect();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].service.address, Some(Ipv4Addr::new(192, 168, 0, 22).into()));
        assert_eq!((found[0].port, found[0].weight, found[0].active, found[0].inactive), (3306, 100, 248, 2));
        assert_eq!(found[1].service.mark, b"10001000");
        assert_eq!(found[1], found[2]);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_told() {
        for bad in [
            &b"TCP C0A80016 wlc"[..],
            b"TCP C0A8001G:0CEA wlc",
            b"UDP C0A80016:10CEA wlc",
            b"-> C0A80016: Masq 1 2 3",
            b"-> [::g]:0050 Masq 1 2 3",
            b"-> C0A80016:0050 Masq 1 2 -3",
            b"-> C0A80016:0050 Masq 18446744073709551616 2 3",
            b"-> \xff:0050 Masq 1 2 3",
        ] {
            assert_eq!(backends(bad).next(), Some(None), "{bad:?}");
        }
        for ignored in [&b""[..], b"TCP", b"-> C0A80016:0050 Masq 1 2", b"\xff x"] {
            assert_eq!(backends(ignored).next(), None, "{ignored:?}");
        }
    }
}
