//! The container half as a test uses it.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test fails by panicking, and each test file uses a part"
)]

pub mod tree;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use exporter::{
    config::{ContainerSettings, CpuSource, LabelStyle, Paths},
    container::{ContainerHalf, Groups, kernel::KernelSide},
    metric,
    source::{kmsg::Kmsg, runtime::Keep},
};
use tests::{page::Page, running::until};

/// A started half with the page that it writes to.
#[derive(Debug)]
pub struct Half {
    pub half: ContainerHalf,
    pub page: metric::Page,
}

/// The machine's own paths.
pub fn paths() -> Paths {
    Paths {
        procfs: PathBuf::from("/proc"),
        sysfs: PathBuf::from("/sys"),
        rootfs: PathBuf::from("/"),
        udev_data: PathBuf::from("/run/udev/data"),
    }
}

/// Defaults, without Docker.
pub fn settings() -> ContainerSettings {
    ContainerSettings {
        max: 4096,
        keep_dead: Duration::from_mins(1),
        layer_usage: Duration::from_mins(1),
        cpu_source: CpuSource::Auto,
        groups: Groups::ALL.without(Groups::named("percpu").unwrap()),
        named: Groups::NONE,
        timestamps: false,
        labels: LabelStyle::Cadvisor,
        keep: Keep::default(),
        docker_only: false,
        raw_prefixes: Vec::new(),
        root_stats: true,
        docker_socket: None,
        containerd_socket: None,
        containerd_namespace: None,
        podman_socket: None,
        crio_socket: None,
        machine_id_files: vec![PathBuf::from("/etc/machine-id")],
        boot_id_files: vec![PathBuf::from("/proc/sys/kernel/random/boot_id")],
    }
}

impl Half {
    /// By files alone.
    pub fn start() -> Self {
        Self::with(&settings(), None)
    }

    /// By files alone, with the dead kept for so long.
    pub fn start_keeping(dead: Duration) -> Self {
        Self::with(&ContainerSettings { keep_dead: dead, ..settings() }, None)
    }

    /// With these settings and this kernel half.
    pub fn with(settings: &ContainerSettings, kernel: Option<KernelSide>) -> Self {
        let half =
            ContainerHalf::start(settings, &paths(), kernel, Kmsg::open(&[Path::new("/")]).ok()).unwrap();
        Self { half, page: metric::Page::default() }
    }

    /// One scrape of all groups.
    pub fn page(&mut self) -> Page {
        self.collect(Groups::ALL)
    }

    /// One scrape of these groups.
    pub fn page_of(&mut self, groups: &[&str]) -> Page {
        let groups = groups.iter().map(|name| Groups::named(name).unwrap());
        self.collect(groups.fold(Groups::NONE, Groups::with))
    }

    fn collect(&mut self, groups: Groups) -> Page {
        self.page.clear();
        self.half.collect(groups, Instant::now() + Duration::from_secs(5), &mut self.page);
        assert_eq!(self.page.dropped(), 0, "a family was written twice");
        Page::parse(str::from_utf8(self.page.text()).unwrap())
    }

    /// Scrapes until the series is there; `false` if it does not come.
    pub fn comes(&mut self, name: &str, labels: &[(&str, &str)]) -> bool {
        until(Duration::from_secs(5), || self.page().value(name, labels).is_some())
    }

    /// Scrapes until the series is gone; `false` if it stays.
    pub fn goes(&mut self, name: &str, labels: &[(&str, &str)]) -> bool {
        until(Duration::from_secs(5), || self.page().value(name, labels).is_none())
    }
}

/// Each line `family{labels} value`: the sample is there, with this value and no other labels than these and `id`.
#[track_caller]
pub fn has(page: &Page, id: &str, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels: Vec<(&str, &str)> = labels
            .trim_end_matches('}')
            .split(',')
            .filter_map(|label| label.split_once('='))
            .chain([("id", id)])
            .collect();
        let found: Vec<_> = page.matching(name, &labels).collect();
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert_eq!(found[0].labels.len(), labels.len(), "{line}: {found:?}");
        let (shown, expected) = (found[0].value, value.parse::<f64>().unwrap());
        assert!((shown - expected).abs() <= expected.abs() * 1e-12, "{line}: {shown}");
    }
}

/// None of these families has this cgroup.
#[track_caller]
pub fn lacks(page: &Page, id: &str, names: &[&str]) {
    for name in names {
        assert_eq!(page.value(name, &[("id", id)]), None, "{name} of {id}");
    }
}

/// Fails unless the two differ by less than a share of the second, or by less than a fixed amount.
#[track_caller]
pub fn near(value: f64, expected: f64, share: f64, amount: f64) {
    let difference = (value - expected).abs();
    assert!(difference <= (expected.abs() * share).max(amount), "{value}, expected {expected}");
}
