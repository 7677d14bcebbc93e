//! What containers do with block devices: made-up trees by value, and this machine's own kernel by bytes that are known.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test fails by panicking; whole numbers are compared"
)]

mod container_support;

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use container_support::{settings, tree::Tree};
use exporter::{config::ContainerSettings, container::Groups};
use tests::{
    cgroup::Cgroup,
    disk::{LoopDevice, diskstats},
    exporter::Exporter,
    live,
    page::Page,
    running::until,
};

const DISKSTATS: &str = "   8       0 sda 100 2 300 4000 500 6 700 8000 9 10000 11000 0 0 0 0 0 0\n   \
    8       1 sda1 11 12 13 14 15 16 17 18 19 20 21\n 259       0 nvme0n1 31 32 33 34 35 36 37 38 39 40 41\n 253       \
    0 dm-0 51 52 53 54 55 56 57 58 59 60 61\n   7       0 loop0 1 1 1 1 1 1 1 1 1 1 1\n";
const MOUNTINFO: &str = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n22 21 8:1 /x /bound rw - ext4 /dev/sda1 rw\n\
    23 21 259:0 / /data rw - xfs /dev/nvme0n1 rw\n24 21 253:0 / /a\\040b rw - ext4 /dev/mapper/vg-a\\040b rw\n\
    25 21 0:40 / /tmp rw - tmpfs tmpfs rw\n26 21 0:50 / /b rw - btrfs /dev/loop0 rw\n\
    27 21 8:99 / /gone rw - ext4 /dev/sdz rw\n";

/// The rows of a family for a cgroup, each as its other labels' values in the order of their names.
fn rows(page: &Page, family: &str, id: &str) -> BTreeMap<String, f64> {
    page.matching(family, &[("id", id)])
        .map(|row| {
            let labels = row.labels.iter().filter(|(name, _)| *name != "id");
            let labels: Vec<_> = labels.map(|(_, value)| value.as_str()).collect();
            (labels.join(" "), row.value)
        })
        .collect()
}

/// Each line `family value of device, ...`: these rows and no others.
#[track_caller]
fn has(page: &Page, id: &str, lines: &[(&str, &[(&str, f64)])]) {
    for (family, expected) in lines {
        let expected: BTreeMap<_, _> =
            expected.iter().map(|(row, value)| ((*row).to_owned(), *value)).collect();
        assert_eq!(rows(page, family, id), expected, "{family} of {id}");
    }
}

fn with_host(tree: &Tree) {
    tree.write("proc", &[("diskstats", DISKSTATS)]);
    tree.write("proc/1", &[("mountinfo", MOUNTINFO)]);
}

const SDA: &str = "/dev/sda";
const NVME: &str = "/dev/nvme0n1";

#[test]
fn every_figure_of_version_2() {
    let tree = Tree::v2();
    with_host(&tree);
    tree.set_cpu("cgroup/a", 1);
    let stat = "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=512 dios=3 cost.vrate=100 cost.usage=1500000 \
        cost.wait=2500000 cost.indebt=500000 cost.indelay=750000\n259:0 rbytes=10 wbytes=20 rios=30 wios=40 dbytes=0 \
        dios=0\n99:1 rbytes=1 wbytes=2 rios=3 wios=4\n99:2 rbytes=5 wbytes=6 rios=7 wios=8\n";
    tree.write("cgroup/a", &[("io.stat", stat)]);
    tree.write("cgroup", &[("io.stat", "259:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n")]);
    let page = tree.half(&settings(), None).page();
    let [first, second] = ["/dev/block/99:1", "/dev/block/99:2"];
    has(
        &page,
        "/a",
        &[
            ("container_fs_reads_bytes_total", &[(SDA, 4096.0), (NVME, 10.0), (first, 1.0), (second, 5.0)]),
            ("container_fs_writes_bytes_total", &[(SDA, 8192.0), (NVME, 20.0), (first, 2.0), (second, 6.0)]),
            ("container_fs_reads_total", &[(SDA, 1.0), (NVME, 30.0), (first, 3.0), (second, 7.0)]),
            ("container_fs_writes_total", &[(SDA, 2.0), (NVME, 40.0), (first, 4.0), (second, 8.0)]),
            ("container_fs_io_cost_usage_seconds_total", &[(SDA, 1.5)]),
            ("container_fs_io_cost_wait_seconds_total", &[(SDA, 2.5)]),
            ("container_fs_io_cost_indebt_seconds_total", &[(SDA, 0.5)]),
            ("container_fs_io_cost_indelay_seconds_total", &[(SDA, 0.75)]),
            ("container_fs_discards_bytes_total", &[(SDA, 512.0), (NVME, 0.0)]),
            ("container_fs_discards_total", &[(SDA, 3.0), (NVME, 0.0)]),
            ("container_fs_sector_reads_total", &[]),
            ("container_fs_reads_merged_total", &[]),
            ("container_fs_read_seconds_total", &[]),
            ("container_fs_io_time_seconds_total", &[]),
            ("container_fs_io_time_weighted_seconds_total", &[]),
            ("container_fs_io_current", &[]),
            (
                "container_blkio_device_usage_total",
                &[
                    ("/dev/sda 8 0 Read", 4096.0),
                    ("/dev/sda 8 0 Write", 8192.0),
                    ("/dev/nvme0n1 259 0 Read", 10.0),
                    ("/dev/nvme0n1 259 0 Write", 20.0),
                    ("/dev/block/99:1 99 1 Read", 1.0),
                    ("/dev/block/99:1 99 1 Write", 2.0),
                    ("/dev/block/99:2 99 2 Read", 5.0),
                    ("/dev/block/99:2 99 2 Write", 6.0),
                ],
            ),
        ],
    );
    // The host's file systems, each device once; where the cgroup's file tells it is that which counts.
    let [part, mapped, plain] = ["/dev/sda1", "/dev/mapper/vg-a b", "/dev/loop0"];
    let with =
        |first, second, third, fourth| [(part, first), (NVME, second), (mapped, third), (plain, fourth)];
    has(
        &page,
        "/",
        &[
            ("container_fs_reads_bytes_total", &[(NVME, 1.0)]),
            ("container_fs_reads_total", &with(11.0, 3.0, 51.0, 1.0)),
            ("container_fs_reads_merged_total", &with(12.0, 32.0, 52.0, 1.0)),
            ("container_fs_sector_reads_total", &with(13.0, 33.0, 53.0, 1.0)),
            ("container_fs_read_seconds_total", &with(0.014, 0.034, 0.054, 0.001)),
            ("container_fs_writes_total", &with(15.0, 4.0, 55.0, 1.0)),
            ("container_fs_writes_merged_total", &with(16.0, 36.0, 56.0, 1.0)),
            ("container_fs_sector_writes_total", &with(17.0, 37.0, 57.0, 1.0)),
            ("container_fs_write_seconds_total", &with(0.018, 0.038, 0.058, 0.001)),
            ("container_fs_io_current", &with(19.0, 39.0, 59.0, 1.0)),
            ("container_fs_io_time_seconds_total", &with(0.02, 0.04, 0.06, 0.001)),
            ("container_fs_io_time_weighted_seconds_total", &with(0.021, 0.041, 0.061, 0.001)),
            (
                "container_blkio_device_usage_total",
                &[("/dev/nvme0n1 259 0 Read", 1.0), ("/dev/nvme0n1 259 0 Write", 2.0)],
            ),
        ],
    );
}

fn bytes(device: &str, read: u64, write: u64) -> String {
    let total = read + write + 7;
    [("Read", read), ("Write", write), ("Sync", 3), ("Async", 4), ("Discard", 7), ("Total", total)]
        .map(|(operation, value)| format!("{device} {operation} {value}\n"))
        .concat()
}

fn operations(device: &str, read: u64, write: u64) -> String {
    [("Read", read), ("Write", write), ("Total", read + write)]
        .map(|(operation, value)| format!("{device} {operation} {value}\n"))
        .concat()
}

#[test]
fn version_1_shows_of_each_disk_the_count_that_saw_most() {
    let tree = Tree::v1();
    with_host(&tree);
    tree.write("memory/a", &[("memory.usage_in_bytes", "1\n"), ("memory.stat", "total_rss 1\n")]);
    let throttle = bytes("8:0", 100, 200) + &bytes("259:0", 10, 20) + "Total 344\n";
    let bfq = bytes("8:0", 90, 200) + &bytes("7:0", 5, 6);
    for folder in ["blkio", "blkio/a"] {
        tree.write(
            folder,
            &[
                ("blkio.throttle.io_service_bytes_recursive", &throttle),
                (
                    "blkio.throttle.io_serviced_recursive",
                    &(operations("8:0", 1, 2) + &operations("259:0", 3, 4)),
                ),
                ("blkio.bfq.io_service_bytes_recursive", &bfq),
                ("blkio.bfq.io_serviced_recursive", &(operations("8:0", 5, 6) + &operations("7:0", 7, 8))),
                ("blkio.bfq.io_merged_recursive", &operations("8:0", 9, 10)),
                ("blkio.bfq.io_service_time_recursive", &operations("8:0", 1_500_000_000, 500_000_000)),
                ("blkio.bfq.io_queued_recursive", &operations("8:0", 1, 2)),
                // CFQ's are empty: no disk is scheduled by it.
                ("blkio.io_service_bytes_recursive", "Total 0\n"),
            ],
        );
    }
    let mut half = tree.half(&settings(), None);
    let page = half.page();
    let loop0 = "/dev/loop0";
    has(
        &page,
        "/a",
        &[
            ("container_fs_reads_bytes_total", &[(SDA, 100.0), (NVME, 10.0), (loop0, 5.0)]),
            ("container_fs_writes_bytes_total", &[(SDA, 200.0), (NVME, 20.0), (loop0, 6.0)]),
            ("container_fs_reads_total", &[(SDA, 1.0), (NVME, 3.0), (loop0, 7.0)]),
            ("container_fs_writes_total", &[(SDA, 2.0), (NVME, 4.0), (loop0, 8.0)]),
            ("container_fs_reads_merged_total", &[(SDA, 9.0)]),
            ("container_fs_writes_merged_total", &[(SDA, 10.0)]),
            ("container_fs_read_seconds_total", &[(SDA, 1.5)]),
            ("container_fs_write_seconds_total", &[(SDA, 0.5)]),
            ("container_fs_io_time_seconds_total", &[(SDA, 2.0)]),
            ("container_fs_io_current", &[(SDA, 3.0)]),
            ("container_fs_sector_reads_total", &[]),
            ("container_fs_io_time_weighted_seconds_total", &[]),
            ("container_fs_discards_bytes_total", &[]),
        ],
    );
    let usage = rows(&page, "container_blkio_device_usage_total", "/a");
    for (row, value) in [
        ("/dev/sda 8 0 Read", 100.0),
        ("/dev/sda 8 0 Write", 200.0),
        ("/dev/sda 8 0 Sync", 3.0),
        ("/dev/sda 8 0 Async", 4.0),
        ("/dev/sda 8 0 Discard", 7.0),
        ("/dev/sda 8 0 Total", 307.0),
    ] {
        assert_eq!(usage[row], value, "{row}");
    }
    assert_eq!(usage.len(), 18, "{usage:?}");

    // The scheduler was changed: its lines are gone, and no count falls.
    for folder in ["blkio", "blkio/a"] {
        tree.write(folder, &[("blkio.bfq.io_service_bytes_recursive", "Total 0\n")]);
        tree.write(folder, &[("blkio.throttle.io_service_bytes_recursive", &bytes("8:0", 60, 250))]);
    }
    has(
        &half.page(),
        "/a",
        &[
            ("container_fs_reads_bytes_total", &[(SDA, 100.0), (NVME, 10.0), (loop0, 5.0)]),
            ("container_fs_writes_bytes_total", &[(SDA, 250.0), (NVME, 20.0), (loop0, 6.0)]),
            ("container_fs_io_current", &[]),
        ],
    );
}

#[test]
fn a_count_of_a_cgroup_alone_serves_where_there_is_no_other() {
    let tree = Tree::v1();
    with_host(&tree);
    tree.write("memory/a", &[("memory.usage_in_bytes", "1\n"), ("memory.stat", "total_rss 1\n")]);
    for folder in ["blkio", "blkio/a"] {
        tree.write(folder, &[("blkio.throttle.io_service_bytes", &bytes("8:0", 1, 2))]);
        tree.write(folder, &[("blkio.throttle.io_serviced", &operations("8:0", 3, 4))]);
    }
    let page = tree.half(&settings(), None).page();
    has(&page, "/a", &[("container_fs_reads_bytes_total", &[(SDA, 1.0)])]);
    has(&page, "/a", &[("container_fs_writes_total", &[(SDA, 4.0)])]);
}

#[test]
fn another_disk_with_the_number_is_another_series() {
    let tree = Tree::v2();
    with_host(&tree);
    tree.set_cpu("cgroup/a", 1);
    let stat = |bytes: u64| tree.write("cgroup/a", &[("io.stat", &format!("8:0 rbytes={bytes} wbytes=0\n"))]);
    let list = |text: &str| tree.write("proc", &[("diskstats", text)]);
    let read = |expected: &[(&str, f64)], half: &mut container_support::Half| {
        has(&half.page(), "/a", &[("container_fs_reads_bytes_total", expected)]);
    };
    stat(100);
    let mut half = tree.half(&settings(), None);
    read(&[(SDA, 100.0)], &mut half);
    list("8 0 sdb 1 1 1 1 1 1 1 1 1 1 1\n");
    stat(30);
    read(&[("/dev/sdb", 30.0)], &mut half);
    // The first is back under another number, and begins anew: its series goes on.
    list("8 0 sdb 1 1 1 1 1 1 1 1 1 1 1\n8 16 sda 1 1 1 1 1 1 1 1 1 1 1\n");
    tree.write("cgroup/a", &[("io.stat", "8:0 rbytes=31\n8:16 rbytes=7\n")]);
    read(&[("/dev/sdb", 31.0), (SDA, 107.0)], &mut half);
    // The list cannot be read: what was known of it stays.
    fs::remove_file(tree.path().join("proc/diskstats")).unwrap();
    read(&[("/dev/sdb", 31.0), (SDA, 107.0)], &mut half);
}

#[test]
fn garbage_costs_its_own_rows() {
    let tree = Tree::v2();
    with_host(&tree);
    tree.set_cpu("cgroup/a", 7_000_000);
    tree.write(
        "cgroup/a",
        &[("io.stat", "8:0 rbytes=5 wbytes=x\n\u{fffd}=\n8:0 rbytes=900\n:: rbytes=1\n259:0 wby")],
    );
    let mut half = tree.half(&settings(), None);
    for _ in 0..2 {
        let page = half.page();
        has(&page, "/a", &[("container_fs_reads_bytes_total", &[(SDA, 5.0)])]);
        has(&page, "/a", &[("container_fs_writes_bytes_total", &[])]);
        has(&page, "/a", &[("container_cpu_user_seconds_total", &[("", 7.0)])]);
    }
}

#[test]
fn a_group_that_is_off_opens_nothing() {
    let tree = Tree::v2();
    with_host(&tree);
    tree.set_cpu("cgroup/a", 1);
    tree.write("cgroup/a", &[("io.stat", "8:0 rbytes=5\n")]);
    let disks = ["disk_io", "disk_discards"].map(|name| Groups::named(name).unwrap());
    let groups = disks.into_iter().fold(Groups::ALL, Groups::without);
    let mut half = tree.half(&ContainerSettings { groups, ..settings() }, None);
    half.page();
    let held =
        fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let held: Vec<_> = held.filter(|file| file.starts_with(tree.path())).collect();
    assert!(held.iter().any(|file| file.ends_with("cpu.stat")), "{held:?}");
    assert!(!held.iter().any(|file| file.ends_with("io.stat") || file.ends_with("mountinfo")), "{held:?}");
}

/// Since kernel 6.10 version 1 counts on a disk once anybody had a limit there.
fn begin_to_count(group: &Cgroup, number: &str) {
    let limit = group.dir("blkio").join("blkio.throttle.write_bps_device");
    if limit.exists() {
        fs::write(limit, format!("{number} 1000000000000\n")).unwrap();
    }
}

/// Direct I/O in the cgroup: so many blocks of 4 KiB.
fn transfer(group: &Cgroup, from: &str, to: &str, blocks: u32) {
    let mut dd = Command::new("dd");
    dd.args([&format!("if={from}"), &format!("of={to}"), "bs=4k", &format!("count={blocks}")]);
    dd.arg(if from == "/dev/zero" { "oflag=direct" } else { "iflag=direct" });
    let mut running = group.start(&dd);
    let status = running.wait(Duration::from_secs(30)).unwrap();
    assert!(status.success(), "{}", running.said());
}

fn exporter() -> Exporter {
    Exporter::start(&[
        "--ebpf=off",
        "--scrape.share=0",
        "--docker=",
        "--containerd=",
        "--podman=",
        "--crio=",
        "--collector.disable-defaults",
    ])
}

const PAGE: &str = "/metrics?collect[]=container";

#[test]
fn direct_io_is_shown_to_the_byte_and_a_parent_keeps_its_dead_child_s() {
    if !live::root() {
        return;
    }
    let Some(disk) = LoopDevice::new(16 << 20) else { return };
    let group = Cgroup::new("disk");
    let child = group.child("inner");
    begin_to_count(&child, &disk.number());
    let exporter = exporter();
    transfer(&child, "/dev/zero", disk.path(), 50);
    transfer(&child, disk.path(), "/dev/null", 30);
    let page = exporter.page_of(PAGE);
    let (read, written) = (30.0 * 4096.0, 50.0 * 4096.0);
    let number = disk.number().replace(':', " ");
    let on_disk = |operation: &str| format!("{} {number} {operation}", disk.path());
    // The programs that are started there are read from a disk that may be counted too.
    let of_disk = |page: &Page, id: &str, family: &str| {
        rows(page, &format!("container_fs_{family}_total"), id).get(disk.path()).copied()
    };
    for id in [group.path(), child.path()] {
        for (family, value) in
            [("reads_bytes", read), ("writes_bytes", written), ("reads", 30.0), ("writes", 50.0)]
        {
            assert_eq!(of_disk(&page, id, family), Some(value), "{family} of {id}");
        }
        let usage = rows(&page, "container_blkio_device_usage_total", id);
        assert_eq!(usage[&on_disk("Read")], read);
        assert_eq!(usage[&on_disk("Write")], written);
        if let Some(total) = usage.get(&on_disk("Total")) {
            assert_eq!(*total, read + written);
            assert_eq!(usage[&on_disk("Sync")] + usage[&on_disk("Async")], read + written);
        } else {
            assert_eq!(usage.keys().filter(|row| row.starts_with(disk.path())).count(), 2, "{usage:?}");
        }
    }

    // Version 1 forgets what the child did, some time after its death.
    drop(child);
    let gone = format!("{}/inner", group.path());
    let dies = || exporter.page_of(PAGE).value("container_last_seen", &[("id", &gone)]).is_none();
    assert!(until(Duration::from_secs(10), dies));
    let later = group.child("later");
    let written_now = || {
        transfer(&later, "/dev/zero", disk.path(), 5);
        let page = exporter.page_of(PAGE);
        assert_eq!(of_disk(&page, &gone, "reads"), Some(30.0));
        assert_eq!(of_disk(&page, group.path(), "reads"), Some(30.0));
        of_disk(&page, group.path(), "writes_bytes").unwrap()
    };
    let more = 5.0 * 4096.0;
    let first = written_now();
    assert!((written..=written + more).contains(&first), "{first}");
    assert_eq!(written_now(), first + more);
}

#[test]
fn the_root_shows_what_the_host_s_disks_do_while_they_are_mounted() {
    if !live::root() || !live::need("mkfs.ext4", Path::new("/usr/sbin/mkfs.ext4").exists()) {
        return;
    }
    let Some(mut disk) = LoopDevice::new(16 << 20) else { return };
    let exporter = exporter();
    let sectors =
        |page: &Page| page.value("container_fs_sector_writes_total", &[("id", "/"), ("device", disk.path())]);
    assert_eq!(sectors(&exporter.page_of(PAGE)), None, "not mounted");
    let (path, name) = (disk.path().to_owned(), disk.name().to_owned());
    let point = disk.mount();
    fs::write(point.join("file"), vec![1; 1 << 20]).unwrap();
    tests::running::output(Command::new("sync").arg("-f").arg(&point));
    let before = diskstats(&name);
    let page = exporter.page_of(PAGE);
    let after = diskstats(&name);
    for (family, column, unit) in [
        ("container_fs_sector_reads_total", 2, 1.0),
        ("container_fs_sector_writes_total", 6, 1.0),
        ("container_fs_write_seconds_total", 7, 1e-3),
        ("container_fs_io_time_seconds_total", 9, 1e-3),
        ("container_fs_io_time_weighted_seconds_total", 10, 1e-3),
    ] {
        let value =
            page.value(family, &[("id", "/"), ("device", &path)]).unwrap_or_else(|| panic!("{family}"));
        let bounds = [before[column] as f64 * unit, after[column] as f64 * unit];
        assert!(bounds[0] <= value + 1e-9 && value <= bounds[1] + 1e-9, "{family}: {value}, {bounds:?}");
    }
    assert!(before[6] >= 2_048, "a mebibyte was written: {before:?}");
    disk.unmount();
    let page = exporter.page_of(PAGE);
    assert_eq!(page.value("container_fs_sector_writes_total", &[("id", "/"), ("device", &path)]), None);
    let of_others = page.matching("container_fs_io_time_weighted_seconds_total", &[]);
    assert!(
        of_others.into_iter().all(|row| row.labels["id"] == "/"),
        "the host's figures are the root's alone"
    );
}
