//! Collectors that ask a service manager: on a bus that says what the test wants, beside the reference where there is one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use tests::{
    beside::{OURS, assert_same, both, samples},
    dbus::{self, Body, Objects, Server, Unit, Value},
    exporter::{Exporter, binary},
    http::{Connection, free_address},
    page::Page,
    running::{Signal, until},
    temp::TempDir,
};

/// Our default, which is the upstream's; Debian's build of the reference has another.
const EXCLUDE: &str = r"--collector.systemd.unit-exclude=.+\.(automount|device|mount|scope|slice)";

fn exporter_at(address: SocketAddr, server: &Server, flags: &[&str]) -> Exporter {
    let (name, value) = dbus::address(&server.socket());
    Exporter::start_with(address, Command::new(binary()).args(OURS).args(flags).env(name, value))
}

const MANAGER: &str = "/org/freedesktop/systemd1";

/// Units of every kind and state, with odd names and properties that some lack.
fn some_units() -> Objects {
    let mut objects = Objects::default();
    dbus::systemd(&mut objects, "252.38-1~deb12u1", "", "running");
    let mut units = vec![
        Unit::new("plain.service", "active", "running"),
        Unit::new("failed.service", "failed", "failed"),
        Unit::new("once@a-b\\x2dc.service", "inactive", "dead"),
        Unit::new("starts.service", "activating", "start"),
        Unit::new("stops.service", "deactivating", "stop"),
        Unit::new("reloads.service", "reloading", "reload"),
        Unit::new("untold.service", "active", "exited"),
        Unit { load: "not-found", ..Unit::new("missing.service", "inactive", "dead") },
        Unit { load: "masked", ..Unit::new("masked.service", "inactive", "dead") },
        Unit::new("bus.socket", "active", "running"),
        Unit::new("old.socket", "active", "listening"),
        Unit::new("mute.socket", "inactive", "dead"),
        Unit::new("daily.timer", "active", "waiting"),
        Unit::new("never.timer", "active", "waiting"),
        Unit::new("basic.target", "active", "active"),
        Unit::new("data.mount", "active", "mounted"),
        Unit::new("-.slice", "active", "active"),
        Unit::new("dev-sda.device", "active", "plugged"),
        Unit::new("grün.path", "active", "waiting"),
    ];
    dbus::list_units(&mut objects, &units);
    units.retain(|unit| unit.name != "untold.service");
    for (place, unit) in (1..).zip(&units) {
        let mut set = |property: &str, value| {
            objects.set(&unit.object(), &format!("org.freedesktop.systemd1.{property}"), value);
        };
        set("Unit.ActiveEnterTimestamp", Value::U64(1_700_000_000_123_456 + place));
        match unit.name.rsplit('.').next().unwrap() {
            "service" => {
                set(
                    "Service.Type",
                    Value::Text(["simple", "oneshot", "notify"][unit.name.len() % 3].to_owned()),
                );
                set("Service.NRestarts", Value::U32(u32::try_from(place).unwrap()));
                set(
                    "Service.TasksCurrent",
                    Value::U64(if unit.active == "active" { place } else { u64::MAX }),
                );
                set("Service.TasksMax", Value::U64(if place % 2 == 0 { u64::MAX } else { 4915 }));
            }
            "mount" => set("Mount.Type", Value::Text("ext4".to_owned())),
            "timer" => set("Timer.LastTriggerUSec", Value::U64((place % 2) * 1_700_000_000_999_999)),
            "socket" if unit.name != "mute.socket" => {
                set("Socket.NAccepted", Value::U32(4_000_000_000));
                set("Socket.NConnections", Value::U32(2));
                if unit.name == "bus.socket" {
                    set("Socket.NRefused", Value::U32(1));
                }
            }
            _ => {}
        }
    }
    objects
}

const ALL_METRICS: [&str; 3] = [
    "--collector.systemd.enable-task-metrics",
    "--collector.systemd.enable-restarts-metrics",
    "--collector.systemd.enable-start-time-metrics",
];

#[test]
fn systemd_s_units_are_the_reference_s() {
    let server = Server::start(some_units());
    let environment = dbus::address(&server.socket());
    let flags = [EXCLUDE, ALL_METRICS[0], ALL_METRICS[1], ALL_METRICS[2]];
    let Some(first) = both(&environment, &flags, "systemd") else { return };
    assert_same(first, 100);
    let all = "--collector.systemd.unit-exclude=.+\\.target";
    assert_same(both(&environment, &[all], "systemd").unwrap(), 90);
    let some = ["--collector.systemd.unit-include=(plain|bus)\\.s.*|daily", EXCLUDE];
    assert_same(both(&environment, &some, "systemd").unwrap(), 20);

    // A manager of before there were states, one that tells little, and one that is degraded.
    server.change(|objects| dbus::systemd(objects, "208", "kvm", "running"));
    assert_same(both(&environment, &[EXCLUDE], "systemd").unwrap(), 60);
    server.change(|objects| dbus::systemd(objects, "v257~rc1-22.fc42", "none", "degraded"));
    assert_same(both(&environment, &[EXCLUDE], "systemd").unwrap(), 60);
    server.change(|objects| {
        let told =
            |property: &str| (MANAGER.to_owned(), format!("org.freedesktop.systemd1.Manager.{property}"));
        objects.properties.remove(&told("Version"));
        objects.properties.remove(&told("Virtualization"));
        objects.properties.remove(&told("UnitsLoadTimestampMonotonic"));
    });
    assert_same(both(&environment, &[EXCLUDE], "systemd").unwrap(), 60);
}

fn logins() -> Objects {
    let mut objects = Objects::default();
    let mut list = |method: &str, body| {
        let method = format!("org.freedesktop.login1.Manager.{method}");
        objects.methods.insert(("/org/freedesktop/login1".to_owned(), method), body);
    };
    list(
        "ListSeats",
        Body::list("a(so)", &["seat0", "seat-a"], |body, seat| {
            body.text(seat).text("/org/freedesktop/login1/seat/x");
        }),
    );
    let sessions = [
        ("c1", "seat0", false, "tty", "user"),
        ("c2", "", true, "tty", "user"),
        ("c3", "", true, "tty", "user"),
        ("c4", "seat0", false, "hologram", "manager"),
        ("c5", "gone", false, "x11", "user"),
        ("c6", "seat-a", false, "wayland", "greeter"),
        ("c7", "seat-a", false, "", ""),
    ];
    let object = |name: &str| format!("/org/freedesktop/login1/session/{name}");
    list(
        "ListSessions",
        Body::list("a(susso)", &sessions, |body, (name, seat, ..)| {
            body.text(name).u32(1000).text("me").text(seat).text(&object(name));
        }),
    );
    for (name, _, remote, kind, class) in &sessions[..6] {
        let mut set = |property: &str, value| {
            objects.set(&object(name), &format!("org.freedesktop.login1.Session.{property}"), value);
        };
        set("Remote", Value::Bool(*remote));
        set("Type", Value::Text((*kind).to_owned()));
        set("Class", Value::Text((*class).to_owned()));
    }
    objects
}

#[test]
fn logind_s_sessions_are_the_reference_s() {
    let server = Server::start(logins());
    let Some(both) = both(&dbus::address(&server.socket()), &[], "logind") else { return };
    assert_same(both, 3 * 70);
}

/// As many services as a large host has, and some of the rest.
fn many_units() -> Vec<Unit> {
    let mut units: Vec<Unit> = (0..2000)
        .map(|number| Unit::new(format!("job-of-some-length@{number:05}.service"), "active", "running"))
        .collect();
    units.extend((0..20).map(|number| Unit::new(format!("job-{number}.timer"), "active", "waiting")));
    units.extend((0..20).map(|number| Unit::new(format!("job-{number}.socket"), "active", "listening")));
    units.extend((0..500).map(|number| Unit::new(format!("dev-x{number}.device"), "active", "plugged")));
    units
}

fn many(units: &[Unit]) -> Objects {
    let mut objects = Objects::default();
    dbus::systemd(&mut objects, "257.9", "none", "running");
    dbus::list_units(&mut objects, units);
    for unit in units {
        let mut set = |property: &str, value| {
            objects.set(&unit.object(), &format!("org.freedesktop.systemd1.{property}"), value);
        };
        set("Service.Type", Value::Text("simple".to_owned()));
        set("Timer.LastTriggerUSec", Value::U64(1_700_000_000_000_000));
        for name in ["NAccepted", "NConnections", "NRefused"] {
            set(&format!("Socket.{name}"), Value::U32(3));
        }
    }
    objects
}

#[test]
fn a_large_host_is_asked_little_and_in_few_writes() {
    let units = many_units();
    let server = Server::start(many(&units));
    let exporter = exporter_at(free_address(), &server, &["--collector.systemd"]);
    let page = exporter.page();
    assert_eq!(page.matching("node_systemd_unit_state", &[]).count(), 5 * 2040);
    assert_eq!(page.value("node_systemd_units", &[("state", "active")]), Some(2540.0));
    let (calls, _) = server.taken();
    assert_eq!(calls, 1 + 5 + 2000 + 20 + 60, "greeting, manager, types, timers, sockets");
    server.asked();

    // Later a type is asked for now and then only.
    for _ in 0..32 {
        assert_eq!(
            exporter.page().matching("node_systemd_unit_state", &[("type", "simple")]).count(),
            5 * 2000
        );
        let (calls, reads) = server.taken();
        assert!((5 + 80..=5 + 80 + 82).contains(&calls), "{calls} calls");
        assert!(reads <= 6, "{calls} calls in {reads} reads");
    }
    assert_eq!(server.asked()["org.freedesktop.systemd1.Service.Type"], 2000, "each once in 32 scrapes");

    // Units' files were read again: every type may be another one.
    server.change(|objects| {
        let property = "org.freedesktop.systemd1.Manager.UnitsLoadTimestampMonotonic";
        objects.set(MANAGER, property, Value::U64(2));
        for unit in &units {
            objects.set(
                &unit.object(),
                "org.freedesktop.systemd1.Service.Type",
                Value::Text("exec".to_owned()),
            );
        }
    });
    assert_eq!(exporter.page().matching("node_systemd_unit_state", &[("type", "exec")]).count(), 5 * 2000);
    server.taken();

    // Some services go and others take another state.
    let mut fewer = units.clone();
    fewer.retain(|unit| unit.name != "job-of-some-length@00007.service");
    fewer[3].active = "failed";
    server.change(|objects| dbus::list_units(objects, &fewer));
    let page = exporter.page();
    let state =
        |name: &str, state| page.value("node_systemd_unit_state", &[("name", name), ("state", state)]);
    assert_eq!(state("job-of-some-length@00007.service", "active"), None);
    assert_eq!(state("job-of-some-length@00003.service", "active"), Some(0.0));
    assert_eq!(state("job-of-some-length@00003.service", "failed"), Some(1.0));
}

fn scrape(exporter: &Exporter, timeout: &str) -> (Page, Duration) {
    let begun = Instant::now();
    let headers = [("X-Prometheus-Scrape-Timeout-Seconds", timeout), ("Connection", "close")];
    let answer = Connection::open(exporter.address).unwrap().request("GET", "/metrics", &headers).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    (Page::parse(&answer.text()), begun.elapsed())
}

fn outcome(page: &Page, collector: &str) -> String {
    let of = [("collector", collector)];
    let mut outcomes = page.matching("nodetally_collector_outcome", &of);
    outcomes.next().unwrap().labels["outcome"].clone()
}

fn success(page: &Page, collector: &str) -> f64 {
    page.value("node_scrape_collector_success", &[("collector", collector)]).unwrap()
}

#[test]
fn a_bus_that_never_replies_delays_no_scrape_and_ends_with_the_process() {
    let mut objects = many(&many_units());
    objects.methods.extend(logins().methods);
    let server = Server::start(objects);
    let flags = ["--collector.systemd", "--collector.logind", "--collector.loadavg"];
    let address = free_address();
    let exporter = exporter_at(address, &server, &flags);
    assert_eq!(outcome(&scrape(&exporter, "10").0, "systemd"), "ok");
    let threads = || std::fs::read_dir(format!("/proc/{}/task", exporter.process.pid())).unwrap().count();

    server.be_silent(true);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (page, took) = scrape(&exporter, "1");
        assert!(took < Duration::from_secs(1), "took {took:?}");
        for collector in ["systemd", "logind"] {
            assert_eq!((outcome(&page, collector).as_str(), success(&page, collector)), ("late", 0.0));
        }
        assert!(page.value("node_load1", &[]).is_some(), "the others are served");
        assert_eq!(exporter.get("/-/healthy").status, 200);
        seen.push(threads());
    }
    assert_eq!(seen[0], seen[2], "a late collector keeps the thread it has: {seen:?}");
    let late = scrape(&exporter, "1").0.value("nodetally_late_collectors_total", &[("collector", "systemd")]);
    assert_eq!(late, Some(4.0));

    // It ends at once although threads still wait, and its port is free for the next one, which fares no better.
    exporter.process.signal(Signal::TERM);
    let free = until(Duration::from_secs(2), || std::net::TcpListener::bind(address).is_ok());
    assert!(free, "the port is still taken: {}", exporter.process.said());
    let exporter = exporter_at(address, &server, &flags);
    assert_eq!(outcome(&scrape(&exporter, "1").0, "systemd"), "late");

    server.be_silent(false);
    server.hang_up();
    let back = until(Duration::from_secs(20), || {
        let page = scrape(&exporter, "5").0;
        ["systemd", "logind"].iter().all(|collector| outcome(&page, collector) == "ok")
    });
    assert!(back, "did not come back: {}", exporter.process.said());
}

#[test]
fn a_bus_that_went_and_came_costs_no_scrape() {
    let server = Server::start(some_units());
    let exporter = exporter_at(free_address(), &server, &["--collector.systemd"]);
    for _ in 0..3 {
        let page = exporter.page();
        assert_eq!(outcome(&page, "systemd"), "ok", "{}", exporter.process.said());
        server.hang_up();
    }
}

#[test]
fn nonsense_from_the_bus_breaks_the_collector_and_nothing_else() {
    let server = Server::start(some_units());
    let exporter = exporter_at(free_address(), &server, &["--collector.systemd", "--collector.loadavg"]);
    let good = samples(&exporter.page());
    let giant = [&b"l\x02\0\x01"[..], &[0xff; 4], &[1, 0, 0, 0], &[0xff; 4]].concat();
    let mut endless = Body::new("a(ssssssouso)");
    endless.u32(0x0300_0000).align(8).text("a.service");
    let cases = [
        (b"\xff\xfe\xfd garbage that is no message at all".repeat(100), "this is no D-Bus"),
        (giant, "the answer is too large"),
        (dbus::message(0x7fff_0000, Ok(&Body::new(""))), "the answer makes no sense"),
        (dbus::message(0, Ok(&endless)), "the answer makes no sense"),
    ];
    for (garbage, why) in cases {
        server.say(Some(garbage));
        let page = exporter.page();
        assert_eq!((outcome(&page, "systemd").as_str(), success(&page, "systemd")), ("broken", 0.0));
        assert!(page.value("node_load1", &[]).is_some(), "the others are served");
        assert!(exporter.process.says(why, Duration::from_secs(10)), "{}", exporter.process.said());
        server.say(None);
        assert_eq!(samples(&exporter.page()), good);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", exporter.process.pid())).unwrap();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    assert!(peak.unwrap_or(u64::MAX) < 64 << 10, "{peak:?} kB");
}

#[test]
fn in_a_container_the_host_s_bus_is_asked() {
    let server = Server::start(logins());
    let root = TempDir::new("root");
    std::fs::create_dir_all(root.path().join("run/dbus")).unwrap();
    std::os::unix::fs::symlink(server.socket(), root.path().join("run/dbus/system_bus_socket")).unwrap();
    let mut command = Command::new(binary());
    command.args(OURS).arg("--collector.logind").arg(format!("--path.rootfs={}", root.path().display()));
    let page = Exporter::start_with(free_address(), command.env_remove("DBUS_SYSTEM_BUS_ADDRESS")).page();
    let remote = [("remote", "true"), ("type", "tty"), ("class", "user"), ("seat", "")];
    assert_eq!(page.value("node_logind_sessions", &remote), Some(2.0));
}

#[test]
fn no_bus_is_absent_and_said_once() {
    let server = Server::start(Objects::default());
    let missing = server.socket().with_file_name("none");
    let (name, value) = dbus::address(&missing);
    let mut command = Command::new(binary());
    command.args(OURS).args(["--collector.logind", "--log.level=debug"]).env(name, value);
    let exporter = Exporter::start_with(free_address(), &mut command);
    for _ in 0..3 {
        let page = exporter.page();
        assert_eq!((outcome(&page, "logind").as_str(), success(&page, "logind")), ("absent", 0.0));
    }
    exporter.process.says("collector has no data", Duration::from_secs(10));
    let said = exporter.process.said();
    assert_eq!(said.matches("collector has no data").count(), 1, "{said}");
    // A bus without such a peer has nothing to tell either; one that refuses is broken.
    let exporter = exporter_at(free_address(), &server, &["--collector.logind"]);
    assert_eq!(outcome(&exporter.page(), "logind"), "broken");
}
