//! Frequencies of CPUs: what they run at, what they may, and by which governor.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use rustix::io::Errno;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        cpu,
        devices::{Device, Devices},
        file::ReadError,
        folder::is_numbered,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "cpufreq",
    on_by_default: true,
    summary: "frequencies of CPUs and their governor",
    reads: "/sys/devices/system/cpu/cpu*/cpufreq",
    since: "2.6.9",
    pace: Pace::MayBlock,
    flags: &[],
    families: &[
        &FAMILIES[0],
        &FAMILIES[1],
        &FAMILIES[2],
        &FAMILIES[3],
        &FAMILIES[4],
        &FAMILIES[5],
        &FAMILIES[6],
        &GOVERNOR,
    ],
    build: Cpufreq::build,
};

const FILES: [&str; 7] = [
    "cpuinfo_avg_freq",
    "cpuinfo_cur_freq",
    "cpuinfo_max_freq",
    "cpuinfo_min_freq",
    "scaling_cur_freq",
    "scaling_max_freq",
    "scaling_min_freq",
];

/// In the order of [`FILES`]. The second name is one of the cpu collector's as well, with other labels.
static FAMILIES: [Family; FILES.len()] = [
    Family::gauge(
        "node_cpu_frequency_avg_hertz",
        "Frequency averaged by the hardware since lately, in hertz.",
    ),
    Family::gauge("node_cpu_frequency_hertz", "Frequency as the hardware tells it now, in hertz."),
    Family::gauge("node_cpu_frequency_max_hertz", "Highest frequency of the CPU, in hertz."),
    Family::gauge("node_cpu_frequency_min_hertz", "Lowest frequency of the CPU, in hertz."),
    Family::gauge(
        "node_cpu_scaling_frequency_hertz",
        "Frequency that the kernel last asked for or saw, in hertz.",
    ),
    Family::gauge(
        "node_cpu_scaling_frequency_max_hertz",
        "Highest frequency that the settings allow, in hertz.",
    ),
    Family::gauge(
        "node_cpu_scaling_frequency_min_hertz",
        "Lowest frequency that the settings allow, in hertz.",
    ),
];
static GOVERNOR: Family =
    Family::gauge("node_cpu_scaling_governor", "1 for the governor in use, 0 for each other that could be.");

struct Cpufreq {
    cpus: Devices<Cpu>,
}

#[derive(Debug, Default)]
struct Cpu {
    labels: Labels,
    kilohertz: [Option<u64>; FILES.len()],
    /// What the governors' labels were made of: the one in use and the available ones, each ended by NUL.
    governors_text: Vec<u8>,
    governors: Vec<(Labels, bool)>,
}

/// Some files are not there with every driver, and `cpuinfo_cur_freq` is root's.
const LACKS: &[Errno] = &[Errno::NOENT, Errno::ACCESS, Errno::PERM];

impl Cpufreq {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let is_cpu = |name: &[u8]| is_numbered(OsStr::from_bytes(name), "cpu");
        let cpus = Devices::new(cpu::folder(&context.paths.sysfs), "cpufreq", FILES.len() + 2, is_cpu);
        Ok(Box::new(Self { cpus }))
    }
}

/// Reads what there is of one CPU.
fn read(name: &[u8], device: &mut Device<Cpu>) -> Result<(), ReadError> {
    let mut buffer = [0; 4096];
    for (place, file) in FILES.iter().enumerate() {
        let kilohertz = device.whole(place, file, LACKS)?;
        if let Some(kept) = device.kept.kilohertz.get_mut(place) {
            *kept = kilohertz;
        }
    }
    let mut text = std::mem::take(&mut device.kept.governors_text);
    let before = text.len();
    for (place, file) in ["scaling_governor", "scaling_available_governors"].iter().enumerate() {
        match device.read(FILES.len() + place, file, &mut buffer) {
            Err(errno) if !LACKS.contains(&errno) => return Err(device.error(file, errno)),
            read => text.extend_from_slice(read.unwrap_or_default()),
        }
        text.push(0);
    }
    device.kept.learn(name, text, before);
    Ok(())
}

impl Cpu {
    /// Makes the labels anew where the text, `before` bytes of the old one ahead of it, is not that of before.
    fn learn(&mut self, name: &[u8], mut text: Vec<u8>, before: usize) {
        let is_same = before > 0 && text.get(..before) == text.get(before..);
        text.drain(..before);
        if !is_same {
            let number = name.strip_prefix(b"cpu").unwrap_or(name);
            self.labels = Labels::new([("cpu", number)]);
            self.governors.clear();
            let mut files = text.split(|&byte| byte == 0);
            let in_use = files.next().unwrap_or_default();
            let available = files.next().filter(|_| !in_use.is_empty());
            for governor in available.into_iter().flat_map(|names| names.split(|&byte| byte == b' ')) {
                let labels = Labels::new([("cpu", number), ("governor", governor)]);
                // A driver may say one twice, or part them by two blanks.
                if self.governors.iter().all(|(known, _)| *known != labels) {
                    self.governors.push((labels, governor == in_use));
                }
            }
        }
        self.governors_text = text;
    }
}

impl Collector for Cpufreq {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        match self.cpus.list() {
            Err(error) if error.is_gone() => return Ok(()),
            // A CPU that is offline has no such folder, nor has one of a virtual machine.
            cpus => {
                for (name, device) in cpus? {
                    read(name, device)?;
                }
            }
        }
        for (index, family) in FAMILIES.iter().enumerate() {
            let mut samples = page.family(family);
            for cpu in self.cpus.kept() {
                if let Some(Some(kilohertz)) = cpu.kilohertz.get(index) {
                    samples.sample(&cpu.labels, *kilohertz as f64 * 1000.0);
                }
            }
        }
        let mut samples = page.family(&GOVERNOR);
        for (labels, is_used) in self.cpus.kept().flat_map(|cpu| &cpu.governors) {
            samples.sample(labels, *is_used);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::sysfs_test::Root;

    const FOLDER: &str = "devices/system/cpu/cpu10/cpufreq";

    #[test]
    fn kilohertz_become_hertz_and_every_governor_is_named() {
        let root = Root::new("cpufreq");
        root.fill(
            FOLDER,
            &[
                ("cpuinfo_avg_freq", "1\n"),
                ("cpuinfo_cur_freq", "1699981\n"),
                ("scaling_governor", "powersave\n"),
                ("scaling_available_governors", "performance powersave performance \n"),
            ],
        );
        root.write("devices/system/cpu/cpuidle/current_driver", "none\n");
        root.write("devices/system/cpu/cpu2/online", "0\n");
        assert_eq!(
            root.samples(&DESCRIPTOR, &[]).expect("collects"),
            [
                "node_cpu_frequency_avg_hertz{cpu=\"10\"} 1000",
                "node_cpu_frequency_hertz{cpu=\"10\"} 1.699981e+09",
                "node_cpu_scaling_governor{cpu=\"10\",governor=\"performance\"} 0",
                "node_cpu_scaling_governor{cpu=\"10\",governor=\"powersave\"} 1",
            ]
        );
    }

    #[test]
    fn nonsense_fails_by_the_file_s_name() {
        let root = Root::new("cpufreq");
        for bad in ["<unknown>\n", "", "-1", "99999999999999999999", "1 2"] {
            root.fill(FOLDER, &[("scaling_cur_freq", bad)]);
            let failure = root.samples(&DESCRIPTOR, &[]).expect_err(bad).to_string();
            assert!(failure.contains("cpu10/cpufreq/scaling_cur_freq: expected a whole number"), "{failure}");
        }
    }

    #[test]
    fn a_machine_without_cpufreq_gives_nothing_and_succeeds() {
        assert!(Root::new("no-cpufreq").samples(&DESCRIPTOR, &[]).expect("collects").is_empty());
    }
}
