//! Network drivers: what they are, what their links can do, and their own counters.

mod link;
mod names;
mod table;

#[cfg(feature = "fuzzing")]
pub use names::fuzz as fuzz_names;

use std::{io, path::PathBuf};

use regex::Regex;

use self::{link::Writer, names::families, table::Table};
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, Filter, pattern},
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::{
        ethtool::{self, Driver, Drivers, KernelDrivers, Link},
        folder,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "ethtool",
    on_by_default: false,
    summary: "network drivers: firmware, link modes, the driver's own counters",
    reads: "ioctl(2) for each of /sys/class/net",
    since: "2.6",
    // The kernel's lock on its network configuration may be held for long, and drivers ask their device.
    pace: Pace::MayBlock,
    flags: &[
        Flag {
            name: INCLUDE,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Only these network interfaces",
        },
        Flag {
            name: EXCLUDE,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "All network interfaces but these",
        },
        Flag {
            name: METRICS,
            takes: Takes::Text { placeholder: "REGEXP", default: ".*" },
            help: "Only these of the drivers' counters, by their names with `_` for what no name may hold",
        },
    ],
    families: &EVERY_FAMILY,
    build: Ethtool::build,
};

const INCLUDE: &str = "collector.ethtool.device-include";
const EXCLUDE: &str = "collector.ethtool.device-exclude";
const METRICS: &str = "collector.ethtool.metrics-include";

static INFO: Family = Family::gauge("node_ethtool_info", "1, with what the interface's driver is.");
static COUNTER: Family =
    Family::untyped("node_ethtool_*", "What the network driver counts under this name, in its own unit.");

static EVERY_FAMILY: [&Family; link::FAMILIES.len() + 2] = {
    let mut all = [&COUNTER; link::FAMILIES.len() + 2];
    all[0] = &INFO;
    let mut index = 0;
    while index < link::FAMILIES.len() {
        all[2 + index] = link::FAMILIES[index];
        index += 1;
    }
    all
};

/// What is kept of an interface, and its link of this scrape.
struct Interface {
    name: Vec<u8>,
    device: Labels,
    /// The number and the driver that the rest was made for.
    index: u32,
    driver: Option<Driver>,
    info: Labels,
    /// The family of each counter, once the driver has told its names.
    families: Option<Vec<Option<Box<str>>>>,
    /// The counters of this scrape; none if they could not be read.
    counters: Vec<u64>,
    link: Option<Link>,
}

struct Ethtool<D> {
    class: PathBuf,
    filter: Filter,
    wanted: Option<Regex>,
    drivers: D,
    interfaces: Kept<Interface>,
    table: Table,
    writer: Writer,
}

impl Ethtool<KernelDrivers> {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self::new(context, KernelDrivers::default())?))
    }
}

impl<D: Drivers> Ethtool<D> {
    fn new(context: &Context<'_>, drivers: D) -> Result<Self, ConfigError> {
        let flags = context.flags;
        Ok(Self {
            class: context.paths.sysfs.join("class/net"),
            filter: Filter::from_both(flags, INCLUDE, EXCLUDE)?,
            wanted: pattern(METRICS, flags.text(METRICS))?,
            drivers,
            interfaces: Kept::default(),
            table: Table::default(),
            writer: Writer::new(),
        })
    }

    /// Asks for all interfaces. What a driver does not know, or an interface that has just gone, gives no series.
    fn read(&mut self) -> Result<(), Failure> {
        let names = folder::names(&self.class)?;
        if names.is_empty() {
            return Err(Failure::absent(format!("{}: no network interfaces", self.class.display())));
        }
        self.interfaces.begin();
        let mut learnt = false;
        for name in &names {
            if !self.filter.keeps(&name.to_string_lossy()) {
                continue;
            }
            let name = name.as_encoded_bytes();
            let Some(interface) = self.interfaces.meet(name, || Interface::new(name)) else { continue };
            interface.link = known(name, "link", self.drivers.link(name));
            interface.learn(self.drivers.index(name), known(name, "driver", self.drivers.driver(name)));
            let read = interface.read(&mut self.drivers, self.wanted.as_ref());
            learnt |= known(name, "counters", read) == Some(true);
        }
        if self.interfaces.end() || learnt {
            self.table = Table::new(self.interfaces.items().map(|interface| interface.families.as_deref()));
        }
        Ok(())
    }
}

/// What was answered. Many drivers know little, so this is no failure of the collector.
fn known<T>(interface: &[u8], what: &str, answer: io::Result<T>) -> Option<T> {
    answer
        .inspect_err(|error| {
            if error.raw_os_error() != Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()) {
                tracing::debug!(interface = %interface.escape_ascii(), what, %error, "ethtool");
            }
        })
        .ok()
}

impl Interface {
    fn new(name: &[u8]) -> Self {
        Self {
            name: name.to_vec(),
            device: Labels::new([("device", name)]),
            index: 0,
            driver: None,
            info: Labels::EMPTY,
            families: None,
            counters: Vec::new(),
            link: None,
        }
    }

    /// Forgets what was known of another interface that had this name, or of the driver before a change.
    fn learn(&mut self, index: u32, driver: Option<Driver>) {
        if self.index == index && self.driver == driver {
            return;
        }
        (self.index, self.driver, self.families) = (index, driver, None);
        self.info = driver.map_or(Labels::EMPTY, |driver| {
            Labels::new([
                ("bus_info", driver.bus()),
                ("device", self.name.as_slice()),
                ("driver", driver.name()),
                ("expansion_rom_version", driver.expansion_rom()),
                ("firmware_version", driver.firmware()),
                ("version", driver.version()),
            ])
        });
    }

    /// Reads the counters; tells whether their families have been learnt for it.
    fn read(&mut self, drivers: &mut impl Drivers, wanted: Option<&Regex>) -> io::Result<bool> {
        self.counters.clear();
        let Some(count) = self.driver.map(|driver| driver.counters()).filter(|count| *count > 0) else {
            return Ok(false);
        };
        let is_new = self.families.is_none();
        if is_new {
            let list = drivers.names(&self.name, count)?;
            self.families = Some(families(ethtool::names(&list), wanted));
        }
        // Where they cannot be read the families are learnt again, so that none is missing from the table then.
        match drivers.counters(&self.name, count) {
            Ok(counters) => self.counters.extend_from_slice(counters),
            Err(error) => {
                self.families = None;
                return Err(error);
            }
        }
        Ok(is_new)
    }
}

impl<D: Drivers + Send> Collector for Ethtool<D> {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.read()?;
        let mut samples = page.family(&INFO);
        for interface in self.interfaces.items().filter(|interface| interface.driver.is_some()) {
            samples.sample(&interface.info, 1_u64);
        }
        let links: Vec<_> = self
            .interfaces
            .items()
            .filter_map(|interface| Some((&interface.device, interface.link.as_ref()?)))
            .collect();
        self.writer.write(&links, page);
        let counters: Vec<_> = self
            .interfaces
            .items()
            .map(|interface| (&interface.device, interface.counters.as_slice()))
            .collect();
        self.table.write(&COUNTER, &counters, page);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
