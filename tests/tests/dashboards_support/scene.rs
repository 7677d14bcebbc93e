//! Containers whose load gives every figure that is asked for.

use std::{os::unix::fs::MetadataExt, process::Command};

use rustix::fs::{major, minor};
use tests::{
    cgroup::{Slices, hierarchies},
    containerd::Containerd,
    docker::Docker,
    image::{BUSYBOX, import_busybox},
    running::output,
    temp::TempDir,
};

use super::queries::STATE;

/// Reads and writes past the page cache, for ever.
const WORK: &str = "while :; do dd if=/dev/zero of=/f bs=64k count=16 oflag=direct; \
                    dd if=/f of=/dev/null bs=64k iflag=direct; sleep 0.3; done 2> /dev/null";
/// Since 6.10 version 1 counts a cgroup's bytes once it had a limit; this one is felt by nobody.
fn count_bytes(path: &str) {
    let device = std::fs::metadata(std::env::temp_dir()).unwrap().dev();
    let limit = format!("{}:{} 1099511627776\n", major(device), minor(device));
    for hierarchy in hierarchies() {
        let folder = hierarchy.mount.join(path.trim_start_matches('/'));
        for file in ["blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device"] {
            if folder.join(file).exists() {
                std::fs::write(folder.join(file), &limit).unwrap();
            }
        }
    }
}

const SPIN: &str = "while :; do :; done";

/// A Docker engine with containers at work.
pub struct Engine {
    pub docker: Docker,
}

impl Engine {
    /// `web` is well and talks, `ill` fails its check, `spin` is held back by a quota, `writer` reads and writes.
    pub fn start() -> Option<Self> {
        let docker = Docker::start()?;
        import_busybox(&docker);
        let compose = ["--label", "com.docker.compose.project=shop"];
        let served = "busybox httpd -p 80; sleep 1000";
        docker.container(
            &[&["--name", "web", "-m", "64m"], &compose[..], &[BUSYBOX, "sh", "-c", served]].concat(),
        );
        let check = ["--health-cmd", "false", "--health-interval", "1s", "--health-retries", "1"];
        docker.container(&[&["--name", "ill"], &check[..], &[BUSYBOX, "sleep", "1000"]].concat());
        docker.container(&["--name", "spin", "--cpus", "0.2", BUSYBOX, "sh", "-c", SPIN]);
        let writer = docker.container(&["--name", "writer", BUSYBOX, "sh", "-c", WORK]);
        count_bytes(&format!("/docker/{writer}"));
        let target = docker.address_of("web");
        let talk = format!("while :; do wget -q -O - http://{target}/; sleep 0.2; done 2> /dev/null");
        docker.container(&["--name", "talk", BUSYBOX, "sh", "-c", &talk]);
        Some(Self { docker })
    }

    pub fn flag(&self) -> String {
        format!("--docker=unix://{}", self.docker.socket().display())
    }
}

/// A pod with a network and a container under a quota that works on the disk, in cgroups as the kubelet makes them.
pub struct Pods {
    containerd: Containerd,
    _slices: Slices,
    state: TempDir,
}

const POD_UID: &str = "9c3a9f36-2a3b-4c5d-8e9f-0123456789ab";

impl Pods {
    pub fn start() -> Option<Self> {
        let containerd = Containerd::start(1)?;
        let path = format!("/kubepods/burstable/pod{POD_UID}");
        let slices = Slices::missing(&path);
        let state = TempDir::new("state");
        state.write("kube.prom", STATE);
        let pods = Self { containerd, _slices: slices, state };
        let sandbox = pods.run("a", &path, &["io.cri-containerd.kind=sandbox"], &[], "sleep 1000");
        let namespace = ["-t", &sandbox, "-n", "ip", "link", "add", "eth0", "type", "bridge"];
        output(Command::new("nsenter").args(namespace));
        let network = format!("network:/proc/{sandbox}/ns/net");
        let limits = [
            "--with-ns",
            &network,
            "--cpu-quota",
            "20000",
            "--cpu-period",
            "100000",
            "--memory-limit",
            "67108864",
        ];
        let labels = ["io.cri-containerd.kind=container", "io.kubernetes.container.name=web"];
        // One of the two is always at work, so that the quota is felt.
        pods.run("b", &path, &labels, &limits, &format!("({SPIN}) & {WORK}"));
        Some(pods)
    }

    /// Starts a container of the pod and gives its process.
    fn run(&self, digit: &str, path: &str, labels: &[&str], flags: &[&str], command: &str) -> String {
        let id = digit.repeat(64);
        let pod = ["io.kubernetes.pod.name=web-0", "io.kubernetes.pod.namespace=shop"];
        let uid = format!("io.kubernetes.pod.uid={POD_UID}");
        let labels = labels.iter().chain(&pod).copied().chain([uid.as_str()]);
        let labels: Vec<&str> = labels.flat_map(|label| ["--label", label]).collect();
        let cgroup = format!("{path}/{id}");
        let namespace = self.containerd.namespace(0);
        let all = [&["-d", "--cgroup", &cgroup], &labels[..], flags].concat();
        self.containerd.container(namespace, &all, &id, &["sh", "-c", command]);
        count_bytes(&cgroup);
        self.containerd.pid_of(namespace, &id).to_string()
    }

    pub fn flags(&self) -> Vec<String> {
        vec![
            format!("--containerd={}", self.containerd.socket().display()),
            format!("--collector.textfile.directory={}", self.state.path().display()),
            "--docker=".to_owned(),
            "--podman=".to_owned(),
            "--container.labels=kubelet".to_owned(),
            "--scrape.share=0".to_owned(),
        ]
    }
}
