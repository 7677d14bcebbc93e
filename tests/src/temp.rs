//! A folder of a test's own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A fresh empty folder, removed with all it holds on drop.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// `/tmp/nodetally-<tag>-<pid>-<n>`, open to other users for passing through.
    pub fn new(tag: &str) -> Self {
        Self::below(&std::env::temp_dir(), tag)
    }

    /// The same in another folder, for what is too large for `/tmp`.
    pub fn below(folder: &Path, tag: &str) -> Self {
        let path = folder.join(unique(tag));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Removes what test processes that were killed have left of this tag in a folder.
    pub fn remove_leftovers(folder: &Path, tag: &str) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner =
                name.strip_prefix(&format!("nodetally-{tag}-")).and_then(|rest| rest.split('-').next());
            if owner.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in it and gives its path.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A name that no other test of this machine has: it carries this process' id.
pub fn unique(tag: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("nodetally-{tag}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
