//! A real systemd and its logind, beside the reference: it, we, it again.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    os::unix::net::UnixStream,
    process::Command,
    time::{Duration, Instant},
};

use tests::{
    beside::OURS,
    dbus,
    exporter::{Exporter, binary},
    http::{self, Connection, free_address},
    page::Page,
    prometheus::program,
    running::{Running, until},
    systemd::Systemd,
};

const UNITS: [(&str, &str); 9] = [
    (
        "default.target",
        "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=dbus.service systemd-logind.service steady.service \
         once.service fails.service again.service limited.service soon.timer echo.socket\n",
    ),
    ("steady.service", "[Service]\nExecStart=/bin/sleep infinity\n"),
    ("once.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"),
    ("fails.service", "[Service]\nExecStart=/bin/false\n"),
    (
        "again.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=exec\nRestart=always\nRestartSec=100ms\n\
         ExecStart=/bin/sleep 2\n",
    ),
    (
        "limited.service",
        "[Service]\nType=forking\nTasksMax=42\nExecStart=/bin/sh -c \"sleep infinity & sleep infinity &\"\n",
    ),
    ("soon.timer", "[Timer]\nOnActiveSec=100ms\nAccuracySec=1ms\nUnit=once.service\n"),
    ("echo.socket", "[Socket]\nListenStream=/run/echo\nAccept=yes\nMaxConnections=2\n"),
    ("echo@.service", "[Service]\nStandardInput=socket\nExecStart=/bin/cat\n"),
];
const COLLECTORS: [&str; 6] = [
    "--collector.systemd",
    "--collector.logind",
    "--collector.systemd.enable-task-metrics",
    "--collector.systemd.enable-restarts-metrics",
    "--collector.systemd.enable-start-time-metrics",
    // Mounts as well, for their type.
    r"--collector.systemd.unit-exclude=.+\.(automount|device|scope|slice)",
];
/// A service ends and begins again now and then, between two readings too.
const ATTEMPTS: u32 = 20;

type Series = BTreeMap<(String, BTreeMap<String, String>), (String, f64)>;

fn series(page: &Page) -> Series {
    let own = page.samples.iter().filter(|sample| {
        ["node_systemd_", "node_logind_"].iter().any(|prefix| sample.name.starts_with(prefix))
    });
    own.map(|sample| {
        let mut labels = sample.labels.clone();
        labels.retain(|_, value| !value.is_empty());
        let kind = format!("{:?}", page.types.get(&sample.name));
        ((sample.name.clone(), labels), (kind, sample.value))
    })
    .collect()
}

fn differences(before: &Series, ours: &Series, after: &Series) -> Vec<String> {
    let mut found = Vec::new();
    for (key, (kind, value)) in ours {
        match (before.get(key), after.get(key)) {
            (Some((theirs, a)), Some((_, b)))
                if theirs == kind && (a.min(*b)..=a.max(*b)).contains(value) => {}
            theirs => found.push(format!("{key:?}: {kind} {value}, {theirs:?}")),
        }
    }
    let missing = before.keys().filter(|key| after.contains_key(key) && !ours.contains_key(key));
    found.extend(missing.map(|key| format!("missing: {key:?}")));
    found
}

struct Both {
    reference: Running,
    address: std::net::SocketAddr,
    ours: Exporter,
}

impl Both {
    fn start(mut command: impl FnMut(&std::path::Path) -> Command, flags: &[&str]) -> Option<Self> {
        let address = free_address();
        let mut reference = command(&program("prometheus-node-exporter")?);
        reference.arg("--collector.disable-defaults").args(flags);
        let reference = Running::start(reference.arg(format!("--web.listen-address={address}")));
        let up = until(Duration::from_secs(20), || http::get(address, "/").is_ok());
        assert!(up, "the reference did not start: {}", reference.said());
        let ours = Exporter::start_with(free_address(), command(&binary()).args(OURS).args(flags));
        Some(Self { reference, address, ours })
    }

    fn theirs(&self) -> Series {
        series(&Page::parse(&http::get(self.address, "/metrics").unwrap().text()))
    }

    fn agree(&self, at_least: usize) {
        let mut last = Vec::new();
        for _ in 0..ATTEMPTS {
            let (before, ours, after) = (self.theirs(), series(&self.ours.page()), self.theirs());
            assert!(
                ours.len() >= at_least,
                "{} series are too few: {}",
                ours.len(),
                self.ours.process.said()
            );
            last = differences(&before, &ours, &after);
            if last.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{last:#?}\n{}\n{}", self.ours.process.said(), self.reference.said());
    }
}

fn state(page: &Page, unit: &str, state: &str) -> Option<f64> {
    page.value("node_systemd_unit_state", &[("name", unit), ("state", state)])
}

fn scrape(exporter: &Exporter, timeout: &str) -> (Page, Duration) {
    let begun = Instant::now();
    let headers = [("X-Prometheus-Scrape-Timeout-Seconds", timeout), ("Connection", "close")];
    let answer = Connection::open(exporter.address).unwrap().request("GET", "/metrics", &headers).unwrap();
    (Page::parse(&answer.text()), begun.elapsed())
}

fn outcome(page: &Page) -> String {
    let of = [("collector", "systemd")];
    page.matching("nodetally_collector_outcome", &of).next().unwrap().labels["outcome"].clone()
}

#[test]
fn a_real_systemd_is_seen_as_the_reference_sees_it() {
    let Some(systemd) = Systemd::start(&UNITS) else { return };
    let (name, value) = dbus::address(&systemd.bus());
    let command = |program: &std::path::Path| {
        let mut command = Command::new(program);
        command.env(name, &value);
        command
    };
    let Some(both) = Both::start(command, &COLLECTORS) else { return };
    let settled = until(Duration::from_secs(30), || {
        let page = both.ours.page();
        let is = |unit, of| state(&page, unit, of) == Some(1.0);
        let ran = page.value("node_systemd_timer_last_trigger_seconds", &[("name", "soon.timer")]);
        is("default.target", "active") && is("fails.service", "failed") && ran.is_some_and(|time| time > 0.0)
    });
    assert!(settled, "{}", both.ours.process.said());
    both.agree(300);

    // Connections of a socket, one of them turned away; a session; a service that comes back.
    let path = systemd.run().join("echo");
    let held = [0; 3].map(|_| UnixStream::connect(&path).unwrap());
    let session = "sleep 1000 > /dev/null 2>&1 & busctl call org.freedesktop.login1 /org/freedesktop/login1 \
        org.freedesktop.login1.Manager CreateSession 'uusssssussbssa(sv)' 0 $! test tty user '' '' 0 '' '' true me far 0";
    systemd.command(&["sh", "-c", session]);
    let changed = until(Duration::from_secs(30), || {
        let page = both.ours.page();
        let of_socket = |family: &str| page.value(family, &[("name", "echo.socket")]);
        of_socket("node_systemd_socket_accepted_connections_total") == Some(2.0)
            && of_socket("node_systemd_socket_current_connections") == Some(2.0)
            && of_socket("node_systemd_socket_refused_connections_total") == Some(1.0)
            && page.value("node_logind_sessions", &[("remote", "true"), ("type", "tty"), ("class", "user")])
                == Some(1.0)
            && page.value("node_systemd_service_restart_total", &[("name", "again.service")]) > Some(0.0)
    });
    assert!(changed, "{}", both.ours.get("/metrics").text());
    both.agree(310);
    drop(held);

    // A type changes when systemd reads its units anew.
    systemd.rewrite("once.service", "[Service]\nType=exec\nRemainAfterExit=yes\nExecStart=/bin/true\n");
    assert_eq!(both.ours.page().matching("node_systemd_unit_state", &[("type", "oneshot")]).count(), 5);
    systemd.command(&["systemctl", "daemon-reload"]);
    let now = [("name", "once.service"), ("type", "exec")];
    assert_eq!(both.ours.page().matching("node_systemd_unit_state", &now).count(), 5, "at once");
    both.agree(310);

    // It stops, and goes on.
    systemd.freeze(true);
    for _ in 0..2 {
        let (page, took) = scrape(&both.ours, "1");
        assert!(took < Duration::from_secs(1), "took {took:?}");
        assert_eq!(outcome(&page), "late");
    }
    systemd.freeze(false);
    let back = until(Duration::from_secs(20), || outcome(&scrape(&both.ours, "5").0) == "ok");
    assert!(back, "did not come back: {}", both.ours.process.said());
    both.agree(310);
}

#[test]
fn systemd_s_own_socket_tells_the_same() {
    let Some(systemd) = Systemd::start(&UNITS) else { return };
    // The socket has one place only, and systemd wants to see who asks: each gets the other /run, in a mount namespace
    // of its own, and is a process among systemd's, with which it ends.
    let run = systemd.run();
    let command = |program: &std::path::Path| {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", systemd.pid())).args([
            "--pid",
            "--",
            "unshare",
            "--mount",
            "sh",
            "-c",
            r#"mount --bind "$1" /run; shift; exec "$@""#,
            "within",
        ]);
        command.arg(&run).arg(program).env_remove("DBUS_SYSTEM_BUS_ADDRESS");
        command
    };
    let Some(both) =
        Both::start(command, &["--collector.systemd", "--collector.systemd.private", COLLECTORS[5]])
    else {
        return;
    };
    let settled =
        until(Duration::from_secs(30), || state(&both.ours.page(), "default.target", "active") == Some(1.0));
    assert!(settled, "{}", both.ours.process.said());
    both.agree(80);
}
