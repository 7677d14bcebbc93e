//! runit and supervisord, each played by the test, beside the reference.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use tests::{
    beside::{OURS, assert_same, both, samples},
    exporter::{Exporter, binary},
    http::free_address,
    page::Page,
    temp::TempDir,
};

const NO_ENVIRONMENT: (&str, String) = ("NODETALLY_TEST", String::new());

fn start(flags: &[&str]) -> Exporter {
    Exporter::start_with(free_address(), Command::new(binary()).args(OURS).args(flags))
}

fn outcome(page: &Page, collector: &str) -> String {
    let of = [("collector", collector)];
    page.matching("nodetally_collector_outcome", &of).next().unwrap().labels["outcome"].clone()
}

fn status(time: u64, wanted: u8, state: u8) -> Vec<u8> {
    let mut status = ((1_u64 << 62) + 10 + time).to_be_bytes().to_vec();
    status.extend([0x12, 0x34, 0x56, 0x78, 0x39, 0x30, 0, 0, 0, wanted, 0, state]);
    status
}

#[test]
fn runit_s_services_are_the_reference_s() {
    let folder = TempDir::new("runit");
    folder.write("up/supervise/status", status(1_700_000_000, b'u', 1));
    folder.write("down one/supervise/status", status(1_700_000_001, b'd', 0));
    folder.write("finish\"es/supervise/status", status(1, b'u', 2));
    folder.write("odd/supervise/status", status(1_900_000_000, 0, 200));
    folder.write("odd/supervise/down", "");
    folder.write("down-file/supervise/status", status(1_700_000_002, b'd', 0));
    folder.write("down-file/down", "");
    folder.write("not supervised/run", "");
    folder.write("a file", "");
    let flag = format!("--collector.runit.servicedir={}", folder.path().display());
    let Some(both) = both(&NO_ENVIRONMENT, &[&flag], "runit") else { return };
    assert_same(both, 5 * 4);
}

/// What the reference does not see, though runit's own services are links.
#[test]
fn a_service_of_runit_may_be_a_link_and_a_status_may_be_short() {
    let folder = TempDir::new("runit");
    folder.write("real/supervise/status", status(7, b'u', 1));
    folder.write("services/short/supervise/status", "short");
    std::os::unix::fs::symlink("../real", folder.path().join("services/link")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("services/dangling")).unwrap();
    let flag = |below: &str| format!("--collector.runit.servicedir={}/{below}", folder.path().display());
    let exporter = start(&["--collector.runit", &flag("services")]);
    let page = exporter.page();
    let labels = [("service", "link"), ("supervisor", "runit")];
    assert_eq!(page.value("node_service_state_last_change_timestamp_seconds", &labels), Some(7.0));
    assert_eq!((samples(&page).len(), outcome(&page, "runit").as_str()), (4, "ok"));
    let page = start(&["--collector.runit", &flag("none")]).page();
    assert_eq!(outcome(&page, "runit"), "absent");
}

/// Answers each request with what was set last; keeps the last request.
#[derive(Clone, Default)]
struct Supervisord {
    says: Arc<Mutex<Vec<u8>>>,
    heard: Arc<Mutex<String>>,
}

impl Supervisord {
    fn serve(&self, mut stream: impl Read + Write) {
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !request.windows(13).any(|part| part == b"</methodCall>") {
            match stream.read(&mut piece) {
                Ok(length @ 1..) => request.extend_from_slice(&piece[..length]),
                _ => return,
            }
        }
        *self.heard.lock().unwrap() = String::from_utf8(request).unwrap();
        let _ = stream.write_all(&self.says.lock().unwrap());
    }

    fn on_tcp(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let this = self.clone();
        std::thread::spawn(move || {
            listener.incoming().map_while(Result::ok).for_each(|stream| this.serve(stream));
        });
        format!("--collector.supervisord.url=http://me:s%3Ac@localhost:{port}/RPC2")
    }

    fn on_unix(&self, folder: &TempDir) -> String {
        let path = folder.path().join("supervisor.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let this = self.clone();
        std::thread::spawn(move || {
            listener.incoming().map_while(Result::ok).for_each(|stream| this.serve(stream));
        });
        format!("--collector.supervisord.url=unix://{}", path.display())
    }

    fn say(&self, body: &str) {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close";
        *self.says.lock().unwrap() =
            format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
    }
}

/// As Python's library writes it, which supervisord uses.
fn processes(all: &[(&str, &str, i64, i64, i64)]) -> String {
    let mut out =
        "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n".to_owned();
    for (name, group, state, start, status) in all {
        out.push_str("<value><struct>\n");
        for (member, kind, value) in [
            ("name", "string", (*name).to_owned()),
            ("group", "string", (*group).to_owned()),
            ("start", "int", start.to_string()),
            ("stop", "int", "0".to_owned()),
            ("now", "int", "1700000100".to_owned()),
            ("state", "int", state.to_string()),
            ("statename", "string", "STATE".to_owned()),
            ("spawnerr", "string", String::new()),
            ("exitstatus", "int", status.to_string()),
            ("pid", "int", "77".to_owned()),
            ("description", "string", "pid 77, uptime &lt;1".to_owned()),
        ] {
            let value = format!("<value><{kind}>{value}</{kind}></value>");
            writeln!(out, "<member>\n<name>{member}</name>\n{value}\n</member>").unwrap();
        }
        out.push_str("</struct></value>\n");
    }
    out + "</data></array></value>\n</param>\n</params>\n</methodResponse>\n"
}

const SOME: [(&str, &str, i64, i64, i64); 7] = [
    ("stopped", "one", 0, 0, 0),
    ("starting", "one", 10, 1_700_000_000, 0),
    ("running", "one", 20, 1_700_000_001, 0),
    ("running", "two &amp; three", 20, 1_700_000_002, 1),
    ("backs off", "one", 30, 1_700_000_003, -9),
    ("stopping", "one", 40, 1_700_000_004, 0),
    ("fatal", "", 200, 1_700_000_005, 127),
];

#[test]
fn supervisord_s_processes_are_the_reference_s() {
    let (server, folder) = (Supervisord::default(), TempDir::new("supervisor"));
    server.say(&processes(&SOME));
    let (tcp, unix) = (server.on_tcp(), server.on_unix(&folder));
    let Some(first) = both(&NO_ENVIRONMENT, &[&tcp], "supervisord") else { return };
    assert_same(first, 7 * 3 + 4);
    let heard = server.heard.lock().unwrap().clone();
    assert!(heard.contains("\r\nAuthorization: Basic bWU6czpj\r\n"), "{heard}");
    assert!(heard.starts_with("POST /RPC2 HTTP/1.0\r\n"), "ours came last: {heard}");
    assert_same(both(&NO_ENVIRONMENT, &[&unix], "supervisord").unwrap(), 7 * 3 + 4);
}

#[test]
fn nonsense_from_supervisord_breaks_the_collector_and_nothing_else() {
    let server = Supervisord::default();
    server.say(&processes(&SOME));
    let exporter = start(&["--collector.supervisord", &server.on_tcp(), "--collector.loadavg"]);
    let good = samples(&exporter.page());
    assert_eq!(good.len(), 7 * 3 + 4);
    let fault = "<methodResponse><fault><value><struct><member><name>faultString</name>\
        <value><string>UNKNOWN_METHOD</string></value></member></struct></value></fault></methodResponse>";
    for (says, why) in [("no xml", "the answer makes no sense"), (fault, "UNKNOWN_METHOD")] {
        server.say(says);
        let page = exporter.page();
        assert_eq!((outcome(&page, "supervisord").as_str(), samples(&page).len()), ("broken", 0));
        assert!(page.value("node_load1", &[]).is_some(), "the others are served");
        assert!(exporter.process.says(why, Duration::from_secs(10)), "{}", exporter.process.said());
    }
    *server.says.lock().unwrap() = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec();
    assert_eq!(outcome(&exporter.page(), "supervisord"), "broken");
    *server.says.lock().unwrap() = b"\xff\xfe".repeat(100_000);
    assert_eq!(outcome(&exporter.page(), "supervisord"), "broken");
    // More than any supervisord says.
    server.say(&"<a>".repeat(4 << 20));
    assert_eq!(outcome(&exporter.page(), "supervisord"), "broken");
    assert!(!exporter.process.said().contains("s:c"), "the password is in no message");
    server.say(&processes(&SOME));
    assert_eq!(samples(&exporter.page()), good);
}
