//! A thread for one collector that may wait in the kernel. A late answer is left behind; the thread is never joined.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    collector::{Collector, Failure},
    metric::Page,
    source::thread,
};

/// What one run of a collector came to.
#[derive(Debug)]
pub struct Ran {
    /// How long it took.
    pub took: Duration,
    /// What it said.
    pub result: Result<(), Failure>,
}

/// Runs a collector and takes the time.
pub fn run(collector: &mut dyn Collector, page: &mut Page) -> Ran {
    let start = Instant::now();
    let result = collector.collect(page);
    Ran { took: start.elapsed(), result }
}

/// A collector on a thread of its own.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    /// The run that the present scrape waits for; `None` while the thread is busy with an earlier one.
    awaited: Option<u64>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The run asked for last, and the one finished last. The thread is busy while they differ.
    asked: u64,
    finished: u64,
    /// What the finished run left, until a scrape takes it.
    outcome: Option<Ran>,
    page: Page,
    stopped: bool,
}

impl Worker {
    /// Starts the thread, named after the collector.
    ///
    /// # Errors
    /// What the kernel says to a new thread.
    pub fn start(name: &str, mut collector: Box<dyn Collector>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            thread::leave_descriptor_table();
            let mut page = Page::default();
            while let Some(number) = theirs.next() {
                page.clear();
                let ran = run(collector.as_mut(), &mut page);
                theirs.finish(number, ran, &mut page);
            }
        })?;
        Ok(Self { shared, awaited: None })
    }

    /// Asks for a run, unless the last one has not come back yet.
    pub fn ask(&mut self) {
        let mut state = self.shared.lock();
        self.awaited = (state.asked == state.finished).then(|| {
            state.asked += 1;
            state.outcome = None;
            self.shared.changed.notify_all();
            state.asked
        });
    }

    /// Waits for the run asked for and takes over what it wrote. `None` when it is late.
    pub fn take(&mut self, deadline: Instant, page: &mut Page) -> Option<Ran> {
        let awaited = self.awaited.take()?;
        let mut state = self.shared.lock();
        loop {
            if state.finished == awaited {
                let ran = state.outcome.take();
                page.append(&state.page);
                return ran;
            }
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Worker {
    /// Tells the thread to end; one that hangs in the kernel is not waited for.
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<u64> {
        let mut state = self.lock();
        while state.asked == state.finished && !state.stopped {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (!state.stopped).then_some(state.asked)
    }

    fn finish(&self, number: u64, ran: Ran, page: &mut Page) {
        let mut state = self.lock();
        std::mem::swap(&mut state.page, page);
        state.outcome = Some(ran);
        state.finished = number;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::metric::Family;

    static UP: Family = Family::gauge("up", "Whether it is.");

    /// Waits for a word at each run, as a dead mount would.
    struct Waits(Receiver<f64>);

    impl Collector for Waits {
        fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
            let value = self.0.recv().map_err(|error| Failure::Broken(error.to_string()))?;
            page.family(&UP).plain(value);
            Ok(())
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(30)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn a_late_run_is_left_behind_and_the_next_one_is_fresh() {
        let (words, waits) = channel();
        let mut worker = Worker::start("waits", Box::new(Waits(waits))).expect("starts");
        let mut page = Page::default();

        worker.ask();
        assert!(worker.take(soon(), &mut page).is_none(), "nothing was sent yet");
        worker.ask();
        assert!(worker.take(later(), &mut page).is_none(), "a busy thread is not waited for");
        assert!(page.text().is_empty());

        words.send(1.0).expect("the thread waits");
        while worker.shared.lock().finished == 0 {
            std::thread::yield_now();
        }
        words.send(2.0).expect("the thread waits");
        worker.ask();
        assert!(worker.take(later(), &mut page).is_some_and(|ran| ran.result.is_ok()));
        assert!(page.text().ends_with(b"up 2\n"), "the abandoned figure is not served");
    }

    #[test]
    fn the_thread_ends_with_its_owner() {
        let (words, waits) = channel();
        let mut worker = Worker::start("ends", Box::new(Waits(waits))).expect("starts");
        worker.ask();
        words.send(1.0).expect("the thread waits");
        assert!(worker.take(later(), &mut Page::default()).is_some());
        drop(worker);
        let ended = later();
        while words.send(0.0).is_ok() {
            assert!(Instant::now() < ended, "the collector was not dropped");
            std::thread::yield_now();
        }
    }
}
