//! The kernel's counters of TCP in a container's network.

use std::time::Instant;

use super::{
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
};
use crate::metric::{Family, Labels, Page, Value};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "advtcp",
    words: &["advtcp"],
    on: On::Unlisted,
    summary: "the kernel's counters of TCP",
    reads: "/proc/PID/net/{snmp,netstat} of containers with a network of their own and of the host",
    families: &[Origin::same(&COUNTERS, "Tcp of /proc/PID/net/snmp, TcpExt of /proc/PID/net/netstat")],
};

static COUNTERS: Family = Family::gauge(
    "container_network_advance_tcp_stats_total",
    "The kernel's counter or setting of TCP that has this name, in lower case, in /proc/PID/net/snmp or netstat.",
);

/// The names that are shown, of those that a kernel has.
pub const NAMES: [&str; 99] = [
    "activeopens",
    "attemptfails",
    "currestab",
    "delayedacklocked",
    "delayedacklost",
    "delayedacks",
    "embryonicrsts",
    "estabresets",
    "incsumerrors",
    "inerrs",
    "insegs",
    "ipreversepathfilter",
    "listendrops",
    "listenoverflows",
    "lockdroppedicmps",
    "maxconn",
    "ofopruned",
    "outofwindowicmps",
    "outrsts",
    "outsegs",
    "passiveopens",
    "pawsactive",
    "pawsestab",
    "pfmemallocdrop",
    "prunecalled",
    "rcvpruned",
    "retranssegs",
    "rtoalgorithm",
    "rtomax",
    "rtomin",
    "syncookiesfailed",
    "syncookiesrecv",
    "syncookiessent",
    "tcpabortfailed",
    "tcpabortonclose",
    "tcpabortondata",
    "tcpabortonlinger",
    "tcpabortonmemory",
    "tcpabortontimeout",
    "tcpbacklogdrop",
    "tcpdeferacceptdrop",
    "tcpdsackignorednoundo",
    "tcpdsackignoredold",
    "tcpdsackoforecv",
    "tcpdsackofosent",
    "tcpdsackoldsent",
    "tcpdsackrecv",
    "tcpdsackundo",
    "tcpfackreorder",
    "tcpfastopenactive",
    "tcpfastopenactivefail",
    "tcpfastopencookiereqd",
    "tcpfastopenlistenoverflow",
    "tcpfastopenpassive",
    "tcpfastopenpassivefail",
    "tcpfastretrans",
    "tcpfullundo",
    "tcphpacks",
    "tcphphits",
    "tcplossfailures",
    "tcplossproberecovery",
    "tcplossprobes",
    "tcplossundo",
    "tcplostretransmit",
    "tcpmd5failure",
    "tcpmd5notfound",
    "tcpmd5unexpected",
    "tcpmemorypressures",
    "tcpmemorypressureschrono",
    "tcpminttldrop",
    "tcporigdatasent",
    "tcppartialundo",
    "tcppureacks",
    "tcprcvcollapsed",
    "tcprenofailures",
    "tcprenorecovery",
    "tcprenorecoveryfail",
    "tcprenoreorder",
    "tcpreqqfulldocookies",
    "tcpreqqfulldrop",
    "tcpretransfail",
    "tcpsackdiscard",
    "tcpsackfailures",
    "tcpsackmerged",
    "tcpsackrecovery",
    "tcpsackrecoveryfail",
    "tcpsackreneging",
    "tcpsackreorder",
    "tcpsackshifted",
    "tcpsackshiftfallback",
    "tcpslowstartretrans",
    "tcpspuriousrtos",
    "tcpsynretrans",
    "tcptimeouts",
    "tcptimewaitoverflow",
    "tcptsreorder",
    "tw",
    "twkilled",
    "twrecycled",
];

/// Where a name of the kernel's stands in [`NAMES`].
pub fn place(protocol: &[u8], name: &[u8]) -> Option<usize> {
    let is_tcp = protocol == b"Tcp" || protocol == b"TcpExt";
    NAMES.iter().position(|known| is_tcp && known.as_bytes().eq_ignore_ascii_case(name))
}

/// The labels of this group.
#[derive(Debug)]
pub struct Writer {
    names: [Labels; NAMES.len()],
}

impl Writer {
    /// Prepares the labels.
    pub fn new() -> Self {
        Self { names: NAMES.map(|name| Labels::new([("tcp_state", name)])) }
    }

    /// Writes the group.
    pub fn write(&self, page: &mut Page, roster: &Roster, now: Instant) {
        let mut samples = page.family(&COUNTERS);
        for entry in roster.shown(now).filter(|entry| entry.is_alive()) {
            let Some(tasks) = &entry.tasks else { continue };
            for (labels, value) in self.names.iter().zip(&tasks.advtcp) {
                if let Some(value) = value {
                    samples.joined(&entry.labels, labels, Value::Float(*value as f64));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_of_tcp_alone() {
        assert!(NAMES.is_sorted());
        assert_eq!(place(b"Tcp", b"ActiveOpens"), Some(0));
        assert_eq!(place(b"TcpExt", b"TWRecycled"), Some(98));
        assert_eq!(place(b"Udp", b"InErrs").or(place(b"Ip", b"ActiveOpens")), None);
        assert_eq!(place(b"TcpExt", b"TCPNew").or(place(b"Tcp", b"")), None);
    }
}
