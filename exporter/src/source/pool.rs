//! Threads for many jobs that may wait in the kernel: one thread runs them all, as long as none hangs.
//!
//! Whoever asks for jobs waits for them, and watches meanwhile: where one has not come back after a moment and others
//! wait behind it, another thread takes over the queue. What hangs holds one thread and delays nobody. It is not asked
//! again before it has come back; its thread then waits for the next queue, or ends if enough others do.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::thread;

/// How long a job may take while others wait for its thread; less where the deadline is near.
const PATIENCE: Duration = Duration::from_millis(15);
const LEAST_PATIENCE: Duration = Duration::from_millis(2);
/// Threads that stay without work: the next one to run the queue, and one to take over from it.
const IDLE: usize = 2;

/// Jobs and the threads that run them.
#[derive(Debug)]
pub struct Pool<T> {
    shared: Arc<Shared<T>>,
}

/// Names a job of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobId(usize);

#[derive(Debug)]
struct Shared<T> {
    name: String,
    /// The most threads that there may be.
    most: usize,
    patience: Duration,
    state: Mutex<State<T>>,
    /// For the pool's threads: a queue waits.
    work: Condvar,
    /// For whoever asked: all of it has come back.
    done: Condvar,
}

#[derive(Debug)]
struct State<T> {
    slots: Vec<Slot<T>>,
    /// Slots without a job.
    free: Vec<usize>,
    /// Jobs that a thread of the pool is to drop: elsewhere the numbers of their files are those of other files.
    discarded: Vec<Held<T>>,
    /// What was asked for and has not begun.
    queue: VecDeque<usize>,
    /// Counts the times that jobs were asked for.
    round: u64,
    /// When what was asked for is given up.
    deadline: Instant,
    /// Jobs of this round that have not come back.
    pending: usize,
    /// The thread that runs the queue, and when it began the job that it is at, or the queue was asked for.
    runner: Option<u64>,
    began: Instant,
    threads: usize,
    /// Threads at a job, those that hang among them.
    busy: usize,
    /// The number of the thread made last.
    last: u64,
    is_stopped: bool,
}

#[derive(Debug)]
struct Slot<T> {
    /// `None` while a thread has the job.
    held: Option<Held<T>>,
    /// The round that the product is of; 0 for none.
    finished: u64,
    is_removed: bool,
}

/// It is given its product's place and the deadline.
type Job<T> = Box<dyn FnMut(&mut T, Instant) + Send>;

struct Held<T> {
    job: Job<T>,
    product: T,
}

impl<T: std::fmt::Debug> std::fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("product", &self.product).finish_non_exhaustive()
    }
}

/// A job on its way through a thread.
struct Run<T> {
    index: usize,
    round: u64,
    deadline: Instant,
    held: Held<T>,
    /// The number of the thread to be made before the job begins, so that one is there to take over.
    spare: Option<u64>,
}

impl<T: Default + Send + 'static> Pool<T> {
    /// Starts the first thread. The threads share one descriptor table that is theirs alone: a file that a job keeps
    /// open is open on each of them, and one that hangs keeps nothing else ([`thread::leave_descriptor_table`]). So a
    /// job opens its files when it runs. Where `most` threads hang, the queue waits for one of them.
    ///
    /// # Errors
    /// What the kernel says to a new thread.
    pub fn start(name: &str, most: usize) -> io::Result<Self> {
        Self::with_patience(name, most, PATIENCE)
    }

    fn with_patience(name: &str, most: usize, patience: Duration) -> io::Result<Self> {
        let now = Instant::now();
        let state = State {
            slots: Vec::new(),
            free: Vec::new(),
            discarded: Vec::new(),
            queue: VecDeque::new(),
            round: 0,
            deadline: now,
            pending: 0,
            runner: None,
            began: now,
            threads: 1,
            busy: 0,
            last: 0,
            is_stopped: false,
        };
        let (name, state) = (name.to_owned(), Mutex::new(state));
        let shared =
            Arc::new(Shared { name, most, patience, state, work: Condvar::new(), done: Condvar::new() });
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name(shared.name.clone()).spawn(move || {
            thread::leave_descriptor_table();
            theirs.serve(0);
        })?;
        Ok(Self { shared })
    }

    /// Takes in a job. It is told the deadline, for what it waits for itself.
    pub fn add(&mut self, job: impl FnMut(&mut T, Instant) + Send + 'static) -> JobId {
        let mut state = self.shared.lock();
        let held = Some(Held { job: Box::new(job), product: T::default() });
        let slot = Slot { held, finished: 0, is_removed: false };
        let index = state.free.pop().unwrap_or(state.slots.len());
        match state.slots.get_mut(index) {
            Some(place) => *place = slot,
            None => state.slots.push(slot),
        }
        JobId(index)
    }

    /// Drops a job; one that a thread has is dropped when it comes back. The name is not to be used any more.
    pub fn remove(&mut self, job: JobId) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let Some(slot) = state.slots.get_mut(job.0) else { return };
        slot.is_removed = true;
        if let Some(held) = slot.held.take() {
            state.discarded.push(held);
            state.free.push(job.0);
        }
    }

    /// Whether a thread has the job.
    pub fn is_away(&self, job: JobId) -> bool {
        self.shared.lock().slots.get(job.0).is_some_and(|slot| slot.held.is_none())
    }

    /// Asks for these jobs, in this order, but for those that have not come back from an earlier time.
    pub fn ask(&mut self, jobs: impl IntoIterator<Item = JobId>, deadline: Instant) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        state.round += 1;
        state.deadline = deadline;
        // A thread that is still at an earlier job is not waited for.
        state.runner = None;
        state.began = Instant::now();
        let here =
            jobs.into_iter().filter(|job| state.slots.get(job.0).is_some_and(|slot| slot.held.is_some()));
        state.queue.clear();
        state.queue.extend(here.map(|job| job.0));
        state.pending = state.queue.len();
        let is_any = state.pending > 0;
        // Whoever is woken wants the lock.
        drop(guard);
        if is_any {
            self.shared.work.notify_one();
        }
    }

    /// Waits until all that was asked for has come back, until the deadline at most. What has not begun by then is
    /// given up.
    pub fn wait(&mut self) {
        let mut state = self.shared.lock();
        while state.pending > 0 {
            let now = Instant::now();
            let Some(left) = state.deadline.checked_duration_since(now).filter(|left| !left.is_zero()) else {
                state.queue.clear();
                return;
            };
            let look_again = self.shared.watch(&mut state, now, left);
            state =
                self.shared.done.wait_timeout(state, look_again).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What a job has made since it was asked for; `None` if it is late.
    pub fn read<R>(&mut self, job: JobId, read: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut state = self.shared.lock();
        let round = state.round;
        let slot = state.slots.get_mut(job.0).filter(|slot| slot.finished == round)?;
        slot.held.as_mut().map(|held| read(&mut held.product))
    }
}

impl<T> Drop for Pool<T> {
    /// Tells the threads to end; those that hang are not waited for.
    fn drop(&mut self) {
        self.shared.lock().is_stopped = true;
        self.shared.work.notify_all();
    }
}

impl<T> State<T> {
    /// The next job, for the thread that runs the queue.
    fn begin(&mut self, thread: u64, most: usize) -> Option<Run<T>> {
        self.discarded.clear();
        let (index, held) = loop {
            let index = self.queue.pop_front()?;
            if let Some(held) = self.slots.get_mut(index).and_then(|slot| slot.held.take()) {
                break (index, held);
            }
        };
        self.runner = Some(thread);
        self.began = Instant::now();
        self.busy += 1;
        let spare = (self.threads == self.busy && self.threads < most).then(|| {
            self.threads += 1;
            self.last += 1;
            self.last
        });
        Some(Run { index, round: self.round, deadline: self.deadline, held, spare })
    }

    /// Takes a job back; tells whether it was the last one that is waited for.
    fn end(&mut self, run: Run<T>) -> bool {
        self.busy -= 1;
        let Some(slot) = self.slots.get_mut(run.index) else { return false };
        if slot.is_removed {
            self.free.push(run.index);
        } else {
            slot.held = Some(run.held);
            slot.finished = run.round;
        }
        if run.round == self.round {
            self.pending -= 1;
        }
        run.round == self.round && self.pending == 0
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Shared<T> {
    /// Lets another thread take over where one has been at its job for too long. Gives when to look again.
    fn watch(&self, state: &mut State<T>, now: Instant, left: Duration) -> Duration {
        let Ok(waiting @ 1..) = u32::try_from(state.queue.len()) else { return left };
        let patience = (left / waiting.saturating_add(1)).max(LEAST_PATIENCE).min(self.patience);
        let since = now.saturating_duration_since(state.began);
        if since < patience {
            return patience.saturating_sub(since).min(left);
        }
        // Whoever was told of the queue does not run it, or not any more.
        state.runner = None;
        self.work.notify_one();
        patience.min(left)
    }

    /// What a thread of the pool does.
    fn serve(self: Arc<Self>, thread: u64) {
        let mut state = self.lock();
        loop {
            let Some(next) = self.next(state, thread) else { return };
            let mut run = next;
            if let Some(number) = run.spare.take() {
                self.make_spare(number);
            }
            (run.held.job)(&mut run.held.product, run.deadline);
            state = self.lock();
            if state.end(run) {
                drop(state);
                self.done.notify_one();
                state = self.lock();
            }
        }
    }

    /// The next job for this thread; `None` if it is to end.
    fn next(&self, mut state: MutexGuard<'_, State<T>>, thread: u64) -> Option<Run<T>> {
        loop {
            if state.is_stopped {
                // Not left to whoever drops the pool, for the sake of their files.
                state.slots.clear();
                state.discarded.clear();
                return None;
            }
            if state.runner.is_none_or(|runner| runner == thread) {
                state.runner = None;
                if let Some(run) = state.begin(thread, self.most) {
                    return Some(run);
                }
            }
            if state.threads - state.busy > IDLE {
                state.threads -= 1;
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Made by a thread of the pool, the new one shares the pool's descriptor table.
    fn make_spare(self: &Arc<Self>, number: u64) {
        let theirs = Arc::clone(self);
        let made = std::thread::Builder::new().name(self.name.clone()).spawn(move || theirs.serve(number));
        if let Err(error) = made {
            tracing::warn!(%error, pool = self.name, "no thread to take over from one that hangs");
            self.lock().threads -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        fs::File,
        os::{
            fd::{AsRawFd, RawFd},
            unix::fs::FileExt,
        },
        sync::mpsc::{Sender, channel},
        thread::ThreadId,
    };

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    fn round<T: Default + Send + 'static>(pool: &mut Pool<T>, jobs: &[JobId], deadline: Instant) {
        pool.ask(jobs.iter().copied(), deadline);
        pool.wait();
    }

    /// Waits until no more than `threads` are left.
    fn settles<T>(pool: &Pool<T>, threads: usize) {
        let deadline = later();
        while pool.shared.lock().threads > threads {
            assert!(Instant::now() < deadline, "{} threads", pool.shared.lock().threads);
            std::thread::yield_now();
        }
    }

    /// A job that waits for a number at each run, as for a dead mount.
    fn waits(pool: &mut Pool<u32>) -> (Sender<u32>, JobId) {
        let (numbers, waiting) = channel();
        (numbers, pool.add(move |product, _| *product = waiting.recv().unwrap_or_default()))
    }

    #[test]
    fn one_thread_runs_all_in_order() {
        let mut pool: Pool<Option<(ThreadId, Instant)>> =
            Pool::with_patience("orderly", 9, Duration::from_mins(1)).expect("starts");
        let job = |product: &mut Option<_>, _| *product = Some((std::thread::current().id(), Instant::now()));
        let jobs: Vec<_> = (0..20).map(|_| pool.add(job)).collect();
        for _ in 0..3 {
            round(&mut pool, &jobs, later());
            let made: Vec<_> =
                jobs.iter().map(|&job| pool.read(job, |made| *made).flatten().expect("has run")).collect();
            assert!(made.is_sorted_by_key(|(_, when)| *when));
        }
        round(&mut pool, &jobs[..1], later());
        assert_eq!(pool.read(jobs[1], |_| ()), None, "was not asked for");
        settles(&pool, IDLE);
    }

    #[test]
    fn what_hangs_holds_its_thread_and_delays_nobody() {
        let mut pool = Pool::start("hangs", 99).expect("starts");
        let (numbers, mut jobs): (Vec<_>, Vec<_>) = (0..5).map(|_| waits(&mut pool)).unzip();
        jobs.push(pool.add(|product, _| *product += 1));
        for served in 1..4 {
            round(&mut pool, &jobs, soon());
            let made: Vec<_> = jobs.iter().map(|&job| pool.read(job, |made| *made)).collect();
            assert_eq!(made, [None, None, None, None, None, Some(served)]);
            // One for each that hangs, one that ran the rest, one to take over from it.
            assert!(pool.shared.lock().threads <= 7, "{}", pool.shared.lock().threads);
        }
        assert!(jobs[..5].iter().all(|&job| pool.is_away(job)) && !pool.is_away(jobs[5]));
        for numbers in &numbers {
            numbers.send(7).expect("the job waits");
        }
        settles(&pool, IDLE);
        for numbers in &numbers {
            numbers.send(8).expect("the job waits");
        }
        round(&mut pool, &jobs, later());
        assert_eq!(pool.read(jobs[0], |made| *made), Some(8), "what came late is not served");
        drop(pool);
        let deadline = later();
        while numbers[0].send(0).is_ok() {
            assert!(Instant::now() < deadline, "the jobs were not dropped");
            std::thread::yield_now();
        }
    }

    #[test]
    fn where_too_many_hang_the_rest_is_late_and_comes_back() {
        let mut pool = Pool::start("many", 2).expect("starts");
        let (numbers, mut jobs): (Vec<_>, Vec<_>) = (0..3).map(|_| waits(&mut pool)).unzip();
        jobs.push(pool.add(|product, _| *product = 1));
        round(&mut pool, &jobs, soon());
        assert!(jobs.iter().all(|&job| pool.read(job, |_| ()).is_none()));
        assert_eq!(jobs.iter().filter(|&&job| pool.is_away(job)).count(), 2);
        pool.remove(jobs[0]);
        drop(numbers);
        round(&mut pool, &jobs[3..], later());
        assert_eq!(pool.read(jobs[3], |made| *made), Some(1));
        let deadline = later();
        while pool.shared.lock().busy > 0 {
            assert!(Instant::now() < deadline, "the threads did not come back");
            std::thread::yield_now();
        }
        assert_eq!(waits(&mut pool).1, jobs[0], "a slot is used again");
    }

    #[test]
    fn files_are_the_same_on_each_thread_and_none_of_the_process() {
        /// Opens a file when first run; whether it can still be read, and the thread.
        fn keeps(theirs: RawFd) -> impl FnMut(&mut Option<(ThreadId, bool)>, Instant) + Send {
            let mut kept: Option<File> = None;
            move |product, _| {
                let file = kept.get_or_insert_with(|| File::open("/proc/self/stat").expect("opens"));
                let same_number = std::fs::read_link(format!("/proc/thread-self/fd/{theirs}"));
                let is_theirs = same_number.is_ok_and(|path| path.ends_with("hostname"));
                let reads = file.read_at(&mut [0; 16], 0).is_ok_and(|length| length == 16);
                *product = Some((std::thread::current().id(), reads && !is_theirs));
            }
        }
        let of_the_process = File::open("/proc/sys/kernel/hostname").expect("opens");
        let mut pool = Pool::start("files", 99).expect("starts");
        let keeper = pool.add(keeps(of_the_process.as_raw_fd()));
        let (mut seen, mut held) = (HashSet::new(), Vec::new());
        while seen.len() < 3 {
            assert!(held.len() < 20, "the same threads each time: {seen:?}");
            // The thread that has run it is then out of the way.
            let (numbers, waiting) = channel::<()>();
            let hangs = pool.add(move |_, _| assert!(waiting.recv().is_err()));
            held.push(numbers);
            round(&mut pool, &[keeper, hangs], soon());
            if let Some((thread, is_well)) = pool.read(keeper, |made| *made).flatten() {
                assert!(is_well);
                seen.insert(thread);
            }
        }
    }
}
