//! The sockets of a network namespace, by the files of a process in it. They are opened and closed here: kept open they
//! would keep the namespace alive.

use std::time::Instant;

use super::{
    Figures,
    ask::{self, Subject},
};
use crate::{
    container::{
        advtcp,
        group::{Group, Groups},
        links,
        tcp::TcpFigures,
        udp::UdpFigures,
    },
    source::{
        process::Processes,
        protocols::Table,
        sockets::{self, TcpStates, UdpSockets},
        text,
    },
};

/// Reads sockets and counters of networks.
#[derive(Debug, Default)]
pub struct NetworkReader {
    /// `snmp` and `netstat`; a column is its place among the names.
    tables: [Table<usize, i64>; 2],
}

impl NetworkReader {
    /// Reads what these groups show of a subject's network. A part of the time is its own.
    pub fn read(
        &mut self,
        processes: &mut Processes,
        subject: &Subject,
        groups: Groups,
        until: Instant,
        figures: &mut Figures,
    ) {
        let Some(pid) = subject.network else { return };
        let is_host = subject.path.is_root();
        // Should it be in the host's network after all, the host's sockets would be shown as its own.
        if !is_host && processes.share_network(pid, 1).unwrap_or(false) {
            return;
        }
        let until = ask::part_of(until);
        if groups.has(Group::AdvTcp) {
            self.read_counters(processes, pid, &mut figures.advtcp);
        }
        if groups.has(Group::Udp) {
            figures.udp = ["net/udp", "net/udp6"].map(|file| udp(processes, pid, file, until));
        }
        if groups.has(Group::Tcp) {
            figures.tcp = ["net/tcp", "net/tcp6"].map(|file| tcp(processes, pid, file, until));
        }
        // What was read may be another's, whose process has the number by now.
        if !is_host && !processes.cgroups(pid).is_ok_and(|told| links::names(told, &subject.path)) {
            figures.advtcp.clear();
            (figures.tcp, figures.udp) = (TcpFigures::default(), UdpFigures::default());
        }
    }

    fn read_counters(&mut self, processes: &mut Processes, pid: u32, values: &mut Vec<Option<i64>>) {
        values.clear();
        values.resize(advtcp::NAMES.len(), None);
        for (table, file) in self.tables.iter_mut().zip(["net/snmp", "net/netstat"]) {
            let Ok(text) = processes.file(pid, file) else { continue };
            if table.read(text, advtcp::place, text::signed).is_none() {
                continue;
            }
            for (&place, &value) in table.cells() {
                if let Some(known) = values.get_mut(place) {
                    *known = Some(value);
                }
            }
        }
    }
}

fn tcp(processes: &mut Processes, pid: u32, file: &str, until: Instant) -> Option<TcpStates> {
    let mut states = TcpStates::default();
    let each = |line: &[u8]| {
        sockets::count_tcp(&mut states, line);
    };
    processes.lines(pid, file, until, each).ok()?;
    Some(states)
}

fn udp(processes: &mut Processes, pid: u32, file: &str, until: Instant) -> Option<UdpSockets> {
    let mut udp = UdpSockets::default();
    let each = |line: &[u8]| {
        udp.count(line);
    };
    processes.lines(pid, file, until, each).ok()?;
    Some(udp)
}
