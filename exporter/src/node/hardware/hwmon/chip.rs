//! The chips: their folders, and names that stay the same from boot to boot.

use std::collections::HashMap;

use crate::source::folder::Folder;

/// A chip of the class.
pub(super) struct Chip {
    pub folder: Folder,
    /// By its place in the machine where that is known, else by its driver, else hwmonN.
    pub name: String,
    /// What its driver calls it.
    pub driver: Option<String>,
}

/// The chips of these entries. Where two would have one name, each gets its driver's name in addition, or its entry's
/// if that does not tell them apart.
pub(super) fn all<'a>(class: &Folder, entries: impl Iterator<Item = &'a str>) -> Vec<Chip> {
    let mut chips = Vec::new();
    for entry in entries {
        let folder = class.folder(entry);
        if !folder.path().is_dir() {
            continue;
        }
        let driver = driver(&folder);
        let name = place(&folder).or_else(|| driver.clone()).unwrap_or_else(|| clean(entry));
        chips.push((entry, Chip { folder, name, driver }));
    }
    let suffix = |chip: &Chip, suffix: &str| format!("{}_{suffix}", chip.name);
    let shared = shared_names(&chips);
    let mut renamed = Vec::new();
    for (index, (entry, chip)) in chips.iter().enumerate() {
        if shared.contains_key(&chip.name) {
            renamed.push((
                index,
                *entry,
                suffix(chip, chip.driver.as_deref().unwrap_or(entry)),
                suffix(chip, entry),
            ));
        }
    }
    let mut uses: HashMap<String, usize> = HashMap::new();
    for (_, _, name, _) in &renamed {
        *uses.entry(name.clone()).or_default() += 1;
    }
    for (index, _, by_driver, by_entry) in renamed {
        let name = if uses.get(&by_driver).is_some_and(|count| *count > 1) { by_entry } else { by_driver };
        if let Some((_, chip)) = chips.get_mut(index) {
            chip.name = name;
        }
    }
    chips.into_iter().map(|(_, chip)| chip).collect()
}

/// The names that several chips have.
fn shared_names(chips: &[(&str, Chip)]) -> HashMap<String, usize> {
    let mut uses: HashMap<String, usize> = HashMap::new();
    for (_, chip) in chips {
        *uses.entry(chip.name.clone()).or_default() += 1;
    }
    uses.retain(|_, count| *count > 1);
    uses
}

fn driver(folder: &Folder) -> Option<String> {
    let name = folder.text("name").ok()?;
    Some(clean(&String::from_utf8_lossy(&name))).filter(|name| !name.is_empty())
}

/// The last two parts of the path of the device that the chip belongs to.
pub(in crate::node) fn place(folder: &Folder) -> Option<String> {
    let device = folder.path().join("device").canonicalize().ok()?;
    let part = |path: &std::path::Path| path.file_name().map(|name| clean(&name.to_string_lossy()));
    let name = part(&device).filter(|name| !name.is_empty())?;
    let kind = device.parent().and_then(part).filter(|kind| !kind.is_empty());
    Some(kind.map_or_else(|| name.clone(), |kind| format!("{kind}_{name}")))
}

/// Lower case; each character that a name may not have becomes `_`, and none is left at the ends.
pub(super) fn clean(text: &str) -> String {
    let is_kept = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == ':' || c == '_';
    let text: String = text.to_lowercase().chars().map(|c| if is_kept(c) { c } else { '_' }).collect();
    text.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::node::sysfs_test::Root;

    #[test]
    fn names_are_clean() {
        for (text, wanted) in [
            ("coretemp.0", "coretemp_0"),
            ("Left side ", "left_side"),
            ("0000:40:01.3", "0000:40:01_3"),
            ("é", ""),
        ] {
            assert_eq!(clean(text), wanted);
        }
    }

    #[test]
    fn chips_of_one_device_are_told_apart() {
        let root = Root::new("chips");
        for (entry, driver) in
            [("hwmon0", "phy.0\n"), ("hwmon1", "phy.1\n"), ("hwmon2", "same\n"), ("hwmon3", "same\n")]
        {
            root.write(&format!("devices/bus/Dev.1/{entry}/name"), driver);
            symlink("..", root.path().join(format!("devices/bus/Dev.1/{entry}/device"))).expect("links");
        }
        root.write("devices/bus/Dev.1/hwmon4/temp1_input", "1\n");
        root.write("devices/bus/Dev.1/hwmon5", "no folder");
        let class = Folder::new(root.path().join("devices/bus/Dev.1"));
        let chips = all(&class, ["hwmon0", "hwmon1", "hwmon2", "hwmon3", "hwmon4", "hwmon5"].into_iter());
        let names: Vec<_> = chips.iter().map(|chip| chip.name.as_str()).collect();
        let wanted = ["bus_dev_1_phy_0", "bus_dev_1_phy_1", "bus_dev_1_hwmon2", "bus_dev_1_hwmon3", "hwmon4"];
        assert_eq!(names, wanted);
        assert_eq!(chips[0].driver.as_deref(), Some("phy_0"));
    }
}
