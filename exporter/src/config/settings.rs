//! Settings as meant: every value checked, every default filled in.

use std::{path::PathBuf, time::Duration};

use super::{ConfigError, ContainerSettings, FlagValues, WebSettings};
use crate::node;

/// All settings.
#[derive(Debug)]
pub struct Settings {
    /// The server.
    pub web: WebSettings,
    /// Where the kernel's files are.
    pub paths: Paths,
    /// The log.
    pub log: LogSettings,
    /// How scrapes run.
    pub scrape: ScrapeSettings,
    /// The kernel half.
    pub ebpf: EbpfMode,
    /// `container_*`; `None` when turned off.
    pub container: Option<ContainerSettings>,
    /// For each of [`node::COLLECTORS`], whether it runs.
    pub node: Vec<bool>,
    /// The flags, for those that the collectors read themselves.
    pub flags: FlagValues,
}

/// Where the kernel's files are.
#[derive(Debug, Clone)]
pub struct Paths {
    /// `/proc`.
    pub procfs: PathBuf,
    /// `/sys`.
    pub sysfs: PathBuf,
    /// `/` of the host.
    pub rootfs: PathBuf,
    /// `/run/udev/data`.
    pub udev_data: PathBuf,
}

/// The log's settings.
#[derive(Debug, Clone, Copy)]
pub struct LogSettings {
    /// The least severe level that is written.
    pub level: tracing::Level,
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object.
    Json,
}

/// How scrapes run.
#[derive(Debug, Clone, Copy)]
pub struct ScrapeSettings {
    /// How old a scrape's beginning may be for another request to share it; zero for never.
    pub share: Duration,
}

/// Whether the kernel half runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EbpfMode {
    /// If the kernel lets it; the files serve otherwise.
    Auto,
    /// No.
    Off,
    /// Yes, or the exporter does not start.
    Require,
}

impl Settings {
    /// Checks every flag.
    ///
    /// # Errors
    /// The first flag whose value cannot be used.
    pub fn new(flags: FlagValues) -> Result<Self, ConfigError> {
        let paths = Paths {
            procfs: folder(&flags, "path.procfs")?,
            sysfs: folder(&flags, "path.sysfs")?,
            rootfs: folder(&flags, "path.rootfs")?,
            udev_data: PathBuf::from(flags.text("path.udev.data")),
        };
        Ok(Self {
            web: WebSettings::new(&flags)?,
            log: log(&flags),
            scrape: ScrapeSettings { share: duration(&flags, "scrape.share")? },
            ebpf: match flags.text("ebpf") {
                "off" => EbpfMode::Off,
                "require" => EbpfMode::Require,
                _ => EbpfMode::Auto,
            },
            container: if flags.is_on("container") {
                Some(ContainerSettings::new(&flags, &paths)?)
            } else {
                None
            },
            node: node_collectors(&flags),
            paths,
            flags,
        })
    }
}

fn log(flags: &FlagValues) -> LogSettings {
    let level = match flags.text("log.level") {
        "debug" => tracing::Level::DEBUG,
        "warn" => tracing::Level::WARN,
        "error" => tracing::Level::ERROR,
        _ => tracing::Level::INFO,
    };
    let format = if flags.text("log.format") == "json" { LogFormat::Json } else { LogFormat::Logfmt };
    LogSettings { level, format }
}

fn node_collectors(flags: &FlagValues) -> Vec<bool> {
    let defaults = !flags.is_on("collector.disable-defaults");
    let enabled = |descriptor: &&crate::collector::Descriptor| {
        let flag = format!("collector.{}", descriptor.name);
        if flags.is_given(&flag) { flags.is_on(&flag) } else { defaults && descriptor.on_by_default }
    };
    node::COLLECTORS.iter().map(enabled).collect()
}

fn folder(flags: &FlagValues, name: &str) -> Result<PathBuf, ConfigError> {
    let typed = flags.text(name);
    match std::fs::metadata(typed) {
        Ok(found) if found.is_dir() => Ok(PathBuf::from(typed)),
        Ok(_) => Err(ConfigError::flag(name, typed, "is not a folder")),
        Err(error) => Err(ConfigError::flag(name, typed, error)),
    }
}

/// A flag's time: `300ms`, `20s`, `5m`, `1h`, or `0`.
///
/// # Errors
/// It is none, or longer than a day.
pub fn duration(flags: &FlagValues, name: &str) -> Result<Duration, ConfigError> {
    let typed = flags.text(name);
    let unit = typed.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: Option<f64> = typed.strip_suffix(unit).and_then(|number| number.parse().ok());
    let seconds = match (number, unit) {
        (Some(number), "ms") => Some(number / 1e3),
        (Some(number), "s") => Some(number),
        (Some(number), "m") => Some(number * 60.0),
        (Some(number), "h") => Some(number * 3600.0),
        (Some(0.0), "") => Some(0.0),
        _ => None,
    };
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| duration.as_secs() <= 86_400)
        .ok_or_else(|| {
            ConfigError::flag(name, typed, "expected a time such as 500ms, 20s or 5m, one day at most")
        })
}
