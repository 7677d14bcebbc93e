//! Asks the file systems, on a thread of its own: one that does not answer holds a thread of the asker's.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{Disk, Row, devices::Devices};
use crate::{
    config::Paths,
    source::{
        cgroup::CgroupPath,
        file::{KeptFile, Serves},
        mount::{HostRoot, Space},
        statfs::Asker,
    },
};

/// How long a file system may take to answer, if the scrape's deadline is not before.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads what file systems hold.
#[derive(Debug)]
pub struct DiskReader {
    mountinfo: Mountinfo,
    root: HostRoot,
    devices: Devices,
    /// Begun at the first reading, so that its threads share their table of files with nobody else.
    asker: Option<Asker>,
    spaces: Vec<Option<Space>>,
}

/// The host's list of mounts.
#[derive(Debug)]
struct Mountinfo {
    /// The first process' view is the host's, also from within a container that sees the host's processes.
    first: KeptFile,
    /// Our own, where the first process is hidden from us.
    own: KeptFile,
}

impl Mountinfo {
    fn new(procfs: &Path) -> Self {
        Self {
            first: KeptFile::new(procfs.join("1/mountinfo"), Serves::Records),
            own: KeptFile::new(procfs.join("self/mountinfo"), Serves::Records),
        }
    }

    fn read(&mut self) -> Option<&[u8]> {
        match self.first.read() {
            Ok(text) => Some(text),
            Err(_) => self.own.read().inspect_err(|error| tracing::debug!(%error, "no file systems")).ok(),
        }
    }
}

impl DiskReader {
    /// A reader of the host's file systems.
    pub fn new(paths: &Paths) -> Self {
        Self {
            mountinfo: Mountinfo::new(&paths.procfs),
            root: HostRoot::new(&paths.rootfs),
            devices: Devices::default(),
            asker: None,
            spaces: Vec::new(),
        }
    }

    /// Reads all anew into `rows`; what has not answered shortly before `deadline` is left out.
    pub fn read(&mut self, rows: &mut Vec<Row>, deadline: Instant) {
        rows.clear();
        let Some(mountinfo) = self.mountinfo.read() else { return };
        let is_another = self.devices.take(mountinfo, &self.root);
        let asker = match &mut self.asker {
            Some(asker) => asker,
            none => match Asker::new() {
                Ok(asker) => none.insert(asker),
                Err(error) => return tracing::warn!(%error, "no thread to ask file systems"),
            },
        };
        if is_another {
            asker.follow(self.devices.all().iter().map(super::devices::Device::place));
        }
        asker.ask(PATIENCE, deadline);
        self.spaces.clear();
        self.spaces.extend(asker.answers().map(|answer| answer?.ok()));
        let root = CgroupPath::root();
        for (device, space) in self.devices.all().iter().zip(&self.spaces) {
            if let &Some(space) = space {
                let labels = device.labels.clone();
                rows.push(Row {
                    path: root.clone(),
                    disk: Disk { labels, space, usage: Some(space.used()) },
                });
            }
        }
    }
}
