//! Frequencies of CPUs: what they run at, what they may, and by which governor.

use rustix::io::Errno;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        cpu,
        file::ReadError,
        folder::{Folder, unless},
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
    folder: Folder,
    /// As of the scrape, by CPU; kept for its memory.
    cpus: Vec<Cpu>,
}

struct Cpu {
    labels: Labels,
    kilohertz: [Option<u64>; FILES.len()],
    governors: Vec<(Labels, bool)>,
}

impl Cpufreq {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { folder: Folder::new(cpu::folder(&context.paths.sysfs)), cpus: Vec::new() }))
    }
}

/// Some files are not there with every driver, and `cpuinfo_cur_freq` is root's.
fn shown<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    unless(read, &[Errno::NOENT, Errno::ACCESS, Errno::PERM])
}

impl Cpu {
    fn read(folder: &Folder, number: &str) -> Result<Self, ReadError> {
        let mut kilohertz = [None; FILES.len()];
        for (place, file) in kilohertz.iter_mut().zip(FILES) {
            *place = shown(folder.whole(file))?;
        }
        let governor = shown(folder.text("scaling_governor"))?.unwrap_or_default();
        let available = shown(folder.text("scaling_available_governors"))?.unwrap_or_default();
        let mut governors = Vec::new();
        if !governor.is_empty() {
            for name in available.split(|&byte| byte == b' ') {
                let labels = Labels::new([("cpu", number.as_bytes()), ("governor", name)]);
                governors.push((labels, name == governor));
            }
        }
        Ok(Self { labels: Labels::new([("cpu", number)]), kilohertz, governors })
    }
}

impl Collector for Cpufreq {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.cpus.clear();
        for (name, number) in self.folder.numbered("cpu")? {
            let folder = self.folder.folder(&name).folder("cpufreq");
            // A CPU that is offline, or one of a virtual machine.
            if folder.path().is_dir() {
                self.cpus.push(Cpu::read(&folder, &number)?);
            }
        }
        for (index, family) in FAMILIES.iter().enumerate() {
            let mut samples = page.family(family);
            for cpu in &self.cpus {
                if let Some(Some(kilohertz)) = cpu.kilohertz.get(index) {
                    samples.sample(&cpu.labels, *kilohertz as f64 * 1000.0);
                }
            }
        }
        let mut samples = page.family(&GOVERNOR);
        for (labels, is_used) in self.cpus.iter().flat_map(|cpu| &cpu.governors) {
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
                ("scaling_available_governors", "performance powersave \n"),
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
