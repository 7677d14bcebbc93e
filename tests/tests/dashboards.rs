//! What dashboards, alerts and recording rules ask of `node_*` is there: each name with its labels is seen on the fixtures
//! or on this machine, or stands in a list below with the reason.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod node_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
};

use exporter::{config::Paths, metric::Page, node};
use node_support::{build, pack, paths};
use tests::{
    dbus::{self, Objects, Server, Unit, Value},
    exporter::{Exporter, binary},
    http,
    pack::copy_with_links,
    page,
    temp::TempDir,
};

/// Labels that Prometheus adds, or the one who sets it up.
const NOT_OURS: &[&str] = &["cluster", "instance", "job", "__name__"];
/// Names that no exporter of Linux gives.
const NOT_GIVEN: &[(&str, &str)] = &[
    ("node_kernel_hung_tasks", "a slip of the dashboard: the reference's name ends with _total"),
    ("node_memory_available_bytes", "another system's"),
    ("node_memory_compressed_bytes", "macOS's"),
    ("node_memory_internal_bytes", "macOS's"),
    ("node_memory_purgeable_bytes", "macOS's"),
    ("node_memory_total_bytes", "macOS's"),
    ("node_memory_wired_bytes", "macOS's"),
];
/// Labels of a selector, or their values, that the reference does not give either, or that nothing here has.
const NOT_MATCHED: &[(&str, &str, &str)] = &[
    ("node_filesystem_free_bytes", "fstype=aufs", "a file system that left the kernel"),
    ("node_filesystem_size_bytes", "fstype=aufs", "a file system that left the kernel"),
    ("node_network_up", "operstate", "it is a label of node_network_info"),
    ("node_network_up", "operstate=up", "it is a label of node_network_info"),
    ("node_tcp_connection_states", "state=closing", "sockets are in it for a moment"),
    ("node_tcp_connection_states", "state=fin_wait1", "sockets are in it for a moment"),
    ("node_tcp_connection_states", "state=last_ack", "sockets are in it for a moment"),
    ("node_tcp_connection_states", "state=syn_recv", "sockets are in it for a moment"),
    ("node_tcp_connection_states", "state=close", "sockets are in it for a moment"),
    ("node_tcp_connection_states", "state=syn_sent", "tests/node_netns.rs makes one"),
    ("node_uname_info", "sysname=Darwin", "macOS's"),
];
/// Labels in a grouping or a legend that come from elsewhere than from this metric: from another one of the expression
/// or the alert, or from who scrapes.
const OF_OTHERS: &[(&str, &str, &str)] = &[
    ("node_context_switches_total", "cpu", "node_cpu_seconds_total"),
    ("node_context_switches_total", "mode", "node_cpu_seconds_total"),
    ("node_cpu_seconds_total", "name", "container_*"),
    ("node_cpu_seconds_total", "namespace", "relabelling in Kubernetes"),
    ("node_cpu_seconds_total", "node", "relabelling in Kubernetes"),
    ("node_filesystem_avail_bytes", "pod", "relabelling in Kubernetes"),
    ("node_filesystem_size_bytes", "pod", "relabelling in Kubernetes"),
    ("node_hwmon_chip_names", "sensor", "node_hwmon_*"),
    ("node_hwmon_fan_min_rpm", "chip_name", "node_hwmon_chip_names"),
    ("node_hwmon_fan_rpm", "chip_name", "node_hwmon_chip_names"),
    ("node_hwmon_temp_celsius", "chip_name", "node_hwmon_chip_names"),
    ("node_hwmon_temp_crit_alarm_celsius", "chip_name", "node_hwmon_chip_names"),
    ("node_hwmon_temp_crit_celsius", "chip_name", "node_hwmon_chip_names"),
    ("node_hwmon_temp_crit_hyst_celsius", "chip_name", "node_hwmon_chip_names"),
    ("node_hwmon_temp_max_celsius", "chip_name", "node_hwmon_chip_names"),
    ("node_load1", "cpu", "node_cpu_seconds_total"),
    ("node_load1", "mode", "node_cpu_seconds_total"),
    ("node_md_disks_required", "state", "node_md_disks"),
    ("node_network_up", "interface", "a slip of the legend: the label is device"),
];

/// A row of the tables.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    name: String,
    /// In the selector: the metric must have them.
    labels: BTreeSet<String>,
    /// Matched with `=`: a series must have these values.
    values: BTreeSet<(String, String)>,
    /// In the grouping around it or the legend.
    grouping: BTreeSet<String>,
}

fn list(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').filter(|label| *label != "-" && !NOT_OURS.contains(label))
}

fn asked(folder: &Path) -> BTreeSet<Asked> {
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        for line in fs::read_to_string(entry.path()).unwrap().lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [_, name, labels, matchers, grouping, _] = fields[..] else { panic!("{line}") };
            // Names with a colon are those of recording rules.
            if !name.starts_with("node_") || name.contains(':') {
                continue;
            }
            let value = |matcher: &str| {
                let (label, value) = matcher.split_once('=')?;
                let is_equal = !label.ends_with('!') && !value.starts_with('~') && value != "\"\"";
                (is_equal && !NOT_OURS.contains(&label)).then(|| (label.to_owned(), value.to_owned()))
            };
            all.insert(Asked {
                name: name.to_owned(),
                labels: list(labels).map(str::to_owned).collect(),
                values: matchers.split(' ').filter_map(value).collect(),
                grouping: list(grouping).map(str::to_owned).collect(),
            });
        }
    }
    all
}

/// Files rather than this machine's network.
const FILES: [&str; 2] = ["--no-collector.netdev.netlink", "--no-collector.arp.netlink"];

/// By name, the label sets of the series there are.
type Seen = BTreeMap<String, Vec<BTreeMap<String, String>>>;

fn see(seen: &mut Seen, paths: &Paths, flags: &[&str]) {
    for known in node::COLLECTORS {
        let mut page = Page::default();
        // What a root has nothing for is shown by another one.
        let _ = build(paths, &[known.name], flags)[0].collect(&mut page);
        if page.text().is_empty() {
            continue;
        }
        for sample in page::Page::parse(str::from_utf8(page.text()).unwrap()).samples {
            seen.entry(sample.name).or_default().push(sample.labels);
        }
    }
}

/// A chip with what no chip of the fixtures has.
fn chip() -> TempDir {
    let root = TempDir::new("dashboards-chip");
    for (file, text) in [
        ("name", "k10temp\n"),
        ("temp1_input", "45500\n"),
        ("temp1_alarm", "0\n"),
        ("temp1_crit_hyst", "70000\n"),
    ] {
        root.write(&format!("sys/class/hwmon/hwmon0/{file}"), text);
    }
    root
}

/// A service manager with a service and a socket.
fn manager() -> Server {
    let mut objects = Objects::default();
    dbus::systemd(&mut objects, "252", "", "running");
    let units = [Unit::new("a.service", "active", "running"), Unit::new("a.socket", "active", "listening")];
    dbus::list_units(&mut objects, &units);
    let numbers = [
        (0, "Service.NRestarts", Value::U32(1)),
        (1, "Socket.NAccepted", Value::U32(2)),
        (1, "Socket.NConnections", Value::U32(3)),
        (1, "Socket.NRefused", Value::U32(4)),
    ];
    objects.set(
        &units[0].object(),
        "org.freedesktop.systemd1.Service.Type",
        Value::Text("simple".to_owned()),
    );
    for (unit, property, value) in numbers {
        objects.set(&units[unit].object(), &format!("org.freedesktop.systemd1.{property}"), value);
    }
    Server::start(objects)
}

/// This machine's page, with all collectors on, a service manager of the test's own, and two sockets of which one end
/// is closed.
fn live() -> page::Page {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    drop(listener.accept().unwrap());
    let server = manager();
    let (name, value) = dbus::address(&server.socket());
    let mut command = Command::new(binary());
    command.args(node::COLLECTORS.iter().map(|known| format!("--collector.{}", known.name)));
    command.args([
        "--ebpf=off",
        "--no-container",
        "--docker=",
        "--collector.systemd.enable-restarts-metrics",
    ]);
    Exporter::start_with(http::free_address(), command.env(name, value)).page()
}

/// What is asked for and not there, a line each.
fn missing(asked: &Asked, seen: &Seen) -> Vec<String> {
    let name = asked.name.as_str();
    let is_listed =
        |list: &[(&str, &str, &str)], what: &str| list.iter().any(|one| (one.0, one.1) == (name, what));
    let Some(series) = seen.get(name) else {
        return if NOT_GIVEN.iter().any(|one| one.0 == name) { Vec::new() } else { vec![name.to_owned()] };
    };
    let has = |label: &str| series.iter().any(|labels| labels.contains_key(label));
    let labels = asked.labels.iter().filter(|label| !has(label) && !is_listed(NOT_MATCHED, label));
    let mut all: Vec<_> = labels.map(|label| format!("{name}{{{label}}}")).collect();
    let grouping = asked.grouping.iter().filter(|label| !has(label) && !is_listed(OF_OTHERS, label));
    all.extend(grouping.map(|label| format!("{name} by {label}")));
    for (label, value) in &asked.values {
        let is_there = series.iter().any(|labels| labels.get(label) == Some(value));
        if !is_there && !is_listed(NOT_MATCHED, &format!("{label}={value}")) {
            all.push(format!("{name}{{{label}={value:?}}}"));
        }
    }
    all
}

#[test]
fn each_metric_that_dashboards_ask_for_is_there() {
    let Some(pack) = pack() else { return };
    let copy = TempDir::new("dashboards");
    copy_with_links(&pack.join("fixtures"), copy.path());
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/node");
    let chip = chip();
    let mut seen = Seen::new();
    for root in [copy.path(), &own, chip.path()] {
        let at = |place: &str| root.join(place);
        let paths = paths(at("proc"), at("sys"), root.to_str().unwrap(), at("udev/data"));
        see(
            &mut seen,
            &paths,
            &["--collector.stat.softirq", "--collector.netstat.fields=.*", FILES[0], FILES[1]],
        );
    }
    for sample in live().samples {
        seen.entry(sample.name).or_default().push(sample.labels);
    }
    let all = asked(&pack.join("../../dashboards"));
    assert!(all.len() >= 290, "{} rows are too few", all.len());
    let missing: BTreeSet<String> = all.iter().flat_map(|asked| missing(asked, &seen)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    for (name, _) in NOT_GIVEN {
        assert!(
            !seen.contains_key(*name) && all.iter().any(|asked| asked.name == *name),
            "{name} needs no excuse"
        );
    }
}
