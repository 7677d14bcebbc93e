//! Tasks killed for want of memory: by the cgroup's file, by the kernel's log, and what of it outlives the cgroup.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod container_support;

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use container_support::{Half, settings, tree::Tree};
use exporter::source::kmsg::Kmsg;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tests::{cgroup::Cgroup, exporter::Exporter, live, load, running::until};

const EVENTS: &str = "container_oom_events_total";

/// A log that a test writes, record by record as the kernel gives them.
fn log() -> (OwnedFd, Kmsg) {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    (ours, Kmsg::over(theirs))
}

fn say(log: &OwnedFd, record: &str) {
    let begun = Instant::now();
    while rustix::io::write(log, record.as_bytes()).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody reads the log");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn kill(path: &str) -> String {
    format!(
        "6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={path},\
         task_memcg={path},task=x,pid=7,uid=0\n"
    )
}

fn events(half: &mut Half, path: &str) -> Option<f64> {
    half.page().value(EVENTS, &[("id", path)])
}

/// Scrapes until that many are shown.
#[track_caller]
fn comes_to(half: &mut Half, path: &str, expected: f64) {
    let came = until(Duration::from_secs(5), || events(half, path) == Some(expected));
    assert!(came, "{path}: {:?}, expected {expected}", events(half, path));
}

fn kills(tree: &Tree, folder: &str, number: u64) {
    let local = format!("low 0\nhigh 0\nmax 9\noom 8\noom_kill {number}\noom_group_kill 0\n");
    tree.write(folder, &[("memory.stat", "anon 1\n"), ("memory.events.local", &local)]);
}

#[test]
fn file_and_log_are_one_count_and_the_parent_keeps_it() {
    let tree = Tree::v2();
    tree.set_cpu("cgroup/a/plain", 1);
    for (folder, number) in [("cgroup/a", 0), ("cgroup/a/b", 3), ("cgroup/a/c,task=d", 0)] {
        tree.set_cpu(folder, 1);
        kills(&tree, folder, number);
    }
    let (log, kmsg) = log();
    say(&log, &kill("/a/b"));
    let mut half = tree.half_hearing(&settings(), None, Some(kmsg));
    // (A socket keeps what was said before it was read; the kernel's log is read from its end.)
    comes_to(&mut half, "/a/b", 4.0);
    kills(&tree, "cgroup/a/b", 4);
    comes_to(&mut half, "/a/b", 4.0);
    assert_eq!(events(&mut half, "/a"), Some(0.0), "the victim's own alone");
    assert_eq!(events(&mut half, "/a/plain"), None, "no controller");

    for record in [
        "14,1,2,-;oom-kill:constraint=X,task_memcg=/a/b,task=x,pid=1,uid=0",
        "6,1,2,-;oom-kill:constraint=X,task_memcg=/a/b/none,task=x,pid=1,uid=0",
        "6,1,2,-;oom-kill:constraint=X,cpuset=c,task_memcg=/a,task=y,task_memcg=/a/b,task=x,pid=1,uid=0",
        "6,1,2,-;oom-kill:constraint=X,task_memcg=a/b,task=x,pid=1,uid=0",
        "nonsense",
        ";;;;",
    ] {
        say(&log, record);
    }
    for _ in 0..500 {
        say(&log, &kill("/never/there"));
    }
    say(&log, &kill("/a/c,task=d"));
    comes_to(&mut half, "/a/c,task=d", 1.0);
    assert_eq!((events(&mut half, "/a"), events(&mut half, "/a/b")), (Some(0.0), Some(4.0)));

    say(&log, &kill("/a/b"));
    tree.remove("cgroup/a/b");
    assert!(half.goes("container_last_seen", &[("id", "/a/b")]));
    comes_to(&mut half, "/a/b", 5.0);
    comes_to(&mut half, "/a", 2.0);
    kills(&tree, "cgroup/a/b", 0);
    tree.add("cgroup/a/b", 1);
    comes_to(&mut half, "/a/b", 0.0);
    assert_eq!(events(&mut half, "/a"), Some(2.0));

    // The kernel says that it killed, but not where; then the log ends.
    tree.write("proc", &[("vmstat", "oom_kill 1\n")]);
    half.page();
    half.page();
    kills(&tree, "cgroup/a/b", 1);
    for _ in ["the one named last", "another"] {
        say(&log, "3,1,2,-;Memory cgroup out of memory: Killed process 7 (x) total-vm:1kB\n");
    }
    comes_to(&mut half, "/a/b", 1.0);
    drop(log);
    tree.write("proc", &[("vmstat", "oom_kill 2\n")]);
    kills(&tree, "cgroup/a/b", 2);
    comes_to(&mut half, "/a/b", 2.0);
}

#[test]
fn files_are_read_when_something_was_killed() {
    let tree = Tree::v1();
    let control = |number: u64| format!("oom_kill_disable 0\nunder_oom 0\noom_kill {number}\n");
    let write = |machine: u64, own: u64| {
        tree.write("proc", &[("vmstat", &format!("nr_free_pages 1\noom_kill {machine}\n"))]);
        tree.write("memory/a", &[("memory.stat", "cache 1\n"), ("memory.oom_control", &control(own))]);
    };
    write(7, 2);
    let mut half = tree.half(&settings(), None);
    assert_eq!(events(&mut half, "/a"), Some(2.0));
    events(&mut half, "/a");
    write(7, 3);
    assert_eq!(events(&mut half, "/a"), Some(2.0), "read for no reason");
    write(8, 3);
    assert_eq!(events(&mut half, "/a"), Some(3.0));
    // The machine's number comes a moment before the cgroup's.
    write(8, 4);
    assert_eq!(events(&mut half, "/a"), Some(4.0));
    assert_eq!(half.page_of(&["cpu"]).value(EVENTS, &[("id", "/a")]), None);
}

/// Takes more than the group may have.
fn is_killed(group: &Cgroup) {
    let status = group.start(&load::memory(256 << 20)).wait(Duration::from_mins(1));
    assert!(!status.expect("over by now").success(), "killed");
}

#[test]
fn a_real_kill_is_counted_and_outlives_its_cgroup() {
    if !live::root() || !live::need("/dev/kmsg", Kmsg::open(&["/".as_ref()]).is_ok()) {
        return;
    }
    for ebpf in ["--ebpf=auto", "--ebpf=off"] {
        let exporter = Exporter::start(&[ebpf, "--docker=", "--scrape.share=0"]);
        let shown =
            |path: &str| exporter.page_of("/metrics?collect[]=container").value(EVENTS, &[("id", path)]);
        let comes_to =
            |path: &str, number: f64| until(Duration::from_secs(5), || shown(path) == Some(number));
        let parent = Cgroup::new("oom");
        let stays = parent.child("stays,task=x");
        stays.limit_memory(16 << 20);
        assert!(comes_to(stays.path(), 0.0), "{ebpf}: {:?}", shown(stays.path()));
        for number in [1.0, 2.0] {
            is_killed(&stays);
            assert!(comes_to(stays.path(), number), "{ebpf}: {:?}", shown(stays.path()));
        }
        assert_eq!(shown(parent.path()), Some(0.0), "{ebpf}: not the parent's own");

        // The kernel tells of ten kills in five seconds, whoever lost them.
        let path = format!("{}/passes", parent.path());
        let is_told = (0..3).any(|_| {
            let passes = Cgroup::at(&path);
            passes.limit_memory(16 << 20);
            is_killed(&passes);
            drop(passes);
            comes_to(parent.path(), 1.0)
        });
        assert!(is_told, "{ebpf}: {:?} in the parent", shown(parent.path()));
        assert_eq!(shown(&path), Some(1.0), "{ebpf}: in the dead one's row");
        let again = Cgroup::at(&path);
        assert!(comes_to(again.path(), 0.0), "{ebpf}: {:?} in a new one", shown(&path));
        assert_eq!(shown(parent.path()), Some(1.0));
        drop(again);
        drop(stays);
        assert!(comes_to(parent.path(), 3.0), "{ebpf}: {:?} in the parent", shown(parent.path()));
    }
}
