//! What the NFS server is asked.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::{KeptFile, ReadError, Serves},
        nfs::{V2, V3, counted, each_line, exactly},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "nfsd",
    on_by_default: true,
    summary: "requests to the NFS server by procedure, its cache, bytes and threads",
    reads: "/proc/net/rpc/nfsd",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Nfsd::build,
};

/// Those of one series each.
static PLAIN: [Family; 11] = [
    Family::counter("node_nfsd_reply_cache_hits_total", "Requests answered from the reply cache."),
    Family::counter(
        "node_nfsd_reply_cache_misses_total",
        "Requests whose answer had to be put into the reply cache.",
    ),
    Family::counter("node_nfsd_reply_cache_nocache_total", "Requests that need no place in the reply cache."),
    Family::counter("node_nfsd_file_handles_stale_total", "File handles from clients that no longer hold."),
    Family::counter("node_nfsd_disk_bytes_read_total", "Bytes read for clients."),
    Family::counter("node_nfsd_disk_bytes_written_total", "Bytes written for clients."),
    Family::gauge("node_nfsd_server_threads", "Kernel threads that serve NFS."),
    Family::gauge("node_nfsd_read_ahead_cache_size_blocks", "Size of the read-ahead cache, in entries."),
    Family::counter(
        "node_nfsd_read_ahead_cache_not_found_total",
        "Reads that the read-ahead cache did not know.",
    ),
    Family::counter("node_nfsd_connections_total", "TCP connections that clients have made."),
    Family::counter("node_nfsd_server_rpcs_total", "Remote procedure calls that came to the NFS server."),
];
static PACKETS: Family =
    Family::counter("node_nfsd_packets_total", "Packets sent and received by the NFS server, by protocol.");
static ERRORS: Family = Family::counter(
    "node_nfsd_rpc_errors_total",
    "Calls to the NFS server that were refused, by what was bad.",
);
static REQUESTS: Family = Family::counter(
    "node_nfsd_requests_total",
    "Requests to the NFS server, by version of the protocol and by procedure.",
);

static EVERY_FAMILY: [&Family; PLAIN.len() + 3] = Family::all(&[&PACKETS, &ERRORS, &REQUESTS], &[&PLAIN]);

/// Operations of version 4, in the order of their line; no series is made of those that have no name here.
const V4: [&str; 40] = [
    "",
    "",
    "",
    "Access",
    "Close",
    "Commit",
    "Create",
    "DelegPurge",
    "DelegReturn",
    "GetAttr",
    "GetFH",
    "Link",
    "Lock",
    "Lockt",
    "Locku",
    "Lookup",
    "LookupRoot",
    "Nverify",
    "Open",
    "OpenAttr",
    "OpenConfirm",
    "OpenDgrd",
    "PutFH",
    "",
    "",
    "Read",
    "ReadDir",
    "ReadLink",
    "Remove",
    "Rename",
    "Renew",
    "RestoreFH",
    "SaveFH",
    "SecInfo",
    "SetAttr",
    "SetClientID",
    "SetClientIDConfirm",
    "Verify",
    "Write",
    "RelLockOwner",
];
/// Kernels of old count one operation less.
const FEWEST_V4: usize = 39;

struct Nfsd {
    file: KeptFile,
    numbers: Vec<u64>,
    figures: Figures,
    packets: [Labels; 2],
    errors: [Labels; 3],
    /// Of all procedures in the order of [`Figures::requests`]; `None` for one that is not given.
    requests: Vec<Option<Labels>>,
}

/// What a line does not tell is 0.
struct Figures {
    /// Hits, misses, requests that need no cache.
    replies: [u64; 3],
    /// Stale file handles; the rest is always 0.
    handles: [u64; 5],
    bytes: [u64; 2],
    threads: [u64; 2],
    /// Size, a histogram of ten, and what was not found.
    read_ahead: [u64; 12],
    /// All packets, those over UDP, those over TCP, connections over TCP.
    network: [u64; 4],
    /// All calls, all bad ones, those of a bad form, bad credentials, a bad client.
    calls: [u64; 5],
    v2: [u64; V2.len()],
    v3: [u64; V3.len()],
    /// Version 4 knows two procedures; what matters are the operations.
    v4_procedures: [u64; 2],
    v4: [u64; V4.len()],
    wdeleg_getattr: [u64; 1],
}

impl Figures {
    const NONE: Self = Self {
        replies: [0; 3],
        handles: [0; 5],
        bytes: [0; 2],
        threads: [0; 2],
        read_ahead: [0; 12],
        network: [0; 4],
        calls: [0; 5],
        v2: [0; V2.len()],
        v3: [0; V3.len()],
        v4_procedures: [0; 2],
        v4: [0; V4.len()],
        wdeleg_getattr: [0; 1],
    };

    fn requests(&self) -> impl Iterator<Item = u64> {
        self.v2.iter().chain(&self.v3).chain(&self.v4).chain(&self.wdeleg_getattr).copied()
    }

    /// The values of [`PLAIN`].
    fn plain(&self) -> [u64; PLAIN.len()] {
        let [hits, misses, nocache] = self.replies;
        let [read, written] = self.bytes;
        let [size, .., not_found] = self.read_ahead;
        let ([stale, ..], [threads, _], [.., connections], [calls, ..]) =
            (self.handles, self.threads, self.network, self.calls);
        [hits, misses, nocache, stale, read, written, threads, size, not_found, connections, calls]
    }
}

impl Nfsd {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let versions: [(&str, &[&str]); 4] = [("2", &V2), ("3", &V3), ("4", &V4), ("4", &["WdelegGetattr"])];
        let labels = |(proto, methods): (&'static str, &'static [&'static str])| {
            methods.iter().map(move |method| {
                // (The procedure that does nothing is not given for the server.)
                let is_given = !["", "Null"].contains(method);
                is_given.then(|| Labels::new([("method", *method), ("proto", proto)]))
            })
        };
        Ok(Box::new(Self {
            file: KeptFile::new(context.paths.procfs.join("net/rpc/nfsd"), Serves::Whole),
            numbers: Vec::new(),
            figures: Figures::NONE,
            packets: ["udp", "tcp"].map(|proto| Labels::new([("proto", proto)])),
            errors: ["fmt", "auth", "cInt"].map(|error| Labels::new([("error", error)])),
            requests: versions.into_iter().flat_map(labels).collect(),
        }))
    }
}

impl Collector for Nfsd {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let text = self.file.read().map_err(ReadError::or_absent)?;
        parse(text, &mut self.numbers, &mut self.figures)
            .ok_or_else(|| Failure::unreadable(self.file.path(), "lines of a key and its numbers"))?;
        for (family, value) in PLAIN.iter().zip(self.figures.plain()) {
            page.family(family).plain(value);
        }
        let mut packets = page.family(&PACKETS);
        for (labels, count) in self.packets.iter().zip(self.figures.network.iter().skip(1)) {
            packets.sample(labels, *count);
        }
        let mut errors = page.family(&ERRORS);
        for (labels, count) in self.errors.iter().zip(self.figures.calls.iter().skip(2)) {
            errors.sample(labels, *count);
        }
        let mut requests = page.family(&REQUESTS);
        for (labels, count) in self.requests.iter().zip(self.figures.requests()) {
            if let Some(labels) = labels {
                requests.sample(labels, count);
            }
        }
        Ok(())
    }
}

fn parse(text: &[u8], numbers: &mut Vec<u64>, figures: &mut Figures) -> Option<()> {
    *figures = Figures::NONE;
    each_line(text, numbers, |key, numbers| match key {
        b"rc" => exactly(&mut figures.replies, numbers),
        b"fh" => exactly(&mut figures.handles, numbers),
        b"io" => exactly(&mut figures.bytes, numbers),
        b"th" => exactly(&mut figures.threads, numbers),
        b"ra" => exactly(&mut figures.read_ahead, numbers),
        b"net" => exactly(&mut figures.network, numbers),
        b"rpc" => exactly(&mut figures.calls, numbers),
        b"proc2" => counted(&mut figures.v2, V2.len(), numbers),
        b"proc3" => counted(&mut figures.v3, V3.len(), numbers),
        b"proc4" => counted(&mut figures.v4_procedures, 2, numbers).filter(|()| numbers.len() == 3),
        b"proc4ops" => counted(&mut figures.v4, FEWEST_V4, numbers),
        b"wdeleg_getattr" => exactly(&mut figures.wdeleg_getattr, numbers),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(text: &[u8]) -> Option<Figures> {
        let mut figures = Figures::NONE;
        parse(text, &mut Vec::new(), &mut figures).map(|()| figures)
    }

    #[test]
    fn what_is_not_told_is_0() {
        let found =
            figures(b"rc 0 6 18622\nth 8 0 0.000 0.000\nwdeleg_getattr 15\nnet 1 2 3 4\n").expect("parses");
        assert_eq!(found.plain(), [0, 6, 18_622, 0, 0, 0, 8, 0, 0, 4, 0]);
        assert_eq!(found.requests().last(), Some(15));
    }

    #[test]
    fn old_kernels_count_one_operation_less() {
        let operations = |count: usize| format!("proc4ops {count}{}\n", " 7".repeat(count));
        assert_eq!(figures(operations(39).as_bytes()).expect("parses").v4[38..], [7, 0]);
        assert_eq!(figures(operations(72).as_bytes()).expect("parses").v4[38..], [7, 7]);
        assert!(figures(operations(38).as_bytes()).is_none());
    }

    #[test]
    fn one_bad_line_fails_all() {
        for bad in [
            &b"rc 0 6"[..],
            b"fh 0 0 0 0",
            b"io 1",
            b"th 8",
            b"ra 32 0 0 0 0 0 0 0 0 0 0",
            b"net 1 2 3 4 5",
            b"rpc 18446744073709551616 0 0 0 0",
            b"proc4 3 1 2 3",
            b"proc4 2 1",
            b"new 1",
            b"rc x 1 2",
            b"\xff",
        ] {
            assert!(figures(bad).is_none(), "{bad:?}");
        }
    }
}
