//! One walk over a hierarchy's directories: at the start, and where events were lost.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, os::unix::fs::DirEntryExt, os::unix::fs::MetadataExt};

use super::{CgroupPath, Hierarchy};

/// Deeper trees than the kernel lets anyone make by default.
const DEEPEST: usize = 256;

/// Calls `found` with path and id of every cgroup from `top` down, parents first. What goes meanwhile is left out.
pub fn walk(hierarchy: &Hierarchy, top: &CgroupPath, found: &mut impl FnMut(&CgroupPath, u64)) {
    if let Some(id) = id_of(hierarchy, top) {
        found(top, id);
        below(hierarchy, top, found);
    }
}

/// As [`walk`], the top itself left out.
pub fn below(hierarchy: &Hierarchy, top: &CgroupPath, found: &mut impl FnMut(&CgroupPath, u64)) {
    if top.depth() >= DEEPEST {
        return;
    }
    let Ok(entries) = fs::read_dir(hierarchy.directory(top)) else { return };
    for entry in entries.flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = top.child(entry.file_name().as_bytes());
        found(&path, entry.ino());
        below(hierarchy, &path, found);
    }
}

/// The id of a cgroup, which is its directory's inode number.
pub fn id_of(hierarchy: &Hierarchy, path: &CgroupPath) -> Option<u64> {
    fs::metadata(hierarchy.directory(path)).ok().map(|found| found.ino())
}

/// When a cgroup was made, in seconds since 1970, as far as its files tell: the oldest time of the directory and
/// of a file that nobody writes.
pub fn made_at(hierarchy: &Hierarchy, path: &CgroupPath) -> Option<i64> {
    let directory = hierarchy.directory(path);
    let witness = if hierarchy.id == 0 { "cgroup.events" } else { "cgroup.clone_children" };
    let time = |file: &std::path::Path| fs::metadata(file).ok().map(|found| found.mtime());
    [time(&directory), time(&directory.join(OsStr::new(witness)))].into_iter().flatten().min()
}
