//! What container runtimes know of their containers and the kernel does not: names, images, labels.
//!
//! A runtime is asked on a thread of its own, never by a scrape; what it says arrives as [`Answer`]s.

pub mod containerd;
pub mod cri;
pub mod docker;
pub mod follow;
mod grpc;
mod keep;
mod oci;
pub mod time;

pub use keep::{KUBERNETES, Keep};

/// What a runtime says of one container, at the moment it was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// The runtime's full id, as it stands in the cgroup's name.
    pub id: String,
    /// What to ask the runtime for to hear of it again.
    pub key: String,
    /// Name without the leading slash; empty when the runtime told none.
    pub name: String,
    /// Image reference as given when the container was made; empty when the runtime told none.
    pub image: String,
    /// Label keys and values, sorted by key.
    pub labels: Vec<(String, String)>,
    /// Names and values of its first process' variables, as far as they are kept.
    pub env: Vec<(String, String)>,
    /// The cgroup that the runtime made for it, as it told: a path from the root of the hierarchy.
    pub cgroup: Option<String>,
    /// It holds a pod's namespaces, and does nothing else.
    pub sandbox: bool,
    /// First process, in the runtime's pid namespace; `None` while nothing runs.
    pub pid: Option<u32>,
    /// Whose network the container uses.
    pub network: NetworkMode,
    /// When it was made, in seconds since 1970.
    pub created: Option<f64>,
    /// When it was last started, in seconds since 1970.
    pub started: Option<f64>,
    /// How often the runtime's restart policy started it again.
    pub restart_count: u64,
    /// State of its health check; `None` without one.
    pub health: Option<Health>,
    /// Where it stands in its life.
    pub status: Status,
}

impl Metadata {
    /// A container of which nothing but its id is known.
    pub fn of(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            key: id.to_owned(),
            name: String::new(),
            image: String::new(),
            labels: Vec::new(),
            env: Vec::new(),
            cgroup: None,
            sandbox: false,
            pid: None,
            network: NetworkMode::Own,
            created: None,
            started: None,
            restart_count: 0,
            health: None,
            status: Status::Unknown,
        }
    }
}

/// Whose network a container uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkMode {
    /// The host's.
    Host,
    /// That of the container named by id or name.
    Container(String),
    /// A namespace of its own with nothing but loopback.
    None,
    /// A namespace of its own, joined to a network.
    Own,
}

/// State of a container's health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Not judged yet.
    Starting,
    /// The last check passed.
    Healthy,
    /// Too many checks failed in a row.
    Unhealthy,
}

/// Where a container stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Made, not started.
    Created,
    /// Its first process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Between two runs.
    Restarting,
    /// Being taken away.
    Removing,
    /// Ended.
    Exited,
    /// Ended, and could not be taken away.
    Dead,
    /// The runtime said something else, or nothing.
    Unknown,
}

/// One piece of news from a runtime.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The container as it is now; comes again after each change, and may say the same twice.
    Is(Box<Metadata>),
    /// The runtime keeps saying that it has no such container. News of it may still come if it is started later.
    Unknown {
        /// What was asked for.
        id: String,
    },
    /// The container was taken away.
    Gone {
        /// Its [`Metadata::key`].
        id: String,
    },
}
