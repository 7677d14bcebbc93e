//! What never answers costs its own rows and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hang_support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::mount::UnmountFlags;

use hang_support::frozen::Frozen;
use hang_support::fuse::DeadMount;
use hang_support::{Hangs, Scene, outcome, own_mounts};
use tests::live;
use tests::page::Page;
use tests::running::{output, until};
use tests::temp::TempDir;

/// What the label `device_error` says of a mount that does not answer.
const STUCK: &str = "mountpoint timeout";

fn has_fuse() -> bool {
    live::need("FUSE", Path::new("/dev/fuse").exists())
}

/// The figures of the file system that is mounted there, and the label that says why there are none.
fn file_system(page: &Page, at: &Path) -> (Option<f64>, Option<String>) {
    let point = [("mountpoint", at.to_str().unwrap())];
    let error = page.matching("node_filesystem_device_error", &point).next();
    let label = error.and_then(|sample| sample.labels.get("device_error")).cloned();
    assert_eq!(
        error.map(|sample| sample.value),
        label.as_ref().map(|label| f64::from(u8::from(!label.is_empty())))
    );
    (page.value("node_filesystem_size_bytes", &point), label)
}

/// What a FUSE mount gives that answers.
fn alive() -> (Option<f64>, Option<String>) {
    (Some(4_096_000.0), Some(String::new()))
}

#[test]
fn a_dead_mount_costs_its_own_figures() {
    if !live::root() || !has_fuse() {
        return;
    }
    own_mounts();
    let folders = [TempDir::new("dead"), TempDir::new("dead"), TempDir::new("lively")];
    let [first, second, lively] = [0, 1, 2].map(|index: usize| folders[index].path());
    let mut mounts = [first, second, lively].map(DeadMount::new);
    mounts[2].let_go();
    let mut scene = Scene::new(mounts, &["--ebpf=require"]);

    scene.scrape_often(|page| {
        assert_eq!(outcome(page, "filesystem"), "ok");
        for dead in [first, second] {
            assert_eq!(file_system(page, dead), (None, Some(STUCK.to_owned())));
        }
        let (size, error) = file_system(page, Path::new("/"));
        assert!(size.is_some_and(|size| size > 0.0) && error.as_deref() == Some(""), "{size:?} {error:?}");
        assert_eq!(file_system(page, lively), alive(), "it stands behind those that hang");
    });
    assert_eq!(scene.hanging(), 2, "one thread for each mount");
    scene.ends_and_starts_anew();
    assert_eq!(file_system(&scene.scrape(), first).1.as_deref(), Some(STUCK));

    scene.hangs[0].let_go();
    let is_back = |scene: &Scene<_>, at| {
        let seen = || file_system(&scene.scrape(), at) == alive();
        until(Duration::from_secs(10), seen)
    };
    assert!(is_back(&scene, first), "it did not come back");
    assert_eq!(file_system(&scene.scrape(), second).1.as_deref(), Some(STUCK), "the other one is dead still");
    scene.hangs[1].let_go();
    assert!(is_back(&scene, second), "it did not come back");
    scene.ended_are_gone();
}

#[test]
fn a_textfile_directory_that_does_not_answer_is_late() {
    if !live::root() || !has_fuse() {
        return;
    }
    own_mounts();
    let folder = TempDir::new("dead");
    let dead = DeadMount::new(folder.path());
    let directory = format!("--collector.textfile.directory={}", folder.path().display());
    let mut scene = Scene::new(dead, &["--ebpf=require", &directory]);
    is_late(&mut scene);
    scene.hangs.let_go();
    let is_back = || {
        let page = scene.scrape();
        let error = page.value("node_textfile_scrape_error", &[]);
        outcome(&page, "textfile") == "ok" && error == Some(1.0)
    };
    assert!(until(Duration::from_secs(10), is_back), "it did not come back");
    scene.ended_are_gone();
}

#[test]
fn a_frozen_disk_holds_the_textfile_collector_alone() {
    let has = |tool: &str| Command::new(tool).arg("-V").output().is_ok();
    if !live::root() || !live::need("mkfs.ext4 and fsfreeze", has("mkfs.ext4") && has("fsfreeze")) {
        return;
    }
    own_mounts();
    let frozen = Frozen::new("a.prom", "from_a_file 1\n");
    let flag = |folder: &Path| format!("--collector.textfile.directory={}", folder.display());
    let (below, above) = (flag(frozen.below()), flag(frozen.above()));

    // What is frozen itself is read as ever.
    let scene = Scene::new(frozen, &["--ebpf=off", &below]);
    let page = scene.scrape();
    assert_eq!((outcome(&page, "textfile").as_str(), page.value("from_a_file", &[])), ("ok", Some(1.0)));
    assert!(file_system(&page, scene.hangs.below()).0.is_some());
    let frozen = scene.end();

    let mut scene = Scene::new(frozen, &["--ebpf=require", &above]);
    is_late(&mut scene);
    scene.hangs.let_go();
    let is_back = || scene.scrape().value("from_a_file", &[]) == Some(1.0);
    assert!(until(Duration::from_secs(10), is_back), "it did not come back");
    assert_eq!(outcome(&scene.scrape(), "textfile"), "ok");
    scene.ended_are_gone();
}

#[test]
fn mounts_upon_each_other_are_told_once() {
    if !live::root() {
        return;
    }
    own_mounts();
    let folders = [TempDir::new("upon"), TempDir::new("bound")];
    let [upon, bound] = [folders[0].path(), folders[1].path()];
    let mount = |arguments: &[&str]| output(Command::new("mount").args(arguments));
    let [at, bound_at] = [upon.to_str().unwrap(), bound.to_str().unwrap()];
    for options in ["size=4m", "size=8m,ro", "size=16m"] {
        mount(&["-t", "tmpfs", "-o", options, "same", at]);
    }
    mount(&["--bind", at, bound_at]);
    mount(&["--bind", at, bound_at]);
    // (That no series is there twice is seen to where the page is read.)
    let scene = Scene::new((), &["--ebpf=off", "--no-container"]);
    let page = scene.scrape();
    for at in [upon, bound] {
        assert_eq!(file_system(&page, at), (Some(f64::from(16 << 20)), Some(String::new())));
        let point = [("mountpoint", at.to_str().unwrap())];
        assert_eq!(page.matching("node_filesystem_readonly", &point).count(), 1);
    }
    let infos = |at| page.matching("node_filesystem_mount_info", &[("mountpoint", at)]).count();
    assert_eq!((infos(at), infos(bound_at)), (3, 1), "one for each device number");
    let faults = page.value("promhttp_metric_handler_errors_total", &[("cause", "gathering")]);
    assert_eq!(faults, Some(0.0), "none had to be dropped");
    for (at, times) in [(bound, 2), (upon, 3)] {
        (0..times).for_each(|_| rustix::mount::unmount(at, UnmountFlags::DETACH).unwrap());
    }
}

/// The textfile collector does not come back, and that is all.
fn is_late(scene: &mut Scene<impl Hangs>) {
    scene.scrape_often(|page| {
        let collector = [("collector", "textfile")];
        assert_eq!(outcome(page, "textfile"), "late");
        assert_eq!(page.value("node_scrape_collector_success", &collector), Some(0.0));
        assert_eq!(outcome(page, "filesystem"), "ok");
    });
    let late = scene.scrape().value("nodetally_late_collectors_total", &[("collector", "textfile")]);
    assert_eq!(late, Some(21.0));
    assert!(scene.hanging() >= 1, "a thread is held");
    scene.ends_and_starts_anew();
    assert_eq!(outcome(&scene.scrape(), "textfile"), "late");
}
