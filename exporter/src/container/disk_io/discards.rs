//! What a container discarded on block devices. A group of our own.

use std::time::Instant;

use super::{count::Figure, write_by_device};
use crate::{
    container::{
        group::{GroupDescriptor, On, Origin},
        roster::Roster,
    },
    metric::{Family, Page},
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "disk_discards",
    words: &["disk_discards"],
    on: On::ByName,
    summary: "bytes and operations by which a container gave room back to block devices",
    reads: "io.stat of cgroup v2",
    families: &[
        Origin::new(&DISCARD_BYTES, "-", "io.stat: dbytes"),
        Origin::new(&DISCARDS, "-", "io.stat: dios"),
    ],
};

static DISCARD_BYTES: Family =
    Family::counter("container_fs_discards_bytes_total", "Bytes of the device discarded by the container.");
static DISCARDS: Family =
    Family::counter("container_fs_discards_total", "Discards sent to the device by the container.");

/// Writes the group.
pub fn write(page: &mut Page, roster: &Roster, now: Instant) {
    write_by_device(page, &DISCARD_BYTES, roster, now, |row| {
        // Version 1 tells of bytes by operation, and of their sum.
        row.shown(Figure::DiscardBytes).filter(|_| row.shown(Figure::TotalBytes).is_none())
    });
    write_by_device(page, &DISCARDS, roster, now, |row| row.shown(Figure::Discards));
}
