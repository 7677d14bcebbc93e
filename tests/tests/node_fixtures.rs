//! The collectors on a small root of our own: a golden page, changes between scrapes, and what the descriptors promise.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod node_support;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use exporter::{collector::Collector, config::Paths, metric::Page, node};
use node_support::{build, lines, paths, scrape};
use tests::temp::TempDir;

const COLLECTORS: &[&str] = &[
    "buddyinfo",
    "conntrack",
    "cpu",
    "diskstats",
    "entropy",
    "filefd",
    "filesystem",
    "interrupts",
    "lnstat",
    "loadavg",
    "meminfo",
    "netdev",
    "netstat",
    "pressure",
    "processes",
    "schedstat",
    "sockstat",
    "softirqs",
    "softnet",
    "stat",
    "swap",
    "sysctl",
    "udp_queues",
    "vmstat",
    "xfrm",
];
const FLAGS: &[&str] = &[
    "--no-collector.netdev.netlink",
    "--collector.netdev.label-ifalias",
    "--collector.stat.softirq",
    "--collector.cpu.info",
    "--collector.cpu.info.flags-include=^a",
    "--collector.cpu.info.bugs-include=mds",
    "--collector.sysctl.include=fs.file-nr",
    "--collector.sysctl.include=kernel.pid_max",
    "--collector.sysctl.include=fs.file-nr:open,spare,most",
    "--collector.sysctl.include-info=kernel.ostype",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/node")
}

fn roots(at: &Path) -> Paths {
    paths(at.join("proc"), at.join("sys"), "/nonexistent", at.join("udev"))
}

/// A copy of the fixtures that a test may change.
fn copy(tag: &str) -> TempDir {
    let copy = TempDir::new(tag);
    copy_folder(&fixtures(), copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// To write the page anew after a change that is meant, set `BLESS=1`; then read the difference before it is committed.
#[test]
fn the_page_is_the_golden_one() {
    let file = fixtures().join("page.txt");
    let mut collectors = build(&roots(&fixtures()), COLLECTORS, FLAGS);
    for _ in 0..2 {
        let page = scrape(&mut collectors);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &page).unwrap();
        }
        let golden = fs::read_to_string(&file).unwrap();
        let foreign: Vec<_> = page.lines().filter(|line| !golden.contains(line)).collect();
        let missing: Vec<_> = golden.lines().filter(|line| !page.contains(line)).collect();
        assert!(page == golden, "only in the page: {foreign:#?}\nonly in {}: {missing:#?}", file.display());
    }
}

#[test]
fn what_comes_and_goes_is_followed() {
    let root = copy("node");
    let names = ["cpu", "diskstats", "filesystem", "netdev"];
    let mut collectors = build(&roots(root.path()), &names, &["--no-collector.netdev.netlink"]);
    let before = tests::page::Page::parse(&scrape(&mut collectors));
    assert!(before.value("node_cpu_seconds_total", &[("cpu", "10")]).is_some());
    assert_eq!(before.value("node_disk_info", &[("device", "sda"), ("rotational", "1")]), Some(1.0));

    let change = |file: &str, from: &str, to: &str| {
        let path = root.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    };
    change("proc/stat", "cpu10 100 0 50 9999", "cpu2 100 0 50 9999");
    change("proc/stat", "cpu1 400 10 150 30001", "cpu1 399 11 150 29999");
    change("proc/diskstats", "   8      16 sdb", "   8      16 sdz");
    change("proc/net/dev", "  eth0:", "  eth1:");
    change("proc/1/mountinfo", "/run rw", "/new rw");
    change("sys/block/sda/queue/rotational", "1", "0");
    let after = tests::page::Page::parse(&scrape(&mut collectors));

    assert_eq!(after.matching("node_cpu_seconds_total", &[("cpu", "10")]).count(), 0);
    assert!(after.value("node_cpu_seconds_total", &[("cpu", "2")]).is_some());
    assert_eq!(after.value("node_cpu_seconds_total", &[("cpu", "1"), ("mode", "user")]), Some(4.0), "held");
    assert_eq!(after.value("node_cpu_seconds_total", &[("cpu", "1"), ("mode", "nice")]), Some(0.11));
    assert_eq!(after.value("node_disk_info", &[("device", "sda"), ("rotational", "0")]), Some(1.0));
    for (name, label, old, new) in [
        ("node_disk_reads_completed_total", "device", "sdb", "sdz"),
        ("node_network_receive_bytes_total", "device", "eth0", "eth1"),
        ("node_filesystem_device_error", "mountpoint", "/run", "/new"),
    ] {
        assert_eq!(before.matching(name, &[(label, old)]).count(), 1, "{name}");
        assert_eq!(after.matching(name, &[(label, old)]).count(), 0, "{name}");
        assert_eq!(after.matching(name, &[(label, new)]).count(), 1, "{name}");
    }
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files_below(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}

/// Every file cut off at every few bytes: a page of whole lines or a failure, never a panic or a series twice.
#[test]
fn half_written_files_do_no_harm() {
    let root = copy("node-cut");
    let mut files = vec![root.path().join("udev/b8:0")];
    files_below(&root.path().join("proc"), &mut files);
    assert!(files.len() > 35, "{files:#?}");
    for path in files {
        let mut collectors = build(&roots(root.path()), COLLECTORS, FLAGS);
        let whole = fs::read(&path).unwrap();
        for end in (0..whole.len()).step_by((whole.len() / 40).max(5)) {
            for tail in [&b""[..], b"\n", b"\xff", b" 99999999999999999999\n"] {
                fs::write(&path, [&whole[..end], tail].concat()).unwrap();
                let mut page = Page::default();
                for collector in &mut collectors {
                    let _ = collector.collect(&mut page);
                }
                assert_eq!(page.dropped(), 0);
                tests::page::Page::parse(str::from_utf8(page.text()).unwrap());
            }
        }
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_missing_or_senseless_file_is_a_failure_with_its_path() {
    let root = TempDir::new("node-empty");
    fs::create_dir_all(root.path().join("proc")).unwrap();
    let failure = |collector: &mut Box<dyn Collector>| {
        let mut page = Page::default();
        let failure = collector.collect(&mut page).expect_err("cannot succeed").to_string();
        assert!(page.text().is_empty());
        failure
    };
    for (name, file) in [
        ("cpu", "stat"),
        ("diskstats", "diskstats"),
        ("filesystem", "mountinfo"),
        ("loadavg", "loadavg"),
        ("buddyinfo", "buddyinfo"),
        ("conntrack", "sys/net/netfilter/nf_conntrack_count"),
        ("entropy", "sys/kernel/random/entropy_avail"),
        ("filefd", "sys/fs/file-nr"),
        ("meminfo", "meminfo"),
        ("netstat", "net/netstat"),
        ("pressure", "pressure/cpu"),
        ("softnet", "net/softnet_stat"),
        ("vmstat", "vmstat"),
        ("xfrm", "net/xfrm_stat"),
        ("netdev", "net/dev"),
        ("stat", "stat"),
    ] {
        let mut collectors = build(&roots(root.path()), &[name], &["--no-collector.netdev.netlink"]);
        let text = failure(&mut collectors[0]);
        assert!(text.contains(root.path().to_str().unwrap()) && text.contains(file), "{text}");
        if name != "netdev" {
            let path =
                if name == "filesystem" { "proc/1/mountinfo".to_owned() } else { format!("proc/{file}") };
            root.write(&path, "no sense\n");
            let text = failure(&mut collectors[0]);
            assert!(text.contains(file) && text.contains("expected"), "{text}");
            fs::remove_file(root.path().join(path)).unwrap();
        }
    }
}

/// The CPU's frequency, and the interfaces' counters, which netclass gives where a flag asks for them.
fn is_shared(family: &str) -> bool {
    let is_counter = family.starts_with("node_network_") && family.ends_with("_total");
    family == "node_cpu_frequency_hertz" || is_counter && !family.starts_with("node_network_carrier_")
}

#[test]
fn what_is_written_is_declared_and_declared_once() {
    let mut families = BTreeSet::new();
    for known in node::COLLECTORS {
        assert!(!known.families.is_empty(), "{}", known.name);
        for family in known.families {
            // Two collectors tell of some, as the reference has it; a page takes the first.
            let is_first = families.insert(family.name) || is_shared(family.name);
            assert!(is_first, "{} is declared twice", family.name);
            assert!(!family.help.contains(['\\', '\n']) && family.help.ends_with('.'), "{}", family.name);
            assert!(family.name.starts_with("node_"), "{}", family.name);
        }
        for flag in known.flags {
            // (The reference has two under other names.)
            let alias = match known.name {
                "qdisc" => "qdisk",
                "netclass" => "netclass_rtnl",
                name => name,
            };
            let own = [known.name, known.name.trim_end_matches("class"), alias];
            let is_own = own.iter().any(|name| flag.name.starts_with(&format!("collector.{name}.")));
            assert!(is_own, "--{} is not of {}", flag.name, known.name);
        }
    }
    let names: Vec<_> = node::COLLECTORS.iter().map(|known| known.name).collect();
    assert!(names.is_sorted() && names.len() >= 8, "{names:?}");
}

/// What adds families.
const ADDS: &[&[&str]] = &[
    FLAGS,
    &[
        "--collector.netdev.enable-detailed-metrics",
        "--collector.vmstat.fields=.*",
        "--collector.netstat.fields=.*",
    ],
    &["--collector.netdev.address-info", "--collector.stat.softirq", "--collector.rapl.enable-zone-label"],
    &["--collector.cpu.info", "--collector.pcidevice.names", "--collector.bcache.priorityStats"],
    &["--collector.mountstats", "--collector.netclass.netlink"],
];

/// By each collector, on our fixtures and on this machine; on the reference's fixtures, with garbage in them as well, by
/// `malformed.rs`.
#[test]
fn what_is_written_is_declared() {
    let here = || paths("/proc".into(), "/sys".into(), "/", "/run/udev/data".into());
    let mut written = 0;
    for (roots, flags) in ADDS.iter().flat_map(|flags| [(roots(&fixtures()), flags), (here(), flags)]) {
        for known in node::COLLECTORS {
            // Some find nothing among these files; what they write is held against the reference's.
            let mut page = Page::default();
            let _ = build(&roots, &[known.name], flags)[0].collect(&mut page);
            let text = str::from_utf8(page.text()).unwrap();
            for line in lines(text).into_iter().filter_map(|line| line.strip_prefix("# TYPE ")) {
                let (name, kind) = line.split_once(' ').unwrap();
                let mut declared = known.families.iter().filter(|family| family.covers(name));
                let is_declared = declared.any(|family| family.kind.word() == kind);
                assert!(is_declared, "{name} of type {kind} is not declared by {}", known.name);
                written += 1;
            }
        }
    }
    assert!(written > 2000, "{written} families mean little");
}
