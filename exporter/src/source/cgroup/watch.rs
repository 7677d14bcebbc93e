//! inotify on cgroup directories: births and deaths (where eBPF does not tell of them) and writes to a cgroup's files.

use std::{
    collections::HashMap,
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};

use super::{CgroupPath, Layout, Place};

const BUFFER: usize = 64 << 10;

/// The files that hold a limit, or change one.
const LIMITS: &[&[u8]] = &[
    b"cpu.max",
    b"cpu.weight",
    b"cpu.weight.nice",
    b"cpu.idle",
    b"cpu.shares",
    b"cpu.cfs_quota_us",
    b"cpu.cfs_period_us",
    b"memory.max",
    b"memory.min",
    b"memory.swap.max",
    b"memory.limit_in_bytes",
    b"memory.memsw.limit_in_bytes",
    b"memory.soft_limit_in_bytes",
];

/// What a watch saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A child was made.
    Born(Place, CgroupPath),
    /// A child was removed.
    Died(Place, CgroupPath),
    /// A file that holds a limit was written.
    LimitsWritten(CgroupPath),
    /// The children may have got other controllers, and with them other files.
    ControllersWritten(CgroupPath),
    /// The kernel dropped notices: only a walk tells what happened.
    Lost,
}

/// The watches, one a cgroup directory.
#[derive(Debug)]
pub struct Watcher {
    inotify: OwnedFd,
    watched: HashMap<i32, (Place, CgroupPath)>,
    numbers: HashMap<(Place, CgroupPath), i32>,
    buffer: Vec<MaybeUninit<u8>>,
}

impl Watcher {
    /// A watcher that watches nothing yet.
    ///
    /// # Errors
    /// What `inotify_init1` says.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            inotify: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?,
            watched: HashMap::new(),
            numbers: HashMap::new(),
            buffer: vec![MaybeUninit::uninit(); BUFFER],
        })
    }

    /// Watches a cgroup's directory for writes, and for births and deaths below if `lives`. `false`: it is gone, or
    /// there is no watch left.
    pub fn add(&mut self, layout: &Layout, place: Place, path: &CgroupPath, lives: bool) -> bool {
        let Some(hierarchy) = layout.hierarchy(place) else { return false };
        let also = if lives { WatchFlags::CREATE | WatchFlags::DELETE } else { WatchFlags::empty() };
        let sees = WatchFlags::MODIFY | WatchFlags::ONLYDIR | also;
        let Ok(number) = inotify::add_watch(&self.inotify, hierarchy.directory(path), sees) else {
            return false;
        };
        let key = (place, path.clone());
        if let Some(stale) = self.numbers.insert(key.clone(), number).filter(|&stale| stale != number) {
            self.forget(stale);
        }
        self.watched.insert(number, key);
        true
    }

    /// Ends the watch of a directory; the kernel does not end it by itself when a cgroup goes.
    pub fn remove(&mut self, place: Place, path: &CgroupPath) {
        if let Some(number) = self.numbers.remove(&(place, path.clone())) {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: i32) {
        self.watched.remove(&number);
        // It may have ended already.
        let _ = inotify::remove_watch(&self.inotify, number);
    }

    /// How many directories are watched.
    pub fn len(&self) -> usize {
        self.watched.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    /// Takes all notices there are, without waiting.
    pub fn drain(&mut self, mut each: impl FnMut(Notice)) {
        let mut reader = inotify::Reader::new(&self.inotify, &mut self.buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => each(Notice::Lost),
                Ok(event) => {
                    let Some((place, path)) = self.watched.get(&event.wd()) else { continue };
                    let name = event.file_name().map(std::ffi::CStr::to_bytes).unwrap_or_default();
                    if let Some(notice) = notice(*place, path, name, event.events()) {
                        each(notice);
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

fn notice(place: Place, path: &CgroupPath, name: &[u8], events: ReadFlags) -> Option<Notice> {
    if events.contains(ReadFlags::ISDIR) {
        let child = path.child(name);
        return match events {
            _ if events.contains(ReadFlags::CREATE) => Some(Notice::Born(place, child)),
            _ if events.contains(ReadFlags::DELETE) => Some(Notice::Died(place, child)),
            _ => None,
        };
    }
    if !events.contains(ReadFlags::MODIFY) {
        return None;
    }
    // The kernel tells of its own changes to other files too: each time a limit is hit, for one.
    match name {
        b"cgroup.subtree_control" => Some(Notice::ControllersWritten(path.clone())),
        name if LIMITS.contains(&name) => Some(Notice::LimitsWritten(path.clone())),
        _ => None,
    }
}

impl AsFd for Watcher {
    /// Readable when there are notices.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::cgroup::{Hierarchy, Mode};

    #[test]
    fn births_deaths_and_writes_are_noticed() {
        let mount = std::env::temp_dir().join(format!("nodetally-watch-{}", std::process::id()));
        std::fs::create_dir_all(mount.join("a")).unwrap();
        let hierarchy = Hierarchy { id: 0, mount: mount.clone(), top: Some(b"/".into()) };
        let layout = Layout {
            mode: Mode::V2,
            hierarchies: vec![hierarchy],
            cpu: Some(0),
            cpuacct: Some(0),
            memory: Some(0),
            unified: Some(0),
            beside: Vec::new(),
            partial: false,
        };
        let mut watcher = Watcher::new().unwrap();
        let a = CgroupPath::new(b"/a");
        assert!(watcher.add(&layout, 0, &a, true));
        assert!(!watcher.add(&layout, 0, &CgroupPath::new(b"/missing"), true));

        std::fs::create_dir(mount.join("a/b")).unwrap();
        for file in ["cpu.max", "cgroup.procs", "memory.events", "cgroup.subtree_control"] {
            std::fs::write(mount.join("a").join(file), "1").unwrap();
        }
        std::fs::remove_dir(mount.join("a/b")).unwrap();
        let mut seen = Vec::new();
        watcher.drain(|notice| seen.push(notice));
        seen.dedup();
        let b = a.child(b"b");
        let expected = [
            Notice::Born(0, b.clone()),
            Notice::LimitsWritten(a.clone()),
            Notice::ControllersWritten(a.clone()),
            Notice::Died(0, b),
        ];
        assert_eq!(seen, expected);

        watcher.remove(0, &a);
        assert!(watcher.is_empty() && watcher.numbers.is_empty());
        std::fs::write(mount.join("a/cpu.max"), "2").unwrap();
        watcher.drain(|notice| panic!("{notice:?} after the watch ended"));
        std::fs::remove_dir_all(mount).unwrap();
    }
}
