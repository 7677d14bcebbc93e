//! The guest's disk: this machine's programs, the files given, and the modules of the guest's kernel.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{COMMAND, Kernel, bytes_of, program};
use crate::temp::TempDir;

const INIT: &str = include_str!("init.sh");

/// What the container tests start; busybox stands in for the rest. Its own shell would take its own programs first.
const PROGRAMS: &[&str] = &[
    "sh",
    "bash",
    "chrt",
    "date",
    "timeout",
    "sleep",
    "tar",
    "ip",
    "mount",
    "umount",
    "unshare",
    "nsenter",
    "dockerd",
    "docker",
    "containerd",
    "containerd-shim-runc-v2",
    "runc",
    "busybox",
];

/// For a bridge and containers on it.
const MODULES: &[&str] = &["overlay", "bridge", "veth", "dummy"];

/// Room for images and containers; the file has holes.
const SIZE: &str = "4G";

/// Makes the file `disk` in `dir`.
pub fn make(dir: &TempDir, kernel: &Kernel, files: &[(PathBuf, String)], script: &str) -> Result<(), String> {
    let root = Root::new(dir.path().join("root"))?;
    for name in PROGRAMS {
        let from =
            program(name).ok_or_else(|| format!("{name} is missing; type `cargo xtask vm` as root"))?;
        root.program(&from, &format!("/usr/bin/{name}"))?;
    }
    root.applets()?;
    for (from, to) in files {
        root.program(from, to)?;
    }
    for (number, (name, module)) in kernel.modules(MODULES)?.iter().enumerate() {
        root.write(&format!("/modules/{number:02}-{name}.ko"), 0o644, module)?;
    }
    root.write("/init", 0o755, INIT.as_bytes())?;
    root.write(COMMAND, 0o755, script.as_bytes())?;
    let mke2fs = program("mke2fs").ok_or("mke2fs (e2fsprogs) is missing")?;
    let mut mke2fs = Command::new(mke2fs);
    mke2fs.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d"]);
    bytes_of(mke2fs.arg(&root.0).arg(dir.path().join("disk")).arg(SIZE))?;
    fs::remove_dir_all(&root.0).map_err(|e| format!("{}: {e}", root.0.display()))
}

/// The folder that becomes the disk.
struct Root(PathBuf);

impl Root {
    fn new(path: PathBuf) -> Result<Self, String> {
        let root = Self(path);
        for folder in
            ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "dev", "proc", "sys", "run", "root", "var/lib"]
        {
            done(&root.0, fs::create_dir_all(root.0.join(folder)))?;
        }
        for folder in ["bin", "sbin", "lib", "lib64"] {
            done(&root.0, symlink(format!("usr/{folder}"), root.0.join(folder)))?;
        }
        done(&root.0, symlink("../run", root.0.join("var/run")))?;
        root.write(
            "/etc/passwd",
            0o644,
            b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
        )?;
        root.write("/etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n")?;
        root.write("/etc/hosts", 0o644, b"127.0.0.1 localhost guest\n")?;
        let tmp = root.0.join("tmp");
        done(&tmp, fs::create_dir(&tmp))?;
        done(&tmp, fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777)))?;
        Ok(root)
    }

    fn at(&self, path: &str) -> Result<PathBuf, String> {
        let place = self.0.join(path.trim_start_matches('/'));
        let parent = place.parent().ok_or("a file needs a name")?;
        done(parent, fs::create_dir_all(parent))?;
        Ok(place)
    }

    fn write(&self, path: &str, mode: u32, contents: &[u8]) -> Result<(), String> {
        let place = self.at(path)?;
        done(&place, fs::write(&place, contents))?;
        done(&place, fs::set_permissions(&place, fs::Permissions::from_mode(mode)))
    }

    /// A file, and the libraries that it needs at the places where they are here.
    fn program(&self, from: &Path, to: &str) -> Result<(), String> {
        let place = self.at(to)?;
        done(from, fs::copy(from, place))?;
        for library in libraries(from) {
            let place = self.at(&library)?;
            if !place.exists() {
                done(Path::new(&library), fs::copy(&library, place))?;
            }
        }
        Ok(())
    }

    /// A link for each small program that busybox is and that is not there.
    fn applets(&self) -> Result<(), String> {
        let names = bytes_of(Command::new("busybox").arg("--list"))?;
        for name in String::from_utf8_lossy(&names).lines() {
            let place = self.0.join("usr/bin").join(name);
            if !place.exists() {
                done(&place, symlink("busybox", &place))?;
            }
        }
        Ok(())
    }
}

/// The shared libraries of a program; a static one or a script has none.
fn libraries(program: &Path) -> BTreeSet<String> {
    let said = Command::new("ldd").arg(program).output().map(|out| out.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    said.split_whitespace()
        .filter(|word| word.starts_with('/') && !word.ends_with(':'))
        .map(str::to_owned)
        .collect()
}

fn done<T>(path: &Path, outcome: std::io::Result<T>) -> Result<(), String> {
    outcome.map(|_| ()).map_err(|e| format!("{}: {e}", path.display()))
}
