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

use rustix::mount::MountFlags;
use tests::{
    exporter::Exporter,
    http, live,
    page::{Page, Sample},
    prometheus::program,
    running::{Running, until},
    temp::TempDir,
};

/// (dmmultipath and nvmesubsystem are newer than the reference 1.11.1.)
const COLLECTORS: &[&str] = &[
    "arp",
    "bcache",
    "bcachefs",
    "bonding",
    "btrfs",
    "buddyinfo",
    "cgroups",
    "conntrack",
    "cpu",
    "cpu_vulnerabilities",
    "cpufreq",
    "diskstats",
    "dmi",
    "drm",
    "edac",
    "entropy",
    "ethtool",
    "fibrechannel",
    "filefd",
    "filesystem",
    "hwmon",
    "infiniband",
    "interrupts",
    "ipvs",
    "kernel_hung",
    "lnstat",
    "loadavg",
    "mdadm",
    "meminfo",
    "meminfo_numa",
    "netclass",
    "netdev",
    "netstat",
    "nfs",
    "nfsd",
    "nvme",
    "os",
    "pcidevice",
    "perf",
    "powersupplyclass",
    "pressure",
    "processes",
    "rapl",
    "schedstat",
    "selinux",
    "slabinfo",
    "sockstat",
    "softirqs",
    "softnet",
    "stat",
    "swap",
    "sysctl",
    "tapestats",
    "thermal_zone",
    "time",
    "timex",
    "udp_queues",
    "uname",
    "vmstat",
    "watchdog",
    "wifi",
    "xfrm",
    "xfs",
    "zfs",
    "zoneinfo",
];
/// Our default, which is the upstream's; Debian's build of the reference has another.
const POINTS: &str = "--collector.filesystem.mount-points-exclude=\
    ^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
/// Builds, tests and daemons run beside this test, so a value may fall out of the bracket now and then; a wrong one
/// falls out each time.
const ATTEMPTS: u32 = 5;

/// Values that go up and down between any two reads.
fn moves(sample: &Sample) -> bool {
    let name = sample.name.as_str();
    let prefixes = [
        "node_buddyinfo_",
        "node_filefd_",
        "node_memory_",
        "node_processes_",
        "node_procs_",
        "node_sockstat_",
        "node_sysctl_fs_",
        "node_tcp_connection_states",
        "node_timex_",
        "node_vmstat_nr_",
        "node_zoneinfo_",
    ];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
        || ["node_netstat_Tcp_CurrEstab", "node_nf_conntrack_entries", "node_lnstat_entries_total"].contains(&name)
        || ["node_cgroups_cgroups", "node_softnet_backlog_len", "node_udp_queues"].contains(&name)
        || ["node_filesystem_avail_bytes", "node_filesystem_free_bytes", "node_filesystem_files_free"].contains(&name)
        || ["node_disk_io_now", "node_load1", "node_cpu_frequency_hertz"].contains(&name)
        // Idle and waiting time waver, and each exporter holds what it has seen highest.
        || ["idle", "iowait"].contains(&sample.labels.get("mode").map_or("", String::as_str))
}

/// How far a moving value may be from the reference's: a tenth, or what a busy machine moves in a second.
fn is_near(ours: f64, other: f64) -> bool {
    (ours - other).abs() <= (other.abs() * 0.1).max(if other > 1e5 { 5e8 } else { 20.0 })
}

/// The reference 1.11.1 misses `ro` among several mount options; we do not follow it there.
fn is_known_wrong(ours: &Sample) -> bool {
    ours.name == "node_filesystem_readonly" && ours.value > 0.0
}

/// Objects of a slab cache come and go by the hundred between two reads: that they are given is all that is held
/// against the reference here. (The columns that stay must be equal; the fixtures have the rest.) So do events that each
/// exporter counts from its own start.
fn is_restless(ours: &Sample) -> bool {
    ours.name.starts_with("node_perf_")
        || ["node_slabinfo_active_objects", "node_slabinfo_objects"].contains(&ours.name.as_str())
}

/// The reference calls a disk turning only if sysfs has every attribute that old kernels had; we look at the one.
fn turns(device: &str) -> String {
    let file = format!("/sys/block/{device}/queue/rotational");
    std::fs::read_to_string(file).map_or_else(|_| "0".to_owned(), |text| text.trim().to_owned())
}

/// A state that few processes or sockets are in comes and goes between any two reads.
fn is_fleeting(sample: &Sample) -> bool {
    if sample.name == "node_tcp_connection_states" {
        return !sample.labels.values().any(|state| state == "established" || state == "listen");
    }
    let is_state = sample.name.starts_with("node_processes_") && sample.name.ends_with("state");
    is_state && !sample.labels.values().any(|state| state == "S" || state == "I")
}

type Series = BTreeMap<(String, BTreeMap<String, String>), Sample>;

/// The collectors' own series. An empty label is none.
fn series(page: &Page) -> Series {
    let own = |name: &str| {
        let foreign = ["node_scrape_collector_duration", "node_exporter_"];
        name.starts_with("node_") && !foreign.iter().any(|prefix| name.starts_with(prefix))
    };
    let samples = page.samples.iter().filter(|sample| own(&sample.name) && !is_fleeting(sample)).cloned();
    let key = |sample: &Sample| {
        let mut labels = sample.labels.clone();
        labels.remove("rotational");
        (sample.name.clone(), labels)
    };
    samples.map(|sample| (key(&sample), sample)).collect()
}

fn differences(before: &Page, ours: &Page, after: &Page) -> Vec<String> {
    let (first, here, second) = (series(before), series(ours), series(after));
    let mut differences = Vec::new();
    for (key, sample) in &here {
        let (Some(a), Some(b)) = (first.get(key), second.get(key)) else {
            differences.push(format!("only ours: {sample:?}"));
            continue;
        };
        if let Some(rotational) = sample.labels.get("rotational")
            && *rotational != turns(&sample.labels["device"])
        {
            differences.push(format!("rotational: {sample:?}"));
        }
        let (low, high) = (a.value.min(b.value), a.value.max(b.value));
        let fits = (low..=high).contains(&sample.value)
            || is_known_wrong(sample)
            || is_restless(sample)
            || (moves(sample) && is_near(sample.value, a.value));
        if !fits {
            differences.push(format!("{low} to {high}: {sample:?}"));
        }
        if before.types.get(&sample.name) != ours.types.get(&sample.name) {
            differences.push(format!("other type: {}", sample.name));
        }
    }
    let missing = first.iter().filter(|(key, _)| !here.contains_key(key));
    differences.extend(missing.map(|(_, sample)| format!("missing: {sample:?}")));
    differences
}

/// The tests run one after the other: what one mounts, all exporters see.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn compare(flags: &[&str], at_least: usize) {
    let Some(reference) = program("prometheus-node-exporter") else { return };
    let mut all = vec!["--collector.disable-defaults".to_owned()];
    if !flags.iter().any(|flag| flag.contains("mount-points")) {
        all.push(POINTS.to_owned());
    }
    all.extend(COLLECTORS.iter().map(|name| format!("--collector.{name}")));
    all.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let address = http::free_address();
    let mut command = Command::new(reference);
    command.args(&all).arg("--web.disable-exporter-metrics").arg(format!("--web.listen-address={address}"));
    let reference = Running::start(&mut command);
    let scrape = || Page::parse(&http::get(address, "/metrics").unwrap().text());
    let up = until(Duration::from_secs(20), || http::get(address, "/").is_ok());
    assert!(up, "the reference did not start: {}", reference.said());
    let mut ours: Vec<&str> = all.iter().map(String::as_str).collect();
    ours.extend(["--ebpf=off", "--no-container", "--docker=", "--scrape.share=0"]);
    let exporter = Exporter::start(&ours);
    let mut last = Vec::new();
    for _ in 0..ATTEMPTS {
        let (before, page, after) = (scrape(), exporter.page(), scrape());
        last = differences(&before, &page, &after);
        let count = series(&page).len();
        assert!(count >= at_least, "{count} series are too few to mean much");
        if last.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{flags:?}: {last:#?}\n{}\n{}", exporter.process.said(), reference.said());
}

#[test]
fn the_defaults_are_the_reference_s() {
    let _alone = alone();
    compare(&[], 500);
}

#[test]
fn every_flag_that_adds_does_as_the_reference() {
    let _alone = alone();
    compare(
        &[
            "--collector.network_route",
            "--collector.qdisc",
            "--collector.tcpstat",
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
    compare(&["--collector.netdev.enable-detailed-metrics", "--no-collector.cpu.guest"], 500);
}

#[test]
fn the_file_s_counters_are_the_reference_s() {
    let _alone = alone();
    compare(&["--no-collector.netdev.netlink", "--collector.netdev.label-ifalias"], 500);
}

#[test]
fn the_file_s_counters_in_detail_are_the_reference_s() {
    let _alone = alone();
    compare(
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
    let flags = ["--collector.netdev.address-info", "--collector.netdev.label-ifalias", &procfs];
    compare(&flags, 240 + 6 * 9);
    compare(&[flags[0], "--collector.netdev.device-exclude=^lo$", &procfs], 240 + 6 * 9);
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
    compare(&[&rootfs, "--collector.filesystem.fs-types-exclude=^autofs$"], 500);
}
