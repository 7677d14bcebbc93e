//! The names of containers: who is asked for them, and what an answer changes.

use std::path::{Path, PathBuf};

use super::{
    discovery::{Message, Post},
    entry::Entry,
    identity,
    network::Network,
    roster::Roster,
};
use crate::source::{
    cgroup::CgroupPath,
    runtime::{
        Answer, Metadata, NetworkMode,
        docker::{Config, Docker, DockerHandle},
    },
};

/// Who knows containers by name.
#[derive(Debug, Default)]
pub struct Names {
    docker: Option<(DockerHandle, PathBuf)>,
}

impl Names {
    /// Docker, over its socket, if one is named. Its answers are posted to the discovery thread.
    pub fn of_docker(socket: Option<&Path>, post: &Post) -> Self {
        let Some(socket) = socket else { return Self::default() };
        let post = post.clone();
        let config = Config { socket: socket.to_owned(), ..Config::default() };
        let docker = Docker::start(config, move |answer| post.send(Message::Known(answer)))
            .inspect_err(|error| tracing::warn!(%error, "no thread for Docker: its containers have no names"))
            .ok();
        Self { docker: docker.map(|docker| (docker, socket.to_owned())) }
    }

    /// Asks who a cgroup is, if it looks like a container's. `true`: an answer may come.
    pub fn ask(&self, path: &CgroupPath) -> bool {
        let Some((docker, socket)) = &self.docker else { return false };
        identity::runtime_id(path).is_some_and(|id| docker.inspect(id)) && socket.exists()
    }

    /// Takes in what a runtime says.
    pub fn take(answer: Answer, roster: &mut Roster) {
        match answer {
            Answer::Is(known) => {
                for entry in entries_of(roster, &known.id) {
                    name(entry, &known);
                }
            }
            Answer::Unknown { id } => {
                for entry in entries_of(roster, &id) {
                    entry.waits_until = None;
                }
            }
            // Its cgroup went before it, or goes soon; that is told by other means.
            Answer::Gone { .. } => {}
        }
    }
}

/// The cgroups that bear a container's id, dead or alive. An answer comes a few times in a container's life.
fn entries_of<'a>(roster: &'a mut Roster, id: &'a str) -> impl Iterator<Item = &'a mut Entry> {
    roster.all_mut().filter(move |entry| identity::runtime_id(&entry.path) == Some(id))
}

fn name(entry: &mut Entry, known: &Metadata) {
    entry.labels = identity::labels(&entry.path, Some(known));
    entry.waits_until = None;
    entry.health = known.health;
    if let Some(created) = known.created {
        entry.made = whole(created);
    }
    if let Some(started) = known.started {
        entry.started = whole(started);
    }
    entry.network = match (&known.network, known.pid) {
        (NetworkMode::Host, _) => Network::Host,
        (NetworkMode::Container(_), _) => Network::Joined,
        (NetworkMode::Own | NetworkMode::None, Some(pid)) => Network::Own { pid },
        (NetworkMode::Own | NetworkMode::None, None) => Network::Unknown,
    };
}

/// Whole seconds, as the reference shows them.
#[expect(clippy::cast_possible_truncation, reason = "a moment that is out of range stays at the range's end")]
fn whole(seconds: f64) -> i64 {
    seconds.floor() as i64
}
