//! Batteries and mains adapters.

use regex::Regex;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, pattern},
    metric::{Family, Labels, Page},
    source::{
        file::ReadError,
        folder::{Folder, offered},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "powersupplyclass",
    on_by_default: true,
    summary: "batteries and mains adapters",
    reads: "/sys/class/power_supply",
    since: "2.6.23",
    pace: Pace::MayBlock,
    flags: &[Flag {
        name: IGNORED,
        takes: Takes::Text { placeholder: "REGEXP", default: "^$" },
        help: "Supplies to leave out",
    }],
    families: &EVERY_FAMILY,
    build: PowerSupply::build,
};

const IGNORED: &str = "collector.powersupply.ignored-supplies";

/// What a file's number is.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Plain,
    Millionths,
    Tenths,
}

impl Unit {
    fn convert(self, number: i64) -> f64 {
        let number = number as f64;
        match self {
            Self::Plain => number,
            Self::Millionths => number / 1e6,
            Self::Tenths => number / 10.0,
        }
    }
}

/// The files that hold a number.
static FILES: [(&str, Unit); COUNT] = [
    ("authentic", Unit::Plain),
    ("calibrate", Unit::Plain),
    ("capacity", Unit::Plain),
    ("capacity_alert_max", Unit::Plain),
    ("capacity_alert_min", Unit::Plain),
    ("cycle_count", Unit::Plain),
    ("online", Unit::Plain),
    ("present", Unit::Plain),
    ("time_to_empty_now", Unit::Plain),
    ("time_to_full_now", Unit::Plain),
    ("current_boot", Unit::Millionths),
    ("current_max", Unit::Millionths),
    ("current_now", Unit::Millionths),
    ("energy_empty", Unit::Millionths),
    ("energy_empty_design", Unit::Millionths),
    ("energy_full", Unit::Millionths),
    ("energy_full_design", Unit::Millionths),
    ("energy_now", Unit::Millionths),
    ("voltage_boot", Unit::Millionths),
    ("voltage_max", Unit::Millionths),
    ("voltage_max_design", Unit::Millionths),
    ("voltage_min", Unit::Millionths),
    ("voltage_min_design", Unit::Millionths),
    ("voltage_now", Unit::Millionths),
    ("voltage_ocv", Unit::Millionths),
    ("charge_control_limit", Unit::Millionths),
    ("charge_control_limit_max", Unit::Millionths),
    ("charge_counter", Unit::Millionths),
    ("charge_empty", Unit::Millionths),
    ("charge_empty_design", Unit::Millionths),
    ("charge_full", Unit::Millionths),
    ("charge_full_design", Unit::Millionths),
    ("charge_now", Unit::Millionths),
    ("charge_term_current", Unit::Millionths),
    ("constant_charge_current", Unit::Millionths),
    ("constant_charge_current_max", Unit::Millionths),
    ("constant_charge_voltage", Unit::Millionths),
    ("constant_charge_voltage_max", Unit::Millionths),
    ("precharge_current", Unit::Millionths),
    ("input_current_limit", Unit::Millionths),
    ("power_now", Unit::Millionths),
    ("temp", Unit::Tenths),
    ("temp_alert_max", Unit::Tenths),
    ("temp_alert_min", Unit::Tenths),
    ("temp_ambient", Unit::Tenths),
    ("temp_ambient_max", Unit::Tenths),
    ("temp_ambient_min", Unit::Tenths),
    ("temp_max", Unit::Tenths),
    ("temp_min", Unit::Tenths),
];
const COUNT: usize = 49;

/// In the order of [`FILES`].
static FAMILIES: [Family; COUNT] = [
    Family::gauge("node_power_supply_authentic", "1 where the supply has proved to be genuine, else 0."),
    Family::gauge("node_power_supply_calibrate", "1 while the battery is being calibrated, else 0."),
    Family::gauge("node_power_supply_capacity", "Charge left, in percent."),
    Family::gauge("node_power_supply_capacity_alert_max", "Charge above which the supply warns, in percent."),
    Family::gauge("node_power_supply_capacity_alert_min", "Charge below which the supply warns, in percent."),
    Family::gauge(
        "node_power_supply_cyclecount",
        "Times that the battery was charged, as it counts them itself.",
    ),
    Family::gauge(
        "node_power_supply_online",
        "0 for a supply that gives nothing, 1 for one that does, 2 for one of several voltages.",
    ),
    Family::gauge("node_power_supply_present", "1 where the supply is plugged in, else 0."),
    Family::gauge("node_power_supply_time_to_empty_seconds", "Time until the battery is empty, in seconds."),
    Family::gauge("node_power_supply_time_to_full_seconds", "Time until the battery is full, in seconds."),
    Family::gauge("node_power_supply_current_boot", "Current seen at boot, in amperes."),
    Family::gauge("node_power_supply_current_max", "Highest current, in amperes."),
    Family::gauge(
        "node_power_supply_current_ampere",
        "Current now, in amperes; below 0 while the battery is drained, with most drivers.",
    ),
    Family::gauge(
        "node_power_supply_energy_empty",
        "Energy at which the battery counts as empty, in watt-hours.",
    ),
    Family::gauge(
        "node_power_supply_energy_empty_design",
        "Energy at which the battery was to count as empty when new, in watt-hours.",
    ),
    Family::gauge("node_power_supply_energy_full", "Energy of the full battery, in watt-hours."),
    Family::gauge(
        "node_power_supply_energy_full_design",
        "Energy of the full battery when new, in watt-hours.",
    ),
    Family::gauge("node_power_supply_energy_watthour", "Energy now, in watt-hours."),
    Family::gauge("node_power_supply_voltage_boot", "Voltage seen at boot, in volts."),
    Family::gauge("node_power_supply_voltage_max", "Highest voltage, in volts."),
    Family::gauge("node_power_supply_voltage_max_design", "Highest voltage by design, in volts."),
    Family::gauge("node_power_supply_voltage_min", "Lowest voltage, in volts."),
    Family::gauge("node_power_supply_voltage_min_design", "Lowest voltage by design, in volts."),
    Family::gauge("node_power_supply_voltage_volt", "Voltage now, in volts."),
    Family::gauge("node_power_supply_voltage_ocv", "Voltage of the open circuit, in volts."),
    Family::gauge(
        "node_power_supply_charge_control_limit",
        "Step to which charging is held back, in millionths.",
    ),
    Family::gauge("node_power_supply_charge_control_limit_max", "Highest such step, in millionths."),
    Family::gauge(
        "node_power_supply_charge_counter",
        "Charge counted since a time of the driver's choice, in ampere-hours.",
    ),
    Family::gauge(
        "node_power_supply_charge_empty",
        "Charge at which the battery counts as empty, in ampere-hours.",
    ),
    Family::gauge(
        "node_power_supply_charge_empty_design",
        "Charge at which the battery was to count as empty when new, in ampere-hours.",
    ),
    Family::gauge("node_power_supply_charge_full", "Charge of the full battery, in ampere-hours."),
    Family::gauge(
        "node_power_supply_charge_full_design",
        "Charge of the full battery when new, in ampere-hours.",
    ),
    Family::gauge("node_power_supply_charge_ampere", "Charge now, in ampere-hours."),
    Family::gauge("node_power_supply_charge_term_current", "Current below which charging ends, in amperes."),
    Family::gauge("node_power_supply_constant_charge_current", "Current that the charger holds, in amperes."),
    Family::gauge(
        "node_power_supply_constant_charge_current_max",
        "Highest current that the charger may hold, in amperes.",
    ),
    Family::gauge("node_power_supply_constant_charge_voltage", "Voltage that the charger holds, in volts."),
    Family::gauge(
        "node_power_supply_constant_charge_voltage_max",
        "Highest voltage that the charger may hold, in volts.",
    ),
    Family::gauge(
        "node_power_supply_precharge_current",
        "Current at the start of charging an empty battery, in amperes.",
    ),
    Family::gauge(
        "node_power_supply_input_current_limit",
        "Highest current drawn from the charger, in amperes.",
    ),
    Family::gauge("node_power_supply_power_watt", "Power now, in watts."),
    Family::gauge("node_power_supply_temp_celsius", "Temperature, in degrees Celsius."),
    Family::gauge(
        "node_power_supply_temp_alert_max_celsius",
        "Temperature above which the supply warns, in degrees Celsius.",
    ),
    Family::gauge(
        "node_power_supply_temp_alert_min_celsius",
        "Temperature below which the supply warns, in degrees Celsius.",
    ),
    Family::gauge(
        "node_power_supply_temp_ambient_celsius",
        "Temperature around the supply, in degrees Celsius.",
    ),
    Family::gauge(
        "node_power_supply_temp_ambient_max_celsius",
        "Temperature around it above which the supply warns, in degrees Celsius.",
    ),
    Family::gauge(
        "node_power_supply_temp_ambient_min_celsius",
        "Temperature around it below which the supply warns, in degrees Celsius.",
    ),
    Family::gauge("node_power_supply_temp_max_celsius", "Highest temperature allowed, in degrees Celsius."),
    Family::gauge("node_power_supply_temp_min_celsius", "Lowest temperature allowed, in degrees Celsius."),
];
static INFO: Family =
    Family::gauge("node_power_supply_info", "1, with what else the supply tells of itself.");

static EVERY_FAMILY: [&Family; COUNT + 1] = Family::all(&[&INFO], &[&FAMILIES]);

/// The files that are labels of the info; `power_supply`, which is none, is the name.
const INFO_FILES: [&str; 12] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    NAME,
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];
const NAME: &str = "power_supply";

struct PowerSupply {
    folder: Folder,
    ignored: Option<Regex>,
}

struct Supply {
    labels: Labels,
    info: Labels,
    numbers: [Option<i64>; COUNT],
}

impl PowerSupply {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let folder = Folder::new(context.paths.sysfs.join("class/power_supply"));
        Ok(Box::new(Self { folder, ignored: pattern(IGNORED, context.flags.text(IGNORED))? }))
    }
}

impl Supply {
    fn read(folder: &Folder, name: &str) -> Result<Self, ReadError> {
        // Few of the many files are there, and most supplies have few.
        let there = folder.names()?;
        let has = |file: &str| there.binary_search_by(|name| name.as_str().cmp(file)).is_ok();
        let mut numbers = [None; COUNT];
        for (place, (file, _)) in numbers.iter_mut().zip(&FILES).filter(|(_, (file, _))| has(file)) {
            *place = offered(folder.signed(file))?;
        }
        let mut info = Labels::default();
        for file in INFO_FILES {
            if file == NAME {
                info.push(NAME, name.as_bytes());
            } else if has(file) {
                let text = offered(folder.text(file))?.filter(|text| !text.is_empty());
                if let Some(text) = &text {
                    info.push(file, text);
                }
            }
        }
        Ok(Self { labels: Labels::new([(NAME, name)]), info, numbers })
    }
}

impl Collector for PowerSupply {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut supplies = Vec::new();
        for name in self.folder.names().map_err(ReadError::or_absent)? {
            let supply = Supply::read(&self.folder.folder(&name), &name).map_err(ReadError::or_absent)?;
            if !self.ignored.as_ref().is_some_and(|ignored| ignored.is_match(&name)) {
                supplies.push(supply);
            }
        }
        for (index, (family, (_, unit))) in FAMILIES.iter().zip(&FILES).enumerate() {
            let mut samples = page.family(family);
            for supply in &supplies {
                if let Some(Some(number)) = supply.numbers.get(index) {
                    samples.sample(&supply.labels, unit.convert(*number));
                }
            }
        }
        let mut samples = page.family(&INFO);
        for supply in &supplies {
            samples.sample(&supply.info, 1_u64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::sysfs_test::Root;

    #[test]
    fn numbers_get_their_units_and_the_info_what_is_told() {
        let root = Root::new("supply");
        root.fill(
            "class/power_supply/BAT1",
            &[
                ("capacity", "81\n"),
                ("current_now", "-1500000\n"),
                ("temp", "-55\n"),
                ("health", "Good\n"),
                ("serial_number", " \n"),
                ("uevent", "POWER_SUPPLY_NAME=BAT1\n"),
            ],
        );
        root.write("class/power_supply/BAT1/model_name", b"A\xff\xfe\n");
        root.fill("class/power_supply/hid-1", &[("online", "1\n")]);
        assert_eq!(
            root.samples(&DESCRIPTOR, &["--collector.powersupply.ignored-supplies=^hid-"]).expect("collects"),
            [
                "node_power_supply_capacity{power_supply=\"BAT1\"} 81",
                "node_power_supply_current_ampere{power_supply=\"BAT1\"} -1.5",
                "node_power_supply_temp_celsius{power_supply=\"BAT1\"} -5.5",
                "node_power_supply_info{health=\"Good\",model_name=\"A\u{fffd}\",power_supply=\"BAT1\"} 1",
            ]
        );
    }

    #[test]
    fn no_class_is_no_data_and_nonsense_a_failure() {
        let root = Root::new("supply");
        let failure = root.samples(&DESCRIPTOR, &[]).expect_err("is missing");
        assert!(matches!(failure, Failure::Absent(_)), "{failure}");
        for bad in ["", "x", "1.5", "9223372036854775808"] {
            root.write("class/power_supply/AC/online", bad);
            let failure = root.samples(&DESCRIPTOR, &[]).expect_err(bad);
            assert!(matches!(failure, Failure::Broken(_)), "{failure}");
            assert!(failure.to_string().contains("AC/online: expected a number"), "{failure}");
        }
    }

    #[test]
    fn files_and_families_go_together() {
        for ((file, unit), family) in FILES.iter().zip(&FAMILIES) {
            let start = format!("node_power_supply_{}", file.split('_').next().expect("has a word"));
            assert!(family.name.starts_with(&start), "{file} and {}", family.name);
            assert_eq!(matches!(unit, Unit::Tenths), family.name.ends_with("_celsius"), "{file}");
        }
    }
}
