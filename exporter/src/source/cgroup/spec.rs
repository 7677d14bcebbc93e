//! A cgroup's limits, read when they can have changed.

use std::path::Path;

use super::{CgroupPath, Layout, Place};
use crate::source::text;

/// Above this a limit of version 1 means none.
const UNLIMITED: u64 = 1 << 62;

/// A cgroup's limits; a part is missing where its controller is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// CPU time.
    pub cpu: Option<CpuSpec>,
    /// Memory.
    pub memory: Option<MemorySpec>,
}

/// Limits of CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuSpec {
    /// The quota's period in microseconds.
    pub period: u64,
    /// CPU time a period in microseconds; none if unlimited.
    pub quota: Option<u64>,
    /// The weight, on version 1's scale (1,024 is the default).
    pub shares: u64,
}

/// Limits of memory in bytes; none if unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemorySpec {
    /// Of memory.
    pub limit: Option<u64>,
    /// Of memory and swap together in version 1, of swap alone in version 2.
    pub swap_limit: Option<u64>,
    /// What is guaranteed or softly limited.
    pub reservation: Option<u64>,
}

/// The machine's memory, which the root cgroup shows for its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineMemory {
    /// All memory in bytes.
    pub total: u64,
    /// All swap in bytes.
    pub swap: u64,
}

impl Spec {
    /// Reads the limits of a cgroup. Root: the machine's memory.
    pub fn read(layout: &Layout, path: &CgroupPath, machine: MachineMemory) -> Self {
        let directory = |place: Option<Place>| {
            let place = place?;
            Some((layout.hierarchy(place)?.directory(path), Some(place) == layout.unified))
        };
        let cpu = directory(layout.cpu).and_then(|(directory, unified)| match unified {
            true if path.is_root() => Some(CpuSpec::default()),
            true => cpu(&directory),
            false => cpu_v1(&directory),
        });
        let memory = match directory(layout.memory) {
            Some(_) if path.is_root() => Some(MemorySpec {
                limit: Some(machine.total),
                swap_limit: Some(machine.swap),
                reservation: None,
            }),
            Some((directory, true)) => memory(&directory, machine),
            Some((directory, false)) => memory_v1(&directory, machine),
            None => None,
        };
        Self { cpu, memory }
    }

    /// Whether a CPU quota is set.
    pub fn has_quota(&self) -> bool {
        self.cpu.is_some_and(|cpu| cpu.quota.is_some())
    }

    /// The limit of memory; none if there is none.
    pub fn memory_limit(&self) -> Option<u64> {
        self.memory?.limit
    }
}

fn read(directory: &Path, name: &str) -> Option<Vec<u8>> {
    std::fs::read(directory.join(name)).ok()
}

fn cpu_v1(directory: &Path) -> Option<CpuSpec> {
    let number = |name| text::only(&read(directory, name)?);
    let shares = number("cpu.shares")?;
    // Without CONFIG_CFS_BANDWIDTH the other two files are missing; "-1" is no quota.
    Some(CpuSpec {
        period: number("cpu.cfs_period_us").unwrap_or(0),
        quota: number("cpu.cfs_quota_us").filter(|&quota| quota > 0),
        shares,
    })
}

fn cpu(directory: &Path) -> Option<CpuSpec> {
    let weight = text::only(&read(directory, "cpu.weight")?)?;
    let (quota, period) = read(directory, "cpu.max").as_deref().map_or((None, 0), cpu_max);
    Some(CpuSpec { period, quota, shares: shares(weight) })
}

/// Quota and period of `cpu.max`.
fn cpu_max(file: &[u8]) -> (Option<u64>, u64) {
    let mut fields = text::fields(file.trim_ascii());
    let quota = fields.next().and_then(text::whole).filter(|&quota| quota > 0);
    (quota, fields.next().and_then(text::whole).unwrap_or(0))
}

/// A weight of 1 to 10,000 on the older scale of 2 to 262,144.
fn shares(weight: u64) -> u64 {
    weight.saturating_sub(1).saturating_mul(262_142) / 9_999 + 2
}

fn memory_v1(directory: &Path, machine: MachineMemory) -> Option<MemorySpec> {
    let other = |name| limit(&read(directory, name)?);
    Some(MemorySpec {
        limit: memory_limit(&read(directory, "memory.limit_in_bytes")?, machine),
        swap_limit: other("memory.memsw.limit_in_bytes"),
        reservation: other("memory.soft_limit_in_bytes"),
    })
}

fn memory(directory: &Path, machine: MachineMemory) -> Option<MemorySpec> {
    let other = |name| limit(&read(directory, name)?);
    Some(MemorySpec {
        limit: memory_limit(&read(directory, "memory.max")?, machine),
        swap_limit: other("memory.swap.max"),
        reservation: other("memory.min"),
    })
}

/// A limit of 0 is shown as the whole machine, as the reference does.
fn memory_limit(file: &[u8], machine: MachineMemory) -> Option<u64> {
    limit(file).map(|limit| if limit == 0 { machine.total } else { limit })
}

/// `max`, or more than any machine has, is no limit.
fn limit(file: &[u8]) -> Option<u64> {
    text::only(file).filter(|&limit| limit <= UNLIMITED)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::cgroup::{Mode, layout::Hierarchy};

    const MACHINE: MachineMemory = MachineMemory { total: 8 << 30, swap: 1 << 30 };

    fn with_files(test: &str, files: &[(&str, &str)], check: impl FnOnce(&Path)) {
        let directory = std::env::temp_dir().join(format!("nodetally-spec-{test}-{}", std::process::id()));
        for (name, content) in files {
            let file = directory.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        check(&directory);
        std::fs::remove_dir_all(directory).unwrap();
    }

    fn v2(mount: &Path) -> Layout {
        Layout {
            mode: Mode::V2,
            hierarchies: vec![Hierarchy { id: 0, mount: mount.into(), top: Some(b"/".into()) }],
            cpu: Some(0),
            cpuacct: Some(0),
            memory: Some(0),
            unified: Some(0),
            beside: Vec::new(),
            partial: false,
        }
    }

    fn v1(mount: &Path) -> Layout {
        let hierarchy = |id, name| Hierarchy { id, mount: mount.join(name), top: Some(b"/".into()) };
        Layout {
            mode: Mode::V1,
            hierarchies: vec![hierarchy(1, "cpu"), hierarchy(4, "memory")],
            cpu: Some(0),
            cpuacct: None,
            memory: Some(1),
            unified: None,
            beside: Vec::new(),
            partial: false,
        }
    }

    #[test]
    fn limits_of_version_2() {
        let files = [
            ("a/cpu.max", "20000 100010\n"),
            ("a/cpu.weight", "50\n"),
            ("a/memory.max", "1048576\n"),
            ("a/memory.swap.max", "0\n"),
            ("a/memory.min", "max\n"),
            ("b/memory.max", "max\n"),
            ("b/cpu.max", "max 100000\n"),
            ("b/cpu.weight", "100\n"),
            ("c/cpu.stat", ""),
        ];
        with_files("v2", &files, |mount| {
            let read = |path: &[u8]| Spec::read(&v2(mount), &CgroupPath::new(path), MACHINE);
            let a = read(b"/a");
            assert_eq!(a.cpu, Some(CpuSpec { period: 100_010, quota: Some(20_000), shares: 1_286 }));
            let memory = MemorySpec { limit: Some(1 << 20), swap_limit: Some(0), reservation: None };
            assert_eq!(a.memory, Some(memory));
            let b = read(b"/b");
            assert_eq!(b.cpu, Some(CpuSpec { period: 100_000, quota: None, shares: 2_597 }));
            assert_eq!(b.memory, Some(MemorySpec::default()));
            assert_eq!(read(b"/c"), Spec::default());
            let root = read(b"/");
            assert_eq!(root.cpu, Some(CpuSpec::default()));
            assert_eq!(
                (root.memory_limit(), root.memory.unwrap().swap_limit),
                (Some(8 << 30), Some(1 << 30))
            );
        });
    }

    #[test]
    fn limits_of_version_1() {
        let files = [
            ("cpu/a/cpu.cfs_period_us", "100000\n"),
            ("cpu/a/cpu.cfs_quota_us", "-1\n"),
            ("cpu/a/cpu.shares", "1024\n"),
            ("memory/a/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/a/memory.memsw.limit_in_bytes", "2097152\n"),
            ("memory/b/memory.limit_in_bytes", "0\n"),
        ];
        with_files("v1", &files, |mount| {
            let read = |path: &[u8]| Spec::read(&v1(mount), &CgroupPath::new(path), MACHINE);
            let a = read(b"/a");
            assert_eq!(a.cpu, Some(CpuSpec { period: 100_000, quota: None, shares: 1_024 }));
            assert!(!a.has_quota());
            let memory = MemorySpec { limit: None, swap_limit: Some(2 << 20), reservation: None };
            assert_eq!(a.memory, Some(memory));
            assert_eq!(
                read(b"/b"),
                Spec {
                    cpu: None,
                    memory: Some(MemorySpec { limit: Some(8 << 30), ..MemorySpec::default() })
                }
            );
        });
    }

    #[test]
    fn weights_on_the_older_scale() {
        for (weight, expected) in [(1, 2), (39, 998), (50, 1_286), (100, 2_597), (10_000, 262_144), (0, 2)] {
            assert_eq!(shares(weight), expected);
        }
    }
}
