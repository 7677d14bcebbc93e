//! The devices in a folder of sysfs, such as `/sys/class/net`, their attributes held open from one scrape to the next.
//!
//! An attribute held open costs one system call, one opened anew costs three and a walk through the path. The folder is
//! listed at each scrape, so a device that came is seen and one that went is not.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::FileExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FileType, Mode, OFlags, SeekFrom},
    io::Errno,
};

use super::{file::ReadError, folder, limit::raise_descriptor_limit, text};

/// Descriptors that the devices of one folder may hold. (The kernel keeps a page for each: 10 MiB at most.) The
/// attributes of the devices beyond are opened anew.
const MOST_HELD: u64 = 2560;
/// The part of all the process' descriptors that one folder may hold.
const SHARE: u64 = 4;

/// The devices of one folder; `T` is what a collector keeps for each.
#[derive(Debug)]
pub struct Devices<T> {
    path: PathBuf,
    /// The folder of attributes within a device's; empty for the device's own.
    within: &'static str,
    /// How many attributes a device may have.
    attributes: usize,
    is_wanted: Wanted,
    listed: Option<OwnedFd>,
    round: u64,
    held: usize,
    known: BTreeMap<Vec<u8>, Device<T>>,
}

/// Which names are devices.
struct Wanted(Box<dyn Fn(&Name) -> bool + Send>);

type Name = [u8];

impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wanted")
    }
}

/// One device.
#[derive(Debug)]
pub struct Device<T> {
    /// What the collector keeps for as long as the device is there.
    pub kept: T,
    path: PathBuf,
    /// The entry's inode, which tells a device from another one that has taken its name.
    identity: u64,
    round: u64,
    /// Whether its folder could be opened in this round.
    is_there: bool,
    /// `None` as well for a device of which nothing may be held.
    folder: Option<OwnedFd>,
    /// By attribute; empty if none may be held.
    files: Vec<Option<File>>,
}

impl<T: Default> Devices<T> {
    /// Names the folder; nothing is opened. A device's attributes are in its folder `within`.
    pub fn new(
        path: impl Into<PathBuf>,
        within: &'static str,
        attributes: usize,
        is_wanted: impl Fn(&[u8]) -> bool + Send + 'static,
    ) -> Self {
        Self {
            path: path.into(),
            within,
            attributes,
            is_wanted: Wanted(Box::new(is_wanted)),
            listed: None,
            round: 0,
            held: 0,
            known: BTreeMap::new(),
        }
    }

    /// Lists the folder and opens those that are new; gives the devices whose folder could be opened, in the order of
    /// their names' bytes.
    ///
    /// # Errors
    /// What reading the directory says; [`ReadError::is_gone`] where there is no such folder.
    pub fn list(&mut self) -> Result<impl Iterator<Item = (&[u8], &mut Device<T>)>, ReadError> {
        self.round += 1;
        // A folder that was removed and made anew lists nothing by the old descriptor, or an error.
        if self.listed.is_none() || self.entries().unwrap_or_default() == 0 {
            self.listed = Some(self.open().map_err(|errno| self.error("open", errno))?);
            self.entries()?;
        }
        let round = self.round;
        let held = &mut self.held;
        self.known.retain(|_, device| {
            let stays = device.round == round;
            if !stays {
                *held -= device.holds();
            }
            stays
        });
        let devices = self.known.iter_mut();
        Ok(devices.filter_map(|(name, device)| device.begin().then_some((name.as_slice(), device))))
    }

    /// What is kept for each of those that were given by the last listing, in the same order.
    pub fn kept(&self) -> impl Iterator<Item = &T> {
        self.known.values().filter(|device| device.is_there).map(|device| &device.kept)
    }

    fn open(&self) -> Result<OwnedFd, Errno> {
        rustix::fs::open(&self.path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    }

    /// Meets every entry; gives how many there are.
    fn entries(&mut self) -> Result<usize, ReadError> {
        let Some(listed) = self.listed.take() else { return Ok(0) };
        let mut count = 0;
        rustix::fs::seek(&listed, SeekFrom::Start(0)).map_err(|errno| self.error("lseek", errno))?;
        let shown = folder::entries(&listed, |entry| {
            count += 1;
            if entry.file_type() != FileType::RegularFile {
                self.meet(entry.file_name().to_bytes(), entry.ino());
            }
        });
        shown.map_err(|errno| self.error("readdir", errno))?;
        self.listed = Some(listed);
        Ok(count)
    }

    fn meet(&mut self, name: &[u8], identity: u64) {
        if let Some(device) = self.known.get_mut(name) {
            if device.identity != identity {
                device.forget();
                device.identity = identity;
                device.kept = T::default();
            }
            device.round = self.round;
            return;
        }
        if !(self.is_wanted.0)(name) {
            return;
        }
        let may_hold = (self.held + self.attributes + 1) as u64 <= most_held();
        let attributes = if may_hold { self.attributes } else { 0 };
        let mut path = self.path.join(OsStr::from_bytes(name));
        path.push(self.within);
        let files = std::iter::repeat_with(|| None).take(attributes).collect();
        let (kept, round) = (T::default(), self.round);
        let device = Device { kept, path, identity, round, is_there: false, folder: None, files };
        self.held += device.holds();
        self.known.insert(name.to_vec(), device);
    }

    fn error(&self, operation: &'static str, errno: Errno) -> ReadError {
        ReadError { operation, path: self.path.clone(), error: errno.into() }
    }
}

/// (The soft limit of old is too low for a large host.)
fn most_held() -> u64 {
    (raise_descriptor_limit() / SHARE).min(MOST_HELD)
}

impl<T> Device<T> {
    /// The most descriptors that it may have open from one scrape to the next.
    fn holds(&self) -> usize {
        if self.files.is_empty() { 0 } else { self.files.len() + 1 }
    }

    /// Sees to it that its folder is open, if that may be held; tells whether it is there.
    fn begin(&mut self) -> bool {
        if self.files.is_empty() {
            self.is_there = self.path.is_dir();
            return self.is_there;
        }
        // A folder by which nothing is held open could be that of a device that went.
        if self.files.iter().all(Option::is_none) {
            self.forget();
        }
        if self.folder.is_none() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.folder = rustix::fs::open(&self.path, flags, Mode::empty()).ok();
        }
        self.is_there = self.folder.is_some();
        self.is_there
    }

    fn forget(&mut self) {
        self.folder = None;
        self.files.fill_with(|| None);
    }

    /// The text of an attribute without the white space around it. `place` is its number among the attributes, the same
    /// at each call.
    ///
    /// # Errors
    /// What `openat` or `pread` says; [`Device::error`] makes a message of it.
    pub fn read<'b>(&mut self, place: usize, name: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        let length = match self.files.get(place).and_then(Option::as_ref).map(|file| piece(file, buffer)) {
            // The device went and came, or only its attributes did.
            Some(Err(Errno::NODEV)) => {
                self.forget();
                if !self.begin() {
                    return Err(Errno::NODEV);
                }
                self.read_new(place, name, buffer)?
            }
            Some(read) => read?,
            None => self.read_new(place, name, buffer)?,
        };
        Ok(buffer.get(..length).unwrap_or_default().trim_ascii())
    }

    fn read_new(&mut self, place: usize, name: &str, buffer: &mut [u8]) -> Result<usize, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = match &self.folder {
            Some(folder) => rustix::fs::openat(folder, name, flags, Mode::empty()),
            None => rustix::fs::open(self.path.join(name), flags, Mode::empty()),
        };
        let file = File::from(opened?);
        let read = piece(&file, buffer);
        if let Some(held) = self.files.get_mut(place) {
            *held = Some(file);
        }
        read
    }

    /// An attribute's only number; `None` where reading it gives one of `lacks`.
    ///
    /// # Errors
    /// What `openat` or `pread` says else; `parse` where it holds something else.
    pub fn whole(&mut self, place: usize, name: &str, lacks: &[Errno]) -> Result<Option<u64>, ReadError> {
        match self.read(place, name, &mut [0; 64]) {
            Ok(text) => text::whole(text).map(Some).ok_or_else(|| ReadError {
                operation: "parse",
                path: self.path.join(name),
                error: io::Error::new(io::ErrorKind::InvalidData, "expected a whole number"),
            }),
            Err(errno) if lacks.contains(&errno) => Ok(None),
            Err(errno) => Err(self.error(name, errno)),
        }
    }

    /// The error that an attribute's read gave, by the file's name.
    pub fn error(&self, name: &str, errno: Errno) -> ReadError {
        ReadError { operation: "read", path: self.path.join(name), error: errno.into() }
    }

    /// The folder of its attributes.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// An attribute comes in one piece.
fn piece(file: &File, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match file.read_at(buffer, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Root(PathBuf);

    impl Root {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("nodetally-devices-{name}-{}", std::process::id()));
            fs::create_dir_all(&root).expect("makes");
            Self(root)
        }

        fn write(&self, file: &str, text: &str) {
            let path = self.0.join(file);
            fs::create_dir_all(path.parent().expect("has one")).expect("makes");
            fs::write(path, text).expect("writes");
        }

        fn devices(&self, within: &'static str) -> Devices<u32> {
            Devices::new(&self.0, within, 2, |name| name != b"other")
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Each device's name, how often it was seen before, and its attributes.
    fn seen(devices: &mut Devices<u32>) -> Vec<String> {
        let mut buffer = [0; 64];
        let listed = devices.list().expect("lists");
        listed
            .map(|(name, device)| {
                let mut text = |place, file| match device.read(place, file, &mut buffer) {
                    Ok(text) => String::from_utf8_lossy(text).into_owned(),
                    Err(errno) => device.error(file, errno).is_gone().to_string(),
                };
                let (first, second) = (text(0, "a"), text(1, "b"));
                device.kept += 1;
                format!("{} {} {first} {second}", String::from_utf8_lossy(name), device.kept)
            })
            .collect()
    }

    #[test]
    fn devices_come_go_and_take_another_s_name() {
        let root = Root::new("moves");
        let mut devices = root.devices("");
        assert!(seen(&mut devices).is_empty());
        root.write("x/a", " 1\n");
        root.write("other/a", "0\n");
        root.write("file", "");
        assert_eq!(seen(&mut devices), ["x 1 1 true"]);
        root.write("x/a", "2\n");
        root.write("x/b", "3\n");
        root.write("y/a", "4\n");
        assert_eq!(seen(&mut devices), ["x 2 2 3", "y 1 4 true"]);
        for (from, to) in [("x", "z"), ("y", "x"), ("z", "y")] {
            fs::rename(root.0.join(from), root.0.join(to)).expect("renames");
        }
        assert_eq!(seen(&mut devices), ["x 1 4 true", "y 1 2 3"]);
        fs::remove_dir_all(root.0.join("y")).expect("removes");
        assert_eq!(seen(&mut devices), ["x 2 4 true"]);
        assert_eq!(devices.held, 3);
        fs::rename(&root.0, root.0.with_extension("old")).expect("renames");
        root.write("x/a", "5\n");
        fs::remove_dir_all(root.0.with_extension("old")).expect("removes");
        assert_eq!(seen(&mut devices), ["x 1 5 true"]);
        fs::remove_dir_all(&root.0).expect("removes");
        assert!(devices.list().err().expect("is missing").is_gone());
    }

    #[test]
    fn attributes_may_be_in_a_folder_within_that_comes_later() {
        let root = Root::new("within");
        let mut devices = root.devices("in");
        root.write("x/a", "1\n");
        assert!(seen(&mut devices).is_empty());
        root.write("x/in/a", "2\n");
        assert_eq!(seen(&mut devices), ["x 1 2 true"]);
    }

    #[test]
    fn what_may_not_be_held_is_opened_anew() {
        let root = Root::new("many");
        let mut devices = root.devices("");
        devices.held = usize::try_from(MOST_HELD).expect("fits");
        root.write("x/a", "1\n");
        for round in 1..3 {
            assert_eq!(seen(&mut devices), [format!("x {round} 1 true")]);
        }
        assert!(devices.known.values().all(|device| device.files.is_empty() && device.folder.is_none()));
    }

    #[test]
    fn the_loopback_interface_is_one() {
        let mut devices: Devices<()> = Devices::new("/sys/class/net", "", 1, |name| name == b"lo");
        for _ in 0..2 {
            let (_, lo) = devices.list().expect("lists").next().expect("is there");
            assert_eq!(lo.read(0, "ifindex", &mut [0; 64]), Ok(&b"1"[..]));
        }
    }
}
