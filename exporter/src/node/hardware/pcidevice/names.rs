//! Names of PCI vendors, devices and classes, from the list that distributions carry as `pci.ids`.

use std::{collections::HashMap, path::Path};

/// Where distributions have it.
const PLACES: [&str; 2] = ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"];

/// Names by their numbers in hexadecimal digits: a vendor's `8086`, a device's `8086:1521`, a subsystem's
/// `8086:1521 8086:00a3`, a class' `02`, `0200` or `010802`.
#[derive(Debug, Default)]
pub(super) struct Names {
    devices: HashMap<String, String>,
    classes: HashMap<String, String>,
}

impl Names {
    /// Reads the list, or one of the usual ones if none is named. Without any, numbers stand for names.
    pub fn load(file: &str) -> Self {
        let named = Some(file).filter(|file| !file.is_empty());
        let found = named.into_iter().chain(PLACES.into_iter().filter(|_| named.is_none())).map(Path::new);
        let Some(text) = found.map(std::fs::read).find_map(Result::ok) else {
            tracing::warn!("no list of PCI names could be read: numbers stand for them");
            return Self::default();
        };
        Self::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(text: &str) -> Self {
        let mut names = Self::default();
        let (mut in_classes, mut first, mut second) = (false, String::new(), String::new());
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let depth = line.bytes().take_while(|&byte| byte == b'\t').count();
            let Some((number, name)) = line.trim_start_matches('\t').split_once("  ") else { continue };
            let name = name.trim().to_owned();
            let number = number.trim();
            if depth == 0 {
                let class = number.strip_prefix("C ");
                in_classes = class.is_some();
                class.unwrap_or(number).trim().clone_into(&mut first);
                second.clear();
            } else if depth == 1 {
                second = if in_classes { format!("{first}{number}") } else { format!("{first}:{number}") };
            }
            let key = match depth {
                0 => first.clone(),
                1 => second.clone(),
                2 if second.is_empty() => continue,
                2 if in_classes => format!("{second}{number}"),
                2 => format!("{second} {}", number.split_whitespace().collect::<Vec<_>>().join(":")),
                _ => continue,
            };
            if in_classes {
                names.classes.insert(key, name)
            } else {
                names.devices.insert(key, name)
            };
        }
        names
    }

    pub fn vendor(&self, vendor: &str) -> String {
        self.device_or(vendor, vendor)
    }

    pub fn device(&self, vendor: &str, device: &str) -> String {
        self.device_or(&format!("{vendor}:{device}"), device)
    }

    pub fn subsystem(&self, vendor: &str, device: &str, by_vendor: &str, by_device: &str) -> String {
        self.device_or(&format!("{vendor}:{device} {by_vendor}:{by_device}"), by_device)
    }

    fn device_or(&self, key: &str, other: &str) -> String {
        self.devices.get(key).map_or(other, String::as_str).to_owned()
    }

    /// The most exact name that there is.
    pub fn class(&self, class: &str) -> String {
        let known = [6, 4, 2].into_iter().find_map(|length| self.classes.get(class.get(..length)?));
        known.cloned().unwrap_or_else(|| format!("Unknown class ({class})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_their_numbers() {
        let names = Names::parse(
            "# list\nC 01  Storage\n\t08  NVM controller\n\t\t02  NVM Express\n\n8086  Intel\n\t1521  I350\n\t\t8086 00a3  OCP\n17aa  Lenovo",
        );
        assert_eq!(names.vendor("17aa"), "Lenovo");
        assert_eq!(names.device("8086", "1521"), "I350");
        assert_eq!(names.subsystem("8086", "1521", "8086", "00a3"), "OCP");
        assert_eq!(names.class("010802"), "NVM Express");
        assert_eq!(names.class("010803"), "NVM controller");
        assert_eq!(names.class("01ffff"), "Storage");
        assert_eq!(names.class("ff0000"), "Unknown class (ff0000)");
        assert_eq!((names.vendor("1234"), names.device("8086", "1")), ("1234".to_owned(), "1".to_owned()));
    }

    #[test]
    fn nonsense_gives_no_names() {
        for bad in ["", "\t\t\t", "\t\tx  y", "C", "C  ", "8086", "\t1  2\n\t\t3  4", "\u{fffd}  \u{fffd}"] {
            assert_eq!(Names::parse(bad).vendor("8086"), "8086", "{bad:?}");
        }
    }
}
