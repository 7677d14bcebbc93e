//! `container_*` and `machine_*`: every cgroup, with the names that its runtime has for it.
//!
//! Discovery keeps the [`roster`] on its own thread; a scrape reads the figures of all that is in it and writes
//! them family by family.

mod accuracy;
mod advtcp;
mod bpf;
mod census;
mod cpu;
mod cpu_load;
mod cpu_topology;
mod cpuset;
mod discovery;
mod disk;
mod disk_io;
mod entry;
mod figures;
mod group;
mod hugetlb;
mod identity;
pub mod kernel;
mod life;
mod links;
mod machine;
mod memory;
mod memory_events;
mod memory_numa;
mod names;
mod network;
mod oom;
mod percpu;
mod pressure;
mod process;
mod referenced;
mod roster;
mod runtimes;
mod sched;
mod scheduled;
mod shape;
mod socket;
mod sources;
mod spec;
mod tally;
mod tasks;
mod tcp;
mod udp;
mod usage;
mod write;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::thread::CapabilitySet;

use crate::{
    config::{ContainerSettings, Paths},
    metric::{Family, Page},
    source::{
        cgroup::{
            Layout, Mode,
            files::{Opener, Wanted},
            layout::LayoutError,
            spec::MachineMemory,
        },
        host,
        kmsg::Kmsg,
        limit::raise_descriptor_limit,
        worker::Worker,
    },
};

use census::{Census, Host};
use cpu_topology::CpuTopology;
use discovery::{Discovery, Post};
use disk::Disks;
use figures::FigureReader;
use identity::Rules;
use kernel::{Counts, KernelSide};
use links::{LinkReader, Row, Targets};
use machine::Machine;
use names::Names;
use oom::Told;
use roster::{Roster, Shared};
use runtimes::Runtimes;
use sources::Sources;
use tasks::Tasks;

pub use group::{GROUPS, Group, GroupDescriptor, Groups, On, Origin, families};

static SCRAPE_ERROR: Family = Family::gauge(
    "container_scrape_error",
    "1 if the containers could not be looked at in this scrape, else 0.",
);

/// Why there are no containers.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// There is no tree of cgroups.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The thread that follows cgroups could not be started.
    #[error("start the thread that follows cgroups: {0}")]
    Thread(io::Error),
}

impl ContainerError {
    /// Says in a scrape that there are no containers, though they are wanted.
    pub fn write(&self, page: &mut Page) {
        page.family(&SCRAPE_ERROR).plain(1_u64);
    }
}

/// What the first part of a scrape leaves to the second.
#[derive(Debug)]
pub struct Read {
    groups: Groups,
    now: Instant,
    time: Duration,
    memory: Option<(MachineMemory, u64)>,
}

/// The container half of a scrape.
#[derive(Debug)]
pub struct ContainerHalf {
    roster: Shared,
    figures: FigureReader,
    machine: Machine,
    cpu: cpu::Writer,
    memory: memory::Writer,
    hugetlb: hugetlb::Writer,
    memory_numa: memory_numa::Writer,
    cpu_topology: CpuTopology,
    cpu_load: cpu_load::Writer,
    network: network::Writer,
    scheduled: scheduled::Writer,
    memory_is_unified: bool,
    timestamps: bool,
    links: Option<Worker<Vec<Row>>>,
    rows: Vec<Row>,
    process: process::Writer,
    tcp: tcp::Writer,
    udp: udp::Writer,
    advtcp: advtcp::Writer,
    tasks: Tasks,
    disks: Disks,
    sources: sources::Writer,
    counts: Option<Arc<dyn Counts>>,
    discovery: Discovery,
}

impl ContainerHalf {
    /// Finds every cgroup and begins to follow them. `kernel`: the kernel half, where it runs; `log`: the kernel's log,
    /// where it may be read.
    ///
    /// # Errors
    /// No cgroups are in sight, or the thread cannot be started.
    pub fn start(
        settings: &ContainerSettings,
        paths: &Paths,
        kernel: Option<KernelSide>,
        log: Option<Kmsg>,
    ) -> Result<Self, ContainerError> {
        Self::start_on(&Layout::find(paths)?, settings, paths, kernel, log)
    }

    /// As [`start`](Self::start), on a tree of cgroups that is found already.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start_on(
        layout: &Layout,
        settings: &ContainerSettings,
        paths: &Paths,
        kernel: Option<KernelSide>,
        log: Option<Kmsg>,
    ) -> Result<Self, ContainerError> {
        let mut machine = Machine::new(paths, settings);
        let roster = Shared::new(Roster::new(settings.keep_dead));
        let (counts, lives) = kernel.map(|kernel| (kernel.counts, kernel.lives)).unzip();
        let host = Host {
            memory: machine.memory().unwrap_or_default().0,
            boot: machine.boot_time(),
            by_cpu: settings.groups.has(Group::CpuCounted),
        };
        let wanted = Wanted {
            // Beside version 1 it is more than the reference gives, and costs three files a cgroup.
            pressure: settings.groups.has(Group::Pressure)
                && (layout.mode == Mode::V2 || settings.named.has(Group::Pressure)),
            by_cpu: settings.groups.has(Group::PerCpu),
            io: reads_disks(settings.groups),
        };
        let opener = Opener { layout: layout.clone(), keep_below: descriptors_for_cgroups(), wanted };
        let (post, inbox) = Discovery::post().map_err(ContainerError::Thread)?;
        let targets = Targets::default();
        let names = names(settings, paths, &post);
        let told = Told::by(log);
        let census =
            Census::new(opener.clone(), roster.clone(), counts.clone(), names, told, targets.clone(), host);
        let discovery =
            Discovery::start(census, lives.flatten(), post, inbox).map_err(ContainerError::Thread)?;
        let figures = FigureReader::new(opener, settings.cpu_source, counts.clone(), paths);
        Ok(Self {
            roster,
            hugetlb: hugetlb::Writer::new(figures.huge_sizes()),
            memory_numa: memory_numa::Writer::default(),
            cpu_topology: CpuTopology::new(machine.labels(), paths.sysfs.clone()),
            cpu_load: cpu_load::Writer::new(),
            figures,
            machine,
            cpu: cpu::Writer::new(wanted.by_cpu && layout.cpuacct != layout.unified),
            memory: memory::Writer::new(),
            network: network::Writer::new(),
            scheduled: scheduled::Writer::new(),
            memory_is_unified: layout.memory == layout.unified,
            timestamps: settings.timestamps,
            links: start_links(paths, &targets),
            rows: Vec::new(),
            process: process::Writer::new(),
            tcp: tcp::Writer::new(),
            udp: udp::Writer::new(),
            advtcp: advtcp::Writer::new(),
            tasks: Tasks::start(settings.groups, layout, paths),
            disks: Disks::start(settings, paths),
            sources: sources::Writer::new(),
            counts,
            discovery,
        })
    }

    /// Reads the figures of every cgroup and writes these groups. Interfaces are waited for until `deadline`.
    pub fn collect(&mut self, groups: Groups, deadline: Instant, page: &mut Page) {
        let read = self.read(groups, deadline);
        self.finish(&read, deadline, page);
    }

    /// The first part of [`ContainerHalf::collect`], which waits for nothing.
    pub fn read(&mut self, groups: Groups, deadline: Instant) -> Read {
        let (now, time) = (Instant::now(), wall_clock());
        if let Some(links) = self.links.as_mut().filter(|_| groups.has(Group::Network)) {
            links.ask();
        }
        let memory = self.machine.memory();
        let mut roster = self.roster.lock();
        roster.expire(now);
        self.tasks.ask(groups, &roster, deadline);
        self.disks.ask(groups, &roster, deadline);
        let is_overdue = self.figures.read(&mut roster, groups, memory, now);
        drop(roster);
        if is_overdue {
            self.discovery.missed();
        }
        Read { groups, now, time, memory }
    }

    /// The second part: waits for interfaces and processes until `deadline` and writes.
    pub fn finish(&mut self, read: &Read, deadline: Instant, page: &mut Page) {
        let &Read { groups, now, time, memory } = read;
        let interfaces = groups.has(Group::Network).then(|| self.take_links(deadline));
        let tasks = self.tasks.hand_out(groups, deadline, &self.roster);
        self.disks.hand_out(groups, deadline, &self.roster);
        page.stamp(Some(time).filter(|_| self.timestamps));
        self.write(groups, now, page);
        page.stamp(None);
        self.write_lasting(groups, now, time, page);
        if groups.has(Group::Machine) {
            self.machine.write(page, memory.map(|(memory, _)| memory));
        }
        if groups.has(Group::CpuTopology) {
            self.cpu_topology.write(page);
        }
        page.family(&SCRAPE_ERROR).plain(0_u64);
        let sources = Sources {
            interfaces,
            tasks,
            cpu_by_count: self.figures.goes_by_count(),
            sockets: self.counts.as_ref().is_some_and(|counts| counts.counts_sockets()),
        };
        self.sources.write(page, sources, self.figures.accuracy(), self.counts.as_deref());
    }

    fn write(&mut self, groups: Groups, now: Instant, page: &mut Page) {
        let roster = self.roster.lock();
        if groups.has(Group::Cpu) || groups.has(Group::PerCpu) {
            self.cpu.write_usage(page, &roster, now);
        }
        if groups.has(Group::Cpu) {
            cpu::write(page, &roster, now);
        }
        if groups.has(Group::Memory) {
            self.memory.write(page, &roster, now, self.memory_is_unified);
        }
        if groups.has(Group::Network) {
            self.network.write(page, &roster, now);
        }
        if groups.has(Group::Socket) {
            socket::write(page, &roster, now);
        }
        if groups.has(Group::Pressure) {
            pressure::write(page, &roster, now);
        }
        if groups.has(Group::MemoryEvents) {
            memory_events::write(page, &roster, now);
        }
        self.scheduled.write(page, &roster, now, groups);
        self.write_tasks(groups, &roster, now, page);
        if groups.has(Group::Disk) {
            disk::write(page, &roster, now);
        }
        if groups.has(Group::Cpuset) {
            cpuset::write(page, &roster, now);
        }
        if groups.has(Group::CpuLoad) {
            self.cpu_load.write(page, &roster, now);
        }
        if groups.has(Group::Hugetlb) {
            self.hugetlb.write(page, &roster, now);
        }
        if groups.has(Group::MemoryNuma) {
            self.memory_numa.write(page, &roster, now);
        }
        if groups.has(Group::DiskIo) {
            disk_io::write(page, &roster, now);
        }
        if groups.has(Group::DiskDiscards) {
            disk_io::discards::write(page, &roster, now);
        }
        if groups.has(Group::Oom) {
            oom::write(page, &roster, now);
        }
    }

    /// What processes said of themselves.
    fn write_tasks(&self, groups: Groups, roster: &Roster, now: Instant, page: &mut Page) {
        if groups.has(Group::Process) {
            self.process.write(page, roster, now);
        }
        if groups.has(Group::Sched) {
            sched::write(page, roster, now);
        }
        if groups.has(Group::Tcp) {
            self.tcp.write(page, roster, now);
        }
        if groups.has(Group::Udp) {
            self.udp.write(page, roster, now);
        }
        if groups.has(Group::AdvTcp) {
            self.advtcp.write(page, roster, now);
        }
        if groups.has(Group::ReferencedMemory) {
            referenced::write(page, roster, now);
        }
    }

    /// What is no reading of this moment, and never bears a time.
    fn write_lasting(&self, groups: Groups, now: Instant, time: Duration, page: &mut Page) {
        let roster = self.roster.lock();
        if groups.has(Group::Spec) {
            spec::write(page, &roster, now);
        }
        if groups.has(Group::Life) {
            life::write(page, &roster, now, time.as_secs());
        }
    }

    /// Takes over what the thread for interfaces has read; `false`: it is late, and the figures are left out.
    fn take_links(&mut self, deadline: Instant) -> bool {
        let rows = &mut self.rows;
        let taken =
            self.links.as_mut().and_then(|links| links.take(deadline, |read| std::mem::swap(read, rows)));
        if taken.is_none() {
            rows.clear();
        }
        network::hand_out(rows, &mut self.roster.lock());
        taken.is_some()
    }
}

/// The rights that reading these groups takes, beside those that every group needs.
pub fn rights(groups: Groups) -> CapabilitySet {
    // To what a descriptor of another process leads, and which of its memory it has touched.
    let looks_within = groups.has(Group::Process) || groups.has(Group::ReferencedMemory);
    if looks_within { CapabilitySet::SYS_PTRACE } else { CapabilitySet::empty() }
}

/// Whether any of the groups needs what is told of block devices.
fn reads_disks(groups: Groups) -> bool {
    groups.has(Group::DiskIo) || groups.has(Group::DiskDiscards)
}

/// Who is asked for names, and what is shown of them.
fn names(settings: &ContainerSettings, paths: &Paths, post: &Post) -> Names {
    let rules = Rules::new(settings);
    let users = paths.rootfs.join("run/user");
    let runtimes = Runtimes::start(settings, users, Arc::clone(&rules.keep), post.clone())
        .inspect_err(|error| tracing::warn!(%error, "no thread for runtimes: containers have no names"));
    Names::new(rules, runtimes.ok())
}

fn start_links(paths: &Paths, targets: &Targets) -> Option<Worker<Vec<Row>>> {
    let in_host_network = host::Facts::look(paths).is_host(host::View::Network);
    let mut reader = LinkReader::new(paths.procfs.clone(), in_host_network, targets.clone());
    Worker::start("links", move |rows| reader.read(rows))
        .inspect_err(|error| tracing::warn!(%error, "no thread for interfaces of containers"))
        .ok()
}

/// The time since 1970.
fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Every cgroup keeps some files open; the soft limit of old is too low for that. Gives the number below which
/// descriptors are for cgroups: the rest is for the server and whoever else opens something.
fn descriptors_for_cgroups() -> i32 {
    let limit = raise_descriptor_limit();
    i32::try_from(limit - limit / 4).unwrap_or(i32::MAX)
}
