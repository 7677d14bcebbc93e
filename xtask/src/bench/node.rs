//! `cargo xtask bench node`: the node half beside the stock node exporter, both with their makers' defaults, in turns.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::ArgMatches;

use super::measure::{Measured, Series, in_turns};
use super::target::Target;
use super::{big, catch_signals, machine, table};
use crate::{Outcome, setup, shell};

/// How many times less CPU and latency than the stock exporter the project set itself.
const GOAL: f64 = 15.0;

/// What `bench node` was asked for.
pub struct Settings {
    scrapes: usize,
    big: bool,
    binary: Option<PathBuf>,
}

impl Settings {
    /// As typed, to as meant.
    pub fn from_matches(m: &ArgMatches) -> Self {
        Self {
            scrapes: m.get_one::<usize>("scrapes").copied().unwrap_or_default().max(10),
            big: m.get_flag("big"),
            binary: m.get_one::<PathBuf>("binary").cloned(),
        }
    }
}

/// Builds, starts, measures, prints; with `--big` what a CPU, an interface and a mount cost.
///
/// # Errors
/// What could not be built, started or measured.
pub fn run(settings: &Settings) -> Outcome {
    setup::require(setup::BENCH)?;
    setup::require(setup::NODE_PEER)?;
    let binary = settings.binary.clone().map_or_else(|| shell::build_exporter("release"), Ok)?;
    let bin = setup::unpacked_bin()?;
    catch_signals()?;
    println!("{}", machine::describe());
    if settings.big {
        let scrapes = settings.scrapes.div_ceil(10);
        return big::run(&big::Bench { ours: &binary, theirs: &bin, scrapes });
    }
    println!(
        "{} scrapes each, in turns of ten on kept-alive connections, sharing off, defaults on both sides\n",
        settings.scrapes
    );
    let half = Target::node_half(&binary, &[])?;
    let all = Target::nodetally(&binary, &[])?;
    let reference = Target::node_exporter(&bin, &[])?;
    let mut series = vec![
        Series::begin("nodetally, node half", &half, "/metrics")?,
        Series::begin("nodetally, node half and containers", &all, "/metrics")?,
        Series::begin("node_exporter", &reference, "/metrics")?,
    ];
    in_turns(&mut series, settings.scrapes)?;
    let [ours, _, theirs] = &series[..] else { return Ok(()) };
    print_collectors(&collectors(ours.body()), &collectors(theirs.body()));
    let rows = series.into_iter().map(Series::end).collect::<Outcome<Vec<_>>>()?;
    table::print(&rows);
    let [half, all, reference] = &rows[..] else { return Ok(()) };
    print_goal(half, reference);
    print_goal(all, reference);
    Ok(())
}

fn print_goal(ours: &Measured, theirs: &Measured) {
    table::print_ratio(ours, theirs);
    let least = table::ratio(theirs.p50.as_secs_f64(), ours.p50.as_secs_f64())
        .min(table::ratio(theirs.cpu.as_secs_f64(), ours.cpu.as_secs_f64()));
    let word = if least >= GOAL { "reached" } else { "MISSED" };
    println!("goal: at least {GOAL} times less CPU and latency, here {least:.1}: {word}");
}

/// The collectors that a page tells of.
fn collectors(page: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(page);
    let lines =
        text.lines().filter_map(|line| line.strip_prefix("node_scrape_collector_success{collector=\""));
    lines.filter_map(|line| Some(line.split_once('"')?.0.to_owned())).collect()
}

fn print_collectors(ours: &BTreeSet<String>, theirs: &BTreeSet<String>) {
    println!("collectors: nodetally {}, node_exporter {}", ours.len(), theirs.len());
    for (who, only) in [("nodetally", ours - theirs), ("node_exporter", theirs - ours)] {
        if !only.is_empty() {
            println!("{who} alone has: {}", only.into_iter().collect::<Vec<_>>().join(", "));
        }
    }
    println!();
}

#[cfg(test)]
mod unit {
    #[test]
    fn collectors_are_read_from_their_outcome() {
        let page = b"node_load1 1\nnode_scrape_collector_success{collector=\"cpu\"} 1\n\
            node_scrape_collector_success{collector=\"arp\"} 0\n";
        assert_eq!(super::collectors(page).into_iter().collect::<Vec<_>>(), ["arp", "cpu"]);
    }
}
