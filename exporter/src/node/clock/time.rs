//! The node's clock: its time, its zone, and what the kernel measures time with.

use std::path::{Path, PathBuf};

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        clock,
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "time",
    on_by_default: true,
    summary: "the time, its zone, and the clocks that the kernel can use",
    reads: "clock_gettime(2), /etc/localtime, /sys/devices/system/clocksource",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&SECONDS, &ZONE_OFFSET, &AVAILABLE, &CURRENT],
    build: Time::build,
};

static SECONDS: Family = Family::gauge("node_time_seconds", "The node's time, in seconds since 1970.");
static ZONE_OFFSET: Family = Family::gauge(
    "node_time_zone_offset_seconds",
    "How far the node's time zone is ahead of UTC, in seconds.",
);
static AVAILABLE: Family = Family::gauge(
    "node_time_clocksource_available_info",
    "1 for each clock that the kernel could measure time with.",
);
static CURRENT: Family = Family::gauge(
    "node_time_clocksource_current_info",
    "1 for the clock that the kernel measures time with.",
);

/// A file with names of clocks, and the labels made of its text.
struct Clocks {
    file: KeptFile,
    device: String,
    text: Vec<u8>,
    labels: Vec<Labels>,
}

impl Clocks {
    fn new(folder: &Path, name: &str, device: &str) -> Self {
        let file = KeptFile::new(folder.join(name), Serves::Whole);
        Self { file, device: device.to_owned(), text: Vec::new(), labels: Vec::new() }
    }

    fn refresh(&mut self) -> Result<(), Failure> {
        let text = self.file.read()?;
        if text != self.text {
            self.text = text.to_vec();
            let mut names: Vec<_> = text::fields(text.trim_ascii()).collect();
            names.sort_unstable();
            names.dedup();
            let labels = |name| Labels::new([("clocksource", name), ("device", self.device.as_bytes())]);
            self.labels = names.into_iter().map(labels).collect();
        }
        Ok(())
    }
}

struct Time {
    zone: Vec<u8>,
    zone_labels: Labels,
    available: Vec<Clocks>,
    current: Vec<Clocks>,
}

impl Time {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        // The kernel makes them at boot and never again.
        let folders = folders(&context.paths.sysfs.join("devices/system/clocksource"));
        let files = |name: &str| {
            let numbered = folders.iter().enumerate();
            numbered.map(|(index, folder)| Clocks::new(folder, name, &index.to_string())).collect()
        };
        Ok(Box::new(Self {
            zone: Vec::new(),
            zone_labels: Labels::new([("time_zone", "")]),
            available: files("available_clocksource"),
            current: files("current_clocksource"),
        }))
    }
}

/// `clocksource0` and its like, in the order of their names; none where there is no such thing.
fn folders(parent: &Path) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.strip_prefix("clocksource").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let entries = std::fs::read_dir(parent).into_iter().flatten();
    let mut folders: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_one).collect();
    folders.sort_unstable();
    folders
}

impl Collector for Time {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        let nanos = now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec);
        page.family(&SECONDS).plain(nanos as f64 / 1e9);
        let zone = clock::zone(now.tv_sec).map_err(|error| Failure::Broken(format!("localtime: {error}")))?;
        if zone.name != self.zone {
            self.zone_labels = Labels::new([("time_zone", &zone.name)]);
            self.zone = zone.name;
        }
        page.family(&ZONE_OFFSET).sample(&self.zone_labels, zone.offset as f64);
        for (clocks, family) in [(&mut self.available, &AVAILABLE), (&mut self.current, &CURRENT)] {
            clocks.iter_mut().try_for_each(Clocks::refresh)?;
            let mut samples = page.family(family);
            clocks.iter().flat_map(|clocks| &clocks.labels).for_each(|labels| samples.sample(labels, 1_u64));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_clock_makes_new_labels() {
        let folder = std::env::temp_dir().join(format!("nodetally-time-{}", std::process::id()));
        let device = folder.join("clocksource0");
        for name in ["clocksource0", "clocksource", "power", "clocksourcex"] {
            std::fs::create_dir_all(folder.join(name)).expect("makes a folder");
        }
        assert_eq!(folders(&folder), [device.as_path()]);
        let mut clocks = Clocks::new(&device, "available_clocksource", "0");
        assert!(clocks.refresh().is_err(), "there is no file yet");
        let mut labels = |text: &[u8]| {
            std::fs::write(device.join("available_clocksource"), text).expect("writes");
            clocks.refresh().expect("reads");
            let texts = clocks.labels.iter().map(Labels::text);
            texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect::<Vec<_>>()
        };
        let tsc = "clocksource=\"tsc\",device=\"0\"";
        assert_eq!(labels(b"tsc hpet tsc\n"), ["clocksource=\"hpet\",device=\"0\"", tsc]);
        assert_eq!(labels(b"tsc \n"), [tsc]);
        assert!(labels(b"\n").is_empty());
        assert_eq!(labels(b"\xff\n"), ["clocksource=\"\u{fffd}\",device=\"0\""]);
        std::fs::remove_dir_all(&folder).expect("removes");
    }
}
