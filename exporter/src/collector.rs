//! What every collector is: one constant that describes it, one struct that collects.

use std::{path::Path, time::Instant};

use rustix::thread::CapabilitySet;

use crate::{
    config::{ConfigError, FlagValues, Paths},
    metric::{Family, Page},
    source::{dbus, file::ReadError, netlink},
};

/// All that is said of a collector in one place; flag, help, the README's table and the tests come from it.
#[derive(Debug)]
pub struct Descriptor {
    /// The name in `--collector.NAME`, `collect[]` and `node_scrape_collector_success`.
    pub name: &'static str,
    /// Whether it runs unless told otherwise.
    pub on_by_default: bool,
    /// What it gives, in half a line.
    pub summary: &'static str,
    /// What it reads.
    pub reads: &'static str,
    /// The oldest kernel that offers it.
    pub since: &'static str,
    /// Whether it runs on the scrape thread or beside it.
    pub pace: Pace,
    /// Its own flags.
    pub flags: &'static [Flag],
    /// The families that it may write.
    pub families: &'static [&'static Family],
    /// Makes it; what never changes is looked up here.
    pub build: fn(&Context<'_>) -> Result<Box<dyn Collector>, ConfigError>,
}

/// Where a collector runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As quick ones, but first: its figures would show our own threads at work.
    First,
    /// Its reads never wait: it runs on the scrape thread.
    Quick,
    /// It may wait for a disk, a mount or a peer: it runs on a thread that it may hold, under the deadline.
    MayBlock,
}

/// A flag of a collector, or of the exporter.
#[derive(Debug)]
pub struct Flag {
    /// The name without the dashes.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it does, in half a line.
    pub help: &'static str,
}

/// What a flag takes.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// Nothing: `--x` turns it on, `--no-x` off.
    Switch {
        /// The state when neither is given.
        default: bool,
    },
    /// One value.
    Text {
        /// The word that stands for the value in the help.
        placeholder: &'static str,
        /// The value when the flag is not given; empty for none.
        default: &'static str,
    },
    /// A value each time it is given.
    Many {
        /// The word that stands for the value in the help.
        placeholder: &'static str,
        /// The value when the flag is not given; empty for none.
        default: &'static str,
    },
    /// One of the words.
    Choice {
        /// The words.
        of: &'static [&'static str],
        /// The word when the flag is not given.
        default: &'static str,
    },
}

/// What a collector is made from.
#[derive(Debug)]
pub struct Context<'a> {
    /// Where /proc, /sys and the root are.
    pub paths: &'a Paths,
    /// The flags as meant.
    pub flags: &'a FlagValues,
}

/// A collector: it owns its open files and buffers.
pub trait Collector: Send {
    /// Reads, parses and writes. What was written before a failure is still served.
    ///
    /// # Errors
    /// [`Failure`]; it never fails the scrape.
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure>;

    /// The same for one that waits for several things, of which those that answer are to be served when the rest is
    /// late: it ends shortly before `deadline`. Called instead of `collect` where the pace is [`Pace::MayBlock`].
    ///
    /// # Errors
    /// As [`Collector::collect`].
    fn collect_until(&mut self, deadline: Instant, page: &mut Page) -> Result<(), Failure> {
        let _ = deadline;
        self.collect(page)
    }

    /// Whether others name its families: they are written last, and give way to all that are there.
    fn is_foreign(&self) -> bool {
        false
    }

    /// What it must be allowed beyond reading files once it runs; the process gives up the rest.
    fn rights(&self) -> CapabilitySet {
        CapabilitySet::empty()
    }
}

/// Why a collector has nothing, or not all.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// This machine has no such thing.
    #[error("no data: {0}")]
    Absent(Lack),
    /// It is there and cannot be read or understood.
    #[error("{0}")]
    Broken(String),
}

/// What a machine has not. Kept as it came: most machines lack much, and a text of it is wanted once.
#[derive(Debug, thiserror::Error)]
pub enum Lack {
    /// A file or folder.
    #[error(transparent)]
    File(#[from] ReadError),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl From<String> for Lack {
    fn from(words: String) -> Self {
        Self::Other(words)
    }
}

impl Lack {
    /// Whether its text would be the same.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one.is_same(other),
            (Self::Other(one), Self::Other(other)) => one == other,
            _ => false,
        }
    }
}

impl Failure {
    /// This machine has no such thing.
    pub fn absent(lack: impl Into<Lack>) -> Self {
        Self::Absent(lack.into())
    }

    /// The file was read, but does not hold what was looked for.
    pub fn unreadable(path: &Path, wanted: &str) -> Self {
        Self::Broken(format!("{}: expected {wanted}", path.display()))
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// A kernel that was built without what is asked for has no data.
impl From<netlink::Error> for Failure {
    fn from(error: netlink::Error) -> Self {
        match error.errno() {
            Some(libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT) => {
                Self::absent(error.to_string())
            }
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl From<dbus::Error> for Failure {
    /// A machine without a bus has nothing to tell of it.
    fn from(error: dbus::Error) -> Self {
        if error.is_absent() { Self::absent(error.to_string()) } else { Self::Broken(error.to_string()) }
    }
}

impl ReadError {
    /// For a collector whose source a machine may lack: a file that is not there is no failure.
    pub fn or_absent(self) -> Failure {
        if self.is_gone() { Failure::absent(self) } else { self.into() }
    }
}
