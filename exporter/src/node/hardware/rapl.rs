//! Energy used by the CPU package and its parts, as RAPL counts it.

use std::collections::BTreeMap;

use rustix::io::Errno;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Labels, Page, label_name},
    source::{file::ReadError, folder::Folder, text},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "rapl",
    on_by_default: true,
    summary: "energy used by CPU packages and their parts",
    reads: "/sys/class/powercap",
    since: "3.13",
    pace: Pace::MayBlock,
    flags: &[Flag {
        name: ZONE_LABEL,
        takes: Takes::Switch { default: false },
        help: "Give one family with the zone as a label, not a family for each zone",
    }],
    families: &[&BY_ZONE, &ALL_ZONES],
    build: Rapl::build,
};

const ZONE_LABEL: &str = "collector.rapl.enable-zone-label";

static BY_ZONE: Family =
    Family::counter("node_rapl_*_joules_total", "Energy that the zone has used, in joules; it wraps.");
static ALL_ZONES: Family =
    Family::counter("node_rapl_joules_total", "Energy that each zone has used, in joules; it wraps.");

struct Rapl {
    folder: Folder,
    with_zone_label: bool,
}

/// The zones' samples, by family.
type Found = BTreeMap<String, Vec<(Labels, f64)>>;

impl Rapl {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let folder = Folder::new(context.paths.sysfs.join("class/powercap"));
        Ok(Box::new(Self { folder, with_zone_label: context.flags.is_on(ZONE_LABEL) }))
    }

    fn read(&self, found: &mut Found) -> Result<(), ReadError> {
        let mut used = BTreeMap::new();
        for entry in self.folder.names()? {
            let folder = self.folder.folder(&entry);
            // What has no name is no zone.
            let Ok(name) = folder.text("name") else { continue };
            let name = String::from_utf8_lossy(&name).into_owned();
            let (zone, index) =
                numbered(&name).unwrap_or((&name, used.get(&name).copied().unwrap_or_default()));
            used.insert(zone.to_owned(), index.saturating_add(1));
            let joules = folder.whole("energy_uj")? as f64 / 1e6;
            let path = folder.path().to_string_lossy();
            let index = index.to_string();
            let mut labels = Labels::new([("index", &*index), ("path", &*path)]);
            let family = if self.with_zone_label {
                labels.push("rapl_zone", zone.as_bytes());
                ALL_ZONES.name.to_owned()
            } else {
                label_name("node_rapl_", zone) + "_joules_total"
            };
            found.entry(family).or_default().push((labels, joules));
        }
        Ok(())
    }
}

/// `package-1` as its name and number.
fn numbered(name: &str) -> Option<(&str, i64)> {
    let (zone, index) = name.split_once('-')?;
    Some((zone, text::signed(index.as_bytes())?))
}

impl Collector for Rapl {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut found = Found::new();
        // What was found before a failure is given all the same.
        let result = self.read(&mut found);
        for (name, samples) in &found {
            let mut out =
                if self.with_zone_label { page.family(&ALL_ZONES) } else { page.named(&BY_ZONE, name) };
            for (labels, joules) in samples {
                out.sample(labels, *joules);
            }
        }
        result.map_err(|error| match Errno::from_io_error(&error.error) {
            // Only root may read the energy, since it tells what other processes do.
            Some(Errno::ACCESS | Errno::PERM) => Failure::absent(error.to_string()),
            _ => error.or_absent(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::sysfs_test::Root;

    fn root() -> Root {
        let root = Root::new("rapl");
        for (entry, name, energy) in [
            ("intel-rapl:0", "package-0\n", "1500000\n"),
            ("intel-rapl:0:0", "core\n", "2\n"),
            ("intel-rapl:1", "package-1\n", "0\n"),
            ("intel-rapl:1:0", "core\n", "18446744073709551615\n"),
        ] {
            root.fill(&format!("class/powercap/{entry}"), &[("name", name), ("energy_uj", energy)]);
        }
        root.write("class/powercap/intel-rapl/enabled", "1\n");
        root
    }

    fn samples(root: &Root, flags: &[&str]) -> Vec<String> {
        let path = root.path().to_str().expect("is UTF-8");
        let samples = root.samples(&DESCRIPTOR, flags).expect("collects");
        samples.iter().map(|sample| sample.replace(path, "/sys")).collect()
    }

    #[test]
    fn zones_are_numbered_by_their_name_or_by_their_order() {
        assert_eq!(
            samples(&root(), &[]),
            [
                r#"node_rapl_core_joules_total{index="0",path="/sys/class/powercap/intel-rapl:0:0"} 2e-06"#,
                r#"node_rapl_core_joules_total{index="1",path="/sys/class/powercap/intel-rapl:1:0"} 1.844674407370955e+13"#,
                r#"node_rapl_package_joules_total{index="0",path="/sys/class/powercap/intel-rapl:0"} 1.5"#,
                r#"node_rapl_package_joules_total{index="1",path="/sys/class/powercap/intel-rapl:1"} 0"#,
            ]
        );
        assert_eq!(
            samples(&root(), &["--collector.rapl.enable-zone-label"])[0],
            r#"node_rapl_joules_total{index="0",path="/sys/class/powercap/intel-rapl:0",rapl_zone="package"} 1.5"#
        );
    }

    #[test]
    fn no_class_is_no_data_and_nonsense_a_failure() {
        let failure = Root::new("no-rapl").samples(&DESCRIPTOR, &[]).expect_err("is missing");
        assert!(matches!(failure, Failure::Absent(_)), "{failure}");
        let root = root();
        for bad in ["", "-1", "1.5", "18446744073709551616"] {
            root.write("class/powercap/intel-rapl:1/energy_uj", bad);
            let failure = root.samples(&DESCRIPTOR, &[]).expect_err(bad);
            assert!(matches!(failure, Failure::Broken(_)), "{failure}");
            assert!(failure.to_string().contains("intel-rapl:1/energy_uj: expected"), "{failure}");
        }
    }
}
