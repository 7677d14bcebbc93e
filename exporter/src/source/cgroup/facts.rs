//! How cgroups are mounted, as far as this process can see: what a layout is decided on.

use std::{
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use super::layout::LayoutError;
use crate::{
    config::Paths,
    source::{mount::unescape, text},
};

/// What was found, before anything is decided.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Mounts that this process can reach, the host's own first.
    pub mounts: Vec<Mount>,
    /// Number and controllers of each hierarchy, from `/proc/self/cgroup`.
    pub numbers: Vec<(u32, Vec<u8>)>,
    /// Whether this process has its own cgroup namespace.
    pub own_namespace: bool,
    /// Where a host's cgroups are usually mounted, below its root.
    pub usual: PathBuf,
}

/// One mount of a cgroup file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Whether it is version 2.
    pub unified: bool,
    /// The cgroup at its top, as seen from this process's cgroup namespace.
    pub top: Vec<u8>,
    /// The mount point.
    pub point: PathBuf,
    /// The controllers of version 1 (other mount options among them).
    pub options: Vec<u8>,
}

const CGROUP1_MAGIC: u64 = 0x0027_e0eb;
const CGROUP2_MAGIC: u64 = 0x6367_7270;
/// The inode number of the host's own cgroup namespace, fixed in the kernel's ABI.
const INITIAL_NAMESPACE: u64 = 0xefff_fffb;

impl Facts {
    /// Looks at our own mounts. Where process 1 has them too, seen through the host's root, they are the host's.
    ///
    /// # Errors
    /// `/proc/self/mountinfo` or `/proc/self/cgroup` cannot be read.
    pub fn probe(paths: &Paths) -> Result<Self, LayoutError> {
        let read =
            |path: PathBuf| std::fs::read(&path).map_err(|error| LayoutError::Unreadable { path, error });
        let own = mounts(&read(paths.procfs.join("self/mountinfo"))?);
        let init = std::fs::read(paths.procfs.join("1/mountinfo")).unwrap_or_default();
        let init: Vec<PathBuf> =
            mounts(&init).into_iter().map(|mount| below(&paths.rootfs, &mount)).collect();
        let namespace = std::fs::metadata(paths.procfs.join("self/ns/cgroup"));
        Ok(Self {
            mounts: in_order(own, &init, &paths.rootfs).into_iter().filter(is_reachable).collect(),
            numbers: numbers(&read(paths.procfs.join("self/cgroup"))?),
            usual: paths.rootfs.join("sys/fs/cgroup"),
            own_namespace: namespace
                .is_ok_and(|found| std::os::unix::fs::MetadataExt::ino(&found) != INITIAL_NAMESPACE),
        })
    }
}

/// Where a mount of process 1 is found below the host's root.
fn below(rootfs: &Path, mount: &Mount) -> PathBuf {
    mount.point.strip_prefix("/").map_or_else(|_| rootfs.to_path_buf(), |point| rootfs.join(point))
}

/// Those that process 1 has at the same place first, then others below the host's root, then the rest. Only the last
/// mount at a place is seen there.
fn in_order(own: Vec<Mount>, init: &[PathBuf], rootfs: &Path) -> Vec<Mount> {
    let mut seen: Vec<Mount> = Vec::with_capacity(own.len());
    for mount in own {
        seen.retain(|earlier| earlier.point != mount.point);
        seen.push(mount);
    }
    seen.sort_by_key(|mount| match () {
        () if init.contains(&mount.point) => 0,
        () if mount.point.starts_with(rootfs) => 1,
        () => 2,
    });
    seen
}

fn is_reachable(mount: &Mount) -> bool {
    let wanted = if mount.unified { CGROUP2_MAGIC } else { CGROUP1_MAGIC };
    rustix::fs::statfs(&mount.point).is_ok_and(|found| u64::try_from(found.f_type) == Ok(wanted))
}

/// The cgroup mounts in a `mountinfo` file.
pub fn mounts(text: &[u8]) -> Vec<Mount> {
    text::lines(text).filter_map(mount).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = text::fields(line).skip(3);
    let (top, point) = (fields.next()?, fields.next()?);
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let unified = match rest.next()? {
        b"cgroup" => false,
        b"cgroup2" => true,
        _ => return None,
    };
    let options = rest.nth(1)?;
    let point = PathBuf::from(std::ffi::OsString::from_vec(unescape(point, |_| true)));
    Some(Mount { unified, top: unescape(top, |_| true), point, options: options.to_vec() })
}

/// Number and controllers of each line of a `/proc/PID/cgroup` file.
pub fn numbers(text: &[u8]) -> Vec<(u32, Vec<u8>)> {
    text::lines(text)
        .filter_map(|line| {
            let mut parts = line.splitn(3, |&byte| byte == b':');
            let id = text::whole(parts.next()?)?;
            Some((u32::try_from(id).ok()?, parts.next()?.to_vec()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_mounts_are_those_that_count() {
        let at = |top: &str, point: &str| Mount {
            unified: true,
            top: top.into(),
            point: point.into(),
            options: b"rw".to_vec(),
        };
        // A container's part at the place where process 1 has the whole tree.
        let own = at("/", "/sys/fs/cgroup");
        let init = vec!["/sys/fs/cgroup".into()];
        assert_eq!(in_order(vec![own.clone()], &init, Path::new("/")), std::slice::from_ref(&own));
        // The host's root beside it, with a container's own mount below that is none of the host's.
        let (inner, host) = (at("/..", "/host/run/x/cgroup"), at("/..", "/host/sys/fs/cgroup"));
        let init = vec!["/host/sys/fs/cgroup".into()];
        let all = vec![own.clone(), inner.clone(), host.clone()];
        assert_eq!(in_order(all, &init, Path::new("/host")), [host, inner, own.clone()]);
        // One mounted over the other.
        let over = at("/part", "/sys/fs/cgroup");
        assert_eq!(in_order(vec![own, over.clone()], &[], Path::new("/")), [over]);
    }

    #[test]
    fn escaped_blanks_in_a_mount_point() {
        let mounts = mounts(b"26 25 0:24 / /mnt/a\\040b\\134 rw - cgroup2 none rw\n26 25 broken\n");
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].point, Path::new("/mnt/a b\\"));
    }
}
