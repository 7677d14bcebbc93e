//! Room that a tree of files takes. The walk stays within the tree and its device, follows no link, and remembers little,
//! however deep or wide the tree is and whatever becomes of it meanwhile.

use std::{
    collections::HashSet,
    ffi::CStr,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom, Stat, fstat, openat, seek, statat},
    io::Errno,
};

/// The unit of `st_blocks`, whatever the file system's own is.
const BLOCK: u64 = 512;
/// Folders that are held open; further down the way back leads over `..`.
const MOST_OPEN: usize = 32;
/// Folders within each other.
const DEEPEST: usize = 100_000;
/// Files with several names that are remembered, so that each counts once. Of more each name counts its share.
const MOST_LINKS: usize = 65_536;
/// How many entries are looked at before it is asked whether to go on.
const STRIDE: u32 = 256;

/// Why a tree's room is not known.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// A system call within the tree failed.
    #[error("{0}: {1}")]
    Os(&'static str, Errno),
    /// A folder that we were in is elsewhere now.
    #[error("the tree changed too fast")]
    Changed,
    /// It is too deep.
    #[error("more than {DEEPEST} folders within each other")]
    TooDeep,
    /// It is not wanted any more, or took too long.
    #[error("stopped")]
    Stopped,
}

impl WalkError {
    /// Whether a right is missing that the other trees want as well.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Os(_, Errno::ACCESS | Errno::PERM))
    }
}

/// Adds up the disk blocks of a folder and all below, in bytes. Hard links count once, other devices not at all. Before
/// each few hundred files `goes_on` is asked.
///
/// # Errors
/// The tree could not be read whole.
pub fn taken(top: impl AsFd, goes_on: &mut dyn FnMut() -> bool) -> Result<u64, WalkError> {
    let own = fstat(&top).map_err(|error| WalkError::Os("fstat", error))?;
    let mut walk = Walk {
        device: own.st_dev,
        bytes: 0,
        links: HashSet::new(),
        seen: 0,
        buffer: [MaybeUninit::uninit(); _],
    };
    walk.add(&own);
    let mut folder = folder_at(&top, c".").map_err(|error| WalkError::Os("open", error))?;
    let mut inode = own.st_ino;
    let mut above: Vec<Above> = Vec::new();
    loop {
        if let Some(found) = walk.next_folder(&folder, goes_on)? {
            if above.len() >= DEEPEST {
                return Err(WalkError::TooDeep);
            }
            let held = std::mem::replace(&mut folder, found.folder);
            let held = Some(held).filter(|_| above.len() < MOST_OPEN);
            above.push(Above { held, inode, next: found.next });
            inode = found.inode;
            continue;
        }
        let Some(up) = above.pop() else { return Ok(walk.bytes) };
        folder = match up.held {
            Some(held) => held,
            None => walk.up(&folder, up.inode)?,
        };
        inode = up.inode;
        seek(&folder, SeekFrom::Start(up.next)).map_err(|error| WalkError::Os("lseek", error))?;
    }
}

/// A folder to come back to.
struct Above {
    held: Option<OwnedFd>,
    inode: u64,
    /// Where its reading goes on.
    next: u64,
}

/// A folder to go into.
struct Below {
    folder: OwnedFd,
    inode: u64,
    /// Where the reading of the one above goes on.
    next: u64,
}

struct Walk {
    device: u64,
    bytes: u64,
    /// Files with several names that were seen.
    links: HashSet<u64>,
    seen: u32,
    buffer: [MaybeUninit<u8>; 8192],
}

impl Walk {
    /// Reads a folder on up to the next one in it.
    fn next_folder(
        &mut self,
        folder: &OwnedFd,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Below>, WalkError> {
        let mut buffer = self.buffer;
        let mut entries = RawDir::new(folder, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                // It was taken away while we were in it.
                Err(Errno::NOENT) => break,
                Err(error) => return Err(WalkError::Os("getdents", error)),
            };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if self.seen.is_multiple_of(STRIDE) && !goes_on() {
                return Err(WalkError::Stopped);
            }
            self.seen = self.seen.wrapping_add(1);
            let is_folder = match entry.file_type() {
                FileType::Directory => true,
                FileType::Unknown => self.add_file(folder, name)?,
                _ => {
                    self.add_file(folder, name)?;
                    false
                }
            };
            if is_folder && let Some((below, inode)) = self.enter(folder, name)? {
                return Ok(Some(Below { folder: below, inode, next: entry.next_entry_cookie() }));
            }
        }
        Ok(None)
    }

    /// Adds what is no folder; tells whether it is one.
    fn add_file(&mut self, folder: &OwnedFd, name: &CStr) -> Result<bool, WalkError> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let stat = match statat(folder, name, flags) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::STALE) => return Ok(false),
            Err(error) => return Err(WalkError::Os("fstatat", error)),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Ok(true);
        }
        if stat.st_dev == self.device {
            self.add(&stat);
        }
        Ok(false)
    }

    /// Opens a folder and adds it; `None` if it is gone, something else by now, or on another device.
    fn enter(&mut self, folder: &OwnedFd, name: &CStr) -> Result<Option<(OwnedFd, u64)>, WalkError> {
        let below = match folder_at(folder, name) {
            Ok(below) => below,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE) => return Ok(None),
            Err(error) => return Err(WalkError::Os("openat", error)),
        };
        let stat = fstat(&below).map_err(|error| WalkError::Os("fstat", error))?;
        if stat.st_dev != self.device {
            return Ok(None);
        }
        self.add(&stat);
        Ok(Some((below, stat.st_ino)))
    }

    /// The folder above, if it is the one that we came from.
    fn up(&self, folder: &OwnedFd, inode: u64) -> Result<OwnedFd, WalkError> {
        let above = folder_at(folder, c"..").map_err(|_| WalkError::Changed)?;
        let stat = fstat(&above).map_err(|error| WalkError::Os("fstat", error))?;
        if (stat.st_dev, stat.st_ino) == (self.device, inode) { Ok(above) } else { Err(WalkError::Changed) }
    }

    fn add(&mut self, stat: &Stat) {
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let bytes = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK);
        #[allow(clippy::useless_conversion, reason = "its width depends on the machine")]
        let names = u64::from(stat.st_nlink);
        let counted = if is_folder || names < 2 {
            bytes
        } else if self.links.contains(&stat.st_ino) {
            0
        } else if self.links.len() < MOST_LINKS {
            self.links.insert(stat.st_ino);
            bytes
        } else {
            bytes / names
        };
        self.bytes = self.bytes.saturating_add(counted);
    }
}

/// Opens a folder to read, without a mark of that on it where we may.
fn folder_at(at: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(&at, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => openat(&at, name, flags, Mode::empty()),
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{
        fs::{self, File},
        os::unix::fs::{MetadataExt, symlink},
        path::{Path, PathBuf},
    };

    use super::*;

    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("nodetally-room-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn folder(&self, name: &str) -> PathBuf {
            let folder = self.0.join(name);
            fs::create_dir_all(&folder).unwrap();
            folder
        }

        fn file(&self, name: &str, bytes: usize) -> PathBuf {
            let file = self.0.join(name);
            fs::write(&file, vec![1; bytes]).unwrap();
            File::open(&file).unwrap().sync_all().unwrap();
            file
        }

        fn taken(&self) -> Result<u64, WalkError> {
            taken(File::open(&self.0).unwrap(), &mut || true)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn blocks(path: &Path) -> u64 {
        fs::symlink_metadata(path).unwrap().blocks() * BLOCK
    }

    #[test]
    fn files_folders_and_links_are_added_up_once() {
        let tree = Tree::new("all");
        let outside = Tree::new("outside");
        let big = outside.file("big", 1 << 20);
        let (a, b) = (tree.folder("a"), tree.folder("a/b"));
        let mut expected = blocks(&tree.0) + blocks(&a) + blocks(&b);
        let one = tree.file("a/one", 100_000);
        let two = tree.file("a/b/two", 5_000);
        fs::hard_link(&one, tree.0.join("a/b/again")).unwrap();
        fs::hard_link(&one, tree.0.join("thrice")).unwrap();
        symlink(&big, tree.0.join("to-file")).unwrap();
        symlink(&outside.0, tree.0.join("to-folder")).unwrap();
        symlink("..", tree.0.join("a/loop")).unwrap();
        let sparse = File::create(tree.0.join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        for path in [one, two, tree.0.join("to-file"), tree.0.join("to-folder"), tree.0.join("sparse")] {
            expected += blocks(&path);
        }
        assert!(expected >= 105_000);
        assert_eq!(tree.taken().unwrap(), expected);
    }

    #[test]
    fn many_folders_side_by_side_and_within_each_other() {
        let tree = Tree::new("many");
        let mut expected = blocks(&tree.0);
        for number in 0..500 {
            let folder = tree.folder(&format!("wide/{number}"));
            expected += blocks(&folder) + blocks(&tree.file(&format!("wide/{number}/x"), 10));
        }
        expected += blocks(&tree.0.join("wide"));
        // Deeper than a path may be long.
        let mut at = File::open(&tree.0).unwrap();
        for _ in 0..3_000 {
            rustix::fs::mkdirat(&at, c"deep", Mode::RWXU).unwrap();
            at = folder_at(&at, c"deep").unwrap().into();
            expected += at.metadata().unwrap().blocks() * BLOCK;
        }
        let mut file = File::from(openat(&at, c"end", OFlags::CREATE | OFlags::RDWR, Mode::RWXU).unwrap());
        std::io::Write::write_all(&mut file, &vec![1; 50_000]).unwrap();
        file.sync_all().unwrap();
        expected += file.metadata().unwrap().blocks() * BLOCK;
        assert_eq!(tree.taken().unwrap(), expected);
    }

    #[test]
    fn what_vanishes_or_moves_on_the_way_is_passed_over() {
        let tree = Tree::new("vanish");
        for number in 0..1_000 {
            tree.folder(&format!("{number}/x"));
        }
        let mut asked = 0;
        let room = taken(File::open(&tree.0).unwrap(), &mut || {
            asked += 1;
            for number in 0..1_000 {
                let _ = fs::remove_dir_all(tree.0.join(number.to_string()));
            }
            true
        });
        assert!(room.unwrap() < 1_000 * 4096 && asked > 0);

        // Far down, where the way back is by its name: another folder lies there by now.
        let tree = Tree::new("move");
        let deep = "d/".repeat(MOST_OPEN + 3);
        tree.folder(&format!("{deep}in"));
        for number in 0..STRIDE {
            tree.file(&format!("{deep}in/{number}"), 1);
        }
        let room = taken(File::open(&tree.0).unwrap(), &mut || {
            let _ = fs::rename(tree.0.join(&deep).join("in"), tree.0.join("elsewhere"));
            true
        });
        assert!(matches!(room, Ok(_) | Err(WalkError::Changed)), "{room:?}");
    }

    #[test]
    fn other_devices_do_not_count() {
        // Whatever is mounted there, the kernel's own file systems take no room of this one.
        let dev = File::open("/dev").unwrap();
        let own = fstat(&dev).unwrap().st_dev;
        let mut devices = HashSet::new();
        for entry in fs::read_dir("/dev").unwrap().flatten() {
            devices.insert(entry.metadata().unwrap().dev());
        }
        assert!(devices.len() > 1 && devices.contains(&own), "nothing is mounted below /dev: {devices:?}");
        let shm = Path::new("/dev/shm");
        let before = taken(&dev, &mut || true).unwrap();
        let file = shm.join(format!("nodetally-room-{}", std::process::id()));
        fs::write(&file, vec![1; 1 << 20]).unwrap();
        let after = taken(&dev, &mut || true);
        fs::remove_file(file).unwrap();
        assert!(after.unwrap() < before + (1 << 20));
    }

    #[test]
    fn it_stops_when_it_is_told_to() {
        let tree = Tree::new("stop");
        tree.file("x", 1);
        assert!(matches!(taken(File::open(&tree.0).unwrap(), &mut || false), Err(WalkError::Stopped)));
        assert!(WalkError::Os("openat", Errno::ACCESS).is_denied() && !WalkError::Changed.is_denied());
    }
}
