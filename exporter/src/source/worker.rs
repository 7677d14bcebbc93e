//! A thread for one source that may wait in the kernel. A late answer is left behind; the thread is never joined.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::thread;

/// A job on a thread of its own, asked for at each scrape and waited for until the scrape's deadline.
#[derive(Debug)]
pub struct Worker<T> {
    shared: Arc<Shared<T>>,
    /// The run that the present scrape waits for; `None` while the thread is busy with an earlier one.
    awaited: Option<u64>,
}

#[derive(Debug, Default)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State<T> {
    /// The run asked for last, and the one finished last. The thread is busy while they differ.
    asked: u64,
    finished: u64,
    /// What the finished run made.
    product: T,
    stopped: bool,
}

impl<T: Default + Send + 'static> Worker<T> {
    /// Starts the thread. It shares no descriptor with the others, so the job opens its files itself.
    ///
    /// # Errors
    /// What the kernel says to a new thread.
    pub fn start(name: &str, mut job: impl FnMut(&mut T) + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            thread::leave_descriptor_table();
            let mut product = T::default();
            while let Some(number) = theirs.next() {
                job(&mut product);
                theirs.finish(number, &mut product);
            }
        })?;
        Ok(Self { shared, awaited: None })
    }

    /// Asks for a run, unless the last one has not come back yet.
    pub fn ask(&mut self) {
        let mut state = self.shared.lock();
        self.awaited = (state.asked == state.finished).then(|| {
            state.asked += 1;
            self.shared.changed.notify_all();
            state.asked
        });
    }

    /// Waits for the run asked for and reads what it made. `None` when it is late.
    pub fn take<R>(&mut self, deadline: Instant, read: impl FnOnce(&mut T) -> R) -> Option<R> {
        let awaited = self.awaited.take()?;
        let mut state = self.shared.lock();
        loop {
            if state.finished == awaited {
                return Some(read(&mut state.product));
            }
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T> Drop for Worker<T> {
    /// Tells the thread to end; one that hangs in the kernel is not waited for.
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<u64> {
        let mut state = self.lock();
        while state.asked == state.finished && !state.stopped {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (!state.stopped).then_some(state.asked)
    }

    fn finish(&self, number: u64, product: &mut T) {
        let mut state = self.lock();
        std::mem::swap(&mut state.product, product);
        state.finished = number;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{Sender, channel},
        time::Duration,
    };

    use super::*;

    /// A job that waits for a number at each run, as for a dead mount.
    fn waits() -> (Sender<u32>, Worker<u32>) {
        let (numbers, waiting) = channel();
        let worker = Worker::start("waits", move |product| *product = waiting.recv().unwrap_or_default());
        (numbers, worker.expect("starts"))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(30)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn a_late_run_is_left_behind_and_the_next_one_is_fresh() {
        let (numbers, mut worker) = waits();
        worker.ask();
        assert_eq!(worker.take(soon(), |product| *product), None, "nothing was sent yet");
        worker.ask();
        assert_eq!(worker.take(later(), |product| *product), None, "a busy thread is not waited for");

        numbers.send(1).expect("the thread waits");
        while worker.shared.lock().finished == 0 {
            std::thread::yield_now();
        }
        numbers.send(2).expect("the thread waits");
        worker.ask();
        assert_eq!(worker.take(later(), |product| *product), Some(2), "the abandoned product is not served");
        assert_eq!(worker.take(later(), |product| *product), None, "a product is taken once");
    }

    #[test]
    fn the_thread_ends_with_its_owner() {
        let (numbers, mut worker) = waits();
        worker.ask();
        numbers.send(1).expect("the thread waits");
        assert_eq!(worker.take(later(), |product| *product), Some(1));
        drop(worker);
        let ended = later();
        while numbers.send(0).is_ok() {
            assert!(Instant::now() < ended, "the job was not dropped");
            std::thread::yield_now();
        }
    }
}
