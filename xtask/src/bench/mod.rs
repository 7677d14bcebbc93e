//! `cargo xtask bench`.

use clap::ArgMatches;

use crate::{Outcome, setup};

/// What the bench was asked for.
pub struct Settings {
    /// Scrapes per measurement.
    pub scrapes: usize,
    /// Plain cgroups to make first.
    pub cgroups: usize,
    /// Measure the stock exporters too.
    pub peers: bool,
}

impl Settings {
    /// As typed, to as meant.
    pub fn from_matches(m: &ArgMatches) -> Self {
        let number = |name| m.get_one::<usize>(name).copied().unwrap_or_default();
        Self { scrapes: number("scrapes").max(1), cgroups: number("cgroups"), peers: !m.get_flag("no-peers") }
    }
}

/// Runs the bench.
pub fn run(settings: &Settings) -> Outcome {
    setup::require(setup::BENCH)?;
    let _ = (settings.scrapes, settings.cgroups);
    if settings.peers {
        setup::ensure(setup::PEERS)?;
    }
    Err("not there yet".to_owned())
}
