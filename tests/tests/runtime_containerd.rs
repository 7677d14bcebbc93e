//! The client of containerd against a real one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod runtime_support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exporter::source::runtime::containerd::Containerd as Client;
use exporter::source::runtime::{Answer, NetworkMode, Status};
use runtime_support::{Following, runs};
use tests::containerd::{Containerd, IMAGE};

const SLEEP: &[&str] = &["sleep", "1000"];

fn told_gone(client: &Following, id: &str) {
    client.hears(|answer| (*answer == Answer::Gone { id: id.to_owned() }).then_some(()));
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The cgroup of a process, which is the same in all hierarchies here.
fn cgroup_of(pid: u32) -> String {
    let all = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let of_memory = all.lines().find(|line| line.contains(":memory:")).or(all.lines().last());
    of_memory.unwrap().rsplit(':').next().unwrap().to_owned()
}

// One test: a daemon takes seconds to start.
#[test]
fn a_real_containerd_is_understood_and_waited_for() {
    let Some(mut containerd) = Containerd::start(2) else { return };
    what_runs_is_told_whatever_its_namespace(&containerd);
    a_life_is_told(&containerd);
    some_are_not_asked_for(&containerd);
    a_restart_only_delays(&mut containerd);
}

fn what_runs_is_told_whatever_its_namespace(containerd: &Containerd) {
    let (one, two) = (containerd.namespace(0), containerd.namespace(1));
    let before = now();
    let flags = ["-d", "--label", "x.y/z=1", "--label", "a=ü b", "--env", "APP_X=1=2", "--env", "SECRET=1"];
    containerd.container(one, &flags, "same", SLEEP);
    containerd.container(two, &["-d", "--net-host", "--label", "nerdctl/name=web"], "same", SLEEP);
    let after = now();
    let client = Following::of(Client::new(containerd.socket()));
    let pids = [containerd.pid_of(one, "same"), containerd.pid_of(two, "same")];
    let metadata = client.told("same", |metadata| metadata.pid == Some(pids[0]));
    assert_eq!((metadata.name.as_str(), metadata.status), ("same", Status::Running));
    assert_eq!(metadata.key, format!("{one}/same"));
    assert_eq!(metadata.image, IMAGE);
    let label =
        |key: &str| metadata.labels.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    assert_eq!((label("a"), label("x.y/z"), label("b")), (Some("ü b"), Some("1"), None));
    assert_eq!(metadata.env, [("APP_X".to_owned(), "1=2".to_owned())]);
    assert_eq!(metadata.cgroup.as_deref(), Some(format!("/{one}/same").as_str()));
    assert_eq!(metadata.cgroup, Some(cgroup_of(pids[0])));
    assert_eq!((metadata.network, metadata.restart_count, metadata.sandbox), (NetworkMode::Own, 0, false));
    let created = metadata.created.unwrap();
    assert!(before <= created && created <= after, "{before} {created} {after}");

    let client = Following::of(Client::new(containerd.socket()));
    let metadata = client.told("same", |metadata| metadata.pid == Some(pids[1]));
    assert_eq!((metadata.name.as_str(), metadata.network), ("web", NetworkMode::Host));
    assert_eq!(metadata.cgroup, Some(cgroup_of(pids[1])));
}

fn a_life_is_told(containerd: &Containerd) {
    let one = containerd.namespace(0);
    let client = Following::of(Client::new(containerd.socket()));
    client.told("same", runs);

    // A birth, a new label, a process more, a standstill.
    containerd.container(one, &["-d"], "born", SLEEP);
    let pid = containerd.pid_of(one, "born");
    assert_eq!(client.told("born", runs).pid, Some(pid));
    containerd.run(one, &["c", "label", "born", "nerdctl/name=renamed"]);
    client.told("born", |metadata| metadata.name == "renamed");
    containerd.run(one, &["task", "exec", "--exec-id", "more", "--fifo-dir", "/tmp", "born", "true"]);
    containerd.run(one, &["task", "pause", "born"]);
    let metadata = client.hears(|answer| match answer {
        Answer::Is(metadata) if metadata.id == "born" => Some(metadata.as_ref().clone()),
        _ => None,
    });
    assert_eq!(metadata.status, Status::Paused, "the process more was no news");
    containerd.run(one, &["task", "resume", "born"]);
    client.told("born", runs);

    // Another's network.
    let path = format!("network:/proc/{pid}/ns/net");
    containerd.container(one, &["-d", "--with-ns", &path], "joined", SLEEP);
    assert_eq!(client.told("joined", runs).network, NetworkMode::Container("born".to_owned()));

    // An end, and one after another.
    containerd.run(one, &["task", "kill", "-s", "KILL", "born"]);
    assert_eq!(client.told("born", |metadata| metadata.pid.is_none()).status, Status::Exited);
    containerd.run(one, &["task", "rm", "-f", "born"]);
    containerd.run(one, &["c", "rm", "born"]);
    told_gone(&client, &format!("{one}/born"));

    // One that is gone at once is known nonetheless.
    containerd.container(one, &["--rm", "--label", "short=1"], "short", &["true"]);
    let metadata = client.told("short", |_| true);
    assert!(metadata.labels.contains(&("short".to_owned(), "1".to_owned())), "{metadata:?}");
    told_gone(&client, &format!("{one}/short"));

    // By the cgroup's name alone, in a namespace that is not known.
    let hex = "0123456789abcdef".repeat(4);
    containerd.container(containerd.namespace(1), &["-d"], &hex, SLEEP);
    client.told(&hex, runs);
    client.follower.look(&hex);
    let metadata = client.told(&hex, runs);
    assert_eq!(metadata.cgroup, Some(format!("/{}/{hex}", containerd.namespace(1))));
    assert_eq!(metadata.key, format!("{}/{hex}", containerd.namespace(1)), "events tell its end by this");
    let mut unknown = vec!["0".repeat(64)];
    unknown.extend(["nowhere/same", "a/b/c", "../..", "é"].map(str::to_owned));
    for id in &unknown {
        client.follower.look(id);
    }
    client.hears(|answer| {
        unknown.retain(|id| *answer != Answer::Unknown { id: id.clone() });
        unknown.is_empty().then_some(())
    });
}

fn some_are_not_asked_for(containerd: &Containerd) {
    let (one, two) = (containerd.namespace(0), containerd.namespace(1));
    let only = Following::of(Client::new(containerd.socket()).only(two));
    let docker = ["-d", "--label", "com.docker/engine.bundle.path=/x"];
    let without = Following::of(Client::new(containerd.socket()).without_docker());
    without.told("same", runs);
    containerd.container(one, &docker, "dockers", SLEEP);
    containerd.container(two, &["-d"], "last", SLEEP);
    let mut heard = Vec::new();
    only.hears(|answer| {
        heard.extend(match answer {
            Answer::Is(metadata) => metadata.cgroup.clone(),
            other => panic!("{other:?}"),
        });
        matches!(answer, Answer::Is(metadata) if metadata.id == "last" && runs(metadata)).then_some(())
    });
    assert!(heard.iter().all(|cgroup| cgroup.starts_with(&format!("/{two}/"))), "{heard:?}");
    let id = format!("{one}/dockers");
    without.hears(|answer| match answer {
        Answer::Is(metadata) if metadata.id == "dockers" => panic!("{metadata:?}"),
        Answer::Unknown { id: unknown } => (*unknown == id).then_some(()),
        _ => None,
    });
}

fn a_restart_only_delays(containerd: &mut Containerd) {
    let client = Following::of(Client::new(containerd.socket()));
    client.told("same", runs);
    let one = containerd.namespace(0).to_owned();
    containerd.container(&one, &["-d"], "ends", SLEEP);
    let ends = client.told("ends", runs).pid.unwrap();
    while client.answers.recv_timeout(Duration::from_millis(500)).is_ok() {}
    containerd.stop();
    let pid = rustix::process::Pid::from_raw(i32::try_from(ends).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(client.answers.recv_timeout(Duration::from_millis(500)).ok(), None, "nothing is known yet");
    containerd.start_again();
    client.told("ends", |metadata| metadata.pid.is_none());
    containerd.container(&one, &["-d"], "later", SLEEP);
    client.told("later", runs);
    client.follower.look(&format!("{one}/same"));
    client.told("same", runs);
}
