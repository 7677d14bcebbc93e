//! The client against a daemon that is scripted to be well, slow, broken, or gone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::follow::{Follower, Followers, Pace};
use super::super::{Answer, Health, Keep, Metadata, Status};
use super::Docker;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// How the daemon answers one kind of call instead of well.
#[derive(Clone)]
enum Odd {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// Nothing, with the connection left open.
    Silence,
    /// Well, after this time.
    After(Duration),
    /// This status.
    Status(u16),
    /// A head, then a body without end.
    Endless,
}

#[derive(Default)]
struct State {
    /// Running containers: name and pid by id.
    containers: BTreeMap<String, (String, u32)>,
    odd: HashMap<String, Odd>,
    calls: Vec<String>,
    streams: Vec<UnixStream>,
    /// Left open on purpose.
    silent: Vec<UnixStream>,
    over: bool,
}

/// A scripted daemon.
struct Daemon {
    socket: PathBuf,
    state: Arc<Mutex<State>>,
}

impl Daemon {
    fn start(socket: &PathBuf, containers: &[(&str, &str, u32)]) -> Self {
        let containers =
            containers.iter().map(|(id, name, pid)| ((*id).to_owned(), ((*name).to_owned(), *pid))).collect();
        let state = Arc::new(Mutex::new(State { containers, ..State::default() }));
        let listener = UnixListener::bind(socket).unwrap();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().over {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Self { socket: socket.clone(), state }
    }

    fn odd(&self, target: &str, odd: Odd) {
        self.state.lock().unwrap().odd.insert(target.to_owned(), odd);
    }

    fn well(&self, target: &str) {
        self.state.lock().unwrap().odd.remove(target);
    }

    fn has(&self, id: &str, name: &str, pid: u32) {
        self.state.lock().unwrap().containers.insert(id.to_owned(), (name.to_owned(), pid));
    }

    fn lacks(&self, id: &str) {
        self.state.lock().unwrap().containers.remove(id);
    }

    fn calls(&self, target: &str) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|call| call.starts_with(target)).count()
    }

    fn wait_for_calls(&self, target: &str, number: usize) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.calls(target) < number {
            assert!(Instant::now() < deadline, "fewer than {number} calls of {target}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends an event, cut in two chunks.
    fn event(&self, action: &str, id: &str) {
        let line = format!(
            r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"{id}","Attributes":{{}}}}}}"#
        );
        let (head, tail) = line.split_at(line.len() / 2);
        for stream in &mut self.state.lock().unwrap().streams {
            for part in [head, tail, "\n"] {
                let _ = write!(stream, "{:x}\r\n{part}\r\n", part.len());
            }
        }
    }

    fn cut_streams(&self) {
        for stream in self.state.lock().unwrap().streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.state.lock().unwrap().over = true;
        let _ = UnixStream::connect(&self.socket);
        let _ = std::fs::remove_file(&self.socket);
        self.cut_streams();
    }
}

fn serve(mut stream: UnixStream, shared: &Mutex<State>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    let odd = {
        let mut state = shared.lock().unwrap();
        state.calls.push(target.clone());
        state.odd.iter().find(|(odd, _)| target.starts_with(*odd)).map(|(_, odd)| odd.clone())
    };
    match odd {
        Some(Odd::Bytes(bytes)) => return drop(stream.write_all(&bytes)),
        Some(Odd::Silence) => return shared.lock().unwrap().silent.push(stream),
        Some(Odd::Status(status)) => {
            return drop(write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"));
        }
        Some(Odd::Endless) => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n[");
            while stream.write_all(&[b' '; 4096]).is_ok() {}
            return;
        }
        Some(Odd::After(time)) => std::thread::sleep(time),
        None => {}
    }
    let mut state = shared.lock().unwrap();
    if target.starts_with("/events") {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        return state.streams.push(stream);
    }
    let body = if target == "/containers/json" {
        let running = state.containers.iter().filter(|(_, (_, pid))| *pid != 0);
        let entries: Vec<String> = running
            .map(|(id, (name, _))| {
                format!(r#"{{"Id":"{id}","Names":["/{name}"],"State":"running","Status":"Up"}}"#)
            })
            .collect();
        Some(format!("[{}]", entries.join(",")))
    } else {
        let id = target.split('/').nth(2).unwrap();
        state.containers.get(id).map(|(name, pid)| {
            let status = if *pid == 0 { "created" } else { "running" };
            format!(
                r#"{{"Id":"{id}","Name":"/{name}","State":{{"Status":"{status}","Pid":{pid},"Health":{{"Status":"healthy"}}}},
                    "Config":{{"Image":"img:1","Labels":{{"k":"v"}}}},"HostConfig":{{"NetworkMode":"host"}}}}"#
            )
        })
    };
    let _ = match body {
        Some(body) => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
        None => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{{}}"),
    };
}

/// The socket's path, in a folder of its own that goes with it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("docker-client-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("d.sock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The thread goes with it.
struct Client {
    follower: Follower,
    _followers: Followers,
}

impl Client {
    fn look(&self, id: &str) {
        self.follower.look(id);
    }
}

fn client(place: &Place) -> (Client, Receiver<Answer>) {
    let (sender, answers) = channel();
    let docker = Docker::new("docker", place.socket()).within(Duration::from_millis(300));
    let pace = Pace {
        retry_first: Duration::from_millis(5),
        tries: 6,
        reconnect_first: Duration::from_millis(10),
        reconnect_longest: Duration::from_millis(40),
    };
    let followers = Followers::start().unwrap();
    let answer = move |answer| drop(sender.send(answer));
    let follower = followers.follow(docker, pace, Arc::new(Keep::default()), answer);
    (Client { follower, _followers: followers }, answers)
}

fn next(answers: &Receiver<Answer>) -> Answer {
    answers.recv_timeout(Duration::from_secs(10)).unwrap()
}

fn next_container(answers: &Receiver<Answer>) -> Metadata {
    match next(answers) {
        Answer::Is(metadata) => *metadata,
        other => panic!("{other:?}"),
    }
}

fn silence(answers: &Receiver<Answer>) {
    assert_eq!(answers.recv_timeout(Duration::from_millis(200)), Err(RecvTimeoutError::Timeout));
}

#[test]
fn what_runs_already_is_told_and_then_nothing_is_polled() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket(), &[(A, "web", 7), (B, "db", 8)]);
    let (_client, answers) = client(&place);
    let mut told = [next_container(&answers), next_container(&answers)];
    told.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!((told[0].name.as_str(), told[0].pid, told[0].image.as_str()), ("web", Some(7), "img:1"));
    assert_eq!(
        (told[1].name.as_str(), told[1].health, told[1].status),
        ("db", Some(Health::Healthy), Status::Running)
    );
    silence(&answers);
    assert_eq!(daemon.calls("/"), 4, "events, a list and two inspections");
}

#[test]
fn a_birth_is_retried_until_the_runtime_knows_it_and_it_runs() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket(), &[]);
    let (client, answers) = client(&place);
    client.look(A);
    client.look(A);
    daemon.wait_for_calls("/containers/a", 2);
    daemon.has(A, "web", 0);
    let early = next_container(&answers);
    assert_eq!((early.name.as_str(), early.pid, early.status), ("web", None, Status::Created));
    daemon.has(A, "web", 7);
    while next_container(&answers).pid != Some(7) {}
    silence(&answers);
}

#[test]
fn what_no_runtime_knows_is_given_up() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket(), &[]);
    let (client, answers) = client(&place);
    client.look(A);
    assert_eq!(next(&answers), Answer::Unknown { id: A.to_owned() });
    assert_eq!(daemon.calls("/containers/a"), 6);
    for odd in ["", "../version", "a b"] {
        client.look(odd);
        assert_eq!(next(&answers), Answer::Unknown { id: odd.to_owned() });
    }
    assert_eq!(daemon.calls("/"), 8, "events, a list, and what could be a container");
}

#[test]
fn events_bring_new_names_and_ends() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket(), &[(A, "old", 7)]);
    let (_client, answers) = client(&place);
    assert_eq!(next_container(&answers).name, "old");
    daemon.has(A, "new", 7);
    daemon.event("rename", A);
    assert_eq!(next_container(&answers).name, "new");
    daemon.has(B, "other", 9);
    daemon.event("start", B);
    assert_eq!(next_container(&answers).name, "other");
    daemon.event("health_status: unhealthy", B);
    assert_eq!(next_container(&answers).name, "other");
    daemon.event("exec_create: true", B);
    silence(&answers);
    daemon.lacks(A);
    daemon.event("destroy", A);
    assert_eq!(next(&answers), Answer::Gone { id: A.to_owned() });
}

#[test]
fn a_look_that_outlives_its_container_says_nothing() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket(), &[]);
    let (client, answers) = client(&place);
    daemon.wait_for_calls("/containers/json", 1);
    daemon.has(A, "web", 7);
    daemon.odd("/containers/a", Odd::After(Duration::from_millis(150)));
    client.look(A);
    daemon.wait_for_calls("/containers/a", 1);
    daemon.event("destroy", A);
    assert_eq!(next(&answers), Answer::Gone { id: A.to_owned() });
    silence(&answers);
}

#[test]
fn one_that_hangs_does_not_hold_up_the_others() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket(), &[(A, "web", 7), (B, "db", 8)]);
    daemon.odd("/containers/a", Odd::Silence);
    let (_client, answers) = client(&place);
    assert_eq!(next_container(&answers).name, "db");
    daemon.wait_for_calls("/containers/a", 3);
    daemon.well("/containers/a");
    assert_eq!(next_container(&answers).name, "web");
}

#[test]
fn whatever_the_daemon_answers_the_names_come_in_the_end() {
    let good = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
    let mut odd =
        vec![Odd::Silence, Odd::Status(500), Odd::Endless, Odd::Bytes(vec![]), Odd::Bytes(vec![0; 70_000])];
    for body in [&b"[{\"Id\":"[..], b"nonsense"] {
        odd.push(Odd::Bytes([good, body].concat()));
    }
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in
        [&b"5\r\n[7,{}\r\nzz"[..], b"ffffffffffffffffff\r\n", b"8\r\nnonsense\r\n0\r\n\r\n", b"3\r\n{}\n\r\n"]
    {
        odd.push(Odd::Bytes([chunked, body].concat()));
    }
    odd.push(Odd::Bytes(b"HTTP/1.1 200 OK\r\n".repeat(20_000)));
    for target in ["/containers/json", "/containers/a", "/events"] {
        for odd in &odd {
            let place = Place::new();
            let daemon = Daemon::start(&place.socket(), &[(A, "web", 7)]);
            daemon.odd(target, odd.clone());
            let (_client, answers) = client(&place);
            // Without events one list follows at once, and the next call only after a while.
            let no_events = target == "/events" && matches!(odd, Odd::Status(_));
            daemon.wait_for_calls(target, if no_events { 1 } else { 2 });
            daemon.well(target);
            assert_eq!(next_container(&answers).name, "web");
        }
    }
}

#[test]
fn a_daemon_without_events_is_listed() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket(), &[(A, "web", 7)]);
    daemon.odd("/events", Odd::Status(404));
    let (client, answers) = client(&place);
    assert_eq!(next_container(&answers).name, "web");
    daemon.has(B, "db", 8);
    client.look(B);
    assert_eq!(next_container(&answers).name, "db");
}

#[test]
fn a_daemon_that_comes_late_and_again_is_found() {
    let place = Place::new();
    let (client, answers) = client(&place);
    client.look(B);
    silence(&answers);
    let daemon = Daemon::start(&place.socket(), &[(A, "web", 7), (B, "db", 8)]);
    let mut names = [next_container(&answers).name, next_container(&answers).name];
    names.sort();
    assert_eq!(names, ["db", "web"]);
    drop(daemon);
    // While it was away one container was renamed, one was taken away, and one stayed as it was.
    let c = "c".repeat(64);
    let daemon = Daemon::start(&place.socket(), &[(A, "renamed", 7), (&c, "cache", 9)]);
    let mut names = Vec::new();
    let mut gone = Vec::new();
    while names.len() + gone.len() < 3 {
        match next(&answers) {
            Answer::Is(metadata) => names.push(metadata.name),
            Answer::Gone { id } => gone.push(id),
            other @ Answer::Unknown { .. } => panic!("{other:?}"),
        }
    }
    names.sort();
    assert_eq!((names, gone), (vec!["cache".to_owned(), "renamed".to_owned()], vec![B.to_owned()]));
    // A stream that is merely cut costs a list, not an inspection of everything.
    let before = (daemon.calls("/containers/json"), daemon.calls("/containers/a"));
    daemon.cut_streams();
    daemon.wait_for_calls("/containers/json", before.0 + 1);
    silence(&answers);
    assert_eq!(daemon.calls("/containers/a"), before.1);
}

#[test]
fn dropping_the_client_is_quick_whatever_it_waits_for() {
    for target in ["/events", "/containers/json", "/containers/a", "nothing"] {
        let place = Place::new();
        let daemon = Daemon::start(&place.socket(), &[(A, "web", 7)]);
        daemon.odd(target, Odd::Silence);
        let (client, answers) = client(&place);
        daemon.wait_for_calls("/events", 1);
        let began = Instant::now();
        drop(client);
        assert!(began.elapsed() < Duration::from_millis(250), "{target}: {:?}", began.elapsed());
        // The thread is over: nobody is left to send.
        while let Ok(answer) = answers.recv_timeout(Duration::ZERO) {
            assert!(matches!(answer, Answer::Is(_)));
        }
        assert_eq!(answers.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Disconnected));
    }
}
