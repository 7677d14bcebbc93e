//! `cargo xtask bench container`: the container half beside cAdvisor, both with their makers' defaults, in turns.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use tests::cgroup::Cgroup;
use tests::load;
use tests::running::Running;

use super::measure::{Measured, Series, in_turns};
use super::target::Target;
use super::{catch_signals, machine, pause, table};
use crate::{Outcome, setup, shell};

/// How many times less CPU per scrape than cAdvisor the project set itself, and from how many containers on.
const GOAL: f64 = 30.0;
const GOAL_FROM: usize = 100;
/// And the most memory at the most containers, in MiB.
const MEMORY: f64 = 15.0;

/// How long cAdvisor takes to find what was made.
const SETTLE: Duration = Duration::from_secs(15);
/// One container of so many is busy; together they burn about so many percent of a CPU.
const BUSY_OF: usize = 10;
const BUSY_PERCENT: u64 = 20;

/// Scrapes under strace.
const STRACED: [[u32; 2]; 2] = [[10, 30], [1, 3]];

/// What `bench container` was asked for.
pub struct Settings {
    scrapes: usize,
    containers: Vec<usize>,
    binary: Option<PathBuf>,
}

impl Settings {
    /// As typed, to as meant.
    pub fn from_matches(m: &ArgMatches) -> Self {
        Self {
            scrapes: m.get_one::<usize>("scrapes").copied().unwrap_or_default().max(10),
            containers: m.get_many::<usize>("containers").unwrap_or_default().copied().collect(),
            binary: m.get_one::<PathBuf>("binary").cloned(),
        }
    }
}

/// Builds, starts, measures, prints.
///
/// # Errors
/// What could not be built, made, started or measured.
pub fn run(settings: &Settings) -> Outcome {
    setup::require(setup::BENCH)?;
    setup::require(setup::CONTAINER_PEER)?;
    if !shell::is_root() {
        return Err("bench container: need root, to make cgroups".to_owned());
    }
    let binary = settings.binary.clone().map_or_else(|| shell::build_exporter("release"), Ok)?;
    shell::status(shell::cargo().args(["build", "--package", "tests", "--bins"]))?;
    let bin = setup::unpacked_bin()?;
    catch_signals()?;
    println!("{}", machine::describe());
    println!(
        "{} scrapes each, in turns of ten on kept-alive connections, sharing off, defaults on both sides\n",
        settings.scrapes
    );
    let mut all = Vec::new();
    for &count in &settings.containers {
        let containers = Containers::make(count);
        let ours = Target::nodetally(&binary, &["--collector.disable-defaults"])?;
        let theirs = Target::cadvisor(&bin)?;
        eprintln!("measuring at {count} containers");
        pause(SETTLE)?;
        let mut series = vec![
            Series::begin(&format!("nodetally, {count} containers"), &ours, "/metrics")?,
            Series::begin(&format!("cAdvisor, {count} containers"), &theirs, "/metrics")?,
        ];
        in_turns(&mut series, settings.scrapes)?;
        let shared = shared(series.first().map(Series::body).unwrap_or_default());
        let ends = series.into_iter().zip(STRACED);
        let pair = ends.map(|(series, straced)| series.end_with(straced)).collect::<Outcome<Vec<_>>>()?;
        println!("answers of nodetally's that were shared, at {count} containers: {shared}");
        all.extend(pair);
        drop(containers);
    }
    println!();
    table::print(&all);
    println!();
    for pair in all.chunks_exact(2) {
        let [ours, theirs] = pair else { continue };
        table::print_ratio(ours, theirs);
    }
    print_goals(&all, &settings.containers);
    Ok(())
}

/// Cgroups as containers have them, with a process each. Fields go in their order: processes before their groups,
/// groups before their parent.
#[derive(Default)]
struct Containers {
    _busy: Vec<(Running, Cgroup)>,
    _parent: Option<Cgroup>,
}

impl Containers {
    fn make(count: usize) -> Self {
        if count == 0 {
            return Self::default();
        }
        let parent = Cgroup::new("bench");
        let busy = count.div_ceil(BUSY_OF);
        parent.fill_with_sleepers(count - busy);
        let percent = (BUSY_PERCENT / busy as u64).max(1);
        let start = |number| {
            let group = parent.child(&format!("{:064x}", usize::MAX - number));
            (group.start(&load::cpu(percent)), group)
        };
        Self { _busy: (0..busy).map(start).collect(), _parent: Some(parent) }
    }
}

/// What a page says of answers whose figures were read for another request.
fn shared(page: &[u8]) -> f64 {
    let text = String::from_utf8_lossy(page);
    let line =
        text.lines().find_map(|line| line.strip_prefix("nodetally_answers_total{figures=\"shared\"} "));
    line.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}

fn print_goals(rows: &[Measured], counts: &[usize]) {
    let pairs = || rows.chunks_exact(2).zip(counts);
    let goal = |what: &str, value: f64, is_met: bool| {
        println!("goal: {what}, here {value:.1}: {}", if is_met { "reached" } else { "MISSED" });
    };
    for (pair, count) in pairs().filter(|(_, count)| **count >= GOAL_FROM) {
        let [ours, theirs] = pair else { continue };
        let less = table::ratio(theirs.cpu.as_secs_f64(), ours.cpu.as_secs_f64());
        goal(&format!("{GOAL} times less CPU per scrape at {count} containers"), less, less >= GOAL);
    }
    if let Some(([ours, _], count)) = pairs().max_by_key(|(_, count)| **count) {
        let resident = ours.rss_kib as f64 / 1024.0;
        goal(&format!("under {MEMORY} MiB resident at {count} containers"), resident, resident < MEMORY);
        goal("no CPU in percent between scrapes", ours.idle * 100.0, ours.idle < 0.0005);
    }
}

#[cfg(test)]
mod unit {
    #[test]
    fn shared_answers_are_read_from_the_page() {
        let page =
            b"nodetally_answers_total{figures=\"read\"} 5\nnodetally_answers_total{figures=\"shared\"} 2\n";
        assert!((super::shared(page) - 2.0).abs() < 1e-9 && super::shared(b"x 1\n").is_nan());
    }
}
