//! The client's life: connect, list, follow events and requests, and once more from the start when that ends.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::super::{Answer, Status};
use super::api::{self, Event, Inspected};
use super::http::{self, Call, Error, Lines};
use super::journal::Journal;
use super::looks::{Id, Looks, Next, Outcome, Pace};
use super::{Config, Shared};

const LIST: &str = "GET /containers/json";
const INSPECT: &str = "GET /containers/ID/json";
const EVENTS: &str = "GET /events";
/// `{"type":["container"],"event":["start","die","destroy","rename","health_status","update"]}`, URL-encoded.
const EVENTS_TARGET: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22start%22%2C\
    %22die%22%2C%22destroy%22%2C%22rename%22%2C%22health_status%22%2C%22update%22%5D%7D";
/// Two thousand bytes a container is usual.
const LIST_LIMIT: usize = 64 * 1024 * 1024;
const INSPECT_LIMIT: usize = 4 * 1024 * 1024;
/// Looks under way at once: one that hangs on a container's lock must not hold up the others.
const AT_ONCE: usize = 4;
/// A session this long was a good one; after it the next attempt follows quickly.
const GOOD_SESSION: Duration = Duration::from_secs(10);
/// A request is a sign that the runtime is there: it cuts a wait short, to no less than this.
const WAIT_LEAST: Duration = Duration::from_millis(500);
/// Without an event stream all is listed again this often.
const LIST_EVERY: Duration = Duration::from_mins(1);

/// What was last heard of a container.
#[derive(Debug, Default)]
struct Known {
    /// Of the list's entry at the last list.
    digest: Option<u64>,
    /// Its full state was handed out.
    answered: bool,
    /// Its odd fields were logged.
    complained: bool,
}

type Flying = JoinSet<(Id, Result<Inspected, Error>)>;

/// The client, on its own thread.
pub(super) struct Client {
    config: Config,
    http: http::Client,
    shared: Arc<Shared>,
    answers: Box<dyn FnMut(Answer) + Send>,
    looks: Looks,
    known: HashMap<Id, Known>,
    journal: Journal,
}

impl Client {
    pub(super) fn new(config: Config, shared: Arc<Shared>, answers: Box<dyn FnMut(Answer) + Send>) -> Self {
        let pace = Pace { first: config.retry_first, longest: config.reconnect_longest, tries: config.tries };
        Self {
            http: http::Client { socket: config.socket.clone(), timeout: config.call_timeout },
            config,
            shared,
            answers,
            looks: Looks::new(pace),
            known: HashMap::new(),
            journal: Journal::default(),
        }
    }

    /// Runs until the handle is dropped; whatever is under way then is dropped with it.
    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            () = shared.end.notified() => {}
            () = self.live() => {}
        }
    }

    async fn live(&mut self) {
        let mut wait = self.config.reconnect_first;
        loop {
            let began = Instant::now();
            let cause = match self.session().await {
                Ok(never) => match never {},
                Err(cause) => cause,
            };
            self.looks.interrupted(Instant::now());
            if began.elapsed() >= GOOD_SESSION {
                wait = self.config.reconnect_first;
                // The lack of an event stream ends each session the same way: told once is enough.
                if !matches!(cause, Error::NoEvents) {
                    self.journal.forget_causes();
                }
            }
            self.report(&cause);
            self.pause(wait).await;
            wait = wait.saturating_mul(2).min(self.config.reconnect_longest);
        }
    }

    fn report(&mut self, cause: &Error) {
        let socket = self.config.socket.display();
        match cause {
            // Proxies cut idle streams; a runtime that is really gone refuses the next connection.
            Error::Ended { .. } => tracing::debug!(%socket, "{cause}"),
            _ if !self.journal.down(&cause.to_string()) => {}
            Error::Connect { .. } => tracing::info!(%socket, "no container runtime answers: {cause}"),
            _ => tracing::warn!(%socket, "container runtime lost: {cause}"),
        }
    }

    /// Waits before the next attempt.
    async fn pause(&self, wait: Duration) {
        let began = Instant::now();
        let mut end = began + wait;
        loop {
            tokio::select! {
                () = sleep_until(end.into()) => return,
                () = self.shared.news.notified() => end = end.min(began + WAIT_LEAST),
            }
        }
    }

    /// One connection's life, which ends with a cause.
    async fn session(&mut self) -> Result<Infallible, Error> {
        let call = Call { name: EVENTS, target: EVENTS_TARGET.to_owned(), limit: 0 };
        // The stream first: what happens while the list is made is then told by the stream.
        let mut events = match self.http.lines(&call).await {
            Ok(lines) => Some(lines),
            Err(Error::Status { .. }) => None,
            Err(cause) => return Err(cause),
        };
        self.list().await?;
        if self.journal.up() {
            tracing::info!(socket = %self.config.socket.display(), "container runtime answers");
        }
        let mut flying = Flying::new();
        let blind = Instant::now() + LIST_EVERY;
        loop {
            self.take_requests().await?;
            while flying.len() < AT_ONCE
                && let Some(id) = self.looks.take(Instant::now())
            {
                flying.spawn(inspect(self.http.clone(), id));
            }
            let due = self.looks.next_due().filter(|_| flying.len() < AT_ONCE);
            tokio::select! {
                line = next_event(&mut events) => self.take_event(&line?)?,
                // A look ends without a result only when the whole client does.
                Some(ended) = flying.join_next() => if let Ok((id, found)) = ended {
                    self.take_look(&id, found);
                },
                () = self.shared.news.notified() => {}
                () = sleep_until(due.unwrap_or(blind).into()), if due.is_some() => {}
                () = sleep_until(blind.into()), if events.is_none() => return Err(Error::NoEvents),
            }
        }
    }

    /// Asks for all that runs and looks at what is new or changed since the last list.
    async fn list(&mut self) -> Result<(), Error> {
        let call = Call { name: LIST, target: "/containers/json".to_owned(), limit: LIST_LIMIT };
        let body = self.http.get(&call).await?;
        let listed = api::listed(&body).map_err(|api::Malformed| Error::Malformed { call: LIST })?;
        drop(body);
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.known);
        for entry in listed {
            let mut known = before.remove(&entry.id).unwrap_or_default();
            if (known.digest != Some(entry.digest) || !known.answered) && !self.looks.ask(&entry.id, now) {
                tracing::warn!("more containers than can be looked at");
                break;
            }
            known.digest = Some(entry.digest);
            self.known.insert(entry.id, known);
        }
        // What ran at the last list and no longer does may have ended or gone while nobody watched.
        for (id, known) in before {
            if known.digest.is_some() {
                self.looks.ask(&id, now);
            }
            self.known.insert(id, Known { digest: None, ..known });
        }
        Ok(())
    }

    /// Takes over what the handle queued.
    async fn take_requests(&mut self) -> Result<(), Error> {
        let (ids, mut lost) = self.shared.queue().take();
        let now = Instant::now();
        for id in ids {
            lost |= !self.looks.ask(&id, now);
        }
        if lost { self.list().await } else { Ok(()) }
    }

    fn take_event(&mut self, line: &[u8]) -> Result<(), Error> {
        match api::event(line) {
            Ok(Event::Changed(id)) => {
                self.looks.ask(&id, Instant::now());
                Ok(())
            }
            Ok(Event::Gone(id)) => {
                self.looks.forget(&id);
                self.known.remove(&id);
                (self.answers)(Answer::Gone { id: id.as_ref().to_owned() });
                Ok(())
            }
            Ok(Event::Other) => Ok(()),
            Err(api::Malformed) => Err(Error::Malformed { call: EVENTS }),
        }
    }

    fn take_look(&mut self, id: &Id, found: Result<Inspected, Error>) {
        let now = Instant::now();
        match found {
            Ok(found) => {
                let metadata = &found.metadata;
                let runs = metadata.pid.is_some();
                let starting =
                    matches!(metadata.status, Status::Created | Status::Restarting | Status::Running);
                let outcome = if !runs && starting { Outcome::NotYet } else { Outcome::Done };
                if self.looks.ended(id, outcome, now) != Next::Forgotten {
                    self.remember(id, runs, &found.wrong);
                    (self.answers)(Answer::Is(Box::new(found.metadata)));
                }
            }
            Err(error) if error.is_not_found() => {
                if self.looks.ended(id, Outcome::NotYet, now) == Next::Over {
                    let told = self.known.remove(id).is_some_and(|known| known.answered);
                    let id = id.as_ref().to_owned();
                    (self.answers)(if told { Answer::Gone { id } } else { Answer::Unknown { id } });
                }
            }
            Err(error) => {
                self.looks.ended(id, Outcome::Failed, now);
                if self.journal.is_new(&error.to_string()) {
                    tracing::warn!(container = %id, "a container could not be inspected: {error}");
                }
            }
        }
    }

    /// Keeps in mind that a running container was told of, and names its odd fields once. One that does not run
    /// is not kept: no later list would tell its end.
    fn remember(&mut self, id: &Id, runs: bool, wrong: &[&str]) {
        if !runs {
            self.known.remove(id);
            return;
        }
        let known = self.known.entry(Id::clone(id)).or_default();
        known.answered = true;
        if !wrong.is_empty() && !std::mem::replace(&mut known.complained, true) {
            let fields = wrong.join(", ");
            tracing::warn!(container = %id, "fields of an unexpected type were left out: {fields}");
        }
    }
}

async fn inspect(http: http::Client, id: Id) -> (Id, Result<Inspected, Error>) {
    let call = Call { name: INSPECT, target: format!("/containers/{id}/json"), limit: INSPECT_LIMIT };
    let read = |body: Vec<u8>| {
        api::inspected(&body, &id).map_err(|api::Malformed| Error::Malformed { call: INSPECT })
    };
    let found = http.get(&call).await.and_then(read);
    (id, found)
}

/// The next event; never, where there is no stream.
async fn next_event(events: &mut Option<Lines>) -> Result<Vec<u8>, Error> {
    match events {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    }
}
