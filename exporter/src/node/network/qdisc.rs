//! Queueing disciplines: what has left through them, what they dropped, what they hold.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, Filter, FilterFlags},
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::netlink::{LinkNames, QdiscCounts, Qdiscs},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "qdisc",
    on_by_default: false,
    summary: "queueing disciplines at the root of network interfaces: sent, dropped, queued",
    reads: "rtnetlink",
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
            name: OLD_INCLUDE,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Old name of device-include",
        },
        Flag {
            name: OLD_EXCLUDE,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Old name of device-exclude",
        },
    ],
    families: &EVERY_FAMILY,
    build: Qdisc::build,
};

const OLD_INCLUDE: &str = "collector.qdisk.device-include";
const OLD_EXCLUDE: &str = "collector.qdisk.device-exclude";
const FILTER: FilterFlags = FilterFlags {
    include: "collector.qdisc.device-include",
    exclude: "collector.qdisc.device-exclude",
    old_include: Some(OLD_INCLUDE),
    old_exclude: Some(OLD_EXCLUDE),
};

static FAMILIES: [Family; 7] = [
    Family::gauge("node_qdisc_backlog", "Bytes that wait in the queue."),
    Family::counter("node_qdisc_bytes_total", "Bytes sent through the queue."),
    Family::gauge("node_qdisc_current_queue_length", "Packets that wait in the queue."),
    Family::counter("node_qdisc_drops_total", "Packets that the queue dropped."),
    Family::counter("node_qdisc_overlimits_total", "Packets that a limit of the queue held back."),
    Family::counter("node_qdisc_packets_total", "Packets sent through the queue."),
    Family::counter(
        "node_qdisc_requeues_total",
        "Packets that were put back into the queue, since the device did not take them.",
    ),
];
static EVERY_FAMILY: [&Family; 7] = Family::each(&FAMILIES);

/// The figures, in the order of [`FAMILIES`].
static COLUMNS: [fn(&QdiscCounts) -> u64; 7] = [
    |counts| counts.queued_bytes.into(),
    |counts| counts.bytes,
    |counts| counts.queued_packets.into(),
    |counts| counts.drops.into(),
    |counts| counts.overlimits.into(),
    |counts| counts.packets,
    |counts| counts.requeues.into(),
];

/// What is kept of an interface, and the counts of this scrape.
struct Device {
    kind: Vec<u8>,
    labels: Labels,
    counts: QdiscCounts,
}

struct Qdisc {
    reader: Qdiscs,
    names: LinkNames,
    filter: Filter,
    /// `None` for an interface that is filtered out.
    devices: Kept<Option<Device>>,
}

impl Qdisc {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let filter = Filter::from_flags(context.flags, &FILTER)?;
        let (reader, names, devices) = (Qdiscs::default(), LinkNames::default(), Kept::default());
        Ok(Box::new(Self { reader, names, filter, devices }))
    }

    fn read(&mut self) -> Result<(), Failure> {
        let Self { reader, names, filter, devices } = self;
        let roots = reader.roots()?;
        names.refresh()?;
        devices.begin();
        for root in roots {
            // Without a name the interface has gone meanwhile.
            let Some(name) = names.get(root.index) else { continue };
            let keep = || filter.keeps(&String::from_utf8_lossy(name)).then(|| Device::new(name, &root.kind));
            if let Some(Some(device)) = devices.meet(name, keep) {
                if device.kind != root.kind {
                    *device = Device::new(name, &root.kind);
                }
                device.counts = root.counts;
            }
        }
        devices.end();
        Ok(())
    }
}

impl Collector for Qdisc {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.read()?;
        for (family, number) in FAMILIES.iter().zip(COLUMNS) {
            let mut samples = page.family(family);
            for device in self.devices.items().flatten() {
                samples.sample(&device.labels, number(&device.counts));
            }
        }
        Ok(())
    }
}

impl Device {
    fn new(name: &[u8], kind: &[u8]) -> Self {
        let labels = Labels::new([("device", name), ("kind", kind)]);
        Self { kind: kind.to_vec(), labels, counts: QdiscCounts::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_figure() {
        let counts = QdiscCounts {
            bytes: 1,
            packets: 2,
            drops: 3,
            requeues: 4,
            overlimits: 5,
            queued_packets: 6,
            queued_bytes: 7,
        };
        let figures: Vec<_> = FAMILIES
            .iter()
            .zip(COLUMNS)
            .map(|(family, number)| (family.name.trim_start_matches("node_qdisc_"), number(&counts)))
            .collect();
        let wanted = [
            ("backlog", 7),
            ("bytes_total", 1),
            ("current_queue_length", 6),
            ("drops_total", 3),
            ("overlimits_total", 5),
            ("packets_total", 2),
            ("requeues_total", 4),
        ];
        assert_eq!(figures, wanted);
    }
}
