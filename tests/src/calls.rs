//! The system calls of a process, by strace.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use crate::running::{Running, Signal};
use crate::temp::TempDir;

/// The collectors that the aims for the node half are set for; the stock node exporter has them too.
pub const NODE_HALF: &[&str] =
    &["cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netdev", "stat", "uname"];

/// The page of these collectors alone.
pub fn page_of(collectors: &[&str]) -> String {
    let parts: Vec<String> = collectors.iter().map(|name| format!("collect[]={name}")).collect();
    format!("/metrics?{}", parts.join("&"))
}

/// System calls by name, all threads.
pub type Calls<N> = BTreeMap<String, N>;

/// The calls of 30 scrapes less those of 10, for one scrape, so that attaching and timers fall out.
///
/// # Errors
/// What `scrape` said, or why strace did not serve.
pub fn per_scrape(pid: u32, scrape: impl FnMut() -> Result<(), String>) -> Result<Calls<f64>, String> {
    of_scrapes(pid, [10, 30], scrape)
}

/// As [`per_scrape`], of this many scrapes: strace makes long ones very long.
///
/// # Errors
/// What `scrape` said, or why strace did not serve.
pub fn of_scrapes(
    pid: u32,
    [few, many]: [u32; 2],
    mut scrape: impl FnMut() -> Result<(), String>,
) -> Result<Calls<f64>, String> {
    let between = f64::from(many.saturating_sub(few));
    let (few, many) = (traced(pid, few, &mut scrape)?, traced(pid, many, &mut scrape)?);
    let of_one = |name: &String, n: &u64| {
        let difference = *n as f64 - few.get(name).copied().unwrap_or_default() as f64;
        (name.clone(), difference.max(0.0) / between)
    };
    Ok(many.iter().map(|(name, n)| of_one(name, n)).collect())
}

fn traced(
    pid: u32,
    scrapes: u32,
    scrape: &mut impl FnMut() -> Result<(), String>,
) -> Result<Calls<u64>, String> {
    let dir = TempDir::new("strace");
    let file = dir.path().join("counts");
    let mut strace = Running::start(
        Command::new("strace").args(["-f", "-c", "-o"]).arg(&file).args(["-p", &pid.to_string()]),
    );
    if !strace.says("attached", Duration::from_secs(10)) {
        return Err(format!("strace could not attach: {}", strace.said().trim_end()));
    }
    for _ in 0..scrapes {
        scrape()?;
    }
    // Not SIGINT: children inherit that a caller blocks it.
    strace.signal(Signal::HUP);
    strace.wait(Duration::from_secs(10)).ok_or("strace did not end")?;
    std::fs::read_to_string(&file)
        .map(|text| parse_counts(&text))
        .map_err(|e| format!("{}: {e}", file.display()))
}

/// The table of `strace -c`: calls in the fourth column, the name in the last.
fn parse_counts(text: &str) -> Calls<u64> {
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let counted = rows.filter_map(|row| Some(((*row.last()?).to_owned(), row.get(3)?.parse().ok()?)));
    counted.filter(|(name, _)| name != "total").collect()
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn straces_table_is_read() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n \
                    60.00    0.000600           6       100           pread64\n \
                    40.00    0.000400           4        10         2 epoll_wait\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.001000           9       110         2 total\n";
        let counts = parse_counts(text);
        assert_eq!(counts.get("pread64"), Some(&100));
        assert_eq!(counts.get("epoll_wait"), Some(&10));
        assert_eq!(counts.len(), 2);
    }
}
