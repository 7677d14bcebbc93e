//! Files that are not kept open: those that few ask for, or that are read when something happened.

use std::{fs::File, os::unix::fs::MetadataExt};

use super::{CgroupPath, Controller, files::Reader};
use crate::source::text;

impl Reader {
    /// How many of the cgroup's own tasks were killed for want of memory. Read when some were; the file is not kept.
    pub fn oom_kills(&mut self, path: &CgroupPath) -> Option<u64> {
        let hierarchy = self.layout.hierarchy(self.layout.memory?)?;
        let directory = hierarchy.directory(path);
        let open = |name| File::open(directory.join(name));
        let file = match hierarchy.id {
            // Before 5.2 there is the number of all below alone, which is the cgroup's own where nothing is below.
            0 => open("memory.events.local").or_else(|error| {
                let is_leaf = std::fs::metadata(&directory).is_ok_and(|found| found.nlink() <= 2);
                if is_leaf { open("memory.events") } else { Err(error) }
            }),
            _ => open("memory.oom_control"),
        };
        text::keyed(self.read_once(&file.ok()?)?, b"oom_kill")
    }

    /// A file that few ask for, of a controller that may be absent: opened for this reading. None if it is not there.
    pub fn rare(&mut self, controller: Controller, path: &CgroupPath, name: &str) -> Option<&[u8]> {
        let directory = self.layout.controller(controller)?.directory(path);
        self.read_once(&File::open(directory.join(name)).ok()?)
    }

    /// As [`rare`](Self::rare), where memory is accounted.
    pub fn rare_of_memory(&mut self, path: &CgroupPath, name: &str) -> Option<&[u8]> {
        let directory = self.layout.hierarchy(self.layout.memory?)?.directory(path);
        self.read_once(&File::open(directory.join(name)).ok()?)
    }

    /// Whether memory is accounted by version 2.
    pub fn has_memory_on_version_2(&self) -> bool {
        self.is_unified(self.layout.memory)
    }

    /// Whether [`rare`](Self::rare) reads this controller's files in the version 2 tree.
    pub fn is_beside_unified(&self, controller: Controller) -> bool {
        self.layout.controller(controller).is_some_and(|hierarchy| hierarchy.id == 0)
    }
}
