//! What `/proc/cpuinfo` says of the CPUs, for those who ask for it.

use std::collections::HashSet;

use procfs::{CpuInfo, FromBufRead};
use regex::Regex;

use crate::{
    collector::Failure,
    config::{ConfigError, FlagValues, pattern},
    metric::{Labels, Page},
    source::file::{KeptFile, Serves},
};

/// The labels of `node_cpu_info`, and the file's names for them.
const INFO: [(&str, &str); 10] = [
    ("cachesize", "cache size"),
    ("core", "core id"),
    ("cpu", "processor"),
    ("family", "cpu family"),
    ("microcode", "microcode"),
    ("model", "model"),
    ("model_name", "model name"),
    ("package", "physical id"),
    ("stepping", "stepping"),
    ("vendor", "vendor_id"),
];

/// Whether the cpufreq collector is meant to run: on unless told otherwise. The frequency is shown only with it.
fn with_cpufreq(flags: &FlagValues) -> bool {
    let flag = "collector.cpufreq";
    if flags.is_given(flag) { flags.is_on(flag) } else { !flags.is_on("collector.disable-defaults") }
}

pub(super) struct Info {
    file: KeptFile,
    frequency: bool,
    flags: Option<Regex>,
    bugs: Option<Regex>,
}

impl Info {
    /// `None` unless one of its flags is given: a pattern turns it on too.
    pub fn from_flags(flags: &FlagValues, procfs: &std::path::Path) -> Result<Option<Self>, ConfigError> {
        let regex = |name| pattern(name, flags.text(name));
        let info = Self {
            file: KeptFile::new(procfs.join("cpuinfo"), Serves::Records),
            frequency: with_cpufreq(flags),
            flags: regex(super::FLAGS_INCLUDE)?,
            bugs: regex(super::BUGS_INCLUDE)?,
        };
        let wanted = flags.is_on(super::INFO_FLAG) || info.flags.is_some() || info.bugs.is_some();
        Ok(wanted.then_some(info))
    }

    pub fn write(&mut self, page: &mut Page) -> Result<(), Failure> {
        let text = self.file.read()?;
        let unreadable = || Failure::unreadable(std::path::Path::new("/proc/cpuinfo"), "one block per CPU");
        // The crate panics on some texts that have no block.
        if !text.starts_with(b"processor") {
            return Err(unreadable());
        }
        let cpus = CpuInfo::from_buf_read(text).map_err(|_| unreadable())?;
        let field = |cpu, name| cpus.get_field(cpu, name).unwrap_or_default();
        let mut seen = HashSet::new();
        let shown: Vec<usize> =
            (0..cpus.num_cores()).filter(|cpu| seen.insert(field(*cpu, "processor"))).collect();
        let mut samples = page.family(&super::INFO);
        for &cpu in &shown {
            samples.sample(&Labels::new(INFO.map(|(label, name)| (label, field(cpu, name)))), 1_u64);
        }
        if self.frequency {
            let mut samples = page.family(&super::FREQUENCY);
            for &cpu in &shown {
                let labels = [("core", "core id"), ("cpu", "processor"), ("package", "physical id")]
                    .map(|(label, name)| (label, field(cpu, name)));
                let megahertz: f64 = field(cpu, "cpu MHz").parse().unwrap_or_default();
                samples.sample(&Labels::new(labels), megahertz * 1e6);
            }
        }
        for (family, wanted, label, name) in
            [(&super::FLAG_INFO, &self.flags, "flag", "flags"), (&super::BUG_INFO, &self.bugs, "bug", "bugs")]
        {
            let Some(wanted) = wanted else { continue };
            let mut words: Vec<&str> =
                field(0, name).split_whitespace().filter(|word| wanted.is_match(word)).collect();
            words.sort_unstable();
            words.dedup();
            let mut samples = page.family(family);
            for word in words {
                samples.sample(&Labels::new([(label, word)]), 1_u64);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Asked, parse};

    fn page(cpuinfo: &str) -> Result<String, Failure> {
        let file = std::env::temp_dir().join(format!("nodetally-cpuinfo-{}", std::process::id()));
        std::fs::write(&file, cpuinfo).expect("writes");
        let mut page = Page::default();
        let file_read = KeptFile::new(&file, Serves::Records);
        let result = Info { file: file_read, frequency: true, flags: None, bugs: None }.write(&mut page);
        std::fs::remove_file(&file).expect("removes");
        result.map(|()| String::from_utf8(page.text().to_vec()).expect("a page is UTF-8"))
    }

    #[test]
    fn no_cpu_comes_twice_and_nonsense_is_a_failure() {
        let text = page("processor\t: 0\ncpu MHz\t\t: 800.5\n\nprocessor\t: 0\n\n\nprocessor\t: 1\n")
            .expect("reads");
        assert_eq!(text.matches("node_cpu_info{").count(), 2, "{text}");
        assert!(text.contains(r#"node_cpu_frequency_hertz{core="",cpu="0",package=""} 8.005e+08"#), "{text}");
        for bad in ["", "\n\n", "no sense", ":\n"] {
            page(bad).expect_err(bad);
        }
    }

    #[test]
    fn the_frequency_goes_with_cpufreq_and_patterns_turn_info_on() {
        let info = |line: &str| {
            let Ok(Asked::Run(flags)) = parse(line.split_whitespace().map(str::to_owned)) else {
                panic!("{line}: refused");
            };
            Info::from_flags(&flags, std::path::Path::new("/proc")).expect(line).map(|info| info.frequency)
        };
        assert_eq!(info(""), None);
        assert_eq!(info("--collector.cpu.info"), Some(true));
        assert_eq!(info("--collector.cpu.info.bugs-include=x --collector.disable-defaults"), Some(false));
    }
}
