//! A virtual machine with another kernel and nothing but cgroup v2, all its controllers, in which the tests of this
//! workspace run. It needs neither root nor KVM: qemu's software processor is slow, so only right or wrong is told by it.
//!
//! Its programs and libraries are this machine's own, put onto a disk of its own at each start; only the kernel
//! comes from elsewhere (`cargo xtask` unpacks it into the cache).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::running::Running;
use crate::temp::TempDir;

mod build;
mod disk;
mod initramfs;
mod kernel;

pub use kernel::{KERNELS, Kernel, Release};

/// The file on the guest's `PATH` that runs when it is up.
const COMMAND: &str = "/command";

/// How many times longer all takes in the guest than on a machine: the tests' patience there.
const SLOWNESS: u32 = 10;

/// A guest that is not started yet.
#[derive(Debug)]
pub struct Guest {
    kernel: Kernel,
    files: Vec<(PathBuf, String)>,
    limit: Duration,
}

/// How the command in the guest ended.
#[derive(Debug)]
pub struct Ended {
    /// The command's exit code.
    pub code: u8,
    /// Both its outputs, as far as they were captured.
    pub said: String,
}

/// Where the command's output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To this process' own, as it comes.
    Shown,
    /// Into [`Ended::said`].
    Captured,
}

impl Guest {
    /// One with this kernel, ended by force after `limit`.
    pub fn new(kernel: Kernel, limit: Duration) -> Self {
        Self { kernel, files: Vec::new(), limit }
    }

    /// Takes a file along; a program gets the libraries that it needs.
    pub fn carry(&mut self, from: &Path, to: &str) {
        self.files.push((from.to_owned(), to.to_owned()));
    }

    /// Boots, runs the lines of a shell script as root, and gives how it ended. The guest is gone when this returns.
    ///
    /// # Errors
    /// When something is missing here, the guest dies, or the limit is reached: with the last of what it said.
    pub fn run(&self, script: &str, output: Output) -> Result<Ended, String> {
        let folder = folder()?;
        TempDir::remove_leftovers(&folder, "guest");
        let dir = TempDir::below(&folder, "guest");
        let script = format!("#!/bin/sh\nexport NODETALLY_SLOW={SLOWNESS}\n{script}\n");
        disk::make(&dir, &self.kernel, &self.files, &script)?;
        fs::write(dir.path().join("initramfs"), initramfs::make(&self.kernel)?).map_err(|e| e.to_string())?;
        let mut qemu = self.qemu(dir.path());
        let mut said = String::new();
        let ended = if output == Output::Captured {
            let mut running = Running::start(&mut qemu);
            let ended = running.wait(self.limit).is_some();
            said = running.said();
            ended
        } else {
            let mut running = Running::start_shown(&mut qemu);
            running.wait(self.limit).is_some()
        };
        let result = fs::read_to_string(dir.path().join("result")).unwrap_or_default();
        let code = result.lines().find_map(|line| line.trim().strip_prefix("END ")?.parse().ok());
        if let Some(code) = code.filter(|_| ended) {
            return Ok(Ended { code, said });
        }
        let log = fs::read(dir.path().join("console")).unwrap_or_default();
        let why = if ended { "the guest died".to_owned() } else { format!("not done in {:?}", self.limit) };
        Err(format!("{why}\n{said}\nthe kernel's last words:\n{}", last_lines(&log, 40)))
    }

    /// The command of the virtual machine; its standard output is that of the command within.
    fn qemu(&self, dir: &Path) -> Command {
        let at = |name: &str| dir.join(name).display().to_string();
        // Killed with this process, even if that is killed itself.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-M", "pc", "-accel", "tcg,thread=multi"]);
        // Without cmpxchg16b: qemu 7.2 gets its flags wrong, and the guest panics in kmalloc.
        qemu.args(["-cpu", "max,-cx16", "-smp", "2", "-m", "2048", "-nodefaults", "-no-user-config"]);
        qemu.args(["-display", "none", "-nic", "none", "-no-reboot"]);
        qemu.arg("-kernel").arg(&self.kernel.image).args(["-initrd", &at("initramfs")]);
        qemu.args(["-append", COMMAND_LINE]);
        qemu.args(["-drive", &format!("file={},format=raw,if=virtio,cache=unsafe", at("disk"))]);
        qemu.args(["-serial", &format!("file:{}", at("console")), "-serial", "stdio"]);
        qemu.args(["-serial", &format!("file:{}", at("result"))]).stdin(Stdio::null());
        qemu
    }
}

const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 oops=panic cgroup_no_v1=all psi=1 mitigations=off nokaslr \
                            random.trust_cpu=1 audit=0";

/// The cache's part for guests.
///
/// # Errors
/// When it cannot be made.
pub fn folder() -> Result<PathBuf, String> {
    let folder = crate::prometheus::cache().join("guest");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

fn last_lines(text: &[u8], number: usize) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(number)..].join("\n")
}

/// Runs to the end; gives standard output's bytes.
fn bytes_of(command: &mut Command) -> Result<Vec<u8>, String> {
    let name = command.get_program().display().to_string();
    let out = command.output().map_err(|e| format!("{name}: {e}"))?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    Err(format!("{name}: {}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim_end()))
}

/// A program of this machine, in the system's own folders first: another on `PATH` may not fit the rest.
fn program(name: &str) -> Option<PathBuf> {
    let system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    system.into_iter().chain(std::env::split_paths(&path)).map(|dir| dir.join(name)).find(|p| p.is_file())
}

/// What a test that starts a guest needs; said when it is left out.
pub fn able() -> bool {
    let has = |name| program(name).is_some();
    let needs = [
        ("qemu-system-x86_64 (Debian package qemu-system-x86)", has("qemu-system-x86_64")),
        ("mke2fs (e2fsprogs)", has("mke2fs")),
        ("busybox (busybox-static)", has("busybox")),
        ("dockerd (docker.io)", has("dockerd")),
        ("a kernel for the guest (`cargo xtask vm` unpacks it)", Kernel::find(&KERNELS[0]).is_ok()),
    ];
    needs.into_iter().all(|(what, have)| crate::live::need(what, have))
}
