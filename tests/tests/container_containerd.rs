//! containerd's containers on the page: of every namespace, named from their first row on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tests::{
    cadvisor::Cadvisor,
    containerd::{Containerd, IMAGE},
    exporter::Exporter,
    page::Page,
    running::until,
};

const SLEEP: &[&str] = &["sleep", "1000"];
const PATIENCE: Duration = Duration::from_secs(15);

fn page(exporter: &Exporter) -> Page {
    exporter.page_of("/metrics?collect[]=container")
}

/// The labels of each living row of a cgroup, as they are written.
fn rows(page: &Page, path: &str) -> Vec<BTreeMap<String, String>> {
    let id = [("id", path)];
    page.matching("container_last_seen", &id).map(|row| row.labels.clone()).collect()
}

/// Name and image of each.
fn names(page: &Page, path: &str) -> Vec<(String, String)> {
    let label = |row: &BTreeMap<String, String>, name: &str| row.get(name).cloned().unwrap_or_default();
    rows(page, path).iter().map(|row| (label(row, "name"), label(row, "image"))).collect()
}

#[track_caller]
fn comes(exporter: &Exporter, path: &str, name: &str) {
    let expected = [(name.to_owned(), IMAGE.to_owned())];
    let found = || names(&page(exporter), path);
    assert!(until(PATIENCE, || found() == expected), "{path}: {:?}\n{}", found(), exporter.process.said());
}

// One test: the daemon takes seconds to start.
#[test]
fn containers_of_containerd() {
    let Some(mut containerd) = Containerd::start(2) else { return };
    let [one, two] = [0, 1].map(|number| containerd.namespace(number).to_owned());
    containerd.container(&one, &["-d"], "same", SLEEP);
    containerd.container(&two, &["-d"], "same", SLEEP);
    let socket = containerd.socket();
    let socket = format!("--containerd={}", socket.display());
    let often = "--container.layer-usage=100ms";
    let exporter =
        Exporter::start(&[&socket, "--docker=", "--env_metadata_whitelist=APP_", "--scrape.share=0", often]);
    let path = |namespace: &str, id: &str| format!("/{namespace}/{id}");
    // The first rows of what ran before us have their names already.
    let first = page(&exporter);
    assert!(names(&first, &path(&one, "same")).iter().all(|(name, _)| name == "same"), "{first:?}");
    comes(&exporter, &path(&one, "same"), "same");
    comes(&exporter, &path(&two, "same"), "same");

    beside_the_reference(&containerd, &exporter, &one);
    a_birth_is_never_nameless(&containerd, &exporter, &two);
    networks(&containerd, &exporter, &one);
    a_layer_s_room(&containerd, &exporter, &one);
    another_life_under_the_same_path(&containerd, &exporter, &one);

    containerd.stop();
    assert_eq!(names(&page(&exporter), &path(&one, "same")), [("same".to_owned(), IMAGE.to_owned())]);
    containerd.start_again();
    containerd.container(&two, &["-d"], "after", SLEEP);
    comes(&exporter, &path(&two, "after"), "after");
}

/// It looks into one namespace, and takes for containers what is named by 64 letters and digits.
fn beside_the_reference(containerd: &Containerd, exporter: &Exporter, namespace: &str) {
    let id = "0123456789abcdef".repeat(4);
    let flags = ["-d", "--label", "a.b/c=\"Grüße\"", "--env", "APP_MODE=1", "--env", "SECRET=1"];
    containerd.container(namespace, &flags, &id, SLEEP);
    let path = format!("/{namespace}/{id}");
    comes(exporter, &path, &id);
    let socket = containerd.socket();
    let nobody = socket.with_file_name("no-docker.sock");
    let flags = [
        format!("-containerd={}", socket.display()),
        format!("-containerd-namespace={namespace}"),
        "-env_metadata_whitelist=APP_".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let Some(cadvisor) = Cadvisor::start(&nobody, &flags[..2]) else { return };
    let theirs = cadvisor.page_with("container_last_seen", &[&path]);
    let compared = |page: &Page| {
        let mut rows = rows(page, &path);
        for row in &mut rows {
            row.retain(|name, value| !value.is_empty() && !name.starts_with("container_env_"));
        }
        rows
    };
    let page = page(exporter);
    assert_eq!(compared(&page), compared(&theirs), "{}", cadvisor.said());
    let [row] = &rows(&page, &path)[..] else { panic!("{:?}", rows(&page, &path)) };
    let env: Vec<_> = row.iter().filter(|(name, _)| name.starts_with("container_env_")).collect();
    assert_eq!(env, [(&"container_env_APP_MODE".to_owned(), &"1".to_owned())]);
    containerd.run(namespace, &["task", "kill", "-s", "KILL", &id]);
}

/// Every page from before its start on.
fn a_birth_is_never_nameless(containerd: &Containerd, exporter: &Exporter, namespace: &str) {
    let path = format!("/{namespace}/born");
    std::thread::scope(|scope| {
        let start = scope.spawn(|| containerd.container(namespace, &["-d"], "born", SLEEP));
        let begun = Instant::now();
        let mut shown = Vec::new();
        while begun.elapsed() < Duration::from_secs(3) {
            shown.extend(names(&page(exporter), &path));
            std::thread::sleep(Duration::from_millis(5));
        }
        start.join().unwrap();
        assert!(!shown.is_empty() && shown.iter().all(|(name, _)| name == "born"), "{shown:?}");
    });
}

fn networks(containerd: &Containerd, exporter: &Exporter, namespace: &str) {
    containerd.container(namespace, &["-d", "--net-host"], "hosted", SLEEP);
    comes(exporter, &format!("/{namespace}/hosted"), "hosted");
    let host = [("name", "hosted"), ("interface", "host")];
    let is_shown = || page(exporter).value("container_network_receive_bytes_total", &host).is_some();
    assert!(until(PATIENCE, is_shown), "its own sockets' traffic\n{}", exporter.process.said());
    let rows =
        page(exporter).matching("container_network_receive_bytes_total", &[("name", "hosted")]).count();
    assert_eq!(rows, 1, "no device of the host is shown as its own");
}

/// Of which the reference shows nothing: copies of the image, and layers over it.
fn a_layer_s_room(containerd: &Containerd, exporter: &Exporter, namespace: &str) {
    containerd.container_on(namespace, "overlayfs", &["-d"], "layered", SLEEP);
    for id in ["same", "layered"] {
        let path = format!("/{namespace}/{id}");
        let filter = [("id", path.as_str())];
        let usage = || page(exporter).value("container_fs_usage_bytes", &filter);
        assert!(until(PATIENCE, || usage().is_some()), "{id}: {}", exporter.process.said());
        let before = usage().unwrap();
        let write = ["sh", "-c", "dd if=/dev/zero of=/four bs=1M count=4"];
        containerd.run(namespace, &[&["task", "exec", "--exec-id", "write", id][..], &write].concat());
        let four = f64::from(4 << 20)..f64::from(5 << 20);
        let grew = until(PATIENCE, || four.contains(&(usage().unwrap() - before)));
        assert!(grew, "{id}: {:?}, was {before}", usage());
        assert!(page(exporter).value("container_fs_limit_bytes", &filter).unwrap() > usage().unwrap());
    }
    containerd.run(namespace, &["task", "kill", "-s", "KILL", "layered"]);
}

fn another_life_under_the_same_path(containerd: &Containerd, exporter: &Exporter, namespace: &str) {
    let path = format!("/{namespace}/same");
    containerd.run(namespace, &["task", "kill", "-s", "KILL", "same"]);
    let is_removed =
        || containerd.command(namespace, &["task", "rm", "same"]).output().unwrap().status.success();
    assert!(until(PATIENCE, is_removed));
    let is_gone = || names(&page(exporter), &path).is_empty();
    assert!(until(PATIENCE, is_gone), "its end\n{}", exporter.process.said());
    containerd.run(namespace, &["container", "rm", "same"]);
    containerd.container(namespace, &["-d"], "same", SLEEP);
    comes(exporter, &path, "same");
}
