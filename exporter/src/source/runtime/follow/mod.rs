//! How a runtime is followed, whatever its API: what runs is listed once per connection, its events are followed, and a
//! container is looked at when the exporter finds its cgroup or an event names it. Nothing is polled.
//!
//! All runtimes are followed on one thread; a scrape never waits for it.

mod error;
mod journal;
mod looks;
mod queue;
mod session;

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify};

pub use error::Error;
pub use looks::Id;
use queue::Shared;

use super::{Answer, Keep, Metadata};

/// What is asked of a runtime. Every call is bounded in time and size by whoever implements it.
pub trait Api: Send + Sync + 'static {
    /// The stream of events.
    type Events: Events + Send;

    /// What the log calls it.
    fn name(&self) -> &'static str;

    /// Where it listens, for the log.
    fn address(&self) -> String;

    /// Opens the stream of events; `None` where the API has none.
    fn events(&self) -> impl Future<Output = Result<Option<Self::Events>, Error>> + Send;

    /// All that runs.
    fn list(&self) -> impl Future<Output = Result<Vec<Listed>, Error>> + Send;

    /// One container, running or not.
    fn look(&self, id: &Id) -> impl Future<Output = Result<Inspected, Error>> + Send;
}

/// A stream of events.
pub trait Events {
    /// The next one. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Result<Event, Error>> + Send;
}

/// One event, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something about the container changed.
    Changed(Id),
    /// As [`Event::Changed`], but it may be a moment until a look shows it.
    Unsettled(Id),
    /// The container was taken away.
    Gone(Id),
    /// Of no interest.
    Other,
}

/// One running container of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What [`Api::look`] takes.
    pub id: Id,
    /// Changes when the container's name, state or health does.
    pub digest: u64,
}

/// What a look found.
#[derive(Debug)]
pub struct Inspected {
    /// The container.
    pub metadata: Metadata,
    /// Names of the fields that had a type they should not have.
    pub wrong: Vec<&'static str>,
}

/// How patient to be.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Wait before the second look at a container that is not up yet; doubles with each of `tries`.
    pub retry_first: Duration,
    /// How often a container that is not up yet is looked at.
    pub tries: u32,
    /// Wait before the second attempt to connect; doubles up to `reconnect_longest`.
    pub reconnect_first: Duration,
    /// Longest wait between attempts to connect, and between looks that fail.
    pub reconnect_longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            retry_first: Duration::from_millis(50),
            tries: 9,
            reconnect_first: Duration::from_millis(100),
            reconnect_longest: Duration::from_secs(10),
        }
    }
}

/// Longest time for one call, from connecting to the answer's end.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of the thread is waited for.
const END_PATIENCE: Duration = Duration::from_millis(500);

/// The thread on which runtimes are followed; it ends when this is dropped.
#[derive(Debug)]
pub struct Followers {
    handle: Handle,
    end: Arc<Notify>,
    /// Closed by the thread's end.
    ended: Receiver<()>,
}

impl Followers {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread, or its event queue in the kernel, could not be made.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (handle, end) = (runtime.handle().clone(), Arc::new(Notify::new()));
        let (alive, ended) = sync_channel(0);
        let asked = Arc::clone(&end);
        std::thread::Builder::new().name("runtimes".to_owned()).spawn(move || {
            runtime.block_on(asked.notified());
            // Clients and their connections are dropped with the runtime, before the end is told.
            drop(runtime);
            drop(alive);
        })?;
        Ok(Self { handle, end, ended })
    }

    /// Follows one runtime. `answers` is called on the thread with all that the runtime says, beginning with every
    /// container that runs already; it must return quickly. A runtime that does not answer is no error: it may come
    /// later.
    pub fn follow(
        &self,
        api: impl Api,
        pace: Pace,
        keep: Arc<Keep>,
        answers: impl FnMut(Answer) + Send + 'static,
    ) -> Follower {
        let shared = Arc::new(Shared::default());
        let client = session::Client::new(api, pace, keep, Arc::clone(&shared), Box::new(answers));
        self.handle.spawn(client.run());
        Follower { shared }
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        self.end.notify_one();
        // Bounded: the thread may be held up in a callback.
        let _ = self.ended.recv_timeout(END_PATIENCE);
    }
}

/// A runtime that is followed, until this is dropped.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
}

impl Follower {
    /// Wants a container looked at; the answer comes to the callback given at the start. Never waits.
    pub fn look(&self, id: &str) {
        self.shared.push(id);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.end.notify_one();
    }
}
