//! The node collectors of a scrape: run, timed, judged.

use std::time::{Duration, Instant};

use rustix::thread::CapabilitySet;

use crate::{
    collector::{Collector, Context, Failure, Lack, Pace},
    config::{ConfigError, Settings},
    metric::{Family, Labels, Page},
    node,
    source::pool::{JobId, Pool},
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
    slow: Pool<Product>,
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
    /// What it lacked at the last scrape.
    lack: Option<Lack>,
    is_foreign: bool,
    /// The families dropped last.
    dropped: Vec<String>,
}

enum Runs {
    Here(Box<dyn Collector>),
    InPool(JobId),
}

/// What a collector of the pool leaves.
#[derive(Debug, Default)]
struct Product {
    page: Page,
    ran: Option<Ran>,
}

#[derive(Debug)]
struct Ran {
    took: Duration,
    result: Result<(), Failure>,
}

fn timed(collect: impl FnOnce() -> Result<(), Failure>) -> Ran {
    let start = Instant::now();
    let result = collect();
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
    pub fn ask(&mut self, selected: u128, deadline: Instant) {
        let chosen = self.collectors.iter().filter(|entry| entry.is_in(selected));
        let jobs = chosen.filter_map(|entry| match entry.runs {
            Runs::InPool(job) => Some(job),
            Runs::Here(_) => None,
        });
        self.slow.ask(jobs, deadline);
    }

    /// Waits for those that may block, until the deadline at most.
    pub fn wait(&mut self) {
        self.slow.wait();
    }

    /// Runs the quick ones of this pace.
    pub fn run(&mut self, pace: Pace, selected: u128, page: &mut Page) {
        for entry in self.selected(selected).filter(|entry| node::COLLECTORS[entry.index].pace == pace) {
            if let Runs::Here(collector) = &mut entry.runs {
                let ran = timed(|| collector.collect(page));
                entry.judge(Some(ran));
            }
        }
    }

    /// Takes over what those that may block have written; `waited` is the time since they were asked.
    pub fn take_slow(&mut self, selected: u128, waited: Duration, page: &mut Page) {
        for entry in self.collectors.iter_mut().filter(|entry| entry.is_in(selected)) {
            let Runs::InPool(job) = entry.runs else { continue };
            let ran = self.slow.read(job, |product| {
                if !entry.is_foreign {
                    page.append(&product.page);
                }
                product.ran.take()
            });
            let ran = ran.flatten();
            if ran.is_none() {
                entry.took = waited;
            }
            entry.judge(ran);
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
            self.collectors.iter().filter(chosen).filter(|entry| matches!(entry.runs, Runs::InPool(_)))
        {
            samples.sample(&entry.labels, entry.late);
        }
    }

    /// Takes over what others have named, when all that is ours has been written.
    pub fn take_foreign(&mut self, selected: u128, page: &mut Page) {
        for entry in self.collectors.iter_mut().filter(|entry| entry.is_in(selected) && entry.is_foreign) {
            let Runs::InPool(job) = entry.runs else { continue };
            let dropped = self.slow.read(job, |product| page.append_foreign(&product.page));
            entry.tell_dropped(dropped.unwrap_or_default());
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
        // Each of them holds one thread at most, and one more has to be there for the others.
        let mut slow = Pool::start("slow", node::COLLECTORS.len() + 1)?;
        let collectors =
            self.0.into_iter().map(|(index, collector)| Entry::new(index, collector, &mut slow)).collect();
        Ok(NodeHalf { collectors, slow })
    }
}

impl Entry {
    fn new(index: usize, mut collector: Box<dyn Collector>, slow: &mut Pool<Product>) -> Self {
        let descriptor = node::COLLECTORS[index];
        let is_foreign = collector.is_foreign();
        let runs = match descriptor.pace {
            Pace::First | Pace::Quick => Runs::Here(collector),
            Pace::MayBlock => Runs::InPool(slow.add(move |product, deadline| {
                product.page.clear();
                product.ran = Some(timed(|| collector.collect_until(deadline, &mut product.page)));
            })),
        };
        Self {
            index,
            labels: Labels::new([("collector", descriptor.name)]),
            outcome_labels: OUTCOMES
                .map(|(_, word)| Labels::new([("collector", descriptor.name), ("outcome", word)])),
            runs,
            took: Duration::ZERO,
            outcome: Outcome::Ok,
            late: 0,
            logged: None,
            lack: None,
            is_foreign,
            dropped: Vec::new(),
        }
    }

    fn name(&self) -> &'static str {
        node::COLLECTORS[self.index].name
    }

    fn is_in(&self, selected: u128) -> bool {
        selected & 1 << self.index != 0
    }

    /// One line a cause, whatever the number of families.
    fn tell_dropped(&mut self, dropped: Vec<String>) {
        const SHOWN: usize = 10;
        if !dropped.is_empty() && dropped != self.dropped {
            let families = dropped.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            let count = dropped.len();
            tracing::error!(
                collector = self.name(),
                families,
                count,
                "families that the page has already are left out"
            );
        }
        self.dropped = dropped;
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
                    Err(Failure::Absent(lack)) => {
                        let is_known = self.lack.as_ref().is_some_and(|known| known.is_same(&lack));
                        if is_known && self.outcome == Outcome::Absent {
                            return;
                        }
                        let text = lack.to_string();
                        self.lack = Some(lack);
                        (Outcome::Absent, Some(text))
                    }
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
