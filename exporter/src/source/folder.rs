//! A directory of small files, as sysfs has one for each device.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::FileExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use super::file::{ReadError, Serves};

/// More than any of its files has.
const LARGEST: u64 = 4 << 20;

/// A directory held open, so that its files are found without a walk from the root.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    directory: OwnedFd,
}

impl Folder {
    /// Opens it, through symbolic links.
    ///
    /// # Errors
    /// What `open` says; also where it is no directory.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ReadError> {
        let path = path.into();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(directory) => Ok(Self { path, directory }),
            Err(errno) => Err(ReadError { operation: "open", path, error: errno.into() }),
        }
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole of one of its files that is served as one piece, in `buffer`.
    ///
    /// # Errors
    /// What `openat` or `read` says.
    pub fn read<'b>(&self, name: impl AsRef<Path>, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], ReadError> {
        self.read_as(Serves::Whole, name.as_ref(), buffer)
    }

    /// The same of a file that is served record by record.
    ///
    /// # Errors
    /// What `openat` or `read` says.
    pub fn read_records<'b>(
        &self,
        name: impl AsRef<Path>,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], ReadError> {
        self.read_as(Serves::Records, name.as_ref(), buffer)
    }

    fn read_as<'b>(
        &self,
        serves: Serves,
        name: &Path,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], ReadError> {
        let error = |operation, error| ReadError { operation, path: self.path.join(name), error };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, name, flags, Mode::empty())
            .map_err(|errno| error("openat", errno.into()))?;
        buffer.clear();
        fill(serves, &File::from(file), buffer).map_err(|why| error("read", why))?;
        Ok(buffer)
    }
}

/// An attribute of sysfs comes in one piece of at most a page: one read, and none to see its end.
fn fill(serves: Serves, file: &File, buffer: &mut Vec<u8>) -> io::Result<()> {
    if serves == Serves::Records {
        file.take(LARGEST).read_to_end(buffer)?;
        return Ok(());
    }
    let mut piece = [0; 4096];
    let got = loop {
        match file.read_at(&mut piece, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    buffer.extend_from_slice(piece.get(..got).unwrap_or_default());
    if got == piece.len() {
        buffer.clear();
        file.take(LARGEST).read_to_end(buffer)?;
    }
    Ok(())
}

/// The names in a directory, in the order of their bytes; none if it is not there.
///
/// # Errors
/// What reading the directory says.
pub fn names(path: &Path) -> Result<Vec<OsString>, ReadError> {
    let read =
        || std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>();
    match read() {
        Ok(mut names) => {
            names.sort_unstable();
            Ok(names)
        }
        Err(error) => {
            let error = ReadError { operation: "readdir", path: path.to_owned(), error };
            if error.is_gone() { Ok(Vec::new()) } else { Err(error) }
        }
    }
}

/// Whether the name begins with `prefix` and goes on with a digit, as `cache0` does.
pub fn is_numbered(name: &std::ffi::OsStr, prefix: &str) -> bool {
    name.as_bytes().strip_prefix(prefix.as_bytes()).and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_whole_and_names_sorted() {
        let path = std::env::temp_dir().join(format!("nodetally-folder-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("makes");
        for (name, length) in [("b", 4096), ("a", 0), ("c", 9000), ("d", 5)] {
            std::fs::write(path.join(name), vec![b'x'; length]).expect("writes");
            let folder = Folder::open(&path).expect("opens");
            assert_eq!(folder.read(name, &mut vec![1]).expect("reads").len(), length, "{name}");
            assert_eq!(folder.read_records(name, &mut vec![1]).expect("reads").len(), length, "{name}");
        }
        let folder = Folder::open(&path).expect("opens");
        assert!(folder.read("e", &mut Vec::new()).expect_err("is missing").is_gone());
        assert_eq!(names(&path).expect("lists"), ["a", "b", "c", "d"]);
        assert!(Folder::open(path.join("a")).is_err());
        std::fs::remove_dir_all(&path).expect("removes");
        assert!(names(&path).expect("lists none").is_empty());
    }

    #[test]
    fn a_number_follows_the_prefix() {
        assert!(is_numbered("cache0".as_ref(), "cache"));
        for name in ["cache", "cache_x", "cach0", ""] {
            assert!(!is_numbered(name.as_ref(), "cache"), "{name}");
        }
    }
}
