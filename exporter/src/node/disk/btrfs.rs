//! Btrfs: sizes by kind of block group, devices and their errors, commits.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page, Value},
    source::{
        btrfs::{Device, devices},
        file::{KeptFile, ReadError, Serves},
        folder::{Folder, names},
        mount::{mounts, unescape},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "btrfs",
    on_by_default: true,
    summary: "Btrfs: sizes by kind of block group, devices and their errors, commits",
    reads: "/sys/fs/btrfs; ioctl(2) on each mounted one",
    since: "3.14",
    pace: Pace::MayBlock,
    flags: &[],
    families: &[
        &INFO,
        &GLOBAL_RSV,
        &DEVICE_SIZE,
        &DEVICE_UNUSED,
        &DEVICE_ERRORS,
        &COMMITS,
        &LAST_COMMIT,
        &MAX_COMMIT,
        &COMMIT_SECONDS,
        &RESERVED,
        &USED,
        &SIZE,
        &RATIO,
    ],
    build: Btrfs::build,
};

static INFO: Family = Family::gauge("node_btrfs_info", "1, with the label that the filesystem was given.");
static GLOBAL_RSV: Family = Family::gauge(
    "node_btrfs_global_rsv_size_bytes",
    "Space kept back for when there is none left, in bytes.",
);
static DEVICE_SIZE: Family = Family::gauge(
    "node_btrfs_device_size_bytes",
    "Size of a device that the filesystem stands on, in bytes.",
);
static DEVICE_UNUSED: Family = Family::gauge(
    "node_btrfs_device_unused_bytes",
    "Part of the device that is set apart for nothing, in bytes.",
);
static DEVICE_ERRORS: Family = Family::counter(
    "node_btrfs_device_errors_total",
    "Errors of the device that the filesystem met, by kind.",
);
static COMMITS: Family =
    Family::counter("node_btrfs_commits_total", "Commits since the filesystem was mounted.");
static LAST_COMMIT: Family =
    Family::gauge("node_btrfs_last_commit_seconds", "Seconds that the last commit took.");
static MAX_COMMIT: Family =
    Family::gauge("node_btrfs_max_commit_seconds", "Seconds that the longest commit took.");
static COMMIT_SECONDS: Family =
    Family::counter("node_btrfs_commit_seconds_total", "Seconds that all commits took.");
static RESERVED: Family =
    Family::gauge("node_btrfs_reserved_bytes", "Space set aside for writes to come, in bytes.");
static USED: Family = Family::gauge("node_btrfs_used_bytes", "Space in use, in bytes of data.");
static SIZE: Family =
    Family::gauge("node_btrfs_size_bytes", "Space set apart for this kind, in bytes of data.");
static RATIO: Family =
    Family::gauge("node_btrfs_allocation_ratio", "Bytes on disk for each byte of data, by the profile.");

const KINDS: [&str; 3] = ["data", "metadata", "system"];
const SECTOR: u64 = 512;

/// One block group's profile: its labels, bytes used, bytes in all, ratio.
type Profile = (Labels, u64, u64, f64);

/// One filesystem.
struct Filesystem {
    labels: Labels,
    info: Labels,
    global_rsv: u64,
    devices: Vec<(Labels, u64)>,
    unused: Vec<(Labels, u64)>,
    errors: Vec<(Labels, u64)>,
    commits: Commits,
    reserved: Vec<(Labels, u64)>,
    profiles: Vec<Profile>,
}

/// `commit_stats`, times in ms; all 0 on a kernel before 6.0, which has none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Commits {
    count: u64,
    last: u64,
    max: u64,
    total: u64,
}

/// The kinds of errors in the order of [`Device::errors`].
const ERRORS: [&str; 5] = ["write", "read", "flush", "corruption", "generation"];

struct Btrfs {
    filesystems: PathBuf,
    mounts: [KeptFile; 2],
    rootfs: PathBuf,
    buffer: Vec<u8>,
}

impl Btrfs {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let mounts = ["1/mountinfo", "self/mountinfo"]
            .map(|file| KeptFile::new(context.paths.procfs.join(file), Serves::Records));
        Ok(Box::new(Self {
            filesystems: context.paths.sysfs.join("fs/btrfs"),
            mounts,
            rootfs: context.paths.rootfs.clone(),
            buffer: Vec::new(),
        }))
    }

    /// What the mounted filesystems tell of their devices, by UUID. One that cannot be asked, as without root, is
    /// left to sysfs.
    fn ask(&mut self) -> BTreeMap<Vec<u8>, Vec<Device>> {
        let [first, own] = &mut self.mounts;
        let mountinfo = match first.read() {
            Ok(text) => text,
            Err(_) => own.read().unwrap_or_default(),
        };
        let mut asked = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for mount in mounts(mountinfo).filter(|mount| mount.fstype == b"btrfs") {
            if !seen.insert(mount.device) {
                continue;
            }
            let point = unescape(mount.point, |_| true);
            let below = OsStr::from_bytes(point.strip_prefix(b"/").unwrap_or(&point));
            if let Ok((uuid, devices)) = devices(&self.rootfs.join(below)) {
                asked.insert(dashed(uuid), devices);
            }
        }
        asked
    }
}

/// A UUID as it is written.
fn dashed(uuid: [u8; 16]) -> Vec<u8> {
    let mut text = Vec::with_capacity(36);
    for (index, byte) in uuid.into_iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push(b'-');
        }
        text.extend_from_slice(format!("{byte:02x}").as_bytes());
    }
    text
}

impl Collector for Btrfs {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut all = Vec::new();
        let mut asked: Option<BTreeMap<_, _>> = None;
        // Listed anew each time: filesystems are mounted and unmounted, and nothing here tells of it.
        for name in names(&self.filesystems)? {
            let uuid = name.as_encoded_bytes();
            if !uuid.contains(&b'-') {
                continue;
            }
            let folder = Folder::open(self.filesystems.join(&name))?;
            let mut filesystem = read(&folder, uuid, &mut self.buffer)?;
            if let Some(devices) = asked.get_or_insert_with(|| self.ask()).get(uuid) {
                filesystem.set_devices(uuid, devices);
            }
            all.push(filesystem);
        }
        write(&all, page);
        Ok(())
    }
}

impl Filesystem {
    /// Puts what the filesystem itself tells in the place of what sysfs does.
    fn set_devices(&mut self, uuid: &[u8], devices: &[Device]) {
        self.devices.clear();
        for device in devices {
            let own = dashed(device.uuid);
            let name = device.path.strip_prefix(b"/dev/").unwrap_or(&device.path);
            let pairs = [("btrfs_dev_uuid", own.as_slice()), ("device", name), ("uuid", uuid)];
            self.devices.push((Labels::new(pairs), device.total));
            self.unused.push((Labels::new(pairs), device.total.saturating_sub(device.used)));
            for (kind, count) in ERRORS.into_iter().zip(device.errors) {
                let [own, name, uuid] = pairs;
                self.errors.push((Labels::new([own, name, ("type", kind.as_bytes()), uuid]), count));
            }
        }
    }
}

fn read(folder: &Folder, uuid: &[u8], buffer: &mut Vec<u8>) -> Result<Filesystem, Failure> {
    let mut devices = Vec::new();
    for name in names(&folder.path().join("devices"))? {
        let file = format!("devices/{}/size", name.to_string_lossy());
        let labels = Labels::new([("device", name.as_encoded_bytes()), ("uuid", uuid)]);
        devices.push((labels, number(folder, &file, buffer)?.saturating_mul(SECTOR)));
    }
    let (mut reserved, mut profiles) = (Vec::new(), Vec::new());
    for kind in KINDS {
        let path = folder.path().join("allocation").join(kind);
        let Ok(group) = Folder::open(&path) else { continue };
        let labels = Labels::new([("block_group_type", kind.as_bytes()), ("uuid", uuid)]);
        reserved.push((labels, number(&group, "bytes_reserved", buffer)?));
        for mode in names(&path)? {
            let Ok(profile) = Folder::open(path.join(&mode)) else { continue };
            let mode = mode.as_encoded_bytes();
            let used = number(&profile, "used_bytes", buffer)?;
            let size = number(&profile, "total_bytes", buffer)?;
            let pairs = [("block_group_type", kind.as_bytes()), ("mode", mode), ("uuid", uuid)];
            profiles.push((Labels::new(pairs), used, size, ratio(mode, devices.len())));
        }
    }
    let commits = match folder.read("commit_stats", buffer) {
        Ok(text) => commits(text)
            .ok_or_else(|| Failure::unreadable(&folder.path().join("commit_stats"), "keys with numbers"))?,
        Err(error) if error.is_gone() => Commits::default(),
        Err(error) => return Err(error.into()),
    };
    let global_rsv = number(folder, "allocation/global_rsv_size", buffer)?;
    let label = folder.read("label", buffer)?.trim_ascii();
    Ok(Filesystem {
        labels: Labels::new([("uuid", uuid)]),
        info: Labels::new([("label", label), ("uuid", uuid)]),
        global_rsv,
        devices,
        unused: Vec::new(),
        errors: Vec::new(),
        commits,
        reserved,
        profiles,
    })
}

fn number(folder: &Folder, file: &str, buffer: &mut Vec<u8>) -> Result<u64, Failure> {
    let text = folder.read(file, buffer).map_err(ReadError::or_absent)?;
    text::only(text).ok_or_else(|| Failure::unreadable(&folder.path().join(file), "a number"))
}

fn commits(text: &[u8]) -> Option<Commits> {
    Some(Commits {
        count: text::keyed(text, b"commits")?,
        last: text::keyed(text, b"last_commit_ms")?,
        max: text::keyed(text, b"max_commit_ms")?,
        total: text::keyed(text, b"total_commit_ms")?,
    })
}

/// Bytes on disk for each byte of data; a profile that is not known counts as 0, as with the reference.
fn ratio(mode: &[u8], devices: usize) -> f64 {
    let devices = f64::from(u32::try_from(devices).unwrap_or(u32::MAX));
    match mode {
        b"single" | b"raid0" => 1.0,
        b"dup" | b"raid1" | b"raid10" => 2.0,
        b"raid1c3" => 3.0,
        b"raid1c4" => 4.0,
        b"raid5" => devices / (devices - 1.0),
        b"raid6" => devices / (devices - 2.0),
        _ => 0.0,
    }
}

fn write(all: &[Filesystem], page: &mut Page) {
    let commits = |of: fn(&Commits) -> u64| all.iter().map(move |one| (&one.labels, of(&one.commits)));
    let times = |of| commits(of).map(|(labels, milliseconds)| (labels, seconds(milliseconds)));
    let profiles = || all.iter().flat_map(|one| &one.profiles);
    put(page, &INFO, all.iter().map(|one| (&one.info, 1_u64)));
    put(page, &GLOBAL_RSV, all.iter().map(|one| (&one.labels, one.global_rsv)));
    put(page, &DEVICE_SIZE, all.iter().flat_map(|one| &one.devices).map(|(labels, size)| (labels, *size)));
    put(page, &DEVICE_UNUSED, all.iter().flat_map(|one| &one.unused).map(|(labels, bytes)| (labels, *bytes)));
    put(page, &DEVICE_ERRORS, all.iter().flat_map(|one| &one.errors).map(|(labels, count)| (labels, *count)));
    put(page, &COMMITS, commits(|commits| commits.count));
    put(page, &LAST_COMMIT, times(|commits| commits.last));
    put(page, &MAX_COMMIT, times(|commits| commits.max));
    put(page, &COMMIT_SECONDS, times(|commits| commits.total));
    put(page, &RESERVED, all.iter().flat_map(|one| &one.reserved).map(|(labels, bytes)| (labels, *bytes)));
    put(page, &USED, profiles().map(|(labels, used, ..)| (labels, *used)));
    put(page, &SIZE, profiles().map(|(labels, _, size, _)| (labels, *size)));
    put(page, &RATIO, profiles().map(|(labels, .., ratio)| (labels, *ratio)));
}

fn put<'l, V: Into<Value>>(
    page: &mut Page,
    family: &'static Family,
    found: impl Iterator<Item = (&'l Labels, V)>,
) {
    let mut samples = page.family(family);
    for (labels, value) in found {
        samples.sample(labels, value);
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples are floats")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_need_every_key() {
        let text = b"commits 258051\nlast_commit_ms 1000\nmax_commit_ms 51462\ntotal_commit_ms 47836090";
        assert_eq!(
            commits(text),
            Some(Commits { count: 258_051, last: 1000, max: 51_462, total: 47_836_090 })
        );
        for bad in
            [&b""[..], b"commits 1\n", b"commits x\nlast_commit_ms 1\nmax_commit_ms 1\ntotal_commit_ms 1"]
        {
            assert_eq!(commits(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_uuid_has_its_dashes() {
        let uuid = *b"\x56\xa4\x93\x77\x02\x2e\x4e\x61\xbe\x66\xf5\x3e\xbf\x43\x36\x0f";
        assert_eq!(dashed(uuid), b"56a49377-022e-4e61-be66-f53ebf43360f");
    }

    #[test]
    fn ratios_are_the_profiles_own() {
        for (mode, devices, expected) in [
            (&b"single"[..], 1, 1.0),
            (b"raid1", 2, 2.0),
            (b"raid1c4", 9, 4.0),
            (b"raid5", 4, 4.0 / 3.0),
            (b"raid6", 4, 2.0),
            (b"new", 4, 0.0),
        ] {
            assert!((ratio(mode, devices) - expected).abs() < f64::EPSILON, "{mode:?}");
        }
    }
}
