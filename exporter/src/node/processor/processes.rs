//! Processes and threads by state.

use std::path::PathBuf;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::{KeptFile, Serves},
        task::{Census, STATES, States},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "processes",
    on_by_default: false,
    summary: "processes and threads by state",
    reads: "/proc/PID/stat, /proc/PID/task/TID/stat, /proc/sys/kernel/{pid_max,threads-max}",
    since: "2.6",
    // It looks at every thread of the node.
    pace: Pace::MayBlock,
    flags: &[],
    families: &[&THREADS, &MAX_THREADS, &STATE, &THREADS_STATE, &PIDS, &MAX_PROCESSES],
    build: Processes::build,
};

static THREADS: Family = Family::gauge("node_processes_threads", "Threads of all processes together.");
static MAX_THREADS: Family =
    Family::gauge("node_processes_max_threads", "Threads that the kernel allows at a time.");
static STATE: Family =
    Family::gauge("node_processes_state", "Processes in this state, a letter as in /proc/PID/stat.");
static THREADS_STATE: Family =
    Family::gauge("node_processes_threads_state", "Threads in this state, a letter as in /proc/PID/stat.");
static PIDS: Family = Family::gauge("node_processes_pids", "Processes.");
static MAX_PROCESSES: Family =
    Family::gauge("node_processes_max_processes", "The number that process numbers stay below.");

struct Processes {
    procfs: PathBuf,
    thread_limit: KeptFile,
    pid_limit: KeptFile,
    census: Census,
    process_labels: Vec<Labels>,
    thread_labels: Vec<Labels>,
}

impl Processes {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let limit = |name| KeptFile::new(context.paths.procfs.join("sys/kernel").join(name), Serves::Whole);
        let labels = |name| STATES.iter().map(|state| Labels::new([(name, [*state])])).collect();
        Ok(Box::new(Self {
            procfs: context.paths.procfs.clone(),
            thread_limit: limit("threads-max"),
            pid_limit: limit("pid_max"),
            census: Census::default(),
            process_labels: labels("state"),
            thread_labels: labels("thread_state"),
        }))
    }
}

impl Collector for Processes {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let census = &mut self.census;
        census.take(&self.procfs)?;
        page.family(&THREADS).plain(census.threads);
        let max_threads = limit(&mut self.thread_limit)?;
        page.family(&MAX_THREADS).plain(max_threads);
        write(page, &STATE, &self.process_labels, &census.process_states);
        write(page, &THREADS_STATE, &self.thread_labels, &census.thread_states);
        let max_processes = limit(&mut self.pid_limit)?;
        page.family(&PIDS).plain(census.processes);
        page.family(&MAX_PROCESSES).plain(max_processes);
        Ok(())
    }
}

fn limit(file: &mut KeptFile) -> Result<u64, Failure> {
    text::only(file.read()?).ok_or_else(|| Failure::unreadable(file.path(), "a number"))
}

/// Only states that something is in.
fn write(page: &mut Page, family: &Family, labels: &[Labels], states: &States) {
    let mut samples = page.family(family);
    for (labels, count) in labels.iter().zip(states) {
        if *count > 0 {
            samples.sample(labels, *count);
        }
    }
}
