//! Software RAID arrays: disks, state, how far a rebuild is.

use std::path::{Path, PathBuf};

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::{KeptFile, Serves},
        folder::{Folder, names},
        mdstat::{Activity, Array, arrays},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "mdadm",
    on_by_default: true,
    summary: "software RAID arrays: disks, state, how far a rebuild is",
    reads: "/proc/mdstat, /sys/block/md*/md",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&STATE, &DISKS, &DISKS_REQUIRED, &BLOCKS, &BLOCKS_SYNCED, &RAID_DISKS, &DEGRADED],
    build: Mdadm::build,
};

static STATE: Family = Family::gauge("node_md_state", "1 for what the array is doing, 0 for what it is not.");
static DISKS: Family = Family::gauge("node_md_disks", "Disks of the array that serve, have failed or wait.");
static DISKS_REQUIRED: Family =
    Family::gauge("node_md_disks_required", "Disks that the array is made for, by /proc/mdstat.");
static BLOCKS: Family = Family::gauge("node_md_blocks", "Size of the array, in blocks of 1 KiB.");
static BLOCKS_SYNCED: Family = Family::gauge(
    "node_md_blocks_synced",
    "Blocks of 1 KiB that a rebuild or check has done; all if none runs.",
);
static RAID_DISKS: Family =
    Family::gauge("node_md_raid_disks", "Disks that the array is made for, by sysfs.");
static DEGRADED: Family =
    Family::gauge("node_md_degraded", "Disks that the array lacks; 0 for levels that cannot lack one.");

const STATES: [(Activity, &str); 5] = [
    (Activity::Active, "active"),
    (Activity::Inactive, "inactive"),
    (Activity::Recovering, "recovering"),
    (Activity::Resync, "resync"),
    (Activity::Check, "check"),
];

struct Mdadm {
    file: KeptFile,
    block: PathBuf,
    buffer: Vec<u8>,
    states: [Labels; STATES.len()],
    disks: [Labels; 3],
}

impl Mdadm {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            file: KeptFile::new(context.paths.procfs.join("mdstat"), Serves::Records),
            block: context.paths.sysfs.join("block"),
            buffer: Vec::new(),
            states: STATES.map(|(_, word)| Labels::new([("state", word)])),
            disks: ["active", "failed", "spare"].map(|word| Labels::new([("state", word)])),
        }))
    }

    /// What sysfs adds. The arrays are listed anew each time: a name read from /proc/mdstat would do as well, but
    /// the reference looks here, where others may stand.
    fn write_members(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut members = Vec::new();
        for name in names(&self.block)? {
            if !name.as_encoded_bytes().starts_with(b"md") {
                continue;
            }
            let Ok(folder) = Folder::open(self.block.join(&name).join("md")) else { continue };
            match member(&folder, &mut self.buffer) {
                Ok(figures) => members.push((Labels::new([("device", name.as_encoded_bytes())]), figures)),
                Err(Failure::Absent(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        let mut samples = page.family(&RAID_DISKS);
        for (labels, (disks, _)) in &members {
            samples.sample(labels, *disks);
        }
        let mut samples = page.family(&DEGRADED);
        for (labels, (_, degraded)) in &members {
            samples.sample(labels, *degraded);
        }
        Ok(())
    }
}

impl Collector for Mdadm {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let Self { file, states, disks, .. } = self;
        let path = file.path().to_owned();
        let text = file.read().map_err(crate::source::file::ReadError::or_absent)?;
        let arrays = arrays(text).map_err(|line| not_understood(&path, line))?;
        let labels: Vec<Labels> = arrays.iter().map(|array| Labels::new([("device", array.name)])).collect();
        let each = || labels.iter().zip(&arrays);
        let mut samples = page.family(&STATE);
        for (device, array) in each() {
            for (labels, (activity, _)) in states.iter().zip(STATES) {
                samples.joined(device, labels, array.activity == activity);
            }
        }
        let mut samples = page.family(&DISKS);
        for (device, array) in each() {
            for (labels, count) in
                disks.iter().zip([array.disks_active, array.disks_failed, array.disks_spare])
            {
                samples.joined(device, labels, count);
            }
        }
        let mut write = |family: &'static Family, number: fn(&Array<'_>) -> u64| {
            let mut samples = page.family(family);
            for (device, array) in each() {
                samples.sample(device, number(array));
            }
        };
        write(&DISKS_REQUIRED, |array| array.disks_required);
        write(&BLOCKS, |array| array.blocks);
        write(&BLOCKS_SYNCED, |array| array.blocks_synced);
        self.write_members(page)
    }
}

fn not_understood(path: &Path, line: &[u8]) -> Failure {
    Failure::unreadable(path, &format!("an array at `{}`", String::from_utf8_lossy(line)))
}

/// Disks wanted and disks that lack, of one array.
fn member(folder: &Folder, buffer: &mut Vec<u8>) -> Result<(u64, u64), Failure> {
    let mut number = |name: &str| {
        let text = folder.read(name, buffer).map_err(crate::source::file::ReadError::or_absent)?;
        // While its shape changes, the old number follows in brackets.
        text::fields(text.trim_ascii())
            .next()
            .and_then(text::whole)
            .ok_or_else(|| Failure::unreadable(&folder.path().join(name), "a number"))
    };
    let disks = number("raid_disks")?;
    match number("degraded") {
        Ok(degraded) => Ok((disks, degraded)),
        // A level without spare data, such as raid0, has no such file.
        Err(Failure::Absent(_)) => Ok((disks, 0)),
        Err(failure) => Err(failure),
    }
}
