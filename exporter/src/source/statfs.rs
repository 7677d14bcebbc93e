//! Asks mounts for their space. One that does not answer holds a thread, and nothing else.

use std::{
    collections::HashMap,
    ffi::CString,
    io,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use super::{
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

/// What is asked: a mount where it is seen from here.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The path that is asked.
    pub path: &'a CString,
    /// The number of the mount that it leads to: what is mounted anew on the place of a dead mount is asked.
    pub id: &'a [u8],
    /// The file system's type.
    pub fstype: &'a [u8],
}

/// Asks the mounts that it is given.
#[derive(Debug)]
pub struct Asker {
    pool: Pool<Option<Result<Space, Errno>>>,
    jobs: HashMap<(CString, Vec<u8>), JobId>,
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
    pub fn follow<'a>(&mut self, mounts: impl Iterator<Item = Place<'a>>) {
        let mut before = std::mem::take(&mut self.jobs);
        let (mut local, mut remote) = (Vec::new(), Vec::new());
        self.of_mount.clear();
        for mount in mounts {
            let place = (mount.path.clone(), mount.id.to_vec());
            let order = if is_remote(mount.fstype) { &mut remote } else { &mut local };
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

    /// Asks each of the mounts followed. One that has not answered within `patience` or shortly before `deadline` is not
    /// asked again before it has.
    pub fn ask(&mut self, patience: Duration, deadline: Instant) {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        let until = now + patience.min(left.saturating_sub(RESERVE.min(left / 4)));
        self.pool.ask(self.order.iter().copied(), until);
        self.pool.wait();
    }

    /// What each mount answered, in the order in which they were given; `None` for one that is late.
    pub fn answers(&mut self) -> impl Iterator<Item = Option<Result<Space, Errno>>> {
        let Self { pool, of_mount, .. } = self;
        of_mount.iter().map(|&job| pool.read(job, |answer| *answer).flatten())
    }
}

fn is_remote(fstype: &[u8]) -> bool {
    REMOTE.iter().any(|remote| fstype.starts_with(remote.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(asker: &mut Asker, mounts: &[(&str, &str, &str)]) {
        let paths: Vec<_> =
            mounts.iter().map(|(_, path, _)| CString::new(*path).expect("no zero byte")).collect();
        asker.follow(mounts.iter().zip(&paths).map(|((id, _, fstype), path)| Place {
            path,
            id: id.as_bytes(),
            fstype: fstype.as_bytes(),
        }));
    }

    #[test]
    fn each_place_is_asked_once_and_remote_ones_last() {
        let mut asker = Asker::new().expect("starts");
        let mounts =
            [("2", "/", "fuse.x"), ("2", "/", "ext4"), ("3", "/proc", "nfs4"), ("4", "/nonexistent", "ext4")];
        follow(&mut asker, &mounts);
        let jobs = asker.of_mount.clone();
        assert_eq!(asker.order, [jobs[3], jobs[0], jobs[2]]);
        assert_eq!(jobs[0], jobs[1], "both lead to the upper one");
        asker.ask(Duration::from_secs(30), Instant::now() + Duration::from_mins(1));
        let answers: Vec<_> = asker.answers().map(|answer| answer.expect("is in time").is_ok()).collect();
        assert_eq!(answers, [true, true, true, false]);

        follow(&mut asker, &mounts[..1]);
        assert_eq!((asker.jobs.len(), asker.of_mount.len()), (1, 1));
        follow(&mut asker, &[("5", "/", "ext4")]);
        assert_eq!(asker.jobs.len(), 1);
        assert_eq!(asker.jobs.keys().next().expect("is one").1, b"5");
    }
}
