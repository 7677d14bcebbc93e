//! One exporter, one path: latency, CPU, memory and system calls of its scrapes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use tests::calls;
use tests::http::Connection;

use super::target::Target;
use super::{go_on, pause};
use crate::Outcome;

/// What was measured of one path.
#[derive(Debug)]
pub struct Measured {
    /// Exporter and path in words.
    pub name: String,
    /// Latency from request to last byte, middle and 99th percentile.
    pub p50: Duration,
    /// See `p50`.
    pub p99: Duration,
    /// CPU time of the whole process per scrape; work between scrapes counts too.
    pub cpu: Duration,
    /// CPU time while nobody scrapes, as a share of one CPU.
    pub idle: f64,
    /// Resident memory after the scrapes, in KiB.
    pub rss_kib: u64,
    /// System calls per scrape, all threads.
    pub calls: f64,
    /// Each call by name, per scrape.
    pub by_name: BTreeMap<String, f64>,
    /// Cgroups on the page.
    pub groups: usize,
    /// Samples on the page.
    pub samples: usize,
    /// Bytes of the page, not compressed.
    pub bytes: usize,
}

/// The scrapes of one path so far.
pub struct Series<'t> {
    name: String,
    target: &'t Target,
    path: String,
    connection: Connection,
    latencies: Vec<Duration>,
    cpu: Duration,
    body: Vec<u8>,
}

impl<'t> Series<'t> {
    /// Connects and scrapes a few times, unmeasured.
    ///
    /// # Errors
    /// What the exporter or the socket said.
    pub fn begin(name: &str, target: &'t Target, path: &str) -> Outcome<Self> {
        let connection = Connection::open(target.address).map_err(|e| format!("{name}: {e}"))?;
        let (name, path) = (name.to_owned(), path.to_owned());
        let (latencies, cpu, body) = (Vec::new(), Duration::ZERO, Vec::new());
        let mut series = Self { name, target, path, connection, latencies, cpu, body };
        for _ in 0..5 {
            series.scrape()?;
        }
        Ok(series)
    }

    /// Measures that many scrapes, one after the other.
    ///
    /// # Errors
    /// What the exporter or the socket said.
    pub fn round(&mut self, scrapes: usize) -> Outcome {
        let before = cpu_time(self.target.pid())?;
        for _ in 0..scrapes {
            go_on()?;
            let begun = Instant::now();
            self.scrape()?;
            self.latencies.push(begun.elapsed());
        }
        self.cpu += cpu_time(self.target.pid())?.saturating_sub(before);
        Ok(())
    }

    /// Sums up. The strace runs come here, last, for they slow the exporter down.
    ///
    /// # Errors
    /// What the exporter, the socket or strace said.
    pub fn end(self) -> Outcome<Measured> {
        self.end_with([10, 30])
    }

    /// As [`Series::end`], with as many scrapes under strace.
    ///
    /// # Errors
    /// As [`Series::end`].
    pub fn end_with(mut self, straced: [u32; 2]) -> Outcome<Measured> {
        let pid = self.target.pid();
        let idle = idle_share(pid)?;
        let calls = calls::of_scrapes(pid, straced, || {
            go_on()?;
            self.scrape()
        })
        .map_err(|why| format!("{}: {why}", self.name))?;
        self.latencies.sort_unstable();
        let body = &self.body;
        Ok(Measured {
            p50: percentile(&self.latencies, 50),
            p99: percentile(&self.latencies, 99),
            cpu: self.cpu / u32::try_from(self.latencies.len()).unwrap_or(u32::MAX).max(1),
            idle,
            rss_kib: rss_kib(pid)?,
            calls: calls.values().sum(),
            by_name: calls,
            groups: groups(body),
            samples: body.split(|b| *b == b'\n').filter(|line| !line.is_empty() && line[0] != b'#').count(),
            bytes: body.len(),
            name: self.name,
        })
    }

    /// The last page.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn scrape(&mut self) -> Outcome {
        let error = |why: String| format!("{}: GET {}: {why}", self.name, self.path);
        let answer = self.connection.request("GET", &self.path, &[]).map_err(|e| error(e.to_string()))?;
        if answer.status != 200 {
            return Err(error(answer.status.to_string()));
        }
        self.body = answer.body;
        Ok(())
    }
}

/// Measures one path alone.
///
/// # Errors
/// What the exporter, the socket or strace said.
pub fn measure(name: &str, target: &Target, path: &str, scrapes: usize) -> Outcome<Measured> {
    let mut series = Series::begin(name, target, path)?;
    series.round(scrapes)?;
    series.end()
}

/// Measures in turns, a few scrapes of each at a time, so that what else the machine does meets all alike.
///
/// # Errors
/// What an exporter or a socket said.
pub fn in_turns(all: &mut [Series<'_>], scrapes: usize) -> Outcome {
    const AT_A_TIME: usize = 10;
    for _ in 0..scrapes.div_ceil(AT_A_TIME) {
        for series in &mut *all {
            series.round(AT_A_TIME)?;
        }
    }
    Ok(())
}
/// How many cgroups the page tells of.
fn groups(page: &[u8]) -> usize {
    let text = String::from_utf8_lossy(page);
    let samples = text.lines().filter(|line| line.starts_with("container_"));
    let ids = samples.filter_map(|line| Some(line.split_once("id=\"")?.1.split('"').next()?.to_owned()));
    ids.collect::<BTreeSet<_>>().len()
}

/// User and system time of all threads, live and dead, by the process' own clock.
fn cpu_time(pid: u32) -> Outcome<Duration> {
    let pid = Pid::from_raw(i32::try_from(pid).map_err(|e| e.to_string())?);
    let now = clock_getcpuclockid(pid).and_then(nix::time::ClockId::now);
    now.map(Duration::from).map_err(|e| format!("CPU clock of process {pid}: {e}"))
}

fn idle_share(pid: u32) -> Outcome<f64> {
    const SPAN: Duration = Duration::from_secs(2);
    let before = cpu_time(pid)?;
    pause(SPAN)?;
    Ok(cpu_time(pid)?.saturating_sub(before).as_secs_f64() / SPAN.as_secs_f64())
}

fn rss_kib(pid: u32) -> Outcome<u64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).ok_or(format!("{path}: no VmRSS"))
}

/// Nearest rank.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn groups_are_counted_once() {
        let page = "container_a{id=\"/\"} 1\ncontainer_b{id=\"/x\",cpu=\"0\"} 1\ncontainer_a{x=\"1\",id=\"/x\"} 1\nnode_a 1\n";
        assert_eq!(groups(page.as_bytes()), 2);
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 50), Duration::from_millis(100));
        assert_eq!(percentile(&sorted, 99), Duration::from_millis(198));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
