//! The image: built by the project's Dockerfile as it stands, with a real engine, offline, and run with the
//! README's full command, then with one of its flags left out at a time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tests::docker::Docker;
use tests::http;
use tests::image::{self, BUSYBOX, RUST};
use tests::page::Page;
use tests::running::until;

const IMAGE: &str = "nodetally:test";

/// The README's command without `docker run -d`, image and port.
fn full() -> Vec<&'static str> {
    [privileged(), &["--pid=host", "--network=host", "--cgroupns=host", "-v", "/:/host:ro,rslave"]].concat()
}

/// `--privileged`, or what comes to the same on a machine whose root lacks a capability: there the engine cannot
/// give a container all of them, and refuses.
fn privileged() -> &'static [&'static str] {
    const SYS_RESOURCE: u64 = 1 << 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
    if u64::from_str_radix(bounding.trim(), 16).unwrap() & SYS_RESOURCE != 0 {
        return &["--privileged"];
    }
    &[
        "--cap-add=ALL",
        "--cap-drop=SYS_RESOURCE",
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--security-opt=systempaths=unconfined",
    ]
}

/// What the log says, in lower case, of figures that are not the host's.
const NARROW: &str = "this container's own";

fn build(docker: &Docker) -> bool {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    if !image::import_rust(docker, workspace) {
        return false;
    }
    let base = format!("BUILD_IMAGE={RUST}");
    docker.run(&["build", "--build-arg", &base, "-t", IMAGE, &workspace.display().to_string()]);
    true
}

/// Runs the image with these engine flags; gives the container's id and where it should answer.
fn start(docker: &Docker, engine: &[&str], exporter: &[&str]) -> (String, SocketAddr) {
    let address = http::free_address();
    let socket = format!("--docker=unix://{}", docker.socket().display());
    let listen = format!("--web.listen-address=:{}", address.port());
    let id = docker.container(&[engine, &[IMAGE], exporter, &[&listen, &socket]].concat());
    (id, address)
}

fn answers(docker: &Docker, id: &str, address: SocketAddr) {
    let up =
        until(Duration::from_secs(20), || http::get(address, "/-/healthy").is_ok_and(|r| r.status == 200));
    assert!(up, "{address}: no answer:\n{}", log_of(docker, id));
}

fn log_of(docker: &Docker, id: &str) -> String {
    let out = docker.command(&["logs", id]).output().unwrap();
    String::from_utf8([out.stdout, out.stderr].concat()).unwrap().to_lowercase()
}

#[test]
fn the_image_is_small_shows_the_host_and_says_what_it_cannot_see() {
    let Some(docker) = Docker::start() else { return };
    if !build(&docker) {
        return;
    }
    image::import_busybox(&docker);
    if privileged().len() > 1 {
        println!("root lacks CAP_SYS_RESOURCE here: every other privilege is given one by one");
    }
    it_is_small_and_has_no_shell(&docker);
    the_full_command_shows_the_host(&docker);
    each_missing_flag_is_named(&docker);
}

fn it_is_small_and_has_no_shell(docker: &Docker) {
    let size: u64 = docker.run(&["image", "inspect", "-f", "{{.Size}}", IMAGE]).parse().unwrap();
    assert!(size < 20_000_000, "{size} bytes");
    let shell =
        docker.command(&["run", "--rm", "--entrypoint", "/bin/sh", IMAGE, "-c", "true"]).output().unwrap();
    assert!(!shell.status.success(), "there is a shell");
    let version = docker.run(&["run", "--rm", IMAGE, "--version"]);
    assert!(version.contains("nodetally"), "{version}");
}

fn the_full_command_shows_the_host(docker: &Docker) {
    docker.container(&["--name", "neighbour", BUSYBOX, "/bin/nodetally-load", "cpu", "20"]);
    let (id, address) = start(docker, &full(), &["--path.rootfs=/host"]);
    answers(docker, &id, address);
    let scrape = || Page::parse(&http::get(address, "/metrics").unwrap().text());
    // Names come from the engine, which is asked apart: the first page may go out before it has answered.
    let named = |page: &Page| page.value("container_last_seen", &[("name", "neighbour")]).is_some();
    assert!(until(Duration::from_secs(10), || named(&scrape())), "no neighbour\n{}", log_of(docker, &id));
    let page = scrape();
    let log = log_of(docker, &id);

    let disk = rustix::fs::statvfs("/").unwrap();
    let size = page.value("node_filesystem_size_bytes", &[("mountpoint", "/")]);
    assert_eq!(size, Some((disk.f_blocks * disk.f_frsize) as f64), "the host's root, not the container's");
    let points = page.matching("node_filesystem_size_bytes", &[]).filter_map(|s| s.labels.get("mountpoint"));
    assert_eq!(points.filter(|point| point.starts_with("/host")).count(), 0);
    let bridge = page.value("node_network_receive_bytes_total", &[("device", docker.bridge())]);
    assert!(bridge.is_some(), "the host's network devices are not seen\n{log}");
    let cpus = std::thread::available_parallelism().unwrap().get();
    assert_eq!(page.matching("node_cpu_seconds_total", &[("mode", "idle")]).count(), cpus);
    let used = page.sum("container_cpu_usage_seconds_total", &[("name", "neighbour")]);
    assert!(used.is_some_and(|seconds| seconds > 0.0), "{used:?}");
    for program in ["cpu", "net", "life"] {
        let up = page.value("nodetally_ebpf_program_up", &[("program", program)]);
        assert_eq!(up, Some(1.0), "{program}\n{log}");
    }
    assert!(!log.contains(NARROW), "a full view is called narrow:\n{log}");
    docker.run(&["rm", "-f", &id, "neighbour"]);
}

fn each_missing_flag_is_named(docker: &Docker) {
    let without =
        |dropped: &str| -> Vec<&str> { full().into_iter().filter(|flag| *flag != dropped).collect() };
    let private_groups = [&without("--cgroupns=host")[..], &["--cgroupns=private"]].concat();
    let mut no_root = without("-v");
    no_root.retain(|flag| !flag.starts_with("/:/host"));
    let bridged = without("--network=host");
    let own_processes = without("--pid=host");
    let cases: [(&[&str], &[&str], &str); 4] = [
        (&private_groups, &["--path.rootfs=/host"], "cgroup namespace"),
        (&bridged, &["--path.rootfs=/host"], "network namespace"),
        (&own_processes, &["--path.rootfs=/host"], "pid namespace"),
        (&no_root, &[], "root file system"),
    ];
    for (engine, exporter, words) in cases {
        let (id, address) = start(docker, engine, exporter);
        let seen = if engine.contains(&"--network=host") {
            address
        } else {
            format!("{}:{}", docker.address_of(&id), address.port()).parse().unwrap()
        };
        answers(docker, &id, seen);
        let log = log_of(docker, &id);
        let named = log.lines().any(|line| line.contains(words) && line.contains(NARROW));
        assert!(named, "{engine:?}: no line with {words:?}:\n{log}");
        Page::parse(&http::get(seen, "/metrics").unwrap().text());
        docker.run(&["rm", "-f", &id]);
    }
}
