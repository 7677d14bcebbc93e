//! A file system that never answers costs its own rows and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::process::Signal;
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tests::exporter::Exporter;
use tests::http::{Connection, free_address};
use tests::live;
use tests::page::Page;
use tests::running::until;
use tests::temp::TempDir;

/// A FUSE mount whose server reads no request. Only this thread and what it starts can see it.
struct DeadMount {
    server: Option<File>,
    at: PathBuf,
}

impl DeadMount {
    fn new(at: PathBuf) -> Self {
        // SAFETY: the thread leaves the mount namespace only; its file descriptors stay as they are.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        let server = File::options().read(true).write(true).open("/dev/fuse").unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        mount("dead", &at, "fuse", MountFlags::empty(), Some(options.as_c_str())).unwrap();
        Self { server: Some(server), at }
    }

    /// Ends every wait on the mount with an error.
    fn give_up(&mut self) {
        self.server = None;
    }
}

impl Drop for DeadMount {
    fn drop(&mut self) {
        self.give_up();
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}

/// A /proc without process 1, so that the exporter takes its own mounts for the host's.
fn proc_of_this_namespace() -> TempDir {
    let folder = TempDir::new("proc");
    for name in ["self", "loadavg", "stat", "meminfo", "diskstats", "net", "cpuinfo", "cgroups"] {
        std::os::unix::fs::symlink(format!("/proc/{name}"), folder.path().join(name)).unwrap();
    }
    folder
}

fn scrape(exporter: &Exporter, timeout: &str) -> (Page, Duration) {
    let begun = Instant::now();
    let headers = [("X-Prometheus-Scrape-Timeout-Seconds", timeout), ("Connection", "close")];
    let answer = Connection::open(exporter.address).unwrap().request("GET", "/metrics", &headers).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    (Page::parse(&answer.text()), begun.elapsed())
}

fn outcome(page: &Page) -> Option<String> {
    let collector = [("collector", "filesystem")];
    let mut outcomes = page.matching("nodetally_collector_outcome", &collector);
    outcomes.next().and_then(|sample| sample.labels.get("outcome")).cloned()
}

fn threads(exporter: &Exporter) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", exporter.process.pid())).unwrap().count()
}

#[test]
fn a_dead_mount_delays_no_scrape_past_its_deadline_and_keeps_one_thread() {
    if !live::root() {
        return;
    }
    let folder = TempDir::new("dead-mount");
    let mut dead = DeadMount::new(folder.path().to_owned());
    let procfs = proc_of_this_namespace();
    let flags = [
        &format!("--path.procfs={}", procfs.path().display()),
        "--ebpf=off",
        "--no-container",
        "--scrape.share=0",
    ];
    let address = free_address();
    let exporter = Exporter::start_at(address, &flags);

    let mut seen = Vec::new();
    for _ in 0..3 {
        let (page, took) = scrape(&exporter, "1");
        assert!(took < Duration::from_secs(1), "took {took:?}");
        assert_eq!(outcome(&page).as_deref(), Some("late"));
        assert_eq!(page.value("node_scrape_collector_success", &[("collector", "filesystem")]), Some(0.0));
        assert!(page.value("node_load1", &[]).is_some(), "the others are served");
        assert_eq!(exporter.get("/-/healthy").status, 200);
        seen.push(threads(&exporter));
    }
    assert_eq!(seen[0], seen[2], "a late collector keeps the thread it has: {seen:?}");
    let (page, _) = scrape(&exporter, "1");
    let late = page.value("nodetally_late_collectors_total", &[("collector", "filesystem")]);
    assert_eq!(late, Some(4.0));

    // It ends at once although the thread still hangs, and its port is free for the next one.
    exporter.process.signal(Signal::TERM);
    assert!(
        until(Duration::from_secs(2), || std::net::TcpListener::bind(address).is_ok()),
        "the port is still taken: {}",
        exporter.process.said()
    );
    let exporter = Exporter::start_at(address, &flags);
    assert_eq!(outcome(&scrape(&exporter, "1").0).as_deref(), Some("late"));

    dead.give_up();
    assert!(
        until(Duration::from_secs(5), || outcome(&scrape(&exporter, "1").0).as_deref() == Some("ok")),
        "the collector did not come back"
    );
}
