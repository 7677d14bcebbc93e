//! The thread that knows which cgroups there are. It opens their files, reads their limits, asks for their names
//! and keeps the roster; a scrape never walks or opens anything.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
};

use super::{
    census::Census,
    kernel::{Life, Lives},
    runtimes::Source,
};
use crate::source::{
    cgroup::{
        CgroupPath, PLACES, Place, walk,
        watch::{Notice, Watcher},
    },
    runtime::Answer,
};

/// How often a cgroup is looked for whose birth was told before its directory was there.
const PATIENCE: u32 = 20;
/// The wait between two such looks.
const NEXT_LOOK: Duration = Duration::from_millis(2);

/// The least wait between two walks where events were lost: what was told of has its directory by the second one.
const SECOND_WALK: Duration = Duration::from_millis(20);
/// And so many times the length of the last walk, whoever loses events.
const REST: u32 = 10;

/// The least wait between two walks for a cgroup whose end was not told.
const MISSED_WALK: Duration = Duration::from_secs(2);

/// How often to walk where some directory cannot be watched.
const NEXT_WALK: Duration = Duration::from_secs(10);

/// What other threads tell this one.
pub enum Message {
    /// What a runtime says of a container.
    Known(Source, Answer),
    /// A cgroup is gone, and no event has told.
    Missed,
    /// To end.
    End,
}

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Discovery {
    post: Post,
    thread: Option<JoinHandle<()>>,
}

/// Where messages for the thread are left.
#[derive(Clone, Debug)]
pub struct Post {
    sender: Sender<Message>,
    bell: Arc<OwnedFd>,
}

impl Post {
    /// Leaves a message; lost if the thread has ended.
    pub fn send(&self, message: Message) {
        if self.sender.send(message).is_ok() {
            // It can fail only when full of unheard rings, and then the thread is awake anyway.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }
}

impl Discovery {
    /// A post box, and its other end for [`Discovery::start`].
    ///
    /// # Errors
    /// What `eventfd` says.
    pub fn post() -> io::Result<(Post, Receiver<Message>)> {
        let (sender, receiver) = channel();
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok((Post { sender, bell: Arc::new(bell) }, receiver))
    }

    /// Walks once, then follows events on a thread of its own.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        census: Census,
        lives: Option<Box<dyn Lives>>,
        post: Post,
        inbox: Receiver<Message>,
    ) -> io::Result<Self> {
        let watcher = Watcher::new()
            .inspect_err(|error| {
                tracing::warn!(%error, "inotify_init1: limits of containers are read at each scrape");
            })
            .ok();
        let mut thread = Thread {
            told: told(&census, lives.is_some()),
            census,
            watcher,
            lives,
            inbox,
            bell: Arc::clone(&post.bell),
            is_blind: false,
            walked: Instant::now(),
            walks_due: 0,
            next_walk: Instant::now(),
            unsettled: BTreeSet::new(),
            late: HashMap::new(),
        };
        thread.walk();
        thread.settle();
        thread.census.looked();
        let thread =
            std::thread::Builder::new().name("cgroups".to_owned()).spawn(move || while thread.turn() {})?;
        Ok(Self { post, thread: Some(thread) })
    }
}

impl Discovery {
    /// Says that a cgroup is gone whose end was not told, as when it was renamed before.
    pub fn missed(&self) {
        self.post.send(Message::Missed);
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.post.send(Message::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Thread {
    census: Census,
    watcher: Option<Watcher>,
    lives: Option<Box<dyn Lives>>,
    /// By place: whether the kernel half tells of births and deaths there.
    told: [bool; PLACES],
    inbox: Receiver<Message>,
    bell: Arc<OwnedFd>,
    /// Some directory cannot be watched, so that births below it are found by walking alone.
    is_blind: bool,
    /// When the last walk was.
    walked: Instant,
    /// Walks to be made because events were lost, and the moment before which not to.
    walks_due: u32,
    next_walk: Instant,
    /// Cgroups of which something is new.
    unsettled: BTreeSet<CgroupPath>,
    /// Cgroups whose directory is not there yet, and how often they were looked for.
    late: HashMap<CgroupPath, u32>,
}

impl Thread {
    /// Waits for something to happen and takes it in; `false` at the end.
    fn turn(&mut self) -> bool {
        self.wait();
        // The ring is reset before the box is looked into, so that no message is left behind.
        let _ = rustix::io::read(&self.bell, &mut [0_u8; 8]);
        let mut lost = self.take_lives();
        lost |= self.take_notices();
        if lost {
            self.walks_due = 2;
        }
        let is_due = self.walks_due > 0 && self.next_walk <= Instant::now();
        if is_due || (self.is_blind && self.walked.elapsed() >= NEXT_WALK) {
            tracing::debug!(lost, "walking the cgroups");
            self.walks_due = self.walks_due.saturating_sub(1);
            self.walk();
        }
        self.unsettled.extend(self.late.keys().cloned());
        self.settle();
        self.census.hear(Instant::now());
        self.census.read_all_kills();
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Message::Known(source, answer) => self.census.named(source, answer),
                Message::Missed if self.walked.elapsed() >= MISSED_WALK => self.walks_due = 1,
                Message::Missed => {}
                Message::End => return false,
            }
        }
        true
    }

    fn wait(&self) {
        let look = (!self.late.is_empty()).then_some(NEXT_LOOK);
        let blind = self.is_blind.then(|| NEXT_WALK.saturating_sub(self.walked.elapsed()));
        let due = (self.walks_due > 0).then(|| self.next_walk.saturating_duration_since(Instant::now()));
        let timeout = look.into_iter().chain(blind).chain(due).chain(self.census.kills_due()).min();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut waits = vec![PollFd::new(&self.bell, PollFlags::IN)];
        waits.extend(
            self.watcher.as_ref().map(|watcher| PollFd::from_borrowed_fd(watcher.as_fd(), PollFlags::IN)),
        );
        waits.extend(
            self.lives.as_ref().map(|lives| PollFd::from_borrowed_fd(lives.descriptor(), PollFlags::IN)),
        );
        waits.extend(self.census.kills().map(|log| PollFd::from_borrowed_fd(log, PollFlags::IN)));
        match poll(&mut waits, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "poll");
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }

    /// Takes in what the kernel half tells; `true` if something was lost.
    fn take_lives(&mut self) -> bool {
        let Some(lives) = &mut self.lives else { return false };
        let (census, unsettled, watcher) = (&mut self.census, &mut self.unsettled, &mut self.watcher);
        let now = Instant::now();
        lives.drain(&mut |life| match life {
            Life::Born { key, path } => {
                let Some(place) = census.opener.layout.place_of(key.hierarchy) else { return };
                let Some(path) =
                    census.opener.layout.hierarchy(place).and_then(|found| found.below_mount(path))
                else {
                    return;
                };
                if census.born(place, &path, key.id, now) {
                    unsettled.insert(path);
                }
            }
            Life::Died { key } => {
                let Some(place) = census.opener.layout.place_of(key.hierarchy) else { return };
                match census.died(place, key.id, now) {
                    Some(path) => unwatch(watcher.as_mut(), place, &path),
                    None => census.free(key),
                }
            }
        })
    }

    /// Takes in what inotify tells; `true` if something was lost.
    fn take_notices(&mut self) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let mut notices = Vec::new();
        watcher.drain(|notice| notices.push(notice));
        let now = Instant::now();
        let mut lost = false;
        for notice in notices {
            match notice {
                Notice::Born(place, path) => self.appeared(place, &path, now),
                Notice::Died(place, path) => {
                    if let Some(id) = self.census.tree.ids(&path).and_then(|ids| *ids.get(place)?) {
                        self.gone(place, id, now);
                    }
                }
                Notice::LimitsWritten(path) => self.census.read_limits(&path),
                Notice::ControllersWritten(path) => {
                    self.unsettled.extend(self.census.tree.children(&path));
                }
                Notice::Lost => lost = true,
            }
        }
        lost
    }

    fn appeared(&mut self, place: Place, path: &CgroupPath, now: Instant) {
        let Some(id) = self.census.opener.layout.hierarchy(place).and_then(|found| walk::id_of(found, path))
        else {
            return;
        };
        if self.census.born(place, path, id, now) {
            self.unsettled.insert(path.clone());
        }
    }

    fn gone(&mut self, place: Place, id: u64, now: Instant) {
        if let Some(path) = self.census.died(place, id, now) {
            unwatch(self.watcher.as_mut(), place, &path);
        }
    }

    /// Compares what is known with the directories. Off the scrape path, and only where events cannot tell.
    fn walk(&mut self) {
        let now = Instant::now();
        self.walked = now;
        for place in 0..self.census.opener.layout.hierarchies.len() {
            let Some(hierarchy) = self.census.opener.layout.hierarchy(place) else { continue };
            let mut found = HashMap::new();
            walk::walk(hierarchy, &CgroupPath::root(), &mut |path, id| {
                found.insert(path.clone(), id);
            });
            for id in self.census.tree.missing(place, &found) {
                self.gone(place, id, now);
            }
            for (path, id) in found {
                if self.census.born(place, &path, id, now) {
                    self.unsettled.insert(path);
                }
            }
        }
        self.next_walk = Instant::now() + SECOND_WALK.max(now.elapsed() * REST);
    }

    /// Watches, opens and reads what is new. A watch is set before the children are listed, so that none is missed.
    fn settle(&mut self) {
        while let Some(path) = self.unsettled.pop_first() {
            let Some(ids) = self.census.tree.ids(&path).copied() else {
                self.late.remove(&path);
                continue;
            };
            let mut watched = true;
            for (place, _) in ids.iter().enumerate().filter(|(_, id)| id.is_some()) {
                watched &= self.watch(place, &path);
            }
            self.census.settle(&path, watched, Instant::now(), wall_clock());
            if watched || !self.may_appear(&path) {
                self.late.remove(&path);
            }
        }
    }

    fn watch(&mut self, place: Place, path: &CgroupPath) -> bool {
        let is_told = self.told.get(place) == Some(&true);
        let layout = &self.census.opener.layout;
        if !self.watcher.as_mut().is_some_and(|watcher| watcher.add(layout, place, path, !is_told)) {
            let is_there = layout.hierarchy(place).is_some_and(|found| walk::id_of(found, path).is_some());
            if is_there && !is_told && !std::mem::replace(&mut self.is_blind, true) {
                tracing::warn!(cgroup = ?path, "no inotify watch left: cgroups are walked every ten seconds");
            }
            return false;
        }
        if !is_told {
            let mut born = Vec::new();
            if let Some(hierarchy) = self.census.opener.layout.hierarchy(place) {
                walk::below(hierarchy, path, &mut |child, id| born.push((child.clone(), id)));
            }
            let now = Instant::now();
            for (child, id) in born {
                if self.census.born(place, &child, id, now) {
                    self.unsettled.insert(child);
                }
            }
        }
        true
    }

    /// Whether to look again soon for a cgroup that could not be watched.
    fn may_appear(&mut self, path: &CgroupPath) -> bool {
        if self.lives.is_none() {
            return false;
        }
        let looks = self.late.entry(path.clone()).or_default();
        *looks += 1;
        *looks < PATIENCE
    }
}

/// The kernel half tells of the hierarchies that it counts in, by paths from the root, if it is known where that is.
fn told(census: &Census, lives: bool) -> [bool; PLACES] {
    let layout = &census.opener.layout;
    let is_counted = |place| Some(place) == layout.cpuacct || Some(place) == layout.unified;
    let is_placed = |place| layout.hierarchy(place).is_some_and(|hierarchy| hierarchy.top.is_some());
    std::array::from_fn(|place| lives && is_counted(place) && is_placed(place))
}

fn unwatch(watcher: Option<&mut Watcher>, place: Place, path: &CgroupPath) {
    if let Some(watcher) = watcher {
        watcher.remove(place, path);
    }
}

/// Seconds since 1970.
fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
