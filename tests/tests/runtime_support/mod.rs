//! A runtime that is followed as the exporter follows it, and what it says.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses a part; a test fails by panicking")]

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use exporter::source::runtime::{
    Answer, Keep, Metadata, Status,
    follow::{Api, Follower, Followers, Pace},
};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The follower, on a thread of its own; of variables those that begin with `APP_` are kept.
#[derive(Debug)]
pub struct Following {
    /// Takes requests.
    pub follower: Follower,
    /// What the runtime said and nobody has heard.
    pub answers: Receiver<Answer>,
    /// Ends with this.
    pub thread: Followers,
}

impl Following {
    /// Begins.
    pub fn of(api: impl Api) -> Self {
        Self::at(Pace::default(), api)
    }

    /// Begins, with another patience.
    pub fn at(pace: Pace, api: impl Api) -> Self {
        let (sender, answers) = channel();
        let thread = Followers::start().unwrap();
        let keep = Arc::new(Keep { variables: vec!["APP_".to_owned()], ..Keep::default() });
        let follower = thread.follow(api, pace, keep, move |answer| drop(sender.send(answer)));
        Self { follower, answers, thread }
    }

    /// The next answer.
    pub fn next(&self) -> Answer {
        self.answers.recv_timeout(PATIENCE).unwrap()
    }

    /// Waits for an answer that fits; the others are lost.
    pub fn hears<T>(&self, mut fits: impl FnMut(&Answer) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        while let Ok(answer) = self.answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if let Some(found) = fits(&answer) {
                return found;
            }
            heard.push(answer);
        }
        panic!("not told; heard {heard:#?}");
    }

    /// Waits for what is said of `id` and fits.
    pub fn told(&self, id: &str, fits: impl Fn(&Metadata) -> bool) -> Metadata {
        self.hears(|answer| match answer {
            Answer::Is(metadata) if metadata.id == id && fits(metadata) => Some(metadata.as_ref().clone()),
            _ => None,
        })
    }
}

/// Whether a container runs.
pub fn runs(metadata: &Metadata) -> bool {
    metadata.pid.is_some() && metadata.status == Status::Running
}
