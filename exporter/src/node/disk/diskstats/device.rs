//! One block device: its labels, and what sysfs and udev say of it.

use std::path::Path;

use crate::{
    metric::Labels,
    source::{
        disk::{Activity, Disk},
        file::{KeptFile, Serves},
        text, udev,
    },
};

/// The properties of an ATA disk that are given as numbers.
pub(super) const ATA: [&str; 3] =
    ["ID_ATA_WRITE_CACHE", "ID_ATA_WRITE_CACHE_ENABLED", "ID_ATA_ROTATION_RATE_RPM"];

/// What is kept of a device, and its figures of this scrape.
#[derive(Debug)]
pub(super) struct Device {
    name: String,
    pub labels: Labels,
    pub activity: Activity,
    /// `None` once found missing: partitions and some virtual devices have no queue.
    rotational_file: Option<KeptFile>,
    rotational: u64,
    number: Option<(u32, u32)>,
    udev: Option<udev::Device>,
    pub info: Labels,
    /// If udev has found a file system.
    pub filesystem: Option<Labels>,
    /// If it is a device of the device mapper.
    pub mapper: Option<Labels>,
    /// The values of [`ATA`].
    pub ata: [Option<f64>; ATA.len()],
}

impl Device {
    pub fn new(sysfs: &Path, name: &str) -> Self {
        // sysfs writes a slash in a device's name as an exclamation mark.
        let queue = sysfs.join("block").join(name.replace('/', "!")).join("queue/rotational");
        Self {
            name: name.to_owned(),
            labels: Labels::new([("device", name)]),
            activity: Activity::default(),
            rotational_file: Some(KeptFile::new(queue, Serves::Whole)),
            rotational: 0,
            number: None,
            udev: None,
            info: Labels::EMPTY,
            filesystem: None,
            mapper: None,
            ata: [None; ATA.len()],
        }
    }

    /// Takes in this scrape's figures, and news of what the device is.
    pub fn update(&mut self, disk: &Disk<'_>, udev_data: Option<&Path>) {
        self.activity = disk.activity;
        let number = (disk.major, disk.minor);
        let renumbered = self.number.replace(number) != Some(number);
        if renumbered {
            self.udev = udev_data.map(|data| udev::Device::block(data, disk.major, disk.minor));
        }
        let news_of_udev = self.udev.as_mut().is_some_and(udev::Device::refresh);
        let rotational = self.read_rotational();
        let turned = std::mem::replace(&mut self.rotational, rotational) != rotational;
        if renumbered || news_of_udev || turned {
            self.describe(disk);
        }
    }

    fn read_rotational(&mut self) -> u64 {
        let Some(file) = &mut self.rotational_file else { return 0 };
        match file.read() {
            Ok(text) => text::only(text).unwrap_or(0),
            Err(error) => {
                if error.is_gone() {
                    self.rotational_file = None;
                }
                0
            }
        }
    }

    fn describe(&mut self, disk: &Disk<'_>) {
        let property = |name: &'static str| self.udev.as_ref().map_or(&[][..], |udev| udev.property(name));
        let name = self.name.as_bytes();
        let (major, minor) = (disk.major.to_string(), disk.minor.to_string());
        let serial = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"].map(property);
        self.info = Labels::new([
            ("device", name),
            ("major", major.as_bytes()),
            ("minor", minor.as_bytes()),
            ("model", property("ID_MODEL")),
            ("path", property("ID_PATH")),
            ("revision", property("ID_REVISION")),
            ("rotational", self.rotational.to_string().as_bytes()),
            ("serial", serial.into_iter().find(|serial| !serial.is_empty()).unwrap_or_default()),
            ("wwn", property("ID_WWN")),
        ]);
        let known = |key: &'static str| !property(key).is_empty();
        self.filesystem = known("ID_FS_TYPE").then(|| {
            Labels::new([
                ("device", name),
                ("type", property("ID_FS_TYPE")),
                ("usage", property("ID_FS_USAGE")),
                ("uuid", property("ID_FS_UUID")),
                ("version", property("ID_FS_VERSION")),
            ])
        });
        self.mapper = known("DM_NAME").then(|| {
            Labels::new([
                ("device", name),
                ("lv_layer", property("DM_LV_LAYER")),
                ("lv_name", property("DM_LV_NAME")),
                ("name", property("DM_NAME")),
                ("uuid", property("DM_UUID")),
                ("vg_name", property("DM_VG_NAME")),
            ])
        });
        self.ata = ATA.map(|key| known("ID_ATA").then(|| text::float(property(key))).flatten());
    }
}
