//! Reads, writes, discards and flushes of block devices, and what udev knows of them.

mod device;

use std::path::PathBuf;

use self::device::Device;
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, Filter, FilterFlags},
    metric::{Family, Page, Value},
    node::kept::Kept,
    source::{
        disk::{COLUMNS, disks},
        file::{KeptFile, Serves},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "diskstats",
    on_by_default: true,
    summary: "reads, writes, discards and flushes of block devices",
    reads: "/proc/diskstats, /sys/block/*/queue/rotational, /run/udev/data",
    since: "2.6; discards 4.18, flushes 5.5",
    pace: Pace::Quick,
    flags: &[
        Flag {
            name: FILTER.include,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Only these block devices; clears the default of device-exclude",
        },
        Flag {
            name: FILTER.exclude,
            takes: Takes::Text {
                placeholder: "REGEXP",
                default: r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$",
            },
            help: "All block devices but these",
        },
        Flag {
            name: OLD_EXCLUDE,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Old name of device-exclude",
        },
    ],
    families: &EVERY_FAMILY,
    build: Diskstats::build,
};

const OLD_EXCLUDE: &str = "collector.diskstats.ignored-devices";
const FILTER: FilterFlags = FilterFlags {
    include: "collector.diskstats.device-include",
    exclude: "collector.diskstats.device-exclude",
    old_include: None,
    old_exclude: Some(OLD_EXCLUDE),
};

/// What a column's numbers are.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Plain,
    /// 512 bytes, whatever the disk's own sector.
    Sectors,
    Milliseconds,
}

impl Unit {
    fn convert(self, number: u64) -> Value {
        match self {
            Self::Plain => Value::Whole(number),
            Self::Sectors => Value::Float(number as f64 * 512.0),
            // A product, not a quotient: the last digits are the reference's.
            Self::Milliseconds => Value::Float(number as f64 * 0.001),
        }
    }
}

/// In the order of the file.
const UNITS: [Unit; COLUMNS] = [
    Unit::Plain,
    Unit::Plain,
    Unit::Sectors,
    Unit::Milliseconds,
    Unit::Plain,
    Unit::Plain,
    Unit::Sectors,
    Unit::Milliseconds,
    Unit::Plain,
    Unit::Milliseconds,
    Unit::Milliseconds,
    Unit::Plain,
    Unit::Plain,
    // Discards stay in sectors, as the name says.
    Unit::Plain,
    Unit::Milliseconds,
    Unit::Plain,
    Unit::Milliseconds,
];

/// In the order of the file.
static FAMILIES: [Family; COLUMNS] = [
    Family::counter("node_disk_reads_completed_total", "Reads that the device has completed."),
    Family::counter("node_disk_reads_merged_total", "Reads merged with a neighbour before they were sent."),
    Family::counter("node_disk_read_bytes_total", "Bytes read."),
    Family::counter("node_disk_read_time_seconds_total", "Seconds spent reading, all reads added up."),
    Family::counter("node_disk_writes_completed_total", "Writes that the device has completed."),
    Family::counter("node_disk_writes_merged_total", "Writes merged with a neighbour before they were sent."),
    Family::counter("node_disk_written_bytes_total", "Bytes written."),
    Family::counter("node_disk_write_time_seconds_total", "Seconds spent writing, all writes added up."),
    Family::gauge("node_disk_io_now", "Requests that the device has not yet answered."),
    Family::counter("node_disk_io_time_seconds_total", "Seconds in which the device had something to do."),
    Family::counter(
        "node_disk_io_time_weighted_seconds_total",
        "Seconds that requests have waited, all requests added up.",
    ),
    Family::counter("node_disk_discards_completed_total", "Discards that the device has completed."),
    Family::counter(
        "node_disk_discards_merged_total",
        "Discards merged with a neighbour before they were sent.",
    ),
    Family::counter("node_disk_discarded_sectors_total", "Sectors of 512 bytes discarded."),
    Family::counter(
        "node_disk_discard_time_seconds_total",
        "Seconds spent discarding, all discards added up.",
    ),
    Family::counter("node_disk_flush_requests_total", "Flushes that the device has completed."),
    Family::counter(
        "node_disk_flush_requests_time_seconds_total",
        "Seconds spent flushing, all flushes added up.",
    ),
];

static INFO: Family =
    Family::gauge("node_disk_info", "1, with the device's number, and what udev knows of the disk.");
static FILESYSTEM_INFO: Family =
    Family::gauge("node_disk_filesystem_info", "1, with the file system that udev has found on the device.");
static MAPPER_INFO: Family = Family::gauge(
    "node_disk_device_mapper_info",
    "1, with the names that device mapper and LVM have for it.",
);
static ATA: [Family; device::ATA.len()] = [
    Family::gauge("node_disk_ata_write_cache", "Whether the ATA disk has a write cache, 1 or 0."),
    Family::gauge("node_disk_ata_write_cache_enabled", "Whether the ATA disk's write cache is on, 1 or 0."),
    Family::gauge(
        "node_disk_ata_rotation_rate_rpm",
        "Turns a minute of the ATA disk, 0 for one without moving parts.",
    ),
];

static EVERY_FAMILY: [&Family; COLUMNS + ATA.len() + 3] =
    Family::all(&[&INFO, &FILESYSTEM_INFO, &MAPPER_INFO], &[&FAMILIES, &ATA]);

struct Diskstats {
    file: KeptFile,
    filter: Filter,
    sysfs: PathBuf,
    /// `None` when the node has no udev.
    udev_data: Option<PathBuf>,
    /// `None` for a device that is filtered out.
    devices: Kept<Option<Device>>,
}

impl Diskstats {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let udev_data = Some(context.paths.udev_data.clone()).filter(|path| path.is_dir());
        if udev_data.is_none() {
            let path = context.paths.udev_data.display();
            tracing::warn!("{path} is no folder: node_disk_info has no more than numbers");
        }
        Ok(Box::new(Self {
            file: KeptFile::new(context.paths.procfs.join("diskstats"), Serves::Rows),
            filter: Filter::from_flags(context.flags, &FILTER)?,
            sysfs: context.paths.sysfs.clone(),
            udev_data,
            devices: Kept::default(),
        }))
    }

    fn read(&mut self) -> Result<(), Failure> {
        let Self { file, filter, sysfs, udev_data, devices } = self;
        let text = file.read()?;
        let mut read_any = false;
        devices.begin();
        for disk in disks(text) {
            read_any = true;
            let make = || {
                let name = String::from_utf8_lossy(disk.name);
                filter.keeps(&name).then(|| Device::new(sysfs, &name))
            };
            if let Some(Some(device)) = devices.meet(disk.name, make) {
                device.update(&disk, udev_data.as_deref());
            }
        }
        devices.end();
        // A node without any block device has an empty file.
        if read_any || text.trim_ascii().is_empty() {
            return Ok(());
        }
        Err(Failure::unreadable(self.file.path(), "lines of a device and at least eleven numbers"))
    }
}

impl Collector for Diskstats {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.read()?;
        let devices = || self.devices.items().flatten();
        for (index, (family, unit)) in FAMILIES.iter().zip(UNITS).enumerate() {
            let mut samples = page.family(family);
            for device in devices() {
                if let Some(number) = device.activity.column(index) {
                    samples.sample(&device.labels, unit.convert(number));
                }
            }
        }
        let infos = |page: &mut Page, family, labels: fn(&Device) -> Option<&crate::metric::Labels>| {
            let mut samples = page.family(family);
            devices().filter_map(labels).for_each(|labels| samples.sample(labels, 1_u64));
        };
        infos(page, &INFO, |device| Some(&device.info));
        infos(page, &FILESYSTEM_INFO, |device| device.filesystem.as_ref());
        infos(page, &MAPPER_INFO, |device| device.mapper.as_ref());
        for (index, family) in ATA.iter().enumerate() {
            let mut samples = page.family(family);
            for device in devices() {
                if let Some(value) = device.ata.get(index).copied().flatten() {
                    samples.sample(&device.labels, value);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_its_family_and_none_is_left_out() {
        assert!(EVERY_FAMILY.iter().filter(|family| family.name == INFO.name).count() == 1);
        for (family, unit) in FAMILIES.iter().zip(UNITS) {
            assert_eq!(
                family.name.contains("_seconds"),
                matches!(unit, Unit::Milliseconds),
                "{}",
                family.name
            );
            assert_eq!(family.name.contains("_bytes"), matches!(unit, Unit::Sectors), "{}", family.name);
        }
    }

    #[test]
    fn numbers_have_the_reference_s_digits() {
        let text = |unit: Unit, number| {
            let mut out = Vec::new();
            unit.convert(number).write(&mut out);
            String::from_utf8(out).expect("numbers are ASCII")
        };
        assert_eq!(text(Unit::Milliseconds, 9_653_880), "9653.880000000001");
        assert_eq!(text(Unit::Sectors, 1_003_346_126), "5.13713216512e+11");
        assert_eq!(text(Unit::Plain, u64::MAX), "1.8446744073709552e+19");
    }
}
