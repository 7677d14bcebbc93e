//! The interfaces as netlink tells them: other labels, other figures here and there, and more of them.

use std::{fmt::Write as _, path::PathBuf};

use regex::Regex;

use super::{
    families::{ADDRESS_FROM, ATTRIBUTES, NUMBERS},
    interface::{Interface, Known, float},
    print::{OneTold, Told},
};
use crate::{
    collector::Failure,
    metric::Labels,
    node::kept::Kept,
    source::{folder::Folder, netlink::LinkBell},
};

/// The words for `IF_OPER_*`.
const STATES: [&str; 7] = ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"];
const UP: u8 = 6;
/// The places of what netlink does not tell, and sysfs does: `addr_assign_type`, `dev_id`, `name_assign_type`.
const IN_FILES: [usize; 3] = [ADDRESS_FROM, 5, 12];

/// A reader of rtnetlink, of ethtool's netlink, and of the few files that tell what neither does.
pub(super) struct ByNetlink {
    class: PathBuf,
    told: Told,
    bell: LinkBell,
    with_stats: bool,
    buffer: Vec<u8>,
}

impl ByNetlink {
    pub fn new(class: PathBuf, with_stats: bool) -> Self {
        Self { class, told: Told::with_modes(), bell: LinkBell::default(), with_stats, buffer: Vec::new() }
    }

    /// The interfaces of our network namespace, less those that are ignored.
    pub fn read(&mut self, ignored: Option<&Regex>, kept: &mut Kept<Known>) -> Result<(), Failure> {
        let has_rung = self.bell.has_rung();
        let told = self.told.all()?;
        kept.begin();
        for one in &told.interfaces {
            let Some(known) = kept.meet(one.link.name, || Known::new(one.link.name, ignored)) else {
                continue;
            };
            if known.is_ignored {
                continue;
            }
            let is_same = known.print == Some(one.print);
            let interface = match &mut known.interface {
                Some(interface) if is_same => interface,
                other => {
                    known.print = Some(one.print);
                    other.insert(interface(one))
                }
            };
            if !is_same || has_rung {
                let path = self.class.join(String::from_utf8_lossy(one.link.name).as_ref());
                // What is told of an old address or name may be known already; what is not told is read again.
                let places = IN_FILES.iter().filter(|place| !is_same || **place == ADDRESS_FROM);
                if let Ok(folder) = Folder::open(path) {
                    places.for_each(|place| interface.read_number(*place, &folder, &mut self.buffer));
                }
            }
            interface.stats = one.link.stats.filter(|_| self.with_stats);
        }
        kept.end();
        Ok(())
    }
}

fn interface(told: &OneTold<'_>) -> Interface {
    let link = &told.link;
    let parent = link.link.filter(|parent| *parent > 0).unwrap_or(link.index);
    let numbers: [(&str, Option<i64>); 13] = [
        ("carrier", link.carrier.map(i64::from)),
        ("carrier_changes", link.carrier_changes.map(i64::from)),
        ("carrier_down_count", link.carrier_down.map(i64::from)),
        ("carrier_up_count", link.carrier_up.map(i64::from)),
        // The reference's, which takes the one for the other.
        ("dormant", Some(link.link_mode.into())),
        ("flags", Some(link.flags.into())),
        ("ifindex", Some(link.index.into())),
        ("iflink", Some(parent.into())),
        ("link_mode", Some(link.link_mode.into())),
        ("mtu", Some(link.mtu.into())),
        ("netdev_group", Some(link.group.into())),
        ("tx_queue_len", Some(link.queue_length.into())),
        ("type", Some(link.device_type.into())),
    ];
    let mut placed = [None; NUMBERS];
    for (place, (file, _)) in placed.iter_mut().zip(&ATTRIBUTES) {
        *place = numbers.iter().find(|(name, _)| name == file).and_then(|(_, number)| *number);
    }
    let state = STATES.get(usize::from(link.operstate)).copied().unwrap_or("unknown");
    let info = Labels::new([
        ("address", hardware_address(link.address).as_bytes()),
        ("broadcast", hardware_address(link.broadcast).as_bytes()),
        ("device", link.name),
        ("duplex", told.mode.map(|mode| duplex(mode.duplex)).unwrap_or_default().as_bytes()),
        ("ifalias", link.alias.unwrap_or_default()),
        ("operstate", state.as_bytes()),
    ]);
    // A speed that the driver does not know is written as the largest there is, as the reference has it.
    let speed = told.mode.map(|mode| float(i64::from(mode.speed) * 1_000_000 / 8));
    let other = |name| Labels::new([("altname", name), ("device", link.name)]);
    Interface {
        device: Labels::new([("device", link.name)]),
        info,
        is_up: link.operstate == UP,
        speed,
        numbers: placed,
        other_names: link.other_names().map(other).collect(),
        ..Interface::default()
    }
}

/// The reference's words.
fn duplex(number: u8) -> String {
    match number {
        0 => "Half".to_owned(),
        1 => "Full".to_owned(),
        255 => "Unknown".to_owned(),
        other => format!("Duplex({other})"),
    }
}

/// The bytes in hexadecimal digits with colons, as sysfs writes them, too.
pub(super) fn hardware_address(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        let colon = if text.is_empty() { "" } else { ":" };
        let _ = write!(text, "{colon}{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::netlink::{Link, LinkMode};

    #[test]
    fn an_interface_is_written_as_the_reference_does() {
        let link = Link {
            index: 4,
            name: b"br0",
            address: &[2, 0, 0, 0, 0, 0xff],
            alias: Some(b"an \"alias\""),
            operstate: 6,
            link: Some(0),
            mtu: 1500,
            flags: 69699,
            ..Link::default()
        };
        let mode = LinkMode { index: 4, speed: u32::MAX, duplex: 255 };
        let one = interface(&OneTold { link, mode: Some(mode), print: 0 });
        assert_eq!(
            String::from_utf8_lossy(one.info.text()),
            r#"address="02:00:00:00:00:ff",broadcast="",device="br0",duplex="Unknown",ifalias="an \"alias\"",operstate="up""#
        );
        assert!(one.is_up);
        assert_eq!(one.speed, Some(536_870_911_875_000.0));
        let numbers: Vec<_> = ATTRIBUTES
            .iter()
            .zip(one.numbers)
            .filter_map(|((file, _), number)| number.map(|number| (*file, number)))
            .filter(|(_, number)| *number != 0)
            .collect();
        assert_eq!(numbers, [("flags", 69699), ("ifindex", 4), ("iflink", 4), ("mtu", 1500)]);
        let plain = interface(&OneTold { link: Link { operstate: 99, ..link }, mode: None, print: 0 });
        assert!(plain.speed.is_none() && !plain.is_up);
        assert!(plain.info.text().ends_with(br#"operstate="unknown""#));
    }

    #[test]
    fn the_files_that_are_read_are_those_meant() {
        let files = IN_FILES.map(|place| ATTRIBUTES[place].0);
        assert_eq!(files, ["addr_assign_type", "dev_id", "name_assign_type"]);
        assert_eq!(duplex(7), "Duplex(7)");
    }
}
