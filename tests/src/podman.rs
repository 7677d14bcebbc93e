//! A podman of a test's own: socket, storage, locks and caches are private, nothing is left on the machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::{Pid, kill_process};

use crate::{
    cgroup::mounted,
    image::{BUSYBOX, busybox_root},
    live,
    mounts::Mounts,
    running::{Running, Signal, output, until},
    temp::TempDir,
};

/// Podman keeps what it shares between its processes at fixed places.
const HIDE: &str = "for dir in /run /dev/shm /var/lib; do mount -t tmpfs none $dir; done";
/// The limits are those of a machine that lets nobody raise them.
const SETTINGS: &str =
    "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\nnetns = \"none\"\n";

/// Podman with its API's service; containers and folders go with it on drop.
#[derive(Debug)]
pub struct Podman {
    service: Running,
    mounts: Mounts,
    dir: TempDir,
}

impl Podman {
    /// Starts the service, with the image of [`crate::image::import_busybox`], or says that this test is left out.
    pub fn start() -> Option<Self> {
        let programs = ["/usr/bin/podman", "/usr/bin/conmon", "/usr/sbin/runc"];
        let installed = programs.iter().all(|program| Path::new(program).exists());
        if !live::root() || !live::need("podman and runc (Debian packages podman and docker.io)", installed) {
            return None;
        }
        let dir = TempDir::new("podman");
        dir.write("containers.conf", SETTINGS);
        let mounts = Mounts::new("private", HIDE);
        let service = Running::start(&mut service(&mounts, dir.path()));
        let podman = Self { service, mounts, dir };
        podman.wait();
        let archive = podman.dir.path().join("busybox.tar");
        let root = busybox_root();
        output(Command::new("tar").arg("-C").arg(root.path()).arg("-cf").arg(&archive).arg("."));
        podman.run(&["import", &archive.display().to_string(), BUSYBOX]);
        Some(podman)
    }

    /// Ends the service and starts it anew; its containers live on.
    pub fn restart_service(&mut self) {
        self.service.signal(Signal::TERM);
        assert!(self.service.wait(Duration::from_secs(20)).is_some(), "{}", self.service.said());
        self.service = Running::start(&mut service(&self.mounts, self.dir.path()));
        self.wait();
    }

    fn wait(&self) {
        let up =
            until(Duration::from_secs(30), || self.command(&["version"]).output().unwrap().status.success());
        assert!(up, "podman's service did not start: {}", self.service.said());
    }

    /// The socket of the Docker-compatible API.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("podman.sock")
    }

    /// Runs `podman ARGS` by way of the service and gives its output without the last newline.
    pub fn run(&self, args: &[&str]) -> String {
        output(&mut self.command(args)).trim_end().to_owned()
    }

    /// `podman run -d ARGS`, gives the container's id.
    pub fn container(&self, args: &[&str]) -> String {
        self.run(&[&["run", "-d"], args].concat())
    }

    /// A program among podman's mounts: `/run` is not the machine's there.
    pub fn within(&self, program: &[&str]) -> Command {
        self.mounts.command(program)
    }

    /// `podman ARGS` by way of the service, not started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        let url = format!("unix://{}", self.socket().display());
        let mut command = self.mounts.command(&["podman", "--remote", "--url", &url]);
        command.args(args);
        command
    }
}

fn service(mounts: &Mounts, at: &Path) -> Command {
    let folder = |name: &str| at.join(name).display().to_string();
    let mut command = mounts.command(&["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs"]);
    command.args(["--events-backend", "file", "--storage-driver", "vfs", "--root", &folder("root")]);
    command.args(["--runroot", &folder("runroot"), "--tmpdir", &folder("tmp")]);
    command.args(["system", "service", "--time", "0", &format!("unix://{}", folder("podman.sock"))]);
    command.env("CONTAINERS_CONF", at.join("containers.conf"));
    command
}

/// The monitor of what was run by `exec` waits for five minutes before it cleans up.
fn end_monitors(dir: &Path) {
    let dir = dir.display().to_string();
    for entry in fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| line.contains("conmon\0") && line.contains(&dir)) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.command(&["rm", "--force", "--all", "--time", "0"]).output();
        self.service.signal(Signal::TERM);
        let _ = self.service.wait(Duration::from_secs(20));
        end_monitors(self.dir.path());
        for hierarchy in mounted() {
            // Only when no other podman uses it: a folder with children is not removed.
            let parent = hierarchy.mount.join("libpod_parent");
            until(Duration::from_secs(2), || {
                let _ = fs::remove_dir(parent.join("conmon"));
                fs::remove_dir(&parent).is_ok() || !parent.exists()
            });
        }
    }
}
