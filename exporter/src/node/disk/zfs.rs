//! ZFS: cache, intent log, transactions, and each pool's work and state.

use std::path::{Path, PathBuf};

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page, Value},
    node::names::Gathered,
    source::{
        file::ReadError,
        folder::{Folder, names},
        kstat::{Number, columns, dataset, rows},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "zfs",
    on_by_default: true,
    summary: "ZFS: cache, intent log, transactions, and each pool's work and state",
    reads: "/proc/spl/kstat/zfs",
    since: "2.6.32, with ZFS",
    // A pool's figures wait for its locks.
    pace: Pace::MayBlock,
    flags: &[],
    families: &[&STATE, &ROWS],
    build: Zfs::build,
};

static STATE: Family =
    Family::gauge("node_zfs_zpool_state", "1 for the state that the pool is in, 0 for the others.");
/// Stands for every family that is named after a row.
static ROWS: Family =
    Family::untyped("node_zfs_*", "What the kstat has under this name, in the kernel's own unit.");

/// The files, and what the names of their rows begin with.
const FILES: [(&str, &[u8]); 11] = [
    ("abdstats", b"node_zfs_abd_"),
    ("arcstats", b"node_zfs_arc_"),
    ("dbufstats", b"node_zfs_dbuf_"),
    ("dmu_tx", b"node_zfs_dmu_tx_"),
    ("dnodestats", b"node_zfs_dnode_"),
    ("fm", b"node_zfs_fm_"),
    ("vdev_cache_stats", b"node_zfs_vdev_cache_"),
    ("vdev_mirror_stats", b"node_zfs_vdev_mirror_"),
    ("xuio_stats", b"node_zfs_xuio_"),
    ("zfetchstats", b"node_zfs_zfetch_"),
    ("zil", b"node_zfs_zil_"),
];

const STATES: [&str; 7] = ["online", "degraded", "faulted", "offline", "removed", "unavail", "suspended"];

struct Zfs {
    root: PathBuf,
    made: Gathered,
    buffer: Vec<u8>,
    states: [Labels; STATES.len()],
}

impl Zfs {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            root: context.paths.procfs.join("spl/kstat/zfs"),
            made: Gathered::new(&ROWS),
            buffer: Vec::new(),
            states: STATES.map(|state| Labels::new([("state", state)])),
        }))
    }

    /// The files on ZFS as a whole; versions of ZFS differ in which there are.
    fn read_files(&mut self, root: &Folder) -> Result<(), Failure> {
        let Self { made, buffer, .. } = self;
        for (file, prefix) in FILES {
            let Some(text) = if_there(root.read_records(file, buffer))? else { continue };
            rows(text, |row, number| made.add(&[prefix, row], &Labels::EMPTY, value(number)))
                .ok_or_else(|| not_understood(root, file))?;
        }
        Ok(())
    }

    /// The pools are folders, listed anew each time: they come and go, and nothing here tells of it.
    fn read_pools(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut states = Vec::new();
        for name in names(&self.root)? {
            let Ok(pool) = Folder::open(self.root.join(&name)) else { continue };
            let labels = Labels::new([("zpool", name.as_encoded_bytes())]);
            self.read_pool(&pool, &labels)?;
            if let Some(text) = if_there(pool.read_records("state", &mut self.buffer))? {
                let state = text.trim_ascii();
                let index = STATES.iter().position(|known| state.eq_ignore_ascii_case(known.as_bytes()));
                states.push((labels, index));
            }
        }
        let mut samples = page.family(&STATE);
        for (pool, state) in &states {
            for (index, labels) in self.states.iter().enumerate() {
                samples.joined(labels, pool, *state == Some(index));
            }
        }
        Ok(())
    }

    fn read_pool(&mut self, pool: &Folder, labels: &Labels) -> Result<(), Failure> {
        let Self { made, buffer, .. } = self;
        if let Some(text) = if_there(pool.read_records("io", buffer))? {
            for (name, number) in columns(text).ok_or_else(|| not_understood(pool, "io"))? {
                made.add(&[b"node_zfs_zpool_", name], labels, number);
            }
        }
        for name in names(pool.path())? {
            if !name.as_encoded_bytes().starts_with(b"objset-") {
                continue;
            }
            let Some(text) = if_there(pool.read_records(&name, buffer))? else { continue };
            let not_understood = || not_understood(pool, &name);
            let mut labels_of_set = Labels::new([("dataset", dataset(text).ok_or_else(not_understood)?)]);
            labels_of_set.push("zpool", pool.path().file_name().unwrap_or_default().as_encoded_bytes());
            rows(text, |row, number| {
                // The reference gives rows of type 4 alone here.
                if matches!(number, Number::Unsigned(_)) {
                    made.add(&[b"node_zfs_zpool_dataset_", row], &labels_of_set, value(number));
                }
            })
            .ok_or_else(not_understood)?;
        }
        Ok(())
    }
}

impl Collector for Zfs {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let root = Folder::open(&self.root).map_err(ReadError::or_absent)?;
        self.made.begin();
        let outcome = self.read_files(&root).and_then(|()| self.read_pools(page));
        self.made.write(page);
        outcome
    }
}

fn if_there(read: Result<&[u8], ReadError>) -> Result<Option<&[u8]>, Failure> {
    match read {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn not_understood(folder: &Folder, file: impl AsRef<Path>) -> Failure {
    Failure::unreadable(&folder.path().join(file), "the rows of a kstat")
}

#[expect(clippy::cast_precision_loss, reason = "samples are floats")]
fn value(number: Number) -> Value {
    match number {
        Number::Unsigned(number) => number.into(),
        Number::Signed(number) => (number as f64).into(),
    }
}
