//! Network interfaces as sysfs tells of them: state, speed, addresses, numbers.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, pattern},
    metric::{Family, Labels, Page},
    source::devices::{Device, Devices},
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
/// The files of the info's labels.
const TEXTS: [&str; 5] = ["address", "broadcast", "duplex", "ifalias", "operstate"];
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
#[derive(Debug, Default)]
struct Interface {
    device: Labels,
    info: Labels,
    /// What the info's labels were made of.
    info_text: Vec<u8>,
    is_up: bool,
    speed: Option<i64>,
    numbers: [Option<i64>; NUMBERS],
}

struct Netclass {
    interfaces: Devices<Interface>,
    with_invalid_speed: bool,
}

impl Netclass {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let ignored = pattern(IGNORED, context.flags.text(IGNORED))?;
        let is_wanted = move |name: &[u8]| {
            !ignored.as_ref().is_some_and(|ignored| ignored.is_match(&String::from_utf8_lossy(name)))
        };
        let class = context.paths.sysfs.join("class/net");
        Ok(Box::new(Self {
            interfaces: Devices::new(class, "", NUMBERS + TEXTS.len() + 1, is_wanted),
            with_invalid_speed: !context.flags.is_on(INVALID_SPEED),
        }))
    }
}

impl Collector for Netclass {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        match self.interfaces.list() {
            Ok(interfaces) => interfaces.for_each(|(name, device)| read(name, device)),
            // A machine without a network.
            Err(error) if error.is_gone() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let interfaces = || self.interfaces.kept();
        let mut samples = page.family(&INFO);
        for interface in interfaces() {
            samples.sample(&interface.info, 1_u64);
        }
        let mut samples = page.family(&UP);
        for interface in interfaces() {
            samples.sample(&interface.device, interface.is_up);
        }
        let mut samples = page.family(&SPEED);
        for interface in interfaces() {
            if let Some(speed) = interface.speed.filter(|speed| *speed >= 0 || self.with_invalid_speed) {
                samples.sample(&interface.device, float(speed.saturating_mul(1_000_000) / 8));
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
        Ok(())
    }
}

/// A file that cannot be read gives no series: many refuse as long as the interface is down.
fn read(name: &[u8], device: &mut Device<Interface>) {
    let mut buffer = [0; 4096];
    let mut numbers = [None; NUMBERS];
    for (place, (number, (file, _))) in numbers.iter_mut().zip(&ATTRIBUTES).enumerate() {
        *number = device.read(place, file, &mut buffer).ok().and_then(integer);
    }
    device.kept.speed = device.read(NUMBERS + TEXTS.len(), "speed", &mut buffer).ok().and_then(integer);
    let flags = numbers.get(FLAGS).copied().flatten();
    let set = flags.map_or("unknown", |flags| if flags & IS_UP == 0 { "down" } else { "up" });
    // The kernel ends a text with NUL, so none holds one.
    let mut texts = std::mem::take(&mut device.kept.info_text);
    let before = texts.len();
    texts.extend_from_slice(set.as_bytes());
    for (place, file) in TEXTS.iter().enumerate() {
        texts.push(0);
        texts.extend_from_slice(device.read(NUMBERS + place, file, &mut buffer).unwrap_or_default());
    }
    device.kept.numbers = numbers;
    device.kept.learn(name, texts, before);
}

impl Interface {
    /// Makes the labels anew where the texts, `before` bytes of old ones ahead of them, are not those of before.
    fn learn(&mut self, name: &[u8], mut texts: Vec<u8>, before: usize) {
        let is_same = texts.get(..before) == texts.get(before..) && before > 0;
        texts.drain(..before);
        if !is_same {
            let mut parts = texts.split(|&byte| byte == 0);
            let mut next = || parts.next().unwrap_or_default();
            let (set, address, broadcast, duplex, alias, state) =
                (next(), next(), next(), next(), next(), next());
            self.is_up = state == b"up";
            self.device = Labels::new([("device", name)]);
            self.info = Labels::new([
                ("address", address),
                ("adminstate", set),
                ("broadcast", broadcast),
                ("device", name),
                ("duplex", duplex),
                ("ifalias", alias),
                ("operstate", state),
            ]);
        }
        self.info_text = texts;
    }
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
    use crate::node::sysfs_test::Root;

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
        let root = Root::new("netclass");
        root.fill(
            "class/net/eth0",
            &[("operstate", "down\n"), ("mtu", "garbage\n"), ("type", "1\n"), ("ifalias", "a \"b\"\n")],
        );
        root.write("class/net/bonding_masters", "");
        assert_eq!(
            root.samples(&DESCRIPTOR, &[]).expect("collects"),
            [
                r#"node_network_info{address="",adminstate="unknown",broadcast="",device="eth0",duplex="",ifalias="a \"b\"",operstate="down"} 1"#,
                r#"node_network_up{device="eth0"} 0"#,
                r#"node_network_protocol_type{device="eth0"} 1"#,
            ]
        );
        assert!(Root::new("netless").samples(&DESCRIPTOR, &[]).expect("collects").is_empty());
    }

    #[test]
    fn labels_follow_the_files() {
        let mut interface = Interface::default();
        let texts = |state: &str| format!("up\0\0\0full\0an alias\0{state}");
        let info = |interface: &Interface| String::from_utf8_lossy(interface.info.text()).into_owned();
        interface.learn(b"eth0", texts("up").into(), 0);
        assert!(interface.is_up && info(&interface).contains("duplex=\"full\""), "{interface:?}");
        for (state, is_up) in [("down", false), ("down", false), ("up", true)] {
            let mut both = std::mem::take(&mut interface.info_text);
            let before = both.len();
            both.extend_from_slice(texts(state).as_bytes());
            interface.learn(b"eth0", both, before);
            assert_eq!(interface.is_up, is_up);
            assert!(info(&interface).ends_with(&format!("ifalias=\"an alias\",operstate=\"{state}\"")));
            assert_eq!(interface.info_text, texts(state).as_bytes());
        }
    }

    #[test]
    fn flags_are_where_they_are_looked_for() {
        assert_eq!(ATTRIBUTES[FLAGS].0, "flags");
    }
}
