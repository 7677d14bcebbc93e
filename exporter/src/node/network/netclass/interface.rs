//! What is known of an interface, and how its files tell it.

use std::path::Path;

use regex::Regex;

use super::families::{ATTRIBUTES, FLAGS, NUMBERS};
use crate::{
    metric::Labels,
    source::{
        folder::{Attribute, Folder},
        netlink::Stats,
    },
};

const IS_UP: i64 = 1;

/// What is written of one interface.
#[derive(Debug, Default)]
pub(super) struct Interface {
    pub device: Labels,
    pub info: Labels,
    pub is_up: bool,
    /// Bytes per second.
    pub speed: Option<f64>,
    /// In the order of [`ATTRIBUTES`].
    pub numbers: [Option<i64>; NUMBERS],
    /// Half, full or nothing, as its file says; part of `info`.
    pub duplex: Vec<u8>,
    pub other_names: Vec<Labels>,
    pub stats: Option<Stats>,
}

/// The files that change without a word from netlink.
#[derive(Debug)]
pub(super) struct SpeedFiles {
    speed: Attribute,
    duplex: Attribute,
}

impl SpeedFiles {
    /// `None` if the interface has gone.
    pub fn open(path: &Path) -> Option<Self> {
        let folder = Folder::open(path).ok()?;
        Some(Self { speed: folder.hold("speed").ok()?, duplex: folder.hold("duplex").ok()? })
    }
}

/// What is kept of an interface from one scrape to the next.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub is_ignored: bool,
    /// `None` for one that is ignored, or is none.
    pub interface: Option<Interface>,
    /// What netlink told of it when it was read; `None` where it told of another one, or nothing.
    pub print: Option<u64>,
    /// Those of an interface that has a speed; opened anew when netlink tells of a change.
    pub held: Option<SpeedFiles>,
}

impl Known {
    pub fn new(name: &[u8], ignored: Option<&Regex>) -> Self {
        let is_ignored = ignored.is_some_and(|ignored| ignored.is_match(&String::from_utf8_lossy(name)));
        Self { is_ignored, ..Self::default() }
    }
}

impl Interface {
    /// Reads all of its files. One that cannot be read gives no series: many refuse as long as the interface is
    /// down.
    pub fn read(name: &[u8], folder: &Folder, buffer: &mut Vec<u8>) -> Self {
        let mut read =
            |file: &str| folder.read(file, buffer).map(|text| text.trim_ascii().to_vec()).unwrap_or_default();
        let mut numbers = [None; NUMBERS];
        for (number, (file, _)) in numbers.iter_mut().zip(&ATTRIBUTES) {
            *number = integer(&read(file));
        }
        let state = read("operstate");
        let flags = numbers.get(FLAGS).copied().flatten();
        let set = flags.map_or("unknown", |flags| if flags & IS_UP == 0 { "down" } else { "up" });
        let duplex = read("duplex");
        let info = Labels::new([
            ("address", read("address").as_slice()),
            ("adminstate", set.as_bytes()),
            ("broadcast", &read("broadcast")),
            ("device", name),
            ("duplex", &duplex),
            ("ifalias", &read("ifalias")),
            ("operstate", &state),
        ]);
        Self {
            device: Labels::new([("device", name)]),
            info,
            is_up: state == b"up",
            speed: speed(&read("speed")),
            numbers,
            duplex,
            other_names: Vec::new(),
            stats: None,
        }
    }

    /// Reads one of its numbers anew.
    pub fn read_number(&mut self, place: usize, folder: &Folder, buffer: &mut Vec<u8>) {
        if let (Some((file, _)), Some(number)) = (ATTRIBUTES.get(place), self.numbers.get_mut(place)) {
            *number = folder.read(file, buffer).ok().and_then(|text| integer(text.trim_ascii()));
        }
    }

    /// Reads its speed anew; gives whether its duplex is the one it was.
    pub fn read_speed(&mut self, files: &SpeedFiles) -> bool {
        let mut buffer = [0; 64];
        self.speed = files.speed.read(&mut buffer).ok().and_then(speed);
        files.duplex.read(&mut buffer).unwrap_or_default() == self.duplex
    }
}

/// Bytes per second of megabits per second.
fn speed(megabits: &[u8]) -> Option<f64> {
    integer(megabits).map(|megabits| float(megabits.saturating_mul(1_000_000) / 8))
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
pub(super) fn float(number: i64) -> f64 {
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
        let folder = Folder::open(&path).expect("opens");
        let mut read = Interface::read(b"eth0", &folder, &mut Vec::new());
        assert!(!read.is_up && read.speed.is_none());
        assert_eq!(read.numbers.iter().flatten().collect::<Vec<_>>(), [&1]);
        assert_eq!(
            read.info.text(),
            br#"address="",adminstate="unknown",broadcast="",device="eth0",duplex="",ifalias="a \"b\"",operstate="down""#
        );
        std::fs::write(path.join("flags"), "0x1003\n").expect("writes");
        read.read_number(FLAGS, &folder, &mut Vec::new());
        assert_eq!(read.numbers[FLAGS], Some(4099));
        std::fs::remove_dir_all(path).expect("removes");
    }
}
