//! Quotas of projects: a number that a folder and all below bear, by which the file system counts what they take.

use std::os::fd::AsFd;

use rustix::{
    fs::{Mode, OFlags, fstatfs, openat},
    ioctl::{Getter, ioctl, opcode},
};

/// `struct fsxattr` of `linux/fs.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    copied_extent_size: u32,
    padding: [u8; 8],
}

/// `FS_IOC_FSGETXATTR`.
const GET: rustix::ioctl::Opcode = opcode::read::<Attributes>(b'X', 31);

/// The bytes that a folder takes with all below, where its project has a limit of its own: the file system then tells of
/// the limit in place of its size. (To ask for the quota itself takes `CAP_SYS_ADMIN`.) `None` where nobody counts, or
/// where the project is that of the folder two above as well, and so not the folder's alone.
pub fn taken(folder: impl AsFd) -> Option<u64> {
    let own = project(&folder)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let above = openat(&folder, c"../..", flags, Mode::empty()).ok()?;
    if project(&above) == Some(own) {
        return None;
    }
    let (its, whole) = (fstatfs(&folder).ok()?, fstatfs(above).ok()?);
    let size = u64::try_from(its.f_bsize).ok()?;
    by_limit(its.f_blocks, its.f_bfree, whole.f_blocks)?.checked_mul(size)
}

/// The blocks that are taken of a limit; `None` where there is none, or it is used up and more may be taken.
fn by_limit(limit: u64, free: u64, whole: u64) -> Option<u64> {
    (limit < whole && free > 0).then(|| limit.checked_sub(free))?
}

fn project(folder: impl AsFd) -> Option<u32> {
    // SAFETY: the kernel fills in the struct that the opcode names, whose every bit pattern is valid.
    let attributes = unsafe { ioctl(folder, Getter::<GET, Attributes>::new()) }.ok()?;
    Some(attributes.project).filter(|&project| project != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_tells_what_is_taken_of_it() {
        assert_eq!(by_limit(1_000, 400, 9_000), Some(600));
        assert_eq!(by_limit(9_000, 400, 9_000), None, "the file system's own size");
        assert_eq!(by_limit(1_000, 0, 9_000), None, "a soft limit may be passed");
        assert_eq!(by_limit(1_000, 2_000, 9_000), None);
        assert_eq!((GET, size_of::<Attributes>()), (0x801c_581f, 28));
    }

    #[test]
    fn a_folder_without_a_project_has_none() {
        let here = std::fs::File::open(std::env::temp_dir()).expect("is there");
        assert_eq!(taken(here), None);
    }
}
