//! Asks the file systems, on a thread of its own: one that does not answer holds a thread of the asker's.

use std::time::Duration;

use super::{
    Disk, Order, Row,
    devices::{Device, Devices},
    layers::Layers,
};
use crate::{
    config::Paths,
    source::{
        cgroup::CgroupPath,
        mount::{HostRoot, MountList, Space},
        statfs::Asker,
    },
};

/// How long a file system may take to answer, if the scrape's deadline is not before.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads what file systems hold.
#[derive(Debug)]
pub struct DiskReader {
    mountinfo: MountList,
    root: HostRoot,
    devices: Devices,
    /// Begun at the first reading, so that its threads share their table of files with nobody else.
    asker: Option<Asker>,
    spaces: Vec<Option<Space>>,
    layers: Layers,
}

impl DiskReader {
    /// A reader of the host's file systems, and of write layers at most once in `pause`.
    pub fn new(pause: Duration, paths: &Paths) -> Self {
        Self {
            mountinfo: MountList::new(&paths.procfs),
            root: HostRoot::new(&paths.rootfs),
            devices: Devices::default(),
            asker: None,
            spaces: Vec::new(),
            layers: Layers::new(pause, paths),
        }
    }

    /// Reads all that is wanted anew into `rows`; what has not answered shortly before the deadline is left out.
    pub fn read(&mut self, order: &Order, rows: &mut Vec<Row>) {
        rows.clear();
        let asker = match &mut self.asker {
            Some(asker) => asker,
            none => match Asker::new() {
                Ok(asker) => none.insert(asker),
                Err(error) => return tracing::warn!(%error, "no thread to ask file systems"),
            },
        };
        let mut is_another = false;
        if let Some(mountinfo) = self.mountinfo.news() {
            is_another = self.devices.take(mountinfo, &self.root);
        }
        if is_another {
            asker.follow(self.devices.all().iter().map(Device::place));
        }
        // Layers are looked for first: what hangs takes all the time there is.
        self.layers.look(&order.subjects, &self.devices, is_another);
        asker.ask(PATIENCE, order.until);
        self.spaces.clear();
        self.spaces.extend(asker.answers().map(|answer| answer?.ok()));
        let root = CgroupPath::root();
        for (device, space) in self.devices.all().iter().zip(&self.spaces) {
            if let &Some(space) = space {
                let labels = device.labels.clone();
                let disk = Disk { labels, space, usage: Some(space.used()), measured: None };
                rows.push(Row { path: root.clone(), disk });
            }
        }
        for (path, device, taken) in self.layers.all() {
            let Some(device) = device else { continue };
            if let (Some(device), Some(&Some(space))) =
                (self.devices.all().get(device), self.spaces.get(device))
            {
                let (labels, usage) = (device.labels.clone(), taken.map(|taken| taken.bytes));
                let disk = Disk { labels, space, usage, measured: taken.map(|taken| taken.at) };
                rows.push(Row { path: path.clone(), disk });
            }
        }
    }
}
