//! Beside the reference on this machine: it, we, it again. The same series, and each of our values between its two.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use exporter::node;
use rustix::mount::MountFlags;
use tests::{
    exporter::Exporter,
    http, live,
    page::{Page, Sample},
    prometheus::program,
    running::{Running, until},
    temp::TempDir,
};

/// Newer than the reference 1.11.1: on the fixtures only.
const NEWER: &[&str] = &["dmmultipath", "nvmesubsystem"];
/// Our default, which is the upstream's; Debian's build of the reference has another.
const POINTS: &str = "--collector.filesystem.mount-points-exclude=\
    ^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
/// Builds, tests and daemons run beside this test, so a value that goes up and down may fall out of the bracket, and a
/// series come or go, now and then. What is wrong is so in each attempt.
const ATTEMPTS: u32 = 60;
/// Both exporters hold a counter that fell in the kernel (waiting for a disk does) at the highest that they saw, each
/// from its own start. Started anew, both have seen the same.
const ROUNDS: u32 = 3;

/// How a difference that stays is borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bears {
    /// Both have the series; its value is not compared.
    AnyValue,
    /// The reference may lack the series.
    OnlyOurs,
    /// One label is compared with the kernel's file instead.
    Label,
}

/// Every series that is not held against the reference's to the digit, by the start of its name.
const REVIEWED: &[(&str, Bears, &str)] = &[
    (
        "node_filesystem_readonly",
        Bears::AnyValue,
        "1.11.1 misses `ro` among several options; only our 1 is borne",
    ),
    ("node_perf_", Bears::AnyValue, "each exporter counts from its own start"),
    (
        "node_disk_info",
        Bears::Label,
        "1.11.1 calls a disk turning only if sysfs has all that old kernels had",
    ),
    ("node_ksmd_general_profit_bytes", Bears::OnlyOurs, "newer than 1.11.1"),
];

fn is_reviewed(sample: &Sample, bears: Bears) -> bool {
    let is_right = sample.name != "node_filesystem_readonly" || sample.value > 0.0;
    is_right && REVIEWED.iter().any(|(start, how, _)| sample.name.starts_with(start) && *how == bears)
}

/// What the kernel says of a disk.
fn turns(device: &str) -> String {
    let file = format!("/sys/block/{device}/queue/rotational");
    std::fs::read_to_string(file).map_or_else(|_| "0".to_owned(), |text| text.trim().to_owned())
}

type Key = (String, BTreeMap<String, String>);
type Series = BTreeMap<Key, Sample>;

/// The collectors' own series. An empty label is none.
fn series(page: &Page) -> Series {
    let own = |name: &str| {
        let foreign = ["node_scrape_collector_duration", "node_exporter_"];
        name.starts_with("node_") && !foreign.iter().any(|prefix| name.starts_with(prefix))
    };
    let samples = page.samples.iter().filter(|sample| own(&sample.name)).cloned();
    let key = |sample: &Sample| {
        let mut labels = sample.labels.clone();
        labels.remove("rotational");
        (sample.name.clone(), labels)
    };
    samples.map(|sample| (key(&sample), sample)).collect()
}

/// The series that differ, and how.
fn differences(before: &Page, ours: &Page, after: &Page) -> BTreeMap<Key, String> {
    let (first, here, second) = (series(before), series(ours), series(after));
    let mut differences = BTreeMap::new();
    for (key, sample) in &here {
        let (Some(a), Some(b)) = (first.get(key), second.get(key)) else {
            if !is_reviewed(sample, Bears::OnlyOurs) {
                differences.insert(key.clone(), format!("only ours: {sample:?}"));
            }
            continue;
        };
        if let Some(rotational) = sample.labels.get("rotational")
            && *rotational != turns(&sample.labels["device"])
        {
            differences.insert(key.clone(), format!("rotational: {sample:?}"));
        }
        let (low, high) = (a.value.min(b.value), a.value.max(b.value));
        if !(low..=high).contains(&sample.value) && !is_reviewed(sample, Bears::AnyValue) {
            differences.insert(key.clone(), format!("{low} to {high}: {sample:?}"));
        }
        if before.types.get(&sample.name) != ours.types.get(&sample.name) {
            differences.insert(key.clone(), format!("other type: {}", sample.name));
        }
    }
    let missing = first.iter().filter(|(key, _)| !here.contains_key(key));
    differences.extend(missing.map(|(key, sample)| (key.clone(), format!("missing: {sample:?}"))));
    differences
}

/// The tests run one after the other: what one mounts, all exporters see.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The collectors of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// Those that are on unless told otherwise, by upstream's word: Debian turns systemd on.
    Defaults,
    /// All that both have.
    All,
}

fn collectors(which: Which, flags: &[&str]) -> Vec<String> {
    if which == Which::Defaults {
        return vec!["--no-collector.systemd".to_owned()];
    }
    // (The reference takes no flag twice.)
    let is_off = |name: &str| flags.contains(&format!("--no-collector.{name}").as_str());
    let both = node::COLLECTORS.iter().filter(|known| !NEWER.contains(&known.name) && !is_off(known.name));
    let each = both.map(|known| format!("--collector.{}", known.name));
    std::iter::once("--collector.disable-defaults".to_owned()).chain(each).collect()
}

fn compare(which: Which, flags: &[&str], at_least: usize) {
    let Some(reference) = program("prometheus-node-exporter") else { return };
    let mut all = collectors(which, flags);
    all.push("--collector.textfile.directory=".to_owned());
    if !flags.iter().any(|flag| flag.contains("mount-points")) {
        all.push(POINTS.to_owned());
    }
    all.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let mut differ = None;
    for _ in 0..ROUNDS {
        differ = what_stays(&reference, &all, at_least);
        if differ.is_none() {
            return;
        }
    }
    panic!("{differ:#?}");
}

/// Starts both exporters and compares them until nothing differs; else what differed in every attempt.
fn what_stays(reference: &Path, flags: &[String], at_least: usize) -> Option<Vec<String>> {
    let address = http::free_address();
    let mut command = Command::new(reference);
    command.args(flags).arg("--web.disable-exporter-metrics").arg(format!("--web.listen-address={address}"));
    let reference = Running::start(&mut command);
    let scrape = || Page::parse(&http::get(address, "/metrics").unwrap().text());
    let up = until(Duration::from_secs(20), || http::get(address, "/").is_ok());
    assert!(up, "the reference did not start: {}", reference.said());
    let newer: Vec<String> = NEWER.iter().map(|name| format!("--no-collector.{name}")).collect();
    let mut ours: Vec<&str> = flags.iter().chain(&newer).map(String::as_str).collect();
    ours.extend(["--ebpf=off", "--no-container", "--docker=", "--scrape.share=0"]);
    let exporter = Exporter::start(&ours);
    let mut stays: Option<BTreeMap<Key, String>> = None;
    for _ in 0..ATTEMPTS {
        let (before, page, after) = (scrape(), exporter.page(), scrape());
        let mut found = differences(&before, &page, &after);
        found.retain(|key, _| stays.as_ref().is_none_or(|stays| stays.contains_key(key)));
        let count = series(&page).len();
        assert!(count >= at_least, "{count} series are too few to mean much");
        if found.is_empty() {
            return None;
        }
        stays = Some(found);
        std::thread::sleep(Duration::from_millis(30));
    }
    eprintln!("{flags:?}\n{}\n{}", exporter.process.said(), reference.said());
    Some(stays.into_iter().flatten().map(|(_, how)| how).collect())
}

#[test]
fn the_defaults_are_the_reference_s() {
    let _alone = alone();
    compare(Which::Defaults, &[], 400);
}

#[test]
fn all_collectors_are_the_reference_s() {
    let _alone = alone();
    compare(Which::All, &[], 600);
}

#[test]
fn every_flag_that_adds_does_as_the_reference() {
    let _alone = alone();
    compare(
        Which::All,
        &[
            "--collector.stat.softirq",
            "--collector.vmstat.fields=.*",
            "--collector.netstat.fields=.*",
            "--no-collector.interrupts.include-zeros",
            "--collector.interrupts.name-exclude=timer",
            "--collector.sysctl.include=fs.file-nr",
            "--collector.sysctl.include=fs.inode-nr:count,unused",
            "--collector.sysctl.include=kernel.sched_rt_runtime_us",
            "--collector.sysctl.include=net.ipv4.ip_local_port_range",
            "--collector.sysctl.include-info=kernel.ostype",
            "--collector.sysctl.include-info=net.ipv4.tcp_available_congestion_control",
            "--collector.cpu.info",
            "--collector.cpu.info.flags-include=^(aes|avx.?)$",
            "--collector.cpu.info.bugs-include=spectre",
            "--collector.netdev.address-info",
            "--collector.netdev.label-ifalias",
            "--collector.diskstats.device-exclude=^$",
            "--collector.filesystem.fs-types-exclude=^(cgroup|nsfs|autofs)$",
        ],
        1000,
    );
}

#[test]
fn details_are_the_reference_s() {
    let _alone = alone();
    compare(Which::All, &["--collector.netdev.enable-detailed-metrics", "--no-collector.cpu.guest"], 500);
}

#[test]
fn the_file_s_counters_are_the_reference_s() {
    let _alone = alone();
    compare(Which::All, &["--no-collector.netdev.netlink", "--collector.netdev.label-ifalias"], 500);
}

#[test]
fn the_file_s_counters_in_detail_are_the_reference_s() {
    let _alone = alone();
    compare(
        Which::All,
        &[
            "--no-collector.netdev.netlink",
            "--collector.netdev.enable-detailed-metrics",
            "--collector.netdev.device-exclude=^lo$",
            "--collector.diskstats.device-include=^(vda|loop0)$",
            "--collector.filesystem.mount-points-include=^/",
        ],
        500,
    );
}

/// Mounts of our own under odd names, and an interface with an alias; taken away on drop.
struct Odd {
    mounted: Vec<PathBuf>,
    link: String,
    folder: TempDir,
}

/// Names an interface; such a name is short.
static NEXT: AtomicU32 = AtomicU32::new(0);

impl Odd {
    fn new() -> Self {
        let folder = TempDir::new("odd");
        let link = format!("odd{}x{}", NEXT.fetch_add(1, Ordering::Relaxed), std::process::id());
        let mut odd = Self { mounted: Vec::new(), link, folder };
        // (A name that is not UTF-8 ends the reference 1.11.1 with a panic, so that one is left to the unit tests.)
        let names: [&[u8]; 6] =
            [b"with blank", b"tab\there", b"quote\"d", "grün".as_bytes(), b"stacked", b"stacked"];
        for name in names {
            odd.mount(name, MountFlags::empty());
        }
        odd.mount(b"locked", MountFlags::RDONLY);
        // The first process may live among other mounts than these; without it the exporters look at their own.
        let procfs = odd.folder.path().join("proc");
        std::fs::create_dir(&procfs).unwrap();
        for name in ["self", "stat", "diskstats", "loadavg", "meminfo"] {
            std::os::unix::fs::symlink(Path::new("/proc").join(name), procfs.join(name)).unwrap();
        }
        Self::ip(&["link", "add", &odd.link, "type", "bridge"]);
        Self::ip(&["link", "set", &odd.link, "alias", "the \"way\" out\\"]);
        Self::ip(&["addr", "add", "10.213.7.1/20", "dev", &odd.link]);
        Self::ip(&["addr", "add", "fd00:213::1/64", "dev", &odd.link]);
        odd
    }

    fn mount(&mut self, name: &[u8], flags: MountFlags) {
        let path = self.folder.path().join(OsStr::from_bytes(name));
        std::fs::create_dir_all(&path).unwrap();
        rustix::mount::mount("nodetally-odd", &path, "tmpfs", flags, c"size=64k").unwrap();
        self.mounted.push(path);
    }

    fn procfs(&self) -> String {
        format!("--path.procfs={}/proc", self.folder.path().display())
    }

    fn ip(arguments: &[&str]) {
        assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        for path in self.mounted.iter().rev() {
            let _ = rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH);
        }
        let _ = Command::new("ip").args(["link", "del", &self.link]).status();
    }
}

fn odd() -> Option<Odd> {
    live::root().then(Odd::new)
}

#[test]
fn odd_mounts_and_aliases_are_the_reference_s() {
    let _alone = alone();
    let Some(odd) = odd() else { return };
    let procfs = odd.procfs();
    // (The reference ends where mountstats' file is behind such a link, and leaves TCP over IPv6 out without net/tcp6.)
    let both =
        ["--no-collector.mountstats", "--no-collector.tcpstat", "--collector.netdev.address-info", &procfs];
    for flag in ["--collector.netdev.label-ifalias", "--collector.netdev.device-exclude=^lo$"] {
        compare(Which::All, &[&both[..], &[flag]].concat(), 240 + 6 * 9);
    }
    drop(odd);
}

/// Where the reference asks for a path that is not there, since it undoes two of the kernel's four escapes.
#[test]
fn a_mount_point_may_hold_a_backslash_or_a_line_break() {
    let _alone = alone();
    let Some(mut odd) = odd() else { return };
    odd.mount(b"back\\slash", MountFlags::RDONLY);
    odd.mount(b"line\nbreak", MountFlags::empty());
    let exporter = Exporter::start(&["--ebpf=off", "--no-container", &odd.procfs()]);
    let page = exporter.page();
    let folder = odd.folder.path().display();
    for (name, readonly) in [(r"back\134slash", 1.0), (r"line\012break", 0.0)] {
        let point = format!("{folder}/{name}");
        let labels = [("mountpoint", point.as_str()), ("device_error", "")];
        assert_eq!(page.value("node_filesystem_size_bytes", &labels), Some(65536.0), "{name}");
        assert_eq!(page.value("node_filesystem_readonly", &labels), Some(readonly), "{name}");
    }
}

/// A root that holds none of the mounts: each is an error, by the reference's words.
#[test]
fn mounts_that_cannot_be_asked_are_the_reference_s() {
    let _alone = alone();
    let root = TempDir::new("rootless");
    root.write("run", "no folder");
    std::os::unix::fs::symlink("mnt", root.path().join("mnt")).unwrap();
    let rootfs = format!("--path.rootfs={}", root.path().display());
    compare(Which::All, &[&rootfs, "--collector.filesystem.fs-types-exclude=^autofs$"], 500);
}
