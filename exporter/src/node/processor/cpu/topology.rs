//! What sysfs says of the CPUs: throttling, and which are online.

use std::{collections::HashSet, path::Path};

use crate::{
    metric::{Labels, Page},
    source::{
        cpu,
        file::{KeptFile, Serves},
        text,
    },
};

/// Counters and switches in sysfs, each with the labels of its series.
#[derive(Debug, Default)]
pub(super) struct Topology {
    /// Once per core of a package.
    core_throttles: Vec<Numbered>,
    /// Once per package.
    package_throttles: Vec<Numbered>,
    /// Every CPU, offline ones too; empty where the first cannot be switched off.
    online: Vec<Numbered>,
}

#[derive(Debug)]
struct Numbered {
    labels: Labels,
    file: KeptFile,
}

impl Numbered {
    /// `None` if the file is missing or holds no number.
    fn open(path: &Path, labels: Labels) -> Option<Self> {
        let mut numbered = Self { labels, file: KeptFile::new(path, Serves::Whole) };
        numbered.number().map(|_| numbered)
    }

    fn number(&mut self) -> Option<u64> {
        text::only(self.file.read().ok()?)
    }
}

impl Topology {
    /// Looks at every CPU's folder; to be done again when CPUs have come or gone.
    pub fn read(folder: &Path) -> Self {
        let mut topology = Self::default();
        let (mut cores, mut packages) = (HashSet::new(), HashSet::new());
        for (index, name) in cpu::names(folder).iter().enumerate() {
            let place = folder.join(name);
            if index == 0 || !topology.online.is_empty() {
                let labels = Labels::new([("cpu", name.trim_start_matches("cpu"))]);
                topology.online.extend(Numbered::open(&place.join("online"), labels));
            }
            // A CPU that is offline has no topology.
            let number = |file: &str| cpu::number(&place.join("topology").join(file));
            let (Some(package), Some(core)) = (number("physical_package_id"), number("core_id")) else {
                continue;
            };
            let throttle =
                |file: &str, labels| Numbered::open(&place.join("thermal_throttle").join(file), labels);
            let (core_text, package_text) = (core.to_string(), package.to_string());
            if !cores.contains(&(package, core)) {
                let labels = Labels::new([("core", &core_text), ("package", &package_text)]);
                if let Some(found) = throttle("core_throttle_count", labels) {
                    cores.insert((package, core));
                    topology.core_throttles.push(found);
                }
            }
            if !packages.contains(&package) {
                let labels = Labels::new([("package", &package_text)]);
                if let Some(found) = throttle("package_throttle_count", labels) {
                    packages.insert(package);
                    topology.package_throttles.push(found);
                }
            }
        }
        topology
    }

    /// Reads and writes. A file that has gone gives nothing.
    pub fn write(&mut self, page: &mut Page) {
        for (family, files) in [
            (&super::CORE_THROTTLES, &mut self.core_throttles),
            (&super::PACKAGE_THROTTLES, &mut self.package_throttles),
            (&super::ONLINE, &mut self.online),
        ] {
            let mut samples = page.family(family);
            for found in files {
                if let Some(number) = found.number() {
                    samples.sample(&found.labels, number);
                }
            }
        }
    }
}
