//! The runtimes that are followed, and which of them may know a cgroup.

use std::{collections::HashMap, io, path::PathBuf, sync::Arc};

use super::{
    discovery::{Message, Post},
    shape::{Kind, Shape},
};
use crate::source::runtime::{
    Keep,
    docker::Docker,
    follow::{Api, Follower, Followers, Pace},
};

/// Users whose own runtimes are followed.
const MOST_USERS: usize = 64;

/// The sockets of the host's runtimes; a runtime without one is not followed.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    /// Docker's.
    pub docker: Option<PathBuf>,
    /// Podman's, of root.
    pub podman: Option<PathBuf>,
    /// Where users' runtimes have theirs: `/run/user` under the host's root; none: users' are not followed.
    pub users: Option<PathBuf>,
}

/// The runtimes.
#[derive(Debug)]
pub struct Runtimes {
    followers: Followers,
    keep: Arc<Keep>,
    post: Post,
    users: Option<PathBuf>,
    of_root: Vec<Runtime>,
    of_users: HashMap<(Kind, u32), Runtime>,
}

#[derive(Debug)]
struct Runtime {
    kind: Kind,
    socket: PathBuf,
    follower: Follower,
}

impl Runtimes {
    /// Begins to follow root's runtimes. Their answers are posted to the discovery thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(sockets: Sockets, keep: Arc<Keep>, post: Post) -> io::Result<Self> {
        let followers = Followers::start()?;
        let mut runtimes = Self {
            followers,
            keep,
            post,
            users: sockets.users,
            of_root: Vec::new(),
            of_users: HashMap::new(),
        };
        for (kind, socket) in [(Kind::Docker, sockets.docker), (Kind::Podman, sockets.podman)] {
            let runtime = socket.map(|socket| runtimes.follow(kind, socket));
            runtimes.of_root.extend(runtime);
        }
        Ok(runtimes)
    }

    /// Asks whoever may know a container; gives how many answers may come soon.
    pub fn ask(&mut self, shape: &Shape) -> usize {
        let mut asked = 0;
        for &kind in shape.kinds {
            let runtime = match shape.user {
                None => self.of_root.iter().find(|runtime| runtime.kind == kind),
                Some(user) => self.of_user(kind, user),
            };
            if let Some(runtime) = runtime {
                runtime.follower.look(shape.id);
                asked += usize::from(runtime.socket.exists());
            }
        }
        asked
    }

    fn of_user(&mut self, kind: Kind, user: u32) -> Option<&Runtime> {
        let folder = self.users.as_ref()?.join(user.to_string());
        let socket = folder.join(match kind {
            Kind::Docker => "docker.sock",
            Kind::Podman => "podman/podman.sock",
            Kind::Crio | Kind::Containerd => return None,
        });
        if !self.of_users.contains_key(&(kind, user)) {
            self.of_users.retain(|_, runtime| runtime.socket.exists());
            if self.of_users.len() >= MOST_USERS || !socket.exists() {
                return None;
            }
            let runtime = self.follow(kind, socket);
            self.of_users.insert((kind, user), runtime);
        }
        self.of_users.get(&(kind, user))
    }

    fn follow(&self, kind: Kind, socket: PathBuf) -> Runtime {
        let follower = match kind {
            Kind::Docker => self.start_one(kind, Docker::new("docker", socket.clone())),
            _ => self.start_one(kind, Docker::new("podman", socket.clone())),
        };
        Runtime { kind, socket, follower }
    }

    fn start_one(&self, kind: Kind, api: impl Api) -> Follower {
        let post = self.post.clone();
        let answer = move |answer| post.send(Message::Known(kind, answer));
        self.followers.follow(api, Pace::default(), Arc::clone(&self.keep), answer)
    }
}
