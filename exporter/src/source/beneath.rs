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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{
        fs,
        os::unix::fs::{MetadataExt, symlink},
    };

    use super::*;

    #[test]
    fn links_stay_below_the_root_and_a_user_s_are_not_followed() {
        let root = std::env::temp_dir().join(format!("nodetally-beneath-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("data/layer/diff")).unwrap();
        fs::create_dir_all(root.join("var")).unwrap();
        // Absolute, as on the host: from here it would lead elsewhere.
        symlink("/data", root.join("var/lib")).unwrap();
        symlink("/", root.join("var/out")).unwrap();
        symlink("/data/layer", root.join("var/last")).unwrap();
        let beneath = Beneath::new(&root);
        let path = |of_host: &str, user| {
            let folder = beneath.folder(of_host.as_bytes(), user)?;
            Ok(String::from_utf8(Beneath::path_of(folder).unwrap()).unwrap())
        };
        let layer = root.join("data/layer/diff").display().to_string();
        assert_eq!(path("/var/lib/layer/diff", None), Ok(layer.clone()));
        assert_eq!(path("/var/out/data/layer/diff", None), Ok(layer.clone()));
        assert_eq!(path("/../../data/layer/diff", None), Ok(layer.clone()));
        for (of_host, error) in [
            ("/var/last", Errno::NOTDIR),
            ("/nothing", Errno::NOENT),
            ("relative", Errno::INVAL),
            ("/zero\0byte", Errno::INVAL),
        ] {
            assert!([error, Errno::LOOP].contains(&path(of_host, None).unwrap_err()), "{of_host}");
        }
        let user = fs::metadata(&root).unwrap().uid();
        assert_eq!(path("/data/layer/diff", Some(user)), Ok(layer));
        assert_eq!(path("/data/layer/diff", Some(user + 1)), Err(Errno::NOENT));
        assert_eq!(path("/var/lib/layer/diff", Some(user)), Err(Errno::LOOP));
        fs::remove_dir_all(root).unwrap();
    }
}
