//! A file that is opened once and read anew, in place, at each scrape.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// More than any file of /proc or /sys that is read whole.
const LARGEST: usize = 64 << 20;
const FIRST: usize = 4096;
/// The kernel fills a page of its own with rows, as many as fit. If this many bytes or fewer came, no row of 1 KiB was
/// left over.
const NOT_FULL: usize = 4096 - 1024;

/// How the kernel serves the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// As one piece: a read that does not fill the buffer has seen all (`/proc/stat`, a cgroup's files).
    Whole,
    /// Row by row, none near a page long: a read that leaves room for another in the kernel's own page has seen all
    /// (`/proc/diskstats`).
    Rows,
    /// Record by record of any length, a page or so at a time: only an empty read is the end (`/proc/self/mountinfo`).
    Records,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {error}", path.display())]
pub struct ReadError {
    /// The system call.
    pub operation: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What the kernel said.
    pub error: io::Error,
}

impl ReadError {
    /// Whether it is the same error of the same file.
    pub fn is_same(&self, other: &Self) -> bool {
        let errno = self.error.raw_os_error();
        errno.is_some()
            && errno == other.error.raw_os_error()
            && self.path == other.path
            && self.operation == other.operation
    }

    /// Whether what the file tells of is not there (any more).
    pub fn is_gone(&self) -> bool {
        matches!(
            rustix::io::Errno::from_io_error(&self.error),
            Some(
                rustix::io::Errno::NOENT
                    | rustix::io::Errno::NODEV
                    | rustix::io::Errno::NOTDIR
                    | rustix::io::Errno::SRCH
                    | rustix::io::Errno::STALE
            )
        )
    }
}

/// The one word of a small file, as sysfs has them; `None` where there is none. Without the zero byte at its end, as the
/// device tree's strings have it.
pub fn word(path: &Path) -> Option<Vec<u8>> {
    const LONGEST: u64 = 4096;
    let mut text = Vec::new();
    File::open(path).ok()?.take(LONGEST).read_to_end(&mut text).ok()?;
    let word = text.strip_suffix(b"\0").unwrap_or(&text).trim_ascii();
    (!word.is_empty()).then(|| word.to_vec())
}

/// A file kept open. One `pread` at offset 0 costs a fifth of open, read and close.
#[derive(Debug)]
pub struct KeptFile {
    path: PathBuf,
    serves: Serves,
    file: Option<File>,
    buffer: Vec<u8>,
}

impl KeptFile {
    /// Names the file; it is opened when first read, and again after an error.
    pub fn new(path: impl Into<PathBuf>, serves: Serves) -> Self {
        Self { path: path.into(), serves, file: None, buffer: Vec::new() }
    }

    /// The path it was named by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file now, so that the next read costs one system call.
    ///
    /// # Errors
    /// What `open` says.
    pub fn open(&mut self) -> Result<(), ReadError> {
        if self.file.is_none() {
            self.file = Some(File::open(&self.path).map_err(|error| self.error("open", error))?);
        }
        Ok(())
    }

    /// Whether a file that tells of changes, as a list of mounts does, has changed since this was asked last; `true` of
    /// one that is not open yet.
    pub fn has_changed(&self) -> bool {
        let Some(file) = &self.file else { return true };
        let mut asked = [PollFd::new(file, PollFlags::PRI)];
        let polled = poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        let [asked] = asked;
        polled.is_err() || asked.revents().intersects(PollFlags::PRI | PollFlags::ERR)
    }

    /// Reads the whole file anew.
    ///
    /// # Errors
    /// What `open` or `pread` says; the file is then opened again at the next call.
    pub fn read(&mut self) -> Result<&[u8], ReadError> {
        self.open()?;
        match self.fill() {
            Ok(length) => Ok(self.buffer.get(..length).unwrap_or_default()),
            Err(error) => {
                self.file = None;
                Err(self.error("pread", error))
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let Some(file) = &self.file else { return Err(io::ErrorKind::NotFound.into()) };
        if self.buffer.is_empty() {
            self.buffer.resize(FIRST, 0);
        }
        let mut length = 0;
        loop {
            let Some(room) = self.buffer.get_mut(length..).filter(|room| !room.is_empty()) else {
                if self.buffer.len() >= LARGEST {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                self.buffer.resize(self.buffer.len() * 2, 0);
                continue;
            };
            let wanted = room.len();
            let got = match file.read_at(room, length as u64) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            length += got;
            let is_end = match self.serves {
                Serves::Whole => got < wanted,
                Serves::Rows => got < wanted && got <= NOT_FULL,
                Serves::Records => false,
            };
            if got == 0 || is_end {
                return Ok(length);
            }
        }
    }

    fn error(&self, operation: &'static str, error: io::Error) -> ReadError {
        ReadError { operation, path: self.path.clone(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_read_whole_and_anew_either_way() {
        let path = std::env::temp_dir().join(format!("nodetally-file-{}", std::process::id()));
        for serves in [Serves::Whole, Serves::Rows, Serves::Records] {
            let mut file = KeptFile::new(&path, serves);
            for length in [10_000, FIRST, 0, 3] {
                std::fs::write(&path, vec![b'x'; length]).expect("writes");
                assert_eq!(file.read().expect("reads").len(), length);
            }
        }
        std::fs::remove_file(&path).expect("removes");
    }

    #[test]
    fn a_file_served_record_by_record_is_read_to_its_end() {
        let whole = std::fs::read("/proc/self/mountinfo").expect("reads");
        let mut file = KeptFile::new("/proc/self/mountinfo", Serves::Records);
        assert_eq!(file.read().expect("reads"), whole);
        assert_eq!(file.read().expect("reads"), whole);
    }

    #[test]
    fn rows_are_read_to_their_end_where_they_need_several_pages() {
        const COMPARED: usize = 16 * FIRST;
        let whole = std::fs::read("/proc/kallsyms").expect("reads");
        let mut file = KeptFile::new("/proc/kallsyms", Serves::Rows);
        // (The last rows come and go with programs that others load.)
        assert_eq!(file.read().expect("reads").get(..COMPARED), whole.get(..COMPARED));
        assert!(whole.len() > COMPARED);
        let names = |text: &[u8]| crate::source::text::lines(text).count();
        let whole = std::fs::read("/proc/vmstat").expect("reads");
        assert_eq!(names(KeptFile::new("/proc/vmstat", Serves::Rows).read().expect("reads")), names(&whole));
    }

    #[test]
    fn a_missing_file_says_which() {
        let mut file = KeptFile::new("/nonexistent/file", Serves::Whole);
        let error = file.read().expect_err("is missing");
        assert!(error.is_gone());
        assert!(error.to_string().starts_with("open /nonexistent/file: "), "{error}");
    }
}
