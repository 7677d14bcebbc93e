//! A real Prometheus scrapes the exporter while containers of known load run; what its queries answer is what
//! the load did, also across restarts of the exporter.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tests::docker::Docker;
use tests::exporter::Exporter;
use tests::image::{self, BUSYBOX};
use tests::prometheus::{self, Prometheus};
use tests::running::{Running, Signal};
use tests::{cgroup, http, load};

const MIB: u64 = 1 << 20;
const HELD: u64 = 200 * MIB;
const LIMIT: u64 = 400 * MIB;
/// UDP payload per second, and what a device counts of it: 1,000 bytes come with 42 of headers.
const SENT: u64 = 2_000_000;
const RECEIVED: u64 = 1_000_000;
const ON_DEVICE: f64 = 1.042;
const INTERVAL: Duration = Duration::from_secs(1);

/// Containers under known load, and the host's ends of their traffic.
struct Scene {
    docker: Docker,
    burn: String,
    send: String,
    take: String,
    _host: [Running; 2],
}

impl Scene {
    fn start() -> Option<Self> {
        let docker = Docker::start()?;
        image::import_busybox(&docker);
        let tool = "/bin/nodetally-load";
        let host = docker.host_address();
        let sink = Running::start(&mut load::sink(7100));
        let target = format!("{host}:7100");
        let memory = HELD.to_string();
        let hold =
            docker.container(&["--name", "hold", "-m", &LIMIT.to_string(), BUSYBOX, tool, "memory", &memory]);
        assert!(!hold.is_empty());
        let burn = docker.container(&["--name", "burn", "--label", "tier=test", BUSYBOX, tool, "cpu", "40"]);
        let send = docker.container(&["--name", "send", BUSYBOX, tool, "udp", &target, &SENT.to_string()]);
        let take = docker.container(&["--name", "take", BUSYBOX, tool, "sink", "7200"]);
        let to = format!("{}:7200", docker.address_of(&take));
        let sender = Running::start(&mut load::udp(&to, RECEIVED));
        Some(Self { docker, burn, send, take, _host: [sink, sender] })
    }

    fn exporter(&self, address: std::net::SocketAddr, flags: &[&str]) -> Exporter {
        let socket = format!("--docker=unix://{}", self.docker.socket().display());
        Exporter::start_at(address, &[&[socket.as_str()], flags].concat())
    }

    /// The kernel's own count of a container's CPU time.
    fn cpu(container: &str) -> f64 {
        let group = cgroup::Existing::at(&format!("/docker/{container}"));
        group.cpu_usage().as_secs_f64()
    }
}

/// Bytes that a device of the host counted, from sysfs; the bridge's receive side is what containers send.
fn device_bytes(device: &str, direction: &str) -> f64 {
    let path = PathBuf::from(format!("/sys/class/net/{device}/statistics/{direction}_bytes"));
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

/// CPU time since boot, in ticks of a hundredth of a second, from the first line of `/proc/stat`: idle, and what
/// programs used (user, nice, system; guest time is within user). The kinds need not add up to the time that passed:
/// the kernel knows idle time by the clock and guesses the others at each tick.
fn proc_stat() -> [f64; 2] {
    let text = fs::read_to_string("/proc/stat").unwrap();
    let ticks = text.lines().next().unwrap().split_whitespace().skip(1).take(8);
    let ticks: Vec<f64> = ticks.map(|word| word.parse().unwrap()).collect();
    [ticks[3], ticks[..3].iter().sum()]
}

fn cpus() -> usize {
    let text = fs::read_to_string("/proc/stat").unwrap();
    text.lines().filter(|line| line.starts_with("cpu")).count() - 1
}

fn meminfo(field: &str) -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[track_caller]
fn near(what: &str, got: f64, want: f64) {
    println!("{what}: {got:.4}, the load did {want:.4}");
    assert!((got - want).abs() <= want.abs() * 0.05, "{what}: {got}, but the load did {want}");
}

/// The kernel's own counts, read ten times a second, so that they are known for any moment that Prometheus looks at.
struct Truth {
    rows: Arc<Mutex<Vec<(f64, Counts)>>>,
    stop: Arc<AtomicBool>,
}

/// What the kernel says at one moment.
#[derive(Clone, Copy)]
struct Counts {
    idle_ticks: f64,
    used_ticks: f64,
    burnt_seconds: f64,
    bridge_bytes: f64,
    used_memory: f64,
}

impl Counts {
    fn now(burn: &str, bridge: &str) -> Self {
        let [idle_ticks, used_ticks] = proc_stat();
        Self {
            idle_ticks,
            used_ticks,
            burnt_seconds: Scene::cpu(burn),
            bridge_bytes: device_bytes(bridge, "rx"),
            used_memory: meminfo("MemTotal") - meminfo("MemAvailable"),
        }
    }

    /// Each figure of both by the same rule.
    fn with(self, other: Self, rule: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            idle_ticks: rule(self.idle_ticks, other.idle_ticks),
            used_ticks: rule(self.used_ticks, other.used_ticks),
            burnt_seconds: rule(self.burnt_seconds, other.burnt_seconds),
            bridge_bytes: rule(self.bridge_bytes, other.bridge_bytes),
            used_memory: rule(self.used_memory, other.used_memory),
        }
    }
}

impl Truth {
    fn record(scene: &Scene) -> Self {
        let rows = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (burn, bridge) = (scene.burn.clone(), scene.docker.bridge().to_owned());
        let (into, ended) = (Arc::clone(&rows), Arc::clone(&stop));
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let row = (now().as_secs_f64(), Counts::now(&burn, &bridge));
                into.lock().unwrap().push(row);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self { rows, stop }
    }

    /// The counts at a moment, straight between the two readings around it.
    fn at(&self, time: f64) -> Counts {
        let rows = self.rows.lock().unwrap();
        let after = rows.partition_point(|row| row.0 < time);
        let ((t0, old), (t1, new)) = (rows[after - 1], rows[after]);
        let share = (time - t0) / (t1 - t0);
        old.with(new, |old, new| old + (new - old) * share)
    }

    /// How much each count grew a second in the span that `range` has samples of.
    fn rates(&self, prometheus: &Prometheus, range: &str, at: Duration) -> Counts {
        let (first, last) = prometheus.span_at(range, at);
        self.at(first).with(self.at(last), |old, new| (new - old) / (last - first))
    }
}

impl Drop for Truth {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[test]
fn queries_answer_what_the_load_did() {
    let Some(scene) = Scene::start() else { return };
    let exporter = scene.exporter(http::free_address(), &[]);
    let truth = Truth::record(&scene);
    let Some(prometheus) = Prometheus::start(exporter.address, INTERVAL) else { return };
    let bridge = scene.docker.bridge();
    std::thread::sleep(Duration::from_secs(62));
    let end = now();
    std::thread::sleep(Duration::from_millis(300));
    let rates = truth.rates(&prometheus, "up[1m]", end);
    let (_, last) = prometheus.span_at("up[1m]", end);

    let one = |query: &str| {
        let answer = prometheus.query_at(query, end);
        assert_eq!(answer.len(), 1, "{query}: {answer:?}");
        answer[0].value
    };
    near(
        "node CPU use in %",
        one("100 - avg(rate(node_cpu_seconds_total{mode=\"idle\"}[1m])) * 100"),
        100.0 - rates.idle_ticks / cpus() as f64,
    );
    near(
        "CPU of the burning container",
        one("rate(container_cpu_usage_seconds_total{name=\"burn\"}[1m])"),
        rates.burnt_seconds,
    );
    assert!(rates.burnt_seconds > 0.05, "the load hardly ran: {} CPUs", rates.burnt_seconds);

    let used = truth.at(last).used_memory;
    near("used memory", one("node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes"), used);
    near(
        "used memory in %",
        one("(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes) * 100"),
        used / meminfo("MemTotal") * 100.0,
    );
    let disk = rustix::fs::statvfs("/").unwrap();
    near(
        "disk use of / in %",
        one(
            "100 - node_filesystem_avail_bytes{mountpoint=\"/\"} / node_filesystem_size_bytes{mountpoint=\"/\"} * 100",
        ),
        100.0 - disk.f_bavail as f64 / disk.f_blocks as f64 * 100.0,
    );
    near(
        "memory of the holding container in % of its limit",
        one(
            "container_memory_usage_bytes{name=\"hold\"} / container_spec_memory_limit_bytes{name=\"hold\"} * 100",
        ),
        HELD as f64 / LIMIT as f64 * 100.0,
    );

    let received = format!("rate(node_network_receive_bytes_total{{device=\"{bridge}\"}}[1m])");
    near("received on the bridge", one(&received), rates.bridge_bytes);
    near("received on the bridge, by the load", one(&received), SENT as f64 * ON_DEVICE);
    for direction in ["transmit", "receive"] {
        let query = format!("rate(node_network_{direction}_bytes_total{{device!=\"lo\"}}[1m])");
        let devices: Vec<_> =
            prometheus.query(&query).into_iter().map(|s| s.labels["device"].clone()).collect();
        assert!(!devices.is_empty() && !devices.contains(&"lo".into()), "{query}: {devices:?}");
    }
    near(
        "transmitted on the bridge",
        one(&format!("rate(node_network_transmit_bytes_total{{device=\"{bridge}\"}}[1m])")),
        RECEIVED as f64 * ON_DEVICE,
    );
    near(
        "sent by a container",
        one("rate(container_network_transmit_bytes_total{name=\"send\"}[1m])"),
        SENT as f64 * ON_DEVICE,
    );
    near(
        "received by a container",
        one("rate(container_network_receive_bytes_total{name=\"take\"}[1m])"),
        RECEIVED as f64 * ON_DEVICE,
    );

    for (name, id) in [("burn", &scene.burn), ("send", &scene.send), ("take", &scene.take)] {
        let seen = prometheus.query(&format!("time() - container_last_seen{{name=\"{name}\"}}"));
        assert_eq!(seen.len(), 1, "{name}: {seen:?}");
        assert!((-1.0..5.0).contains(&seen[0].value), "{name}: {seen:?}");
        assert_eq!(seen[0].labels["id"], format!("/docker/{id}"));
        assert_eq!(seen[0].labels["image"], BUSYBOX);
    }
    let labelled = prometheus.query("container_last_seen{container_label_tier=\"test\"}");
    assert_eq!(labelled.len(), 1, "{labelled:?}");
}

/// Some starts are without eBPF: the source of a figure may change at a restart, its value may not jump.
const RESTARTS: [(&[&str], Signal); 5] = [
    (&[], Signal::TERM),
    (&["--ebpf=off"], Signal::KILL),
    (&[], Signal::KILL),
    (&["--ebpf=off"], Signal::TERM),
    (&[], Signal::INT),
];

#[test]
fn restarts_under_load_make_no_false_increase() {
    let Some(scene) = Scene::start() else { return };
    let address = http::free_address();
    let mut exporter = scene.exporter(address, &[]);
    let truth = Truth::record(&scene);
    let Some(prometheus) = Prometheus::start(address, INTERVAL) else { return };
    std::thread::sleep(Duration::from_secs(3));

    let begun = now();
    for (flags, signal) in RESTARTS {
        std::thread::sleep(Duration::from_secs(6));
        exporter.process.signal(signal);
        exporter.process.wait(Duration::from_secs(5)).expect("it ends");
        std::thread::sleep(Duration::from_secs(2));
        exporter = scene.exporter(address, flags);
    }
    std::thread::sleep(Duration::from_secs(6));
    let ended = now();
    std::thread::sleep(Duration::from_millis(300));

    let span = ended.saturating_sub(begun);
    let range = format!("{}ms", span.as_millis());
    let rates = truth.rates(&prometheus, &format!("up[{range}]"), ended);
    for (counter, what, rate) in [
        (
            "container_cpu_usage_seconds_total{name=\"burn\"}",
            "CPU seconds of a container",
            rates.burnt_seconds,
        ),
        (
            "node_cpu_seconds_total{mode=~\"user|nice|system\"}",
            "CPU seconds of the node",
            rates.used_ticks / 100.0,
        ),
        (
            "container_network_transmit_bytes_total{name=\"send\"}",
            "bytes sent by a container",
            rates.bridge_bytes,
        ),
    ] {
        let sum = |function: &str| {
            let answer = prometheus.query_at(&format!("sum({function}({counter}[{range}]))"), ended);
            assert_eq!(answer.len(), 1, "{counter}: {answer:?}");
            answer[0].value
        };
        near(
            &format!("{what} across {} restarts", RESTARTS.len()),
            sum("increase"),
            rate * span.as_secs_f64(),
        );
        assert!(sum("resets") < 1.0, "{counter} fell at a restart");
    }
}

/// Names of the stock exporters that the linter would not take today (a name or how names begin) and what it says
/// of them. They are kept, for dashboards ask for them. No name of ours may be here.
const LEGACY: &[(&str, &str)] = &[
    // The fields of /proc/meminfo and /proc/net/{netstat,snmp,snmp6}, as they are.
    ("node_memory_", "should be written in 'snake_case' not 'camelCase'"),
    ("node_netstat_", "should be written in 'snake_case' not 'camelCase'"),
    ("node_entropy_", "use base unit \"bytes\" instead of \"bits\""),
    ("cadvisor_version_info ", "label names should be written in 'snake_case' not 'camelCase'"),
    ("container_fs_inodes_total ", "non-counter metrics should not have \"_total\" suffix"),
    ("container_memory_failcnt ", "counter metrics should have \"_total\" suffix"),
];

#[test]
fn promtool_finds_no_error() {
    let Some(scene) = Scene::start() else { return };
    let exporter = scene.exporter(http::free_address(), &[]);
    let page = exporter.get("/metrics").text();
    let Some(said) = prometheus::check_metrics(&page) else { return };
    let says = |line: &str, (name, what): (&str, &str)| line.starts_with(name) && line.ends_with(what);
    let forgiven = |line: &str| LEGACY.iter().any(|legacy| says(line, *legacy));
    let wrong: Vec<&String> = said.iter().filter(|line| !forgiven(line)).collect();
    assert!(wrong.is_empty(), "promtool check metrics:\n{wrong:#?}");
    for legacy in LEGACY {
        assert!(said.iter().any(|line| says(line, *legacy)), "forgiven for nothing: {legacy:?}");
        assert!(!legacy.0.starts_with("nodetally_"), "our own names are linted");
    }
}
