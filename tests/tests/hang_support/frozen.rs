//! A file system on a loop device whose disk, a file, lies on a frozen file system.
//!
//! Reading on a file system that is frozen itself waits for nothing. Reading on the one above does: it notes the time of
//! the access, in a block that the journal is about to write and cannot, and sleeps until it has.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use rustix::mount::{UnmountFlags, unmount};
use tests::running::{output, until};
use tests::temp::TempDir;

use super::Hangs;

pub struct Frozen {
    below: PathBuf,
    above: PathBuf,
    /// Thaws when its input ends, so also where this process is killed.
    thaws: Option<Child>,
    /// What waits for the disk.
    waiting: Vec<Child>,
    folder: TempDir,
}

impl Frozen {
    /// The one below is mounted and not frozen yet; `file` is written on both.
    pub fn new(name: &str, text: &str) -> Self {
        let folder = TempDir::new("frozen");
        let place = |name: &str| folder.path().join(name);
        let (below, above) = (place("below"), place("above"));
        let mut it = Self { below, above, thaws: None, waiting: Vec::new(), folder };
        mount_disk(&it.folder.path().join("disk"), 64 << 20, &it.below, "loop");
        mount_disk(&it.below.join("disk"), 32 << 20, &it.above, "loop,strictatime");
        for folder in [&it.below, &it.above] {
            fs::write(folder.join(name), text).unwrap();
        }
        output(Command::new("sync").arg("-f").arg(&it.above).arg(&it.below));
        it.freeze(name);
        it
    }

    /// Freezes the one below and waits until reading on the one above hangs.
    fn freeze(&mut self, name: &str) {
        let script = format!("cat; fsfreeze --unfreeze {}", self.below.display());
        self.thaws = Some(Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn().unwrap());
        output(Command::new("fsfreeze").arg("--freeze").arg(&self.below));
        let hangs = until(Duration::from_secs(30), || {
            let file = self.above.join(name);
            File::options().write(true).open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
            self.waiting.push(Command::new("sync").arg("-f").arg(&self.above).spawn().unwrap());
            std::thread::sleep(Duration::from_millis(200));
            let mut reader = Command::new("cat").arg(&file).stdout(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(100));
            let hangs = reader.try_wait().unwrap().is_none();
            self.waiting.push(reader);
            hangs
        });
        assert!(hangs, "nothing waits for the disk");
    }

    /// The frozen file system.
    pub fn below(&self) -> &Path {
        &self.below
    }

    /// The one whose disk lies on it.
    pub fn above(&self) -> &Path {
        &self.above
    }
}

impl Hangs for Frozen {
    fn let_go(&mut self) {
        if let Some(mut thaws) = self.thaws.take() {
            drop(thaws.stdin.take());
            let _ = thaws.wait();
            for mut waiting in self.waiting.drain(..) {
                let _ = waiting.wait();
            }
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.let_go();
        for at in [&self.above, &self.below] {
            let _ = unmount(at, UnmountFlags::DETACH);
        }
    }
}

/// Makes a file system in a file and mounts it.
fn mount_disk(file: &Path, size: u64, at: &Path, options: &str) {
    File::create(file).unwrap().set_len(size).unwrap();
    output(Command::new("mkfs.ext4").arg("-q").arg(file));
    fs::create_dir_all(at).unwrap();
    output(Command::new("mount").args(["-o", options]).arg(file).arg(at));
}
