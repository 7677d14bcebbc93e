//! Network interfaces as sysfs or netlink tells of them: state, speed, addresses, numbers.

mod families;
mod files;
mod interface;
mod netlink;
mod print;

use regex::Regex;

use self::{
    families::{ATTRIBUTES, EVERY_FAMILY, INFO, OTHER_NAMES, SPEED, STATISTICS, UP},
    files::Files,
    interface::{Known, float},
    netlink::ByNetlink,
};
use super::netdev::families::DETAILED;
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, pattern},
    metric::Page,
    node::kept::Kept,
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "netclass",
    on_by_default: true,
    summary: "network interfaces: state, speed, addresses, numbers",
    reads: "/sys/class/net, rtnetlink",
    since: "2.6",
    // The kernel's lock on its network configuration may be held for long.
    pace: Pace::MayBlock,
    flags: &[
        Flag {
            name: IGNORED,
            takes: Takes::Text { placeholder: "REGEXP", default: "^$" },
            help: "All network interfaces but these",
        },
        Flag {
            name: INVALID_SPEED,
            takes: Takes::Switch { default: false },
            help: "Leave out a speed below 0, which stands for unknown",
        },
        Flag {
            name: NETLINK,
            takes: Takes::Switch { default: false },
            help: "Give what rtnetlink tells of the interfaces instead of /sys/class/net",
        },
        Flag {
            name: STATS,
            takes: Takes::Switch { default: false },
            help: "Give their counters as well, with collector.netclass.netlink",
        },
    ],
    families: &EVERY_FAMILY,
    build: Netclass::build,
};

const IGNORED: &str = "collector.netclass.ignored-devices";
const NETLINK: &str = "collector.netclass.netlink";
const STATS: &str = "collector.netclass_rtnl.with-stats";
const INVALID_SPEED: &str = "collector.netclass.ignore-invalid-speed";

/// Where the interfaces are read.
enum Source {
    Files(Files),
    Netlink(ByNetlink),
}

struct Netclass {
    source: Source,
    ignored: Option<Regex>,
    with_invalid_speed: bool,
    kept: Kept<Known>,
}

impl Netclass {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let class = context.paths.sysfs.join("class/net");
        Ok(Box::new(Self {
            source: if context.flags.is_on(NETLINK) {
                Source::Netlink(ByNetlink::new(class, context.flags.is_on(STATS)))
            } else {
                Source::Files(Files::new(class))
            },
            ignored: pattern(IGNORED, context.flags.text(IGNORED))?,
            with_invalid_speed: !context.flags.is_on(INVALID_SPEED),
            kept: Kept::default(),
        }))
    }
}

impl Collector for Netclass {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let ignored = self.ignored.as_ref();
        match &mut self.source {
            Source::Files(files) => files.read(ignored, &mut self.kept)?,
            Source::Netlink(netlink) => netlink.read(ignored, &mut self.kept)?,
        }
        self.write(page);
        Ok(())
    }
}

impl Netclass {
    fn write(&self, page: &mut Page) {
        let interfaces = || self.kept.items().filter_map(|known| known.interface.as_ref());
        let mut samples = page.family(&INFO);
        for interface in interfaces() {
            samples.sample(&interface.info, 1_u64);
        }
        let mut samples = page.family(&OTHER_NAMES);
        for labels in interfaces().flat_map(|interface| &interface.other_names) {
            samples.sample(labels, 1_u64);
        }
        let mut samples = page.family(&UP);
        for interface in interfaces() {
            samples.sample(&interface.device, interface.is_up);
        }
        let mut samples = page.family(&SPEED);
        for interface in interfaces() {
            if let Some(speed) = interface.speed.filter(|speed| *speed >= 0.0 || self.with_invalid_speed) {
                samples.sample(&interface.device, speed);
            }
        }
        for (index, (_, family)) in ATTRIBUTES.iter().enumerate() {
            let mut samples = page.family(family);
            for interface in interfaces() {
                if let Some(number) = interface.numbers.get(index).copied().flatten() {
                    samples.sample(&interface.device, float(number));
                }
            }
        }
        for (family, (_, number)) in STATISTICS.iter().zip(DETAILED) {
            let mut samples = page.family(family);
            for interface in interfaces() {
                if let Some(number) = interface.stats.as_ref().and_then(number) {
                    samples.sample(&interface.device, number);
                }
            }
        }
    }
}
