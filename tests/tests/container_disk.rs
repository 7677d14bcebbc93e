//! Room on disks: the host's file systems as they come and go, and what the containers of a real Docker engine wrote.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod container_support;

use std::{
    fmt::Write,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use container_support::{Half, near, paths, settings};
use exporter::{
    config::{ContainerSettings, Paths},
    container::ContainerHalf,
    metric,
};
use tests::{
    cadvisor::Cadvisor,
    docker::Docker,
    exporter::{Exporter, binary},
    http::free_address,
    image::{BUSYBOX, import_busybox},
    live,
    page::Page,
    running::{output, until},
    temp::TempDir,
};

const MIB: f64 = 1_048_576.0;
const FAMILIES: [&str; 4] = [
    "container_fs_limit_bytes",
    "container_fs_usage_bytes",
    "container_fs_inodes_total",
    "container_fs_inodes_free",
];

fn often() -> ContainerSettings {
    ContainerSettings { layer_usage: Duration::from_millis(100), ..settings() }
}

// One test: an engine takes seconds to start, and one process has one.
#[test]
fn what_containers_of_a_real_engine_wrote() {
    let Some(docker) = Docker::start() else { return };
    import_busybox(&docker);
    let id = docker.container(&["--name", "writer", BUSYBOX, "sleep", "1000"]);
    let mut half = Half::with(&ContainerSettings { docker_socket: Some(docker.socket()), ..often() }, None);
    let writer = [("name", "writer")];
    assert!(half.comes("container_fs_usage_bytes", &writer));
    assert!(half.page().value("container_fs_usage_age_seconds", &writer).unwrap() < 60.0);
    grows_and_shrinks(&docker, &mut half);
    is_what_du_says(&docker, &id, &mut half);
    share_of_the_device(&mut half);
    beside_the_reference(&docker, &id, &mut half);
    a_layer_of_many(&docker, &mut half);

    docker.run(&["pause", "writer"]);
    let rows = |page: &Page| FAMILIES.map(|family| page.matching(family, &writer).count());
    assert_eq!(rows(&half.page()), [1; 4], "paused");
    docker.run(&["unpause", "writer"]);
    docker.run(&["restart", "-t", "0", "writer"]);
    assert!(half.comes("container_fs_usage_bytes", &writer), "started again");
    never(&docker);
    without_the_right_to_look(&docker);
    docker.run(&["rm", "-f", "writer"]);
    assert!(half.goes("container_fs_limit_bytes", &writer));
    assert_eq!(rows(&half.page()), [0; 4]);
}

fn usage(half: &mut Half) -> f64 {
    half.page().value("container_fs_usage_bytes", &[("name", "writer")]).unwrap()
}

#[track_caller]
fn becomes(half: &mut Half, expected: f64, why: &str) {
    // What a folder takes for its own list of names.
    let is = until(Duration::from_secs(20), || (usage(half) - expected).abs() <= 32_768.0);
    assert!(is, "{why}: {}, expected {expected}", usage(half));
}

fn grows_and_shrinks(docker: &Docker, half: &mut Half) {
    let sh = |script: &str| docker.run(&["exec", "writer", "sh", "-c", script]);
    let empty = usage(half);
    sh("dd if=/dev/zero of=/eight bs=1M count=8 2>/dev/null");
    becomes(half, empty + 8.0 * MIB, "8 MiB");
    sh("busybox mkdir -p /a/b; busybox ln /eight /a/b/again; busybox ln -s /eight /a/link");
    sh("busybox truncate -s 1G /a/sparse; dd if=/dev/zero of=/a/three bs=1M count=3 2>/dev/null");
    becomes(half, empty + 11.0 * MIB, "hard links, a symbolic one, a sparse file and 3 MiB");
    // What lies on another file system is not the layer's.
    sh("dd if=/dev/zero of=/dev/shm/five bs=1M count=5 2>/dev/null");
    sh("busybox rm /eight; busybox rm /a/b/again");
    becomes(half, empty + 3.0 * MIB, "without the 8 MiB");
    // The log is beside the layer.
    let noise =
        "i=0; while [ $i -lt 20000 ]; do echo 0123456789012345678901234567890123456789 $i; i=$((i+1)); done";
    docker.run(&["exec", "writer", "sh", "-c", &format!("({noise}) > /proc/1/fd/1")]);
    let logged = until(Duration::from_secs(20), || usage(half) > empty + 4.0 * MIB);
    assert!(logged, "its log: {}, was {empty}", usage(half));
}

/// Everything is written by now: to the byte.
fn is_what_du_says(docker: &Docker, id: &str, half: &mut Half) {
    let upper = docker.run(&["inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", id]);
    let log = PathBuf::from(docker.run(&["inspect", "-f", "{{.LogPath}}", id]));
    let du = |folder: &str| -> f64 {
        let said = output(Command::new("du").args(["-x", "-s", "--block-size=1", folder]));
        said.split('\t').next().unwrap().parse().unwrap()
    };
    let beside = log.parent().unwrap().to_str().unwrap();
    output(&mut Command::new("sync"));
    let (mut ours, mut said) = (0.0, 1.0);
    let same = until(Duration::from_secs(20), || {
        (ours, said) = (usage(half), du(&upper) + du(beside));
        (ours - said).abs() < 0.5
    });
    assert!(same, "{ours}, du says {said}");
}

/// The query of every dashboard: both sides have the same labels.
fn share_of_the_device(half: &mut Half) {
    let page = half.page();
    for labels in [("name", "writer"), ("id", "/")] {
        let filter = [labels];
        let limits: Vec<_> = page.matching("container_fs_limit_bytes", &filter).collect();
        assert!(!limits.is_empty());
        for limit in limits {
            let same: Vec<_> = page
                .matching("container_fs_usage_bytes", &filter)
                .filter(|usage| usage.labels == limit.labels)
                .collect();
            assert_eq!(same.len(), 1, "{:?}", limit.labels);
            assert!(same[0].value <= limit.value, "{:?}", limit.labels);
        }
    }
}

fn beside_the_reference(docker: &Docker, id: &str, half: &mut Half) {
    let Some(cadvisor) = Cadvisor::start(&docker.socket(), &[]) else { return };
    let path = format!("/docker/{id}");
    let theirs = cadvisor.page_with("container_fs_limit_bytes", &[&path, "/"]);
    let ours = half.page();
    let one = |page: &Page| -> (String, f64) {
        let filter = [("id", path.as_str())];
        let row = page.matching("container_fs_limit_bytes", &filter).next().unwrap();
        (row.labels["device"].clone(), row.value)
    };
    assert_eq!(one(&ours), one(&theirs), "device and limit of the container");
    let host = fs::read_to_string("/proc/1/mountinfo").unwrap();
    let rows = |page: &Page| -> Vec<(String, f64)> {
        let of_root = page.matching("container_fs_limit_bytes", &[("id", "/")]);
        let mut rows: Vec<_> = of_root.map(|row| (row.labels["device"].clone(), row.value)).collect();
        // Those of this process alone, as the reference is started by it, are not the host's.
        rows.retain(|(device, _)| host.contains(device));
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        rows
    };
    let (here, there) = (rows(&ours), rows(&theirs));
    assert!(!there.is_empty());
    for (device, limit) in there {
        let same = here.iter().find(|(name, _)| *name == device);
        near(same.unwrap_or_else(|| panic!("{device} is missing: {here:?}")).1, limit, 0.001, 0.0);
    }
    let counted = until(Duration::from_secs(90), || {
        let usage = cadvisor.page().value("container_fs_usage_bytes", &[("id", &path)]).unwrap_or(0.0);
        usage > 0.0 && (usage - self::usage(half)).abs() <= 65_536.0
    });
    assert!(
        counted,
        "the reference counts {:?}",
        cadvisor.page().value("container_fs_usage_bytes", &[("id", &path)])
    );
}

/// No layer is measured where nobody wants that.
fn never(docker: &Docker) {
    let none =
        ContainerSettings { layer_usage: Duration::ZERO, docker_socket: Some(docker.socket()), ..settings() };
    let mut half = Half::with(&none, None);
    assert!(half.comes("container_fs_limit_bytes", &[("name", "writer")]));
    std::thread::sleep(Duration::from_millis(200));
    let page = half.page();
    assert_eq!(page.value("container_fs_usage_bytes", &[("name", "writer")]), None);
    assert_eq!(page.value("container_fs_usage_age_seconds", &[("name", "writer")]), None);
    assert!(page.sum("container_fs_usage_bytes", &[("id", "/")]).is_some());
}

/// Another user's folder is closed to us: no figure in place of one without it.
fn without_the_right_to_look(docker: &Docker) {
    let closed = "busybox mkdir /x; busybox chown 1000 /x; busybox chmod 700 /x; sleep 1000";
    docker.container(&["--name", "closed", BUSYBOX, "sh", "-c", closed]);
    let mut command = Command::new("setpriv");
    let dropped = "-dac_read_search,-dac_override";
    command.arg(format!("--bounding-set={dropped}")).arg(format!("--inh-caps={dropped}")).arg(binary());
    let socket = format!("--docker=unix://{}", docker.socket().display());
    command.args([
        &socket,
        "--containerd=",
        "--ebpf=off",
        "--scrape.share=0",
        "--container.layer-usage=100ms",
    ]);
    let exporter = Exporter::start_with(free_address(), &mut command);
    let page = || exporter.page_of("/metrics?collect[]=container.disk");
    let said = || exporter.process.said().matches("CAP_DAC_READ_SEARCH").count();
    assert!(until(Duration::from_secs(20), || page()
        .value("container_fs_usage_bytes", &[("name", "writer")])
        .is_some()));
    assert!(
        until(Duration::from_secs(20), || {
            page();
            said() > 0
        }),
        "{}",
        exporter.process.said()
    );
    let page = page();
    assert!(page.value("container_fs_limit_bytes", &[("name", "closed")]).is_some());
    assert_eq!(page.value("container_fs_usage_bytes", &[("name", "closed")]), None);
    assert_eq!(said(), 1, "{}", exporter.process.said());
    docker.run(&["rm", "-f", "closed"]);
}

/// Whose options are too long for the kernel as whole paths: they are told from the layers' home on.
fn a_layer_of_many(docker: &Docker, half: &mut Half) {
    let build = TempDir::new("layers");
    let mut steps = format!("FROM {BUSYBOX}\n");
    for number in 0..90 {
        build.write(&number.to_string(), "x");
        writeln!(steps, "COPY {number} /").unwrap();
    }
    build.write("Dockerfile", steps);
    docker.run(&["build", "-q", "-t", "many", build.path().to_str().unwrap()]);
    docker.container(&[
        "--name",
        "many",
        "many",
        "sh",
        "-c",
        "dd if=/dev/zero of=/two bs=1M count=2; sleep 1000",
    ]);
    let usage = |half: &mut Half| half.page().value("container_fs_usage_bytes", &[("name", "many")]);
    let is = until(Duration::from_secs(10), || usage(half).is_some_and(|usage| usage >= 2.0 * MIB));
    assert!(is, "{:?}", usage(half));
    docker.run(&["rm", "-f", "many"]);
}

/// Whose root is a folder, copied for it.
#[test]
fn a_copied_root() {
    let Some(docker) = Docker::start_with(&["--storage-driver=vfs"]) else { return };
    import_busybox(&docker);
    docker.container(&["--name", "writer", BUSYBOX, "sleep", "1000"]);
    let mut half = Half::with(&ContainerSettings { docker_socket: Some(docker.socket()), ..often() }, None);
    assert!(half.comes("container_fs_usage_bytes", &[("name", "writer")]));
    let copied = usage(&mut half);
    assert!(copied > MIB, "the image: {copied}");
    docker.run(&["exec", "writer", "dd", "if=/dev/zero", "of=/two", "bs=1M", "count=2"]);
    becomes(&mut half, copied + 2.0 * MIB, "2 MiB");
}

/// What is mounted while this lives.
struct Mounted(PathBuf);

impl Mounted {
    fn new(arguments: &[&str], at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        output(Command::new("mount").args(arguments).arg(at));
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

/// The kernel's files about processes, in which this process is the first: it may have mounts of its own.
fn as_first_process(dir: &Path) -> PathBuf {
    let procfs = dir.join("proc");
    fs::create_dir(&procfs).unwrap();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes()[0].is_ascii_digit() {
            symlink(entry.path(), procfs.join(name)).unwrap();
        }
    }
    symlink(format!("/proc/{}", std::process::id()), procfs.join("1")).unwrap();
    procfs
}

#[test]
fn file_systems_come_and_go() {
    if !live::root() {
        return;
    }
    let dir = TempDir::new("disks");
    let paths = Paths { procfs: as_first_process(dir.path()), ..paths() };
    let half = ContainerHalf::start(&settings(), &paths, None, None).unwrap();
    let mut half = Half { half, page: metric::Page::default() };
    let root = half.page();
    assert!(root.matching("container_fs_limit_bytes", &[("id", "/")]).count() > 0);
    assert_eq!(root.matching("container_fs_usage_age_seconds", &[]).count(), 0);

    let (point, other) = (dir.path().join("a b"), dir.path().join("other"));
    let name = point.to_str().unwrap().to_owned();
    let row = [("id", "/"), ("device", name.as_str())];
    let mounted = Mounted::new(&["-t", "tmpfs", "-o", "size=4m,nr_inodes=100", "tmpfs"], &point);
    fs::write(point.join("x"), vec![1; 1 << 20]).unwrap();
    let page = half.page();
    let of = |page: &Page, row: &[(&str, &str)]| FAMILIES.map(|family| page.value(family, row));
    assert_eq!(of(&page, &row), [Some(4.0 * MIB), Some(MIB), Some(100.0), Some(98.0)]);
    fs::remove_file(point.join("x")).unwrap();
    assert_eq!(half.page().value("container_fs_usage_bytes", &row), Some(0.0));
    drop(mounted);
    assert_eq!(of(&half.page(), &row), [None; 4]);

    let image = dir.path().join("image");
    fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
    output(Command::new("mkfs.ext4").arg("-q").arg(&image));
    let first = Mounted::new(&["-o", "loop", image.to_str().unwrap()], &point);
    let device = output(Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(&point)).trim().to_owned();
    let row = [("id", "/"), ("device", device.as_str())];
    let again = Mounted::new(&[&device], &other);
    let page = half.page();
    assert_eq!(page.matching("container_fs_limit_bytes", &row).count(), 1, "one for two mounts");
    let told = rustix::fs::statvfs(&point).unwrap();
    let size = |blocks: u64| Some((blocks * told.f_frsize) as f64);
    let expected = [
        size(told.f_blocks),
        size(told.f_blocks - told.f_bfree),
        Some(told.f_files as f64),
        Some(told.f_ffree as f64),
    ];
    assert_eq!(of(&page, &row), expected);
    // Another one lies upon the first: its figures are not taken for the device's.
    let upon = Mounted::new(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], &point);
    assert_eq!(of(&half.page(), &row), expected);
    drop(again);
    assert_eq!(of(&half.page(), &row), [None; 4], "no path leads to it");
    drop((upon, first));
    assert_eq!(of(&half.page(), &row), [None; 4]);
}
