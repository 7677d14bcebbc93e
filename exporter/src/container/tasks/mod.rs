//! What the processes of a cgroup say of themselves, read on threads of their own: there may be many, and the kernel may
//! make us wait for one of them.

mod ask;
mod memory;
mod network;
mod reader;
mod sums;

use std::time::Instant;

use super::{
    group::{Group, Groups},
    process::ProcessFigures,
    roster::{Roster, Shared},
    tcp::TcpFigures,
    udp::UdpFigures,
};
use crate::{
    config::Paths,
    source::{
        cgroup::Layout,
        host,
        process::{Processes, Scheduled},
    },
};

use ask::Asker;
use memory::MemoryReader;
use reader::{Listing, TaskReader};

/// The groups of which small files are read.
const TASKS: &[Group] = &[Group::Process, Group::Sched, Group::Tcp, Group::Udp, Group::AdvTcp];
/// The group that makes the kernel walk all memory of a process, which must not delay the others.
const MEMORY: &[Group] = &[Group::ReferencedMemory];

/// What was read of the processes of one cgroup.
#[derive(Debug, Default)]
pub struct Figures {
    /// How many there are, and their descriptors.
    pub process: ProcessFigures,
    /// How they were scheduled, with all below and all that have ended.
    pub scheduled: Option<Scheduled>,
    /// The TCP sockets of their network.
    pub tcp: TcpFigures,
    /// Its UDP sockets.
    pub udp: UdpFigures,
    /// Its counters of TCP, by [`NAMES`](super::advtcp::NAMES); empty where they are not known.
    pub advtcp: Vec<Option<i64>>,
}

impl Figures {
    fn clear(&mut self) {
        let mut advtcp = std::mem::take(&mut self.advtcp);
        advtcp.clear();
        *self = Self { advtcp, ..Self::default() };
    }
}

/// Asks for the figures of processes and takes them over.
#[derive(Debug)]
pub struct Tasks {
    tasks: Asker<Box<Figures>>,
    memory: Asker<u64>,
}

/// Whether what was asked for came in time; none if nobody asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InTime {
    /// Small files of processes.
    pub tasks: Option<bool>,
    /// Referenced memory.
    pub memory: Option<bool>,
}

impl Tasks {
    /// Starts the threads that the groups need.
    pub fn start(groups: Groups, layout: &Layout, paths: &Paths) -> Self {
        let numbers_agree = host::Facts::look(paths).is_host(host::View::Pid);
        let processes = || Processes::new(paths.procfs.clone());
        let listing = || Listing::new(layout.clone(), numbers_agree);
        Self {
            tasks: Asker::start("tasks", TASKS, groups, || {
                let mut reader = TaskReader::new(layout.clone(), listing(), processes());
                move |order, rows| reader.read(order, rows)
            }),
            memory: Asker::start("smaps", MEMORY, groups, || {
                let mut reader = MemoryReader::new(listing(), processes());
                move |order, rows| reader.read(order, rows)
            }),
        }
    }

    /// Asks for what these groups show.
    pub fn ask(&mut self, groups: Groups, roster: &Roster, deadline: Instant) {
        self.tasks.ask(groups, roster, deadline);
        self.memory.ask(groups, roster, deadline);
    }

    /// Waits for what was asked for and gives it to each living cgroup. What is late is left out.
    pub fn hand_out(&mut self, groups: Groups, deadline: Instant, roster: &Shared) -> InTime {
        InTime {
            tasks: self.tasks.hand_out(groups, deadline, roster, |entry| &mut entry.tasks),
            memory: self.memory.hand_out(groups, deadline, roster, |entry| &mut entry.referenced),
        }
    }
}
