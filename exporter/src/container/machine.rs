//! The machine: its processors and its memory.

use std::path::{Path, PathBuf};

use super::group::GroupDescriptor;
use crate::{
    config::Paths,
    metric::{Family, Labels, Page},
    source::{
        cgroup::spec::MachineMemory,
        file::{KeptFile, Serves},
        text,
    },
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "machine",
    summary: "processors and memory of the machine",
    reads: "/proc/meminfo, /sys/devices/system/cpu/online",
    families: &[&CPU_CORES, &MEMORY],
};

static CPU_CORES: Family = Family::gauge("machine_cpu_cores", "Processors that are online.");
static MEMORY: Family = Family::gauge("machine_memory_bytes", "Memory of the machine, in bytes.");

const KIBIBYTE: u64 = 1_024;

/// What is known of the machine.
#[derive(Debug)]
pub struct Machine {
    labels: Labels,
    online: KeptFile,
    meminfo: KeptFile,
    stat: PathBuf,
}

impl Machine {
    /// Looks up what names the machine.
    pub fn new(paths: &Paths) -> Self {
        Self {
            labels: labels(paths),
            online: KeptFile::new(paths.sysfs.join("devices/system/cpu/online"), Serves::Whole),
            meminfo: KeptFile::new(paths.procfs.join("meminfo"), Serves::Whole),
            stat: paths.procfs.join("stat"),
        }
    }

    /// When the machine was started, in seconds since 1970, rounded down to the minute.
    pub fn boot_time(&self) -> i64 {
        let stat = std::fs::read(&self.stat).unwrap_or_default();
        let time = text::keyed(&stat, b"btime").and_then(|time| i64::try_from(time).ok()).unwrap_or(0);
        time - time % 60
    }

    /// Memory now, and how much swap is in use.
    pub fn memory(&mut self) -> Option<(MachineMemory, u64)> {
        let file = self.meminfo.read().ok()?;
        let figure = |key| meminfo(file, key);
        let (total, swap) = (figure(b"MemTotal:")?, figure(b"SwapTotal:").unwrap_or(0));
        Some((MachineMemory { total, swap }, swap.saturating_sub(figure(b"SwapFree:").unwrap_or(0))))
    }

    /// Writes the group.
    pub fn write(&mut self, page: &mut Page, memory: Option<MachineMemory>) {
        if let Some(count) = self.online.read().ok().and_then(count_of_list) {
            page.family(&CPU_CORES).sample(&self.labels, count);
        }
        if let Some(memory) = memory {
            page.family(&MEMORY).sample(&self.labels, memory.total);
        }
    }
}

fn meminfo(file: &[u8], key: &[u8]) -> Option<u64> {
    let rest = text::lines(file).find_map(|line| line.strip_prefix(key))?;
    text::whole(text::fields(rest).next()?)?.checked_mul(KIBIBYTE)
}

/// How many numbers `0-3,7` holds.
fn count_of_list(list: &[u8]) -> Option<u64> {
    list.trim_ascii().split(|&byte| byte == b',').try_fold(0_u64, |count, range| {
        let mut ends = range.splitn(2, |&byte| byte == b'-').map(text::whole);
        let first = ends.next()??;
        let last = ends.next().unwrap_or(Some(first))?;
        count.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

fn labels(paths: &Paths) -> Labels {
    let first = |files: &[PathBuf]| files.iter().find_map(|file| word(file)).unwrap_or_default();
    let root = |file: &str| paths.rootfs.join(file);
    let machine_id = [root("etc/machine-id"), root("var/lib/dbus/machine-id")];
    let uuid = [
        paths.sysfs.join("class/dmi/id/product_uuid"),
        paths.procfs.join("device-tree/system-id"),
        paths.procfs.join("device-tree/vm,uuid"),
        root("etc/machine-id"),
    ];
    let mut labels = Labels::default();
    for (name, value) in [
        ("boot_id", first(&[paths.procfs.join("sys/kernel/random/boot_id")])),
        ("machine_id", first(&machine_id)),
        ("system_uuid", first(&uuid)),
    ] {
        if !value.is_empty() {
            labels.push(name, &value);
        }
    }
    labels
}

fn word(file: &Path) -> Option<Vec<u8>> {
    let content = std::fs::read(file).ok()?;
    // A device tree's strings end with a zero byte.
    let text = content.strip_suffix(b"\0").unwrap_or(&content).trim_ascii();
    (!text.is_empty()).then(|| text.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_from_ranges() {
        for (list, count) in [
            (&b"0\n"[..], Some(1)),
            (b"0-1\n", Some(2)),
            (b"0-3,7,9-10\n", Some(7)),
            (b"\n", None),
            (b"3-1", None),
            (b"0-18446744073709551615", None),
        ] {
            assert_eq!(count_of_list(list), count, "{list:?}");
        }
    }

    #[test]
    fn memory_is_told_in_kibibytes() {
        let file = b"MemTotal:        1000 kB\nMemFree: 1 kB\nSwapTotal:   20 kB\n";
        assert_eq!(meminfo(file, b"MemTotal:"), Some(1_024_000));
        assert_eq!(meminfo(file, b"SwapTotal:"), Some(20_480));
        assert_eq!(meminfo(file, b"SwapFree:"), None);
    }
}
