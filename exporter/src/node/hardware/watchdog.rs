//! Hardware and software watchdogs: settings and state.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::{
        file::ReadError,
        folder::{Folder, optional},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "watchdog",
    on_by_default: true,
    summary: "settings and state of watchdog devices",
    reads: "/sys/class/watchdog",
    since: "4.5",
    // The time that is left is asked of the hardware.
    pace: Pace::MayBlock,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Watchdog::build,
};

const NUMBERS: usize = 7;

/// In the order of [`FAMILIES`].
const FILES: [&str; NUMBERS] =
    ["access_cs0", "bootstatus", "fw_version", "nowayout", "pretimeout", "timeleft", "timeout"];

static FAMILIES: [Family; NUMBERS] = [
    Family::gauge("node_watchdog_access_cs0", "Whether the boot flash's chip select 0 is in use, 1 or 0."),
    Family::gauge("node_watchdog_bootstatus", "Flags that tell why the machine was booted last."),
    Family::gauge("node_watchdog_fw_version", "Version of the watchdog's firmware."),
    Family::gauge("node_watchdog_nowayout", "Whether the watchdog goes on once started, 1 or 0."),
    Family::gauge("node_watchdog_pretimeout_seconds", "Seconds before the timeout at which a warning comes."),
    Family::gauge("node_watchdog_timeleft_seconds", "Seconds left until the machine is reset."),
    Family::gauge("node_watchdog_timeout_seconds", "Seconds without a sign of life that lead to a reset."),
];
static INFO: Family =
    Family::gauge("node_watchdog_info", "1, with the watchdog's identity, options and state.");

static EVERY_FAMILY: [&Family; NUMBERS + 1] = Family::all(&[&INFO], &[&FAMILIES]);

/// Labels of the info series and the files they come from, but for the name.
const TEXTS: [&str; 5] = ["identity", "options", "pretimeout_governor", "state", "status"];

struct Watchdog {
    folder: Folder,
    devices: Kept<Device>,
}

struct Device {
    labels: Labels,
    numbers: [Option<i64>; NUMBERS],
    texts: [Vec<u8>; TEXTS.len()],
    info: Labels,
}

impl Device {
    fn new(name: &str) -> Self {
        let texts: [Vec<u8>; TEXTS.len()] = Default::default();
        let info = info(name, &texts);
        Self { labels: Labels::new([("name", name)]), numbers: [None; NUMBERS], texts, info }
    }

    /// Reads all files anew; those that the device lacks are none of its own.
    fn update(&mut self, name: &str, folder: &Folder) -> Result<(), ReadError> {
        for (number, file) in self.numbers.iter_mut().zip(FILES) {
            *number = optional(folder.signed(file))?;
        }
        let mut changed = false;
        for (text, file) in self.texts.iter_mut().zip(TEXTS) {
            let now = optional(folder.text(file))?.unwrap_or_default();
            changed |= *text != now;
            *text = now;
        }
        if changed {
            self.info = info(name, &self.texts);
        }
        Ok(())
    }
}

fn info(name: &str, texts: &[Vec<u8>; TEXTS.len()]) -> Labels {
    let [identity, options, governor, state, status] = texts;
    Labels::new([
        ("identity", &identity[..]),
        ("name", name.as_bytes()),
        ("options", options),
        ("pretimeout_governor", governor),
        ("state", state),
        ("status", status),
    ])
}

impl Watchdog {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let folder = Folder::new(context.paths.sysfs.join("class/watchdog"));
        Ok(Box::new(Self { folder, devices: Kept::default() }))
    }
}

impl Collector for Watchdog {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.devices.begin();
        for name in self.folder.names().map_err(ReadError::or_absent)? {
            if let Some(device) = self.devices.meet(name.as_bytes(), || Device::new(&name)) {
                device.update(&name, &self.folder.folder(&name))?;
            }
        }
        self.devices.end();
        for (index, family) in FAMILIES.iter().enumerate() {
            let mut samples = page.family(family);
            for device in self.devices.items() {
                if let Some(number) = device.numbers.get(index).copied().flatten() {
                    samples.sample(&device.labels, number as f64);
                }
            }
        }
        let mut samples = page.family(&INFO);
        for device in self.devices.items() {
            samples.sample(&device.info, 1_u64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn collect(watchdog: &mut Watchdog) -> Result<String, String> {
        let mut page = Page::default();
        let outcome = watchdog.collect(&mut page).map_err(|failure| failure.to_string());
        outcome.map(|()| String::from_utf8(page.text().to_vec()).expect("a page is UTF-8"))
    }

    fn write(root: &Path, name: &str, text: &[u8]) {
        fs::create_dir_all(root.join("watchdog0")).expect("makes");
        fs::write(root.join("watchdog0").join(name), text).expect("writes");
    }

    #[test]
    fn a_device_gives_what_it_has() {
        let root = std::env::temp_dir().join(format!("nodetally-watchdog-{}", std::process::id()));
        let mut watchdog = Watchdog { folder: Folder::new(&root), devices: Kept::default() };
        assert!(collect(&mut watchdog).expect_err("is absent").starts_with("no data: "));
        write(&root, "timeleft", b"-3\n");
        write(&root, "identity", b"Soft\xff\n");
        let page = collect(&mut watchdog).expect("collects");
        assert!(page.contains("node_watchdog_timeleft_seconds{name=\"watchdog0\"} -3\n"), "{page}");
        assert!(page.contains("info{identity=\"Soft\u{fffd}\",name=\"watchdog0\",options=\"\","), "{page}");
        assert!(!page.contains("node_watchdog_timeout_seconds"), "{page}");
        write(&root, "state", b"active");
        assert!(collect(&mut watchdog).expect("collects").contains("state=\"active\""));
        for bad in [&b"x"[..], b"", b"9223372036854775808", b"1 2", b"\xff"] {
            write(&root, "timeout", bad);
            assert!(collect(&mut watchdog).expect_err("is no number").contains("timeout"), "{bad:?}");
        }
        fs::remove_dir_all(root.join("watchdog0")).expect("removes");
        assert_eq!(collect(&mut watchdog).expect("collects"), "", "none is left");
        fs::remove_dir_all(&root).expect("removes");
    }
}
