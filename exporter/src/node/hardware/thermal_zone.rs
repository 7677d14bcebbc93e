//! Temperatures of thermal zones, and what the cooling devices do about them.

use rustix::io::Errno;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::ReadError,
        folder::{Folder, optional},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "thermal_zone",
    on_by_default: true,
    summary: "temperatures of thermal zones and states of cooling devices",
    reads: "/sys/class/thermal",
    since: "2.6.25",
    pace: Pace::MayBlock,
    flags: &[],
    families: &[&TEMP, &COOLING_NOW, &COOLING_MOST],
    build: ThermalZone::build,
};

static TEMP: Family = Family::gauge("node_thermal_zone_temp", "Temperature of the zone, in degrees Celsius.");
static COOLING_NOW: Family = Family::gauge(
    "node_cooling_device_cur_state",
    "Step at which the cooling device runs, 0 for off; -1 where it does not know.",
);
static COOLING_MOST: Family =
    Family::gauge("node_cooling_device_max_state", "Highest step of the cooling device.");

struct ThermalZone {
    folder: Folder,
}

impl ThermalZone {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { folder: Folder::new(context.paths.sysfs.join("class/thermal")) }))
    }
}

/// The temperature in thousandths of a degree; `None` for a zone that has none to tell: switched off, going away,
/// without a reading yet.
fn zone(zone: &Folder, number: &str) -> Result<Option<(Labels, i64)>, Failure> {
    let read = || {
        if optional(zone.text("mode"))?.is_some_and(|mode| mode == b"disabled") {
            return Ok(None);
        }
        let kind = zone.text("type")?;
        let labels = Labels::new([("type", kind.as_slice()), ("zone", number.as_bytes())]);
        Ok(Some((labels, zone.signed("temp")?)))
    };
    read().or_else(|error: ReadError| match Errno::from_io_error(&error.error) {
        Some(Errno::NODATA | Errno::AGAIN) => Ok(None),
        Some(_) if error.operation == "open" => Ok(None),
        Some(Errno::INVAL) => Err(Failure::absent(error.to_string())),
        _ => Err(error.into()),
    })
}

impl Collector for ThermalZone {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut zones = Vec::new();
        for (name, number) in self.folder.numbered("thermal_zone")? {
            zones.extend(zone(&self.folder.folder(&name), &number)?);
        }
        let mut samples = page.family(&TEMP);
        for (labels, temp) in &zones {
            samples.sample(labels, *temp as f64 / 1000.0);
        }

        let mut devices = Vec::new();
        for (name, number) in self.folder.numbered("cooling_device")? {
            let device = self.folder.folder(&name);
            let kind = device.text("type")?;
            let labels = Labels::new([("name", number.as_bytes()), ("type", &kind)]);
            devices.push((labels, device.signed("cur_state")?, device.signed("max_state")?));
        }
        let mut samples = page.family(&COOLING_NOW);
        for (labels, now, _) in &devices {
            samples.sample(labels, *now as f64);
        }
        let mut samples = page.family(&COOLING_MOST);
        for (labels, _, most) in &devices {
            samples.sample(labels, *most as f64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::sysfs_test::Root;

    #[test]
    fn a_zone_without_a_reading_is_left_out_and_nonsense_fails() {
        let root = Root::new("thermal");
        root.write("class/thermal/thermal_zone0/type", "x86_pkg_temp\n");
        root.write("class/thermal/thermal_zone0/temp", "-1500\n");
        root.write("class/thermal/thermal_zone1/type", "off\n");
        root.write("class/thermal/thermal_zone1/mode", "disabled\n");
        root.write("class/thermal/thermal_zone2/type", "no temp\n");
        root.write("class/thermal/cooling_device3/type", b"intel_\"\xff\n");
        root.write("class/thermal/cooling_device3/cur_state", "-1\n");
        root.write("class/thermal/cooling_device3/max_state", "50\n");
        assert_eq!(
            root.samples(&DESCRIPTOR, &[]).expect("collects"),
            [
                "node_thermal_zone_temp{type=\"x86_pkg_temp\",zone=\"0\"} -1.5",
                "node_cooling_device_cur_state{name=\"3\",type=\"intel_\\\"\u{fffd}\"} -1",
                "node_cooling_device_max_state{name=\"3\",type=\"intel_\\\"\u{fffd}\"} 50",
            ]
        );
        for bad in ["", "1.5", "hot", "99999999999999999999"] {
            root.write("class/thermal/thermal_zone0/temp", bad);
            let failure = root.samples(&DESCRIPTOR, &[]).expect_err(bad).to_string();
            assert!(failure.contains("thermal_zone0/temp: expected"), "{failure}");
        }
    }

    #[test]
    fn a_machine_without_zones_gives_nothing_and_succeeds() {
        assert!(Root::new("no-thermal").samples(&DESCRIPTOR, &[]).expect("collects").is_empty());
    }
}
