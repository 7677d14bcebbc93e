//! The flags: which events, which CPUs, which tracepoints.

use std::{collections::BTreeSet, path::Path};

use super::events::Known;
use crate::{
    config::{ConfigError, FlagValues},
    source::{cpu::MOST, file::ReadError, text},
};

/// The events that the flag names; all of them if it is not given or, as in the reference, names none that is known.
pub fn chosen(flags: &FlagValues, flag: &str, all: &'static [Known]) -> Vec<&'static Known> {
    let named: BTreeSet<&str> = flags.many(flag).collect();
    let chosen: Vec<_> = all.iter().filter(|known| named.contains(known.name)).collect();
    if chosen.is_empty() { all.iter().collect() } else { chosen }
}

/// The CPUs in a list such as `0,4-7,8-31:2`, where the number after the colon is the step; `None` for an empty one,
/// which stands for every CPU.
///
/// # Errors
/// Anything else, and CPUs beyond those that a kernel can have.
pub fn cpus(flag: &str, list: &str) -> Result<Option<BTreeSet<u32>>, ConfigError> {
    if list.is_empty() {
        return Ok(None);
    }
    let mut cpus = BTreeSet::new();
    for part in list.split(',') {
        let range = range(part).ok_or_else(|| {
            ConfigError::flag(flag, list, format!("{part:?} is neither CPU nor FIRST-LAST[:STEP]"))
        })?;
        cpus.extend(range);
    }
    Ok(Some(cpus))
}

fn range(part: &str) -> Option<impl Iterator<Item = u32>> {
    let number = |text: &str| text::whole(text.as_bytes()).filter(|number| *number < MOST);
    let (first, last, step) = match part.split_once('-') {
        None => (number(part)?, number(part)?, 1),
        Some((first, rest)) => {
            let (last, step) = rest.split_once(':').unwrap_or((rest, "1"));
            (number(first)?, number(last)?, number(step).filter(|step| *step > 0)?)
        }
    };
    let step = usize::try_from(step).ok()?;
    Some((first..=last).step_by(step).filter_map(|cpu| u32::try_from(cpu).ok()))
}

/// A tracepoint that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracepoint {
    /// `sched:sched_switch`, as it was typed.
    pub typed: String,
    /// `sched_sched_switch`.
    pub name: String,
    /// The kernel's number for it.
    pub id: u64,
}

/// The tracepoints that the flag names, each once.
///
/// # Errors
/// One that is not of the form `SUBSYSTEM:EVENT`, that the kernel does not have, or whose number may not be read.
pub fn tracepoints(flags: &FlagValues, flag: &str, sysfs: &Path) -> Result<Vec<Tracepoint>, ConfigError> {
    let mut found: Vec<Tracepoint> = Vec::new();
    for typed in flags.many(flag) {
        let is_name = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        let (subsystem, event) = typed
            .split_once(':')
            .filter(|(subsystem, event)| is_name(subsystem) && is_name(event))
            .ok_or_else(|| ConfigError::flag(flag, typed, "expected SUBSYSTEM:EVENT"))?;
        let id = id(sysfs, subsystem, event).map_err(|error| ConfigError::flag(flag, typed, error))?;
        let name = format!("{subsystem}_{event}");
        if found.iter().all(|other| other.name != name) {
            found.push(Tracepoint { typed: typed.to_owned(), name, id });
        }
    }
    Ok(found)
}

fn id(sysfs: &Path, subsystem: &str, event: &str) -> Result<u64, String> {
    let mut first = None;
    for place in ["kernel/tracing", "kernel/debug/tracing"] {
        let path = sysfs.join(place).join("events").join(subsystem).join(event).join("id");
        match std::fs::read(&path) {
            Ok(bytes) => {
                return text::only(&bytes).ok_or_else(|| format!("{}: expected a number", path.display()));
            }
            Err(error) => {
                first.get_or_insert(ReadError { operation: "open", path, error });
            }
        }
    }
    Err(first.map_or_else(String::new, |error| error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{
        config::{Asked, parse},
        node::{
            processor::perf::events::{CACHE, HARDWARE, SOFTWARE},
            sysfs_test::Root,
        },
    };

    fn flags(line: &str) -> FlagValues {
        let Ok(Asked::Run(flags)) = parse(line.split_whitespace().map(str::to_owned)) else {
            panic!("{line}")
        };
        flags
    }

    #[test]
    fn lists_have_cpus_ranges_and_steps() {
        let read = |list: &str| cpus("f", list).unwrap().map(|cpus| cpus.into_iter().collect::<Vec<_>>());
        assert_eq!(read(""), None);
        assert_eq!(read("0,2-4,3"), Some(vec![0, 2, 3, 4]));
        assert_eq!(read("1-10:5"), Some(vec![1, 6]));
        assert_eq!(read("1-0"), Some(vec![]));
        for bad in [
            "a",
            "-1",
            "0:1",
            "1-",
            "1-2-3",
            "0-3:0",
            "0-3:-1",
            "0-3:1:1",
            ",",
            "0, 1",
            "99999999999",
            "0-8192",
        ] {
            let error = cpus("collector.perf.cpus", bad).unwrap_err().to_string();
            assert!(error.contains("collector.perf.cpus"), "{error}");
        }
    }

    #[test]
    fn events_are_chosen_by_name() {
        let names = |line: &str, flag: &str, all| {
            chosen(&flags(line), flag, all).into_iter().map(|known| known.name).collect::<Vec<_>>()
        };
        let flag = "collector.perf.software-profilers";
        assert_eq!(names("", flag, &SOFTWARE).len(), 5);
        let two = format!("--{flag}=MinorFault --{flag}=PageFault --{flag}=Nonsense");
        assert_eq!(names(&two, flag, &SOFTWARE), ["PageFault", "MinorFault"]);
        assert_eq!(names(&format!("--{flag}=Nonsense"), flag, &SOFTWARE).len(), 5);
        assert_eq!(names("", "collector.perf.hardware-profilers", &HARDWARE).len(), 9);
        assert_eq!(names("", "collector.perf.cache-profilers", &CACHE).len(), 16);
    }

    #[test]
    fn tracepoints_are_looked_up() {
        let root = Root::new("tracepoints");
        root.write("kernel/debug/tracing/events/sched/sched_switch/id", "311\n");
        root.write("kernel/tracing/events/sched/broken/id", "x\n");
        let flag = "collector.perf.tracepoint";
        let read = |typed: &str| {
            tracepoints(&flags(&format!("--{flag}={typed} --{flag}={typed}")), flag, root.path())
        };
        let found = read("sched:sched_switch").unwrap();
        let expected =
            Tracepoint { typed: "sched:sched_switch".into(), name: "sched_sched_switch".into(), id: 311 };
        assert_eq!(found, [expected]);
        for bad in ["sched", "sched:", ":x", "a:b:c", "sched:nope", "sched:broken", "../sched:x", "sched:a/b"]
        {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains(flag) && error.contains(bad), "{error}");
        }
    }
}
