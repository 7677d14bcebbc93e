//! bcachefs: counters, errors, compression, and each device's work.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    node::names::Gathered,
    source::{
        bcachefs::{counter, errors, io_done, io_errors, number, pairs},
        file::ReadError,
        folder::{Folder, is_numbered, names},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "bcachefs",
    on_by_default: true,
    summary: "bcachefs: counters, errors, compression, and each device's work",
    reads: "/sys/fs/bcachefs",
    since: "6.7",
    // An attribute may wait for the filesystem's locks.
    pace: Pace::MayBlock,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Bcachefs::build,
};

/// Every family but the counters, which are named after their files.
static FAMILIES: [Family; FIXED] = [
    Family::gauge("node_bcachefs_info", "1 for each filesystem that is mounted."),
    Family::gauge("node_bcachefs_btree_cache_size_bytes", "Memory of the cache of tree nodes, in bytes."),
    Family::gauge(
        "node_bcachefs_compression_compressed_bytes",
        "Data as it is on disk, in bytes, by algorithm.",
    ),
    Family::gauge(
        "node_bcachefs_compression_uncompressed_bytes",
        "The same data before compression, in bytes.",
    ),
    Family::counter("node_bcachefs_errors_total", "Errors that the filesystem found in itself, by kind."),
    Family::counter("node_bcachefs_btree_writes_total", "Writes of tree nodes, by what caused them."),
    Family::gauge("node_bcachefs_btree_write_average_size_bytes", "Mean size of such a write, in bytes."),
    Family::gauge("node_bcachefs_device_info", "1, with the device's label and state."),
    Family::gauge("node_bcachefs_device_bucket_size_bytes", "Size of a bucket of the device, in bytes."),
    Family::gauge("node_bcachefs_device_buckets", "Buckets of the device."),
    Family::gauge("node_bcachefs_device_durability", "How many copies one on this device counts as."),
    Family::counter("node_bcachefs_device_io_done_bytes_total", "Bytes read and written, by kind of data."),
    Family::counter("node_bcachefs_device_io_errors_total", "Errors of the device, by kind."),
];
const FIXED: usize = 13;
/// Places in [`FAMILIES`].
const INFO: usize = 0;
const CACHE_SIZE: usize = 1;
const COMPRESSED: usize = 2;
const UNCOMPRESSED: usize = 3;
const ERRORS: usize = 4;
const WRITES: usize = 5;
const WRITE_SIZE: usize = 6;
const DEVICE_INFO: usize = 7;
const DEVICE_NUMBERS: [(&str, usize); 3] = [("bucket_size", 8), ("nbuckets", 9), ("durability", 10)];
const IO_DONE: usize = 11;
const IO_ERRORS: usize = 12;

/// Stands for every family that is named after a counter.
static COUNTERS: Family = Family::counter(
    "node_bcachefs_*_total",
    "What the filesystem has counted under this name since it was made, in bytes or times.",
);

static EVERY_FAMILY: [&Family; FIXED + 1] = Family::all(&[&COUNTERS], &[&FAMILIES]);

struct Bcachefs {
    filesystems: PathBuf,
    made: Gathered,
    buffer: Vec<u8>,
    /// The samples of each of [`FAMILIES`].
    found: [BTreeMap<Labels, f64>; FIXED],
}

impl Bcachefs {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            filesystems: context.paths.sysfs.join("fs/bcachefs"),
            made: Gathered::new(&COUNTERS),
            buffer: Vec::new(),
            found: Default::default(),
        }))
    }

    /// A file that says a row twice has its first one taken.
    fn add(&mut self, family: usize, labels: Labels, value: f64) {
        if let Some(samples) = self.found.get_mut(family) {
            samples.entry(labels).or_insert(value);
        }
    }

    fn read(&mut self, folder: &Folder, uuid: &[u8]) -> Result<(), Failure> {
        let labelled = |name: &'static str, value: &[u8]| {
            let mut pairs = [(name, value), ("uuid", uuid)];
            pairs.sort_unstable();
            Labels::new(pairs)
        };
        let plain = Labels::new([("uuid", uuid)]);
        self.add(INFO, plain.clone(), 1.0);
        if let Some(size) = self.parsed(folder, "btree_cache_size", number_of)? {
            self.add(CACHE_SIZE, plain.clone(), size);
        }
        for (name, compressed, uncompressed) in
            self.parsed(folder, "compression_stats", owned_pairs)?.into_iter().flatten()
        {
            self.add(COMPRESSED, labelled("algorithm", &name), compressed);
            self.add(UNCOMPRESSED, labelled("algorithm", &name), uncompressed);
        }
        for (name, count, size) in
            self.parsed(folder, "btree_write_stats", owned_pairs)?.into_iter().flatten()
        {
            self.add(WRITES, labelled("type", &name), count);
            self.add(WRITE_SIZE, labelled("type", &name), size);
        }
        let kinds = self.parsed(folder, "errors", |text| errors(text).map(own))?;
        for (kind, count) in kinds.into_iter().flatten() {
            self.add(ERRORS, labelled("error_type", &kind), count);
        }
        for name in names(&folder.path().join("counters"))? {
            let file = format!("counters/{}", name.to_string_lossy());
            if let Some(count) = self.parsed(folder, &file, counter)? {
                let parts = [b"node_bcachefs_", name.as_encoded_bytes(), b"_total"];
                self.made.add(&parts, &plain, count);
            }
        }
        for name in names(folder.path())? {
            if is_numbered(&name, "dev-") {
                self.read_device(&Folder::open(folder.path().join(&name))?, uuid)?;
            }
        }
        Ok(())
    }

    fn read_device(&mut self, folder: &Folder, uuid: &[u8]) -> Result<(), Failure> {
        let name = folder.path().file_name().unwrap_or_default().as_encoded_bytes();
        let device = name.strip_prefix(b"dev-").unwrap_or(name);
        let pairs = [("device", device), ("uuid", uuid)];
        let trimmed = |text: &[u8]| Some(text.trim_ascii().to_vec());
        let label = self.parsed(folder, "label", trimmed)?.unwrap_or_default();
        let state = self.parsed(folder, "state", trimmed)?.unwrap_or_default();
        let info = [("device", device), ("label", &label), ("state", &state), ("uuid", uuid)];
        self.add(DEVICE_INFO, Labels::new(info), 1.0);
        for (file, family) in DEVICE_NUMBERS {
            if let Some(value) = self.parsed(folder, file, number_of)? {
                self.add(family, Labels::new(pairs), value);
            }
        }
        let kinds = self.parsed(folder, "io_errors", |text| io_errors(text).map(own))?;
        for (kind, count) in kinds.into_iter().flatten() {
            let labels = [("device", device), ("type", kind.as_slice()), ("uuid", uuid)];
            self.add(IO_ERRORS, Labels::new(labels), count);
        }
        let done = self.parsed(folder, "io_done", |text| {
            Some(
                io_done(text)?
                    .into_iter()
                    .map(|(way, kind, bytes)| (way, kind.to_vec(), bytes))
                    .collect::<Vec<_>>(),
            )
        })?;
        for (operation, kind, bytes) in done.into_iter().flatten() {
            let labels = [
                ("data_type", kind.as_slice()),
                ("device", device),
                ("operation", operation.as_bytes()),
                ("uuid", uuid),
            ];
            self.add(IO_DONE, Labels::new(labels), bytes);
        }
        Ok(())
    }

    /// A file as `parse` has it; `None` if it is not there, as kernels differ in what they have.
    fn parsed<T>(
        &mut self,
        folder: &Folder,
        file: &str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        match folder.read(file, &mut self.buffer) {
            Ok(text) => {
                let path = || folder.path().join(file);
                Ok(Some(parse(text).ok_or_else(|| Failure::unreadable(&path(), "numbers by name"))?))
            }
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Collector for Bcachefs {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.made.begin();
        self.found.iter_mut().for_each(BTreeMap::clear);
        // Listed anew each time: filesystems are mounted and unmounted, and nothing here tells of it.
        for name in names(&self.filesystems)? {
            let folder = Folder::open(self.filesystems.join(&name)).map_err(ReadError::or_absent)?;
            self.read(&folder, name.as_encoded_bytes())?;
        }
        if self.found.iter().all(BTreeMap::is_empty) {
            return Err(Failure::absent(format!("{}: no filesystem", self.filesystems.display())));
        }
        for (family, found) in FAMILIES.iter().zip(&self.found) {
            let mut samples = page.family(family);
            for (labels, value) in found {
                samples.sample(labels, *value);
            }
        }
        self.made.write(page);
        Ok(())
    }
}

fn number_of(text: &[u8]) -> Option<f64> {
    number(text.trim_ascii())
}

fn owned_pairs(text: &[u8]) -> Option<Vec<(Vec<u8>, f64, f64)>> {
    Some(pairs(text)?.into_iter().map(|(name, first, second)| (name.to_vec(), first, second)).collect())
}

fn own(found: Vec<(&[u8], f64)>) -> Vec<(Vec<u8>, f64)> {
    found.into_iter().map(|(name, value)| (name.to_vec(), value)).collect()
}
