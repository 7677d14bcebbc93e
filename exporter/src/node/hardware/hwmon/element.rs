//! A chip's files: which sensor each belongs to, and which family and unit it has.

use std::collections::BTreeMap;

use super::chip::clean;
use crate::source::{file::ReadError, folder::Folder, text};

/// The kinds of files that are known; all others are left alone.
const KINDS: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

/// The `temp1` of `temp1_input`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sensor {
    kind: &'static str,
    number: u64,
}

/// A file of a sensor.
pub(super) struct Element {
    pub folder: Folder,
    pub file: String,
}

impl Element {
    pub fn text(&self) -> Option<String> {
        Some(String::from_utf8_lossy(&self.folder.text(&self.file).ok()?).into_owned())
    }
}

/// What is made of a file's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Plain,
    /// Times 0.001: the last digits are the reference's.
    Thousandths,
    /// Over a million.
    Millionths,
    /// The same, by the name in the sensor's label.
    Megahertz,
    /// 1 for the text `1`, else 0.
    Switch,
}

impl Unit {
    pub fn value(self, text: &[u8]) -> Option<f64> {
        Some(match self {
            Self::Plain => text::float(text)?,
            Self::Thousandths => text::float(text)? * 0.001,
            Self::Millionths | Self::Megahertz => text::float(text)? / 1e6,
            Self::Switch => f64::from(u8::from(text == b"1")),
        })
    }
}

/// The sensors of a chip, with their files by property. Older drivers have them in the device's folder.
pub(super) fn all(chip: &Folder) -> Result<BTreeMap<Sensor, BTreeMap<String, Element>>, ReadError> {
    let mut sensors: BTreeMap<Sensor, BTreeMap<String, Element>> = BTreeMap::new();
    let device = Some(chip.folder("device")).filter(|device| device.path().exists());
    for folder in std::iter::once(chip.clone()).chain(device) {
        for file in folder.names()? {
            let Some((sensor, property)) = split(&file) else { continue };
            let element = Element { folder: folder.clone(), file: file.clone() };
            // Whether `pwm1` is there decides on the name of `pwm1_input`, so it has to be readable.
            if !property.is_empty() || element.folder.text(&file).is_ok() {
                sensors.entry(sensor).or_default().insert(property.to_owned(), element);
            }
        }
    }
    Ok(sensors)
}

/// `temp1_crit_alarm` as the first temperature and `crit_alarm`. A kind may have blanks but no digits.
fn split(file: &str) -> Option<(Sensor, &str)> {
    let end = file.find(|c: char| c.is_ascii_digit()).unwrap_or(file.len());
    let (kind, rest) = file.split_at(end);
    let kind = KINDS.into_iter().find(|known| *known == kind)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(end);
    let number = if number.is_empty() { 0 } else { text::whole(number.as_bytes())? };
    let property =
        if rest.is_empty() { "" } else { rest.strip_prefix('_').filter(|rest| !rest.is_empty())? };
    Some((Sensor { kind, number }, property))
}

impl Sensor {
    pub fn name(self) -> String {
        format!("{}{}", self.kind, self.number)
    }

    /// Family and unit of a property; `None` for one that is no number of its own.
    pub fn family(self, property: &str, has_plain: bool) -> Option<(String, Unit)> {
        let own = |name: &str, unit| (property.is_empty()).then(|| (format!("node_hwmon_{name}"), unit));
        match self.kind {
            "beep_enable" => return own("beep_enabled", Unit::Switch),
            "vrm" => return own("voltage_regulator_version", Unit::Plain),
            "update_interval" => return own("update_interval_seconds", Unit::Thousandths),
            _ => {}
        }
        let name = match property {
            "label" => return None,
            "" => self.kind.to_owned(),
            "input" if !has_plain => self.kind.to_owned(),
            _ => format!("{}_{}", self.kind, clean(property)),
        };
        let (end, unit) = self.unit(property);
        Some((format!("node_hwmon_{name}{end}"), unit))
    }

    fn unit(self, property: &str) -> (&'static str, Unit) {
        match (self.kind, property) {
            (_, "beep") => ("_enabled", Unit::Plain),
            (_, "fault" | "alarm") | ("temp", "type") => ("", Unit::Plain),
            ("in" | "cpu", _) => ("_volts", Unit::Thousandths),
            ("temp", _) => ("_celsius", Unit::Thousandths),
            ("curr", _) => ("_amps", Unit::Thousandths),
            ("energy", _) => ("_joule_total", Unit::Millionths),
            ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
                ("_seconds", Unit::Thousandths)
            }
            ("power", "accuracy") | ("humidity", _) => ("", Unit::Millionths),
            ("power", _) => ("_watt", Unit::Millionths),
            ("fan", "input" | "min" | "max" | "target") => ("_rpm", Unit::Plain),
            ("freq", "input") => ("_freq_mhz", Unit::Megahertz),
            _ => ("", Unit::Plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_split_into_sensor_and_property() {
        let parts = |file| split(file).map(|(sensor, property)| (sensor.name(), property));
        for (file, sensor, property) in [
            ("temp1_crit_alarm", "temp1", "crit_alarm"),
            ("pwm1", "pwm1", ""),
            ("pwm2_auto_point1_pwm", "pwm2", "auto_point1_pwm"),
            ("beep_enable", "beep_enable0", ""),
            ("in00_input", "in0", "input"),
            ("power1_average_interval", "power1", "average_interval"),
        ] {
            assert_eq!(parts(file), Some((sensor.to_owned(), property)), "{file}");
        }
        for file in
            ["name", "bogus1_max", "fan1x", "fan1_", "in_foo", "fan18446744073709551616_input", "1", "", "é1"]
        {
            assert_eq!(parts(file), None, "{file}");
        }
    }

    #[test]
    fn properties_have_families_and_units() {
        let family = |file: &str, has_plain| {
            let (sensor, property) = split(file).expect(file);
            sensor.family(property, has_plain)
        };
        for (file, name, unit) in [
            ("in1_alarm", "in_alarm", Unit::Plain),
            ("in1_beep", "in_beep_enabled", Unit::Plain),
            ("temp1_crit_alarm", "temp_crit_alarm_celsius", Unit::Thousandths),
            ("temp1_type", "temp_type", Unit::Plain),
            ("curr1_input", "curr_amps", Unit::Thousandths),
            ("power1_accuracy", "power_accuracy", Unit::Millionths),
            ("power1_average_interval", "power_average_interval_seconds", Unit::Thousandths),
            ("power1_average", "power_average_watt", Unit::Millionths),
            ("humidity1_input", "humidity", Unit::Millionths),
            ("fan1_pulses", "fan_pulses", Unit::Plain),
            ("fan1_target", "fan_target_rpm", Unit::Plain),
            ("vrm", "voltage_regulator_version", Unit::Plain),
            ("update_interval", "update_interval_seconds", Unit::Thousandths),
        ] {
            assert_eq!(family(file, false), Some((format!("node_hwmon_{name}"), unit)), "{file}");
        }
        assert_eq!(family("pwm1_input", true), Some(("node_hwmon_pwm_input".to_owned(), Unit::Plain)));
        assert_eq!(family("temp1_label", false), None);
    }

    #[test]
    fn numbers_that_are_none_are_left_out() {
        for bad in [&b""[..], b"hot", b"1 2", b"\xff"] {
            assert_eq!(Unit::Thousandths.value(bad), None, "{bad:?}");
        }
        assert_eq!(Unit::Thousandths.value(b"792"), Some(0.792));
        assert_eq!(Unit::Switch.value(b"0"), Some(0.0));
    }
}
