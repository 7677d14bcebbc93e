//! The runtime client against a real Docker engine.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod runtime_support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exporter::source::runtime::docker::Docker as Client;
use exporter::source::runtime::{Answer, Health, Metadata, NetworkMode, Status};
use runtime_support::Following;
use rustix::process::{Pid, Signal, kill_process};
use tests::docker::Docker;
use tests::image::{BUSYBOX, import_busybox};

fn client(docker: &Docker) -> Following {
    Following::of(Client::new("docker", docker.socket()))
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn pid_of(docker: &Docker, id: &str) -> u32 {
    docker.run(&["inspect", "-f", "{{.State.Pid}}", id]).parse().unwrap()
}

// One test: an engine takes seconds to start, and one process has one.
#[test]
fn a_real_engine_is_understood_and_waited_for() {
    let Some(docker) = Docker::start() else { return };
    import_busybox(&docker);
    all_of_a_life_is_told(&docker);
    a_standstill_only_delays(&docker);
}

fn all_of_a_life_is_told(docker: &Docker) {
    let runs = |metadata: &Metadata| metadata.pid.is_some();

    // One that runs already.
    let before = now();
    let old = docker.container(&[
        "--name",
        "old",
        "--label",
        "x.y/z=1",
        "--label",
        "a=ü b",
        "-e",
        "APP_A=b=c",
        "-e",
        "SECRET=1",
        BUSYBOX,
        "sleep",
        "1000",
    ]);
    let after = now();
    let client = client(docker);
    let metadata = client.told(&old, runs);
    assert_eq!((metadata.name.as_str(), metadata.image.as_str()), ("old", BUSYBOX));
    let labels = [("a".to_owned(), "ü b".to_owned()), ("x.y/z".to_owned(), "1".to_owned())];
    assert_eq!(metadata.labels, labels);
    assert_eq!(metadata.env, [("APP_A".to_owned(), "b=c".to_owned())]);
    assert_eq!((metadata.pid, metadata.status), (Some(pid_of(docker, &old)), Status::Running));
    assert_eq!((&metadata.network, metadata.health, metadata.restart_count), (&NetworkMode::Own, None, 0));
    let (created, started) = (metadata.created.unwrap(), metadata.started.unwrap());
    assert!(
        before <= created && created <= started && started <= after,
        "{before} {created} {started} {after}"
    );

    // One that is looked at before it starts, as when its cgroup is found first.
    let born = docker.run(&["create", "--name", "born", "--network", "host", BUSYBOX, "sleep", "1000"]);
    client.follower.look(&born);
    let metadata = client.told(&born, |_| true);
    assert_eq!((metadata.pid, metadata.started, metadata.status), (None, None, Status::Created));
    assert_eq!((metadata.name.as_str(), metadata.network), ("born", NetworkMode::Host));
    docker.run(&["start", "born"]);
    assert_eq!(client.told(&born, runs).pid, Some(pid_of(docker, &born)));

    // Networks.
    let none = docker.container(&["--network", "none", BUSYBOX, "sleep", "1000"]);
    assert_eq!(client.told(&none, runs).network, NetworkMode::None);
    let joined = docker.container(&["--network", "container:old", BUSYBOX, "sleep", "1000"]);
    assert_eq!(client.told(&joined, runs).network, NetworkMode::Container(old.clone()));

    // A new name, a new run, a health check, an end.
    docker.run(&["rename", "old", "young"]);
    client.told(&old, |metadata| metadata.name == "young");
    docker.run(&["restart", "-t", "0", "young"]);
    let pid = Some(pid_of(docker, &old));
    let again = client.told(&old, |metadata| metadata.pid == pid);
    assert!(again.started > Some(started) && again.created == Some(created), "{again:?}");
    let checks = ["--health-cmd", "test -e /tmp/well", "--health-interval", "1s", "--health-retries", "1"];
    let checked = docker.container(&[&checks[..], &[BUSYBOX, "sleep", "1000"]].concat());
    client.told(&checked, |metadata| metadata.health == Some(Health::Unhealthy));
    docker.run(&["exec", &checked, "sh", "-c", "echo > /tmp/well"]);
    client.told(&checked, |metadata| metadata.health == Some(Health::Healthy));
    docker.run(&["kill", &born]);
    assert_eq!(client.told(&born, |metadata| metadata.pid.is_none()).status, Status::Exited);
    docker.run(&["rm", "born"]);
    let gone = Answer::Gone { id: born };
    while client.answers.recv_timeout(Duration::from_secs(20)).unwrap() != gone {}

    // An id that no container has.
    let unknown = "0".repeat(64);
    client.follower.look(&unknown);
    assert_eq!(
        client.answers.recv_timeout(Duration::from_secs(30)).unwrap(),
        Answer::Unknown { id: unknown }
    );
}

fn a_standstill_only_delays(docker: &Docker) {
    let id = docker.container(&["--name", "first", BUSYBOX, "sleep", "1000"]);
    let daemon: i32 =
        std::fs::read_to_string(docker.socket().with_file_name("pid")).unwrap().trim().parse().unwrap();
    let daemon = Pid::from_raw(daemon).unwrap();
    let client = client(docker);
    client.told(&id, |_| true);
    while client.answers.recv_timeout(Duration::from_millis(500)).is_ok() {}
    kill_process(daemon, Signal::STOP).unwrap();
    client.follower.look(&id);
    // Longer than a call may take.
    let heard = client.answers.recv_timeout(Duration::from_secs(6));
    kill_process(daemon, Signal::CONT).unwrap();
    assert!(heard.is_err(), "{heard:?}");
    client.told(&id, |metadata| metadata.name == "first");
    let later = docker.container(&["--name", "later", BUSYBOX, "sleep", "1000"]);
    client.told(&later, |metadata| metadata.name == "later");
}
