//! Ours against what each container was made to do.

use std::time::Duration;

use exporter::container::families;
use tests::{
    disk::LoopDevice,
    docker::Docker,
    exporter::Exporter,
    page::Page,
    running::{is_slow, until},
};

use super::{
    is_unified,
    made::{KILL_LIMIT, KILLED, Made, used_by},
    page,
};

const MIB: f64 = 1_048_576.0;
/// The kernel may keep 64 pages of each CPU's and as many again to itself until its next sum, 2 s later.
const KEPT: f64 = 2.0 * MIB;
/// Programs, page tables, what the shell has.
const MORE: f64 = 10.0 * MIB;

/// Two pages, read before and after the containers did what they were made for.
pub struct Truth<'a> {
    pub made: &'a Made,
    pub docker: &'a Docker,
    pub exporter: &'a Exporter,
    pub before: &'a Page,
    pub after: &'a Page,
}

/// What a sample has among its labels.
type Labels<'a> = &'a [(&'a str, &'a str)];

/// Fails unless `low <= value <= high`.
#[track_caller]
fn within(what: &str, value: f64, low: f64, high: f64) {
    assert!((low..=high).contains(&value), "{what}: {value}, expected {low} to {high}");
}

/// Whether a group of ours has this family.
fn is_built(family: &str) -> bool {
    families().any(|known| known.name == family)
}

fn bytes(number: u64) -> f64 {
    number as f64
}

impl Truth<'_> {
    /// All of it.
    pub fn holds(&self) {
        self.limits();
        self.cpu_time();
        self.throttling();
        self.memory();
        self.page_cache();
        self.disk();
        self.network();
        self.kills();
        self.tasks();
    }

    fn sum_in(&self, page: &Page, family: &str, name: &str, labels: Labels) -> Option<f64> {
        let labels = [&[("id", self.made.id(name))], labels].concat();
        page.sum(family, &labels)
    }

    #[track_caller]
    fn now(&self, family: &str, name: &str) -> f64 {
        self.sum_in(self.after, family, name, &[]).unwrap_or_else(|| panic!("{family} of {name} is absent"))
    }

    /// What was added between the pages; absent before is 0.
    #[track_caller]
    fn added(&self, family: &str, name: &str, labels: Labels) -> f64 {
        let now = self.sum_in(self.after, family, name, labels);
        let before = self.sum_in(self.before, family, name, labels).unwrap_or(0.0);
        now.unwrap_or_else(|| panic!("{family} of {name} is absent")) - before
    }

    fn limits(&self) {
        let unified = is_unified();
        for (family, expected) in [
            ("cpu_quota", 50_000.0),
            ("cpu_period", 125_000.0),
            // Of version 2 the reference makes shares of the weight (12) that runc made of them.
            ("cpu_shares", if unified { 290.0 } else { 300.0 }),
            ("memory_limit_bytes", 128.0 * MIB),
            // There it reads `memory.min`, and runc writes `memory.low`.
            ("memory_reservation_limit_bytes", if unified { 0.0 } else { 64.0 * MIB }),
            // There it is swap alone.
            ("memory_swap_limit_bytes", if unified { 64.0 * MIB } else { 192.0 * MIB }),
        ] {
            let family = format!("container_spec_{family}");
            assert_eq!(self.now(&family, "limited"), expected, "{family}");
        }
        let plain = self.after.value("container_spec_memory_limit_bytes", &[("id", self.made.plain.path())]);
        assert_eq!(plain, Some(100.0 * MIB));
        assert_eq!(self.now("container_spec_memory_limit_bytes", "idle"), 0.0);
        let unlimited = self.sum_in(self.after, "container_spec_cpu_quota", "idle", &[]);
        assert_eq!(unlimited, None);
    }

    fn cpu_time(&self) {
        const USAGE: &str = "container_cpu_usage_seconds_total";
        // What its last words and its going to sleep cost.
        let rest = if is_slow() { 0.5 } else { 0.05 };
        let sizes = self.made.sizes;
        for (name, burnt) in
            [("burner", sizes.burnt), ("throttled", sizes.throttled), ("limited", sizes.limited)]
        {
            let used = used_by(self.docker, name);
            within(name, self.now(USAGE, name), used, f64::INFINITY);
            within(name, self.added(USAGE, name, &[]), burnt.as_secs_f64(), used + rest);
        }
        let plain = self.after.sum(USAGE, &[("id", self.made.plain.path())]).unwrap();
        // Its shell was not in the cgroup from the start.
        within("plain", plain, sizes.burnt.as_secs_f64(), self.made.plain_used() + rest);
        let (user, system) = ("container_cpu_user_seconds_total", "container_cpu_system_seconds_total");
        let both = self.now(user, "burner") + self.now(system, "burner");
        // Each is cut to hundredths of a second.
        within("user and system", both, self.now(USAGE, "burner") - 0.02, self.now(USAGE, "burner") + 0.02);
        within("user", self.added(user, "burner", &[]), 0.5 * sizes.burnt.as_secs_f64(), both);
        let idle = self.added(USAGE, "idle", &[]);
        within("idle", idle, 0.0, rest);
        if let Some(second) = self.sum_in(self.after, USAGE, "limited", &[("cpu", "cpu01")]) {
            let before = self.sum_in(self.before, USAGE, "limited", &[("cpu", "cpu01")]);
            assert_eq!(Some(second), before, "it may run on the first CPU alone");
        }
        if is_built("container_cpu_schedstat_run_seconds_total") {
            let run = self.added("container_cpu_schedstat_run_seconds_total", "burner", &[]);
            within("run", run, sizes.burnt.as_secs_f64(), used_by(self.docker, "burner") + rest);
        }
    }

    fn throttling(&self) {
        let periods = self.added("container_cpu_cfs_periods_total", "throttled", &[]);
        // 2 ms in each, and what a tick lets it have beyond.
        let least = self.made.sizes.throttled.as_secs_f64() / 0.0022;
        within("periods", periods, least.floor() - 5.0, f64::INFINITY);
        let throttled = self.added("container_cpu_cfs_throttled_periods_total", "throttled", &[]);
        within("throttled periods", throttled, 1.0, periods);
        let seconds = self.added("container_cpu_cfs_throttled_seconds_total", "throttled", &[]);
        within("throttled seconds", seconds, 1e-6, f64::INFINITY);
        assert_eq!(self.sum_in(self.after, "container_cpu_cfs_periods_total", "idle", &[]), None);
        if is_unified() {
            let waited = self.added("container_pressure_cpu_waiting_seconds_total", "throttled", &[]);
            within("its waiting", waited, 1e-6, f64::INFINITY);
        }
    }

    fn page_cache(&self) {
        let cached = bytes(self.made.sizes.cached);
        let mut now = Page::default();
        let of = |now: &Page, what: &str| {
            now.value(&format!("container_memory_{what}"), &[("id", self.made.id("cached"))]).unwrap()
        };
        until(Duration::from_secs(20), || {
            self.made.read_again(self.docker);
            now = page(self.exporter);
            of(&now, "cache") >= cached - KEPT
        });
        within("page cache", of(&now, "cache"), cached - KEPT, cached + MORE);
        within("anonymous of it", of(&now, "rss"), 0.0, MORE);
        within("use of it", of(&now, "usage_bytes"), cached - KEPT, cached + 2.0 * MORE);
        let file = of(&now, "total_active_file_bytes") + of(&now, "total_inactive_file_bytes");
        within("its file pages", file, cached - KEPT, cached + MORE);
    }

    fn memory(&self) {
        let anonymous = bytes(self.made.sizes.anonymous);
        let now = |what: &str, name: &str| self.now(&format!("container_memory_{what}"), name);
        within("anonymous", now("rss", "anonymous"), anonymous - KEPT, anonymous + MORE);
        within("page cache of it", now("cache", "anonymous"), 0.0, MORE);
        within("most of it", now("max_usage_bytes", "anonymous"), anonymous, anonymous + 2.0 * MORE);
        for name in ["cached", "anonymous", "limited"] {
            let usage = now("usage_bytes", name);
            let inactive = now("total_inactive_file_bytes", name);
            assert_eq!(now("working_set_bytes", name), usage - inactive, "{name}");
            within(name, now("max_usage_bytes", name), usage, f64::INFINITY);
        }
        // One for each page, if they are not huge ones.
        let faults = [("failure_type", "pgfault"), ("scope", "container")];
        let faults = self.added("container_memory_failures_total", "anonymous", &faults);
        within("faults", faults, (anonymous - KEPT) / (2.0 * MIB), anonymous / 4096.0 + 20_000.0);
        if is_built("container_referenced_bytes") {
            within(
                "referenced",
                self.now("container_referenced_bytes", "anonymous"),
                anonymous,
                anonymous + MORE,
            );
        }
        if self.after.names().contains("container_memory_numa_pages") {
            let labels = [("type", "anon"), ("scope", "hierarchy")];
            let pages = self.sum_in(self.after, "container_memory_numa_pages", "anonymous", &labels).unwrap();
            within("pages of all nodes", pages * 4096.0, anonymous - KEPT, anonymous + MORE);
        }
    }

    fn disk(&self) {
        let direct = bytes(self.made.sizes.direct);
        let device = self.made.disk.as_ref().map(LoopDevice::path);
        let device: Vec<(&str, &str)> = device.map(|path| ("device", path)).into_iter().collect();
        for (family, end) in [
            ("container_fs_writes_bytes_total", MIB),
            // Programs are read too.
            ("container_fs_reads_bytes_total", MORE),
        ] {
            if is_built(family) {
                within(family, self.added(family, "direct", &device), direct, direct + end);
            }
        }
        if is_built("container_fs_usage_age_seconds") {
            self.write_layer();
        }
        let usage = "container_blkio_device_usage_total";
        if is_built(usage) {
            let write = [&device[..], &[("operation", "Write")]].concat();
            within(usage, self.added(usage, "direct", &write), direct, direct + MIB);
        }
    }

    /// It is measured off the scrape, now and then.
    fn write_layer(&self) {
        let cached = bytes(self.made.sizes.cached);
        let mut usage = 0.0;
        until(Duration::from_mins(2), || {
            let now = page(self.exporter);
            usage = self.sum_in(&now, "container_fs_usage_bytes", "cached", &[]).unwrap_or(0.0);
            usage >= cached
        });
        within("its write layer", usage, cached, cached + MIB);
        let size = self.sum_in(&page(self.exporter), "container_fs_limit_bytes", "cached", &[]).unwrap();
        within("the file system's size", size, usage, f64::INFINITY);
    }

    fn network(&self) {
        let sent = bytes(self.made.sizes.sent);
        for (way, name, back) in [("receive", "sink", "transmit"), ("transmit", "sender", "receive")] {
            let of = |way: &str, what: &str| {
                self.added(&format!("container_network_{way}_{what}_total"), name, &[("interface", "eth0")])
            };
            let packets = of(way, "packets");
            // A packet of the stream may be as long as 64 KiB here; each has 66 bytes of headers.
            within("packets", packets, sent / 65_536.0, sent / 1_000.0);
            within("bytes", of(way, "bytes"), sent + 42.0 * packets, 1.02 * sent + 120.0 * packets);
            within("answers", of(back, "bytes"), 54.0, 120.0 * of(back, "packets"));
        }
        let alone = self.sum_in(self.after, "container_network_receive_bytes_total", "idle", &[]);
        assert_eq!(alone, None, "it has no network");
    }

    fn kills(&self) {
        let killed = self.now("container_oom_events_total", "killed");
        assert_eq!(killed, KILLED as f64, "children killed for want of memory");
        assert_eq!(self.now("container_oom_events_total", "idle"), 0.0);
        within("refusals", self.now("container_memory_failcnt", "killed"), 1.0, f64::INFINITY);
        if is_unified() {
            let of = |what: &str| self.now(&format!("container_memory_events_{what}_total"), "killed");
            assert_eq!(of("oom_kill"), KILLED as f64);
            within("times at the limit", of("max"), 1.0, f64::INFINITY);
            assert_eq!(of("oom_group_kill"), 0.0);
        }
        let limit = bytes(KILL_LIMIT);
        within("most", self.now("container_memory_max_usage_bytes", "killed"), 0.9 * limit, limit);
        let started = self.now("container_start_time_seconds", "killed");
        let seen = self.now("container_last_seen", "killed");
        within("its life", seen - started, 0.0, Duration::from_hours(1).as_secs_f64());
    }

    fn tasks(&self) {
        let counts: [(&str, Labels, &str, f64); 14] = [
            // Version 1 alone tells. Who sleeps for a time is of no state to newer kernels.
            ("container_tasks_state", &[("state", "running")], "spinner", 1.0),
            ("container_tasks_state", &[("state", "sleeping")], "sink", 3.0),
            ("container_processes", &[], "tasks", 4.0),
            ("container_threads", &[], "tasks", 4.0),
            ("container_threads_max", &[], "tasks", 50.0),
            ("container_threads_max", &[], "limited", 77.0),
            // One for datagrams, one for streams, one for the stream.
            ("container_threads", &[], "sink", 3.0),
            ("container_processes", &[], "sink", 1.0),
            ("container_sockets", &[], "sink", 3.0),
            ("container_sockets", &[], "tasks", 0.0),
            ("container_network_tcp_usage_total", &[("tcp_state", "listen")], "sink", 1.0),
            ("container_network_tcp_usage_total", &[("tcp_state", "established")], "sink", 1.0),
            ("container_network_tcp_usage_total", &[("tcp_state", "established")], "sender", 1.0),
            ("container_network_udp_usage_total", &[("udp_state", "listen")], "sink", 1.0),
        ];
        for (family, labels, name, expected) in counts {
            let is_told = !is_unified() || family != "container_tasks_state";
            if is_built(family) && is_told {
                let value = self.sum_in(self.after, family, name, labels);
                assert_eq!(value, Some(expected), "{family} of {name} {labels:?}");
            }
        }
    }
}
