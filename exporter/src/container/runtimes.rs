//! The runtimes that are followed, and which of them may know a cgroup.

use std::{collections::HashMap, io, path::PathBuf, sync::Arc};

use super::{
    discovery::{Message, Post},
    shape::{Kind, Shape},
};
use crate::{
    config::ContainerSettings,
    source::runtime::{
        Keep,
        containerd::Containerd,
        cri::Cri,
        docker::Docker,
        follow::{Api, Follower, Followers, Pace},
    },
};

/// Users whose own runtimes are followed.
const MOST_USERS: usize = 64;

/// The runtimes.
#[derive(Debug)]
pub struct Runtimes {
    followers: Followers,
    keep: Arc<Keep>,
    post: Post,
    /// Where users' runtimes have their sockets.
    users: PathBuf,
    of_root: Vec<Runtime>,
    of_users: HashMap<(Kind, u32), Runtime>,
}

/// Whose word something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The kind of the runtime.
    pub kind: Kind,
    /// The user whose own runtime it is; none for root's. A user's is believed of what lies in the user's slice alone.
    pub user: Option<u32>,
}

#[derive(Debug)]
struct Runtime {
    kind: Kind,
    socket: PathBuf,
    follower: Follower,
}

impl Runtimes {
    /// Begins to follow root's runtimes; one without a socket in the settings is not followed. `users`: where users'
    /// runtimes have theirs, `/run/user` on the host. Answers are posted to the discovery thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        settings: &ContainerSettings,
        users: PathBuf,
        keep: Arc<Keep>,
        post: Post,
    ) -> io::Result<Self> {
        let (followers, of_users) = (Followers::start()?, HashMap::new());
        let mut runtimes = Self { followers, keep, post, users, of_root: Vec::new(), of_users };
        for (kind, socket) in
            [(Kind::Docker, &settings.docker_socket), (Kind::Podman, &settings.podman_socket)]
        {
            let runtime = socket.clone().map(|socket| runtimes.follow_docker(Source::of_root(kind), socket));
            runtimes.of_root.extend(runtime);
        }
        if let Some(socket) = settings.crio_socket.clone() {
            let runtime =
                runtimes.follow(Source::of_root(Kind::Crio), socket.clone(), Cri::new("cri-o", socket));
            runtimes.of_root.push(runtime);
        }
        if let Some(socket) = settings.containerd_socket.clone() {
            let mut api = Containerd::new(socket.clone());
            if settings.docker_socket.is_some() {
                api = api.without_docker();
            }
            if let Some(namespace) = &settings.containerd_namespace {
                api = api.only(namespace);
            }
            let runtime = runtimes.follow(Source::of_root(Kind::Containerd), socket, api);
            runtimes.of_root.push(runtime);
        }
        Ok(runtimes)
    }

    /// Asks whoever may know a container; gives how many answers may come soon.
    pub fn ask(&mut self, shape: &Shape) -> usize {
        let mut asked = 0;
        for (rank, &kind) in shape.kinds.iter().enumerate() {
            if let Some(user) = shape.user {
                // The likeliest is waited for: a user's service may be started after the container was found.
                self.follow_user(kind, user, rank == 0);
            }
            asked += self.ask_one(kind, shape.user, shape.id);
        }
        asked
    }

    /// Asks one runtime for what it knows by `key`; 1 if an answer may come soon, else 0.
    pub fn ask_one(&mut self, kind: Kind, user: Option<u32>, key: &str) -> usize {
        let runtime = match user {
            None => self.of_root(kind),
            Some(user) => self.of_users.get(&(kind, user)),
        };
        let Some(runtime) = runtime else { return 0 };
        runtime.follower.look(key);
        usize::from(runtime.socket.exists())
    }

    fn of_root(&self, kind: Kind) -> Option<&Runtime> {
        self.of_root.iter().find(|runtime| runtime.kind == kind)
    }

    /// Begins to follow a user's own runtime, if its kind is followed at all and its socket is there or waited for.
    fn follow_user(&mut self, kind: Kind, user: u32, is_waited_for: bool) {
        if self.of_root(kind).is_none() || self.of_users.contains_key(&(kind, user)) {
            return;
        }
        let socket = self.users.join(user.to_string()).join(match kind {
            Kind::Docker => "docker.sock",
            Kind::Podman => "podman/podman.sock",
            Kind::Crio | Kind::Containerd => return,
        });
        if self.of_users.len() >= MOST_USERS {
            self.of_users.retain(|_, runtime| runtime.socket.exists());
        }
        if self.of_users.len() < MOST_USERS && (is_waited_for || socket.exists()) {
            let runtime = self.follow_docker(Source { kind, user: Some(user) }, socket);
            self.of_users.insert((kind, user), runtime);
        }
    }

    fn follow_docker(&self, source: Source, socket: PathBuf) -> Runtime {
        let name = if source.kind == Kind::Podman { "podman" } else { "docker" };
        self.follow(source, socket.clone(), Docker::new(name, socket))
    }

    fn follow(&self, source: Source, socket: PathBuf, api: impl Api) -> Runtime {
        let post = self.post.clone();
        let answer = move |answer| post.send(Message::Known(source, answer));
        let follower = self.followers.follow(api, Pace::default(), Arc::clone(&self.keep), answer);
        Runtime { kind: source.kind, socket, follower }
    }
}

impl Source {
    const fn of_root(kind: Kind) -> Self {
        Self { kind, user: None }
    }
}
