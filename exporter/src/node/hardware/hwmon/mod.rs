//! Sensors and their settings: temperatures, fans, voltages, currents, powers and more.

mod chip;
mod element;

pub(super) use chip::place;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use self::{
    chip::Chip,
    element::{Element, Unit},
};
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, Filter, FilterFlags},
    metric::{Family, Labels, Page},
    source::{file::ReadError, folder::Folder},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "hwmon",
    on_by_default: true,
    summary: "sensors: temperatures, fans, voltages, currents, powers and more",
    reads: "/sys/class/hwmon",
    since: "2.6.12",
    pace: Pace::MayBlock,
    flags: &[
        Flag {
            name: CHIPS.include,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Only these chips",
        },
        Flag {
            name: CHIPS.exclude,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "All chips but these",
        },
        Flag {
            name: SENSORS.include,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Only these sensors, written as chip;sensor",
        },
        Flag {
            name: SENSORS.exclude,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "All sensors but these, written as chip;sensor",
        },
    ],
    families: &[&CHIP_NAMES, &SENSOR_LABEL, &COUNTERS, &GAUGES],
    build: Hwmon::build,
};

const CHIPS: FilterFlags = FilterFlags {
    include: "collector.hwmon.chip-include",
    exclude: "collector.hwmon.chip-exclude",
    old_include: None,
    old_exclude: None,
};
const SENSORS: FilterFlags = FilterFlags {
    include: "collector.hwmon.sensor-include",
    exclude: "collector.hwmon.sensor-exclude",
    old_include: None,
    old_exclude: None,
};

static CHIP_NAMES: Family =
    Family::gauge("node_hwmon_chip_names", "1, with the name that the chip's driver gives it.");
static SENSOR_LABEL: Family =
    Family::gauge("node_hwmon_sensor_label", "1, with what the chip's driver or board calls the sensor.");
static COUNTERS: Family =
    Family::counter("node_hwmon_*_joule_total", "Energy that the sensor has counted, in joules.");
static GAUGES: Family = Family::gauge(
    "node_hwmon_*",
    "What a sensor reads, or one of its limits or settings, in the unit that the name ends with.",
);

struct Hwmon {
    folder: Folder,
    chips: Filter,
    sensors: Filter,
    /// What the class held when the plan was made: each entry and where its link leads.
    known: Vec<(String, Option<PathBuf>)>,
    plan: Plan,
}

/// What is to be read. A chip's files stay the same as long as it is there.
#[derive(Default)]
struct Plan {
    names: BTreeSet<Labels>,
    labels: BTreeSet<Labels>,
    families: BTreeMap<String, BTreeMap<Labels, Source>>,
}

struct Source {
    folder: Folder,
    file: String,
    unit: Unit,
}

impl Hwmon {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            folder: Folder::new(context.paths.sysfs.join("class/hwmon")),
            chips: Filter::from_flags(context.flags, &CHIPS)?,
            sensors: Filter::from_flags(context.flags, &SENSORS)?,
            known: Vec::new(),
            plan: Plan::default(),
        }))
    }

    /// Makes the plan anew when a chip has come or gone.
    fn look(&mut self) -> Result<(), ReadError> {
        let link = |name: String| {
            let target = std::fs::read_link(self.folder.path().join(&name)).ok();
            (name, target)
        };
        let found: Vec<_> = self.folder.names()?.into_iter().map(link).collect();
        if found == self.known {
            return Ok(());
        }
        self.plan = Plan::default();
        self.known.clear();
        for chip in chip::all(&self.folder, found.iter().map(|(name, _)| name.as_str())) {
            if self.chips.keeps(&chip.name) {
                self.plan.add(&chip, &self.sensors)?;
            }
        }
        self.known = found;
        Ok(())
    }
}

impl Plan {
    fn add(&mut self, chip: &Chip, wanted: &Filter) -> Result<(), ReadError> {
        if let Some(driver) = &chip.driver {
            self.names.insert(Labels::new([("chip", &chip.name), ("chip_name", driver)]));
        }
        for (sensor, elements) in element::all(&chip.folder)? {
            let name = sensor.name();
            if !wanted.keeps(&format!("{};{name}", chip.name)) {
                continue;
            }
            let label = elements.get("label").and_then(Element::text);
            let label = label.filter(|label| !chip::clean(label).is_empty());
            if let Some(label) = &label {
                let labels = Labels::new([("chip", &chip.name), ("label", label), ("sensor", &name)]);
                self.labels.insert(labels);
            }
            let has_plain = elements.contains_key("");
            for (property, Element { folder, file }) in elements {
                let Some((family, unit)) = sensor.family(&property, has_plain) else { continue };
                let shown = if unit == Unit::Megahertz {
                    label.as_deref().map(chip::clean)
                } else {
                    Some(name.clone())
                };
                let Some(shown) = shown else { continue };
                let labels = Labels::new([("chip", &chip.name), ("sensor", &shown)]);
                let source = Source { folder, file, unit };
                self.families.entry(family).or_default().entry(labels).or_insert(source);
            }
        }
        Ok(())
    }
}

impl Collector for Hwmon {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.look().map_err(ReadError::or_absent)?;
        for (family, infos) in [(&CHIP_NAMES, &self.plan.names), (&SENSOR_LABEL, &self.plan.labels)] {
            let mut samples = page.family(family);
            for labels in infos {
                samples.sample(labels, 1_u64);
            }
        }
        for (name, sources) in &self.plan.families {
            let pattern = if name.ends_with("_joule_total") { &COUNTERS } else { &GAUGES };
            let mut samples = page.named(pattern, name);
            for (labels, source) in sources {
                // A sensor that cannot be read now, as of a disk that sleeps, is left out.
                if let Ok(value) =
                    source.folder.parsed(&source.file, "a number", |text| source.unit.value(text))
                {
                    samples.sample(labels, value);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::sysfs_test::Root;

    #[test]
    fn what_a_chip_offers_is_given_in_its_unit() {
        let root = Root::new("hwmon");
        root.fill(
            "class/hwmon/hwmon3",
            &[
                ("name", "k10temp\n"),
                ("temp1_input", "45500\n"),
                ("temp1_label", "Tctl\n"),
                ("temp2_input", "hot\n"),
                ("temp3_input", ""),
                ("energy1_input", "2500000\n"),
                ("freq1_input", "214000000\n"),
                ("freq1_label", "sclk\n"),
                ("freq2_input", "1\n"),
                ("beep_enable", "1\n"),
                ("pwm1", "128\n"),
                ("pwm1_input", "7\n"),
                ("fan99999999999999999999_input", "1\n"),
                ("uevent", ""),
            ],
        );
        let wanted = [
            r#"node_hwmon_chip_names{chip="k10temp",chip_name="k10temp"} 1"#,
            r#"node_hwmon_sensor_label{chip="k10temp",label="sclk",sensor="freq1"} 1"#,
            r#"node_hwmon_sensor_label{chip="k10temp",label="Tctl",sensor="temp1"} 1"#,
            r#"node_hwmon_beep_enabled{chip="k10temp",sensor="beep_enable0"} 1"#,
            r#"node_hwmon_energy_joule_total{chip="k10temp",sensor="energy1"} 2.5"#,
            r#"node_hwmon_freq_freq_mhz{chip="k10temp",sensor="sclk"} 214"#,
            r#"node_hwmon_pwm{chip="k10temp",sensor="pwm1"} 128"#,
            r#"node_hwmon_pwm_input{chip="k10temp",sensor="pwm1"} 7"#,
            r#"node_hwmon_temp_celsius{chip="k10temp",sensor="temp1"} 45.5"#,
        ];
        let sorted = |mut lines: Vec<String>| {
            lines.sort_unstable();
            lines
        };
        let samples = sorted(root.samples(&DESCRIPTOR, &[]).expect("collects"));
        assert_eq!(samples, sorted(wanted.map(str::to_owned).into()));
        let some = root.samples(&DESCRIPTOR, &["--collector.hwmon.sensor-include=^k10temp;pwm"]);
        assert_eq!(some.expect("collects").len(), 3);
        let none = root.samples(&DESCRIPTOR, &["--collector.hwmon.chip-exclude=k10"]);
        assert!(none.expect("collects").is_empty());
    }

    #[test]
    fn no_class_is_no_data() {
        let failure = Root::new("no-hwmon").samples(&DESCRIPTOR, &[]).expect_err("is missing");
        assert!(matches!(failure, Failure::Absent(_)), "{failure}");
    }
}
