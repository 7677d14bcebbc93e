//! A folder of small files, as sysfs has one for each device, and the entries in it.
//!
//! A device may come and go between two scrapes and nothing cheaper than the folder tells of it, so folders are listed
//! and files opened anew each time: three system calls per file, all on a path that ends in the kernel's own memory.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::FileExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{CWD, Mode, OFlags, RawDir, RawDirEntry},
    io::Errno,
};

use super::{
    file::{ReadError, Serves},
    text,
};

/// What the kernel writes at most into one attribute of sysfs.
const ATTRIBUTE: usize = 4096;
/// More than any of the files read whole has.
const LARGEST: u64 = 4 << 20;
const LISTED_AT_ONCE: usize = 8192;

/// A folder: named, or held open, so that its files are found without a walk from the root.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    held: Option<Arc<OwnedFd>>,
}

impl Folder {
    /// Names the folder; nothing is opened.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), held: None }
    }

    /// Opens the folder, through symbolic links.
    ///
    /// # Errors
    /// What `open` says; also where it is no directory.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ReadError> {
        let path = path.into();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(directory) => Ok(Self { path, held: Some(Arc::new(directory)) }),
            Err(errno) => Err(ReadError { operation: "open", path, error: errno.into() }),
        }
    }

    /// The path it was named by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names a folder within it.
    #[must_use]
    pub fn folder(&self, name: impl AsRef<Path>) -> Self {
        Self::new(self.path.join(name))
    }

    /// The names of its entries that are UTF-8, in the order of their bytes. (The kernel itself gives no others; the
    /// name of a network interface is its user's, see [`names`].)
    ///
    /// # Errors
    /// What `opendir` or `readdir` says; [`ReadError::is_gone`] where there is no such folder.
    pub fn names(&self) -> Result<Vec<String>, ReadError> {
        self.names_of(|_| true)
    }

    /// Those of them that `is_wanted`.
    ///
    /// # Errors
    /// As [`Folder::names`].
    pub fn names_of(&self, is_wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<String>, ReadError> {
        let names = list(&self.path, is_wanted)?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    /// The entries `<prefix><digits>` and maybe more (`thermal_zone0`), with what follows the prefix; none where there
    /// is no such folder.
    ///
    /// # Errors
    /// As [`Folder::names`].
    pub fn numbered(&self, prefix: &str) -> Result<Vec<(String, String)>, ReadError> {
        let names = match self.names_of(|name| is_numbered(OsStr::from_bytes(name), prefix)) {
            Err(error) if error.is_gone() => return Ok(Vec::new()),
            names => names?,
        };
        let names = names.into_iter();
        Ok(names.filter_map(|name| Some((name.clone(), name.strip_prefix(prefix)?.to_owned()))).collect())
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

    /// An attribute's text without the white space around it.
    ///
    /// # Errors
    /// What `openat` or `read` says.
    pub fn text(&self, name: &str) -> Result<Vec<u8>, ReadError> {
        self.attribute(name, &mut [0; ATTRIBUTE]).map(<[u8]>::to_vec)
    }

    /// An attribute's only number.
    ///
    /// # Errors
    /// As [`Folder::text`]; `parse` where it holds something else.
    pub fn whole(&self, name: &str) -> Result<u64, ReadError> {
        self.parsed(name, "a whole number", text::whole)
    }

    /// An attribute's only number, which may be below 0.
    ///
    /// # Errors
    /// As [`Folder::whole`].
    pub fn signed(&self, name: &str) -> Result<i64, ReadError> {
        self.parsed(name, "a number", text::signed)
    }

    /// An attribute's only number, in hexadecimal digits after `0x` or in decimal ones.
    ///
    /// # Errors
    /// As [`Folder::whole`].
    pub fn prefixed(&self, name: &str) -> Result<u64, ReadError> {
        self.parsed(name, "a number such as 0x1f", text::prefixed)
    }

    /// What `parse` makes of an attribute's text, the white space around it taken away; `wanted` says in the error
    /// what it would have taken.
    ///
    /// # Errors
    /// As [`Folder::whole`].
    pub fn parsed<T>(
        &self,
        name: &str,
        wanted: &str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, ReadError> {
        parse(self.attribute(name, &mut [0; ATTRIBUTE])?).ok_or_else(|| {
            let error = io::Error::new(io::ErrorKind::InvalidData, format!("expected {wanted}"));
            self.error("parse", name.as_ref(), error)
        })
    }

    /// Opens an attribute to be read more than once.
    ///
    /// # Errors
    /// What `openat` says.
    pub fn hold(&self, name: &str) -> Result<Attribute, ReadError> {
        self.file(name.as_ref()).map(Attribute)
    }

    fn attribute<'b>(&self, name: &str, buffer: &'b mut [u8; ATTRIBUTE]) -> Result<&'b [u8], ReadError> {
        let file = self.file(name.as_ref())?;
        let length = piece(&file, buffer).map_err(|error| self.error("read", name.as_ref(), error))?;
        Ok(buffer.get(..length).unwrap_or_default().trim_ascii())
    }

    fn read_as<'b>(
        &self,
        serves: Serves,
        name: &Path,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], ReadError> {
        let file = self.file(name)?;
        buffer.clear();
        fill(serves, &file, buffer).map_err(|error| self.error("read", name, error))?;
        Ok(buffer)
    }

    fn file(&self, name: &Path) -> Result<File, ReadError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let open = |at: BorrowedFd<'_>, path: &Path| rustix::fs::openat(at, path, flags, Mode::empty());
        let file = match &self.held {
            Some(directory) => open(directory.as_fd(), name),
            None => open(CWD, &self.path.join(name)),
        };
        file.map(File::from).map_err(|errno| self.error("open", name, errno.into()))
    }

    fn error(&self, operation: &'static str, name: &Path, error: io::Error) -> ReadError {
        ReadError { operation, path: self.path.join(name), error }
    }
}

/// An attribute held open. (The kernel keeps a page for each that was read, so few are.)
#[derive(Debug)]
pub struct Attribute(File);

impl Attribute {
    /// Its text now, without the white space around it.
    ///
    /// # Errors
    /// What `pread` says.
    pub fn read<'b>(&self, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let length = piece(&self.0, buffer)?;
        Ok(buffer.get(..length).unwrap_or_default().trim_ascii())
    }
}

/// An attribute of sysfs comes in one piece of at most a page: one read, and none to see its end.
fn fill(serves: Serves, mut file: &File, buffer: &mut Vec<u8>) -> io::Result<()> {
    if serves == Serves::Whole {
        let mut first = [0; ATTRIBUTE];
        let got = piece(file, &mut first)?;
        if got < first.len() {
            buffer.extend_from_slice(first.get(..got).unwrap_or_default());
            return Ok(());
        }
    }
    file.by_ref().take(LARGEST).read_to_end(buffer)?;
    Ok(())
}

/// One read at the file's start.
fn piece(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// The names in a directory, any bytes, in the order of these; none if it is not there.
///
/// # Errors
/// What reading the directory says.
pub fn names(path: &Path) -> Result<Vec<OsString>, ReadError> {
    match list(path, |_| true) {
        Err(error) if error.is_gone() => Ok(Vec::new()),
        names => names,
    }
}

/// (The standard library's reader makes an allocation of each entry and a large one of its own.)
fn list(path: &Path, is_wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<OsString>, ReadError> {
    let error = |errno: Errno| ReadError { operation: "readdir", path: path.to_owned(), error: errno.into() };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(error)?;
    let mut names = Vec::new();
    entries(&folder, |entry| {
        let name = entry.file_name().to_bytes();
        if is_wanted(name) {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    })
    .map_err(error)?;
    names.sort_unstable();
    Ok(names)
}

/// Shows each entry of an open folder from where it is at, but for the folder itself and the one above.
///
/// # Errors
/// What `getdents64` says.
pub fn entries(folder: &OwnedFd, mut show: impl FnMut(&RawDirEntry<'_>)) -> Result<(), Errno> {
    let mut buffer = [MaybeUninit::uninit(); LISTED_AT_ONCE];
    let mut entries = RawDir::new(folder, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            show(&entry);
        }
    }
    Ok(())
}

/// Whether the name begins with `prefix` and goes on with a digit, as `cache0` does.
pub fn is_numbered(name: &OsStr, prefix: &str) -> bool {
    name.as_bytes().strip_prefix(prefix.as_bytes()).and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
}

/// Makes `None` of an attribute that this device does not have; every other error stays one.
///
/// # Errors
/// Those of the read that tell of more than a missing file.
pub fn optional<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    unless(read, &[Errno::NOENT])
}

/// Makes `None` of an attribute that this device does not have or a driver declines to tell: no such file or device,
/// not supported, invalid argument.
///
/// # Errors
/// Every other one.
pub fn offered<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    unless(read, &[Errno::NOENT, Errno::NODEV, Errno::OPNOTSUPP, Errno::INVAL])
}

/// Makes `None` of the errors named.
///
/// # Errors
/// Every other one.
pub fn unless<T>(read: Result<T, ReadError>, lacks: &[Errno]) -> Result<Option<T>, ReadError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if Errno::from_io_error(&error.error).is_some_and(|errno| lacks.contains(&errno)) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
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

    #[test]
    fn folders_and_files_are_read_and_errors_name_the_path() {
        let root = std::env::temp_dir().join(format!("nodetally-sysfs-{}", std::process::id()));
        for name in ["zone10", "zone2", "zonex", "other"] {
            std::fs::create_dir_all(root.join(name)).expect("makes");
        }
        std::fs::write(root.join("zone2/temp"), " -12\n").expect("writes");
        let folder = Folder::new(&root);
        assert_eq!(folder.names().expect("lists"), ["other", "zone10", "zone2", "zonex"]);
        let numbered = folder.numbered("zone").expect("lists");
        assert_eq!(numbered, [("zone10", "10"), ("zone2", "2")].map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert!(folder.folder("none").numbered("zone").expect("is empty").is_empty());
        let zone = folder.folder("zone2");
        assert_eq!(zone.text("temp").expect("reads"), b"-12");
        assert_eq!(zone.signed("temp").expect("reads"), -12);
        let error = zone.whole("temp").expect_err("is below 0").to_string();
        assert!(
            error.starts_with("parse ") && error.ends_with("zone2/temp: expected a whole number"),
            "{error}"
        );
        assert_eq!(optional(zone.whole("none")).expect("is missing"), None);
        optional(folder.whole("zone2")).expect_err("is a folder");
        optional(zone.whole("temp")).expect_err("is there");
        let error = folder.folder("none").names().expect_err("is missing");
        assert!(error.is_gone() && error.to_string().contains("/none: "), "{error}");
        std::fs::remove_dir_all(&root).expect("removes");
    }

    #[test]
    fn what_a_driver_declines_is_none() {
        let error = |errno: Errno| -> Result<u64, ReadError> {
            Err(ReadError { operation: "read", path: "/sys/x".into(), error: errno.into() })
        };
        assert_eq!(offered(error(Errno::INVAL)).expect("declined"), None);
        assert_eq!(offered(Ok(1)).expect("reads"), Some(1));
        offered(error(Errno::IO)).expect_err("is broken");
        optional(error(Errno::INVAL)).expect_err("is there");
    }
}
