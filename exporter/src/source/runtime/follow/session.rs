//! The client's life: connect, list, follow events and requests, and once more from the start when that ends.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::super::{Answer, Keep, Status};
use super::journal::Journal;
use super::looks::{Id, Looks, Next, Outcome};
use super::{Api, Error, Event, Events, Inspected, Pace, Shared};

/// Looks under way at once: one that hangs on a container's lock must not hold up the others.
const AT_ONCE: usize = 4;
/// A session this long was a good one; after it the next attempt follows quickly.
const GOOD_SESSION: Duration = Duration::from_secs(10);
/// A request is a sign that the runtime is there: it cuts a wait short, to no less than this.
const WAIT_LEAST: Duration = Duration::from_millis(500);
/// A runtime that never was there is looked for so often; a container's birth, which it may know of, at once.
const ABSENT: Duration = Duration::from_mins(1);
/// How long after an unsettled event all is as it told.
const SETTLED: Duration = Duration::from_secs(1);
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

/// The client of one runtime.
pub(super) struct Client<A: Api> {
    api: Arc<A>,
    pace: Pace,
    keep: Arc<Keep>,
    shared: Arc<Shared>,
    answers: Box<dyn FnMut(Answer) + Send>,
    looks: Looks,
    known: HashMap<Id, Known>,
    journal: Journal,
}

impl<A: Api> Client<A> {
    pub(super) fn new(
        api: A,
        pace: Pace,
        keep: Arc<Keep>,
        shared: Arc<Shared>,
        answers: Box<dyn FnMut(Answer) + Send>,
    ) -> Self {
        Self {
            api: Arc::new(api),
            pace,
            keep,
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
        let mut wait = self.pace.reconnect_first;
        loop {
            let began = Instant::now();
            let cause = match self.session().await {
                Ok(never) => match never {},
                Err(cause) => cause,
            };
            self.looks.interrupted(Instant::now());
            if began.elapsed() >= GOOD_SESSION {
                wait = self.pace.reconnect_first;
                // The lack of an event stream ends each session the same way: told once is enough.
                if !matches!(cause, Error::NoEvents) {
                    self.journal.forget_causes();
                }
            }
            self.report(&cause);
            let is_absent =
                matches!(&cause, Error::Connect { source, .. } if source.kind() == ErrorKind::NotFound);
            let is_wanted =
                self.journal.was_up() || self.looks.next_due().is_some() || !self.shared.is_empty();
            let pause = if is_absent && !is_wanted { ABSENT } else { wait };
            self.pause(pause).await;
            wait = wait.saturating_mul(2).min(self.pace.reconnect_longest);
        }
    }

    fn report(&mut self, cause: &Error) {
        let (runtime, address) = (self.api.name(), self.api.address());
        match cause {
            // Proxies cut idle streams; a runtime that is really gone refuses the next connection.
            Error::Ended { .. } => tracing::debug!(runtime, address, "{cause}"),
            _ if !self.journal.down(&cause.to_string()) => {}
            // Most hosts have one runtime of those that are looked for.
            Error::Connect { .. } if !self.journal.was_up() => tracing::debug!(runtime, address, "{cause}"),
            _ => tracing::warn!(runtime, address, "container runtime lost: {cause}"),
        }
    }

    /// Waits before the next attempt.
    async fn pause(&mut self, wait: Duration) {
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
        // The stream first: what happens while the list is made is then told by the stream.
        let mut events = self.api.events().await?;
        self.list().await?;
        if self.journal.up() {
            tracing::info!(
                runtime = self.api.name(),
                address = self.api.address(),
                "container runtime answers"
            );
        }
        let mut flying = Flying::new();
        let blind = Instant::now() + LIST_EVERY;
        loop {
            self.take_requests().await?;
            while flying.len() < AT_ONCE
                && let Some(id) = self.looks.take(Instant::now())
            {
                flying.spawn(look(Arc::clone(&self.api), id));
            }
            let due = self.looks.next_due().filter(|_| flying.len() < AT_ONCE);
            tokio::select! {
                event = next_event(&mut events) => self.take_event(event?),
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
        let listed = self.api.list().await?;
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.known);
        for entry in listed {
            let mut known = before.remove(&entry.id).unwrap_or_default();
            if (known.digest != Some(entry.digest) || !known.answered) && !self.looks.ask(&entry.id, now) {
                tracing::warn!(runtime = self.api.name(), "more containers than can be looked at");
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
        let (ids, mut lost) = self.shared.take();
        let now = Instant::now();
        for id in ids {
            lost |= !self.looks.ask(&id, now);
        }
        if lost { self.list().await } else { Ok(()) }
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Changed(id) => {
                self.looks.ask(&id, Instant::now());
            }
            Event::Unsettled(id) => {
                let now = Instant::now();
                self.looks.ask(&id, now);
                self.looks.confirm(&id, now + SETTLED);
            }
            Event::Gone(id) => {
                self.looks.forget(&id);
                self.known.remove(&id);
                (self.answers)(Answer::Gone { id: id.as_ref().to_owned() });
            }
            Event::Other => {}
        }
    }

    fn take_look(&mut self, id: &Id, found: Result<Inspected, Error>) {
        let now = Instant::now();
        match found {
            Ok(mut found) => {
                let dropped = self.keep.thin(&mut found.metadata);
                let metadata = &found.metadata;
                let runs = metadata.pid.is_some();
                let starting =
                    matches!(metadata.status, Status::Created | Status::Restarting | Status::Running);
                let outcome = if !runs && starting { Outcome::NotYet } else { Outcome::Done };
                if self.looks.ended(id, outcome, now) != Next::Forgotten {
                    // It may have been asked for by another name than events and lists have for it.
                    let key = Id::from(metadata.key.as_str());
                    self.complain(&key, &found.wrong, dropped);
                    self.remember(&key, runs);
                    (self.answers)(Answer::Is(Box::new(found.metadata)));
                }
            }
            Err(Error::NotFound { .. }) => {
                if self.looks.ended(id, Outcome::NotYet, now) == Next::Over {
                    let told = self.known.remove(id).is_some_and(|known| known.answered);
                    let id = id.as_ref().to_owned();
                    (self.answers)(if told { Answer::Gone { id } } else { Answer::Unknown { id } });
                }
            }
            Err(error) => {
                self.looks.ended(id, Outcome::Failed, now);
                if self.journal.is_new(&error.to_string()) {
                    let runtime = self.api.name();
                    tracing::warn!(runtime, container = %id, "a container could not be looked at: {error}");
                }
            }
        }
    }

    /// Keeps in mind that a running container was told of. One that does not run is not kept: no later list would
    /// tell its end.
    fn remember(&mut self, id: &Id, runs: bool) {
        if runs {
            self.known.entry(Id::clone(id)).or_default().answered = true;
        } else {
            self.known.remove(id);
        }
    }

    /// Says once what was odd about a container.
    fn complain(&mut self, id: &Id, wrong: &[&str], dropped: usize) {
        if wrong.is_empty() && dropped == 0 {
            return;
        }
        let known = self.known.entry(Id::clone(id)).or_default();
        if std::mem::replace(&mut known.complained, true) {
            return;
        }
        let runtime = self.api.name();
        if !wrong.is_empty() {
            let fields = wrong.join(", ");
            tracing::warn!(runtime, container = %id, "fields of an unexpected type were left out: {fields}");
        }
        if dropped > 0 {
            tracing::warn!(runtime, container = %id, dropped, "labels or names too long or too many were left out");
        }
    }
}

async fn look<A: Api>(api: Arc<A>, id: Id) -> (Id, Result<Inspected, Error>) {
    let found = api.look(&id).await;
    (id, found)
}

/// The next event; never, where there is no stream.
async fn next_event(events: &mut Option<impl Events>) -> Result<Event, Error> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}
