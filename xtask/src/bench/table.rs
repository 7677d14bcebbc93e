//! The printed result.

use super::measure::Measured;

/// One row a measurement, and below it what the calls were.
pub fn print(rows: &[Measured]) {
    println!(
        "{:<34} {:>8} {:>8} {:>8} {:>7} {:>8} {:>8} {:>8} {:>8}",
        "", "p50 ms", "p99 ms", "CPU ms", "idle %", "RSS MiB", "calls", "samples", "KiB"
    );
    for row in rows {
        println!(
            "{:<34} {:>8.3} {:>8.3} {:>8.3} {:>7.2} {:>8.1} {:>8.1} {:>8} {:>8.1}",
            row.name,
            row.p50.as_secs_f64() * 1e3,
            row.p99.as_secs_f64() * 1e3,
            row.cpu.as_secs_f64() * 1e3,
            row.idle * 100.0,
            row.rss_kib as f64 / 1024.0,
            row.calls,
            row.samples,
            row.bytes as f64 / 1024.0,
        );
    }
    println!("\nsystem calls per scrape, the most frequent:");
    for row in rows {
        let mut calls: Vec<(&String, &f64)> = row.by_name.iter().filter(|call| *call.1 >= 0.05).collect();
        calls.sort_by(|a, b| b.1.total_cmp(a.1));
        let calls: Vec<String> = calls.iter().take(6).map(|(name, n)| format!("{name} {n:.1}")).collect();
        println!("{:<34} {}", row.name, calls.join(", "));
    }
}

/// What this project set itself, and whether it was reached here.
pub fn print_aims(node: &Measured, container: &Measured) {
    println!();
    let aim = |what: &str, value: f64, most: f64| {
        let word = if value <= most { "reached" } else { "MISSED" };
        println!("aim: {what}: at most {most}, here {value:.3}: {word}");
    };
    aim("system calls of the node half", node.calls, 60.0);
    aim("CPU milliseconds of the node half", node.cpu.as_secs_f64() * 1e3, 1.0);
    aim("system calls a cgroup", container.calls / container.groups.max(1) as f64, 6.0);
    let walked = |row: &Measured| row.by_name.get("getdents64").copied().unwrap_or_default();
    aim("directory reads in a scrape", walked(node) + walked(container), 0.0);
}

/// How many times more the stock exporters take for the same half.
pub fn print_ratios(rows: &[Measured]) {
    let find = |start: &str| rows.iter().find(|row| row.name.starts_with(start));
    let pairs = [
        ("node half", find("nodetally, node"), find("node_exporter, same")),
        ("container half", find("nodetally, container"), find("cAdvisor")),
    ];
    for (what, ours, theirs) in pairs {
        let (Some(ours), Some(theirs)) = (ours, theirs) else { continue };
        println!("\n{what}:");
        print_ratio(ours, theirs);
    }
}

/// How many times more `theirs` takes than `ours`.
pub fn print_ratio(ours: &Measured, theirs: &Measured) {
    println!(
        "{} takes {:.1} x the latency (p50), {:.1} x the latency (p99), {:.1} x the CPU, {:.1} x the memory, \
         {:.1} x the system calls of {}",
        theirs.name,
        ratio(theirs.p50.as_secs_f64(), ours.p50.as_secs_f64()),
        ratio(theirs.p99.as_secs_f64(), ours.p99.as_secs_f64()),
        ratio(theirs.cpu.as_secs_f64(), ours.cpu.as_secs_f64()),
        ratio(theirs.rss_kib as f64, ours.rss_kib as f64),
        ratio(theirs.calls, ours.calls),
        ours.name,
    );
}

/// `theirs` over `ours`.
pub fn ratio(theirs: f64, ours: f64) -> f64 {
    if ours > 0.0 { theirs / ours } else { f64::NAN }
}
