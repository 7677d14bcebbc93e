//! What a runtime or a cgroup may do to us: garbage, trickles and floods cost their own figures at most.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::{ffi::OsStrExt, net::UnixStream},
    process::Command,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tests::{
    cgroup::Cgroup,
    exporter::Exporter,
    live,
    page::Page,
    running::{self, Running, Signal, until},
    scripted::{Container, Daemon, Scripted, answer, inspection},
    temp::TempDir,
};

const GOOD: &str = "900dc0de900dc0de900dc0de900dc0de900dc0de900dc0de900dc0de900dc0de";
/// What the exporter may have had at its worst, in bytes: it holds a few answers of 4 MiB at once.
const MOST_MEMORY: u64 = 256 << 20;
/// A page's line is no longer.
const LONGEST_LINE: usize = 40 << 10;

fn id(number: usize) -> String {
    format!("{number:04x}{:060x}", 0xbad)
}

fn container(name: &str) -> Container {
    Container { name: name.to_owned(), pid: 1, network: "none".to_owned(), labels: Vec::new() }
}

fn start(socket: &std::path::Path, flags: &[&str]) -> Exporter {
    let docker = format!("--docker=unix://{}", socket.display());
    let all =
        [&[docker.as_str(), "--containerd=", "--podman=", "--scrape.share=0", "--ebpf=off"], flags].concat();
    Exporter::start(&all)
}

/// One scrape, which no runtime may delay, and whose lines have a bound.
fn page(exporter: &Exporter) -> Page {
    let begun = Instant::now();
    let response = exporter.get("/metrics?collect[]=container");
    assert_eq!(response.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(20), "a scrape took {:?}", begun.elapsed());
    let text = response.text();
    let longest = text.lines().map(str::len).max().unwrap();
    assert!(longest < LONGEST_LINE, "a line of {longest} bytes");
    Page::parse(&text)
}

/// The name of a cgroup, empty if it has none; none if it is not shown.
fn name_of(page: &Page, path: &str) -> Option<String> {
    let labels = [("id", path)];
    let row = page.matching("container_last_seen", &labels).next()?;
    Some(row.labels.get("name").cloned().unwrap_or_default())
}

/// Waits until the cgroup is shown with this name, or without one.
#[track_caller]
fn comes_to_be(exporter: &Exporter, path: &str, name: Option<&str>) {
    let is_so = || name_of(&page(exporter), path).as_deref() == Some(name.unwrap_or_default());
    let so = until(Duration::from_mins(1), is_so);
    assert!(so, "{path} is {:?}, not {name:?}\n{}", name_of(&page(exporter), path), exporter.process.said());
}

fn has_stayed_small(exporter: &Exporter) {
    let status = fs::read_to_string(format!("/proc/{}/status", exporter.process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let most = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024;
    eprintln!("{most} bytes at most");
    assert!(most < MOST_MEMORY, "{most} bytes resident");
}

/// What a request is for, what is answered to it, and what the log says then.
type OfDaemon = (&'static str, fn(&mut UnixStream), &'static str);

type Evil = Box<dyn Fn(&str, &mut UnixStream) + Send + Sync>;

/// An inspection's body as it is.
fn body(make: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Evil {
    let made = OnceLock::new();
    Box::new(move |id, stream| answer(stream, "200 OK", made.get_or_init(|| make(id))))
}

fn labelled(id: &str, labels: impl Iterator<Item = (String, String)>) -> Vec<u8> {
    inspection(id, &Container { labels: labels.collect(), ..container("labelled") }).into_bytes()
}

fn trickle(stream: &mut UnixStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    while stream.write_all(b" ").is_ok() {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// A list that is as long as it may be.
fn many(head: &[u8], tail: &[u8]) -> Vec<u8> {
    [head, &b"7,".repeat(15 << 20), tail].concat()
}

fn endless(stream: &mut UnixStream, head: &[u8], piece: &[u8]) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").and_then(|()| stream.write_all(head));
    let piece = piece.repeat(65_536 / piece.len());
    while stream.write_all(&piece).is_ok() {}
}

/// What is answered about one container, the name that it then has, and what the log says of it.
fn evils() -> Vec<(Evil, Option<&'static str>, Option<&'static str>)> {
    let nonsense = Some("the answer makes no sense");
    let too_many = Some("too long or too many were left out");
    let too_large = Some("the answer is larger than");
    let long = |length: usize| "x".repeat(length);
    let numbered = |number: usize| (0..number).map(|at| (format!("k{at:07}"), "v".to_owned()));
    vec![
        (Box::new(|_, stream| trickle(stream)), None, Some("no answer in time")),
        (
            body(move |id| labelled(id, [("big".to_owned(), long(65_536))].into_iter())),
            Some("labelled"),
            too_many,
        ),
        (body(move |id| labelled(id, numbered(1_000_000))), None, too_large),
        (body(move |id| labelled(id, numbered(200_000))), Some("labelled"), too_many),
        (
            body(|id| labelled(id, (0..100).map(|at| (format!("k{at}"), "\u{fc}\"\\\n".repeat(700))))),
            Some("labelled"),
            too_many,
        ),
        (body(|id| inspection(id, &container(&"n".repeat(3 << 20))).into_bytes()), None, too_many),
        (body(|_| b"{\"Id\":".to_vec()), None, nonsense),
        (body(|_| vec![b'['; 1 << 20]), None, nonsense),
        (
            body(|id| inspection(id, &container("\u{1}")).replace("\\u0001", "\u{1}").into_bytes()),
            None,
            nonsense,
        ),
        (
            body(|id| {
                let good = inspection(id, &container("xyz")).into_bytes();
                good.into_iter().map(|byte| if byte == b'y' { 0xff } else { byte }).collect()
            }),
            None,
            nonsense,
        ),
        (Box::new(|_, stream| endless(stream, b"", b" ")), None, too_large),
        (Box::new(|_, stream| endless(stream, b"{\"Name\":[", b"[],")), None, too_large),
        (body(|_| inspection(GOOD, &container("another")).into_bytes()), None, nonsense),
        (
            body(|id| format!("{{\"Id\":\"{id}\",\"Name\":[{}7]}}", "7,".repeat(1_900_000)).into_bytes()),
            None,
            None,
        ),
        (Box::new(|_, stream| drop(stream.write_all(&[0; 4096]))), None, Some("could not be looked at")),
    ]
}

#[test]
fn whatever_is_answered_of_one_container_the_others_are_served() {
    if !live::root() {
        return;
    }
    let folder = TempDir::new("hostile");
    let socket = folder.path().join("docker.sock");
    let (evils, expected): (Vec<_>, Vec<_>) =
        evils().into_iter().map(|(evil, name, log)| (evil, (name, log))).unzip();
    let evils: HashMap<String, Evil> =
        evils.into_iter().enumerate().map(|(at, evil)| (id(at), evil)).collect();
    let _server = Scripted::start(&socket, move |target, mut stream| match target.split('/').nth(2) {
        _ if target.starts_with("/events") => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            // Silent, as long as the exporter lives.
            let _ = std::io::Read::read(&mut stream, &mut [0]);
        }
        Some("json") => answer(&mut stream, "200 OK", b"[]"),
        Some(GOOD) => answer(&mut stream, "200 OK", inspection(GOOD, &container("good")).as_bytes()),
        Some(id) => match evils.get(id) {
            Some(evil) => evil(id, &mut stream),
            None => answer(&mut stream, "404 Not Found", b"{}"),
        },
        None => {}
    });
    let exporter = start(&socket, &[]);
    let parent = Cgroup::new("hostile");
    let groups: Vec<_> = (0..expected.len()).map(|at| parent.child(&id(at))).collect();
    let good = parent.child(GOOD);
    comes_to_be(&exporter, good.path(), Some("good"));
    for (group, (name, _)) in groups.iter().zip(&expected) {
        comes_to_be(&exporter, group.path(), *name);
    }
    for (at, (name, log)) in expected.iter().enumerate() {
        let of_it = |said: &str| {
            said.lines().any(|line| line.contains(&id(at)) && log.is_none_or(|log| line.contains(log)))
        };
        // A cause that was told of one container is not told again of the next.
        let is_told = until(Duration::from_secs(20), || {
            let said = exporter.process.said();
            of_it(&said) || (name.is_none() && log.is_some_and(|log| said.contains(log)))
        });
        assert!(is_told, "nothing said of {at}, {log:?}\n{}", exporter.process.said());
    }
    let lines = exporter.process.said().lines().count();
    assert!(lines < 60, "{lines} lines in the log\n{}", exporter.process.said());
    comes_to_be(&exporter, good.path(), Some("good"));
    has_stayed_small(&exporter);
}

#[test]
fn whatever_a_daemon_does_the_rest_is_served_and_names_come_when_it_is_well() {
    if !live::root() {
        return;
    }
    let list: &[OfDaemon] = &[
        ("/containers/json", trickle, "no answer in time"),
        ("/containers/json", |stream| endless(stream, b"[", b"7,"), "larger than"),
        ("/containers/json", |stream| endless(stream, b"[[", b"7,"), "larger than"),
        ("/containers/json", |stream| answer(stream, "200 OK", b"[{\"Id\":\xff}]"), "makes no sense"),
        ("/containers/json", |stream| answer(stream, "200 OK", &many(b"[", b"7]")), ""),
        ("/containers/json", |stream| answer(stream, "200 OK", &many(b"[[", b"7]]")), ""),
        ("/containers/json", |stream| answer(stream, "200 OK", &many(b"[{\"Id\":[", b"7]}]")), ""),
        ("/events", |stream| endless(stream, b"", b"x"), "larger than"),
        ("/events", |stream| endless(stream, b"", b"{}\n"), ""),
        ("/events", |stream| answer(stream, "200 OK", b"nonsense\n"), "makes no sense"),
    ];
    for (of, evil, log) in list {
        eprintln!("{of}: {log}");
        let folder = TempDir::new("hostile");
        let socket = folder.path().join("docker.sock");
        let well = Arc::new(AtomicBool::new(false));
        let is_well = Arc::clone(&well);
        let _server = Scripted::start(&socket, move |target, mut stream| {
            if target.starts_with(of) && !is_well.load(Ordering::Relaxed) {
                return evil(&mut stream);
            }
            match target.split('/').nth(2) {
                _ if target.starts_with("/events") => {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                    let _ = std::io::Read::read(&mut stream, &mut [0]);
                }
                Some("json") => answer(&mut stream, "200 OK", b"[]"),
                Some(GOOD) => answer(&mut stream, "200 OK", inspection(GOOD, &container("good")).as_bytes()),
                _ => answer(&mut stream, "404 Not Found", b"{}"),
            }
        });
        let exporter = start(&socket, &[]);
        let parent = Cgroup::new("daemon");
        let group = parent.child(GOOD);
        let is_shown = || name_of(&page(&exporter), group.path()).is_some();
        assert!(until(Duration::from_secs(30), is_shown), "{of}, {log}: not shown");
        assert!(exporter.process.says(log, Duration::from_mins(1)), "{log}:\n{}", exporter.process.said());
        well.store(true, Ordering::Relaxed);
        comes_to_be(&exporter, group.path(), Some("good"));
        let lines = exporter.process.said().lines().count();
        assert!(lines < 60, "{lines} lines in the log\n{}", exporter.process.said());
        has_stayed_small(&exporter);
    }
}

#[test]
fn interfaces_of_whoever_has_a_container_s_old_number_are_not_its_own() {
    let can_ip = Command::new("ip").arg("-V").output().is_ok();
    if !live::root() || !live::need("the command ip", can_ip) {
        return;
    }
    // A veth is read from its other end, any other kind through the process.
    let unique = format!("vethnt{}", std::process::id() % 100_000);
    for kind in ["veth", "bridge"] {
        let stranger = Running::start(Command::new("unshare").args(["--net", "sleep", "1000"]));
        let pid = stranger.pid().to_string();
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
        assert!(until(Duration::from_secs(10), || namespace(&pid) != namespace("self")));
        let script = match kind {
            "bridge" => format!("nsenter --net=/proc/{pid}/ns/net ip link add stranger type bridge"),
            _ => format!("ip link add {unique} type veth peer name stranger netns {pid}"),
        };
        running::output(Command::new("sh").args(["-c", &script]));
        let folder = TempDir::new("reuse");
        let daemon = Daemon::start(&folder.path().join("docker.sock"));
        let it = Container { pid: stranger.pid(), network: "bridge".to_owned(), ..container("was") };
        daemon.has(GOOD, it);
        let parent = Cgroup::new("reuse");
        let group = parent.child(GOOD);
        let exporter = start(daemon.socket(), &[]);
        comes_to_be(&exporter, group.path(), Some("was"));
        let rows = || {
            let page = page(&exporter);
            page.matching("container_network_receive_bytes_total", &[("id", group.path())]).count()
        };
        for _ in 0..5 {
            assert_eq!(rows(), 0, "{kind}: another's interfaces");
        }
        fs::write(group.dir("memory").join("cgroup.procs"), &pid).unwrap();
        assert!(until(Duration::from_secs(10), || rows() == 1), "{kind}: its own interfaces");
    }
}

#[test]
fn a_cgroup_that_goes_between_open_and_read_is_not_shown() {
    if !live::root() {
        return;
    }
    let exporter = start("/nonexistent/docker.sock".as_ref(), &[]);
    let parent = Cgroup::new("vanish");
    for round in 0..5 {
        let groups: Vec<_> = (0..20).map(|at| parent.child(&format!("g{round}-{at}"))).collect();
        let paths: Vec<_> = groups.iter().map(|group| group.path().to_owned()).collect();
        comes_to_be(&exporter, &paths[19], None);
        exporter.process.signal(Signal::STOP);
        drop(groups);
        exporter.process.signal(Signal::CONT);
        let page = page(&exporter);
        for path in &paths {
            assert_eq!(page.value("container_memory_usage_bytes", &[("id", path)]), None, "{path}");
            assert_eq!(page.value("container_last_seen", &[("id", path)]), None, "{path}");
        }
        assert!(page.value("container_last_seen", &[("id", parent.path())]).is_some());
    }
}

#[test]
fn names_of_any_bytes_are_shown_apart() {
    if !live::root() {
        return;
    }
    let exporter = start("/nonexistent/docker.sock".as_ref(), &[]);
    let parent = Cgroup::new("bytes");
    let all: Vec<u8> = (1..=255).filter(|byte| !b"/\n.".contains(byte)).collect();
    let mut other = all.clone();
    other.reverse();
    let names: [&[u8]; 5] = [&all, &other, &[0xff; 255], &[0xfe; 255], b"a\"} 1\\n"];
    let folders = names.map(|name| parent.dir("memory").join(OsStr::from_bytes(name)));
    for folder in &folders {
        fs::create_dir(folder).unwrap();
    }
    let below = format!("{}/", parent.path());
    let shown = || {
        let page = page(&exporter);
        let rows = page.matching("container_last_seen", &[]);
        rows.filter_map(|row| Some(row.labels["id"].strip_prefix(&below)?.to_owned())).collect::<Vec<_>>()
    };
    let all_shown = until(Duration::from_secs(10), || shown().len() == names.len());
    let shown = shown();
    for folder in &folders {
        fs::remove_dir(folder).unwrap();
    }
    assert!(all_shown, "{shown:?}");
    assert!(shown.contains(&"//xff".repeat(255)) && shown.contains(&"//xfe".repeat(255)), "{shown:?}");
    assert!(shown.contains(&"a\"} 1\\n".to_owned()), "{shown:?}");
}
