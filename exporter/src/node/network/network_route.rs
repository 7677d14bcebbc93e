//! Routes: where packets go by which interface and router.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::netlink::{LinkNames, Route, Routes},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "network_route",
    on_by_default: false,
    summary: "routes of all tables: destination, interface, router",
    reads: "rtnetlink",
    since: "2.6",
    // The kernel's lock on its network configuration may be held for long.
    pace: Pace::MayBlock,
    flags: &[],
    families: &[&INFO, &ROUTES],
    build: NetworkRoute::build,
};

static INFO: Family = Family::gauge(
    "node_network_route_info",
    "1, with a route: where it leads, by which interface and router, who made it.",
);
static ROUTES: Family = Family::gauge("node_network_routes", "Routes that leave by this interface.");

/// Routes seldom change, so what is written of them is made when they have.
#[derive(Default)]
struct NetworkRoute {
    reader: Routes,
    names: LinkNames,
    routes: Vec<Route>,
    info: Vec<Labels>,
    counts: Vec<(Labels, u64)>,
}

impl NetworkRoute {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(_: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self::default()))
    }

    /// Equal routes of different tables are one series, but count each.
    fn name_routes(&mut self) {
        let name = |index| self.names.get(index).unwrap_or_default();
        self.info = self.routes.iter().map(|route| labels(route, name(route.index))).collect();
        self.info.sort_unstable();
        self.info.dedup();
        let mut counts: BTreeMap<&[u8], u64> = BTreeMap::new();
        for route in &self.routes {
            *counts.entry(name(route.index)).or_default() += 1;
        }
        self.counts =
            counts.into_iter().map(|(name, count)| (Labels::new([("device", name)]), count)).collect();
    }
}

impl Collector for NetworkRoute {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let routes = self.reader.hops()?;
        let have_other_names = self.names.refresh()?;
        if have_other_names || routes != self.routes {
            self.routes = routes;
            self.name_routes();
        }
        let mut samples = page.family(&INFO);
        for labels in &self.info {
            samples.sample(labels, 1_u64);
        }
        let mut samples = page.family(&ROUTES);
        for (labels, count) in &self.counts {
            samples.sample(labels, *count);
        }
        Ok(())
    }
}

fn labels(route: &Route, device: &[u8]) -> Labels {
    let address = |ip: Option<IpAddr>| ip.map(plain).unwrap_or_default();
    let destination =
        route.destination.map_or_else(|| "default".to_owned(), |(ip, bits)| format!("{ip}/{bits}"));
    Labels::new([
        ("dest", destination.as_bytes()),
        ("device", device),
        ("gw", address(route.gateway).as_bytes()),
        ("priority", route.priority.to_string().as_bytes()),
        ("proto", protocol(route.protocol).as_bytes()),
        ("src", address(route.source).as_bytes()),
        ("weight", route.weight.map(|weight| weight.to_string()).unwrap_or_default().as_bytes()),
    ])
}

/// An address; one of IPv4 within IPv6 in the form of IPv4, as the reference has it.
fn plain(ip: IpAddr) -> String {
    let inner = if let IpAddr::V6(v6) = ip { Ipv6Addr::to_ipv4_mapped(&v6) } else { None };
    inner.map_or_else(|| ip.to_string(), |v4| v4.to_string())
}

/// The reference's words for `RTPROT_*`.
fn protocol(number: u8) -> &'static str {
    match number {
        0 => "unspec",
        1 => "redirect",
        2 => "kernel",
        3 => "boot",
        4 => "static",
        8 => "gated",
        9 => "ra",
        10 => "mrt",
        11 => "zebra",
        12 => "bird",
        13 => "dnrouted",
        14 => "xorp",
        15 => "ntk",
        16 => "dhcp",
        17 => "mrouted",
        42 => "babel",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 => "rip",
        192 => "eigrp",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn text(route: &Route) -> String {
        String::from_utf8(labels(route, b"eth0").text().to_vec()).expect("labels are UTF-8")
    }

    const ROUTE: Route = Route {
        index: 2,
        destination: None,
        source: None,
        gateway: None,
        priority: 0,
        protocol: 2,
        weight: None,
    };

    #[test]
    fn what_a_route_lacks_is_empty() {
        assert_eq!(
            text(&ROUTE),
            r#"dest="default",device="eth0",gw="",priority="0",proto="kernel",src="",weight="""#
        );
        let full = Route {
            destination: Some((ip("fd00::"), 64)),
            source: Some(ip("::ffff:10.0.0.1")),
            gateway: Some(ip("fe80::1")),
            priority: u32::MAX,
            protocol: 200,
            weight: Some(256),
            ..ROUTE
        };
        assert_eq!(
            text(&full),
            r#"dest="fd00::/64",device="eth0",gw="fe80::1",priority="4294967295",proto="unknown",src="10.0.0.1",weight="256""#
        );
    }

    #[test]
    fn equal_routes_are_one_series_and_count_twice() {
        let mut collector = NetworkRoute::default();
        collector.names.refresh().expect("lists");
        let other = Route { destination: Some((ip("10.0.0.0"), 8)), index: 1, ..ROUTE };
        collector.routes = vec![other, Route { index: 0, ..ROUTE }, other];
        collector.name_routes();
        assert_eq!(collector.info.len(), 2);
        let counts: Vec<_> = collector.counts.iter().map(|(labels, count)| (labels.text(), *count)).collect();
        assert_eq!(counts, [(&br#"device="""#[..], 1), (br#"device="lo""#, 2)]);
    }
}
