//! A containerd of a test's own: socket, data and namespaces are private, nothing is left on the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cgroup::mounted;
use crate::image::busybox_root;
use crate::live;
use crate::running::{Running, Signal, output, until};
use crate::temp::TempDir;

/// The full name of the image that each namespace has.
pub const IMAGE: &str = "docker.io/library/busybox:local";

/// Stands for the daemon's folder.
const FOLDER: &str = "@FOLDER@";

/// The daemon; containers and folders go with it on drop.
#[derive(Debug)]
pub struct Containerd {
    daemon: Running,
    namespaces: Vec<String>,
    pods: String,
    dir: TempDir,
}

impl Containerd {
    /// Starts `containerd` with an image of busybox ([`IMAGE`]) in each of so many namespaces, or says that this
    /// test is left out.
    pub fn start(namespaces: usize) -> Option<Self> {
        let namespaces = (0..namespaces).map(|number| format!("ndt{}-{number}", std::process::id()));
        Self::start_with(namespaces.collect(), "disabled_plugins = ['io.containerd.grpc.v1.cri']\n")
    }

    /// The same with the container runtime interface, on the same socket, and the image in Kubernetes' namespace.
    /// Pods are made of that image too; they have no network of their own.
    pub fn start_with_cri() -> Option<Self> {
        let config = format!(
            "[plugins.'io.containerd.grpc.v1.cri']\n  sandbox_image = '{IMAGE}'\n  restrict_oom_score_adj = true\n  \
             disable_hugetlb_controller = true\n  netns_mounts_under_state_dir = true\n\
             [plugins.'io.containerd.grpc.v1.cri'.containerd]\n  snapshotter = 'native'\n\
             [plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc]\n  runtime_type = 'io.containerd.runc.v2'\n\
             [plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc.options]\n  Root = '{FOLDER}/runc'\n\
             [plugins.'io.containerd.grpc.v1.cri'.cni]\n  bin_dir = '{FOLDER}/cni'\n  conf_dir = '{FOLDER}/cni'\n"
        );
        Self::start_with(vec!["k8s.io".to_owned()], &config)
    }

    fn start_with(namespaces: Vec<String>, config: &str) -> Option<Self> {
        let installed = Path::new("/usr/bin/containerd").exists() && Path::new("/usr/bin/ctr").exists();
        if !live::root() || !live::need("containerd and ctr (Debian package containerd)", installed) {
            return None;
        }
        let dir = TempDir::new("containerd");
        let at = dir.path().display().to_string();
        let own = format!(
            "version = 2\nroot = '{at}/root'\nstate = '{at}/state'\n{}\n\
             [grpc]\n  address = '{at}/containerd.sock'\n[ttrpc]\n  address = '{at}/containerd.sock.ttrpc'\n\
             [plugins.'io.containerd.internal.v1.opt']\n  path = '{at}/opt'\n",
            config.replace(FOLDER, &at)
        );
        dir.write("config.toml", own);
        let pods = format!("ndt{}-pods", std::process::id());
        let containerd = Self { daemon: daemon(dir.path()), namespaces, pods, dir };
        containerd.wait();
        let archive = containerd.archive();
        for namespace in &containerd.namespaces {
            containerd.run(namespace, &["images", "import", "--snapshotter", "native", &archive]);
        }
        Some(containerd)
    }

    /// The cgroup to make pods in.
    pub fn pods(&self) -> String {
        format!("/{}", self.pods)
    }

    /// The socket's path.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("containerd.sock")
    }

    /// The name of a namespace, by its number.
    pub fn namespace(&self, number: usize) -> &str {
        &self.namespaces[number]
    }

    /// `ctr -n NAMESPACE ARGS`, not started yet.
    pub fn command(&self, namespace: &str, args: &[&str]) -> Command {
        let mut ctr = Command::new("/usr/bin/ctr");
        ctr.arg("-a").arg(self.socket()).args(["-n", namespace]).args(args);
        ctr
    }

    /// Runs `ctr -n NAMESPACE ARGS` and gives its output; panics when it fails.
    pub fn run(&self, namespace: &str, args: &[&str]) -> String {
        output(&mut self.command(namespace, args))
    }

    /// `ctr run FLAGS IMAGE ID COMMAND`.
    pub fn container(&self, namespace: &str, flags: &[&str], id: &str, command: &[&str]) {
        self.container_on(namespace, "native", flags, id, command);
    }

    /// As [`Self::container`], with this snapshotter.
    pub fn container_on(
        &self,
        namespace: &str,
        snapshotter: &str,
        flags: &[&str],
        id: &str,
        command: &[&str],
    ) {
        let folder = |name: &str| self.dir.path().join(name).display().to_string();
        let (runc, fifos) = (folder("runc"), folder("fifos"));
        let first = ["run", "--snapshotter", snapshotter, "--runc-root", &runc, "--fifo-dir", &fifos];
        self.run(namespace, &[&first[..], flags, &[IMAGE, id], command].concat());
    }

    /// The first process of a container.
    pub fn pid_of(&self, namespace: &str, id: &str) -> u32 {
        let list = self.run(namespace, &["task", "ls"]);
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(id)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Kills the daemon; containers run on.
    pub fn stop(&mut self) {
        self.daemon.signal(Signal::KILL);
        self.daemon.wait(Duration::from_secs(10)).unwrap();
    }

    /// Starts it once more.
    pub fn start_again(&mut self) {
        self.daemon = daemon(self.dir.path());
        self.wait();
    }

    fn wait(&self) {
        let up = until(Duration::from_mins(1), || {
            self.command("none", &["version"]).output().is_ok_and(|out| out.status.success())
        });
        assert!(up, "containerd did not come up:\n{}", self.daemon.said());
    }

    /// Makes an archive of the image as `docker save` does.
    fn archive(&self) -> String {
        let root = busybox_root();
        let image = TempDir::new("image");
        let layer = image.path().join("layer.tar");
        output(Command::new("tar").arg("-C").arg(root.path()).arg("-cf").arg(&layer).arg("."));
        let sum = output(Command::new("sha256sum").arg(&layer));
        let digest = sum.split(' ').next().unwrap();
        image.write(
            "config.json",
            format!(
                r#"{{"architecture":"{}","os":"linux","config":{{"Env":["PATH=/bin"],"Cmd":["sleep","100000"]}},
                    "rootfs":{{"type":"layers","diff_ids":["sha256:{digest}"]}},"history":[]}}"#,
                if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
            ),
        );
        image.write(
            "manifest.json",
            format!(r#"[{{"Config":"config.json","RepoTags":["{IMAGE}"],"Layers":["layer.tar"]}}]"#),
        );
        let archive = self.dir.path().join("image.tar");
        output(Command::new("tar").arg("-C").arg(image.path()).arg("-cf").arg(&archive).args([
            "manifest.json",
            "config.json",
            "layer.tar",
        ]));
        archive.display().to_string()
    }
}

fn daemon(at: &Path) -> Running {
    // In a mount namespace of its own: what it mounts goes with it.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "/usr/bin/containerd", "--config"]);
    Running::start(command.arg(at.join("config.toml")).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if !self.daemon.is_running() {
            self.daemon = daemon(self.dir.path());
            let _ = self.daemon.says("containerd successfully booted", Duration::from_secs(20));
        }
        for namespace in &self.namespaces {
            for (list, remove) in
                [(["task", "ls", "-q"], &["task", "rm", "-f"][..]), (["c", "ls", "-q"], &["c", "rm"])]
            {
                let Ok(listed) = self.command(namespace, &list).output() else { continue };
                let ids = String::from_utf8_lossy(&listed.stdout).into_owned();
                for id in ids.split_whitespace() {
                    let _ = self.command(namespace, &[remove, &[id]].concat()).output();
                }
            }
        }
        self.daemon.signal(Signal::TERM);
        let _ = self.daemon.wait(Duration::from_secs(20));
        for cgroup in self.namespaces.iter().chain([&self.pods]) {
            for hierarchy in mounted() {
                let _ = fs::remove_dir(hierarchy.mount.join(cgroup));
            }
        }
    }
}
