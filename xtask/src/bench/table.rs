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
        let calls: Vec<String> =
            row.most.iter().filter(|c| c.1 >= 0.05).map(|(n, c)| format!("{n} {c:.1}")).collect();
        println!("{:<34} {}", row.name, calls.join(", "));
    }
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
        println!(
            "\n{what}: {} takes {:.1} x the latency (p50), {:.1} x the CPU, {:.1} x the memory, {:.1} x the system calls",
            theirs.name.split(',').next().unwrap_or_default(),
            ratio(theirs.p50.as_secs_f64(), ours.p50.as_secs_f64()),
            ratio(theirs.cpu.as_secs_f64(), ours.cpu.as_secs_f64()),
            ratio(theirs.rss_kib as f64, ours.rss_kib as f64),
            ratio(theirs.calls, ours.calls),
        );
    }
}

fn ratio(theirs: f64, ours: f64) -> f64 {
    if ours > 0.0 { theirs / ours } else { f64::NAN }
}
