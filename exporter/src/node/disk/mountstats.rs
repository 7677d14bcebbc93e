//! What the NFS client counts for each mount.

use std::collections::BTreeSet;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page, Samples, Value},
    source::{
        file::{KeptFile, Serves},
        mountstats::{BYTES, EVENTS, NfsMount, OPERATION, Operation, Transport, nfs_mounts, server},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "mountstats",
    on_by_default: false,
    summary: "bytes, events, operations and connections of NFS mounts",
    reads: "/proc/self/mountstats, /proc/self/mountinfo",
    since: "2.6.17",
    // The kernel asks each mounted file system for its figures.
    pace: Pace::MayBlock,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Mountstats::build,
};

static AGE: Family =
    Family::counter("node_mountstats_nfs_age_seconds_total", "Seconds since the export was mounted.");
static INFO: Family =
    Family::gauge("node_mountstats_nfs_mountpoint_info", "1, with a place where the export is mounted.");

/// In the order of the line.
static BYTE_FAMILIES: [Family; BYTES] = [
    Family::counter("node_mountstats_nfs_read_bytes_total", "Bytes read by processes."),
    Family::counter("node_mountstats_nfs_write_bytes_total", "Bytes written by processes."),
    Family::counter("node_mountstats_nfs_direct_read_bytes_total", "Bytes read past the cache (O_DIRECT)."),
    Family::counter(
        "node_mountstats_nfs_direct_write_bytes_total",
        "Bytes written past the cache (O_DIRECT).",
    ),
    Family::counter("node_mountstats_nfs_total_read_bytes_total", "Bytes read from the server."),
    Family::counter("node_mountstats_nfs_total_write_bytes_total", "Bytes written to the server."),
    Family::counter("node_mountstats_nfs_read_pages_total", "Pages read through the cache."),
    Family::counter("node_mountstats_nfs_write_pages_total", "Pages written through the cache."),
];

/// The event that is not given: the kernel has long ceased to count it.
const CONGESTION: usize = 18;
/// In the order of the line, [`CONGESTION`] left out.
static EVENT_FAMILIES: [Family; EVENTS - 1] = [
    Family::counter(
        "node_mountstats_nfs_event_inode_revalidate_total",
        "Attributes of inodes checked for age.",
    ),
    Family::counter(
        "node_mountstats_nfs_event_dnode_revalidate_total",
        "Names in the cache checked for age.",
    ),
    Family::counter("node_mountstats_nfs_event_data_invalidate_total", "Cached data of inodes thrown away."),
    Family::counter("node_mountstats_nfs_event_attribute_invalidate_total", "Cached attributes thrown away."),
    Family::counter("node_mountstats_nfs_event_vfs_open_total", "Files and folders opened."),
    Family::counter("node_mountstats_nfs_event_vfs_lookup_total", "Names looked up in folders."),
    Family::counter("node_mountstats_nfs_event_vfs_access_total", "Checks of permissions."),
    Family::counter("node_mountstats_nfs_event_vfs_update_page_total", "Pages changed in the cache."),
    Family::counter("node_mountstats_nfs_event_vfs_read_page_total", "Pages asked for one by one."),
    Family::counter("node_mountstats_nfs_event_vfs_read_pages_total", "Groups of pages asked for."),
    Family::counter("node_mountstats_nfs_event_vfs_write_page_total", "Pages to be written one by one."),
    Family::counter("node_mountstats_nfs_event_vfs_write_pages_total", "Groups of pages to be written."),
    Family::counter("node_mountstats_nfs_event_vfs_getdents_total", "Readings of a folder's entries."),
    Family::counter("node_mountstats_nfs_event_vfs_setattr_total", "Changes of attributes."),
    Family::counter("node_mountstats_nfs_event_vfs_flush_total", "Files flushed as they were closed."),
    Family::counter("node_mountstats_nfs_event_vfs_fsync_total", "Calls of fsync for files and folders."),
    Family::counter("node_mountstats_nfs_event_vfs_lock_total", "Attempts to lock a file."),
    Family::counter("node_mountstats_nfs_event_vfs_file_release_total", "Files closed by their last user."),
    Family::counter("node_mountstats_nfs_event_truncation_total", "Files cut short."),
    Family::counter(
        "node_mountstats_nfs_event_write_extension_total",
        "Files grown by writing past their end.",
    ),
    Family::counter(
        "node_mountstats_nfs_event_silly_rename_total",
        "Open files deleted, and renamed for that.",
    ),
    Family::counter(
        "node_mountstats_nfs_event_short_read_total",
        "Reads for which the server gave too little.",
    ),
    Family::counter(
        "node_mountstats_nfs_event_short_write_total",
        "Writes of which the server took too little.",
    ),
    Family::counter("node_mountstats_nfs_event_jukebox_delay_total", "Answers that told to try again later."),
    Family::counter("node_mountstats_nfs_event_pnfs_read_total", "Reads by pNFS."),
    Family::counter("node_mountstats_nfs_event_pnfs_write_total", "Writes by pNFS."),
];

/// Which figure of a connection each family gives; [`TRANSPORT_FAMILIES`] has the same order.
const TRANSPORT_FIGURES: [usize; 10] = [1, 2, 4, 5, 6, 7, 9, 10, 11, 12];
/// The one that wraps round in the reference.
const IDLE: usize = 4;
static TRANSPORT_FAMILIES: [Family; 10] = [
    Family::counter(
        "node_mountstats_nfs_transport_bind_total",
        "Times a local port was bound for the server.",
    ),
    Family::counter("node_mountstats_nfs_transport_connect_total", "TCP connections made to the server."),
    Family::gauge(
        "node_mountstats_nfs_transport_idle_time_seconds",
        "Seconds since anything was sent or received.",
    ),
    Family::counter("node_mountstats_nfs_transport_sends_total", "Calls sent to the server."),
    Family::counter("node_mountstats_nfs_transport_receives_total", "Answers received from the server."),
    Family::counter(
        "node_mountstats_nfs_transport_bad_transaction_ids_total",
        "Answers to calls that were never made.",
    ),
    Family::counter(
        "node_mountstats_nfs_transport_backlog_queue_total",
        "Length of the queue for a slot, added up at each call.",
    ),
    Family::gauge("node_mountstats_nfs_transport_maximum_rpc_slots", "Most calls under way at once so far."),
    Family::counter(
        "node_mountstats_nfs_transport_sending_queue_total",
        "Length of the queue for sending, added up at each call.",
    ),
    Family::counter(
        "node_mountstats_nfs_transport_pending_queue_total",
        "Length of the queue for answers, added up at each call.",
    ),
];

/// From this figure on they are milliseconds.
const FIRST_TIME: usize = 5;
/// In the order of the line.
static OPERATION_FAMILIES: [Family; OPERATION] = [
    Family::counter("node_mountstats_nfs_operations_requests_total", "Requests made, by operation."),
    Family::counter(
        "node_mountstats_nfs_operations_transmissions_total",
        "Calls sent, by operation, repeats too.",
    ),
    Family::counter(
        "node_mountstats_nfs_operations_major_timeouts_total",
        "Requests that timed out, by operation.",
    ),
    Family::counter(
        "node_mountstats_nfs_operations_sent_bytes_total",
        "Bytes sent with headers, by operation.",
    ),
    Family::counter(
        "node_mountstats_nfs_operations_received_bytes_total",
        "Bytes received with headers, by operation.",
    ),
    Family::counter(
        "node_mountstats_nfs_operations_queue_time_seconds_total",
        "Seconds that requests waited to be sent, by operation.",
    ),
    Family::counter(
        "node_mountstats_nfs_operations_response_time_seconds_total",
        "Seconds from sending to the answer, by operation.",
    ),
    Family::counter(
        "node_mountstats_nfs_operations_request_time_seconds_total",
        "Seconds from the request's begin to its end, by operation.",
    ),
];

const COUNT: usize = 2 + BYTES + EVENT_FAMILIES.len() + TRANSPORT_FAMILIES.len() + OPERATION;

static EVERY_FAMILY: [&Family; COUNT] =
    Family::all(&[&AGE, &INFO], &[&BYTE_FAMILIES, &EVENT_FAMILIES, &TRANSPORT_FAMILIES, &OPERATION_FAMILIES]);

struct Mountstats {
    stats: KeptFile,
    mounts: KeptFile,
}

impl Mountstats {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file = |name| KeptFile::new(context.paths.procfs.join("self").join(name), Serves::Records);
        Ok(Box::new(Self { stats: file("mountstats"), mounts: file("mountinfo") }))
    }
}

impl Collector for Mountstats {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let Some(mounts) = nfs_mounts(self.stats.read()?) else {
            return Err(Failure::unreadable(self.stats.path(), "what NFS mounts write there"));
        };
        if mounts.is_empty() {
            return Ok(());
        }
        let series = Series::of(&mounts, self.mounts.read()?);
        let mut points = page.family(&INFO);
        for (labels, point) in &series.points {
            points.joined(labels, point, 1_u64);
        }
        series.write(page, &AGE, |mount| mount.age.into());
        for (index, family) in BYTE_FAMILIES.iter().enumerate() {
            series.write(page, family, |mount| mount.bytes.get(index).copied().unwrap_or(0).into());
        }
        let events = (0..EVENTS).filter(|event| *event != CONGESTION);
        for (family, index) in EVENT_FAMILIES.iter().zip(events) {
            series.write(page, family, |mount| mount.events.get(index).copied().unwrap_or(0).into());
        }
        for (family, index) in TRANSPORT_FAMILIES.iter().zip(TRANSPORT_FIGURES) {
            series.write_transports(&mut page.family(family), index);
        }
        for (index, family) in OPERATION_FAMILIES.iter().enumerate() {
            series.write_operations(&mut page.family(family), index);
        }
        Ok(())
    }
}

/// What is written of the mounts. (The labels are made anew at each scrape: mounts are few, and off by default.)
struct Series<'a> {
    /// Export and address; mount point and protocol.
    points: Vec<(Labels, Labels)>,
    exports: Vec<Export<'a>>,
}

/// The first mount of an export from one address by one protocol. Its further mounts share most of its figures.
struct Export<'a> {
    mount: &'a NfsMount<'a>,
    /// Export and address.
    place: Labels,
    protocol: Labels,
    transports: Vec<Labels>,
    operations: Vec<(Labels, &'a Operation<'a>)>,
}

impl<'a> Series<'a> {
    fn of(mounts: &'a [NfsMount<'a>], mountinfo: &'a [u8]) -> Self {
        let (mut points, mut exports) = (Vec::new(), Vec::new());
        let (mut seen_points, mut seen_exports) = (BTreeSet::new(), BTreeSet::new());
        for mount in mounts {
            let address = server(mountinfo, mount.index);
            let place = Labels::new([("export", mount.export), ("mountaddr", address)]);
            for Transport { protocol, .. } in &mount.transports {
                let key = (mount.export, *protocol, address);
                if seen_points.insert((key, mount.point)) {
                    let point = Labels::new([("mountpoint", mount.point), ("protocol", protocol)]);
                    points.push((place.clone(), point));
                }
                if !seen_exports.insert(key) {
                    break;
                }
                exports.push(Export::new(mount, place.clone(), protocol));
            }
        }
        Self { points, exports }
    }

    fn write(&self, page: &mut Page, family: &Family, value: impl Fn(&NfsMount<'_>) -> Value) {
        let mut samples = page.family(family);
        for export in &self.exports {
            samples.joined(&export.place, &export.protocol, value(export.mount));
        }
    }

    fn write_transports(&self, samples: &mut Samples<'_>, index: usize) {
        for export in &self.exports {
            for (labels, transport) in export.transports.iter().zip(&export.mount.transports) {
                let figure = transport.figures.get(index).copied().unwrap_or(0);
                samples.joined(&export.place, labels, if index == IDLE { wrapped(figure) } else { figure });
            }
        }
    }

    fn write_operations(&self, samples: &mut Samples<'_>, index: usize) {
        for export in &self.exports {
            for (labels, operation) in &export.operations {
                let figure = operation.figures.get(index).copied().unwrap_or(0);
                let value: Value =
                    if index < FIRST_TIME { figure.into() } else { (wrapped(figure) as f64 / 1000.0).into() };
                samples.joined(&export.place, labels, value);
            }
        }
    }
}

impl<'a> Export<'a> {
    fn new(mount: &'a NfsMount<'a>, place: Labels, protocol: &[u8]) -> Self {
        let transport =
            |index: usize| Labels::new([("protocol", protocol), ("transport", index.to_string().as_bytes())]);
        // An operation told twice would be a series twice.
        let mut seen = BTreeSet::new();
        let operations = mount.operations.iter().filter(|found| seen.insert(found.name));
        let labels =
            |found: &'a Operation<'a>| Labels::new([("operation", found.name), ("protocol", protocol)]);
        Self {
            mount,
            place,
            protocol: Labels::new([("protocol", protocol)]),
            transports: (0..mount.transports.len()).map(transport).collect(),
            operations: operations.map(|found| (labels(found), found)).collect(),
        }
    }
}

/// The reference lets times go round at 2^53, above which floats have gaps.
fn wrapped(figure: u64) -> u64 {
    figure % (1 << 53)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATS: &[u8] = b"device srv:/x mounted on /a with fstype nfs statvers=1.1\n\tage: 9\n\
        \txprt: tcp 1 2 3 4 9007199254740993 6 7 8 9 10 11 12 13\n\txprt: tcp 1 2 3 4 5 6 7 8 9 10 11 12 13\n\
        \tper-op statistics\n\tREAD: 1 2 3 4 5 6 7 1500\n\tREAD: 1 1 1 1 1 1 1 1\n\n\
        device srv:/x mounted on /b with fstype nfs statvers=1.1\n\tage: 7\n\
        \txprt: tcp 1 2 3 4 5 6 7 8 9 10 11 12 13\n\n";

    #[test]
    fn an_export_is_given_once_and_each_of_its_points() {
        let mounts = nfs_mounts(STATS).expect("parses");
        let series = Series::of(&mounts, b"1 2 0:42 / /a rw - nfs srv:/x rw,addr=1.2.3.4\n");
        let mut page = Page::default();
        series.write(&mut page, &AGE, |mount| mount.age.into());
        series.write_transports(&mut page.family(&TRANSPORT_FAMILIES[2]), IDLE);
        series.write_operations(&mut page.family(&OPERATION_FAMILIES[7]), 7);
        let text = String::from_utf8(page.text().to_vec()).expect("a page is UTF-8");
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let labels = r#"export="srv:/x",mountaddr="1.2.3.4""#;
        let name = "node_mountstats_nfs";
        assert_eq!(
            samples[..4],
            [
                format!("{name}_age_seconds_total{{{labels},protocol=\"tcp\"}} 9"),
                // The mount without an address in mountinfo is another one.
                format!("{name}_age_seconds_total{{export=\"srv:/x\",mountaddr=\"\",protocol=\"tcp\"}} 7"),
                format!("{name}_transport_idle_time_seconds{{{labels},protocol=\"tcp\",transport=\"0\"}} 1"),
                format!("{name}_transport_idle_time_seconds{{{labels},protocol=\"tcp\",transport=\"1\"}} 5"),
            ]
        );
        let operation = format!(
            "{name}_operations_request_time_seconds_total{{{labels},operation=\"READ\",protocol=\"tcp\"}} 1.5"
        );
        assert_eq!(samples.last(), Some(&operation.as_str()));
        assert_eq!(series.points.len(), 2);
        let alike = Series::of(&mounts, b"");
        assert_eq!((alike.points.len(), alike.exports.len()), (2, 1));
    }
}
