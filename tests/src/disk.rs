//! Block devices of a test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{live, running::output, temp::TempDir};

/// A loop device over a file of its own; detached on drop.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
    mounted: bool,
    dir: TempDir,
}

impl LoopDevice {
    /// One of so many bytes; none where the machine has no loop devices.
    pub fn new(bytes: u64) -> Option<Self> {
        if !live::need("loop devices", Path::new("/dev/loop-control").exists()) {
            return None;
        }
        let dir = TempDir::new("loop");
        let image = dir.path().join("image");
        fs::File::create(&image).unwrap().set_len(bytes).unwrap();
        let path = output(Command::new("losetup").args(["--find", "--show"]).arg(&image));
        Some(Self { path: PathBuf::from(path.trim()), mounted: false, dir })
    }

    /// Its path, `/dev/loop0`.
    pub fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Its name, `loop0`.
    pub fn name(&self) -> &str {
        self.path.file_name().unwrap().to_str().unwrap()
    }

    /// Its number, `7:0`.
    pub fn number(&self) -> String {
        let text = fs::read_to_string(Path::new("/sys/class/block").join(self.name()).join("dev"));
        text.unwrap().trim().to_owned()
    }

    /// Makes a file system and mounts it; gives where.
    pub fn mount(&mut self) -> PathBuf {
        let point = self.dir.path().join("mounted");
        fs::create_dir(&point).unwrap();
        output(Command::new("mkfs.ext4").arg("-q").arg(&self.path));
        output(Command::new("mount").arg(&self.path).arg(&point));
        self.mounted = true;
        point
    }

    /// Takes the file system out of sight again.
    pub fn unmount(&mut self) {
        self.mounted = false;
        output(Command::new("umount").arg(self.dir.path().join("mounted")));
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(self.dir.path().join("mounted")).status();
        }
        let _ = Command::new("losetup").arg("--detach").arg(&self.path).status();
    }
}

/// The columns of `/proc/diskstats` behind the name.
pub fn diskstats(name: &str) -> Vec<u64> {
    let text = fs::read_to_string("/proc/diskstats").unwrap();
    let line = text.lines().find(|line| line.split_whitespace().nth(2) == Some(name)).unwrap();
    line.split_whitespace().skip(3).map(|field| field.parse().unwrap()).collect()
}
