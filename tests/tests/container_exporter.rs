//! The whole exporter beside a real Docker engine, with the few capabilities that it keeps.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tests::{
    cgroup::Cgroup,
    docker::Docker,
    exporter::{self, Exporter},
    http,
    image::{BUSYBOX, import_busybox},
    live, load,
    running::{Signal, output, until},
    temp::TempDir,
};

#[test]
fn containers_have_names_and_networks_over_http() {
    let Some(docker) = Docker::start() else { return };
    import_busybox(&docker);
    docker.container(&["--name", "before", BUSYBOX, "sleep", "1000"]);
    let socket = format!("--docker=unix://{}", docker.socket().display());
    let mut exporter = Exporter::start(&[&socket]);
    let shown = |name: &str, labels: &[(&str, &str)]| {
        let there = until(Duration::from_secs(5), || {
            exporter.page_of("/metrics?collect[]=container").value(name, labels).is_some()
        });
        assert!(there, "{name} {labels:?}\n{}", exporter.process.said());
    };
    shown("container_network_receive_bytes_total", &[("name", "before"), ("interface", "eth0")]);
    docker.container(&["--name", "after", "-m", "32m", BUSYBOX, "sleep", "1000"]);
    docker.container(&["--name", "hosted", "--network", "host", BUSYBOX, "sleep", "1000"]);
    docker.container(&["--name", "alone", "--network", "none", BUSYBOX, "sleep", "1000"]);
    shown("container_network_receive_bytes_total", &[("name", "after"), ("interface", "eth0")]);
    shown("container_network_receive_bytes_total", &[("name", "hosted"), ("interface", "host")]);
    let pid = docker.run(&["inspect", "-f", "{{.State.Pid}}", "alone"]);
    let device = ["-t", &pid, "-n", "ip", "link", "add", "odd0", "type", "bridge"];
    output(Command::new("nsenter").args(device));
    shown("container_network_receive_bytes_total", &[("name", "alone"), ("interface", "odd0")]);

    let page = exporter.page_of("/metrics?collect[]=container.memory");
    let usage = page.value("container_memory_usage_bytes", &[("name", "after")]).unwrap();
    assert!(usage > 0.0 && page.value("container_last_seen", &[]).is_none(), "one group alone");

    assert!(!namespaces_held(exporter.process.pid()), "a namespace is held open");
    a_network_goes_with_its_container(&docker, &exporter);
    docker.run(&["rm", "-f", "after", "hosted", "alone", "before"]);
    exporter.process.signal(Signal::TERM);
    let ended = exporter.process.wait(Duration::from_secs(2));
    assert!(ended.is_some_and(|status| status.success()), "{}", exporter.process.said());
}

/// A device that was moved into a container goes when the container does, and with it its other end here: nobody keeps
/// the namespace alive, however often it is read.
fn a_network_goes_with_its_container(docker: &Docker, exporter: &Exporter) {
    let outside = format!("nt{}o", std::process::id());
    let ip = |arguments: &str| output(Command::new("ip").args(arguments.split(' ')));
    for round in 0..3 {
        let name = format!("moved-in-{round}");
        docker.container(&["--name", &name, "--network", "none", BUSYBOX, "sleep", "1000"]);
        let pid = docker.run(&["inspect", "-f", "{{.State.Pid}}", &name]);
        ip(&format!("link add {outside} type veth peer name inside netns {pid}"));
        let labels = [("name", name.as_str()), ("interface", "inside")];
        while_scraped(exporter, || {
            let page = || exporter.page_of("/metrics?collect[]=container");
            let shown = || page().value("container_network_receive_bytes_total", &labels).is_some();
            assert!(until(Duration::from_secs(5), shown), "{labels:?}");
            docker.run(&["rm", "-f", &name]);
            let folder = format!("/sys/class/net/{outside}");
            let is_gone = until(Duration::from_secs(10), || !Path::new(&folder).exists());
            assert!(is_gone, "its namespace is held");
        });
    }
}

#[test]
fn a_filesystem_that_is_reported_can_be_unmounted() {
    if !live::root() {
        return;
    }
    let folder = TempDir::new("mounted");
    let path = folder.path().display().to_string();
    let exporter = Exporter::start(&["--docker=", "--scrape.share=0"]);
    let labels = [("mountpoint", path.as_str())];
    let mount = || output(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs", &path]));
    let unmounts = || Command::new("umount").arg(&path).output().unwrap().status.success();
    let size = || exporter.page().value("node_filesystem_size_bytes", &labels);
    let mounted = Unmount(&path);
    for _ in 0..20 {
        mount();
        assert_eq!(size(), Some(1_048_576.0));
        assert!(unmounts(), "held between two scrapes");
        assert_eq!(size(), None);
    }
    // Amidst scrapes one may be asking for its space at that very moment.
    while_scraped(&exporter, || {
        for _ in 0..20 {
            mount();
            std::thread::sleep(Duration::from_millis(5));
            assert!(until(Duration::from_secs(5), unmounts), "it is never let go");
        }
    });
    drop(mounted);
}

/// Unmounts what a failed test left.
struct Unmount<'a>(&'a str);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--quiet", "--lazy", self.0]).output();
    }
}

/// Does something while two others scrape without a pause.
fn while_scraped(exporter: &Exporter, action: impl FnOnce()) {
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also where the action fails: the scope waits for all.
        let _end = End(&is_over);
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    exporter.page();
                }
            });
        }
        action();
    });
}

#[test]
fn without_watches_limits_are_read_at_each_scrape_and_the_tree_is_walked() {
    let limit = "/proc/sys/user/max_inotify_watches";
    if !live::root() || !live::need("limits of a user namespace", Path::new(limit).exists()) {
        return;
    }
    let before = Cgroup::new("blind");
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        &format!("echo 0 > {limit} && exec \"$@\""),
        "sh",
    ]);
    command.arg(exporter::binary()).args(["--docker=", "--scrape.share=0"]);
    let exporter = Exporter::start_with(http::free_address(), &mut command);
    assert!(
        exporter.process.says("no inotify watch left", Duration::from_secs(2)),
        "{}",
        exporter.process.said()
    );
    let spec = |path: &str| {
        let page = exporter.page_of("/metrics?collect[]=container");
        page.value("container_spec_memory_limit_bytes", &[("id", path)])
    };
    assert_eq!(spec(before.path()), Some(0.0));
    before.limit_memory(50 << 20);
    assert_eq!(spec(before.path()), Some(52_428_800.0), "the very next scrape");
    let later = Cgroup::new("blind");
    assert!(until(Duration::from_secs(15), || spec(later.path()).is_some()), "found by a walk");
    let path = later.path().to_owned();
    drop(later);
    assert_eq!(spec(&path), None);
}

#[test]
fn a_tree_of_version_2_serves_all_by_itself() {
    if !live::root() {
        return;
    }
    let group = Cgroup::new("unified");
    let Some(folder) = group.v2_dir().filter(|folder| live::need("cgroup v2", folder.exists())) else {
        return;
    };
    // Its own mounts: the controllers of version 1 are out of sight, as on a host that never had them.
    let mounts = "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", mounts, "sh"]).arg(exporter::binary());
    let exporter =
        Exporter::start_with(http::free_address(), command.args(["--docker=", "--scrape.share=0"]));
    let _burns = group.start(&load::cpu(50));
    std::thread::sleep(Duration::from_secs(1));
    let kernel = || {
        let text = std::fs::read_to_string(folder.join("cpu.stat")).unwrap();
        text.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1e6
    };
    let before = kernel();
    let page = exporter.page();
    let after = kernel();
    let labels = [("id", group.path()), ("cpu", "total")];
    let shown = page.value("container_cpu_usage_seconds_total", &labels).unwrap();
    assert!(before - 0.02 <= shown && shown <= after + 0.02, "{before} <= {shown} <= {after}");
    assert!(shown > 0.1, "{shown} s of CPU time");
    let by_file = [("figure", "container_cpu_usage"), ("source", "cgroupfs")];
    assert_eq!(page.value("nodetally_figure_source", &by_file), Some(1.0));

    let child = group.child("later");
    let seen = |path: &str| exporter.page().value("container_last_seen", &[("id", path)]).is_some();
    assert!(until(Duration::from_secs(2), || seen(child.path())), "a birth");
    let path = child.path().to_owned();
    drop(child);
    assert!(until(Duration::from_secs(2), || !seen(&path)), "a death");
}

/// Whether any thread of a process holds a namespace's descriptor.
fn namespaces_held(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().filter_map(Result::ok);
    let descriptors =
        threads.flat_map(|thread| std::fs::read_dir(thread.path().join("fd")).into_iter().flatten());
    let links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    { links }.any(|link| link.to_string_lossy().starts_with("net:["))
}
