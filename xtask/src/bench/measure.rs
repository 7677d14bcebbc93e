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

/// Measures; the strace runs come last, for they slow the exporter down.
pub fn measure(name: &str, target: &Target, path: &str, scrapes: usize) -> Outcome<Measured> {
    let io = |e: std::io::Error| e.to_string();
    let mut connection = Connection::open(target.address).map_err(io)?;
    for _ in 0..5 {
        scrape(&mut connection, path)?;
    }
    let mut latencies = Vec::with_capacity(scrapes);
    let mut body = Vec::new();
    let before = cpu_time(target.pid())?;
    for _ in 0..scrapes {
        go_on()?;
        let begun = Instant::now();
        body = scrape(&mut connection, path)?;
        latencies.push(begun.elapsed());
    }
    let cpu = cpu_time(target.pid())?.saturating_sub(before) / u32::try_from(scrapes).unwrap_or(u32::MAX);
    let idle = idle_share(target.pid())?;
    let calls = calls::per_scrape(target.pid(), || {
        go_on()?;
        scrape(&mut connection, path).map(drop)
    })?;
    latencies.sort_unstable();
    Ok(Measured {
        name: name.to_owned(),
        p50: percentile(&latencies, 50),
        p99: percentile(&latencies, 99),
        cpu,
        idle,
        rss_kib: rss_kib(target.pid())?,
        calls: calls.values().sum(),
        by_name: calls,
        groups: groups(&body),
        samples: body.split(|b| *b == b'\n').filter(|line| !line.is_empty() && line[0] != b'#').count(),
        bytes: body.len(),
    })
}

fn scrape(connection: &mut Connection, path: &str) -> Outcome<Vec<u8>> {
    let answer = connection.request("GET", path, &[]).map_err(|e| format!("GET {path}: {e}"))?;
    if answer.status == 200 { Ok(answer.body) } else { Err(format!("GET {path}: {}", answer.status)) }
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
