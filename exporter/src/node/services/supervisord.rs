//! Processes under supervisord.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::supervisor::{self, Address, Process, Supervisor},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "supervisord",
    on_by_default: false,
    summary: "state of supervisord's processes",
    reads: "supervisord's XML-RPC",
    since: "2.6",
    pace: Pace::MayBlock,
    flags: &[Flag {
        name: URL,
        takes: Takes::Text { placeholder: "URL", default: "http://localhost:9001/RPC2" },
        help: "Where supervisord answers XML-RPC; http://... or unix:///...",
    }],
    families: &[&UP, &STATE, &EXIT_STATUS, &START_TIME],
    build: Supervisord::build,
};

const URL: &str = "collector.supervisord.url";

static UP: Family =
    Family::gauge("node_supervisord_up", "1 if the process starts, runs or is being stopped, else 0.");
static STATE: Family = Family::gauge(
    "node_supervisord_state",
    "0 stopped, 10 starting, 20 running, 30 to be tried again, 40 stopping, 100 ended, 200 given up, 1000 unknown.",
);
static EXIT_STATUS: Family = Family::gauge(
    "node_supervisord_exit_status",
    "Exit status that the process last ended with, below 0 if by a signal.",
);
static START_TIME: Family = Family::counter(
    "node_supervisord_start_time_seconds",
    "When the process was started, in seconds since 1970; of those that are up.",
);

/// Starting, running, stopping.
const UP_STATES: [i64; 3] = [10, 20, 40];

struct Supervisord {
    supervisor: Supervisor,
    processes: Kept<Known>,
}

struct Known {
    labels: Labels,
    process: Process,
}

impl Supervisord {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let url = context.flags.text(URL);
        let address = Address::parse(url).map_err(|why| ConfigError::flag(URL, url, why))?;
        Ok(Box::new(Self { supervisor: Supervisor::new(address), processes: Kept::default() }))
    }
}

impl Collector for Supervisord {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let processes = self.supervisor.processes()?;
        self.processes.begin();
        for process in processes {
            let key = [&*process.group, b"\0", &process.name].concat();
            let make = || Known {
                labels: Labels::new([("group", &process.group), ("name", &process.name)]),
                process: Process::default(),
            };
            if let Some(known) = self.processes.meet(&key, make) {
                known.process = process;
            }
        }
        self.processes.end();
        for (family, value) in [
            (&STATE, (|process| Some(process.state as f64)) as fn(&Process) -> Option<f64>),
            (&EXIT_STATUS, |process| Some(process.exit_status as f64)),
            (&UP, |process| Some(f64::from(is_up(process)))),
            (&START_TIME, |process| is_up(process).then_some(process.start as f64)),
        ] {
            let mut samples = page.family(family);
            for known in self.processes.items() {
                if let Some(value) = value(&known.process) {
                    samples.sample(&known.labels, value);
                }
            }
        }
        Ok(())
    }
}

fn is_up(process: &Process) -> bool {
    UP_STATES.contains(&process.state)
}

impl From<supervisor::Error> for Failure {
    fn from(error: supervisor::Error) -> Self {
        if error.is_absent() { Self::absent(error.to_string()) } else { Self::Broken(error.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_states_count_as_up() {
        let up = |state| is_up(&Process { state, ..Process::default() });
        assert!([10, 20, 40].into_iter().all(up));
        assert!(![0, 30, 100, 200, 1000, -1].into_iter().any(up));
    }
}
