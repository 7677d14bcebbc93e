//! A Docker engine of a test's own: socket, data, bridge and containerd namespace are private, nothing is
//! left on the machine. It sets no packet filter rule and turns no forwarding on; containers reach each other
//! and the host over the bridge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cgroup::mounted;
use crate::live;
use crate::mounts::Mounts;
use crate::running::{Running, Signal, output, until};
use crate::temp::TempDir;

/// The engine; containers, images, bridge and folders go with it on drop.
#[derive(Debug)]
pub struct Docker {
    daemon: Running,
    /// They stay while the daemon is started anew.
    mounts: Mounts,
    bridge: String,
    dir: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// Engines of one process would share the bridge and its address.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

impl Docker {
    /// Starts `dockerd`, or says that this test is left out.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// As [`Self::start`], with these flags besides.
    pub fn start_with(flags: &[&str]) -> Option<Self> {
        let installed = Path::new("/usr/sbin/dockerd").exists() || Path::new("/usr/bin/dockerd").exists();
        if !live::root() || !live::need("dockerd (Debian package docker.io)", installed) {
            return None;
        }
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = TempDir::new("docker");
        let number = std::process::id() % 200;
        let bridge = format!("ndt{}", std::process::id());
        let _ = Command::new("ip").args(["link", "del", &bridge]).output();
        output(Command::new("ip").args(["link", "add", &bridge, "type", "bridge"]));
        output(Command::new("ip").args(["addr", "add", &format!("10.213.{number}.1/24"), "dev", &bridge]));
        output(Command::new("ip").args(["link", "set", &bridge, "up"]));
        // As systemd has it everywhere and `-v /:/host:rslave` wants.
        let mounts = Mounts::new("shared", "");
        let daemon = Running::start(&mut daemon(&mounts, dir.path(), &bridge, flags));
        let docker = Self { daemon, mounts, bridge, dir, _turn: turn };
        docker.wait();
        Some(docker)
    }

    fn wait(&self) {
        assert!(self.answers(), "dockerd did not come up:\n{}", self.daemon.said());
    }

    fn answers(&self) -> bool {
        until(Duration::from_mins(1), || {
            self.command(&["version"]).output().is_ok_and(|out| out.status.success())
        })
    }

    /// Ends the daemon; with `--live-restore` its containers run on.
    pub fn stop(&mut self) {
        self.daemon.signal(Signal::TERM);
        assert!(self.daemon.wait(Duration::from_mins(1)).is_some(), "dockerd stays: {}", self.daemon.said());
    }

    /// Starts the daemon anew where its folders are, with these flags.
    pub fn start_again(&mut self, flags: &[&str]) {
        self.run_daemon(flags);
        self.wait();
    }

    fn run_daemon(&mut self, flags: &[&str]) {
        self.daemon = Running::start(&mut daemon(&self.mounts, self.dir.path(), &self.bridge, flags));
    }

    /// The socket's path.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// The bridge's name on the host.
    pub fn bridge(&self) -> &str {
        &self.bridge
    }

    /// The bridge's address on the host, which containers reach.
    pub fn host_address(&self) -> String {
        format!("10.213.{}.1", std::process::id() % 200)
    }

    /// `docker ARGS` against this engine, not started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        // Debian's own client fits its daemon; a newer one on PATH may not build with it.
        let debian = Path::new("/usr/bin/docker");
        let mut docker = Command::new(if debian.exists() { debian } else { Path::new("docker") });
        docker.arg("-H").arg(format!("unix://{}", self.socket().display())).args(args);
        docker.env("DOCKER_CONFIG", self.dir.path()).env("DOCKER_BUILDKIT", "0");
        docker
    }

    /// Runs `docker ARGS` and gives its output without the last newline; panics when it fails.
    pub fn run(&self, args: &[&str]) -> String {
        output(&mut self.command(args)).trim_end().to_owned()
    }

    /// `docker run -d ARGS`, gives the container's id.
    pub fn container(&self, args: &[&str]) -> String {
        self.run(&[&["run", "-d"], args].concat())
    }

    /// A container's address on the bridge.
    pub fn address_of(&self, container: &str) -> String {
        self.run(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", container])
    }

    /// Makes an image from a root folder; the changes are instructions such as `ENV A=b`.
    pub fn import(&self, folder: &Path, tag: &str, changes: &[&str]) {
        let mut tar = Command::new("tar");
        let archive = self.dir.path().join("import.tar");
        output(tar.arg("-C").arg(folder).arg("-cf").arg(&archive).arg("."));
        let file = archive.display().to_string();
        let mut args = vec!["import"];
        args.extend(changes.iter().flat_map(|change| ["--change", change]));
        args.extend([file.as_str(), tag]);
        self.run(&args);
        fs::remove_file(archive).unwrap();
    }
}

fn daemon(mounts: &Mounts, at: &Path, bridge: &str, flags: &[&str]) -> Command {
    let folder = |name: &str| at.join(name).display().to_string();
    let mut command = mounts.command(&["dockerd"]);
    command.args(["--data-root", &folder("root"), "--exec-root", &folder("exec")]);
    command.args(["--pidfile", &folder("pid"), "--host", &format!("unix://{}", folder("docker.sock"))]);
    command.args(["--bridge", bridge, "--iptables=false", "--ip-forward=false", "--ip-masq=false"]);
    command.args(["--userland-proxy=false", "--exec-opt", "native.cgroupdriver=cgroupfs"]);
    command.args(["--containerd-namespace", bridge, "--containerd-plugins-namespace"]);
    command.arg(format!("{bridge}-plugins")).args(flags).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

impl Drop for Docker {
    fn drop(&mut self) {
        if !self.daemon.is_running() {
            // A test failed meanwhile; its containers may run still.
            self.run_daemon(&["--live-restore"]);
            self.answers();
        }
        if let Ok(out) = self.command(&["ps", "-aq"]).output() {
            let ids = String::from_utf8_lossy(&out.stdout).into_owned();
            let ids: Vec<&str> = ids.split_whitespace().collect();
            if !ids.is_empty() {
                let _ = self.command(&[&["rm", "-f", "-v"], &ids[..]].concat()).output();
            }
        }
        // Their bridges would outlive the daemon.
        let _ = self.command(&["network", "prune", "--force"]).output();
        self.daemon.signal(Signal::TERM);
        let _ = self.daemon.wait(Duration::from_secs(20));
        let _ = Command::new("ip").args(["link", "del", &self.bridge]).output();
        for hierarchy in mounted() {
            // Only when no other engine uses it: a folder with children is not removed.
            let _ = fs::remove_dir(hierarchy.mount.join("docker"));
        }
    }
}
