//! The files of one cgroup that tell of block devices. They lie in a hierarchy that nobody follows, most of them tell
//! nothing on most hosts, and so each is opened when it is first read.

use std::{fs::File, io, path::PathBuf};

use rustix::io::Errno;

use super::{
    CgroupPath, Controller,
    files::{Files, Kept, Opener, Reader, fill, is_exhausted},
};

/// One of these files. On version 1 the throttling policy and each scheduler keep their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum IoFile {
    /// Version 2's only one.
    Stat,
    /// Bytes, of the throttling policy.
    ThrottleBytes,
    /// Operations, of the throttling policy.
    ThrottleOperations,
    /// Bytes, of the BFQ scheduler.
    BfqBytes,
    /// Operations, of the BFQ scheduler.
    BfqOperations,
    /// Operations merged; of a kernel made for debugging.
    BfqMerged,
    /// Nanoseconds of service; of a kernel made for debugging.
    BfqTime,
    /// Operations that wait now; of a kernel made for debugging.
    BfqQueued,
    /// Bytes, of the CFQ scheduler (before 5.0).
    CfqBytes,
    /// Operations, of the CFQ scheduler.
    CfqOperations,
    /// Operations merged, of the CFQ scheduler.
    CfqMerged,
    /// Nanoseconds of service, of the CFQ scheduler.
    CfqTime,
    /// Operations that wait now, of the CFQ scheduler.
    CfqQueued,
}

const COUNT: usize = IoFile::CfqQueued as usize + 1;

impl IoFile {
    /// Its names, the first of which that is there counts.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Stat => &["io.stat"],
            Self::ThrottleBytes => {
                &["blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"]
            }
            Self::ThrottleOperations => {
                &["blkio.throttle.io_serviced_recursive", "blkio.throttle.io_serviced"]
            }
            Self::BfqBytes => &["blkio.bfq.io_service_bytes_recursive"],
            Self::BfqOperations => &["blkio.bfq.io_serviced_recursive"],
            Self::BfqMerged => &["blkio.bfq.io_merged_recursive"],
            Self::BfqTime => &["blkio.bfq.io_service_time_recursive"],
            Self::BfqQueued => &["blkio.bfq.io_queued_recursive"],
            Self::CfqBytes => &["blkio.io_service_bytes_recursive"],
            Self::CfqOperations => &["blkio.io_serviced_recursive"],
            Self::CfqMerged => &["blkio.io_merged_recursive"],
            Self::CfqTime => &["blkio.io_service_time_recursive"],
            Self::CfqQueued => &["blkio.io_queued_recursive"],
        }
    }

    fn paths(self, opener: &Opener, path: &CgroupPath) -> impl Iterator<Item = PathBuf> {
        let hierarchy = opener.layout.controller(Controller::Blkio);
        let hierarchy = hierarchy.filter(|found| (found.id == 0) == (self == Self::Stat));
        let directory = hierarchy.map(|found| found.directory(path));
        directory
            .into_iter()
            .flat_map(move |directory| self.names().iter().map(move |name| directory.join(name)))
    }
}

/// None: not looked for yet.
#[derive(Debug, Default)]
pub(super) struct IoFiles([Option<Kept>; COUNT]);

impl IoFiles {
    /// What was not there may have come.
    pub fn look_again(&mut self) {
        for kept in self.0.iter_mut().filter(|kept| !kept.as_ref().is_some_and(Kept::is_open)) {
            *kept = None;
        }
    }

    pub fn held(&self) -> usize {
        self.0.iter().flatten().filter(|kept| kept.is_open()).count()
    }
}

impl Files {
    /// Files of block devices are looked for again, if none was there.
    pub fn look_again_for_io(&mut self) {
        if self.io.held() == 0 {
            self.io.look_again();
        }
    }
}

impl Reader {
    /// One of the files that tell of block devices; none where it is not there, or this kind is not wanted.
    pub fn io(
        &mut self,
        files: &mut Files,
        opener: &Opener,
        path: &CgroupPath,
        file: IoFile,
    ) -> Option<&[u8]> {
        let kept = files.io.0.get_mut(file as usize).filter(|_| opener.wanted.io)?;
        let length = match kept {
            Some(Kept::Absent) => None,
            Some(Kept::Open(open)) => {
                self.reads = self.reads.wrapping_add(1);
                match fill(open, &mut self.buffer) {
                    // This hierarchy had the cgroup no more, and may have it again.
                    Err(error) if is_gone(&error) => self.opened(kept, opener, path, file),
                    read => told(read, file),
                }
            }
            Some(Kept::Unkept) | None => self.opened(kept, opener, path, file),
        };
        self.buffer.get(..length?)
    }

    /// Opens the file, keeps it if there is a descriptor for it, and reads it.
    fn opened(
        &mut self,
        kept: &mut Option<Kept>,
        opener: &Opener,
        path: &CgroupPath,
        file: IoFile,
    ) -> Option<usize> {
        *kept = Some(Kept::Absent);
        for name in file.paths(opener, path) {
            match File::open(name) {
                Ok(open) => {
                    self.reads = self.reads.wrapping_add(1);
                    let read = told(fill(&open, &mut self.buffer), file);
                    *kept = Some(Kept::of(open, opener.keep_below));
                    return read;
                }
                Err(error) if is_exhausted(&error) => {
                    *kept = Some(Kept::Unkept);
                    return None;
                }
                Err(_) => {}
            }
        }
        None
    }
}

fn told(read: io::Result<usize>, file: IoFile) -> Option<usize> {
    read.inspect_err(|error| tracing::debug!(?file, %error, "cannot read a cgroup's file")).ok()
}

fn is_gone(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NODEV)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{fs, path::Path};

    use super::*;
    use crate::source::cgroup::{Hierarchy, Layout, Mode, files::Wanted};

    fn with_blkio(test: &str, check: impl FnOnce(&Path, Opener)) {
        let mount = std::env::temp_dir().join(format!("nodetally-io-{test}-{}", std::process::id()));
        fs::create_dir_all(mount.join("a")).unwrap();
        let hierarchy = Hierarchy { id: 4, mount: mount.clone(), top: Some(b"/".into()) };
        let layout = Layout {
            mode: Mode::V1,
            hierarchies: Vec::new(),
            cpu: None,
            cpuacct: None,
            memory: None,
            unified: None,
            beside: vec![(Controller::Blkio, hierarchy)],
            partial: false,
        };
        check(&mount.join("a"), Opener { layout, keep_below: i32::MAX, wanted: Wanted::ALL });
        fs::remove_dir_all(mount).unwrap();
    }

    #[test]
    fn a_file_is_opened_when_it_is_read_and_not_before() {
        with_blkio("lazy", |folder, opener| {
            let path = CgroupPath::new(b"/a");
            let (mut files, mut reader) = (Files::default(), Reader::new(opener.layout.clone()));
            fs::write(folder.join("blkio.throttle.io_service_bytes"), "own").unwrap();
            files.open(&opener, &path);
            assert_eq!(files.held(), 0);
            let mut read = |files: &mut Files, opener: &Opener| {
                reader.io(files, opener, &path, IoFile::ThrottleBytes).map(<[u8]>::to_vec)
            };
            assert_eq!(read(&mut files, &opener).as_deref(), Some(&b"own"[..]));
            assert_eq!(files.held(), 1);
            let unwanted = Opener { wanted: Wanted { io: false, ..Wanted::ALL }, ..opener.clone() };
            assert_eq!(read(&mut Files::default(), &unwanted), None);
            let none_left = Opener { keep_below: 0, ..opener.clone() };
            let mut files = Files::default();
            for _ in 0..2 {
                assert_eq!(read(&mut files, &none_left).as_deref(), Some(&b"own"[..]));
                assert_eq!(files.held(), 0);
            }
        });
    }

    #[test]
    fn what_is_absent_is_looked_for_when_that_is_asked_for() {
        with_blkio("again", |folder, opener| {
            let path = CgroupPath::new(b"/a");
            let (mut files, mut reader) = (Files::default(), Reader::new(opener.layout.clone()));
            let mut read = |files: &mut Files| reader.io(files, &opener, &path, IoFile::BfqBytes).is_some();
            assert!(!read(&mut files));
            fs::write(folder.join("blkio.bfq.io_service_bytes_recursive"), "").unwrap();
            assert!(!read(&mut files));
            files.look_again_for_io();
            assert!(read(&mut files));
        });
    }
}
