//! What a container reads from block devices and writes to them.

mod count;
pub mod discards;
mod disks;
mod reading;

use std::time::Instant;

use super::{
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
    write::seconds,
};
use crate::metric::{Family, Kind, Page, Value};

use count::{Figure, Row};

pub use count::DiskCounts;
pub use reading::DiskReader;

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "disk_io",
    words: &["diskIO"],
    on: On::ByDefault,
    summary: "bytes and operations on block devices; for `/` what the devices of the host's file systems do",
    reads: "io.stat, or blkio.throttle.*, blkio.bfq.* and CFQ's blkio.* of cgroup v1; /proc/diskstats, \
            /proc/1/mountinfo",
    families: &[
        Origin::new(&READ_BYTES, "io_service_bytes: Read", "io.stat: rbytes"),
        Origin::new(&WRITE_BYTES, "io_service_bytes: Write", "io.stat: wbytes"),
        Origin::new(&READS, "io_serviced: Read; else /: diskstats", "io.stat: rios; else /: diskstats"),
        Origin::new(&WRITES, "io_serviced: Write; else /: diskstats", "io.stat: wios; else /: diskstats"),
        Origin::same(&SECTORS_READ, "/: diskstats"),
        Origin::same(&SECTORS_WRITTEN, "/: diskstats"),
        Origin::new(&READS_MERGED, "io_merged: Read; else /: diskstats", "/: diskstats"),
        Origin::new(&WRITES_MERGED, "io_merged: Write; else /: diskstats", "/: diskstats"),
        Origin::new(&READ_TIME, "io_service_time: Read; else /: diskstats", "/: diskstats"),
        Origin::new(&WRITE_TIME, "io_service_time: Write; else /: diskstats", "/: diskstats"),
        Origin::new(&BUSY_TIME, "io_service_time: Total; else /: diskstats", "/: diskstats"),
        Origin::new(&WAITING, "io_queued: Total; else /: diskstats", "/: diskstats"),
        Origin::same(&WEIGHTED_TIME, "/: diskstats"),
        Origin::new(&COST_USAGE, "-", "io.stat: cost.usage"),
        Origin::new(&COST_WAIT, "-", "io.stat: cost.wait"),
        Origin::new(&COST_INDEBT, "-", "io.stat: cost.indebt"),
        Origin::new(&COST_INDELAY, "-", "io.stat: cost.indelay"),
        Origin::new(&USAGE, "io_service_bytes", "io.stat: rbytes, wbytes"),
    ],
};

static READ_BYTES: Family = Family::counter("container_fs_reads_bytes_total", "Bytes read from the device.");
static WRITE_BYTES: Family =
    Family::counter("container_fs_writes_bytes_total", "Bytes written to the device.");
static READS: Family = Family::counter("container_fs_reads_total", "Reads from the device.");
static WRITES: Family = Family::counter("container_fs_writes_total", "Writes to the device.");
static SECTORS_READ: Family =
    Family::counter("container_fs_sector_reads_total", "Sectors of 512 bytes read from the device.");
static SECTORS_WRITTEN: Family =
    Family::counter("container_fs_sector_writes_total", "Sectors of 512 bytes written to the device.");
static READS_MERGED: Family = Family::counter(
    "container_fs_reads_merged_total",
    "Reads merged with a neighbour before they were sent to the device.",
);
static WRITES_MERGED: Family = Family::counter(
    "container_fs_writes_merged_total",
    "Writes merged with a neighbour before they were sent to the device.",
);
static READ_TIME: Family =
    Family::counter("container_fs_read_seconds_total", "Time spent reading, all reads added up, in seconds.");
static WRITE_TIME: Family = Family::counter(
    "container_fs_write_seconds_total",
    "Time spent writing, all writes added up, in seconds.",
);
static BUSY_TIME: Family = Family::counter(
    "container_fs_io_time_seconds_total",
    "Time in which the device worked for the container, in seconds; for / in which it worked at all.",
);
static WAITING: Family =
    Family::gauge("container_fs_io_current", "Operations that the device has yet to finish.");
static WEIGHTED_TIME: Family = Family::counter(
    "container_fs_io_time_weighted_seconds_total",
    "Time that operations have waited, all added up, in seconds.",
);
static COST_USAGE: Family = Family::counter(
    "container_fs_io_cost_usage_seconds_total",
    "Time of the device that its cost model charged to the container, in seconds.",
);
static COST_WAIT: Family = Family::counter(
    "container_fs_io_cost_wait_seconds_total",
    "Time that operations were held back for the cost model's sake, in seconds.",
);
static COST_INDEBT: Family = Family::counter(
    "container_fs_io_cost_indebt_seconds_total",
    "Time in which the container owed the cost model, in seconds.",
);
static COST_INDELAY: Family = Family::counter(
    "container_fs_io_cost_indelay_seconds_total",
    "Time in which tasks were slowed down for what the container owed, in seconds.",
);
static USAGE: Family = Family::counter(
    "container_blkio_device_usage_total",
    "Bytes moved to and from the device by kind of operation; Total is the sum of reads, writes and discards.",
);

/// In the order of [`disks::OPERATIONS`].
const BY_OPERATION: [Figure; disks::OPERATIONS.len()] = [
    Figure::ReadBytes,
    Figure::WriteBytes,
    Figure::SyncBytes,
    Figure::AsyncBytes,
    Figure::DiscardBytes,
    Figure::TotalBytes,
];

/// Writes the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    for (family, figure) in [
        (&READ_BYTES, Figure::ReadBytes),
        (&WRITE_BYTES, Figure::WriteBytes),
        (&READS, Figure::Reads),
        (&WRITES, Figure::Writes),
        (&SECTORS_READ, Figure::SectorsRead),
        (&SECTORS_WRITTEN, Figure::SectorsWritten),
        (&READS_MERGED, Figure::ReadsMerged),
        (&WRITES_MERGED, Figure::WritesMerged),
    ] {
        write_by_device(page, family, roster, now, |row| row.shown(figure));
    }
    for (family, figure) in [
        (&READ_TIME, Figure::ReadTime),
        (&WRITE_TIME, Figure::WriteTime),
        (&BUSY_TIME, Figure::BusyTime),
        (&WEIGHTED_TIME, Figure::WeightedTime),
        (&COST_USAGE, Figure::CostUsage),
        (&COST_WAIT, Figure::CostWait),
        (&COST_INDEBT, Figure::CostIndebt),
        (&COST_INDELAY, Figure::CostIndelay),
    ] {
        write_by_device(page, family, roster, now, |row| row.shown(figure).map(seconds));
    }
    write_by_device(page, &WAITING, roster, now, |row| row.waiting);
    write_usage(page, roster, now);
}

fn write_by_device<V: Into<Value>>(
    page: &mut Page,
    family: &Family,
    roster: &Roster,
    now: Instant,
    value: impl Fn(&Row) -> Option<V>,
) {
    let mut samples = page.family(family);
    let of_the_dead_too = family.kind == Kind::Counter;
    for entry in roster.shown(now).filter(|entry| of_the_dead_too || entry.is_alive()) {
        for row in entry.io.shown() {
            if let Some(value) = value(row) {
                samples.joined(&entry.labels, &row.disk.labels, value);
            }
        }
    }
}

/// Version 2 tells of discards too, and no sum with them in it: reads and writes alone are in this family then.
fn write_usage(page: &mut Page, roster: &Roster, now: Instant) {
    let mut samples = page.family(&USAGE);
    for entry in roster.shown(now) {
        for row in entry.io.shown() {
            let is_v2 = row.shown(Figure::TotalBytes).is_none();
            for (figure, labels) in BY_OPERATION.into_iter().zip(&row.disk.by_operation) {
                if let Some(value) = row.shown(figure).filter(|_| !is_v2 || figure != Figure::DiscardBytes) {
                    samples.joined(&entry.labels, labels, value);
                }
            }
        }
    }
}
