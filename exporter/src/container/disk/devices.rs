//! The host's mounted file systems, one for each device, and which of them holds a path.

use std::{
    collections::{HashMap, HashSet},
    ffi::CString,
    sync::Arc,
};

use super::layer::Number;
use crate::{
    container::identity,
    metric::Labels,
    source::{
        mount::{self, HostRoot, Mount},
        statfs::Place,
    },
};

/// Mounts whose parents are looked at, one within the other.
const DEEPEST: usize = 100;

/// What is mounted on the host. Made anew when the list of mounts has changed.
#[derive(Debug, Default)]
pub struct Devices {
    mountinfo: Vec<u8>,
    /// Mount points, as the host names them, and the place of each among the devices; none if its file system is of a
    /// kind that is not shown.
    points: HashMap<Vec<u8>, Option<usize>>,
    list: Vec<Device>,
}

/// A device with a file system on it.
#[derive(Debug)]
pub struct Device {
    /// The `device` label.
    pub labels: Arc<Labels>,
    path: CString,
    id: Vec<u8>,
    fstype: Vec<u8>,
}

impl Devices {
    /// Takes in a list of mounts; tells whether it is another one than before.
    pub fn take(&mut self, mountinfo: &[u8], root: &HostRoot) -> bool {
        if mountinfo == self.mountinfo {
            return false;
        }
        self.mountinfo.clear();
        self.mountinfo.extend_from_slice(mountinfo);
        self.points.clear();
        self.list.clear();
        let tree = Tree::new(mountinfo);
        let mut places = HashMap::new();
        for found in mount::mounts(mountinfo).filter(|found| tree.leads_to(found)) {
            let real = mount::unescape(found.point, |_| true);
            let point = root.name(&real).to_vec();
            let (Some(path), true) = (root.path(&point), is_shown(found.fstype)) else {
                self.points.insert(point, None);
                continue;
            };
            let name = device_name(&found, &point);
            let device = *places.entry(name).or_insert_with_key(|name| {
                let labels = Arc::new(Labels::new([("device", identity::distinct(name))]));
                let (id, fstype) = (found.id.to_vec(), found.fstype.to_vec());
                self.list.push(Device { labels, path, id, fstype });
                self.list.len() - 1
            });
            self.points.insert(point, Some(device));
        }
        true
    }

    /// All devices.
    pub fn all(&self) -> &[Device] {
        &self.list
    }

    /// The place, among all devices, of the one that holds this path of the host's.
    pub fn holding(&self, path: &[u8]) -> Option<usize> {
        let mut above = std::iter::once(path).chain(folders_above(path));
        above.find_map(|folder| self.points.get(folder).copied()).flatten()
    }

    /// Where the host has a mount of this number.
    pub fn point_of(&self, number: &Number, root: &HostRoot) -> Option<Vec<u8>> {
        let found = mount::mounts(&self.mountinfo).find(|found| is_of(found, number))?;
        let real = mount::unescape(found.point, |_| true);
        Some(root.name(&real).to_vec())
    }

    /// The host's path of a folder on the file system of this number.
    pub fn path_of(&self, number: &Number, folder: &[u8], root: &HostRoot) -> Option<Vec<u8>> {
        let tree = Tree::new(&self.mountinfo);
        let mounts = mount::mounts(&self.mountinfo).filter(|found| is_of(found, number));
        mounts.filter(|found| tree.leads_to(found)).find_map(|found| {
            let top = mount::unescape(found.folder, |_| true);
            let rest = folder.strip_prefix(top.strip_suffix(b"/").unwrap_or(&top))?;
            let real = mount::unescape(found.point, |_| true);
            let point = root.name(&real);
            let path = [point.strip_suffix(b"/").unwrap_or(point), rest].concat();
            rest.starts_with(b"/").then_some(path)
        })
    }
}

impl Device {
    /// What is asked for its space.
    pub fn place(&self) -> Place<'_> {
        Place { path: &self.path, id: &self.id, fstype: &self.fstype }
    }
}

/// What the reference calls a mount's device: where one name stands for many, it makes a name of its own.
fn device_name(mount: &Mount<'_>, point: &[u8]) -> Vec<u8> {
    match mount.fstype {
        b"tmpfs" => point.to_vec(),
        b"overlay" => {
            let source = mount::unescape(mount.device, |_| true);
            [&source, &b"_"[..], mount.major, b"-", mount.minor].concat()
        }
        _ => mount::unescape(mount.device, |_| true),
    }
}

/// Whether a file system of this type holds files on a device, a server or in memory.
fn is_shown(fstype: &[u8]) -> bool {
    let families = [&b"ext"[..], b"nfs"];
    let types: [&[u8]; 20] = [
        b"bcachefs",
        b"btrfs",
        b"erofs",
        b"exfat",
        b"f2fs",
        b"hfsplus",
        b"iso9660",
        b"jfs",
        b"msdos",
        b"nilfs2",
        b"ntfs",
        b"ntfs3",
        b"overlay",
        b"reiserfs",
        b"squashfs",
        b"tmpfs",
        b"udf",
        b"vfat",
        b"xfs",
        b"zfs",
    ];
    types.contains(&fstype) || (fstype != b"nfsd" && families.iter().any(|family| fstype.starts_with(family)))
}

fn is_of(mount: &Mount<'_>, number: &Number) -> bool {
    mount.major == number.major && mount.minor == number.minor
}

/// Which mount lies on which.
struct Tree<'a> {
    /// Where something is mounted, and in which mount.
    taken: HashSet<(&'a [u8], &'a [u8])>,
    /// Parent and mount point of each.
    parents: HashMap<&'a [u8], (&'a [u8], &'a [u8])>,
}

impl<'a> Tree<'a> {
    fn new(mountinfo: &'a [u8]) -> Self {
        let mounts = || mount::mounts(mountinfo).filter(|mount| mount.parent != mount.id);
        Self {
            taken: mounts().map(|mount| (mount.parent, mount.point)).collect(),
            parents: mounts().map(|mount| (mount.id, (mount.parent, mount.point))).collect(),
        }
    }

    /// Whether a mount's path leads to it: nothing lies upon it or upon a folder above.
    fn leads_to(&self, mount: &Mount<'_>) -> bool {
        let mut is_covered = self.taken.contains(&(mount.id, mount.point));
        let mut next = self.parents.get(mount.id);
        for _ in 0..DEEPEST {
            let Some((parent, point)) = next else { break };
            is_covered |= folders_above(point).any(|folder| self.taken.contains(&(*parent, folder)));
            next = self.parents.get(parent);
        }
        !is_covered
    }
}

/// `/a/b`, `/a` and `/` for `/a/b/c`.
fn folders_above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    ends.filter(move |_| path != b"/").filter_map(move |at| path.get(..at.max(1)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn of(mountinfo: &str) -> Devices {
        let mut devices = Devices::default();
        assert!(devices.take(mountinfo.as_bytes(), &HostRoot::new("/host".as_ref())));
        assert!(!devices.take(mountinfo.as_bytes(), &HostRoot::new("/host".as_ref())));
        devices
    }

    fn shown(devices: &Devices) -> Vec<(&str, &str)> {
        let text = |device: &Device| str::from_utf8(device.labels.text()).unwrap().len();
        assert!(devices.all().iter().all(|device| text(device) > 0));
        let pair = |device: &'_ Device| -> (&str, &str) {
            let labels = Box::leak(device.labels.text().to_vec().into_boxed_slice());
            let path = Box::leak(device.path.to_bytes().to_vec().into_boxed_slice());
            (str::from_utf8(labels).unwrap(), str::from_utf8(path).unwrap())
        };
        devices.all().iter().map(pair).collect()
    }

    #[test]
    fn one_for_each_device_of_a_kind_that_holds_files() {
        let devices = of("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
             2 1 0:5 / /proc rw - proc proc rw\n\
             3 1 8:1 /x /srv rw - ext4 /dev/sda1 rw\n\
             4 1 0:6 / /run rw - tmpfs tmpfs rw\n\
             5 4 0:7 / /run/lock rw - tmpfs tmpfs rw\n\
             6 1 0:40 / /m rw - overlay overlay rw,upperdir=/u\n\
             7 1 0:41 / /a\\040b rw - nfs4 host:/ex\\040port rw\n\
             8 2 0:42 / /proc/fs/nfsd rw - nfsd nfsd rw\n\
             9 1 0:43 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
             10 1 8:2 / /host/z rw - xfs /dev/sdb rw\n");
        assert_eq!(
            shown(&devices),
            [
                (r#"device="/dev/sda1""#, "/host/"),
                (r#"device="/run""#, "/host/run"),
                (r#"device="/run/lock""#, "/host/run/lock"),
                (r#"device="overlay_0-40""#, "/host/m"),
                (r#"device="host:/ex port""#, "/host/a b"),
                (r#"device="/dev/sdb""#, "/host/z"),
            ]
        );
        for (path, device) in [
            ("/", Some(0)),
            ("/srv/a", Some(0)),
            ("/runner", Some(0)),
            ("/run/a", Some(1)),
            ("/run/lock", Some(2)),
            ("/proc/1", None),
            ("/a b/c", Some(4)),
            ("/z/b", Some(5)),
        ] {
            assert_eq!(devices.holding(path.as_bytes()), device, "{path}");
        }
    }

    #[test]
    fn a_mount_that_its_path_does_not_lead_to_is_none() {
        let devices = of("1 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
             2 1 8:2 / /a/b rw - ext4 /dev/sda2 rw\n\
             3 1 8:3 / /a rw - ext4 /dev/sda3 rw\n\
             4 2 8:4 / /a/b/c rw - ext4 /dev/sda4 rw\n\
             5 1 8:5 / /d rw - ext4 /dev/sda5 rw\n\
             6 5 8:6 / /d rw - ext4 /dev/sda6 rw\n\
             7 6 8:5 / /d/e rw - ext4 /dev/sda5 rw\n");
        assert_eq!(
            shown(&devices),
            [
                (r#"device="/dev/sda1""#, "/host/"),
                (r#"device="/dev/sda3""#, "/host/a"),
                (r#"device="/dev/sda6""#, "/host/d"),
                (r#"device="/dev/sda5""#, "/host/d/e"),
            ]
        );
        assert_eq!((devices.holding(b"/a/b"), devices.holding(b"/d/x")), (Some(1), Some(2)));
    }

    #[test]
    fn a_number_leads_to_mount_points_and_folders() {
        let devices = of("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
             2 1 8:2 /data /var/lib rw - ext4 /dev/sda2 rw\n\
             3 2 0:52 / /var/lib/docker/overlay2/l/merged rw - overlay overlay rw\n");
        let root = HostRoot::new("/host".as_ref());
        let number = |major: &str, minor: &str| Number { major: major.into(), minor: minor.into() };
        let point = devices.point_of(&number("0", "52"), &root);
        assert_eq!(point.as_deref(), Some(&b"/var/lib/docker/overlay2/l/merged"[..]));
        assert_eq!(devices.point_of(&number("0", "53"), &root), None);
        for (number, folder, path) in [
            (number("8", "2"), "/data/docker/vfs/dir/l", Some("/var/lib/docker/vfs/dir/l")),
            (number("8", "1"), "/docker/vfs/dir/l", Some("/docker/vfs/dir/l")),
            (number("8", "2"), "/database/x", None),
            (number("8", "3"), "/data/x", None),
        ] {
            let found = devices.path_of(&number, folder.as_bytes(), &root);
            assert_eq!(found.as_deref(), path.map(str::as_bytes), "{folder}");
        }
    }

    #[test]
    fn the_folders_above_a_path() {
        assert_eq!(folders_above(b"/a/b/c").collect::<Vec<_>>(), [&b"/a/b"[..], b"/a", b"/"]);
        assert_eq!(folders_above(b"/a").collect::<Vec<_>>(), [b"/"]);
        assert_eq!(folders_above(b"/").count(), 0);
    }
}
