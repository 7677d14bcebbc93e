//! The reference's expected output from the same figures in files, and its trees of files read to the expected values.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance_support;
mod container_support;

use std::{fs, path::Path, time::SystemTime};

use conformance_support::{
    Pages, compare, expected, pack,
    rules::{CONTAINER, MACHINE},
    trees::{self, ID, PATH, PID},
};
use container_support::{settings, tree::Tree};
use exporter::{
    config::{ContainerSettings, Paths},
    container::{ContainerHalf, Groups},
    metric,
    source::runtime::Keep,
};
use tests::{page::Page, temp::TempDir};

/// The page of a tree whose container Docker names, with times.
fn named(tree: &Tree, keep: &Keep) -> Page {
    let socket = tree.path().join("docker.sock");
    let _engine = trees::engine(&socket, &[(ID, "testcontaineralias", PID)]);
    let keep = Keep { variables: vec!["FOO_ENV".to_owned(), "foo_env".to_owned()], ..keep.clone() };
    let settings = ContainerSettings {
        docker_socket: Some(socket),
        timestamps: true,
        keep,
        groups: Groups::ALL,
        ..settings()
    };
    let mut half = tree.half(&settings, None);
    assert!(half.comes("container_last_seen", &[("id", PATH), ("name", "testcontaineralias")]), "its name");
    assert!(half.comes("container_network_receive_bytes_total", &[("id", PATH)]), "its network");
    let milliseconds = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_millis()).unwrap()
    };
    let before = milliseconds();
    let page = half.page();
    let after = milliseconds();
    for time in page.samples.iter().filter_map(|sample| sample.timestamp) {
        assert!((before..=after).contains(&time), "{time} is not between {before} and {after}");
    }
    page
}

fn containers(keep: &Keep) -> Pages {
    let v1 = named(&trees::v1(), keep);
    Pages::from([
        ("the host's file systems", as_the_container(v1.clone())),
        ("v1", v1),
        ("v2", named(&trees::v2(), keep)),
        ("v2, other figures", named(&trees::v2_other(), keep)),
    ])
}

/// What the root's file systems do, as if they were the container's: the reference's test has them there.
fn as_the_container(mut page: Page) -> Page {
    let labels = page.matching("container_last_seen", &[("id", PATH)]).next().unwrap().labels.clone();
    page.samples.retain(|row| row.labels.get("id").is_some_and(|id| id == "/"));
    for row in &mut page.samples {
        row.labels.extend(labels.clone());
    }
    page
}

/// What is true of the moment alone: taken from ours.
fn at_the_time_of(mut expected: Page, ours: &Pages) -> Page {
    let seen = ours["v1"].value("container_last_seen", &[("id", PATH)]).unwrap();
    for sample in expected.samples.iter_mut().filter(|sample| sample.name == "container_last_seen") {
        sample.value = seen;
    }
    expected
}

#[test]
fn the_expected_page_of_a_container_is_reproduced() {
    let Some(pack) = pack() else { return };
    let ours = containers(&Keep::default());
    let expected = at_the_time_of(expected(&pack.join("metrics/prometheus_metrics")), &ours);
    assert!(expected.samples.len() >= 270, "{} rows are too few", expected.samples.len());
    let amiss = compare(&expected, &ours, &CONTAINER);
    assert!(amiss.is_empty(), "{amiss:#?}");
}

#[test]
fn the_expected_page_with_fewer_labels_is_reproduced() {
    let Some(pack) = pack() else { return };
    let ours = containers(&Keep { all: false, ..Keep::default() });
    let expected =
        at_the_time_of(expected(&pack.join("metrics/prometheus_metrics_whitelist_filtered")), &ours);
    assert!(expected.samples.len() >= 270, "{} rows are too few", expected.samples.len());
    let amiss = compare(&expected, &ours, &CONTAINER);
    assert!(amiss.is_empty(), "{amiss:#?}");
}

#[test]
fn the_expected_page_of_a_machine_is_reproduced() {
    let Some(pack) = pack() else { return };
    let page = |tree: &Tree| tree.half(&ContainerSettings { timestamps: true, ..settings() }, None).page();
    let ours = Pages::from([("machine", page(&trees::machine())), ("nodes", page(&trees::nodes()))]);
    let expected = expected(&pack.join("metrics/prometheus_machine_metrics"));
    assert!(expected.samples.len() >= 60, "{} rows are too few", expected.samples.len());
    let amiss = compare(&expected, &ours, &MACHINE);
    assert!(amiss.is_empty(), "{amiss:#?}");
}

#[test]
fn a_failure_is_told_as_expected() {
    let Some(pack) = pack() else { return };
    let nothing = TempDir::new("nothing");
    let at = |name: &str| nothing.path().join(name);
    let paths = Paths {
        procfs: at("proc"),
        sysfs: at("sys"),
        rootfs: nothing.path().to_owned(),
        udev_data: at("udev"),
    };
    let error = ContainerHalf::start(&settings(), &paths, None, None).unwrap_err();
    let mut page = metric::Page::default();
    error.write(&mut page);
    let ours = Page::parse(str::from_utf8(page.text()).unwrap());
    let theirs = expected(&pack.join("metrics/prometheus_metrics_failure"));
    assert_eq!((&ours.samples, &ours.types), (&theirs.samples, &theirs.types));

    let tree = Tree::v2();
    fs::remove_file(tree.path().join("proc/meminfo")).unwrap();
    let ours = tree.half(&settings(), None).page();
    let theirs = expected(&pack.join("metrics/prometheus_machine_metrics_failure"));
    let [sample] = &theirs.samples[..] else { panic!("{theirs:?}") };
    assert_eq!(ours.value(&sample.name, &[]), Some(sample.value));
    assert_eq!(ours.types.get(&sample.name), theirs.types.get(&sample.name));
}

/// Copies the files of a folder and those below.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target);
        } else {
            fs::write(target, fs::read(source).unwrap()).unwrap();
        }
    }
}

fn values(page: &Page, labels: &[(&str, &str)], expected: &[(&str, Option<f64>)]) {
    for (family, value) in expected {
        assert_eq!(page.value(family, labels), *value, "{family} {labels:?}");
    }
}

const LIMITED: &[(&str, Option<f64>)] = &[
    ("container_spec_memory_limit_bytes", Some(123_456_789.0)),
    ("container_spec_memory_swap_limit_bytes", Some(13_579.0)),
    ("container_spec_memory_reservation_limit_bytes", Some(24_680.0)),
    ("container_spec_cpu_period", Some(100_010.0)),
    ("container_spec_cpu_quota", Some(20_000.0)),
];

#[test]
fn limits_of_version_1_are_read() {
    let Some(pack) = pack() else { return };
    let tree = Tree::v1();
    for entry in fs::read_dir(pack.join("cgroup_spec/cgroup_v1/test1")).unwrap().map(Result::unwrap) {
        copy(&entry.path(), &tree.path().join(entry.file_name()).join("test1"));
    }
    let page = tree.half(&settings(), None).page();
    values(&page, &[("id", "/test1")], LIMITED);
    let more = [("container_spec_cpu_shares", Some(1025.0)), ("container_threads_max", Some(1027.0))];
    values(&page, &[("id", "/test1")], &more);
}

#[test]
fn limits_of_version_2_are_read() {
    let Some(pack) = pack() else { return };
    let tree = Tree::v2();
    copy(&pack.join("cgroup_spec/cgroup_v2"), &tree.path().join("cgroup"));
    let page = tree.half(&settings(), None).page();
    let shares = ("container_spec_cpu_shares", Some(1286.0));
    values(&page, &[("id", "/test1")], LIMITED);
    values(&page, &[("id", "/test1")], &[shares, ("container_threads_max", Some(1027.0))]);
    let unlimited = [
        ("container_threads_max", Some(0.0)),
        ("container_spec_memory_limit_bytes", Some(0.0)),
        ("container_spec_memory_swap_limit_bytes", Some(0.0)),
        ("container_spec_memory_reservation_limit_bytes", Some(0.0)),
        ("container_spec_cpu_period", Some(100_010.0)),
        ("container_spec_cpu_quota", None),
        shares,
    ];
    values(&page, &[("id", "/test2")], &unlimited);
}

/// One scrape of the tree's container, after this file of the pack took the place of one of its process.
fn with_file(tree: &Tree, pack: &Path, from: &str, to: &str) -> Page {
    let target = tree.path().join(format!("proc/{PID}/{to}"));
    fs::write(target, fs::read(pack.join(from)).unwrap()).unwrap();
    named(tree, &Keep::default())
}

#[test]
fn interfaces_are_read() {
    let Some(pack) = pack() else { return };
    let page = with_file(&trees::v2(), &pack, "libcontainer/procnetdev", "net/dev");
    for (interface, received, sent) in [
        ("wlp4s0", [1.0, 2.0, 3.0, 4.0], [9.0, 10.0, 11.0, 12.0]),
        ("em1", [315_849.0, 1_172.0, 0.0, 0.0], [315_850.0, 1_173.0, 0.0, 0.0]),
    ] {
        for (direction, figures) in [("receive", received), ("transmit", sent)] {
            for (figure, value) in ["bytes", "packets", "errors", "packets_dropped"].iter().zip(figures) {
                let family = format!("container_network_{direction}_{figure}_total");
                values(&page, &[("id", PATH), ("interface", interface)], &[(&family, Some(value))]);
            }
        }
    }
    let rows = page.matching("container_network_receive_bytes_total", &[("id", PATH)]).count();
    assert_eq!(rows, 2, "lo and docker0 are left out");
}

#[test]
fn the_limit_of_open_files_is_read() {
    let Some(pack) = pack() else { return };
    let page = with_file(&trees::v2(), &pack, "libcontainer/limits", "limits");
    let labels = [("id", PATH), ("ulimit", "max_open_files")];
    values(&page, &labels, &[("container_ulimits_soft", Some(1_073_741_816.0))]);
}

#[test]
fn sockets_of_udp_are_read() {
    let Some(pack) = pack() else { return };
    let page = with_file(&trees::v2(), &pack, "libcontainer/procnetudp", "net/udp");
    // The reference expects what waits to be sent as received, and the other way round.
    for (state, value) in [("listen", 2.0), ("dropped", 4.0), ("rxqueued", 11.0), ("txqueued", 10.0)] {
        let labels = [("id", PATH), ("udp_state", state)];
        values(&page, &labels, &[("container_network_udp_usage_total", Some(value))]);
    }
}

#[test]
fn referenced_memory_of_three_processes_is_summed() {
    let Some(pack) = pack() else { return };
    let tree = trees::v2();
    let group = tree.path().join("cgroup").join(PATH.trim_start_matches('/'));
    let mut pids = String::new();
    for number in ["4", "6", "8"] {
        let pid = format!("500000{number}");
        let text = fs::read_to_string(pack.join(format!("libcontainer/smaps{number}"))).unwrap();
        let cgroup = format!("0::{PATH}\n");
        tree.write(&format!("proc/{pid}"), &[("smaps", &text), ("cgroup", &cgroup)]);
        pids.extend([pid.as_str(), "\n"]);
    }
    fs::write(group.join("cgroup.procs"), pids).unwrap();
    values(
        &named(&tree, &Keep::default()),
        &[("id", PATH)],
        &[("container_referenced_bytes", Some(425_984.0))],
    );
}

#[test]
fn disks_are_read() {
    let Some(pack) = pack() else { return };
    let tree = trees::v1();
    fs::copy(pack.join("fs/diskstats"), tree.path().join("proc/diskstats")).unwrap();
    let page = tree.half(&settings(), None).page();
    for (device, figures) in
        [("/dev/sda1", [477.0, 3895.0, 0.419, 0.419]), ("/dev/sda2", [395.0, 3154.0, 0.328, 0.328])]
    {
        let names = ["reads_total", "sector_reads_total", "read_seconds_total", "io_time_seconds_total"];
        for (name, value) in names.iter().zip(figures) {
            let labels = [("id", "/"), ("device", device)];
            values(&page, &labels, &[(&format!("container_fs_{name}"), Some(value))]);
        }
    }
}

fn machine_of(pack: &Path, cpus: &str, online: &str) -> Page {
    let tree = Tree::v2();
    let folder = tree.path().join("sys/devices/system/cpu");
    copy(&pack.join("sysfs_cpu").join(cpus), &folder);
    fs::write(folder.join("online"), online).unwrap();
    tree.half(&settings(), None).page()
}

#[test]
fn processors_are_counted() {
    let Some(pack) = pack() else { return };
    for (cpus, online, cores, sockets) in
        [("testdata_rpi4", "0-3\n", 4.0, 1.0), ("testdata_xeon4214_2socket", "0-47\n", 24.0, 2.0)]
    {
        let page = machine_of(&pack, cpus, online);
        values(
            &page,
            &[],
            &[("machine_cpu_physical_cores", Some(cores)), ("machine_cpu_sockets", Some(sockets))],
        );
    }
}

#[test]
fn memory_modules_are_counted() {
    let Some(pack) = pack() else { return };
    let tree = Tree::v2();
    copy(&pack.join("machine/testdata/edac"), &tree.path().join("sys/devices/system/edac"));
    let page = tree.half(&settings(), None).page();
    for (kind, count, mebibytes) in [("Unbuffered-DDR4", 1.0, 789.0), ("Non-volatile-RAM", 2.0, 579.0)] {
        let labels = [("type", kind)];
        values(&page, &labels, &[("machine_dimm_count", Some(count))]);
        values(&page, &labels, &[("machine_dimm_capacity_bytes", Some(mebibytes * 1_048_576.0))]);
    }
}
