//! What the firmware says of machine, board and chassis.

use std::{fs::File, io::Read, path::Path};

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "dmi",
    on_by_default: true,
    summary: "firmware, board and chassis, as DMI names them",
    reads: "/sys/class/dmi/id",
    since: "2.6.23",
    pace: Pace::Quick,
    flags: &[],
    families: &[&INFO],
    build: Dmi::build,
};

static INFO: Family = Family::gauge(
    "node_dmi_info",
    "1, with what DMI says of firmware, board, chassis and product, as far as the exporter may read it.",
);

/// Label and file, by label.
const ATTRIBUTES: [(&str, &str); 20] = [
    ("bios_date", "bios_date"),
    ("bios_release", "bios_release"),
    ("bios_vendor", "bios_vendor"),
    ("bios_version", "bios_version"),
    ("board_asset_tag", "board_asset_tag"),
    ("board_name", "board_name"),
    ("board_serial", "board_serial"),
    ("board_vendor", "board_vendor"),
    ("board_version", "board_version"),
    ("chassis_asset_tag", "chassis_asset_tag"),
    ("chassis_serial", "chassis_serial"),
    ("chassis_vendor", "chassis_vendor"),
    ("chassis_version", "chassis_version"),
    ("product_family", "product_family"),
    ("product_name", "product_name"),
    ("product_serial", "product_serial"),
    ("product_sku", "product_sku"),
    ("product_uuid", "product_uuid"),
    ("product_version", "product_version"),
    ("system_vendor", "sys_vendor"),
];
/// The kernel gives no longer text.
const LARGEST: u64 = 4096;

/// Read once: none of it changes before the next boot.
struct Dmi {
    labels: Labels,
    folder: String,
}

impl Dmi {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let folder = context.paths.sysfs.join("class/dmi/id");
        Ok(Box::new(Self { labels: labels(&folder), folder: folder.display().to_string() }))
    }
}

impl Collector for Dmi {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        if self.labels.is_empty() {
            return Err(Failure::absent(format!("{}: nothing to read", self.folder)));
        }
        page.family(&INFO).sample(&self.labels, 1_u64);
        Ok(())
    }
}

/// A label for each attribute that can be read, be it empty.
fn labels(folder: &Path) -> Labels {
    let mut labels = Labels::default();
    for (label, name) in ATTRIBUTES {
        let mut text = Vec::new();
        let read = File::open(folder.join(name)).and_then(|file| file.take(LARGEST).read_to_end(&mut text));
        if read.is_ok() {
            labels.push(label, text.trim_ascii());
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_read_is_told() {
        assert!(ATTRIBUTES.is_sorted());
        let folder = std::env::temp_dir().join(format!("nodetally-dmi-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("bios_date")).expect("makes");
        assert!(labels(&folder).is_empty(), "a folder is no attribute");
        for (name, text) in [
            ("sys_vendor", &b"Acme Inc.\n"[..]),
            ("board_name", b"\n"),
            ("modalias", b"x"),
            ("product_sku", b"a\xff\xfe"),
        ] {
            std::fs::write(folder.join(name), text).expect("writes");
        }
        let text = String::from_utf8(labels(&folder).text().to_vec()).expect("labels are UTF-8");
        assert_eq!(text, "board_name=\"\",product_sku=\"a\u{fffd}\",system_vendor=\"Acme Inc.\"");
        std::fs::remove_dir_all(&folder).expect("removes");
    }
}
