//! PCI devices: what they are, where they are, and how fast their links run.

mod names;

use self::names::Names;
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::ReadError,
        folder::{Folder, optional},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "pcidevice",
    on_by_default: false,
    summary: "PCI devices and the speed of their links",
    reads: "/sys/bus/pci/devices",
    since: "2.6; link speeds 4.13, power states 5.11",
    pace: Pace::MayBlock,
    flags: &[
        Flag {
            name: NAMES,
            takes: Takes::Switch { default: false },
            help: "Give names beside numbers, from the list pci.ids",
        },
        Flag {
            name: IDS_FILE,
            takes: Takes::Text { placeholder: "FILE", default: "" },
            help: "The list of names, if it is not where distributions have it",
        },
    ],
    families: &EVERY_FAMILY,
    build: PciDevices::build,
};

const NAMES: &str = "collector.pcidevice.names";
const IDS_FILE: &str = "collector.pcidevice.idsfile";

static INFO: Family =
    Family::gauge("node_pcidevice_info", "1, with the device's kind, maker, place and parent.");
static POWER_STATE: Family =
    Family::gauge("node_pcidevice_power_state", "1 for the power state that the device is in, else 0.");

/// What is given of every device, and whether it can be missing; in the order of [`Device::values`].
static FAMILIES: [Family; COUNT] = [
    Family::gauge(
        "node_pcidevice_max_link_transfers_per_second",
        "Transfers a second on each lane of the link at its fastest; -1 where there is no link.",
    ),
    Family::gauge("node_pcidevice_max_link_width", "Lanes of the link at most; -1 where there is no link."),
    Family::gauge(
        "node_pcidevice_current_link_transfers_per_second",
        "Transfers a second on each lane of the link now; -1 where there is no link.",
    ),
    Family::gauge("node_pcidevice_current_link_width", "Lanes of the link now; -1 where there is no link."),
    Family::gauge("node_pcidevice_d3cold_allowed", "1 where the device may be cut off from power, else 0."),
    Family::gauge(
        "node_pcidevice_sriov_drivers_autoprobe",
        "1 where drivers take the device's virtual functions by themselves, else 0.",
    ),
    Family::gauge("node_pcidevice_sriov_numvfs", "Virtual functions that are turned on."),
    Family::gauge("node_pcidevice_sriov_totalvfs", "Virtual functions that the device could have."),
    Family::gauge("node_pcidevice_sriov_vf_total_msix", "Interrupts for all virtual functions together."),
    Family::gauge("node_pcidevice_numa_node", "The NUMA node that the device is next to."),
];
const COUNT: usize = 10;

static EVERY_FAMILY: [&Family; COUNT + 2] = Family::all(&[&INFO, &POWER_STATE], &[&FAMILIES]);

const STATES: [&str; 7] = ["D0", "D1", "D2", "D3hot", "D3cold", "unknown", "error"];

struct PciDevices {
    folder: Folder,
    /// `None` when they are not asked for.
    names: Option<Names>,
}

struct Device {
    labels: Labels,
    info: Labels,
    values: [Option<f64>; COUNT],
    power_state: Option<Vec<u8>>,
}

/// `0000:45:00.0` as the text of its four numbers.
struct Place([String; 4]);

impl Place {
    fn parse(name: &str) -> Option<Self> {
        let (bus, function) = name.rsplit_once('.')?;
        let mut parts = bus.split(':');
        let mut number = || hexadecimal(parts.next()?);
        let (segment, bus, device) = (number()?, number()?, number()?);
        let function = hexadecimal(function)?;
        parts.next().is_none().then(|| {
            Self([
                format!("{segment:04x}"),
                format!("{bus:02x}"),
                format!("{device:02x}"),
                format!("{function:x}"),
            ])
        })
    }

    /// `*` where there is none.
    fn unknown() -> Self {
        Self(["*"; 4].map(str::to_owned))
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    text::prefixed(format!("0x{text}").as_bytes()).filter(|number| u32::try_from(*number).is_ok())
}

/// Of a link that is not there, or that the device does not know.
const UNKNOWN: f64 = -1.0;

/// Transfers a second in `8.0 GT/s PCIe`.
fn speed(text: &[u8]) -> Option<f64> {
    if is_unknown(text) {
        return Some(UNKNOWN);
    }
    let number = text.strip_suffix(b" GT/s PCIe")?;
    Some(text::float(number)? * 1e9)
}

fn width(text: &[u8]) -> Option<f64> {
    if is_unknown(text) { Some(UNKNOWN) } else { Some(text::signed(text)? as f64) }
}

fn is_unknown(text: &[u8]) -> bool {
    text.is_empty() || text.starts_with(b"Unknown")
}

/// A whole number, 0 where it is empty.
fn count(text: &[u8]) -> Option<f64> {
    if text.is_empty() { Some(0.0) } else { Some(text::whole(text)? as f64) }
}

/// 1 for any number but 0.
fn switch(text: &[u8]) -> Option<f64> {
    count(text).map(|number| f64::from(u8::from(number > 0.0)))
}

impl PciDevices {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let folder = Folder::new(context.paths.sysfs.join("bus/pci/devices"));
        let names = context.flags.is_on(NAMES).then(|| Names::load(context.flags.text(IDS_FILE)));
        Ok(Box::new(Self { folder, names }))
    }

    fn device(&self, name: &str) -> Result<Device, Failure> {
        let folder = self.folder.folder(name);
        // The link tells the parent, too.
        let target = std::fs::read_link(folder.path())
            .map_err(|error| ReadError { operation: "readlink", path: folder.path().into(), error })
            .map_err(ReadError::or_absent)?;
        let part = |path: &std::path::Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let wanted = || Failure::unreadable(folder.path(), "a link to a place such as 0000:45:00.0");
        let place = part(&target).and_then(|name| Place::parse(&name)).ok_or_else(wanted)?;
        let parent = match target.parent().and_then(part) {
            // The root of a bus is no device.
            Some(parent) if parent.starts_with("pci") => Place::unknown(),
            parent => parent.and_then(|parent| Place::parse(&parent)).ok_or_else(wanted)?,
        };
        self.read(&folder, place, parent).map_err(ReadError::or_absent)
    }

    fn read(&self, folder: &Folder, place: Place, parent: Place) -> Result<Device, ReadError> {
        let number = |file, digits| folder.prefixed(file).map(|number| format!("{number:0digits$x}"));
        let (class, vendor, device) = (number("class", 6)?, number("vendor", 4)?, number("device", 4)?);
        let (by_vendor, by_device) = (number("subsystem_vendor", 4)?, number("subsystem_device", 4)?);
        let revision = number("revision", 2)?;
        let Place([segment, bus, slot, function]) = place;
        let Place([parent_segment, parent_bus, parent_slot, parent_function]) = parent;
        let hex = |number: &str| format!("0x{number}");
        let mut pairs = vec![
            ("bus", bus.clone()),
            ("class_id", hex(&class)),
            ("device", slot.clone()),
            ("device_id", hex(&device)),
            ("function", function.clone()),
            ("parent_bus", parent_bus),
            ("parent_device", parent_slot),
            ("parent_function", parent_function),
            ("parent_segment", parent_segment),
            ("revision", hex(&revision)),
            ("segment", segment.clone()),
            ("subsystem_device_id", hex(&by_device)),
            ("subsystem_vendor_id", hex(&by_vendor)),
            ("vendor_id", hex(&vendor)),
        ];
        if let Some(names) = &self.names {
            pairs.extend([
                ("class_name", names.class(&class)),
                ("device_name", names.device(&vendor, &device)),
                ("subsystem_device_name", names.subsystem(&vendor, &device, &by_vendor, &by_device)),
                ("subsystem_vendor_name", names.vendor(&by_vendor)),
                ("vendor_name", names.vendor(&vendor)),
            ]);
            pairs.sort_unstable();
        }
        Ok(Device {
            labels: Labels::new([
                ("bus", bus),
                ("device", slot),
                ("function", function),
                ("segment", segment),
            ]),
            info: Labels::new(pairs),
            values: values(folder)?,
            power_state: optional(folder.text("power_state"))?.filter(|state| !state.is_empty()),
        })
    }
}

fn values(folder: &Folder) -> Result<[Option<f64>; COUNT], ReadError> {
    let link = |file, wanted, parse: fn(&[u8]) -> Option<f64>| {
        Ok(Some(optional(folder.parsed(file, wanted, parse))?.unwrap_or(UNKNOWN)))
    };
    let number = |file, parse: fn(&[u8]) -> Option<f64>| {
        Ok(Some(optional(folder.parsed(file, "a whole number", parse))?.unwrap_or_default()))
    };
    Ok([
        link("max_link_speed", "a speed such as 8.0 GT/s PCIe", speed)?,
        link("max_link_width", "a number", width)?,
        link("current_link_speed", "a speed such as 8.0 GT/s PCIe", speed)?,
        link("current_link_width", "a number", width)?,
        number("d3cold_allowed", switch)?,
        number("sriov_drivers_autoprobe", switch)?,
        number("sriov_numvfs", count)?,
        number("sriov_totalvfs", count)?,
        number("sriov_vf_total_msix", count)?,
        Some(folder.signed("numa_node")?).filter(|node| *node != -1).map(|node| node as f64),
    ])
}

impl Collector for PciDevices {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let names = self.folder.names().map_err(ReadError::or_absent)?;
        let devices = names.iter().map(|name| self.device(name)).collect::<Result<Vec<_>, _>>()?;
        let mut samples = page.family(&INFO);
        for device in &devices {
            samples.sample(&device.info, 1_u64);
        }
        for (index, family) in FAMILIES.iter().enumerate() {
            let mut samples = page.family(family);
            for device in &devices {
                if let Some(Some(value)) = device.values.get(index) {
                    samples.sample(&device.labels, *value);
                }
            }
        }
        let states = STATES.map(|state| (state, Labels::new([("state", state)])));
        let mut samples = page.family(&POWER_STATE);
        for device in &devices {
            if let Some(now) = &device.power_state {
                for (state, labels) in &states {
                    samples.joined(&device.labels, labels, state.as_bytes() == now);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::node::sysfs_test::Root;

    fn root() -> Root {
        let root = Root::new("pci");
        root.fill(
            "devices/pci0000:00/0000:00:02.1",
            &[
                ("class", "0x060400\n"),
                ("vendor", "0x1022\n"),
                ("device", "0x1634\n"),
                ("subsystem_vendor", "0x17aa\n"),
                ("subsystem_device", "0x5095\n"),
                ("revision", "0x00\n"),
                ("numa_node", "-1\n"),
                ("max_link_speed", "Unknown\n"),
                ("current_link_speed", "2.5 GT/s PCIe\n"),
                ("power_state", "D3hot\n"),
            ],
        );
        root.fill("bus/pci/devices", &[]);
        std::fs::create_dir_all(root.path().join("bus/pci/devices")).expect("makes");
        let link = root.path().join("bus/pci/devices/0000:00:02.1");
        symlink("../../../devices/pci0000:00/0000:00:02.1", link).expect("links");
        root
    }

    #[test]
    fn places_have_four_numbers() {
        assert_eq!(
            Place::parse("10000:e1:1f.7").map(|place| place.0.join(" ")).as_deref(),
            Some("10000 e1 1f 7")
        );
        for bad in [
            "",
            "0000:00:00",
            "0000:00.0",
            "0:0:0:0.0",
            "x:00:00.0",
            "0000:00:00.",
            "100000000:0:0.0",
            "-1:0:0.0",
        ] {
            assert!(Place::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_a_device_lacks_has_its_stand_in() {
        let samples = root().samples(&DESCRIPTOR, &[]).expect("collects");
        let value = |name: &str| {
            let line = samples.iter().find(|line| line.starts_with(&format!("node_pcidevice_{name}{{")));
            line.map(|line| line.rsplit(' ').next().expect("has a value"))
        };
        assert_eq!(value("max_link_transfers_per_second"), Some("-1"));
        assert_eq!(value("max_link_width"), Some("-1"));
        assert_eq!(value("current_link_transfers_per_second"), Some("2.5e+09"));
        assert_eq!(value("sriov_numvfs"), Some("0"));
        assert_eq!(value("numa_node"), None);
        assert!(
            samples[0].contains(r#"parent_bus="*""#) && samples[0].contains(r#"revision="0x00""#),
            "{samples:?}"
        );
        let state =
            r#"node_pcidevice_power_state{bus="00",device="02",function="1",segment="0000",state="D3hot"} 1"#;
        assert!(samples.iter().any(|line| line == state), "{samples:?}");
    }

    #[test]
    fn no_bus_is_no_data_and_nonsense_a_failure() {
        let failure = Root::new("no-pci").samples(&DESCRIPTOR, &[]).expect_err("is missing");
        assert!(matches!(failure, Failure::Absent(_)), "{failure}");
        let root = root();
        for bad in ["8.0", "fast GT/s PCIe", "8.0 MT/s"] {
            root.write("devices/pci0000:00/0000:00:02.1/max_link_speed", bad);
            let failure = root.samples(&DESCRIPTOR, &[]).expect_err(bad).to_string();
            assert!(failure.contains("max_link_speed: expected"), "{failure}");
        }
    }
}
