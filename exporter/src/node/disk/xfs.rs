//! XFS: what each mounted filesystem has done.

use std::path::PathBuf;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        folder::{Folder, names},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "xfs",
    on_by_default: true,
    summary: "XFS: what each mounted filesystem has done",
    reads: "/sys/fs/xfs/*/stats/stats",
    since: "4.4",
    pace: Pace::Quick,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Xfs::build,
};

const FAMILIES: usize = 39;

/// The lines that are read: how many numbers each has, or has at least, and how many of them are given. Their
/// families stand in [`FAMILIES_OF_LINES`], one line's after the other's.
const LINES: [(&[u8], usize, usize); 8] = [
    (b"extent_alloc", 4, 4),
    (b"abt", 4, 4),
    (b"blk_map", 7, 7),
    (b"bmbt", 4, 4),
    (b"dir", 4, 4),
    (b"ig", 7, 7),
    (b"rw", 2, 2),
    (b"vnodes", 7, 7),
];

static FAMILIES_OF_LINES: [Family; FAMILIES] = [
    Family::counter("node_xfs_extent_allocation_extents_allocated_total", "Extents allocated."),
    Family::counter("node_xfs_extent_allocation_blocks_allocated_total", "Blocks allocated."),
    Family::counter("node_xfs_extent_allocation_extents_freed_total", "Extents freed."),
    Family::counter("node_xfs_extent_allocation_blocks_freed_total", "Blocks freed."),
    Family::counter("node_xfs_allocation_btree_lookups_total", "Lookups in trees of free space."),
    Family::counter("node_xfs_allocation_btree_compares_total", "Comparisons in trees of free space."),
    Family::counter(
        "node_xfs_allocation_btree_records_inserted_total",
        "Records put in trees of free space.",
    ),
    Family::counter(
        "node_xfs_allocation_btree_records_deleted_total",
        "Records taken from trees of free space.",
    ),
    Family::counter(
        "node_xfs_block_mapping_reads_total",
        "Times that a file's blocks were looked up to be read.",
    ),
    Family::counter(
        "node_xfs_block_mapping_writes_total",
        "Times that a file's blocks were looked up to be written.",
    ),
    Family::counter("node_xfs_block_mapping_unmaps_total", "Times that blocks were taken from a file."),
    Family::counter("node_xfs_block_mapping_extent_list_insertions_total", "Extents put in files' lists."),
    Family::counter("node_xfs_block_mapping_extent_list_deletions_total", "Extents taken from files' lists."),
    Family::counter(
        "node_xfs_block_mapping_extent_list_lookups_total",
        "Lookups in files' lists of extents.",
    ),
    Family::counter(
        "node_xfs_block_mapping_extent_list_compares_total",
        "Comparisons in files' lists of extents.",
    ),
    Family::counter("node_xfs_block_map_btree_lookups_total", "Lookups in trees of files' blocks."),
    Family::counter("node_xfs_block_map_btree_compares_total", "Comparisons in trees of files' blocks."),
    Family::counter(
        "node_xfs_block_map_btree_records_inserted_total",
        "Records put in trees of files' blocks.",
    ),
    Family::counter(
        "node_xfs_block_map_btree_records_deleted_total",
        "Records taken from trees of files' blocks.",
    ),
    Family::counter("node_xfs_directory_operation_lookup_total", "Names looked up that were in no cache."),
    Family::counter("node_xfs_directory_operation_create_total", "Names made in directories."),
    Family::counter("node_xfs_directory_operation_remove_total", "Names taken from directories."),
    Family::counter("node_xfs_directory_operation_getdents_total", "Times that a directory was listed."),
    Family::counter("node_xfs_inode_operation_attempts_total", "Inodes looked for in the cache."),
    Family::counter("node_xfs_inode_operation_found_total", "Inodes found in the cache."),
    Family::counter(
        "node_xfs_inode_operation_recycled_total",
        "Inodes found as they were about to leave the cache.",
    ),
    Family::counter("node_xfs_inode_operation_missed_total", "Inodes not found in the cache."),
    Family::counter(
        "node_xfs_inode_operation_duplicates_total",
        "Inodes that another one brought in meanwhile.",
    ),
    Family::counter("node_xfs_inode_operation_reclaims_total", "Inodes put out of the cache."),
    Family::counter("node_xfs_inode_operation_attribute_changes_total", "Changes of inodes' attributes."),
    Family::counter("node_xfs_write_calls_total", "Calls of write on files."),
    Family::counter("node_xfs_read_calls_total", "Calls of read on files."),
    Family::counter("node_xfs_vnode_active_total", "Vnodes not on a list of free ones."),
    Family::counter("node_xfs_vnode_allocate_total", "Vnodes allocated."),
    Family::counter("node_xfs_vnode_get_total", "Vnodes taken by their number."),
    Family::counter("node_xfs_vnode_hold_total", "Vnodes held."),
    Family::counter("node_xfs_vnode_release_total", "Vnodes let go."),
    Family::counter("node_xfs_vnode_reclaim_total", "Vnodes reclaimed."),
    Family::counter("node_xfs_vnode_remove_total", "Vnodes removed."),
];

static EVERY_FAMILY: [&Family; FAMILIES] = Family::each(&FAMILIES_OF_LINES);

struct Xfs {
    filesystems: PathBuf,
}

impl Xfs {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { filesystems: context.paths.sysfs.join("fs/xfs") }))
    }
}

impl Collector for Xfs {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut buffer = Vec::new();
        let mut found = Vec::new();
        // Listed anew each time: filesystems are mounted and unmounted, and nothing here tells of it.
        for name in names(&self.filesystems)? {
            let Ok(folder) = Folder::open(self.filesystems.join(&name).join("stats")) else { continue };
            let numbers = match folder.read("stats", &mut buffer) {
                Ok(text) => parse(text),
                Err(error) if error.is_gone() => continue,
                Err(error) => return Err(error.into()),
            };
            let path = || folder.path().join("stats");
            let numbers = numbers.ok_or_else(|| Failure::unreadable(&path(), "lines of numbers"))?;
            found.push((Labels::new([("device", name.as_encoded_bytes())]), numbers));
        }
        for (index, family) in FAMILIES_OF_LINES.iter().enumerate() {
            let mut samples = page.family(family);
            for (labels, numbers) in &found {
                samples.sample(labels, numbers.get(index).copied().unwrap_or_default());
            }
        }
        Ok(())
    }
}

/// The numbers in the order of [`FAMILIES_OF_LINES`], 0 where a line is not there; `None` where one of them has too
/// few numbers, or other things than numbers.
fn parse(text: &[u8]) -> Option<[u64; FAMILIES]> {
    let mut numbers = [0; FAMILIES];
    for line in text::lines(text) {
        let mut fields = text::fields(line);
        let key = fields.next();
        let mut start = 0;
        for (name, least, given) in LINES {
            if key == Some(name) {
                let read: Vec<u64> = fields.by_ref().map(text::whole).collect::<Option<_>>()?;
                if read.len() < least {
                    return None;
                }
                for (place, number) in numbers.iter_mut().skip(start).zip(read.iter().take(given)) {
                    *place = *number;
                }
            }
            start += given;
        }
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_families() {
        assert_eq!(LINES.iter().map(|(_, _, given)| given).sum::<usize>(), FAMILIES);
    }

    #[test]
    fn numbers_stand_in_the_order_of_families() {
        let numbers =
            parse(b"extent_alloc 1 872 0 3\nabt 0 0 0 0\nrw 28 7\nxpc 1 2 3\nvnodes 4 0 0 0 1 1 1 0\n")
                .expect("makes sense");
        let value =
            |name: &str| numbers[FAMILIES_OF_LINES.iter().position(|f| f.name == name).expect("is one")];
        assert_eq!(value("node_xfs_extent_allocation_blocks_allocated_total"), 872);
        assert_eq!(value("node_xfs_extent_allocation_blocks_freed_total"), 3);
        assert_eq!(value("node_xfs_write_calls_total"), 28);
        assert_eq!(value("node_xfs_read_calls_total"), 7);
        assert_eq!(value("node_xfs_vnode_active_total"), 4);
        assert_eq!(value("node_xfs_vnode_remove_total"), 1);
    }

    #[test]
    fn short_and_garbled_lines_fail() {
        for text in
            [&b"rw 1\n"[..], b"rw 1 x\n", b"rw 1 99999999999999999999\n", b"rw\n", b"dir 1 \xff 3 4\n"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse(b"trans x\nunknown\n\xff\n"), Some([0; FAMILIES]));
    }
}
