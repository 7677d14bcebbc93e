//! `cargo xtask bench`: what a scrape costs on this machine, beside the stock exporters when they can be had.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::ArgMatches;
use nix::sys::signal::{SigSet, Signal};
use tests::calls;
use tests::cgroup::Cgroup;

use crate::{Outcome, setup, shell};

mod big;
pub mod container;
mod machine;
mod measure;
pub mod node;
mod programs;
mod table;
mod target;

use measure::Measured;
use target::Target;

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
        Self {
            scrapes: number("scrapes").max(10),
            cgroups: number("cgroups"),
            peers: !m.get_flag("no-peers"),
        }
    }
}

/// Builds, starts, measures, prints. Nothing is left running, whether it ends well, badly or by a signal.
///
/// # Errors
/// What could not be built, started or measured.
pub fn run(settings: &Settings) -> Outcome {
    setup::require(setup::BENCH)?;
    let peers = settings.peers && setup::ensure(setup::PEERS)?.is_empty();
    let binary = shell::build_exporter("release")?;
    shell::status(shell::cargo().args(["build", "--package", "tests", "--bins"]))?;
    catch_signals()?;

    println!("{}", machine::describe());
    println!(
        "{} scrapes each on one kept-alive connection, sharing off, {} extra cgroups\n",
        settings.scrapes, settings.cgroups
    );
    let parent = (settings.cgroups > 0).then(|| Cgroup::new("bench"));
    if let Some(parent) = &parent {
        parent.fill_with_sleepers(settings.cgroups);
        pause(Duration::from_secs(2))?;
    }

    let node = calls::page_of(calls::NODE_HALF);
    let ours = Target::nodetally(&binary, &[])?;
    let mut rows = vec![
        measured("nodetally, node half", &ours, &node, settings)?,
        measured("nodetally, container half", &ours, &calls::page_of(&["container"]), settings)?,
        measured("nodetally, all", &ours, "/metrics", settings)?,
    ];
    let cost = programs::cost(&ours)?;
    drop(ours);
    if peers {
        let bin = setup::unpacked_bin()?;
        let node_exporter = Target::node_exporter(&bin, &[])?;
        rows.push(measured("node_exporter, same collectors", &node_exporter, &node, settings)?);
        rows.push(measured("node_exporter, all its defaults", &node_exporter, "/metrics", settings)?);
        drop(node_exporter);
        let cadvisor = Target::cadvisor(&bin)?;
        rows.push(measured("cAdvisor, all its defaults", &cadvisor, "/metrics", settings)?);
    }
    table::print(&rows);
    if let [node, container, ..] = &rows[..] {
        table::print_aims(node, container);
    }
    table::print_ratios(&rows);
    programs::print(&cost);
    Ok(())
}

fn measured(name: &str, target: &Target, path: &str, settings: &Settings) -> Outcome<Measured> {
    eprintln!("measuring {name}");
    measure::measure(name, target, path, settings.scrapes)
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// SIGINT and SIGTERM set a flag instead of ending the process, so that what was made is removed.
fn catch_signals() -> Outcome {
    let mut set = SigSet::empty();
    set.add(Signal::SIGINT);
    set.add(Signal::SIGTERM);
    set.thread_block().map_err(|e| format!("sigprocmask: {e}"))?;
    std::thread::spawn(move || {
        while set.wait().is_ok() {
            INTERRUPTED.store(true, Ordering::Relaxed);
        }
    });
    Ok(())
}

/// An error once a signal has come; asked between scrapes and waits.
fn go_on() -> Outcome {
    if INTERRUPTED.load(Ordering::Relaxed) { Err("interrupted".to_owned()) } else { Ok(()) }
}

/// Sleeps, in pieces.
fn pause(time: Duration) -> Outcome {
    let begun = std::time::Instant::now();
    while begun.elapsed() < time {
        go_on()?;
        std::thread::sleep(Duration::from_millis(50).min(time));
    }
    go_on()
}
