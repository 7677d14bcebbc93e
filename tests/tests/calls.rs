//! What a scrape asks of the kernel: files that are open already, and little else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::Duration;

use tests::calls::{self, Calls};
use tests::cgroup::Cgroup;
use tests::exporter::Exporter;
use tests::http::Connection;
use tests::{live, running};

const CGROUPS: usize = 20;

/// The calls of one scrape of `path` once the exporter knows this machine.
fn calls_of(exporter: &Exporter, path: &str) -> Calls<f64> {
    let mut connection = Connection::open(exporter.address).unwrap();
    let mut scrape = || {
        let answer = connection.request("GET", path, &[]).map_err(|e| e.to_string())?;
        if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
    };
    for _ in 0..5 {
        scrape().unwrap();
    }
    calls::per_scrape(exporter.process.pid(), scrape).unwrap()
}

/// A file that changed in the meantime may be looked at anew, but nothing is opened at each scrape.
fn opens_nothing(calls: &Calls<f64>) {
    for name in ["open", "openat", "openat2", "getdents64", "socket", "execve", "clone3", "bpf"] {
        let each = calls.get(name).copied().unwrap_or_default();
        assert!(each < 0.5, "{name}: {each} a scrape, {calls:?}");
    }
}

#[test]
fn a_scrape_opens_nothing_and_asks_little() {
    if !live::root() || !live::need("strace", Command::new("strace").arg("-V").output().is_ok()) {
        return;
    }
    let parent = Cgroup::new("calls");
    parent.fill_with_sleepers(CGROUPS);
    let exporter = Exporter::start(&["--scrape.share=0s"]);
    let page = &calls::page_of(&["container"]);
    let groups = || exporter.page_of(page).matching("container_last_seen", &[]).count();
    let all_there = running::until(Duration::from_secs(20), || groups() > CGROUPS);
    assert!(all_there, "{}", exporter.process.said());

    let node = calls_of(&exporter, &calls::page_of(calls::NODE_HALF));
    opens_nothing(&node);
    assert!(node.values().sum::<f64>() <= 60.0, "{node:?}");

    let container = calls_of(&exporter, page);
    opens_nothing(&container);
    let files = container.get("pread64").copied().unwrap_or_default();
    assert!(files / groups() as f64 <= 6.0, "{} cgroups: {container:?}", groups());
}
