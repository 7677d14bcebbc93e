//! A client of the Docker-compatible API (Docker, Podman) over its unix socket, on a thread of its own.
//!
//! It lists what runs once per connection, follows the event stream, and inspects a container when the exporter
//! finds its cgroup or an event names it. Nothing is polled; a scrape never waits for it.

mod api;
mod http;
mod journal;
mod looks;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Answer;
use looks::Id;

/// Where the runtime listens, and how patient to be with it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The unix socket.
    pub socket: PathBuf,
    /// Longest time for one call, from connecting to the answer's end.
    pub call_timeout: Duration,
    /// Wait before the second look at a container that is not up yet; doubles with each of `tries`.
    pub retry_first: Duration,
    /// How often a container that is not up yet is looked at.
    pub tries: u32,
    /// Wait before the second attempt to connect; doubles up to `reconnect_longest`.
    pub reconnect_first: Duration,
    /// Longest wait between attempts to connect, and between looks that fail.
    pub reconnect_longest: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/var/run/docker.sock"),
            call_timeout: Duration::from_secs(5),
            retry_first: Duration::from_millis(50),
            tries: 9,
            reconnect_first: Duration::from_millis(100),
            reconnect_longest: Duration::from_secs(10),
        }
    }
}

/// Requests that wait for the client's thread; more than these are replaced by a fresh list.
const QUEUE_LIMIT: usize = 4096;
/// How long the end of the client's thread is waited for.
const END_PATIENCE: Duration = Duration::from_millis(500);

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(answer: &[u8]) {
    let id = "0123456789abcdef".repeat(4);
    let _ = (api::inspected(answer, &id), api::listed(answer), api::event(answer));
}

/// The client. See [`Docker::start`].
#[derive(Debug)]
pub struct Docker;

/// The running client; dropping it ends its thread.
#[derive(Debug)]
pub struct DockerHandle {
    shared: Arc<Shared>,
    /// Closed by the thread's end.
    ended: Receiver<()>,
}

/// What the handle and the client's thread share.
#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// The queue has something.
    news: Notify,
    /// The handle was dropped.
    end: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    ids: VecDeque<Id>,
    /// The same ids, to find doubles.
    known: HashSet<Id>,
    /// Some request found no room.
    overflow: bool,
}

impl Docker {
    /// Starts the client's thread. `answers` is called there with all that the runtime says, beginning with every
    /// container that runs already; it must return quickly. A runtime that does not answer is no error: it may
    /// come later.
    ///
    /// # Errors
    /// The thread, or its event queue in the kernel, could not be made.
    pub fn start(config: Config, answers: impl FnMut(Answer) + Send + 'static) -> io::Result<DockerHandle> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let shared = Arc::new(Shared::default());
        let (alive, ended) = sync_channel(0);
        let client = session::Client::new(config, Arc::clone(&shared), Box::new(answers));
        std::thread::Builder::new().name("docker".to_owned()).spawn(move || {
            runtime.block_on(client.run());
            // Connections still open are dropped with the runtime, before the end is told.
            drop(runtime);
            drop(alive);
        })?;
        Ok(DockerHandle { shared, ended })
    }
}

impl DockerHandle {
    /// Wants the container `id` (the full id) looked at; the answer comes to the callback given at the start.
    /// Never waits. `false` when `id` cannot be a container's.
    pub fn inspect(&self, id: &str) -> bool {
        if !api::is_id(id) {
            return false;
        }
        self.shared.queue().push(id);
        self.shared.news.notify_one();
        true
    }
}

impl Drop for DockerHandle {
    fn drop(&mut self) {
        self.shared.end.notify_one();
        // Bounded: the thread may be held up in the callback.
        let _ = self.ended.recv_timeout(END_PATIENCE);
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, id: &str) {
        if self.known.contains(id) {
            return;
        }
        if self.ids.len() >= QUEUE_LIMIT {
            self.overflow = true;
            return;
        }
        let id = Id::from(id);
        self.known.insert(Id::clone(&id));
        self.ids.push_back(id);
    }

    /// Empties the queue; the flag tells whether requests were lost.
    fn take(&mut self) -> (VecDeque<Id>, bool) {
        self.known.clear();
        (std::mem::take(&mut self.ids), std::mem::take(&mut self.overflow))
    }
}
