//! What happens to containers while they are watched: names that change, short lives, new runs, a daemon that goes and
//! comes, tasks that move, cgroups within cgroups. After each, every container is there once and by its name.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tests::{
    cgroup::{Cgroup, mounted},
    docker::Docker,
    exporter::Exporter,
    image::{BUSYBOX, import_busybox},
    page::Page,
    running::{is_slow, until},
};

const PATIENCE: Duration = Duration::from_secs(15);
const SLEEP: [&str; 3] = [BUSYBOX, "sleep", "1000"];

/// The engine and the exporter beside it.
struct Bed {
    docker: Docker,
    exporter: Exporter,
}

impl Bed {
    fn start() -> Option<Self> {
        let docker = Docker::start_with(&["--live-restore"])?;
        import_busybox(&docker);
        let exporter = watch(&docker);
        Some(Self { docker, exporter })
    }

    /// `docker run -d --name NAME`, shown by its name when this returns. Gives its cgroup's path.
    fn container(&self, name: &str, flags: &[&str]) -> String {
        let id = self.docker.container(&[&["--name", name], flags, &SLEEP].concat());
        let path = format!("/docker/{id}");
        self.sees(name, &path);
        path
    }

    fn page(&self) -> Page {
        page(&self.exporter)
    }

    /// Waits until this cgroup is shown once, by this name.
    #[track_caller]
    fn sees(&self, name: &str, path: &str) {
        sees(&self.exporter, name, path);
    }

    /// Waits until nothing alive bears this name.
    #[track_caller]
    fn misses(&self, name: &str) {
        let is_gone =
            until(PATIENCE, || self.page().value("container_last_seen", &[("name", name)]).is_none());
        assert!(is_gone, "{name} is still there");
    }
}

fn watch(docker: &Docker) -> Exporter {
    Exporter::start(&[&format!("--docker=unix://{}", docker.socket().display()), "--scrape.share=0"])
}

/// Parsed: a series that is there twice fails.
fn page(exporter: &Exporter) -> Page {
    exporter.page_of("/metrics?collect[]=container")
}

#[track_caller]
fn sees(exporter: &Exporter, name: &str, path: &str) {
    let shown = || -> Vec<Option<String>> {
        let page = page(exporter);
        let (by_id, by_name) = ([("id", path)], [("name", name)]);
        let rows = page.matching("container_last_seen", &by_id);
        let rows = rows.chain(page.matching("container_last_seen", &by_name));
        let own: BTreeSet<_> = rows.map(|sample| sample.labels.clone()).collect();
        own.into_iter().map(|mut labels| labels.remove("name")).collect()
    };
    let expected = [Some(name.to_owned())];
    assert!(
        until(PATIENCE, || shown() == expected),
        "{path}: {:?}, not {name}\n{}",
        shown(),
        exporter.process.said()
    );
}

// One test: an engine takes seconds to start, and one process has one.
#[test]
fn a_container_is_there_once_and_by_its_name_whatever_happens() {
    let Some(mut bed) = Bed::start() else { return };
    a_rename_is_seen(&bed);
    a_life_of_a_second_keeps_its_name_and_counters(&bed);
    the_same_name_again(&bed);
    // Where an engine takes longer than the exporter waits for it, the first of its rows have no name.
    if !is_slow() {
        one_that_keeps_crashing(&bed);
    }
    tasks_that_move(&bed);
    cgroups_within_a_container(&bed);
    a_daemon_that_goes_and_comes(&mut bed);
}

fn a_rename_is_seen(bed: &Bed) {
    let path = bed.container("before", &["--label", "a=b"]);
    let used = cpu(&bed.page(), &path).unwrap();
    bed.docker.run(&["rename", "before", "after"]);
    bed.sees("after", &path);
    bed.misses("before");
    let page = bed.page();
    assert!(cpu(&page, &path).unwrap() >= used);
    assert_eq!(
        page.value("container_last_seen", &[("name", "after"), ("container_label_a", "b")]).map(|_| ()),
        Some(())
    );
}

fn a_life_of_a_second_keeps_its_name_and_counters(bed: &Bed) {
    let burn = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 0.5";
    bed.docker.run(&["run", "--rm", "--name", "short", "--label", "a=b", BUSYBOX, "sh", "-c", burn]);
    let labels = [("name", "short"), ("image", BUSYBOX), ("container_label_a", "b")];
    let used = || bed.page().value("container_cpu_usage_seconds_total", &labels);
    assert!(until(PATIENCE, || used().is_some_and(|seconds| seconds > 0.01)), "{:?}", used());
    bed.misses("short");
    assert!(used().is_some(), "its counters stay for a while");
    let page = bed.page();
    let id = &page.matching("container_cpu_usage_seconds_total", &labels).next().unwrap().labels["id"];
    let id = [("id", id.as_str())];
    assert_eq!(page.matching("container_cpu_usage_seconds_total", &id).count(), 1);
    assert_eq!(page.value("container_memory_usage_bytes", &id), None);
}

/// Another container by the name of one that was removed, and another run of the same.
fn the_same_name_again(bed: &Bed) {
    let first = bed.container("again", &[]);
    bed.docker.run(&["rm", "-f", "again"]);
    let second = bed.container("again", &[]);
    assert_ne!(first, second);
    let started = |page: &Page| page.value("container_start_time_seconds", &[("id", second.as_str())]);
    let before = started(&bed.page()).unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    bed.docker.run(&["restart", "-t", "0", "again"]);
    let restarted = until(PATIENCE, || started(&bed.page()).is_some_and(|time| time > before));
    assert!(restarted, "{:?} after {before}", started(&bed.page()));
    bed.sees("again", &second);
}

/// Each run is a series of its own, by the number of restarts: none is there without its name, none gets what another
/// run used.
fn one_that_keeps_crashing(bed: &Bed) {
    let crash = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 1";
    let flags = ["--name", "crashes", "--restart", "always", BUSYBOX, "sh", "-c", crash];
    let path = format!("/docker/{}", bed.docker.container(&flags));
    let id = [("id", path.as_str())];
    let mut used: BTreeMap<BTreeMap<String, String>, f64> = BTreeMap::new();
    let seen = until(PATIENCE, || {
        let page = bed.page();
        for row in page.matching("container_cpu_usage_seconds_total", &id) {
            assert_eq!(row.labels.get("name").map(String::as_str), Some("crashes"), "{row:?}");
            let before = used.insert(row.labels.clone(), row.value);
            assert!(before.is_none_or(|before| before <= row.value), "{before:?}, then {row:?}");
        }
        used.len() >= 4
    });
    assert!(seen, "{used:?}");
    bed.docker.run(&["rm", "-f", "crashes"]);
    bed.misses("crashes");
}

/// `docker exec`, and a task that is moved by hand into another cgroup and back.
fn tasks_that_move(bed: &Bed) {
    let path = bed.container("moved", &[]);
    let group = Cgroup::new("moved");
    let burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
    bed.docker.run(&["exec", "moved", "sh", "-c", burn]);
    let used = |path: &str| cpu(&bed.page(), path).unwrap_or_default();
    assert!(until(PATIENCE, || used(&path) > 0.02), "{}", used(&path));
    let pid = bed.docker.run(&["inspect", "-f", "{{.State.Pid}}", "moved"]);
    join_group(&pid, group.path());
    bed.sees("moved", &path);
    let burns = group.start(Command::new("sh").args(["-c", burn]));
    assert!(until(PATIENCE, || used(group.path()) > 0.02));
    drop(burns);
    join_group(&pid, &path);
    bed.sees("moved", &path);
    assert_eq!(bed.page().value("container_last_seen", &[("id", group.path()), ("name", "moved")]), None);
}

/// Groups that a container makes below its own, a container within a container, and one whose id nobody knows.
fn cgroups_within_a_container(bed: &Bed) {
    let outer = bed.container("outer", &[]);
    let unknown = "0123456789abcdef".repeat(4);
    let below = [
        format!("{outer}/init"),
        format!("{outer}/container"),
        format!("{outer}/docker/{unknown}"),
        format!("{outer}/{unknown}"),
    ];
    let made: Vec<Cgroup> = below.iter().map(|path| Cgroup::at(path)).collect();
    let ids = |page: &Page| -> Vec<String> {
        let rows = page.matching("container_last_seen", &[]).map(|sample| sample.labels["id"].clone());
        rows.filter(|id| id.starts_with(&outer)).collect()
    };
    let mut expected: Vec<String> = below.to_vec();
    expected.extend([outer.clone(), format!("{outer}/docker")]);
    expected.sort();
    let shown = || {
        let mut ids = ids(&bed.page());
        ids.sort();
        ids
    };
    assert!(until(PATIENCE, || shown() == expected), "{:?}", shown());
    bed.sees("outer", &outer);
    let page = bed.page();
    let named: Vec<&String> = page
        .matching("container_last_seen", &[])
        .filter(|sample| sample.labels["id"].starts_with(&outer) && sample.labels.contains_key("name"))
        .map(|sample| &sample.labels["id"])
        .collect();
    assert_eq!(named, [&outer], "only the container has its name");
    drop(made);
    remove_folder(&format!("{outer}/docker"));
    assert!(until(PATIENCE, || shown() == [outer.clone()]), "{:?}", shown());
}

/// With `--live-restore` containers live on without their daemon; a daemon without it stops those that it finds.
fn a_daemon_that_goes_and_comes(bed: &mut Bed) {
    let stays = bed.container("stays", &["--label", "a=b"]);
    let returns = bed.container("returns", &["--restart", "always", "--stop-timeout", "0"]);
    bed.docker.stop();
    bed.sees("stays", &stays);
    let late = watch(&bed.docker);
    let shown = || page(&late).value("container_last_seen", &[("id", stays.as_str())]).is_some();
    assert!(until(PATIENCE, shown), "a container is shown though nobody knows its name");

    bed.docker.start_again(&["--live-restore"]);
    sees(&late, "stays", &stays);
    for (name, path) in [("stays", &stays), ("returns", &returns)] {
        bed.sees(name, path);
    }
    bed.docker.run(&["rename", "stays", "stayed"]);
    bed.sees("stayed", &stays);
    sees(&late, "stayed", &stays);
    let ends = bed.container("ends", &["--stop-timeout", "0"]);
    sees(&late, "ends", &ends);

    bed.docker.run(&["rm", "-f", "after", "again", "moved", "outer", "stayed"]);
    bed.docker.stop();
    bed.docker.start_again(&[]);
    let newer = bed.container("newer", &[]);
    for exporter in [&bed.exporter, &late] {
        sees(exporter, "returns", &returns);
        sees(exporter, "newer", &newer);
        let page = page(exporter);
        let rows =
            page.matching("container_last_seen", &[]).filter(|row| row.labels["id"].contains("/docker/"));
        let names: BTreeSet<_> = rows.filter_map(|row| row.labels.get("name").map(String::as_str)).collect();
        assert_eq!(names, BTreeSet::from(["newer", "returns"]));
    }
}

/// CPU time in seconds.
fn cpu(page: &Page, path: &str) -> Option<f64> {
    page.value("container_cpu_usage_seconds_total", &[("id", path)])
}

/// Moves a process in every hierarchy.
fn join_group(pid: &str, path: &str) {
    for folder in folders(path) {
        fs::write(folder.join("cgroup.procs"), pid).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    }
}

fn remove_folder(path: &str) {
    for folder in folders(path) {
        fs::remove_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    }
}

/// Where a cgroup is in the hierarchies that have it.
fn folders(path: &str) -> Vec<PathBuf> {
    let below = Path::new(path.trim_start_matches('/'));
    let all = mounted().into_iter().map(|hierarchy| hierarchy.mount.join(below));
    all.filter(|folder| folder.is_dir()).collect()
}
