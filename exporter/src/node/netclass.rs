//! Network interfaces as sysfs tells of them: state, speed, addresses, numbers.

use std::path::PathBuf;

use regex::Regex;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, pattern},
    metric::{Family, Labels, Page},
    source::folder::{Folder, names},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "netclass",
    on_by_default: true,
    summary: "network interfaces: state, speed, addresses, numbers",
    reads: "/sys/class/net",
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
    ],
    families: &EVERY_FAMILY,
    build: Netclass::build,
};

const IGNORED: &str = "collector.netclass.ignored-devices";
const INVALID_SPEED: &str = "collector.netclass.ignore-invalid-speed";

static INFO: Family = Family::gauge(
    "node_network_info",
    "1, with what the interface is: addresses, duplex, alias, its state as set and as it is.",
);
static UP: Family = Family::gauge("node_network_up", "1 if the interface's state is up, else 0.");
static SPEED: Family =
    Family::gauge("node_network_speed_bytes", "Speed of the link, in bytes per second; below 0 if unknown.");

const NUMBERS: usize = 16;

/// The files that hold one number each, and their families.
static ATTRIBUTES: [(&str, Family); NUMBERS] = [
    (
        "addr_assign_type",
        Family::gauge("node_network_address_assign_type", "Where the hardware address is from, by number."),
    ),
    ("carrier", Family::gauge("node_network_carrier", "1 if the interface has a link, else 0.")),
    (
        "carrier_changes",
        Family::counter("node_network_carrier_changes_total", "Times that the link came or went."),
    ),
    (
        "carrier_down_count",
        Family::counter("node_network_carrier_down_changes_total", "Times that the link went."),
    ),
    (
        "carrier_up_count",
        Family::counter("node_network_carrier_up_changes_total", "Times that the link came."),
    ),
    (
        "dev_id",
        Family::gauge("node_network_device_id", "Tells interfaces apart that share a hardware address."),
    ),
    ("dormant", Family::gauge("node_network_dormant", "1 if the link waits for something, else 0.")),
    ("flags", Family::gauge("node_network_flags", "Flags of the interface, as one number of bits.")),
    ("ifindex", Family::gauge("node_network_iface_id", "Number of the interface.")),
    (
        "iflink",
        Family::gauge(
            "node_network_iface_link",
            "Number of the interface that this one stands on, or its own.",
        ),
    ),
    ("link_mode", Family::gauge("node_network_iface_link_mode", "Mode of the link, by number.")),
    ("mtu", Family::gauge("node_network_mtu_bytes", "Largest packet, in bytes.")),
    (
        "name_assign_type",
        Family::gauge("node_network_name_assign_type", "Where the name is from, by number."),
    ),
    ("netdev_group", Family::gauge("node_network_net_dev_group", "Group that the interface was put in.")),
    (
        "tx_queue_len",
        Family::gauge("node_network_transmit_queue_length", "Packets that the queue out may hold."),
    ),
    ("type", Family::gauge("node_network_protocol_type", "Kind of hardware, by number.")),
];
/// The place of `flags` in [`ATTRIBUTES`].
const FLAGS: usize = 7;
const IS_UP: i64 = 1;

static EVERY_FAMILY: [&Family; NUMBERS + 3] = {
    let mut all = [&INFO; NUMBERS + 3];
    let mut index = 0;
    while index < NUMBERS {
        all[index] = &ATTRIBUTES[index].1;
        index += 1;
    }
    all[index] = &UP;
    all[index + 1] = &SPEED;
    all
};

/// What is read of one interface.
struct Interface {
    device: Labels,
    info: Labels,
    is_up: bool,
    speed: Option<i64>,
    numbers: [Option<i64>; NUMBERS],
}

struct Netclass {
    class: PathBuf,
    ignored: Option<Regex>,
    with_invalid_speed: bool,
    buffer: Vec<u8>,
}

impl Netclass {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            class: context.paths.sysfs.join("class/net"),
            ignored: pattern(IGNORED, context.flags.text(IGNORED))?,
            with_invalid_speed: !context.flags.is_on(INVALID_SPEED),
            buffer: Vec::new(),
        }))
    }

    /// The interfaces, listed anew each time: they come and go, and only netlink would tell.
    fn interfaces(&mut self) -> Result<Vec<Interface>, Failure> {
        let mut interfaces = Vec::new();
        for name in names(&self.class)? {
            let is_ignored = |ignored: &Regex| ignored.is_match(&name.to_string_lossy());
            if self.ignored.as_ref().is_some_and(is_ignored) {
                continue;
            }
            // `bonding_masters` is a file, and an interface may have gone by now.
            let Ok(folder) = Folder::open(self.class.join(&name)) else { continue };
            interfaces.push(interface(name.as_encoded_bytes(), &folder, &mut self.buffer));
        }
        Ok(interfaces)
    }
}

impl Collector for Netclass {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let interfaces = self.interfaces()?;
        let mut samples = page.family(&INFO);
        for interface in &interfaces {
            samples.sample(&interface.info, 1_u64);
        }
        let mut samples = page.family(&UP);
        for interface in &interfaces {
            samples.sample(&interface.device, interface.is_up);
        }
        let mut samples = page.family(&SPEED);
        for interface in &interfaces {
            if let Some(speed) = interface.speed.filter(|speed| *speed >= 0 || self.with_invalid_speed) {
                samples.sample(&interface.device, float(speed.saturating_mul(1_000_000) / 8));
            }
        }
        for (index, (_, family)) in ATTRIBUTES.iter().enumerate() {
            let mut samples = page.family(family);
            for interface in &interfaces {
                if let Some(number) = interface.numbers.get(index).copied().flatten() {
                    samples.sample(&interface.device, float(number));
                }
            }
        }
        Ok(())
    }
}

/// A file that cannot be read gives no series: many refuse as long as the interface is down.
fn interface(name: &[u8], folder: &Folder, buffer: &mut Vec<u8>) -> Interface {
    let mut read =
        |file: &str| folder.read(file, buffer).map(|text| text.trim_ascii().to_vec()).unwrap_or_default();
    let mut numbers = [None; NUMBERS];
    for (number, (file, _)) in numbers.iter_mut().zip(&ATTRIBUTES) {
        *number = integer(&read(file));
    }
    let state = read("operstate");
    let flags = numbers.get(FLAGS).copied().flatten();
    let set = flags.map_or("unknown", |flags| if flags & IS_UP == 0 { "down" } else { "up" });
    let info = Labels::new([
        ("address", read("address").as_slice()),
        ("adminstate", set.as_bytes()),
        ("broadcast", &read("broadcast")),
        ("device", name),
        ("duplex", &read("duplex")),
        ("ifalias", &read("ifalias")),
        ("operstate", &state),
    ]);
    let speed = integer(&read("speed"));
    Interface { device: Labels::new([("device", name)]), info, is_up: state == b"up", speed, numbers }
}

/// A decimal number or, after `0x`, one of base 16.
fn integer(text: &[u8]) -> Option<i64> {
    let text = str::from_utf8(text).ok()?;
    match text.strip_prefix("0x") {
        Some(digits) if !digits.starts_with(['+', '-']) => i64::from_str_radix(digits, 16).ok(),
        _ => text.parse().ok(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples are floats")]
fn float(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_of_either_base() {
        assert_eq!(integer(b"-1"), Some(-1));
        assert_eq!(integer(b"0x1303"), Some(4867));
        for bad in [&b""[..], b"0x", b"0x-1", b"up", b"1.5", b"\xff", b"9223372036854775808"] {
            assert_eq!(integer(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let path = std::env::temp_dir().join(format!("nodetally-netclass-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("makes");
        for (file, text) in
            [("operstate", "down\n"), ("mtu", "garbage\n"), ("type", "1\n"), ("ifalias", "a \"b\"\n")]
        {
            std::fs::write(path.join(file), text).expect("writes");
        }
        let read = interface(b"eth0", &Folder::open(&path).expect("opens"), &mut Vec::new());
        assert!(!read.is_up && read.speed.is_none());
        assert_eq!(read.numbers.iter().flatten().collect::<Vec<_>>(), [&1]);
        assert_eq!(
            read.info.text(),
            br#"address="",adminstate="unknown",broadcast="",device="eth0",duplex="",ifalias="a \"b\"",operstate="down""#
        );
        std::fs::remove_dir_all(path).expect("removes");
    }

    #[test]
    fn flags_are_where_they_are_looked_for() {
        assert_eq!(ATTRIBUTES[FLAGS].0, "flags");
    }
}
