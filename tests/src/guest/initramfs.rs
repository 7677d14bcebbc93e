//! The guest's first files: what it takes to find the disk.

use std::fs;

use super::{Kernel, program};

const INIT: &str = include_str!("initramfs.sh");

/// The disk's driver and file system; most of it is built into newer kernels.
const MODULES: &[&str] = &["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"];

/// An archive (cpio, "newc") with a busybox, the disk's driver and the first process.
pub fn make(kernel: &Kernel) -> Result<Vec<u8>, String> {
    let busybox = program("busybox").ok_or("busybox is missing")?;
    let busybox = fs::read(&busybox).map_err(|e| format!("{}: {e}", busybox.display()))?;
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "proc", "root", "modules"] {
        archive.add(folder, FOLDER, b"");
    }
    archive.add("bin/busybox", PROGRAM, &busybox);
    archive.add("init", PROGRAM, INIT.as_bytes());
    for (number, (name, module)) in kernel.modules(MODULES)?.iter().enumerate() {
        archive.add(&format!("modules/{number:02}-{name}.ko"), FILE, module);
    }
    Ok(archive.end())
}

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    number: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.number += 1;
        let length = |n: usize| u32::try_from(n).unwrap();
        let fields =
            [self.number, mode, 0, 0, 1, 0, length(contents.len()), 0, 0, 0, 0, length(name.len() + 1), 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").bytes());
        }
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, b"");
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn another_program_reads_the_archive() {
        if !crate::live::need("busybox", program("busybox").is_some()) {
            return;
        }
        let dir = crate::temp::TempDir::new("cpio");
        let mut archive = Archive::default();
        archive.add("a", FOLDER, b"");
        archive.add("a/odd", FILE, b"12345");
        archive.add("even", PROGRAM, b"1234");
        let file = dir.write("archive", archive.end());
        let mut cpio = Command::new("busybox");
        cpio.args(["cpio", "-i"]).current_dir(dir.path()).stdin(fs::File::open(file).unwrap());
        assert!(cpio.stderr(Stdio::null()).status().unwrap().success());
        assert_eq!(fs::read(dir.path().join("a/odd")).unwrap(), b"12345");
        assert_eq!(fs::read(dir.path().join("even")).unwrap(), b"1234");
    }
}
