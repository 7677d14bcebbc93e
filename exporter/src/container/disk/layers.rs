//! The write layer of each container: found by its first process, then kept for the container's life.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use super::{
    Subject,
    devices::Devices,
    layer::{self, Root},
    walks::{Layer, Taken, Walks},
};
use crate::{
    config::Paths,
    container::{
        links,
        shape::{self, Kind},
    },
    source::{beneath::Beneath, cgroup::CgroupPath, mount::HostRoot},
};

/// A container's root is looked for so often at most: a runtime tells of it before it is mounted.
const MOST_TRIES: u32 = 20;
/// A container's mounts are its own to make: no more of their list is read.
const MOST_MOUNTINFO: u64 = 1 << 20;

/// The layers that are known.
#[derive(Debug)]
pub struct Layers {
    procfs: PathBuf,
    root: HostRoot,
    beneath: Beneath,
    known: HashMap<CgroupPath, Known>,
    /// None: nobody wants what they take.
    walks: Option<Walks>,
}

/// What is known of one container.
#[derive(Debug, Default)]
struct Known {
    pid: u32,
    tries: u32,
    place: Option<Place>,
}

/// Where its layer is.
#[derive(Debug)]
struct Place {
    /// As it was told.
    upper: Vec<u8>,
    /// All links in it followed.
    real: Vec<u8>,
    /// The place, among all devices, of the one that holds it.
    device: Option<usize>,
}

impl Layers {
    /// Knows none yet. A layer is measured once in `pause` at most; zero: none is.
    pub fn new(pause: Duration, paths: &Paths) -> Self {
        let beneath = Beneath::new(&paths.rootfs);
        let start = || {
            Walks::start(beneath.clone(), pause)
                .inspect_err(|error| tracing::warn!(%error, "no thread for write layers"))
                .ok()
        };
        Self {
            procfs: paths.procfs.clone(),
            root: HostRoot::new(&paths.rootfs),
            known: HashMap::new(),
            walks: if pause.is_zero() { None } else { start() },
            beneath,
        }
    }

    /// Looks for the layers of those that are new, and forgets those that are gone. `is_another`: the devices are others
    /// than before.
    pub fn look(&mut self, subjects: &[Subject], devices: &Devices, is_another: bool) {
        let is_there =
            |path: &CgroupPath| subjects.binary_search_by(|subject| subject.path.cmp(path)).is_ok();
        let walks = self.walks.as_ref();
        self.known.retain(|path, _| {
            let stays = is_there(path);
            if let Some(walks) = walks.filter(|_| !stays) {
                walks.leave(path);
            }
            stays
        });
        for subject in subjects {
            let mut known = self.known.remove(&subject.path).unwrap_or_default();
            if known.pid != subject.pid {
                (known.pid, known.tries) = (subject.pid, 0);
            }
            if known.tries < MOST_TRIES {
                known.tries += 1;
                if let Some(place) = self.find(subject, devices) {
                    known.tries = MOST_TRIES;
                    if known.place.as_ref().is_none_or(|before| before.upper != place.upper) {
                        self.follow(subject, &place);
                    }
                    known.place = Some(place);
                }
            }
            if let Some(place) = known.place.as_mut().filter(|_| is_another) {
                place.device = devices.holding(&place.real);
            }
            self.known.insert(subject.path.clone(), known);
        }
        if let Some(walks) = &self.walks {
            walks.want(Instant::now());
        }
    }

    /// All that were found: the container, the place of its device among all, and what it takes.
    pub fn all(&self) -> impl Iterator<Item = (&CgroupPath, Option<usize>, Option<Taken>)> {
        self.known.iter().filter_map(|(path, known)| {
            let taken = self.walks.as_ref().and_then(|walks| walks.taken(path));
            Some((path, known.place.as_ref()?.device, taken))
        })
    }

    fn follow(&self, subject: &Subject, place: &Place) {
        let Some(walks) = &self.walks else { return };
        let shape = shape::container(&subject.path);
        let id = shape.as_ref().map(|shape| shape.id).filter(|_| subject.kind == Kind::Docker);
        let beside = id.and_then(|id| layer::docker_folder(&place.upper, id));
        let user = shape.and_then(|shape| shape.user);
        walks.follow(&subject.path, Arc::new(Layer::new(place.upper.clone(), beside, user)));
    }

    /// Asks the container's first process for its root.
    fn find(&self, subject: &Subject, devices: &Devices) -> Option<Place> {
        let process = self.procfs.join(subject.pid.to_string());
        let mountinfo = start_of(&process.join("mountinfo")).ok()?;
        // What was read may be another's, whose process has the number by now.
        if !links::is_in(&process, &subject.path) {
            return None;
        }
        let user = shape::container(&subject.path).and_then(|shape| shape.user);
        match layer::root(&mountinfo)? {
            Root::Overlay { uppers, number } => uppers.into_iter().find_map(|upper| {
                if upper.starts_with(b"/") {
                    return self.place(upper, user, devices);
                }
                let mut homes = self.homes(devices.point_of(&number, &self.root));
                homes.find_map(|home| self.place([&home, &b"/"[..], &upper].concat(), user, devices))
            }),
            Root::Folder { folder, number } => {
                self.place(devices.path_of(&number, &folder, &self.root)?, user, devices)
            }
        }
    }

    /// Where a layer may be that was told from its home on: the overlay is mounted at `HOME/LAYER/merged`, though maybe
    /// nowhere in sight; others have told `HOME/LAYER/diff`.
    fn homes(&self, point: Option<Vec<u8>>) -> impl Iterator<Item = Vec<u8>> {
        let above = |path: &[u8]| layer::split(layer::split(path)?.0).map(|(home, _)| home.to_vec());
        let others = self.known.values().filter_map(move |known| above(&known.place.as_ref()?.upper));
        let mut homes: Vec<_> = others.collect();
        homes.sort();
        homes.dedup();
        point.and_then(|point| above(&point)).into_iter().chain(homes)
    }

    fn place(&self, upper: Vec<u8>, user: Option<u32>, devices: &Devices) -> Option<Place> {
        let real = match self.beneath.folder(&upper, user) {
            Ok(folder) => self.root.name(&Beneath::path_of(folder)?).to_vec(),
            // Whoever may not look into it knows what device it is on all the same.
            Err(Errno::ACCESS | Errno::PERM) => upper.clone(),
            Err(_) => return None,
        };
        Some(Place { upper, device: devices.holding(&real), real })
    }
}

fn start_of(file: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file)?.take(MOST_MOUNTINFO).read_to_end(&mut text)?;
    Ok(text)
}
