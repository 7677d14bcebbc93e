//! Generic netlink's family `TASKSTATS`: how many tasks of a cgroup of version 1 are in which state.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{
    Error,
    generic::Generic,
    message::{Attributes, attribute, u64_at},
};

const GET: (&str, u8) = ("CGROUPSTATS_CMD_GET", 4);
const ATTR_FD: u16 = 1;
const TYPE_STATS: u16 = 1;

/// How many of a cgroup's own tasks are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskStates {
    /// Waiting for something that may take long.
    pub sleeping: u64,
    /// On a CPU or waiting for one.
    pub running: u64,
    /// Stopped by a signal.
    pub stopped: u64,
    /// Waiting for something that no signal ends.
    pub uninterruptible: u64,
    /// Waiting for a disk in another state than these.
    pub io_waiting: u64,
}

/// Counts tasks by their state.
#[derive(Debug)]
pub struct TaskCounter {
    family: Generic,
}

impl Default for TaskCounter {
    fn default() -> Self {
        Self { family: Generic::new(b"TASKSTATS\0") }
    }
}

impl TaskCounter {
    /// The tasks of the cgroup whose folder this is; `None` where the kernel has no such family, or hides it from a
    /// network namespace that is not the host's.
    ///
    /// # Errors
    /// A failing system call, a refusal (`EINVAL` for a folder that is no cgroup of version 1, `ENOENT` for one that
    /// has gone), no answer in time, or nonsense; the next call starts afresh.
    pub fn count(&mut self, folder: BorrowedFd<'_>) -> Result<Option<TaskStates>, Error> {
        let mut asked = Vec::with_capacity(8);
        attribute(&mut asked, ATTR_FD, &folder.as_raw_fd().to_ne_bytes());
        let found = self.family.one(GET, &asked, |attributes| states(&attributes))?;
        found.map(|states| states.ok_or(Error::Malformed { request: GET.0 })).transpose()
    }
}

fn states(attributes: &Attributes<'_>) -> Option<TaskStates> {
    let stats = attributes.payload(TYPE_STATS)?;
    let number = |place: usize| u64_at(stats, place * 8);
    Some(TaskStates {
        sleeping: number(0)?,
        running: number(1)?,
        stopped: number(2)?,
        uninterruptible: number(3)?,
        io_waiting: number(4)?,
    })
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(body: &[u8]) {
    let _ = states(&Attributes(body));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::fd::AsFd;

    use super::*;
    use crate::source::netlink::{
        generic::tests::{RECORDED, family, refusal},
        recorded::{attr, garble, message},
    };

    fn answer(sequence: u32, body: &[u8]) -> Vec<u8> {
        message(RECORDED, 0, sequence, &[&[5, 1, 0, 0][..], body].concat())
    }

    fn stats(numbers: [u64; 5]) -> Vec<u8> {
        attr(TYPE_STATS, &numbers.map(u64::to_ne_bytes).concat())
    }

    #[test]
    fn tasks_are_told_by_state() {
        let folder = std::fs::File::open("/").unwrap();
        let answers = [
            family(),
            answer(2, &stats([50, 51, 52, 53, 54])),
            answer(3, &attr(TYPE_STATS, &[0; 39])),
            family(),
        ];
        let (family, _kernel) = Generic::recorded(b"TASKSTATS\0", &answers);
        let mut counter = TaskCounter { family };
        let expected =
            TaskStates { sleeping: 50, running: 51, stopped: 52, uninterruptible: 53, io_waiting: 54 };
        assert_eq!(counter.count(folder.as_fd()).unwrap(), Some(expected));
        assert!(matches!(counter.count(folder.as_fd()), Err(Error::Malformed { .. })), "cut short");
    }

    #[test]
    fn a_kernel_without_it_and_a_folder_that_is_no_cgroup() {
        let folder = std::fs::File::open("/").unwrap();
        let (missing, _kernel) = Generic::recorded(b"TASKSTATS\0", &[refusal(1, libc::ENOENT)]);
        assert_eq!(TaskCounter { family: missing }.count(folder.as_fd()).unwrap(), None);
        let answers = [family(), refusal(2, libc::EINVAL)];
        let (refused, _kernel) = Generic::recorded(b"TASKSTATS\0", &answers);
        let error = TaskCounter { family: refused }.count(folder.as_fd()).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EINVAL));
        // This kernel: refused too, or without the family.
        assert!(!matches!(TaskCounter::default().count(folder.as_fd()), Ok(Some(_))));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        garble(&stats([1, 2, 3, 4, 5]), |body| {
            states(&Attributes(body));
        });
    }
}
