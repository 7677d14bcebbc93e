//! Neighbours that the kernel has resolved, or tries to, by ARP.

use std::collections::BTreeMap;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, Filter, FilterFlags},
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::{
        file::{KeptFile, Serves},
        netlink::{LinkNames, Neighbours},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "arp",
    on_by_default: true,
    summary: "entries of the ARP table by network interface",
    reads: "rtnetlink, or /proc/net/arp",
    since: "2.6",
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
            name: NETLINK,
            takes: Takes::Switch { default: true },
            help: "Read rtnetlink; /proc/net/arp otherwise, which has a proxy's entries too",
        },
    ],
    families: &[&ENTRIES],
    build: Arp::build,
};

const NETLINK: &str = "collector.arp.netlink";
const FILTER: FilterFlags = FilterFlags {
    include: "collector.arp.device-include",
    exclude: "collector.arp.device-exclude",
    old_include: None,
    old_exclude: None,
};

static ENTRIES: Family = Family::gauge("node_arp_entries", "Entries of the ARP table for this interface.");

enum Source {
    Netlink { neighbours: Neighbours, names: LinkNames },
    File(KeptFile),
}

/// What is kept of an interface, and its entries in this scrape.
struct Device {
    labels: Labels,
    entries: u64,
}

struct Arp {
    source: Source,
    filter: Filter,
    /// `None` for an interface that is filtered out.
    devices: Kept<Option<Device>>,
}

impl Arp {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let source = if context.flags.is_on(NETLINK) {
            Source::Netlink { neighbours: Neighbours::default(), names: LinkNames::default() }
        } else {
            Source::File(KeptFile::new(context.paths.procfs.join("net/arp"), Serves::Records))
        };
        let filter = Filter::from_flags(context.flags, &FILTER)?;
        Ok(Box::new(Self { source, filter, devices: Kept::default() }))
    }
}

impl Collector for Arp {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let Self { source, filter, devices } = self;
        devices.begin();
        let mut meet = |name: &[u8], entries: u64| {
            let keep = || filter.keeps(&String::from_utf8_lossy(name)).then(|| Device::new(name));
            if let Some(Some(device)) = devices.meet(name, keep) {
                device.entries = entries;
            }
        };
        match source {
            Source::Netlink { neighbours, names } => {
                let counts = neighbours.count()?;
                names.refresh()?;
                for (index, entries) in counts {
                    // Without a name the interface has gone meanwhile, and its neighbours with it.
                    if let Some(name) = names.get(index) {
                        meet(name, entries);
                    }
                }
            }
            Source::File(file) => {
                let Some(counts) = by_device(file.read()?) else {
                    return Err(Failure::unreadable(file.path(), "lines of six columns"));
                };
                for (name, entries) in counts {
                    meet(name, entries);
                }
            }
        }
        devices.end();
        let mut samples = page.family(&ENTRIES);
        for device in devices.items().flatten() {
            samples.sample(&device.labels, device.entries);
        }
        Ok(())
    }
}

impl Device {
    fn new(name: &[u8]) -> Self {
        Self { labels: Labels::new([("device", name)]), entries: 0 }
    }
}

/// Lines of `/proc/net/arp` by interface; `None` where one has other columns. The heading has nine.
fn by_device(arp: &[u8]) -> Option<BTreeMap<&[u8], u64>> {
    let mut counts = BTreeMap::new();
    for line in text::lines(arp) {
        let columns = text::fields(line).count();
        if columns == 6 {
            *counts.entry(text::fields(line).last()?).or_default() += 1;
        } else if columns != 9 && columns != 0 {
            return None;
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "IP address       HW type     Flags       HW address            Mask     Device\n";

    fn counts(lines: &str) -> Option<Vec<(String, u64)>> {
        let text = format!("{HEAD}{lines}");
        let counts = by_device(text.as_bytes())?;
        Some(counts.into_iter().map(|(name, count)| (String::from_utf8_lossy(name).into(), count)).collect())
    }

    #[test]
    fn lines_are_counted_by_interface() {
        let line = |device| format!("10.1.0.44  0x1  0x0  00:00:00:00:00:00     *        {device}\n");
        let lines = [line("va"), line("eth0"), "\n".to_owned(), line("va")].concat();
        assert_eq!(counts(&lines), Some(vec![("eth0".to_owned(), 1), ("va".to_owned(), 2)]));
        assert_eq!(counts(""), Some(Vec::new()));
        assert_eq!(by_device(b""), Some(BTreeMap::new()));
        assert_eq!(by_device(b"1 2 3 4 5 \xff\n").map(|counts| counts.len()), Some(1));
    }

    #[test]
    fn lines_that_make_no_sense_are_failures() {
        for bad in ["10.1.0.44 0x1 0x0 00:00:00:00:00:00 *", "x", "1 2 3 4 5 6 7"] {
            assert_eq!(counts(bad), None, "{bad}");
        }
    }
}
