//! bcache: how well caches do, what is dirty, what was written.

use std::{ffi::OsStr, path::PathBuf};

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        bcache::{number, priorities, writeback},
        folder::{Folder, is_numbered, names},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "bcache",
    on_by_default: true,
    summary: "bcache: how well caches do, what is dirty, what was written",
    reads: "/sys/fs/bcache",
    since: "3.10",
    // An attribute may wait for the cache set's lock.
    pace: Pace::MayBlock,
    flags: &[Flag {
        name: PRIORITIES,
        takes: Takes::Switch { default: false },
        help: "Give what a cache's priorities tell; costly to read",
    }],
    families: &EVERY_FAMILY,
    build: Bcache::build,
};

const PRIORITIES: &str = "collector.bcache.priorityStats";

/// Files of a cache set.
static OF_SET: [(&str, Family); 10] = [
    (
        "average_key_size",
        Family::gauge(
            "node_bcache_average_key_size_sectors",
            "Mean length of the data of a key, in sectors.",
        ),
    ),
    (
        "btree_cache_size",
        Family::gauge("node_bcache_btree_cache_size_bytes", "Memory of the tree's cache, in bytes."),
    ),
    (
        "cache_available_percent",
        Family::gauge(
            "node_bcache_cache_available_percent",
            "Part of the cache without dirty data, in percent.",
        ),
    ),
    ("congested", Family::gauge("node_bcache_congested", "How congested the cache is; 0 if it is not.")),
    (
        "root_usage_percent",
        Family::gauge("node_bcache_root_usage_percent", "Part of the tree's root that is used, in percent."),
    ),
    ("tree_depth", Family::gauge("node_bcache_tree_depth", "Levels of the tree below its root.")),
    (
        "internal/active_journal_entries",
        Family::gauge("node_bcache_active_journal_entries", "Journal entries newer than the index."),
    ),
    ("internal/btree_nodes", Family::gauge("node_bcache_btree_nodes", "Nodes of the tree.")),
    (
        "internal/btree_read_average_duration_us",
        Family::gauge(
            "node_bcache_btree_read_average_duration_seconds",
            "Mean time to read a node of the tree, in seconds.",
        ),
    ),
    (
        "internal/cache_read_races",
        Family::counter(
            "node_bcache_cache_read_races_total",
            "Reads from the cache whose place was given to other data meanwhile.",
        ),
    ),
];
/// Its file has nanoseconds, whatever its name says.
const READ_TIME: usize = 8;

/// Files of a backing device, and figures of its `writeback_rate_debug`.
static OF_BACKING: [(&str, Family); 13] = [
    (
        "dirty_data",
        Family::gauge("node_bcache_dirty_data_bytes", "Data of the device that is only cached, in bytes."),
    ),
    (
        "stats_total/bypassed",
        Family::counter("node_bcache_bypassed_bytes_total", "Bytes that went past the cache."),
    ),
    (
        "stats_total/cache_bypass_hits",
        Family::counter(
            "node_bcache_cache_bypass_hits_total",
            "Hits of requests meant to go past the cache.",
        ),
    ),
    (
        "stats_total/cache_bypass_misses",
        Family::counter(
            "node_bcache_cache_bypass_misses_total",
            "Misses of requests meant to go past the cache.",
        ),
    ),
    (
        "stats_total/cache_hits",
        Family::counter("node_bcache_cache_hits_total", "Requests that the cache answered."),
    ),
    (
        "stats_total/cache_miss_collisions",
        Family::counter(
            "node_bcache_cache_miss_collisions_total",
            "Misses not cached since a write came in between.",
        ),
    ),
    (
        "stats_total/cache_misses",
        Family::counter("node_bcache_cache_misses_total", "Requests not in the cache."),
    ),
    (
        "stats_total/cache_readaheads",
        Family::counter("node_bcache_cache_readaheads_total", "Times that the cache read ahead."),
    ),
    (
        "target",
        Family::gauge("node_bcache_dirty_target_bytes", "Dirty data that the controller aims at, in bytes."),
    ),
    (
        "rate",
        Family::gauge("node_bcache_writeback_rate", "Rate of writing back that is aimed at, per second."),
    ),
    (
        "proportional",
        Family::gauge(
            "node_bcache_writeback_rate_proportional_term",
            "Proportional term of that rate's controller.",
        ),
    ),
    (
        "integral",
        Family::gauge("node_bcache_writeback_rate_integral_term", "Integral term of that rate's controller."),
    ),
    ("change", Family::gauge("node_bcache_writeback_change", "Last change of that rate, per second.")),
];
/// So many of [`OF_BACKING`] are files.
const FILES_OF_BACKING: usize = 8;
/// Newer kernels do not count these, and the reference leaves out a 0.
const READAHEADS: usize = 7;

/// Files of a cache device, and figures of its `priority_stats`.
static OF_CACHE: [(&str, Family); 5] = [
    ("io_errors", Family::gauge("node_bcache_io_errors", "Errors of the cache device; old ones fade.")),
    (
        "metadata_written",
        Family::counter(
            "node_bcache_metadata_written_bytes_total",
            "Bytes of metadata written to the cache device.",
        ),
    ),
    (
        "written",
        Family::counter("node_bcache_written_bytes_total", "Bytes of data written to the cache device."),
    ),
    (
        "unused",
        Family::gauge(
            "node_bcache_priority_stats_unused_percent",
            "Part of the cache that holds nothing, in percent.",
        ),
    ),
    (
        "metadata",
        Family::gauge(
            "node_bcache_priority_stats_metadata_percent",
            "Part of the cache that holds metadata, in percent.",
        ),
    ),
];
/// So many of [`OF_CACHE`] are files.
const FILES_OF_CACHE: usize = 3;

const FAMILIES: usize = OF_SET.len() + OF_BACKING.len() + OF_CACHE.len();

static EVERY_FAMILY: [&Family; FAMILIES] = {
    let mut all = [&OF_SET[0].1; FAMILIES];
    let (mut index, mut from) = (0, 0);
    while from < OF_SET.len() {
        all[index] = &OF_SET[from].1;
        (index, from) = (index + 1, from + 1);
    }
    from = 0;
    while from < OF_BACKING.len() {
        all[index] = &OF_BACKING[from].1;
        (index, from) = (index + 1, from + 1);
    }
    from = 0;
    while from < OF_CACHE.len() {
        all[index] = &OF_CACHE[from].1;
        (index, from) = (index + 1, from + 1);
    }
    all
};

/// The figures of one kind, by device.
struct Found<const N: usize>(Vec<(Labels, [Option<f64>; N])>);

impl<const N: usize> Found<N> {
    fn write(&self, families: &'static [(&str, Family); N], page: &mut Page) {
        for (index, (_, family)) in families.iter().enumerate() {
            let mut samples = page.family(family);
            for (labels, values) in &self.0 {
                if let Some(value) = values.get(index).copied().flatten() {
                    samples.sample(labels, value);
                }
            }
        }
    }
}

struct Bcache {
    sets: PathBuf,
    with_priorities: bool,
}

impl Bcache {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            sets: context.paths.sysfs.join("fs/bcache"),
            with_priorities: context.flags.is_on(PRIORITIES),
        }))
    }
}

impl Collector for Bcache {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let (mut sets, mut backing, mut caches) = (Found(Vec::new()), Found(Vec::new()), Found(Vec::new()));
        let mut buffer = Vec::new();
        // Listed anew each time: sets come and go, and nothing tells of it.
        for name in names(&self.sets)? {
            let uuid = name.as_encoded_bytes();
            if !uuid.contains(&b'-') {
                continue;
            }
            let path = self.sets.join(&name);
            let set = Folder::open(&path)?;
            let mut values = files(&set, &OF_SET, OF_SET.len(), &mut buffer)?;
            if let Some(Some(time)) = values.get_mut(READ_TIME) {
                *time /= 1e9;
            }
            sets.0.push((Labels::new([("uuid", uuid)]), values));
            for name in names(&path)? {
                let labels = |key| Labels::new([(key, name.as_encoded_bytes()), ("uuid", uuid)]);
                if is_numbered(&name, "bdev") {
                    backing.0.push((labels("backing_device"), of_backing(&open(&set, &name)?, &mut buffer)?));
                } else if is_numbered(&name, "cache") {
                    let cache = open(&set, &name)?;
                    caches
                        .0
                        .push((labels("cache_device"), of_cache(&cache, self.with_priorities, &mut buffer)?));
                }
            }
        }
        sets.write(&OF_SET, page);
        backing.write(&OF_BACKING, page);
        caches.write(&OF_CACHE, page);
        Ok(())
    }
}

fn open(set: &Folder, name: &OsStr) -> Result<Folder, Failure> {
    Ok(Folder::open(set.path().join(name))?)
}

/// The numbers of the first `count` files.
fn files<const N: usize>(
    folder: &Folder,
    files: &[(&str, Family); N],
    count: usize,
    buffer: &mut Vec<u8>,
) -> Result<[Option<f64>; N], Failure> {
    let mut values = [None; N];
    for (value, (file, _)) in values.iter_mut().zip(files).take(count) {
        let text = folder.read(file, buffer)?;
        let read = number(text.trim_ascii());
        *value = Some(
            read.ok_or_else(|| Failure::unreadable(&folder.path().join(file), "a number such as 1.2k"))?,
        );
    }
    Ok(values)
}

fn of_backing(device: &Folder, buffer: &mut Vec<u8>) -> Result<[Option<f64>; OF_BACKING.len()], Failure> {
    let mut values = files(device, &OF_BACKING, FILES_OF_BACKING, buffer)?;
    if let Some(readaheads) = values.get_mut(READAHEADS) {
        *readaheads = readaheads.filter(|count| *count > 0.0);
    }
    let file = "writeback_rate_debug";
    let figures = writeback(device.read(file, buffer)?)
        .ok_or_else(|| Failure::unreadable(&device.path().join(file), "numbers such as 1.2k"))?;
    let terms = [figures.target, figures.rate, figures.proportional, figures.integral, figures.change];
    for (value, term) in values.iter_mut().skip(FILES_OF_BACKING).zip(terms) {
        *value = Some(term);
    }
    Ok(values)
}

fn of_cache(
    cache: &Folder,
    with_priorities: bool,
    buffer: &mut Vec<u8>,
) -> Result<[Option<f64>; OF_CACHE.len()], Failure> {
    let mut values = files(cache, &OF_CACHE, FILES_OF_CACHE, buffer)?;
    if with_priorities {
        let file = "priority_stats";
        let percentages = priorities(cache.read(file, buffer)?)
            .ok_or_else(|| Failure::unreadable(&cache.path().join(file), "percentages"))?;
        let percentages = [percentages.0, percentages.1];
        for (value, percentage) in values.iter_mut().skip(FILES_OF_CACHE).zip(percentages) {
            *value = Some(u32::try_from(percentage).unwrap_or(u32::MAX).into());
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_their_families() {
        assert!(OF_SET[READ_TIME].1.name.ends_with("_duration_seconds"));
        assert!(OF_BACKING[READAHEADS].1.name.ends_with("_readaheads_total"));
        assert_eq!(OF_BACKING[FILES_OF_BACKING].0, "target");
        assert_eq!(OF_CACHE[FILES_OF_CACHE].0, "unused");
    }
}
