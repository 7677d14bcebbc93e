//! Memory as `/proc/meminfo` tells it: a fixed list of its lines, in bytes.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Page},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "meminfo",
    on_by_default: true,
    summary: "memory by use, in bytes",
    reads: "/proc/meminfo",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Meminfo::build,
};

const LINES: usize = 51;

/// The lines that are given, in the order of their bytes; [`FAMILIES`] has the same order.
static KEYS: [&[u8]; LINES] = [
    b"Active(anon):",
    b"Active(file):",
    b"Active:",
    b"AnonHugePages:",
    b"AnonPages:",
    b"Bounce:",
    b"Buffers:",
    b"Cached:",
    b"CmaFree:",
    b"CmaTotal:",
    b"CommitLimit:",
    b"Committed_AS:",
    b"DirectMap1G:",
    b"DirectMap2M:",
    b"DirectMap4k:",
    b"Dirty:",
    b"HardwareCorrupted:",
    b"HugePages_Free:",
    b"HugePages_Rsvd:",
    b"HugePages_Surp:",
    b"HugePages_Total:",
    b"Hugepagesize:",
    b"Inactive(anon):",
    b"Inactive(file):",
    b"Inactive:",
    b"KernelStack:",
    b"Mapped:",
    b"MemAvailable:",
    b"MemFree:",
    b"MemTotal:",
    b"Mlocked:",
    b"NFS_Unstable:",
    b"PageTables:",
    b"Percpu:",
    b"SReclaimable:",
    b"SUnreclaim:",
    b"Shmem:",
    b"ShmemHugePages:",
    b"ShmemPmdMapped:",
    b"Slab:",
    b"SwapCached:",
    b"SwapFree:",
    b"SwapTotal:",
    b"Unevictable:",
    b"VmallocChunk:",
    b"VmallocTotal:",
    b"VmallocUsed:",
    b"Writeback:",
    b"WritebackTmp:",
    b"Zswap:",
    b"Zswapped:",
];

static FAMILIES: [Family; LINES] = [
    Family::gauge("node_memory_Active_anon_bytes", "Anonymous memory used lately, in bytes."),
    Family::gauge("node_memory_Active_file_bytes", "Page cache used lately, in bytes."),
    Family::gauge("node_memory_Active_bytes", "Memory used lately, in bytes: the last to be reclaimed."),
    Family::gauge("node_memory_AnonHugePages_bytes", "Anonymous memory in transparent huge pages, in bytes."),
    Family::gauge("node_memory_AnonPages_bytes", "Anonymous memory mapped into processes, in bytes."),
    Family::gauge("node_memory_Bounce_bytes", "Bounce buffers for block devices, in bytes."),
    Family::gauge("node_memory_Buffers_bytes", "Cache of block devices' own contents, in bytes."),
    Family::gauge("node_memory_Cached_bytes", "Page cache without the swap cache, in bytes."),
    Family::gauge("node_memory_CmaFree_bytes", "Memory set aside for contiguous use and free, in bytes."),
    Family::gauge("node_memory_CmaTotal_bytes", "Memory set aside for contiguous use, in bytes."),
    Family::gauge(
        "node_memory_CommitLimit_bytes",
        "Memory that may be promised when overcommit is forbidden, in bytes.",
    ),
    Family::gauge("node_memory_Committed_AS_bytes", "Memory promised to processes, in bytes."),
    Family::gauge("node_memory_DirectMap1G_bytes", "Kernel mapping of memory in pages of 1 GiB, in bytes."),
    Family::gauge("node_memory_DirectMap2M_bytes", "Kernel mapping of memory in pages of 2 MiB, in bytes."),
    Family::gauge("node_memory_DirectMap4k_bytes", "Kernel mapping of memory in pages of 4 KiB, in bytes."),
    Family::gauge("node_memory_Dirty_bytes", "Memory that waits to be written to disk, in bytes."),
    Family::gauge(
        "node_memory_HardwareCorrupted_bytes",
        "Memory taken out of use for hardware faults, in bytes.",
    ),
    Family::gauge("node_memory_HugePages_Free", "Huge pages of the default size that are free, in pages."),
    Family::gauge("node_memory_HugePages_Rsvd", "Huge pages promised and not yet used, in pages."),
    Family::gauge("node_memory_HugePages_Surp", "Huge pages beyond the configured pool, in pages."),
    Family::gauge("node_memory_HugePages_Total", "Huge pages of the default size, in pages."),
    Family::gauge("node_memory_Hugepagesize_bytes", "Default size of a huge page, in bytes."),
    Family::gauge("node_memory_Inactive_anon_bytes", "Anonymous memory not used lately, in bytes."),
    Family::gauge("node_memory_Inactive_file_bytes", "Page cache not used lately, in bytes."),
    Family::gauge(
        "node_memory_Inactive_bytes",
        "Memory not used lately, in bytes: the first to be reclaimed.",
    ),
    Family::gauge("node_memory_KernelStack_bytes", "Stacks of threads in the kernel, in bytes."),
    Family::gauge("node_memory_Mapped_bytes", "Files mapped into processes, in bytes."),
    Family::gauge(
        "node_memory_MemAvailable_bytes",
        "Memory that can be had without swapping, as the kernel guesses, in bytes.",
    ),
    Family::gauge("node_memory_MemFree_bytes", "Memory that nothing uses, in bytes."),
    Family::gauge("node_memory_MemTotal_bytes", "Memory that the kernel manages, in bytes."),
    Family::gauge("node_memory_Mlocked_bytes", "Memory locked with mlock, in bytes."),
    Family::gauge(
        "node_memory_NFS_Unstable_bytes",
        "NFS pages sent and not yet on the server's disk, in bytes; 0 since 5.8.",
    ),
    Family::gauge("node_memory_PageTables_bytes", "Page tables, in bytes."),
    Family::gauge("node_memory_Percpu_bytes", "Memory of the per-CPU allocator, in bytes."),
    Family::gauge(
        "node_memory_SReclaimable_bytes",
        "Slab memory that can be reclaimed, such as caches of names, in bytes.",
    ),
    Family::gauge("node_memory_SUnreclaim_bytes", "Slab memory that cannot be reclaimed, in bytes."),
    Family::gauge("node_memory_Shmem_bytes", "Shared memory and tmpfs, in bytes."),
    Family::gauge("node_memory_ShmemHugePages_bytes", "Shared memory and tmpfs in huge pages, in bytes."),
    Family::gauge("node_memory_ShmemPmdMapped_bytes", "Shared memory mapped as huge pages, in bytes."),
    Family::gauge("node_memory_Slab_bytes", "The kernel's own data structures, in bytes."),
    Family::gauge(
        "node_memory_SwapCached_bytes",
        "Memory swapped in again whose copy in swap is still good, in bytes.",
    ),
    Family::gauge("node_memory_SwapFree_bytes", "Swap not used, in bytes."),
    Family::gauge("node_memory_SwapTotal_bytes", "Swap, in bytes."),
    Family::gauge("node_memory_Unevictable_bytes", "Memory that cannot be reclaimed, in bytes."),
    Family::gauge(
        "node_memory_VmallocChunk_bytes",
        "Largest free piece of the kernel's virtual area, in bytes; 0 since 4.4.",
    ),
    Family::gauge("node_memory_VmallocTotal_bytes", "The kernel's virtual area for vmalloc, in bytes."),
    Family::gauge("node_memory_VmallocUsed_bytes", "Used part of the kernel's virtual area, in bytes."),
    Family::gauge("node_memory_Writeback_bytes", "Memory being written to disk now, in bytes."),
    Family::gauge("node_memory_WritebackTmp_bytes", "Temporary buffers of FUSE for writing back, in bytes."),
    Family::gauge("node_memory_Zswap_bytes", "Memory that compressed swap takes, in bytes."),
    Family::gauge("node_memory_Zswapped_bytes", "What compressed swap holds, before compression, in bytes."),
];

static EVERY_FAMILY: [&Family; LINES] = Family::each(&FAMILIES);

struct Meminfo {
    file: KeptFile,
    order: Order,
}

/// The place in [`KEYS`] of each line at the last scrape: the kernel keeps the order.
type Order = Vec<usize>;

impl Meminfo {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file = KeptFile::new(context.paths.procfs.join("meminfo"), Serves::Whole);
        Ok(Box::new(Self { file, order: Order::new() }))
    }
}

impl Collector for Meminfo {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let values = parse(self.file.read()?, &mut self.order);
        if values.iter().all(Option::is_none) {
            return Err(Failure::unreadable(self.file.path(), "lines such as MemTotal: 1024 kB"));
        }
        for (family, value) in FAMILIES.iter().zip(values) {
            if let Some(value) = value {
                page.family(family).plain(value);
            }
        }
        Ok(())
    }
}

/// The values of [`KEYS`], kB as bytes. (The `procfs` crate makes a map of strings of it at each read.)
fn parse(meminfo: &[u8], order: &mut Order) -> [Option<u64>; LINES] {
    let mut values = [None; LINES];
    for (number, line) in text::lines(meminfo).enumerate() {
        let mut fields = text::fields(line);
        let Some(key) = fields.next() else { continue };
        let Some(place) = place(number, key, order).and_then(|index| values.get_mut(index)) else { continue };
        let value = fields.next().and_then(text::whole);
        *place = match (key.starts_with(b"HugePages_"), fields.next()) {
            (true, None) => value,
            (false, Some(b"kB")) => value.and_then(|value| value.checked_mul(1024)),
            _ => None,
        };
    }
    values
}

fn place(number: usize, key: &[u8], order: &mut Order) -> Option<usize> {
    let known =
        order.get(number).copied().filter(|index| KEYS.get(*index).is_some_and(|known| *known == key));
    if known.is_some() {
        return known;
    }
    let index = KEYS.binary_search(&key).ok()?;
    order.resize(order.len().max(number + 1), LINES);
    if let Some(place) = order.get_mut(number) {
        *place = index;
    }
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(meminfo: &[u8], family: &str) -> Option<u64> {
        let index = FAMILIES.iter().position(|known| known.name == family).expect("is a family");
        let mut order = Order::new();
        let first = parse(meminfo, &mut order);
        assert_eq!(parse(meminfo, &mut order), first);
        first[index]
    }

    #[test]
    fn keys_are_sorted_and_belong_to_their_families() {
        assert!(KEYS.is_sorted());
        for (key, family) in KEYS.iter().zip(&FAMILIES) {
            let name = String::from_utf8_lossy(key).replace('(', "_").replace([')', ':'], "");
            let unit = if name.starts_with("HugePages_") { "" } else { "_bytes" };
            assert_eq!(family.name, format!("node_memory_{name}{unit}"));
        }
    }

    #[test]
    fn kilobytes_become_bytes_and_counts_stay() {
        let text =
            b"MemTotal:        3742148 kB\nActive(anon):    2 kB\nHugePages_Total:       7\nNew:  1 kB\n";
        assert_eq!(value(text, "node_memory_MemTotal_bytes"), Some(3_742_148 * 1024));
        assert_eq!(value(text, "node_memory_Active_anon_bytes"), Some(2048));
        assert_eq!(value(text, "node_memory_HugePages_Total"), Some(7));
        assert_eq!(value(text, "node_memory_MemFree_bytes"), None);
        let mut order = Order::new();
        for text in [&b"New: 1 kB\nMemTotal: 2 kB\nMemFree: 1 kB\n"[..], b"MemFree: 1 kB\nMemTotal: 2 kB\n"] {
            let values = parse(text, &mut order);
            assert_eq!(values.iter().flatten().collect::<Vec<_>>(), [&1024, &2048], "in any order");
        }
    }

    #[test]
    fn a_line_that_makes_no_sense_is_left_out() {
        for line in [
            &b"MemTotal:"[..],
            b"MemTotal: kB",
            b"MemTotal: -1 kB",
            b"MemTotal: 1 MB",
            b"MemTotal: 1",
            b"MemTotal: 18446744073709551615 kB",
            b"MemTot",
            b"MemTotal 1 kB",
        ] {
            assert_eq!(value(line, "node_memory_MemTotal_bytes"), None, "{line:?}");
        }
    }
}
