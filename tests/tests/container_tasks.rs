//! What the processes of cgroups say of themselves: made-up ones by value, and real ones against what they do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod container_support;

use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Command, time::Duration};

use container_support::{Half, settings, tree::Tree};
use tests::{
    cgroup::Cgroup,
    live, load,
    page::Page,
    running::{Running, until},
};

const PROCESS: [&str; 6] = [
    "container_processes",
    "container_file_descriptors",
    "container_sockets",
    "container_threads",
    "container_threads_max",
    "container_ulimits_soft",
];

fn values<const N: usize>(page: &Page, names: [&str; N], id: &str) -> [Option<f64>; N] {
    names.map(|name| page.value(name, &[("id", id)]))
}

/// The made-up procfs, as its own folder.
fn procfs(tree: &Tree) -> PathBuf {
    tree.layout.hierarchies[0].mount.with_file_name("proc")
}

/// A process with these descriptors.
fn process(tree: &Tree, pid: u32, links: &[&str]) {
    let folder = procfs(tree).join(format!("{pid}/fd"));
    fs::create_dir_all(&folder).unwrap();
    for (number, link) in links.iter().enumerate() {
        symlink(link, folder.join(number.to_string())).unwrap();
    }
}

#[test]
fn a_cgroup_s_own_processes_are_counted_on_version_2() {
    let tree = Tree::v2();
    tree.write("cgroup", &[("cgroup.procs", "1\n2\n")]);
    process(&tree, 1, &["/dev/null", "socket:[1]"]);
    tree.write(
        "proc/1",
        &[("limits", "Limit Soft\nMax open files            unlimited  unlimited  files\n")],
    );
    tree.write(
        "cgroup/a",
        &[("cgroup.procs", "11\n12\n13\n"), ("pids.current", "9\n"), ("pids.max", "100\n")],
    );
    process(&tree, 11, &["/dev/null", "socket:[5]", "anon_inode:[eventpoll]", "pipe:[6]"]);
    process(&tree, 12, &["/socket:[7]", "socket:[8]", "socket:[9]"]);
    tree.write("cgroup/a/b", &[("cgroup.procs", "14\n"), ("pids.current", "1\n"), ("pids.max", "max\n")]);
    tree.write("proc/14/fd", &[("0", "no link")]);
    tree.write("cgroup/c", &[("cgroup.procs", "")]);
    tree.write("cgroup/d", &[("cgroup.procs", "15\nwhat\n")]);
    process(&tree, 15, &[]);
    let page = tree.half(&settings(), None).page();
    let of = |id| values(&page, PROCESS, id);
    // Process 2 and 13 have ended; of two processes without the controller nobody knows their threads.
    assert_eq!(of("/"), [Some(2.0), Some(2.0), Some(1.0), Some(2.0), None, Some(-1.0)]);
    assert_eq!(of("/a"), [Some(3.0), Some(7.0), Some(3.0), Some(9.0), Some(100.0), None]);
    assert_eq!(
        of("/a/b"),
        [Some(1.0), Some(1.0), None, Some(1.0), Some(0.0), None],
        "its link cannot be read"
    );
    assert_eq!(of("/c"), [Some(0.0), Some(0.0), Some(0.0), Some(0.0), None, None]);
    assert_eq!(of("/d"), [Some(2.0), None, None, Some(2.0), None, None], "one is not in sight");
    let source = [("figure", "container_tasks"), ("source", "procfs")];
    assert_eq!(page.value("nodetally_figure_source", &source), Some(1.0));
}

#[test]
fn version_1_has_processes_by_the_cpu_hierarchy_and_threads_by_pids() {
    let tree = Tree::v1();
    tree.write("cpu/a", &[("cgroup.procs", "11\n")]);
    tree.write("memory/a", &[("cgroup.procs", "11\n12\n")]);
    tree.write("pids/a", &[("pids.current", "3\n"), ("pids.max", "max\n")]);
    tree.write("cpu/b", &[("cgroup.procs", "12\n")]);
    process(&tree, 11, &["/x"]);
    process(&tree, 12, &["/x", "/y"]);
    let page = tree.half(&settings(), None).page();
    assert_eq!(values(&page, PROCESS, "/a"), [Some(1.0), Some(1.0), Some(0.0), Some(3.0), Some(0.0), None]);
    assert_eq!(values(&page, PROCESS, "/b"), [Some(1.0), Some(2.0), Some(0.0), None, None, None]);
}

#[test]
fn what_is_not_asked_for_is_not_read() {
    let tree = Tree::v2();
    tree.write("cgroup/a", &[("cgroup.procs", "11\n")]);
    let mut half = tree.half(&settings(), None);
    let page = half.page_of(&["cpu"]);
    assert_eq!(values(&page, PROCESS, "/a"), [None; 6]);
    assert_eq!(page.matching("nodetally_figure_source", &[("figure", "container_tasks")]).count(), 0);
    assert_eq!(half.page_of(&["process"]).value("container_processes", &[("id", "/a")]), Some(1.0));
}

/// Starts it in the cgroup and waits until it has all that it is to hold.
fn ready(group: &Cgroup, command: &Command) -> Running {
    let running = group.start(command);
    assert!(running.says("ready", Duration::from_secs(20)), "{}", running.said());
    running
}

#[test]
fn processes_show_what_they_hold() {
    if !live::root() {
        return;
    }
    let mut half = Half::start();
    let parent = Cgroup::new("tasks");
    let group = parent.child("holds");
    let other = parent.child("other");
    let bare = ready(&group, &load::hold(0, 0, 0));
    let id = [("id", group.path())];
    assert!(half.comes("container_processes", &id));
    let page = half.page();
    let [processes, files, sockets, threads, ..] = values(&page, PROCESS, group.path());
    assert_eq!((processes, sockets, threads), (Some(1.0), Some(0.0), Some(1.0)));

    let _holds = ready(&group, &load::hold(200, 70, 9));
    let _others = ready(&other, &load::hold(10, 10, 1));
    let page = half.page();
    let own = fs::read_dir(format!("/proc/{}/fd", bare.pid())).unwrap().count() as f64;
    assert_eq!(files, Some(own));
    let held = [Some(2.0), Some(2.0 * own + 270.0), Some(70.0), Some(11.0)];
    assert_eq!(values(&page, PROCESS, group.path())[..4], held);
    let held = [Some(1.0), Some(own + 20.0), Some(10.0), Some(2.0)];
    assert_eq!(values(&page, PROCESS, other.path())[..4], held);
    let above = [Some(0.0), Some(0.0), Some(0.0), Some(13.0)];
    assert_eq!(values(&page, PROCESS, parent.path())[..4], above, "threads alone are those below as well");

    fs::write(group.dir("pids").join("pids.max"), "50").unwrap();
    let page = half.page();
    assert_eq!(page.value("container_threads_max", &id), Some(50.0));
    assert_eq!(page.value("container_threads_max", &[("id", parent.path())]), Some(0.0));
    assert_eq!(page.value("container_ulimits_soft", &id), None, "a plain cgroup has no first process");
    let of_init = page.value("container_ulimits_soft", &[("id", "/"), ("ulimit", "max_open_files")]);
    let limits = fs::read_to_string("/proc/1/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    assert_eq!(of_init, Some(line.split_whitespace().next().unwrap().parse().unwrap_or(-1.0)));
    drop(bare);
    let gone = until(Duration::from_secs(5), || half.page().value("container_processes", &id) == Some(1.0));
    assert!(gone, "one has ended");
}
