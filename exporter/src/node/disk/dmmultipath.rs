//! Disks reached by several paths through device mapper.

use std::collections::BTreeSet;

use rustix::io::Errno;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{file::ReadError, folder::Folder},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "dmmultipath",
    on_by_default: true,
    summary: "disks reached by several paths, and the state of each path",
    reads: "/sys/block/dm-*",
    since: "2.6.31",
    pace: Pace::Quick,
    flags: &[],
    families: &[&INFO, &ACTIVE, &SIZE, &PATHS, &PATHS_ACTIVE, &PATHS_FAILED, &PATH_STATE],
    build: DmMultipath::build,
};

static INFO: Family =
    Family::gauge("node_dmmultipath_device_info", "1, with the disk's names and its identity.");
static ACTIVE: Family = Family::gauge(
    "node_dmmultipath_device_active",
    "1 for a disk that takes requests, 0 for a suspended one.",
);
static SIZE: Family = Family::gauge("node_dmmultipath_device_size_bytes", "Size of the disk, in bytes.");
static PATHS: Family = Family::gauge("node_dmmultipath_device_paths", "Paths to the disk.");
static PATHS_ACTIVE: Family =
    Family::gauge("node_dmmultipath_device_paths_active", "Paths to the disk that are running or live.");
static PATHS_FAILED: Family =
    Family::gauge("node_dmmultipath_device_paths_failed", "Paths to the disk in any other state.");
static PATH_STATE: Family =
    Family::gauge("node_dmmultipath_path_state", "1, with the state that the path's own device is in.");

struct DmMultipath {
    folder: Folder,
}

struct Device {
    labels: Labels,
    info: Labels,
    name: Vec<u8>,
    is_suspended: bool,
    sectors: u64,
    /// Each path's device and state.
    paths: Vec<(String, Vec<u8>)>,
}

/// One of a disk's values.
type Value = fn(&Device) -> f64;

impl DmMultipath {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { folder: Folder::new(context.paths.sysfs.join("block")) }))
    }

    fn read(&self) -> Result<Vec<Device>, ReadError> {
        let mut devices = Vec::new();
        for name in self.folder.names_of(|name| name.starts_with(b"dm-"))? {
            devices.extend(self.device(&name)?);
        }
        Ok(devices)
    }

    /// `None` for another kind of mapping.
    fn device(&self, sysfs_name: &str) -> Result<Option<Device>, ReadError> {
        let folder = self.folder.folder(sysfs_name);
        let mapping = folder.folder("dm");
        let uuid = mapping.text("uuid")?;
        if !uuid.starts_with(b"mpath-") {
            return Ok(None);
        }
        let name = mapping.text("name")?;
        let state = |path: &String| self.folder.folder(path).folder("device").text("state");
        // A path whose device has gone, or is of a kind without states.
        let state = |path: &String| state(path).unwrap_or_else(|_| b"unknown".to_vec());
        let paths = folder.folder("slaves").names()?;
        Ok(Some(Device {
            labels: Labels::new([("device", name.as_slice()), ("sysfs_name", sysfs_name.as_bytes())]),
            info: Labels::new([("device", &*name), ("sysfs_name", sysfs_name.as_bytes()), ("uuid", &*uuid)]),
            name,
            is_suspended: mapping.whole("suspended")? == 1,
            sectors: folder.whole("size")?,
            paths: paths.into_iter().map(|path| (path.clone(), state(&path))).collect(),
        }))
    }
}

impl Device {
    fn active_paths(&self) -> usize {
        self.paths.iter().filter(|(_, state)| state == b"running" || state == b"live").count()
    }
}

impl Collector for DmMultipath {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let devices = self.read().map_err(|error| match Errno::from_io_error(&error.error) {
            Some(Errno::ACCESS | Errno::PERM) => Failure::absent(error.to_string()),
            _ => error.or_absent(),
        })?;
        let mut samples = page.family(&INFO);
        for device in &devices {
            samples.sample(&device.info, 1_u64);
        }
        let values: [(&Family, Value); 5] = [
            (&ACTIVE, |device| f64::from(u8::from(!device.is_suspended))),
            (&SIZE, |device| device.sectors as f64 * 512.0),
            (&PATHS, |device| device.paths.len() as f64),
            (&PATHS_ACTIVE, |device| device.active_paths() as f64),
            (&PATHS_FAILED, |device| (device.paths.len() - device.active_paths()) as f64),
        ];
        for (family, value) in values {
            let mut samples = page.family(family);
            for device in &devices {
                samples.sample(&device.labels, value(device));
            }
        }
        let mut samples = page.family(&PATH_STATE);
        // While a disk is renamed two may have one name.
        let mut seen = BTreeSet::new();
        for device in &devices {
            for (path, state) in &device.paths {
                let labels =
                    Labels::new([("device", &*device.name), ("path", path.as_bytes()), ("state", state)]);
                if seen.insert(labels.clone()) {
                    samples.sample(&labels, 1_u64);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::sysfs_test::Root;

    fn root() -> Root {
        let root = Root::new("multipath");
        root.fill(
            "block/dm-0",
            &[
                ("dm/uuid", "mpath-1\n"),
                ("dm/name", "a\"b\n"),
                ("dm/suspended", "1\n"),
                ("size", "2\n"),
                ("slaves/sda/.x", ""),
                ("slaves/nvme0n1/.x", ""),
                ("slaves/gone/.x", ""),
            ],
        );
        root.fill("block/dm-1", &[("dm/uuid", "LVM-x\n")]);
        root.fill("block/sda", &[("device/state", "offline\n")]);
        root.fill("block/nvme0n1", &[("device/state", "live\n")]);
        root
    }

    #[test]
    fn paths_are_counted_by_their_state() {
        assert_eq!(
            root().samples(&DESCRIPTOR, &[]).expect("collects"),
            [
                r#"node_dmmultipath_device_info{device="a\"b",sysfs_name="dm-0",uuid="mpath-1"} 1"#,
                r#"node_dmmultipath_device_active{device="a\"b",sysfs_name="dm-0"} 0"#,
                r#"node_dmmultipath_device_size_bytes{device="a\"b",sysfs_name="dm-0"} 1024"#,
                r#"node_dmmultipath_device_paths{device="a\"b",sysfs_name="dm-0"} 3"#,
                r#"node_dmmultipath_device_paths_active{device="a\"b",sysfs_name="dm-0"} 1"#,
                r#"node_dmmultipath_device_paths_failed{device="a\"b",sysfs_name="dm-0"} 2"#,
                r#"node_dmmultipath_path_state{device="a\"b",path="gone",state="unknown"} 1"#,
                r#"node_dmmultipath_path_state{device="a\"b",path="nvme0n1",state="live"} 1"#,
                r#"node_dmmultipath_path_state{device="a\"b",path="sda",state="offline"} 1"#,
            ]
        );
    }

    #[test]
    fn no_block_devices_are_no_data_and_nonsense_a_failure() {
        let failure = Root::new("no-block").samples(&DESCRIPTOR, &[]).expect_err("is missing");
        assert!(matches!(failure, Failure::Absent(_)), "{failure}");
        let root = root();
        for bad in ["", "-1", "x", "18446744073709551616"] {
            root.write("block/dm-0/size", bad);
            let failure = root.samples(&DESCRIPTOR, &[]).expect_err(bad).to_string();
            assert!(failure.contains("dm-0/size: expected a whole number"), "{failure}");
        }
    }
}
