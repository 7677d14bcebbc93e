//! What the eBPF programs cost per run, by the kernel's own statistics, under a load that switches and sends.

use std::collections::BTreeMap;
use std::time::Duration;

use aya::programs::loaded_programs;
use aya::sys::{Stats, enable_stats};
use tests::{load, running};

use super::target::Target;
use super::{go_on, pause};
use crate::Outcome;

/// One program over the measured span.
#[derive(Debug)]
pub struct Cost {
    /// The kernel's name of it, 15 bytes at most.
    pub name: String,
    /// Runs a second.
    pub runs: f64,
    /// Nanoseconds a run, the kernel's own bookkeeping of some 20 ns in it.
    pub nanoseconds: f64,
}

/// Measures for five seconds. The statistics are switched on by a descriptor that is closed at the end, so
/// that the machine's setting is as before. Empty when the exporter runs no program or the kernel refuses.
pub fn cost(target: &Target) -> Outcome<Vec<Cost>> {
    const SPAN: Duration = Duration::from_secs(5);
    let ids = tests::exporter::bpf_programs(target.pid());
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let enabled = enable_stats(Stats::RunTime);
    if let Err(why) = &enabled {
        eprintln!("no statistics of eBPF programs: {why}");
        return Ok(Vec::new());
    }
    let address = tests::http::free_address();
    let _sink = running::Running::start(&mut load::sink(address.port()));
    let _sender = running::Running::start(&mut load::udp(&address.to_string(), 2_000_000));
    pause(Duration::from_millis(500))?;
    let before = statistics(&ids)?;
    pause(SPAN)?;
    let after = statistics(&ids)?;
    go_on()?;
    let mut costs = Vec::new();
    for (id, (name, time, runs)) in after {
        let (time_before, runs_before) = before.get(&id).map_or((Duration::ZERO, 0), |b| (b.1, b.2));
        let ran = runs.saturating_sub(runs_before);
        let spent = time.saturating_sub(time_before).as_nanos() as f64;
        let nanoseconds = if ran == 0 { 0.0 } else { spent / ran as f64 };
        costs.push(Cost { name, runs: ran as f64 / SPAN.as_secs_f64(), nanoseconds });
    }
    Ok(costs)
}

fn statistics(ids: &[u32]) -> Outcome<BTreeMap<u32, (String, Duration, u64)>> {
    let mut found = BTreeMap::new();
    for program in loaded_programs() {
        let program = program.map_err(|e| format!("listing eBPF programs: {e}"))?;
        if ids.contains(&program.id()) {
            let name = program.name_as_str().unwrap_or("?").to_owned();
            found.insert(program.id(), (name, program.run_time(), program.run_count()));
        }
    }
    Ok(found)
}

/// One line a program.
pub fn print(costs: &[Cost]) {
    if costs.is_empty() {
        println!("\neBPF programs: none running");
        return;
    }
    println!("\n{:<18} {:>12} {:>10} {:>14}", "eBPF program", "runs/s", "ns/run", "CPU, permille");
    for cost in costs {
        let share = cost.runs * cost.nanoseconds / 1e6;
        println!("{:<18} {:>12.1} {:>10.0} {share:>14.3}", cost.name, cost.runs, cost.nanoseconds);
    }
}
