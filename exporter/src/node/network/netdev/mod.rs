//! Bytes, packets, drops and errors of network interfaces.

pub(super) mod families;

use std::{net::IpAddr, path::PathBuf};

use self::families::{COUNTERS, Column, DETAILED, DETAILED_FILE, FOLDED};
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, Filter, FilterFlags},
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::{
        address::{Address, addresses},
        file::{KeptFile, Serves},
        netdev::interfaces,
        netlink::{Links, Stats},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "netdev",
    on_by_default: true,
    summary: "bytes, packets, drops and errors of network interfaces",
    reads: "rtnetlink, or /proc/net/dev",
    since: "2.6.35",
    // The kernel's lock on its network configuration may be held for long.
    pace: Pace::MayBlock,
    flags: &[
        Flag {
            name: FILTER.include,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Only these network interfaces",
        },
        Flag {
            name: FILTER.exclude,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "All network interfaces but these",
        },
        Flag {
            name: OLD_INCLUDE,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Old name of device-include",
        },
        Flag {
            name: OLD_EXCLUDE,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Old name of device-exclude",
        },
        Flag {
            name: NETLINK,
            takes: Takes::Switch { default: true },
            help: "Read rtnetlink; /proc/net/dev otherwise",
        },
        Flag {
            name: DETAIL,
            takes: Takes::Switch { default: false },
            help: "Give the kernel's own counters and names instead of the sums of /proc/net/dev",
        },
        Flag {
            name: ALIAS,
            takes: Takes::Switch { default: false },
            help: "Add the interface's alias as label ifalias",
        },
        Flag {
            name: ADDRESSES,
            takes: Takes::Switch { default: false },
            help: "Give the addresses of the interfaces",
        },
    ],
    families: &EVERY_FAMILY,
    build: Netdev::build,
};

const OLD_INCLUDE: &str = "collector.netdev.device-whitelist";
const OLD_EXCLUDE: &str = "collector.netdev.device-blacklist";
const NETLINK: &str = "collector.netdev.netlink";
const DETAIL: &str = "collector.netdev.enable-detailed-metrics";
const ALIAS: &str = "collector.netdev.label-ifalias";
const ADDRESSES: &str = "collector.netdev.address-info";
const FILTER: FilterFlags = FilterFlags {
    include: "collector.netdev.device-include",
    exclude: "collector.netdev.device-exclude",
    old_include: Some(OLD_INCLUDE),
    old_exclude: Some(OLD_EXCLUDE),
};

static ADDRESS_INFO: Family = Family::gauge(
    "node_network_address_info",
    "1, with an address of the interface, its prefix and its scope.",
);

static EVERY_FAMILY: [&Family; 35] = {
    let mut all = [&ADDRESS_INFO; 35];
    let mut index = 0;
    while index < COUNTERS.len() {
        all[index] = COUNTERS[index];
        index += 1;
    }
    all
};

enum Source {
    Netlink(Links),
    File(KeptFile),
}

/// What is kept of an interface, and its counters of this scrape.
struct Device {
    labels: Labels,
    /// The alias that the labels were made with; `None` unless aliases are asked for.
    alias: Option<Vec<u8>>,
    stats: Stats,
}

struct Netdev {
    source: Source,
    columns: &'static [Column],
    filter: Filter,
    /// Where aliases are read if they are asked for and netlink does not bring them.
    with_alias: bool,
    class: PathBuf,
    addresses: Option<Vec<(Address, Labels)>>,
    /// `None` for an interface that is filtered out.
    devices: Kept<Option<Device>>,
}

impl Netdev {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let flags = context.flags;
        let by_netlink = flags.is_on(NETLINK);
        let file = || KeptFile::new(context.paths.procfs.join("net/dev"), Serves::Rows);
        Ok(Box::new(Self {
            source: if by_netlink { Source::Netlink(Links::new()) } else { Source::File(file()) },
            columns: match (flags.is_on(DETAIL), by_netlink) {
                (false, _) => FOLDED,
                (true, true) => DETAILED,
                (true, false) => DETAILED_FILE,
            },
            filter: Filter::from_flags(flags, &FILTER)?,
            with_alias: flags.is_on(ALIAS),
            class: context.paths.sysfs.join("class/net"),
            addresses: flags.is_on(ADDRESSES).then(Vec::new),
            devices: Kept::default(),
        }))
    }

    fn read(&mut self) -> Result<(), Failure> {
        let Self { source, filter, with_alias, class, devices, .. } = self;
        devices.begin();
        let mut take = |name: &[u8], alias: Option<&[u8]>, stats| {
            let keep = || filter.keeps(&String::from_utf8_lossy(name)).then(|| Device::new(name));
            if let Some(Some(device)) = devices.meet(name, keep) {
                device.stats = stats;
                device.name_with(name, alias);
            }
        };
        match source {
            Source::Netlink(links) => {
                for link in links.dump()? {
                    let alias = with_alias.then(|| link.alias.unwrap_or_default());
                    // A link without counters is not one of the old names' file either.
                    if let Some(stats) = link.stats {
                        take(link.name, alias, stats);
                    }
                }
            }
            Source::File(file) => {
                let text = file.read()?;
                for (name, stats) in interfaces(text) {
                    let alias = with_alias.then(|| read_alias(class, name));
                    take(name, alias.as_deref(), stats);
                }
                // Its two lines of headings are always there.
                if text.is_empty() {
                    return Err(Failure::unreadable(file.path(), "the interfaces"));
                }
            }
        }
        devices.end();
        Ok(())
    }

    fn write_addresses(&mut self, page: &mut Page) -> Result<(), Failure> {
        let Some(known) = &mut self.addresses else { return Ok(()) };
        let mut found = addresses().map_err(|error| Failure::Broken(format!("getifaddrs: {error}")))?;
        found.retain(|address| self.filter.keeps(&String::from_utf8_lossy(&address.device)));
        found.sort_unstable();
        found.dedup();
        if !known.iter().map(|(address, _)| address).eq(&found) {
            *known = found.into_iter().map(|address| (address.clone(), address_labels(&address))).collect();
        }
        let mut samples = page.family(&ADDRESS_INFO);
        for (_, labels) in known {
            samples.sample(labels, 1_u64);
        }
        Ok(())
    }
}

impl Device {
    fn new(name: &[u8]) -> Self {
        Self { labels: Labels::new([("device", name)]), alias: None, stats: Stats::default() }
    }

    fn name_with(&mut self, name: &[u8], alias: Option<&[u8]>) {
        if self.alias.as_deref() != alias {
            self.alias = alias.map(<[u8]>::to_vec);
            self.labels = Labels::new([("device", name)]);
            if let Some(alias) = alias {
                self.labels.push("ifalias", alias);
            }
        }
    }
}

fn read_alias(class: &std::path::Path, name: &[u8]) -> Vec<u8> {
    let path = class.join(String::from_utf8_lossy(name).as_ref()).join("ifalias");
    std::fs::read(path).unwrap_or_default().trim_ascii_end().to_vec()
}

fn address_labels(address: &Address) -> Labels {
    Labels::new([
        ("address", address.address.to_string().as_bytes()),
        ("device", &address.device),
        ("netmask", address.prefix.to_string().as_bytes()),
        ("scope", scope(address.address).as_bytes()),
    ])
}

/// The reference's words: the loopback counts as link-local, private networks as global.
fn scope(address: IpAddr) -> &'static str {
    let (local, interface_local, global) = match address {
        IpAddr::V4(v4) => (
            v4.is_loopback() || v4.is_link_local() || v4.octets().starts_with(&[224, 0, 0]),
            false,
            !(v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast()),
        ),
        IpAddr::V6(v6) => (
            v6.is_loopback() || v6.is_unicast_link_local() || v6.segments()[0] & 0xff0f == 0xff02,
            v6.segments()[0] & 0xff0f == 0xff01,
            !(v6.is_unspecified() || v6.is_multicast()),
        ),
    };
    match (local, interface_local, global) {
        (true, ..) => "link-local",
        (_, true, _) => "interface-local",
        (_, _, true) => "global",
        _ => "",
    }
}

impl Collector for Netdev {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.read()?;
        for (family, number) in self.columns {
            let mut samples = page.family(family);
            for device in self.devices.items().flatten() {
                if let Some(number) = number(&device.stats) {
                    samples.sample(&device.labels, number);
                }
            }
        }
        self.write_addresses(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_have_the_reference_s_words() {
        for (address, expected) in [
            ("127.0.0.1", "link-local"),
            ("169.254.1.1", "link-local"),
            ("10.1.2.3", "global"),
            ("8.8.8.8", "global"),
            ("0.0.0.0", ""),
            ("::1", "link-local"),
            ("fe80::1", "link-local"),
            ("fd00::1", "global"),
            ("2001:db8::1", "global"),
            ("ff01::1", "interface-local"),
            ("::", ""),
        ] {
            assert_eq!(scope(address.parse().expect(address)), expected, "{address}");
        }
    }

    #[test]
    fn a_new_alias_makes_new_labels() {
        let mut device = Device::new(b"eth0");
        device.name_with(b"eth0", None);
        assert_eq!(device.labels.text(), br#"device="eth0""#);
        device.name_with(b"eth0", Some(b"up \"1\""));
        assert_eq!(device.labels.text(), br#"device="eth0",ifalias="up \"1\"""#);
        device.name_with(b"eth0", Some(b""));
        assert_eq!(device.labels.text(), br#"device="eth0",ifalias="""#);
    }
}
