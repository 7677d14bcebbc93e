//! The mounts that are shown, with their labels; made anew only when the list of mounts has changed.

use std::{
    collections::{HashMap, HashSet},
    ffi::CString,
    path::Path,
};

use rustix::io::Errno;

use super::errno;
use crate::{
    config::Filter,
    metric::Labels,
    source::{
        mount::{self, HostRoot, Space},
        statfs::Place,
    },
};

/// Which mounts are shown, and under which names.
#[derive(Debug)]
pub(super) struct Rules {
    pub points: Filter,
    pub fstypes: Filter,
    pub root: HostRoot,
}

impl Rules {
    pub fn new(points: Filter, fstypes: Filter, rootfs: &Path) -> Self {
        Self { points, fstypes, root: HostRoot::new(rootfs) }
    }

    fn show(&self, point: &[u8], fstype: &[u8]) -> bool {
        self.points.keeps(&String::from_utf8_lossy(point))
            && self.fstypes.keeps(&String::from_utf8_lossy(fstype))
    }
}

/// A mount that is shown.
#[derive(Debug)]
pub(super) struct Mount {
    device: Vec<u8>,
    point: Vec<u8>,
    fstype: Vec<u8>,
    /// Where it is seen from here.
    path: CString,
    /// The number of the mount that the path leads to: the last one there.
    id: Vec<u8>,
    readonly: bool,
    /// The labels of all families but `node_filesystem_mount_info`.
    pub labels: Labels,
    /// The labels of that one: more than one where mounts of the same name lie upon each other.
    pub infos: Vec<Labels>,
    /// The answer of the last statfs; its error is part of the labels.
    answer: Result<Space, Trouble>,
}

/// Why a mount has no figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It says so.
    Error(Errno),
    /// It has not answered yet.
    Stuck,
}

impl Trouble {
    /// As the reference calls it.
    fn text(self) -> String {
        match self {
            Self::Error(errno) => errno::text(errno),
            Self::Stuck => "mountpoint timeout".to_owned(),
        }
    }
}

impl Mount {
    /// What is asked for its space.
    pub fn place(&self) -> Place<'_> {
        Place { path: &self.path, id: &self.id, fstype: &self.fstype }
    }

    /// The space it has; `None` while statfs fails.
    pub fn space(&self) -> Option<&Space> {
        self.answer.as_ref().ok()
    }

    /// Whether it cannot be written. The reference says no of one that does not answer.
    pub fn is_readonly(&self) -> bool {
        self.readonly && self.answer != Err(Trouble::Stuck)
    }

    /// Takes in what statfs said.
    pub fn take(&mut self, answer: Result<Space, Trouble>) {
        if answer.err() != self.answer.err() {
            self.labels = self.labels_with(&answer.err().map(Trouble::text).unwrap_or_default());
        }
        self.answer = answer;
    }

    fn labels_with(&self, error: &str) -> Labels {
        Labels::new([
            ("device", self.device.as_slice()),
            ("device_error", error.as_bytes()),
            ("fstype", &self.fstype),
            ("mountpoint", &self.point),
        ])
    }
}

/// The mounts to show, each series once: of mounts that are named alike the first counts.
pub(super) fn shown(mountinfo: &[u8], rules: &Rules) -> Vec<Mount> {
    let tops: HashMap<_, _> = mount::mounts(mountinfo).map(|mount| (mount.point, mount.id)).collect();
    let mut places = HashMap::new();
    let mut infos = HashSet::new();
    let mut shown: Vec<Mount> = Vec::new();
    for found in mount::mounts(mountinfo) {
        // The reference leaves other escapes in the name as they are; its path must be the real one.
        let named = mount::unescape(found.point, |byte| byte == b' ' || byte == b'\t');
        let point = rules.root.name(&named);
        if !rules.show(point, found.fstype) {
            continue;
        }
        let real = mount::unescape(found.point, |_| true);
        let Some(path) = rules.root.path(rules.root.name(&real)) else { continue };
        let mut mount = Mount {
            device: found.device.to_vec(),
            point: point.to_vec(),
            fstype: found.fstype.to_vec(),
            path,
            id: tops.get(found.point).copied().unwrap_or(found.id).to_vec(),
            readonly: found.readonly,
            labels: Labels::EMPTY,
            infos: Vec::new(),
            answer: Err(Trouble::Stuck),
        };
        mount.labels = mount.labels_with(&Trouble::Stuck.text());
        let info = Labels::new([
            ("device", found.device),
            ("major", found.major),
            ("minor", found.minor),
            ("mountpoint", &mount.point),
        ]);
        let place = *places.entry(mount.labels.clone()).or_insert(shown.len());
        if place == shown.len() {
            shown.push(mount);
        }
        if let Some(first) = shown.get_mut(place).filter(|_| infos.insert(info.clone())) {
            first.infos.push(info);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rootfs: &str) -> Rules {
        Rules::new(Filter::default(), Filter::default(), Path::new(rootfs))
    }

    fn text(labels: &Labels) -> &str {
        str::from_utf8(labels.text()).expect("labels are UTF-8")
    }

    #[test]
    fn mounts_below_the_host_s_root_have_the_host_s_names() {
        for rootfs in ["/host", "/host/"] {
            let rules = rules(rootfs);
            let found = shown(b"1 1 8:1 / /host/srv rw - ext4 /dev/sda rw\n", &rules);
            assert_eq!(found[0].path.to_bytes(), b"/host/srv");
        }
        assert_eq!(shown(b"1 1 8:1 / / rw - ext4 d rw\n", &rules("/host"))[0].path.to_bytes(), b"/host/");
    }

    #[test]
    fn names_are_decoded_as_the_reference_does_and_paths_truly() {
        let found = shown(b"1 1 8:1 / /a\\040b\\134c rw - ext4 d rw\n", &rules("/"));
        assert_eq!(found[0].point, b"/a b\\134c");
        assert_eq!(found[0].path.to_bytes(), b"/a b\\c");
    }

    #[test]
    fn no_series_comes_twice() {
        let line = "1 1 8:1 / /srv rw - ext4 d rw\n";
        let other_options = "2 1 8:1 / /srv ro - ext4 d rw\n";
        let other_type = "3 1 8:1 / /srv rw - ext3 d rw\n";
        let other_number = "4 1 8:2 / /srv rw - ext4 d rw\n";
        let text = [line, line, other_options, other_type, other_number].concat();
        let found = shown(text.as_bytes(), &rules("/"));
        assert_eq!(found.len(), 2);
        assert!(!found[0].readonly, "the first counts");
        assert_eq!(found[0].id, b"4", "the last is the one that the path leads to");
        assert_eq!(found[0].infos.len(), 2, "two numbers");
        assert!(found[1].infos.is_empty(), "the same device, number and mount point");
        let invalid = shown(b"1 1 8:1 / /\xff rw - e d rw\n2 1 8:1 / /\xfe rw - e d rw\n", &rules("/"));
        assert_eq!(invalid.len(), 1, "both would be written with U+FFFD");
    }

    #[test]
    fn an_error_is_a_label_until_it_is_gone() {
        let mut mount = shown(b"1 1 8:1 / /srv rw - ext4 d rw\n", &rules("/")).remove(0);
        let space = Space { block_size: 1, blocks: 1, free: 1, available: 1, files: 1, files_free: 1 };
        mount.take(Err(Trouble::Error(Errno::ACCESS)));
        assert_eq!(
            text(&mount.labels),
            r#"device="d",device_error="permission denied",fstype="ext4",mountpoint="/srv""#
        );
        assert!(mount.space().is_none());
        mount.readonly = true;
        assert!(mount.is_readonly());
        mount.take(Err(Trouble::Stuck));
        assert!(text(&mount.labels).contains("device_error=\"mountpoint timeout\"") && !mount.is_readonly());
        mount.take(Ok(space));
        assert_eq!(text(&mount.labels), r#"device="d",device_error="",fstype="ext4",mountpoint="/srv""#);
        assert_eq!(mount.space(), Some(&space));
    }
}
