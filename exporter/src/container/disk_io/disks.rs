//! The host's block devices: what they are called, what they do, and which of them hold a mounted file system.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    config::Paths,
    metric::Labels,
    source::{
        cgroup::io::Number,
        disk::{self, Activity},
        file::{KeptFile, Serves},
        mount::{self, MountList, unescape},
    },
};

/// Devices that no list names are called by their numbers, so many at most.
const MOST_UNKNOWN: usize = 256;
/// File systems of the host that are told of at most.
const MOST_MOUNTED: usize = 4_096;

/// What a row of `container_blkio_device_usage_total` is of.
pub const OPERATIONS: [&str; 6] = ["Read", "Write", "Sync", "Async", "Discard", "Total"];

/// A device as it is labelled. Another one that gets its number is another `Disk`.
#[derive(Debug)]
pub struct Disk {
    path: Box<[u8]>,
    number: Option<Number>,
    is_known: bool,
    is_there: AtomicBool,
    /// The `device` label.
    pub labels: Labels,
    /// `device`, `major`, `minor` and `operation`, for each of [`OPERATIONS`].
    pub by_operation: Vec<Labels>,
}

impl Disk {
    /// A device by its number.
    pub fn numbered(path: &[u8], number: Number, is_known: bool) -> Self {
        let by_operation = |operation: &&str| {
            let (major, minor) = (number.major.to_string(), number.minor.to_string());
            let texts = [("major", major.as_str()), ("minor", &minor), ("operation", operation)];
            let mut labels = Labels::new([("device", path)]);
            for (name, text) in texts {
                labels.push(name, text.as_bytes());
            }
            labels
        };
        let by_operation = OPERATIONS.iter().map(by_operation).collect();
        Self { number: Some(number), is_known, by_operation, ..Self::mounted(path) }
    }

    /// A device by the name that a mount has for it.
    fn mounted(path: &[u8]) -> Self {
        Self {
            path: path.into(),
            number: None,
            is_known: true,
            is_there: AtomicBool::new(true),
            labels: Labels::new([("device", path)]),
            by_operation: Vec::new(),
        }
    }

    /// Its path, as its label has it.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Its number.
    pub fn number(&self) -> Option<Number> {
        self.number
    }

    /// Whether the list of devices has it, which tells when it goes.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether it was not removed yet.
    pub fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
    }

    /// It was removed.
    pub fn leave(&self) {
        self.is_there.store(false, Ordering::Relaxed);
    }
}

/// A line of the list of devices.
#[derive(Debug)]
struct Known {
    number: Number,
    name: Box<[u8]>,
    activity: Activity,
    /// Made when it is first asked for.
    disk: Option<Arc<Disk>>,
}

impl Known {
    fn disk(&mut self) -> &Arc<Disk> {
        self.disk.get_or_insert_with(|| {
            let path = [&b"/dev/"[..], &self.name].concat();
            Arc::new(Disk::numbered(&path, self.number, true))
        })
    }
}

/// A device that holds a file system of the host, and its place in the list.
#[derive(Debug)]
struct Mounted {
    disk: Arc<Disk>,
    place: usize,
}

/// All devices.
#[derive(Debug)]
pub struct Disks {
    list: KeptFile,
    known: Vec<Known>,
    /// Places in `known`, by number.
    places: BTreeMap<Number, usize>,
    unknown: Vec<Arc<Disk>>,
    /// Whether the list was read again for a number that is not in it.
    looked_again: bool,
    mounts: MountList,
    mounted: Vec<Mounted>,
    rootfs: PathBuf,
}

impl Disks {
    /// Knows of none yet.
    pub fn new(paths: &Paths) -> Self {
        Self {
            list: KeptFile::new(paths.procfs.join("diskstats"), Serves::Rows),
            known: Vec::new(),
            places: BTreeMap::new(),
            unknown: Vec::new(),
            looked_again: false,
            mounts: MountList::new(&paths.procfs),
            mounted: Vec::new(),
            rootfs: paths.rootfs.clone(),
        }
    }

    /// Reads the list anew. Where it cannot be read, what was known stays.
    pub fn look(&mut self) {
        self.looked_again = false;
        let Ok(text) = self.list.read() else { return };
        let mut known = self.known.iter_mut();
        let is_same = disk::disks(text).all(|line| match known.next() {
            Some(known) if known.number == number(&line) && *known.name == *line.name => {
                known.activity = line.activity;
                true
            }
            _ => false,
        });
        if !is_same || known.next().is_some() {
            self.list_anew();
        }
    }

    fn list_anew(&mut self) {
        let Ok(text) = self.list.read() else { return };
        let before = self.known.drain(..).map(|known| ((known.number, known.name), known.disk));
        let mut before: BTreeMap<_, _> = before.collect();
        for line in disk::disks(text) {
            let (number, name) = (number(&line), Box::<[u8]>::from(line.name));
            let disk = before.remove(&(number, name.clone())).flatten();
            self.known.push(Known { number, name, activity: line.activity, disk });
        }
        before.into_values().flatten().for_each(|disk| disk.leave());
        self.places = self.known.iter().enumerate().map(|(place, known)| (known.number, place)).collect();
        self.unknown.retain(|disk| disk.number.is_some_and(|number| !self.places.contains_key(&number)));
        self.mounts.forget();
    }

    /// The device of that number; none where there are too many that no list names.
    pub fn numbered(&mut self, number: Number) -> Option<&Arc<Disk>> {
        if let Some(place) = self.places.get(&number) {
            return Some(self.known.get_mut(*place)?.disk());
        }
        if let Some(place) = self.unknown.iter().position(|disk| disk.number == Some(number)) {
            return self.unknown.get(place);
        }
        if !self.looked_again {
            // It may have come since the list was read.
            self.looked_again = true;
            self.list_anew();
            return self.numbered(number);
        }
        if self.unknown.len() >= MOST_UNKNOWN {
            return None;
        }
        let path = format!("/dev/block/{}:{}", number.major, number.minor);
        self.unknown.push(Arc::new(Disk::numbered(path.as_bytes(), number, false)));
        self.unknown.last()
    }

    /// The devices that hold a file system of the host, and what they have done.
    pub fn mounted(&mut self) -> impl Iterator<Item = (&Arc<Disk>, &Activity)> {
        let Self { mounts, mounted, known, places, rootfs, .. } = self;
        if let Some(mountinfo) = mounts.news() {
            mounted.clear();
            let mounts = mount::mounts(mountinfo).filter(|mount| mount.device.starts_with(b"/"));
            for mount in mounts.take(MOST_MOUNTED) {
                let path = unescape(mount.device, |_| true);
                if mounted.iter().any(|other| *other.disk.path == *path) {
                    continue;
                }
                let place = place_of(places, known, rootfs, &mount, &path);
                let Some((place, own)) = place.and_then(|place| Some((place, known.get_mut(place)?.disk())))
                else {
                    continue;
                };
                let disk = if *own.path == *path { Arc::clone(own) } else { Arc::new(Disk::mounted(&path)) };
                mounted.push(Mounted { disk, place });
            }
        }
        mounted.iter().filter_map(|mounted| Some((&mounted.disk, &known.get(mounted.place)?.activity)))
    }
}

/// The place in the list of the device that a mount is of. A file system of several devices has a number of its own,
/// and is found by the name of the one that was mounted.
fn place_of(
    places: &BTreeMap<Number, usize>,
    known: &[Known],
    rootfs: &Path,
    mount: &mount::Mount<'_>,
    path: &[u8],
) -> Option<usize> {
    let number = Number::parse(&[mount.major, b":", mount.minor].concat())?;
    if number.major != 0 {
        return places.get(&number).copied();
    }
    let named = |name: &[u8]| known.iter().position(|known| *known.name == *name);
    let relative = path.strip_prefix(b"/")?;
    named(relative.strip_prefix(b"dev/")?).or_else(|| {
        let link = std::fs::read_link(rootfs.join(OsStr::from_bytes(relative))).ok()?;
        named(link.file_name()?.as_bytes())
    })
}

fn number(line: &disk::Disk<'_>) -> Number {
    Number { major: line.major, minor: line.minor }
}
