//! Asks the mounts for their space. One that does not answer holds a thread, and nothing else.

use std::{
    collections::HashMap,
    ffi::CString,
    io,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use super::mount::{Mount, Trouble};
use crate::source::{
    mount::{Space, space},
    pool::{JobId, Pool},
};

/// The most mounts that may hold a thread. Where so many do, the rest is not asked either.
const MOST: usize = 32;
/// What writing the figures may take: kept from the scrape's deadline, of which it is a quarter at most.
const RESERVE: Duration = Duration::from_millis(100);

/// Types of file systems that ask a server or a program. They are asked last: so it is they that stay unasked where too
/// many hang.
const REMOTE: [&str; 20] = [
    "9p",
    "afs",
    "autofs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fuse",
    "gfs",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "ocfs2",
    "orangefs",
    "smb",
    "vboxsf",
    "virtiofs",
];

/// A path, and the mount that it leads to: what is mounted anew on the place of a dead mount is asked.
type Place = (CString, Vec<u8>);

#[derive(Debug)]
pub(super) struct Asker {
    pool: Pool<Option<Result<Space, Errno>>>,
    jobs: HashMap<Place, JobId>,
    /// Each job once, in the order of asking.
    order: Vec<JobId>,
    /// A mount's job, by the mount's place in the list.
    of_mount: Vec<JobId>,
}

impl Asker {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// What the kernel says to a new thread.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            pool: Pool::start("statfs", MOST)?,
            jobs: HashMap::new(),
            order: Vec::new(),
            of_mount: Vec::new(),
        })
    }

    /// These mounts are asked from now on. One that hangs is remembered, also when it is not among them.
    pub fn follow(&mut self, mounts: &[Mount]) {
        let mut before = std::mem::take(&mut self.jobs);
        let (mut local, mut remote) = (Vec::new(), Vec::new());
        self.of_mount.clear();
        for mount in mounts {
            let place = (mount.path.clone(), mount.id.clone());
            let order = if is_remote(&mount.fstype) { &mut remote } else { &mut local };
            let job = *self.jobs.entry(place).or_insert_with_key(|place| {
                let job = before.remove(place).unwrap_or_else(|| {
                    let path = place.0.clone();
                    self.pool.add(move |answer, _| *answer = Some(space(&path)))
                });
                order.push(job);
                job
            });
            self.of_mount.push(job);
        }
        for (place, job) in before {
            if self.pool.is_away(job) {
                self.jobs.insert(place, job);
            } else {
                self.pool.remove(job);
            }
        }
        local.append(&mut remote);
        self.order = local;
    }

    /// Asks each of the mounts followed, which are these. One that has not answered within `patience` or shortly before
    /// `deadline` is not asked again before it has.
    pub fn ask(&mut self, mounts: &mut [Mount], patience: Duration, deadline: Instant) {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        let until = now + patience.min(left.saturating_sub(RESERVE.min(left / 4)));
        self.pool.ask(self.order.iter().copied(), until);
        self.pool.wait();
        for (mount, &job) in mounts.iter_mut().zip(&self.of_mount) {
            let answer = self.pool.read(job, |answer| *answer).flatten();
            mount.take(answer.map_or(Err(Trouble::Stuck), |answer| answer.map_err(Trouble::Error)));
        }
    }
}

fn is_remote(fstype: &[u8]) -> bool {
    REMOTE.iter().any(|remote| fstype.starts_with(remote.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Filter,
        node::disk::filesystem::mount::{Rules, shown},
    };

    fn mounts_of(text: &[u8]) -> Vec<Mount> {
        shown(text, &Rules::new(Filter::default(), Filter::default(), "/".as_ref()))
    }

    #[test]
    fn each_place_is_asked_once_and_remote_ones_last() {
        let mut mounts = mounts_of(
            b"1 1 8:1 / / rw - fuse.x a rw\n2 1 8:1 / / rw - ext4 b rw\n3 1 8:1 / /proc rw - nfs4 c rw\n\
              4 1 8:1 / /nonexistent rw - ext4 d rw\n",
        );
        let mut asker = Asker::new().expect("starts");
        asker.follow(&mounts);
        let jobs = asker.of_mount.clone();
        assert_eq!(asker.order, [jobs[3], jobs[0], jobs[2]]);
        assert_eq!(jobs[0], jobs[1], "both lead to the upper one");
        asker.ask(&mut mounts, Duration::from_secs(30), Instant::now() + Duration::from_mins(1));
        let answers: Vec<_> = mounts.iter().map(|mount| mount.space().is_some()).collect();
        assert_eq!(answers, [true, true, true, false]);

        mounts.truncate(1);
        asker.follow(&mounts);
        assert_eq!((asker.jobs.len(), asker.of_mount.len()), (1, 1));
        let anew = mounts_of(b"5 1 8:1 / / rw - ext4 a rw\n");
        asker.follow(&anew);
        assert_eq!(asker.jobs.len(), 1);
        assert_ne!(asker.jobs.keys().next().expect("is one").1, mounts[0].id);
    }
}
