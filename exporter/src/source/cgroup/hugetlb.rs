//! Huge pages of a cgroup, by size.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use super::{CgroupPath, Controller, files::Reader};
use crate::source::text;

/// More sizes of pages than any processor has.
const MOST_SIZES: usize = 16;

/// Huge pages of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugePages {
    /// In use, or reserved where the kernel tells (5.7), in bytes.
    pub usage: u64,
    /// The most there ever was of it; version 1 alone tells.
    pub max_usage: Option<u64>,
    /// Times that the limit stood in the way.
    pub failures: Option<u64>,
}

/// A size of huge pages as the names of files have it: `2MB`, `1GB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// The size's name.
    pub name: String,
    bytes: u64,
}

/// The sizes of huge pages that the kernel knows of, the smallest first.
pub fn sizes(sysfs: &Path) -> Vec<Size> {
    let entries = std::fs::read_dir(sysfs.join("kernel/mm/hugepages")).into_iter().flatten();
    let mut sizes: Vec<Size> =
        entries.filter_map(|entry| size(&entry.ok()?.file_name())).take(MOST_SIZES).collect();
    sizes.sort_unstable_by_key(|size| size.bytes);
    sizes
}

/// Such as `hugepages-2048kB`.
fn size(folder: &OsStr) -> Option<Size> {
    let number = folder.as_bytes().strip_prefix(b"hugepages-")?.strip_suffix(b"kB")?;
    let kibibytes = text::whole(number).filter(|&size| size > 0)?;
    let name = match kibibytes {
        1_048_576.. => format!("{}GB", kibibytes >> 20),
        1_024.. => format!("{}MB", kibibytes >> 10),
        _ => format!("{kibibytes}KB"),
    };
    Some(Size { name, bytes: kibibytes.checked_mul(1_024)? })
}

impl Reader {
    /// Huge pages of this size; none without the controller.
    pub fn huge_pages(&mut self, path: &CgroupPath, size: &Size) -> Option<HugePages> {
        let of_version_2 = self.is_beside_unified(Controller::Hugetlb);
        let Size { name, .. } = size;
        let mut number = |name: String| text::only(self.rare(Controller::Hugetlb, path, &name)?);
        let mut first = |file: &str| {
            let reserved = format!("hugetlb.{name}.rsvd");
            let used = format!("hugetlb.{name}");
            [reserved, used]
                .into_iter()
                .find_map(|prefix| Some((number(format!("{prefix}.{file}"))?, prefix)))
        };
        if of_version_2 {
            let (usage, _) = first("current")?;
            let events = self.rare(Controller::Hugetlb, path, &format!("hugetlb.{name}.events"));
            let failures = events.and_then(|file| text::keyed(file, b"max"));
            return Some(HugePages { usage, max_usage: None, failures });
        }
        let (usage, prefix) = first("usage_in_bytes")?;
        let max_usage = number(format!("{prefix}.max_usage_in_bytes"));
        Some(HugePages { usage, max_usage, failures: number(format!("{prefix}.failcnt")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_named_as_the_kernel_names_files() {
        let named = |folder: &str| size(OsStr::new(folder)).map(|size| size.name);
        for (folder, name) in [
            ("hugepages-64kB", "64KB"),
            ("hugepages-2048kB", "2MB"),
            ("hugepages-32768kB", "32MB"),
            ("hugepages-1048576kB", "1GB"),
            ("hugepages-16777216kB", "16GB"),
        ] {
            assert_eq!(named(folder).as_deref(), Some(name));
        }
        for folder in
            ["hugepages-kB", "hugepages-0kB", "hugepages-2048", "hugepages-18446744073709551615kB", ".."]
        {
            assert_eq!(named(folder), None, "{folder}");
        }
    }
}
