//! The collectors on the reference's own fixtures: every TYPE line and every sample as the reference has them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod node_support;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use exporter::{
    config::Paths,
    metric::{Family, Page},
    node,
};
use node_support::{build, lines, pack, paths, scrape};
use tests::{
    exporter::{Exporter, binary},
    http::free_address,
    live::need,
    pack::copy_with_links,
    temp::TempDir,
};

/// The pack with its links, on whatever disk it lies.
fn with_links(pack: &Path) -> TempDir {
    let copy = TempDir::new("pack");
    let links = copy_with_links(&pack.join("fixtures"), &copy.path().join("fixtures"));
    assert!(links >= 93, "{links} links are too few");
    copy
}

fn fixtures(pack: &Path) -> Paths {
    let fixtures = pack.join("fixtures");
    let rootfs = fixtures.to_str().unwrap().to_owned();
    paths(fixtures.join("proc"), fixtures.join("sys"), &rootfs, fixtures.join("udev/data"))
}

/// All of ours but filesystem, swap, timex and uname, which the reference's run leaves out too.
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
    "dmmultipath",
    "drbd",
    "edac",
    "entropy",
    "fibrechannel",
    "filefd",
    "hwmon",
    "infiniband",
    "interrupts",
    "ipvs",
    "kernel_hung",
    "ksmd",
    "lnstat",
    "loadavg",
    "mdadm",
    "meminfo",
    "meminfo_numa",
    "mountstats",
    "netclass",
    "netdev",
    "netstat",
    "nfs",
    "nfsd",
    "nvme",
    "os",
    "pcidevice",
    "powersupplyclass",
    "pressure",
    "processes",
    "rapl",
    "schedstat",
    "slabinfo",
    "sockstat",
    "softirqs",
    "softnet",
    "stat",
    "sysctl",
    "tapestats",
    "thermal_zone",
    "time",
    "udp_queues",
    "vmstat",
    "watchdog",
    "xfrm",
    "xfs",
    "zfs",
    "zoneinfo",
];
/// The flags of the reference's run that concern them.
const FLAGS: &[&str] = &[
    "--no-collector.arp.netlink",
    "--collector.arp.device-exclude=nope",
    "--collector.bcache.priorityStats",
    "--collector.netclass.ignore-invalid-speed",
    "--collector.netclass.ignored-devices=(dmz|int)",
    "--collector.hwmon.chip-include=(applesmc|asus_nb_wmi|coretemp|hwmon4|ieee80211|nct6779)",
    "--collector.netdev.device-include=lo",
    "--collector.stat.softirq",
    "--collector.sysctl.include-info=kernel.seccomp.actions_avail",
    "--collector.sysctl.include=fs.file-nr",
    "--collector.sysctl.include=fs.file-nr:total,current,max",
    "--collector.sysctl.include=kernel.threads-max",
];
const INFO_FLAGS: [&str; 3] = [
    "--collector.cpu.info",
    "--collector.cpu.info.bugs-include=^(cpu_meltdown|spectre_.*|mds)$",
    "--collector.cpu.info.flags-include=^(aes|avx.?|constant_tsc)$",
];

/// Counters of the real loopback and the time, which the reference leaves out of the comparison as well.
fn is_left_out(line: &str) -> bool {
    let names = [
        "node_network_receive_bytes_total",
        "node_network_receive_packets_total",
        "node_network_transmit_bytes_total",
        "node_network_transmit_packets_total",
        "node_time_seconds",
        "node_time_zone_offset_seconds",
    ];
    names.iter().any(|name| line.starts_with(name))
}

/// The family of a TYPE line or sample.
fn family(line: &str) -> &str {
    line.strip_prefix("# TYPE ").unwrap_or(line).split(['{', ' ']).next().unwrap()
}

fn compare(pack: &Path, expected: &str, flags: &[&str], at_least: usize) {
    let ours: Vec<&Family> = node::COLLECTORS
        .iter()
        .filter(|known| COLLECTORS.contains(&known.name))
        .flat_map(|known| known.families.iter().copied())
        .collect();
    let expected = std::fs::read(pack.join("fixtures").join(expected)).unwrap();
    let expected = String::from_utf8_lossy(&expected);
    let wanted: Vec<&str> = lines(&expected)
        .into_iter()
        .filter(|line| ours.iter().any(|known| known.covers(family(line))) && !is_left_out(line))
        .collect();
    assert!(wanted.len() >= at_least, "{} lines are too few to mean much", wanted.len());
    let mut collectors = build(&fixtures(pack), COLLECTORS, flags);
    // Where the pack lay in the reference's run; some labels say it.
    let place = pack.join("fixtures").to_str().unwrap().to_owned();
    // The second scrape finds everything as the first did.
    for _ in 0..2 {
        let text = scrape(&mut collectors).replace(&place, "collector/fixtures");
        let given: Vec<&str> = lines(&text).into_iter().filter(|line| !is_left_out(line)).collect();
        let missing: Vec<_> = wanted.iter().filter(|line| !given.contains(line)).collect();
        let foreign: Vec<_> = given.iter().filter(|line| !wanted.contains(line)).collect();
        assert!(missing.is_empty() && foreign.is_empty(), "missing: {missing:#?}\nforeign: {foreign:#?}");
    }
}

#[test]
fn every_line_is_the_reference_s() {
    let Some(pack) = pack() else { return };
    if !need("a loopback without errors", loopback_is_clean()) {
        return;
    }
    let copy = with_links(&pack);
    let pack = copy.path();
    compare(pack, "e2e-output.txt", &[FLAGS, &INFO_FLAGS].concat(), 4069);
    compare(pack, "e2e-64k-page-output.txt", FLAGS, 4041);
}

/// What the reference's run turns on and off by name; wifi and qdisc took their answers from flags that we do not have.
const ON: &str = "arp bcache bcachefs bonding btrfs buddyinfo cgroups conntrack cpu cpufreq cpu_vulnerabilities diskstats \
    dmi drbd edac entropy fibrechannel filefd hwmon infiniband interrupts ipvs kernel_hung ksmd lnstat loadavg mdadm \
    meminfo meminfo_numa mountstats netdev netstat nfs nfsd pcidevice pressure processes rapl schedstat slabinfo \
    sockstat softirqs stat sysctl textfile thermal_zone udp_queues vmstat watchdog xfrm xfs zfs zoneinfo";
const OFF: &str = "selinux filesystem timex uname";
/// Of the process, of the program, of its own parts; the reference's run leaves the first four out as well.
const NOT_COMPARED: &[&str] = &[
    "go_",
    "process_",
    "node_exporter_build_info",
    "node_scrape_collector_duration_seconds",
    "node_textfile_mtime_seconds",
    "promhttp_",
    "nodetally_",
    "node_wifi_",
    "node_qdisc_",
    "node_scrape_collector_success{collector=\"wifi\"}",
    "node_scrape_collector_success{collector=\"qdisc\"}",
];

/// The whole page of the program, started as the reference was.
#[test]
fn the_program_s_page_is_the_reference_s() {
    let Some(pack) = pack() else { return };
    if !need("a loopback without errors", loopback_is_clean()) {
        return;
    }
    let copy = TempDir::new("pack");
    copy_with_links(&pack.join("fixtures"), &copy.path().join("collector/fixtures"));
    let expected = std::fs::read(pack.join("fixtures/e2e-output.txt")).unwrap();
    let mut command = Command::new(binary());
    command.current_dir(copy.path()).args(FLAGS).args(INFO_FLAGS);
    for (flag, place) in [("rootfs", ""), ("procfs", "/proc"), ("sysfs", "/sys"), ("udev.data", "/udev/data")]
    {
        command.arg(format!("--path.{flag}=collector/fixtures{place}"));
    }
    command.args(ON.split_whitespace().map(|name| format!("--collector.{name}")));
    command.args(OFF.split_whitespace().map(|name| format!("--no-collector.{name}")));
    command.arg("--collector.textfile.directory=collector/fixtures/textfile/two_metric_files/");
    command.args(["--ebpf=off", "--no-container", "--docker="]);
    let exporter = Exporter::start_with(free_address(), &mut command);

    let is_compared = |line: &&str| {
        let name = line.strip_prefix("# TYPE ").unwrap_or(line);
        !is_left_out(name) && !NOT_COMPARED.iter().any(|start| name.starts_with(start))
    };
    let expected = String::from_utf8_lossy(&expected);
    let wanted: Vec<&str> = lines(&expected).into_iter().filter(is_compared).collect();
    assert!(wanted.len() >= 4130, "{} lines are too few to mean much", wanted.len());
    for _ in 0..2 {
        let page = String::from_utf8(exporter.get("/metrics").body).expect("a page is UTF-8");
        let given: Vec<&str> = lines(&page).into_iter().filter(is_compared).collect();
        let missing: Vec<_> = wanted.iter().filter(|line| !given.contains(line)).collect();
        let foreign: Vec<_> = given.iter().filter(|line| !wanted.contains(line)).collect();
        assert!(missing.is_empty() && foreign.is_empty(), "missing: {missing:#?}\nforeign: {foreign:#?}");
        assert_eq!(given.len(), wanted.len());
    }
}

#[test]
fn pci_names_are_the_reference_s() {
    let Some(pack) = pack() else { return };
    let copy = with_links(&pack);
    let file = pack.join("fixtures/pci.ids");
    let flags = ["--collector.pcidevice.names", &format!("--collector.pcidevice.idsfile={}", file.display())];
    let text = scrape(&mut build(&fixtures(copy.path()), &["pcidevice"], &flags));
    let expected = std::fs::read_to_string(pack.join("fixtures/pcidevice-names-output.txt")).unwrap();
    let is_data = |line: &&str| !line.starts_with('#') || line.starts_with("# TYPE ");
    let wanted: Vec<&str> = lines(&expected).into_iter().filter(is_data).collect();
    assert!(wanted.len() >= 50, "{} lines are too few to mean much", wanted.len());
    assert_eq!(lines(&text), wanted);
}

/// The reference's run leaves this collector out, but its files are there.
#[test]
fn an_nvme_subsystem_has_its_paths() {
    let Some(pack) = pack() else { return };
    let text = scrape(&mut build(&fixtures(&pack), &["nvmesubsystem"], &[]));
    let page = tests::page::Page::parse(&text);
    let subsystem = ("subsystem", "nvme-subsys0");
    assert_eq!(page.value("node_nvmesubsystem_paths", &[subsystem]), Some(4.0));
    assert_eq!(page.value("node_nvmesubsystem_paths_live", &[subsystem]), Some(3.0));
    let info =
        [("iopolicy", "round-robin"), ("model", "Dell PowerStore"), ("serial", "SN12345678"), subsystem];
    assert_eq!(page.value("node_nvmesubsystem_info", &info), Some(1.0));
    let dead = [("controller", "nvme3"), ("state", "dead"), ("transport", "fc"), subsystem];
    assert_eq!(page.value("node_nvmesubsystem_path_state", &dead), Some(1.0));
    let device = [("device", "nvme0n1"), subsystem];
    assert_eq!(page.value("node_nvmesubsystem_namespace_info", &device), Some(1.0));
}

/// Other processors have other rows; the one of errors has one number for all.
#[test]
fn interrupts_of_another_architecture_are_read() {
    let Some(pack) = pack() else { return };
    let rows = std::fs::read_to_string(pack.join("fixtures/proc/interrupts_aarch64")).unwrap();
    let root = TempDir::new("interrupts");
    root.write("proc/interrupts", &rows);
    let paths = paths(root.path().join("proc"), "/sys".into(), "/", "/run/udev/data".into());
    let page = tests::page::Page::parse(&scrape(&mut build(&paths, &["interrupts"], &[])));
    let labels = [("cpu", "7"), ("type", "63"), ("info", "ITS-MSI"), ("devices", "81926 Edge eth0-Tx-Rx-5")];
    assert_eq!(page.value("node_interrupts_total", &labels), Some(1_997_799_253.0));
    let call = [("cpu", "0"), ("type", "IPI1")];
    assert_eq!(page.value("node_interrupts_total", &call), Some(357_815_098.0));
    let whole = rows.lines().skip(1).filter(|line| line.split_whitespace().count() > 8).count();
    assert_eq!(page.samples.len(), whole * 8);
}

/// The fixture wants 0 errors of the real loopback.
fn loopback_is_clean() -> bool {
    let text = std::fs::read_to_string("/proc/net/dev").unwrap();
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("lo:")).unwrap();
    let numbers: Vec<u64> = line.split_whitespace().map(|number| number.parse().unwrap()).collect();
    numbers.iter().enumerate().all(|(index, number)| *number == 0 || [0, 1, 8, 9].contains(&index))
}

/// The mounts of a run with a root that holds none of them, so that each is there as an error.
fn mount_points(procfs: PathBuf, rootfs: &str, flags: &[&str]) -> BTreeSet<(String, String, String)> {
    let paths = paths(procfs, "/sys".into(), rootfs, "/run/udev/data".into());
    let text = scrape(&mut build(&paths, &["filesystem"], flags));
    let page = tests::page::Page::parse(&text);
    let errors =
        page.matching("node_filesystem_device_error", &[("device_error", "no such file or directory")]);
    let found = errors.map(|sample| {
        assert!((sample.value - 1.0).abs() < f64::EPSILON);
        let label = |name: &str| sample.labels[name].clone();
        (label("mountpoint"), label("device"), label("fstype"))
    });
    found.collect()
}

fn point(point: &str, device: &str, fstype: &str) -> (String, String, String) {
    (point.to_owned(), device.to_owned(), fstype.to_owned())
}

const ALL_POINTS: &str = "--collector.filesystem.mount-points-exclude=^$";
const ALL_TYPES: &str = "--collector.filesystem.fs-types-exclude=^$";

#[test]
fn escaped_and_excluded_mounts_are_as_the_reference_has_them() {
    let Some(pack) = pack() else { return };
    let fixtures = pack.join("fixtures");
    let all = mount_points(fixtures.join("proc"), "/nonexistent", &[ALL_POINTS, ALL_TYPES]);
    let lines = std::fs::read_to_string(fixtures.join("proc/1/mountinfo")).unwrap().lines().count();
    assert_eq!(all.len(), lines, "no line is another's double");
    let volume = "bafb9e5a-8856-7e6c-699c-801844e77a4a/kubernetes-dynamic-pvc-3eba5bba-48a3-11e8-89ab-005056b92113.vmdk";
    let folder = "/var/lib/kubelet/plugins/kubernetes.io/vsphere-volume/mounts/[vsanDatastore]";
    for blank in [" ", "\t"] {
        let wanted = point(&format!("{folder}{blank}{volume}"), "/dev/sda", "ext4");
        assert!(all.contains(&wanted), "{wanted:?}");
    }
    let shown = mount_points(fixtures.join("proc"), "/nonexistent", &[]);
    assert!(shown.iter().all(|(point, _, fstype)| !point.starts_with("/proc/") && fstype != "sysfs"));
    assert!(
        shown.contains(&point("/boot", "/dev/sda3", "ext2"))
            && shown.contains(&point("/run", "tmpfs", "tmpfs"))
    );
}

#[test]
fn our_own_mounts_stand_in_for_a_hidden_first_process() {
    let Some(pack) = pack() else { return };
    let found = mount_points(pack.join("fixtures_hidepid/proc"), "/nonexistent", &[]);
    assert_eq!(found, BTreeSet::from([point("/", "/dev/nvme0n1p2", "ext4")]));
}

#[test]
fn mounts_bound_below_the_host_s_root_lose_its_prefix() {
    let Some(pack) = pack() else { return };
    let found = mount_points(pack.join("fixtures_bindmount/proc"), "/host", &[ALL_POINTS, ALL_TYPES]);
    let wanted = [
        point("/", "/dev/nvme1n0", "ext4"),
        point("/media/volume1", "/dev/nvme1n1", "ext4"),
        point("/media/volume2", "/dev/nvme1n2", "ext4"),
        point("/dev/shm", "tmpfs", "tmpfs"),
        point("/run/lock", "tmpfs", "tmpfs"),
        point("/sys/fs/cgroup", "cgroup2", "cgroup2"),
    ];
    assert_eq!(found, BTreeSet::from(wanted));
}

#[test]
fn load_balanced_backends_are_added_up_by_the_labels_kept() {
    let Some(pack) = pack() else { return };
    let cases: [(&str, &[&str]); 4] = [
        ("", &[]),
        ("_lbs_none", &["--collector.ipvs.backend-labels="]),
        ("_lbs_local_port", &["--collector.ipvs.backend-labels=local_port"]),
        ("_lbs_local_address_local_port", &["--collector.ipvs.backend-labels=local_port,local_address"]),
    ];
    for (suffix, flags) in cases {
        let expected = pack.join("fixtures").join(format!("ip_vs_result{suffix}.txt"));
        let expected = std::fs::read_to_string(expected).unwrap();
        let text = scrape(&mut build(&fixtures(&pack), &["ipvs"], flags));
        assert_eq!(lines(&text), lines(&expected), "{flags:?}");
    }
}

/// Every file below a folder, links left out.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// File systems, RAID and DRBD: each file cut off or followed by garbage is a page of whole lines or a failure.
#[test]
fn garbled_files_do_no_harm() {
    let Some(pack) = pack() else { return };
    let copy = TempDir::new("pack-garbled");
    let root = copy.path().join("fixtures");
    for folder in ["sys/fs", "sys/devices/pci0000:00/0000:00:0d.0", "proc/spl"] {
        copy_with_links(&pack.join("fixtures").join(folder), &root.join(folder));
    }
    for file in ["proc/mdstat", "proc/drbd"] {
        std::fs::copy(pack.join("fixtures").join(file), root.join(file)).unwrap();
    }
    let names = ["bcache", "bcachefs", "btrfs", "drbd", "mdadm", "xfs", "zfs"];
    let mut collectors = build(&fixtures(copy.path()), &names, &["--collector.bcache.priorityStats"]);
    let mut found = Vec::new();
    files(&root, &mut found);
    assert!(found.len() > 200, "{} files are too few", found.len());
    let mut failures = 0;
    for file in found {
        let whole = std::fs::read(&file).unwrap();
        for (end, tail) in [(whole.len() / 2, &b""[..]), (whole.len() / 3, b"\xff\n"), (0, b"-1\n"), (0, b"")]
        {
            std::fs::write(&file, [&whole[..end], tail].concat()).unwrap();
            let mut page = Page::default();
            failures += collectors.iter_mut().filter_map(|one| one.collect(&mut page).err()).count();
            assert_eq!(page.dropped(), 0);
            tests::page::Page::parse(str::from_utf8(page.text()).unwrap());
        }
        std::fs::write(&file, whole).unwrap();
    }
    assert!(failures > 200, "{failures} failures are too few");
}
