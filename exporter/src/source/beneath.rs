//! Opens folders of the host's whose paths somebody else has told, so that no link in them leads out of the host's root.

use std::{
    ffi::CString,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, fstat, open, openat, openat2, readlinkat},
    io::Errno,
};

/// The host's root as seen from here.
#[derive(Clone, Debug)]
pub struct Beneath(PathBuf);

impl Beneath {
    /// The host's root at this folder.
    pub fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// Opens a folder by the host's absolute path. Below a `user`'s own folders no link is followed, and the one that it
    /// lies in has to be the user's: its path may be the user's to tell.
    ///
    /// # Errors
    /// What the kernel says; `ENOENT` where it is not the user's.
    pub fn folder(&self, path: &[u8], user: Option<u32>) -> Result<OwnedFd, Errno> {
        let path = CString::new(path.strip_prefix(b"/").ok_or(Errno::INVAL)?).map_err(|_| Errno::INVAL)?;
        let root = open(&self.0, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        if user.is_some() {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        let folder = match openat2(&root, path.as_c_str(), flags, Mode::empty(), resolve) {
            // Before 5.6.
            Err(Errno::NOSYS) if user.is_none() => openat(&root, path.as_c_str(), flags, Mode::empty())?,
            opened => opened?,
        };
        if let Some(user) = user {
            let above = openat(&folder, c"..", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            if fstat(above)?.st_uid != user {
                return Err(Errno::NOENT);
            }
        }
        Ok(folder)
    }

    /// The path of an open folder as this process names it, all links in it followed.
    pub fn path_of(folder: impl AsFd) -> Option<Vec<u8>> {
        let link = format!("/proc/thread-self/fd/{}", folder.as_fd().as_raw_fd());
        readlinkat(CWD, link, Vec::new()).ok().map(CString::into_bytes)
    }
}
