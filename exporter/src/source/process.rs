//! What single processes say of themselves: descriptors, limits, scheduling, referenced memory.

use std::{
    ffi::CStr,
    fmt::Write as _,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    time::Instant,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, readlinkat_raw, statat},
    io::Errno,
};

use super::{
    stream::{self, Miss},
    text,
};

/// The small files of a process are shorter.
const ROOM: usize = 16 << 10;

/// Reads files of processes. Nothing is held between [`end`](Self::end) and [`begin`](Self::begin).
#[derive(Debug)]
pub struct Processes {
    procfs: PathBuf,
    folder: Option<OwnedFd>,
    path: String,
    buffer: Vec<u8>,
}

/// The open files of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// How many.
    pub all: u64,
    /// How many of them are sockets; none where that may not be looked at.
    pub sockets: Option<u64>,
}

/// A limit of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// There is none.
    Unlimited,
    /// This many.
    At(u64),
}

/// How a process' first thread was scheduled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduled {
    /// Time on a CPU, in nanoseconds.
    pub run: u64,
    /// Time that it waited for one, in nanoseconds.
    pub waited: u64,
    /// How often it got one.
    pub periods: u64,
}

impl Processes {
    /// Of the processes that this procfs shows.
    pub fn new(procfs: PathBuf) -> Self {
        Self { procfs, folder: None, path: String::new(), buffer: Vec::new() }
    }

    /// Opens procfs; to be called before anything is read.
    pub fn begin(&mut self) {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.folder = openat(CWD, &self.procfs, flags, Mode::empty()).ok();
    }

    /// Closes procfs.
    pub fn end(&mut self) {
        self.folder = None;
    }

    /// Counts the open files of a process until `until`.
    ///
    /// # Errors
    /// It has ended; its descriptors may not be listed, or are too many for the time.
    pub fn descriptors(&mut self, pid: u32, until: Instant) -> Result<Descriptors, Miss> {
        let folder = self.open(pid, "fd", OFlags::DIRECTORY)?;
        let mut entries = Dir::new(folder)?;
        let mut found = Descriptors { all: 0, sockets: Some(0) };
        while let Some(entry) = entries.read() {
            let entry = entry?;
            if entry.file_name().to_bytes().starts_with(b".") {
                continue;
            }
            found.all += 1;
            if let Some(sockets) = &mut found.sockets {
                match is_socket(entries.fd()?, entry.file_name()) {
                    Ok(is_one) => *sockets += u64::from(is_one),
                    // Closed meanwhile.
                    Err(Errno::NOENT) => {}
                    Err(_) => found.sockets = None,
                }
            }
            if Instant::now() >= until {
                return Err(Miss::Unknown);
            }
        }
        Ok(found)
    }

    /// How many files a process may have open.
    ///
    /// # Errors
    /// It has ended, or its limits make no sense.
    pub fn open_files(&mut self, pid: u32) -> Result<Limit, Miss> {
        open_files(self.read(pid, "limits")?).ok_or(Miss::Unknown)
    }

    /// What `/proc/PID/cgroup` says.
    ///
    /// # Errors
    /// It has ended, or may not be looked at.
    pub fn cgroups(&mut self, pid: u32) -> Result<&[u8], Miss> {
        self.read(pid, "cgroup")
    }

    /// When a process was started, in ticks since the machine was, and how its first thread was scheduled.
    ///
    /// # Errors
    /// It has ended, or what is told makes no sense.
    pub fn scheduled(&mut self, pid: u32) -> Result<(u64, Scheduled), Miss> {
        let start = start(self.read(pid, "stat")?).ok_or(Miss::Unknown)?;
        let scheduled = scheduled(self.read(pid, "schedstat")?).ok_or(Miss::Unknown)?;
        Ok((start, scheduled))
    }

    /// Memory of a process that is marked as touched, in bytes.
    ///
    /// # Errors
    /// It has ended or has no memory of its own; it may not be looked at, or not in time.
    pub fn referenced(&mut self, pid: u32, until: Instant) -> Result<u64, Miss> {
        let mut sum = 0_u64;
        let mut add = |line: &[u8]| sum = sum.saturating_add(referenced(line).unwrap_or(0));
        // The first walks the same pages and prints one row for all mappings.
        match self.lines(pid, "smaps_rollup", until, &mut add) {
            Err(Miss::Gone) => self.lines(pid, "smaps", until, &mut add)?,
            other => other?,
        }
        Ok(sum)
    }

    /// Whether two processes are in one network namespace. Each has its own `net/dev`, whose number may be asked for
    /// without the right to look into another's process.
    ///
    /// # Errors
    /// One of them has ended.
    pub fn share_network(&mut self, one: u32, other: u32) -> Result<bool, Miss> {
        Ok(self.network(one)? == self.network(other)?)
    }

    fn network(&mut self, pid: u32) -> Result<u64, Miss> {
        let folder = self.folder.as_ref().ok_or(Miss::Unknown)?;
        self.path.clear();
        let _ = write!(self.path, "{pid}/net/dev");
        Ok(statat(folder, self.path.as_str(), AtFlags::empty())?.st_ino)
    }

    /// Gives each line of a file below a process' folder to `each`.
    ///
    /// # Errors
    /// As [`stream::lines`].
    pub fn lines(
        &mut self,
        pid: u32,
        file: &str,
        until: Instant,
        each: impl FnMut(&[u8]),
    ) -> Result<(), Miss> {
        let file = self.open(pid, file, OFlags::empty())?;
        stream::lines(file, &mut self.buffer, until, each)
    }

    /// A small file below a process' folder.
    ///
    /// # Errors
    /// It has ended; the file may not be read, or is no small one.
    pub fn file(&mut self, pid: u32, file: &str) -> Result<&[u8], Miss> {
        self.read(pid, file)
    }

    /// A small file, as one reading gives it.
    fn read(&mut self, pid: u32, file: &str) -> Result<&[u8], Miss> {
        let file = self.open(pid, file, OFlags::empty())?;
        self.buffer.resize(ROOM, 0);
        let length = loop {
            match rustix::io::read(&file, &mut self.buffer[..]) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        self.buffer.get(..length).filter(|text| text.len() < ROOM).ok_or(Miss::Unknown)
    }

    fn open(&mut self, pid: u32, file: &str, flags: OFlags) -> Result<OwnedFd, Miss> {
        let folder = self.folder.as_ref().ok_or(Miss::Unknown)?;
        self.path.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.path, "{pid}/{file}");
        Ok(openat(folder, self.path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty())?)
    }
}

/// The 22nd field of `1 (name) S ...`: the name may hold anything, brackets included.
fn start(stat: &[u8]) -> Option<u64> {
    let bracket = stat.iter().rposition(|&byte| byte == b')')?;
    text::whole(text::fields(stat.get(bracket + 1..)?.trim_ascii()).nth(19)?)
}

fn scheduled(schedstat: &[u8]) -> Option<Scheduled> {
    let mut fields = text::fields(schedstat.trim_ascii()).map(text::whole);
    let mut next = || fields.next()?;
    Some(Scheduled { run: next()?, waited: next()?, periods: next()? })
}

/// The bytes of a line `Referenced:  132 kB`; none for any other.
fn referenced(line: &[u8]) -> Option<u64> {
    let mut fields = text::fields(line.strip_prefix(b"Referenced:")?);
    text::whole(fields.next()?)?.checked_mul(1024)
}

impl Scheduled {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            run: self.run.saturating_add(other.run),
            waited: self.waited.saturating_add(other.waited),
            periods: self.periods.saturating_add(other.periods),
        }
    }

    /// What this is above another; 0 where it is not.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self {
            run: self.run.saturating_sub(other.run),
            waited: self.waited.saturating_sub(other.waited),
            periods: self.periods.saturating_sub(other.periods),
        }
    }
}

/// By the link's name: to look at what it leads to could wait for a dead server.
fn is_socket(folder: impl AsFd, name: &CStr) -> Result<bool, Errno> {
    const BEGIN: &[u8] = b"socket:";
    let mut target = [0; BEGIN.len()];
    let length = readlinkat_raw(folder, name, &mut target)?;
    Ok(target.get(..length) == Some(BEGIN))
}

/// The soft limit of `Max open files  1024  524288  files`.
fn open_files(limits: &[u8]) -> Option<Limit> {
    let line = text::lines(limits).find_map(|line| line.strip_prefix(b"Max open files "))?;
    match text::fields(line).next()? {
        b"unlimited" => Some(Limit::Unlimited),
        number => text::whole(number).map(Limit::At),
    }
}

/// What a process says of itself, made up.
#[cfg(feature = "fuzzing")]
pub fn fuzz(input: &[u8]) {
    let _ = (open_files(input), start(input), scheduled(input), referenced(input));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_is_told() {
        let head = "Limit                     Soft Limit           Hard Limit           Units     \n";
        for (line, expected) in [
            (
                "Max open files            1024                 524288               files     ",
                Some(Limit::At(1024)),
            ),
            (
                "Max open files            unlimited            unlimited            files     ",
                Some(Limit::Unlimited),
            ),
            ("Max open files            ", None),
            ("Max open files            -1  2 files", None),
            ("Max open file locks       1  2 files", None),
            ("", None),
        ] {
            assert_eq!(open_files(format!("{head}{line}\n").as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn our_own_descriptors_are_counted() {
        let mut processes = Processes::new(PathBuf::from("/proc"));
        let later = Instant::now() + Duration::from_mins(1);
        let own = std::process::id();
        assert_eq!(processes.descriptors(own, later), Err(Miss::Unknown), "before it began");
        processes.begin();
        let sockets: Vec<_> =
            (0..300).map(|_| std::os::unix::net::UnixDatagram::unbound().unwrap()).collect();
        let found = processes.descriptors(own, later).unwrap();
        assert!(found.all > 300 && found.sockets.unwrap() >= 300, "{found:?}");
        assert_eq!(processes.descriptors(own, Instant::now()), Err(Miss::Unknown), "no time");
        drop(sockets);
        assert!(processes.open_files(own).is_ok());
        assert_eq!(processes.open_files(u32::MAX), Err(Miss::Gone));
    }

    #[test]
    fn scheduling_is_read_whatever_the_process_name() {
        let behind = "S 1 1 1 0 -1 4194560 9061 9416027 94 2620 36 98 54406 13885 20 0 7 0 29 109604864";
        for name in ["systemd", ") Z 1 2", "a b", ""] {
            assert_eq!(start(format!("1 ({name}) {behind}\n").as_bytes()), Some(29), "{name}");
        }
        for bad in ["", "1 (x", "1 (x)", "1 (x) S 1", ") ) )"] {
            assert_eq!(start(bad.as_bytes()), None, "{bad}");
        }
        let expected = Scheduled { run: 770_404, waited: 5, periods: 1 };
        assert_eq!(scheduled(b"770404 5 1\n"), Some(expected));
        for bad in ["", "1 2", "1 2 -3", "a b c", "18446744073709551616 0 0"] {
            assert_eq!(scheduled(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(expected.plus(expected).less(expected), expected);
        assert_eq!(expected.less(expected.plus(expected)), Scheduled::default());
    }

    #[test]
    fn a_referenced_line_is_in_kilobytes() {
        assert_eq!(referenced(b"Referenced:          132 kB"), Some(132 << 10));
        for other in
            [&b"Referenced_x: 1 kB"[..], b"Rss: 1 kB", b"Referenced:", b"Referenced: 18446744073709551615 kB"]
        {
            assert_eq!(referenced(other), None);
        }
    }
}
