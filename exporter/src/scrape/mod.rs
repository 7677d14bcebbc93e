//! One scrape from start to end, on a thread of its own.
//!
//! Quick collectors run one after the other into the page; those that may block run on a pool's threads meanwhile, and
//! what they wrote is taken over if it is there in time.

mod buffers;
mod node_half;
mod selection;

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::{Duration, Instant},
};

use hyper::body::Bytes;
use tokio::sync::oneshot;

use self::buffers::Buffers;
pub use self::{
    node_half::NodeHalf,
    selection::{Selection, Wanted},
};
use crate::{
    collector::Pace,
    config::Part,
    container::{ContainerError, ContainerHalf, Groups},
    metric::Page,
    own::{Own, Stages},
    web::{ScrapeError, Scrapes},
};

/// Requests that wait for the thread; the server's own limit is lower.
const WAITING: usize = 256;
/// Kept from the deadline for what follows the collectors: own metrics and the way to the server.
const RESERVE: Duration = Duration::from_millis(20);

/// What a scrape goes through.
#[derive(Debug)]
pub struct Collectors {
    /// `node_*`.
    pub node: NodeHalf,
    /// `container_*` and `machine_*`, or why there are none; nothing if they are not wanted.
    pub container: Option<Result<ContainerHalf, ContainerError>>,
    /// What the exporter says of itself.
    pub own: Own,
}

/// The way to the scrape thread.
#[derive(Debug)]
pub struct Scraper {
    jobs: SyncSender<Job>,
    enabled: Selection,
}

#[derive(Debug)]
struct Job {
    wanted: Wanted,
    deadline: Instant,
    answer: oneshot::Sender<Bytes>,
}

impl Scraper {
    /// Starts the scrape thread. `groups`: those of containers that are on. A scrape that began less than `share` ago is
    /// shared.
    ///
    /// # Errors
    /// What the kernel says to a new thread.
    pub fn start(collectors: Collectors, groups: Groups, share: Duration) -> std::io::Result<Self> {
        let (jobs, todo) = sync_channel(WAITING);
        let container = if collectors.container.is_some() { groups } else { Groups::NONE };
        let enabled = Selection { node: collectors.node.enabled(), container };
        let thread = ScrapeThread {
            collectors,
            share,
            buffers: Buffers::default(),
            page: Page::default(),
            last: None,
        };
        std::thread::Builder::new().name("scrape".into()).spawn(move || thread.run(&todo))?;
        Ok(Self { jobs, enabled })
    }
}

impl Scrapes for Scraper {
    type Selection = Wanted;

    fn select(&self, part: Part, collect: &[String], exclude: &[String]) -> Result<Wanted, String> {
        let collectors = Selection::new(self.enabled.within(part), collect, exclude)?;
        Ok(Wanted { part, collectors })
    }

    async fn scrape(&self, wanted: Wanted, deadline: Instant) -> Result<Bytes, ScrapeError> {
        let (answer, text) = oneshot::channel();
        self.jobs.try_send(Job { wanted, deadline, answer }).map_err(|error| match error {
            std::sync::mpsc::TrySendError::Full(_) => ScrapeError::Late,
            std::sync::mpsc::TrySendError::Disconnected(_) => ScrapeError::Stopped,
        })?;
        match tokio::time::timeout_at(deadline.into(), text).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(_)) | Err(_) => Err(ScrapeError::Late),
        }
    }

    fn ready(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct ScrapeThread {
    collectors: Collectors,
    share: Duration,
    buffers: Buffers,
    page: Page,
    last: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    wanted: Wanted,
    began: Instant,
    text: Bytes,
}

impl ScrapeThread {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let now = Instant::now();
            // Whoever asked has gone: its deadline passed, or its connection did.
            if job.deadline <= now || job.answer.is_closed() {
                continue;
            }
            let shared = self
                .last
                .as_ref()
                .filter(|last| last.wanted == job.wanted && now.duration_since(last.began) < self.share)
                .map(|last| last.text.clone());
            self.collectors.own.count_answer(shared.is_some());
            let text = shared.unwrap_or_else(|| self.scrape(job.wanted, job.deadline));
            // A receiver that is gone by now loses nothing but its answer.
            let _ = job.answer.send(text);
        }
    }

    fn scrape(&mut self, wanted: Wanted, deadline: Instant) -> Bytes {
        let selection = wanted.collectors;
        let began = Instant::now();
        let deadline = deadline.checked_sub(RESERVE).unwrap_or(deadline);
        self.last = None;
        let mut buffer = self.buffers.take();
        let Collectors { node, container, own } = &mut self.collectors;
        self.page.swap_text(&mut buffer);
        let page = &mut self.page;

        let mut watch = Stopwatch(began);
        node.run(Pace::First, selection.node, page);
        node.ask(selection.node, deadline);
        node.run(Pace::Quick, selection.node, page);
        let quick = watch.lap();
        let container = container.as_mut().filter(|_| !selection.container.is_empty());
        let container =
            container.map(|half| half.as_mut().map(|half| (half.read(selection.container, deadline), half)));
        let mut in_containers = watch.lap();
        // While it waits it sees to it that what hangs does not delay the others, so nothing is waited for before.
        node.wait();
        let wait = watch.lap();
        match container {
            Some(Ok((read, half))) => half.finish(&read, deadline, page),
            Some(Err(error)) => error.write(page),
            None => {}
        }
        in_containers += watch.lap();
        node.take_slow(selection.node, quick + in_containers + wait, page);
        let stages = Stages { node: quick, container: in_containers, wait: wait + watch.lap() };
        node.write_outcomes(selection.node, page);
        own.write(wanted.part, &stages, page);
        node.take_foreign(selection.node, page);
        own.count_dropped(page);

        page.swap_text(&mut buffer);
        let text = self.buffers.share(buffer);
        if !self.share.is_zero() {
            self.last = Some(Answer { wanted, began, text: text.clone() });
        }
        text
    }
}

struct Stopwatch(Instant);

impl Stopwatch {
    /// The time since the last lap.
    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now.duration_since(std::mem::replace(&mut self.0, now))
    }
}
