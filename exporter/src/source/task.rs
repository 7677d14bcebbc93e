//! All processes and threads of the node, counted by state.

use std::{fmt::Write as _, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{CWD, Dir, Mode, OFlags, openat},
    io::Errno,
};

use super::{file::ReadError, text};

/// The letters that a state may be.
pub const STATES: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How many are in each of [`STATES`].
pub type States = [u64; STATES.len()];

/// What a count of all processes has found.
#[derive(Debug)]
pub struct Census {
    /// Processes.
    pub processes: u64,
    /// Threads of all processes, as each process tells.
    pub threads: u64,
    /// Processes by state.
    pub process_states: States,
    /// Threads by state.
    pub thread_states: States,
    path: String,
    buffer: Vec<u8>,
}

impl Default for Census {
    fn default() -> Self {
        Self {
            processes: 0,
            threads: 0,
            process_states: [0; STATES.len()],
            thread_states: [0; STATES.len()],
            path: String::new(),
            // Longer than what is looked at, whatever the process is called.
            buffer: vec![0; 1024],
        }
    }
}

/// What a process or thread says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Task {
    /// The place in [`STATES`].
    state: usize,
    threads: u64,
}

impl Census {
    /// Counts anew.
    ///
    /// # Errors
    /// What the kernel says, where it is not that a process has ended meanwhile.
    pub fn take(&mut self, procfs: &Path) -> Result<(), ReadError> {
        self.count(procfs).map_err(|(operation, error)| ReadError {
            operation,
            path: procfs.join(&self.path),
            error: error.into(),
        })
    }

    fn count(&mut self, procfs: &Path) -> Result<(), (&'static str, Errno)> {
        (self.processes, self.threads) = (0, 0);
        self.process_states.fill(0);
        self.thread_states.fill(0);
        self.path.clear();
        let folder = open_folder(CWD, procfs).map_err(|error| ("open", error))?;
        // A copy of a /proc may hold no threads.
        let has_threads = rustix::fs::accessat(
            &folder,
            "self/task",
            rustix::fs::Access::EXISTS,
            rustix::fs::AtFlags::empty(),
        )
        .is_ok();
        for process in numbers(&folder)? {
            let process = process?;
            let Some(task) = self.read(&folder, process)? else { continue };
            self.processes += 1;
            self.threads = self.threads.saturating_add(task.threads);
            add(&mut self.process_states, task);
            if !has_threads {
                continue;
            }
            add(&mut self.thread_states, task);
            if task.threads > 1 {
                self.count_threads(&folder, process)?;
            }
        }
        Ok(())
    }

    /// Counts the threads but the first.
    fn count_threads(&mut self, procfs: &OwnedFd, process: u64) -> Result<(), (&'static str, Errno)> {
        self.name(process, "task");
        let folder = match open_folder(procfs, self.path.as_str()) {
            Ok(folder) => folder,
            Err(error) if has_ended(error) => return Ok(()),
            Err(error) => return Err(("open", error)),
        };
        for thread in numbers(&folder)? {
            let thread = match thread {
                Err((_, error)) if has_ended(error) => return Ok(()),
                other => other?,
            };
            if thread != process
                && let Some(task) = self.read(&folder, thread)?
            {
                add(&mut self.thread_states, task);
            }
        }
        Ok(())
    }

    /// `None` if it has ended.
    fn read(&mut self, folder: &OwnedFd, number: u64) -> Result<Option<Task>, (&'static str, Errno)> {
        self.name(number, "stat");
        let file = openat(folder, self.path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let length = match file.and_then(|file| rustix::io::read(&file, &mut self.buffer[..])) {
            Ok(length) => length,
            Err(error) if has_ended(error) => return Ok(None),
            Err(error) => return Err(("read", error)),
        };
        match parse(self.buffer.get(..length).unwrap_or_default()) {
            Some(task) => Ok(Some(task)),
            None => Err(("understand", Errno::PROTO)),
        }
    }

    fn name(&mut self, number: u64, file: &str) {
        self.path.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.path, "{number}/{file}");
    }
}

fn add(states: &mut States, task: Task) {
    if let Some(count) = states.get_mut(task.state) {
        *count += 1;
    }
}

fn has_ended(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::SRCH)
}

fn open_folder(parent: impl std::os::fd::AsFd, path: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    openat(parent, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

type Numbers = Result<u64, (&'static str, Errno)>;

/// The names in the folder that are numbers.
fn numbers(folder: &OwnedFd) -> Result<impl Iterator<Item = Numbers> + use<>, (&'static str, Errno)> {
    let entries = Dir::read_from(folder).map_err(|error| ("list", error))?;
    Ok(entries.filter_map(|entry| match entry {
        Ok(entry) => text::whole(entry.file_name().to_bytes()).map(Ok),
        Err(error) => Some(Err(("list", error))),
    }))
}

/// `1 (name) S ...`: the name may hold anything, brackets included.
fn parse(stat: &[u8]) -> Option<Task> {
    let bracket = stat.iter().rposition(|&byte| byte == b')')?;
    let mut fields = text::fields(stat.get(bracket + 1..)?.trim_ascii());
    let &[letter] = fields.next()? else { return None };
    let state = STATES.iter().position(|known| *known == letter)?;
    let threads = text::whole(fields.nth(16)?)?;
    Some(Task { state, threads })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEHIND: &str = "0 1 1 0 -1 4194560 9061 9416027 94 2620 36 98 54406 13885 20 0";

    #[test]
    fn state_and_threads_are_read_whatever_the_name() {
        for name in ["systemd", ") Z 1 2", "a b", "(((", "\u{fffd}", ""] {
            let task = parse(format!("1 ({name}) S {BEHIND} 7 0 29 109604864\n").as_bytes()).expect(name);
            assert_eq!((STATES[task.state], task.threads), (b'S', 7), "{name}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_task() {
        for bad in ["", "1 (x)", "1 (x) S", "1 (x) S 1 2", "1 x S 0", "1 (x) \u{fffd}", "1 (x) SS"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
        for bad in ["x", "-1", "18446744073709551616"] {
            assert_eq!(parse(format!("1 (x) S {BEHIND} {bad} 0").as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse(format!("1 (x) 5 {BEHIND} 1 0").as_bytes()), None);
    }

    #[test]
    fn threads_of_our_own_are_counted() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || receiver.recv());
        let mut census = Census::default();
        for _ in 0..2 {
            census.take(Path::new("/proc")).expect("counts");
            let sum = |states: &States| states.iter().sum::<u64>();
            assert_eq!(sum(&census.process_states), census.processes);
            assert!(census.threads > census.processes, "{census:?}");
            assert!(sum(&census.thread_states) > census.processes, "{census:?}");
        }
        drop(sender);
        let _ = thread.join().expect("ends");
        let error = census.take(Path::new("/nonexistent")).expect_err("is missing");
        assert!(error.to_string().starts_with("open /nonexistent"), "{error}");
    }
}
