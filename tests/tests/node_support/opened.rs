//! Which files below a folder were opened: the kernel tells it.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsStr,
    fs,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

/// A watch over a folder and all below it. Links are not followed: a file is known by its own path.
#[derive(Debug)]
pub struct Opened {
    events: OwnedFd,
    folders: HashMap<i32, PathBuf>,
}

impl Opened {
    /// Begins to watch.
    pub fn watch(folder: &Path) -> Self {
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        let mut opened = Self { events, folders: HashMap::new() };
        opened.add(folder);
        opened
    }

    fn add(&mut self, folder: &Path) {
        let watch = inotify::add_watch(&self.events, folder, WatchFlags::OPEN | WatchFlags::ONLYDIR).unwrap();
        self.folders.insert(watch, folder.to_owned());
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                self.add(&entry.path());
            }
        }
    }

    /// The files opened since the last call.
    pub fn take(&mut self) -> BTreeSet<PathBuf> {
        let mut buffer = [MaybeUninit::uninit(); 1 << 13];
        let mut reader = Reader::new(&self.events, &mut buffer);
        let mut found = BTreeSet::new();
        while let Ok(event) = reader.next() {
            assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW), "events were lost");
            let (Some(folder), Some(name)) = (self.folders.get(&event.wd()), event.file_name()) else {
                continue;
            };
            let path = folder.join(OsStr::from_bytes(name.to_bytes()));
            // One that was made and taken away since is of no interest.
            if path.is_file() {
                found.insert(path);
            }
        }
        found
    }
}
