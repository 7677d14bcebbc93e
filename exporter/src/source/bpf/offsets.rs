//! What the kernel half must be told of the kernel's structs before it is loaded.

use exporter_common::names::offset;

use super::btf::{Btf, BtfError};

/// Where the kernel describes its own types.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Byte offsets by the names of the kernel half's constants, and whether the subject's are complete.
#[derive(Debug, Clone, Default)]
pub struct Offsets {
    values: Vec<(&'static str, u64)>,
    /// Why `cpu` cannot run, if so.
    pub cpu: Option<BtfError>,
    /// Why `life` cannot run, if so.
    pub life: Option<BtfError>,
}

/// A member: the constant's name, the struct, the path in it, bytes the program loads there.
type Wanted = (&'static str, &'static str, &'static str, u32);

const SHARED: [Wanted; 4] = [
    (offset::CGROUP_KN, "cgroup", "kn", 8),
    (offset::KN_ID, "kernfs_node", "id", 8),
    (offset::CGROUP_ROOT, "cgroup", "root", 8),
    (offset::ROOT_HIERARCHY, "cgroup_root", "hierarchy_id", 4),
];
const TASK: [Wanted; 4] = [
    (offset::TASK_PID, "task_struct", "pid", 4),
    (offset::TASK_RUNTIME, "task_struct", "se.sum_exec_runtime", 8),
    (offset::TASK_SLICE_START, "task_struct", "se.prev_sum_exec_runtime", 8),
    (offset::TASK_CGROUPS, "task_struct", "cgroups", 8),
];
const LIFE: [Wanted; 1] = [(offset::CGROUP_LEVEL, "cgroup", "level", 4)];

impl Offsets {
    /// Looks up all that the programs need; `hierarchy` 0 is cgroup v2.
    pub fn read(btf: &Btf<'_>, hierarchy: u32) -> Self {
        let mut found = Self::default();
        let shared = found.fill(btf, &SHARED);
        let task = found
            .fill(btf, &TASK)
            .and_then(|()| found.state(btf))
            .and_then(|()| if hierarchy == 0 { found.default_group(btf) } else { found.cpuacct(btf) });
        let life = found.fill(btf, &LIFE);
        found.cpu = shared.clone().and(task).err();
        found.life = shared.and(life).err();
        found
    }

    /// What is known when the kernel's types cannot be read for `error`.
    pub fn none(error: &BtfError) -> Self {
        Self { values: Vec::new(), cpu: Some(error.clone()), life: Some(error.clone()) }
    }

    /// The constants to set. A member that was not found is 0: its program is then not loaded.
    pub fn values(&self) -> &[(&'static str, u64)] {
        &self.values
    }

    /// Puts `value` in place of what was looked up. For tests of what a wrong offset leads to.
    pub fn poison(&mut self, name: &'static str, value: u64) {
        self.values.retain(|(known, _)| *known != name);
        self.values.push((name, value));
    }

    fn fill(&mut self, btf: &Btf<'_>, wanted: &[Wanted]) -> Result<(), BtfError> {
        for (name, of, path, size) in wanted {
            let member = btf.member(of, path)?;
            if member.size != *size {
                return Err(BtfError::NoMember(format!("{of}.{path} of {size} bytes")));
            }
            self.values.push((name, member.offset.into()));
        }
        Ok(())
    }

    /// Renamed in 5.14, when it also shrank from 8 bytes to 4: the low half holds all states of either.
    fn state(&mut self, btf: &Btf<'_>) -> Result<(), BtfError> {
        let state = btf.member("task_struct", "__state").or_else(|_| btf.member("task_struct", "state"))?;
        self.values.push((offset::TASK_STATE, state.offset.into()));
        Ok(())
    }

    fn default_group(&mut self, btf: &Btf<'_>) -> Result<(), BtfError> {
        self.fill(btf, &[(offset::CSS_SET_DEFAULT, "css_set", "dfl_cgrp", 8)])
    }

    /// The subsystems are numbered by the kernel's configuration.
    fn cpuacct(&mut self, btf: &Btf<'_>) -> Result<(), BtfError> {
        let all = btf.member("css_set", "subsys")?;
        let at = btf.enum_value("cgroup_subsys_id", "cpuacct_cgrp_id")?.saturating_mul(8);
        if at.saturating_add(8) > all.size {
            return Err(BtfError::NoMember("css_set.subsys[cpuacct]".to_owned()));
        }
        self.values.push((offset::CSS_SET_CPUACCT, u64::from(all.offset) + u64::from(at)));
        self.fill(btf, &[(offset::CSS_CGROUP, "cgroup_subsys_state", "cgroup", 8)])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_kernel_without_the_types_is_said_to_lack_them() {
        // A sound blob that describes nothing: header, no types, the empty string.
        let mut blob = vec![0x9f, 0xeb, 1, 0];
        blob.extend([24u32, 0, 0, 0, 1].iter().flat_map(|w| w.to_le_bytes()));
        blob.push(0);
        let btf = Btf::parse(&blob).unwrap();
        for hierarchy in [0, 2] {
            let offsets = Offsets::read(&btf, hierarchy);
            assert_eq!(offsets.cpu, Some(BtfError::NoType("cgroup".to_owned())));
            assert_eq!(offsets.life, Some(BtfError::NoType("cgroup".to_owned())));
            assert!(offsets.values().is_empty());
        }
    }

    #[test]
    fn this_kernel_is_read_in_full_and_v1_differs_from_v2() {
        let Ok(blob) = std::fs::read(VMLINUX) else { return };
        let btf = Btf::parse(&blob).unwrap();
        let [v2, v1] = [0, 2].map(|hierarchy| Offsets::read(&btf, hierarchy));
        assert_eq!((&v2.cpu, &v2.life), (&None, &None));
        let has = |offsets: &Offsets, name| offsets.values().iter().any(|(known, _)| *known == name);
        assert!(has(&v2, offset::CSS_SET_DEFAULT) && !has(&v2, offset::CSS_SET_CPUACCT));
        assert!(v1.cpu.is_some() || has(&v1, offset::CSS_SET_CPUACCT));
    }

    #[test]
    fn a_poisoned_offset_replaces_the_true_one() {
        let mut offsets = Offsets { values: vec![("A", 1), ("B", 2)], cpu: None, life: None };
        offsets.poison("A", 9);
        assert_eq!(offsets.values(), [("B", 2), ("A", 9)]);
    }
}
