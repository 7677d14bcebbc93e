//! What the NFS client asks of its servers.

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
    name: "nfs",
    on_by_default: true,
    summary: "requests of the NFS client by procedure",
    reads: "/proc/net/rpc/nfs",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&PACKETS, &CONNECTIONS, &RPCS, &RETRANSMISSIONS, &REFRESHES, &REQUESTS],
    build: Nfs::build,
};

static PACKETS: Family =
    Family::counter("node_nfs_packets_total", "Packets sent and received by the NFS client, by protocol.");
static CONNECTIONS: Family =
    Family::counter("node_nfs_connections_total", "TCP connections made by the NFS client.");
static RPCS: Family =
    Family::counter("node_nfs_rpcs_total", "Remote procedure calls made by the NFS client.");
static RETRANSMISSIONS: Family =
    Family::counter("node_nfs_rpc_retransmissions_total", "Calls that the NFS client had to send again.");
static REFRESHES: Family = Family::counter(
    "node_nfs_rpc_authentication_refreshes_total",
    "Times the NFS client had to get new credentials for a call.",
);
static REQUESTS: Family = Family::counter(
    "node_nfs_requests_total",
    "Requests of the NFS client, by version of the protocol and by procedure.",
);

/// Operations of version 4, in the order of its line.
const V4: [&str; 59] = [
    "Null",
    "Read",
    "Write",
    "Commit",
    "Open",
    "OpenConfirm",
    "OpenNoattr",
    "OpenDowngrade",
    "Close",
    "Setattr",
    "FsInfo",
    "Renew",
    "SetClientID",
    "SetClientIDConfirm",
    "Lock",
    "Lockt",
    "Locku",
    "Access",
    "Getattr",
    "Lookup",
    "LookupRoot",
    "Remove",
    "Rename",
    "Link",
    "Symlink",
    "Create",
    "Pathconf",
    "StatFs",
    "ReadLink",
    "ReadDir",
    "ServerCaps",
    "DelegReturn",
    "GetACL",
    "SetACL",
    "FsLocations",
    "ReleaseLockowner",
    "Secinfo",
    "FsidPresent",
    "ExchangeID",
    "CreateSession",
    "DestroySession",
    "Sequence",
    "GetLeaseTime",
    "ReclaimComplete",
    "GetDeviceInfo",
    "LayoutGet",
    "LayoutCommit",
    "LayoutReturn",
    "SecinfoNoName",
    "TestStateID",
    "FreeStateID",
    "GetDeviceList",
    "BindConnToSession",
    "DestroyClientID",
    "Seek",
    "Allocate",
    "DeAllocate",
    "LayoutStats",
    "Clone",
];

struct Nfs {
    file: KeptFile,
    numbers: Vec<u64>,
    figures: Figures,
    tcp: Labels,
    udp: Labels,
    /// Of the procedures of [`Figures::requests`].
    requests: Vec<Labels>,
}

/// What a line does not tell is 0.
struct Figures {
    /// All packets, those over UDP, those over TCP, connections over TCP.
    network: [u64; 4],
    /// Calls, retransmissions, refreshes of credentials.
    calls: [u64; 3],
    v2: [u64; V2.len()],
    v3: [u64; V3.len()],
    v4: [u64; V4.len()],
}

impl Figures {
    const NONE: Self =
        Self { network: [0; 4], calls: [0; 3], v2: [0; V2.len()], v3: [0; V3.len()], v4: [0; V4.len()] };

    fn requests(&self) -> impl Iterator<Item = u64> {
        self.v2.iter().chain(&self.v3).chain(&self.v4).copied()
    }
}

impl Nfs {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let versions: [(&str, &[&str]); 3] = [("2", &V2), ("3", &V3), ("4", &V4)];
        let labels = |(proto, methods): (&'static str, &'static [&'static str])| {
            methods.iter().map(move |method| Labels::new([("method", *method), ("proto", proto)]))
        };
        Ok(Box::new(Self {
            file: KeptFile::new(context.paths.procfs.join("net/rpc/nfs"), Serves::Whole),
            numbers: Vec::new(),
            figures: Figures::NONE,
            tcp: Labels::new([("protocol", "tcp")]),
            udp: Labels::new([("protocol", "udp")]),
            requests: versions.into_iter().flat_map(labels).collect(),
        }))
    }
}

impl Collector for Nfs {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let text = self.file.read().map_err(ReadError::or_absent)?;
        parse(text, &mut self.numbers, &mut self.figures)
            .ok_or_else(|| Failure::unreadable(self.file.path(), "lines of a key and its numbers"))?;
        let [_, udp, tcp, connections] = self.figures.network;
        let [calls, retransmissions, refreshes] = self.figures.calls;
        let mut packets = page.family(&PACKETS);
        packets.sample(&self.tcp, tcp);
        packets.sample(&self.udp, udp);
        page.family(&CONNECTIONS).plain(connections);
        page.family(&RPCS).plain(calls);
        page.family(&RETRANSMISSIONS).plain(retransmissions);
        page.family(&REFRESHES).plain(refreshes);
        let mut requests = page.family(&REQUESTS);
        for (labels, count) in self.requests.iter().zip(self.figures.requests()) {
            requests.sample(labels, count);
        }
        Ok(())
    }
}

fn parse(text: &[u8], numbers: &mut Vec<u64>, figures: &mut Figures) -> Option<()> {
    *figures = Figures::NONE;
    each_line(text, numbers, |key, numbers| match key {
        b"net" => exactly(&mut figures.network, numbers),
        b"rpc" => exactly(&mut figures.calls, numbers),
        b"proc2" => counted(&mut figures.v2, V2.len(), numbers),
        b"proc3" => counted(&mut figures.v3, V3.len(), numbers),
        b"proc4" => counted(&mut figures.v4, 0, numbers),
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
        let found = figures(b"net 70 70 69 45\nrpc 1 2 3\nproc4 3 98 51 54\n").expect("parses");
        assert_eq!((found.network, found.calls), ([70, 70, 69, 45], [1, 2, 3]));
        assert_eq!(found.v4[..4], [98, 51, 54, 0]);
        assert_eq!(found.requests().sum::<u64>(), 98 + 51 + 54);
        assert_eq!(found.requests().count(), V2.len() + V3.len() + V4.len());
    }

    #[test]
    fn one_bad_line_fails_all() {
        for bad in [
            &b"net 70 70 69"[..],
            b"rpc 1 2 3 4",
            b"proc2 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
            b"proc3 22 1",
            b"proc4 3 1 2",
            b"proc5 1 1",
            b"net",
            b"\xff\xfe 1",
        ] {
            assert!(figures(bad).is_none(), "{bad:?}");
        }
    }
}
