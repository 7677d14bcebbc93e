//! `container_*` and `machine_*`: every cgroup, with the names that its runtime has for it.
//!
//! Discovery keeps the [`roster`] on its own thread; a scrape reads the figures of all that is in it and writes
//! them family by family.

mod census;
mod cpu;
mod discovery;
mod entry;
mod figures;
mod group;
mod identity;
pub mod kernel;
mod life;
mod machine;
mod memory;
mod network;
mod roster;
mod socket;
mod spec;
mod usage;
mod write;

use std::{
    io,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    config::{ContainerSettings, Paths},
    metric::{Family, Page},
    source::cgroup::{Layout, layout::LayoutError},
};

use census::Census;
use discovery::Discovery;
use figures::FigureReader;
use kernel::KernelSide;
use machine::Machine;
use roster::{Roster, Shared};

pub use group::{GROUPS, Group, GroupDescriptor, Groups};

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

/// The container half of a scrape.
#[derive(Debug)]
pub struct ContainerHalf {
    roster: Shared,
    figures: FigureReader,
    machine: Machine,
    cpu: cpu::Writer,
    memory: memory::Writer,
    memory_is_unified: bool,
    _discovery: Discovery,
}

impl ContainerHalf {
    /// Finds every cgroup and begins to follow them. `kernel`: the kernel half, where it runs.
    ///
    /// # Errors
    /// No cgroups are in sight, or the thread cannot be started.
    pub fn start(
        settings: &ContainerSettings,
        paths: &Paths,
        kernel: Option<KernelSide>,
    ) -> Result<Self, ContainerError> {
        let layout = Layout::find(paths)?;
        raise_descriptor_limit();
        let mut machine = Machine::new(paths);
        let roster = Shared::new(Roster::new(settings.keep_dead));
        let (counts, lives) = kernel.map(|kernel| (kernel.counts, kernel.lives)).unzip();
        let memory = machine.memory().unwrap_or_default().0;
        let boot = machine.boot_time();
        let census = Census::new(layout.clone(), roster.clone(), counts.clone(), memory, boot);
        let (post, inbox) = Discovery::post().map_err(ContainerError::Thread)?;
        let discovery =
            Discovery::start(census, lives.flatten(), post, inbox).map_err(ContainerError::Thread)?;
        Ok(Self {
            roster,
            figures: FigureReader::new(layout.clone(), settings.cpu_source, counts),
            machine,
            cpu: cpu::Writer::new(),
            memory: memory::Writer::new(),
            memory_is_unified: layout.memory == layout.unified,
            _discovery: discovery,
        })
    }

    /// Reads the figures of every cgroup and writes these groups.
    pub fn collect(&mut self, groups: Groups, page: &mut Page) {
        let now = Instant::now();
        let memory = self.machine.memory();
        let mut roster = self.roster.lock();
        roster.expire(now);
        self.figures.read(&mut roster, groups, memory);
        if groups.has(Group::Cpu) {
            self.cpu.write(page, &roster, now);
        }
        if groups.has(Group::Memory) {
            self.memory.write(page, &roster, now, self.memory_is_unified);
        }
        if groups.has(Group::Network) {
            network::write(page, &roster, now);
        }
        if groups.has(Group::Socket) {
            socket::write(page, &roster, now);
        }
        if groups.has(Group::Spec) {
            spec::write(page, &roster, now);
        }
        if groups.has(Group::Life) {
            life::write(page, &roster, now, wall_clock());
        }
        drop(roster);
        if groups.has(Group::Machine) {
            self.machine.write(page, memory.map(|(memory, _)| memory));
        }
        page.family(&SCRAPE_ERROR).plain(0_u64);
    }
}

/// Whole seconds since 1970.
fn wall_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Every cgroup keeps some files open; the soft limit of old is too low for that.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::debug!(%error, "setrlimit RLIMIT_NOFILE");
    }
}
