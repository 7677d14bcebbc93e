//! The kernel half as the user half sees it: loaded, proved and read.
//!
//! [`load`] loads each program, proves it by value on this process and gives what may be believed; a program that
//! fails is taken out again and says why, the others stay. Figures come by [`Counters`], births and deaths by
//! [`LifeEvents`]. Nothing is pinned: what is attached goes when [`Kernel`] is dropped or the process dies.
//!
//! Rights: loading needs `CAP_BPF`, `CAP_PERFMON` and, for `net`, `CAP_NET_ADMIN`. Reading needs none. Giving a
//! slot to a cgroup whose birth was missed ([`Counters::enter`]) is a system call that needs `CAP_BPF` before 5.19
//! where `kernel.unprivileged_bpf_disabled` is set, and nothing since.

use std::{fmt, path::PathBuf, sync::Arc};

mod attach;
pub mod btf;
mod counters;
mod life;
mod log;
mod maps;
mod object;
pub mod offsets;
mod selftest;
mod slots;
mod stats;

pub use counters::{Counters, CpuTotals, NetTotals, Slot, SlotUsage};
pub use exporter_common::{CgroupKey, Traffic};
#[cfg(feature = "fuzzing")]
pub use life::fuzz;
pub use life::{Life, LifeEvent, LifeEvents};
pub use log::KernelLog;
pub use stats::{ProgramStats, may_use_maps};

/// Slots when nothing else is asked for.
pub const DEFAULT_MAX_CGROUPS: u32 = 4096;

/// One of the kernel half's subjects. `net` is two programs, `life` is two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// CPU time and switches.
    Cpu,
    /// Bytes and packets.
    Net,
    /// Births and deaths.
    Life,
}

impl Program {
    /// Every subject, in the order they are loaded.
    pub const ALL: [Self; 3] = [Self::Life, Self::Cpu, Self::Net];

    /// Its name in logs and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Net => "net",
            Self::Life => "life",
        }
    }

    /// The kind of hook it hangs on.
    pub const fn mode(self) -> &'static str {
        match self {
            Self::Cpu | Self::Life => "tp_btf",
            Self::Net => "cgroup_skb",
        }
    }
}

/// Why a program runs or does not: a closed list, fit for a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It runs.
    Ok,
    /// It was not asked for.
    Off,
    /// The kernel forbids it: capability, lockdown or seccomp.
    NoPermission,
    /// The kernel does not describe its types.
    NoBtf,
    /// No cgroup v2 hierarchy to attach to.
    NoCgroup2,
    /// The kernel's types are not those the program reads.
    BtfMismatch,
    /// The kernel refused the program or its maps.
    Rejected,
    /// It was loaded but could not be attached.
    AttachFailed,
    /// It ran, and its figures were not true.
    SelftestFailed,
}

impl Reason {
    /// The word for labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Off => "off",
            Self::NoPermission => "no_permission",
            Self::NoBtf => "no_btf",
            Self::NoCgroup2 => "no_cgroup2",
            Self::BtfMismatch => "btf_mismatch",
            Self::Rejected => "rejected",
            Self::AttachFailed => "attach_failed",
            Self::SelftestFailed => "selftest_failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How one program fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramStatus {
    /// The program.
    pub program: Program,
    /// Why it runs or does not.
    pub reason: Reason,
    /// For the log: errno, the verifier's words, what the self-test saw. Empty when all is well.
    pub detail: String,
}

impl ProgramStatus {
    /// Whether its figures may be believed.
    pub fn up(&self) -> bool {
        self.reason == Reason::Ok
    }
}

/// Where CPU time is accounted: the hierarchy whose cgroups the `cpu` program charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuHierarchy {
    /// The first field of its line in `/proc/self/cgroup`: 0 is cgroup v2, else that of v1's cpuacct.
    pub id: u32,
    /// Where its root directory is to be found.
    pub root: PathBuf,
}

/// What is wanted of the kernel half.
#[derive(Debug, Clone)]
pub struct Request {
    /// The programs to load.
    pub programs: Vec<Program>,
    /// Most cgroups with figures of their own; the others' go to [`Slot::UNKNOWN`].
    pub max_cgroups: u32,
    /// Root directory of cgroup v2, where `net` is attached.
    pub cgroup2_root: Option<PathBuf>,
    /// Where `cpu` charges.
    pub cpu: CpuHierarchy,
    /// Also count runs and nanoseconds of the programs. The kernel then times every BPF program of the host.
    pub stats: bool,
    /// Another object than the embedded one, for development.
    pub object: Option<Vec<u8>>,
    /// Offsets to use in place of those found, by the constant's name. Tests poison them.
    pub poison: Vec<(&'static str, u64)>,
}

impl Request {
    /// Every program, with defaults.
    pub fn new(cpu: CpuHierarchy, cgroup2_root: Option<PathBuf>) -> Self {
        Self {
            programs: Program::ALL.to_vec(),
            max_cgroups: DEFAULT_MAX_CGROUPS,
            cgroup2_root,
            cpu,
            stats: false,
            object: None,
            poison: Vec::new(),
        }
    }
}

/// The kernel half at work. Dropping it detaches every program.
#[derive(Debug)]
pub struct Kernel {
    /// One for each of [`Program::ALL`].
    pub status: Vec<ProgramStatus>,
    /// The figures; `None` when neither `cpu` nor `net` runs.
    pub counters: Option<Arc<Counters>>,
    /// Births and deaths; `None` unless `life` runs.
    pub life: Option<LifeEvents>,
    /// Log lines out of the kernel, if the object has any: call `flush` when its descriptor is readable.
    pub log: Option<KernelLog>,
    programs: Option<attach::Attached>,
}

impl Kernel {
    /// No kernel half: nothing was tried.
    pub fn none(status: Vec<ProgramStatus>) -> Self {
        Self { status, counters: None, life: None, log: None, programs: None }
    }

    /// The status of `program`.
    pub fn status_of(&self, program: Program) -> Reason {
        self.status.iter().find(|s| s.program == program).map_or(Reason::Off, |s| s.reason)
    }

    /// Runs and nanoseconds of each loaded program since it was loaded; 0 unless the kernel keeps count
    /// ([`Request::stats`]). One system call a program.
    pub fn program_stats(&self) -> Vec<ProgramStats> {
        self.programs.as_ref().map(attach::Attached::stats).unwrap_or_default()
    }
}

/// Loads, attaches and proves the programs of `request`. Never fails as a whole: see [`Kernel::status`].
///
/// Takes some 100 ms, most of it for reading the kernel's types and for the self-test.
pub fn load(request: &Request) -> Kernel {
    attach::load(request)
}
