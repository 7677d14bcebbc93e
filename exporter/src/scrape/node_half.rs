//! The node collectors of a scrape: run, timed, judged.

use std::time::{Duration, Instant};

use rustix::thread::CapabilitySet;

use crate::{
    collector::{Collector, Context, Failure, Pace},
    config::{ConfigError, Settings},
    metric::{Family, Labels, Page},
    node,
    source::worker::Worker,
};

static DURATION: Family = Family::gauge(
    "node_scrape_collector_duration_seconds",
    "Seconds that the collector took in this scrape.",
);
static SUCCESS: Family = Family::gauge(
    "node_scrape_collector_success",
    "1 if the collector gave all it has, 0 if it failed, was late or found nothing to report.",
);
static OUTCOME: Family = Family::gauge(
    "nodetally_collector_outcome",
    "1 for what the collector came to in this scrape: ok, absent (no such thing here), broken or late.",
);
static LATE: Family = Family::counter(
    "nodetally_late_collectors_total",
    "Scrapes that went out without this collector because it had not finished in time.",
);

/// The node collectors that are on.
#[derive(Debug)]
pub struct NodeHalf {
    collectors: Vec<Entry>,
}

struct Entry {
    /// The place in [`node::COLLECTORS`], which is the bit in a selection.
    index: usize,
    labels: Labels,
    outcome_labels: [Labels; 4],
    runs: Runs,
    took: Duration,
    outcome: Outcome,
    late: u64,
    /// The failure logged last: one line a cause, not one a scrape.
    logged: Option<String>,
}

enum Runs {
    Here(Box<dyn Collector>),
    OnItsThread(Worker<Product>),
}

/// What a collector on its own thread leaves.
#[derive(Default)]
struct Product {
    page: Page,
    ran: Option<Ran>,
}

struct Ran {
    took: Duration,
    result: Result<(), Failure>,
}

fn run(collector: &mut dyn Collector, page: &mut Page) -> Ran {
    let start = Instant::now();
    let result = collector.collect(page);
    Ran { took: start.elapsed(), result }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Ok,
    Absent,
    Broken,
    Late,
}

const OUTCOMES: [(Outcome, &str); 4] =
    [(Outcome::Ok, "ok"), (Outcome::Absent, "absent"), (Outcome::Broken, "broken"), (Outcome::Late, "late")];

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.name())
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// Collectors made, threads not started: a bad pattern is found before anything runs.
pub struct NodeHalfPlan(Vec<(usize, Box<dyn Collector>)>);

impl NodeHalf {
    /// Makes every collector that is on.
    ///
    /// # Errors
    /// A flag of a collector that cannot be used.
    pub fn plan(settings: &Settings) -> Result<NodeHalfPlan, ConfigError> {
        let context = Context { paths: &settings.paths, flags: &settings.flags };
        let enabled = node::COLLECTORS.iter().zip(&settings.node).enumerate().filter(|(_, (_, on))| **on);
        enabled
            .map(|(index, (descriptor, _))| Ok((index, (descriptor.build)(&context)?)))
            .collect::<Result<_, _>>()
            .map(NodeHalfPlan)
    }

    /// The bits of the collectors that are on.
    pub fn enabled(&self) -> u128 {
        self.collectors.iter().fold(0, |bits, entry| bits | 1 << entry.index)
    }

    /// Asks those that may block to begin.
    pub fn ask(&mut self, selected: u128) {
        for entry in self.selected(selected) {
            if let Runs::OnItsThread(worker) = &mut entry.runs {
                worker.ask();
            }
        }
    }

    /// Runs the quick ones.
    pub fn run_quick(&mut self, selected: u128, page: &mut Page) {
        for entry in self.selected(selected) {
            if let Runs::Here(collector) = &mut entry.runs {
                let ran = run(collector.as_mut(), page);
                entry.judge(Some(ran));
            }
        }
    }

    /// Takes over what those that may block have written, waiting for them until the deadline.
    pub fn take_slow(&mut self, selected: u128, deadline: Instant, page: &mut Page) {
        for entry in self.selected(selected) {
            if let Runs::OnItsThread(worker) = &mut entry.runs {
                let asked = Instant::now();
                let ran = worker.take(deadline, |product| {
                    page.append(&product.page);
                    product.ran.take()
                });
                let ran = ran.flatten();
                if ran.is_none() {
                    entry.took = asked.elapsed();
                }
                entry.judge(ran);
            }
        }
    }

    /// Writes what each came to.
    pub fn write_outcomes(&mut self, selected: u128, page: &mut Page) {
        let chosen = |entry: &&Entry| entry.is_in(selected);
        let mut samples = page.family(&DURATION);
        for entry in self.collectors.iter().filter(chosen) {
            samples.sample(&entry.labels, entry.took.as_secs_f64());
        }
        let mut samples = page.family(&SUCCESS);
        for entry in self.collectors.iter().filter(chosen) {
            samples.sample(&entry.labels, entry.outcome == Outcome::Ok);
        }
        let mut samples = page.family(&OUTCOME);
        for entry in self.collectors.iter().filter(chosen) {
            for ((outcome, _), labels) in OUTCOMES.iter().zip(&entry.outcome_labels) {
                if entry.outcome == *outcome {
                    samples.sample(labels, true);
                }
            }
        }
        let mut samples = page.family(&LATE);
        for entry in
            self.collectors.iter().filter(chosen).filter(|entry| matches!(entry.runs, Runs::OnItsThread(_)))
        {
            samples.sample(&entry.labels, entry.late);
        }
    }

    fn selected(&mut self, selected: u128) -> impl Iterator<Item = &mut Entry> {
        self.collectors.iter_mut().filter(move |entry| entry.is_in(selected))
    }
}

impl NodeHalfPlan {
    /// What the collectors must be allowed beyond reading files.
    pub fn rights(&self) -> CapabilitySet {
        self.0.iter().map(|(_, collector)| collector.rights()).collect()
    }

    /// Starts the threads of those that may block.
    ///
    /// # Errors
    /// What the kernel says to a new thread.
    pub fn start(self) -> std::io::Result<NodeHalf> {
        let collectors = self.0.into_iter().map(|(index, collector)| Entry::new(index, collector));
        Ok(NodeHalf { collectors: collectors.collect::<Result<_, _>>()? })
    }
}

impl Entry {
    fn new(index: usize, mut collector: Box<dyn Collector>) -> std::io::Result<Self> {
        let descriptor = node::COLLECTORS[index];
        let runs = match descriptor.pace {
            Pace::Quick => Runs::Here(collector),
            Pace::MayBlock => {
                Runs::OnItsThread(Worker::start(descriptor.name, move |product: &mut Product| {
                    product.page.clear();
                    product.ran = Some(run(collector.as_mut(), &mut product.page));
                })?)
            }
        };
        Ok(Self {
            index,
            labels: Labels::new([("collector", descriptor.name)]),
            outcome_labels: OUTCOMES
                .map(|(_, word)| Labels::new([("collector", descriptor.name), ("outcome", word)])),
            runs,
            took: Duration::ZERO,
            outcome: Outcome::Ok,
            late: 0,
            logged: None,
        })
    }

    fn name(&self) -> &'static str {
        node::COLLECTORS[self.index].name
    }

    fn is_in(&self, selected: u128) -> bool {
        selected & 1 << self.index != 0
    }

    fn judge(&mut self, ran: Option<Ran>) {
        let collector = self.name();
        let (outcome, cause) = match ran {
            None => {
                self.late += 1;
                (Outcome::Late, Some("not finished before the deadline".to_owned()))
            }
            Some(Ran { took, result }) => {
                self.took = took;
                match result {
                    Ok(()) => (Outcome::Ok, None),
                    Err(failure @ Failure::Absent(_)) => (Outcome::Absent, Some(failure.to_string())),
                    Err(failure @ Failure::Broken(_)) => (Outcome::Broken, Some(failure.to_string())),
                }
            }
        };
        self.outcome = outcome;
        if self.logged == cause {
            return;
        }
        match (&cause, outcome) {
            (None, _) => tracing::info!(collector, "collector works again"),
            (Some(cause), Outcome::Absent) => tracing::debug!(collector, cause, "collector has no data"),
            (Some(cause), Outcome::Late) => tracing::warn!(collector, cause, "collector is late"),
            (Some(cause), _) => tracing::error!(collector, cause, "collector failed"),
        }
        self.logged = cause;
    }
}
