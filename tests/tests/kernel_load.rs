//! The kernel half is loaded, proved and taken out again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kernel_support;

use kernel_support::{load, request, turn};

#[test]
fn every_program_runs_and_is_proved() {
    let Some(_turn) = turn() else { return };
    let start = std::time::Instant::now();
    let kernel = load(&request());
    println!("loaded in {:?}", start.elapsed());
    assert!(kernel.counters.is_some() && kernel.life.is_some());
    assert!(kernel.log.is_none(), "the shipped object has no log lines");
    println!("{:?}", kernel.counters.unwrap().usage());
}
