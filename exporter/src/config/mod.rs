//! Flags as typed become settings as meant. One definition gives flag, help and the README's table.

mod address;
mod cadvisor;
mod container;
mod filter;
mod flags;
mod go;
mod settings;
mod web;

pub use address::ListenAddress;
pub use cadvisor::{CadvisorFlag, FLAGS as CADVISOR_FLAGS, Here, Kind, warn_of_idle};
pub use container::{ContainerSettings, CpuSource, LabelStyle};
pub use filter::{Filter, FilterFlags};
pub(crate) use filter::{current, pattern};
pub use flags::{Asked, FlagValues, exporter_flags, parse};
pub use settings::{EbpfMode, LogFormat, LogSettings, Paths, ScrapeSettings, Settings, duration};
pub use web::{Part, SiteSettings, WebSettings};

/// What is wrong with the command line, in one line for its author.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl ConfigError {
    /// A flag whose value cannot be used.
    pub fn flag(name: &str, value: &str, why: impl std::fmt::Display) -> Self {
        Self(format!("--{name}: {value:?}: {why}"))
    }
}
