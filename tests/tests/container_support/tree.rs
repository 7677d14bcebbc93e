//! A made-up tree of cgroups, and a made-up kernel half that counts for it.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use exporter::{
    config::{ContainerSettings, Paths},
    container::{
        ContainerHalf,
        kernel::{Counts, CpuCount, KernelSide, Key, Room, SocketCount, Switches},
    },
    metric,
    source::{
        cgroup::{Controller, Hierarchy, Layout, Mode},
        kmsg::Kmsg,
    },
};
use tests::temp::TempDir;

use super::Half;

/// Files in folders; the hierarchies are folders at its top.
#[derive(Debug)]
pub struct Tree {
    dir: TempDir,
    pub layout: Layout,
}

const MEMINFO: &str = "MemTotal: 1000 kB\nMemFree: 10 kB\nSwapTotal: 100 kB\nSwapFree: 40 kB\n";

fn hierarchy(dir: &TempDir, id: u32, name: &str) -> Hierarchy {
    let mount = dir.path().join(name);
    fs::create_dir(&mount).unwrap();
    Hierarchy { id, mount, top: Some(b"/".to_vec()) }
}

impl Tree {
    /// One tree at `cgroup`.
    pub fn v2() -> Self {
        let mut tree = Self::new(Mode::V2, &[(0, "cgroup")]);
        let all = Some(0);
        let layout = &mut tree.layout;
        (layout.cpu, layout.cpuacct, layout.memory, layout.unified) = (all, all, all, all);
        tree
    }

    /// `cpu`, `cpuacct`, `memory`, `blkio`, `cpuset`, `hugetlb` and `pids`, each alone.
    pub fn v1() -> Self {
        let mut tree = Self::new(Mode::V1, &[(1, "cpu"), (2, "cpuacct"), (3, "memory")]);
        let beside = [
            (Controller::Blkio, 4, "blkio"),
            (Controller::Cpuset, 5, "cpuset"),
            (Controller::Hugetlb, 6, "hugetlb"),
            (Controller::Pids, 7, "pids"),
        ];
        tree.layout.beside =
            beside.into_iter().map(|(of, id, name)| (of, hierarchy(&tree.dir, id, name))).collect();
        let layout = &mut tree.layout;
        (layout.cpu, layout.cpuacct, layout.memory) = (Some(0), Some(1), Some(2));
        tree
    }

    /// `cpu,cpuacct` in one, `memory`, and `unified` beside them.
    pub fn hybrid() -> Self {
        let mut tree = Self::new(Mode::Hybrid, &[(1, "cpu,cpuacct"), (3, "memory"), (0, "unified")]);
        let layout = &mut tree.layout;
        (layout.cpu, layout.cpuacct, layout.memory, layout.unified) = (Some(0), Some(0), Some(1), Some(2));
        tree
    }

    fn new(mode: Mode, hierarchies: &[(u32, &str)]) -> Self {
        let dir = TempDir::new("tree");
        dir.write("proc/meminfo", MEMINFO);
        dir.write("proc/stat", "cpu 1 2 3\nbtime 120\n");
        dir.write("proc/sys/kernel/random/boot_id", "b-1\n");
        dir.write("sys/devices/system/cpu/online", "0-3\n");
        dir.write("sys/class/dmi/id/product_uuid", "u-1\n");
        dir.write("etc/machine-id", "m-1\n");
        let layout = Layout {
            mode,
            hierarchies: hierarchies.iter().map(|(id, name)| hierarchy(&dir, *id, name)).collect(),
            cpu: None,
            cpuacct: None,
            memory: None,
            unified: None,
            beside: Vec::new(),
            partial: false,
        };
        Self { dir, layout }
    }

    /// Its top folder, which stands for the root of the file system.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes `name content` files into a folder.
    pub fn write(&self, folder: &str, files: &[(&str, &str)]) {
        fs::create_dir_all(self.dir.path().join(folder)).unwrap();
        for (name, content) in files {
            self.dir.write(&format!("{folder}/{name}"), content);
        }
    }

    /// CPU time of a version 2 cgroup, in microseconds.
    pub fn set_cpu(&self, folder: &str, microseconds: u64) {
        let text = format!("usage_usec {microseconds}\nuser_usec {microseconds}\nsystem_usec 0\n");
        self.write(folder, &[("cpu.stat", &text)]);
    }

    /// A new version 2 cgroup with its CPU time. A plain folder has no files at first, so that they are announced as
    /// those of a controller are.
    pub fn add(&self, folder: &str, microseconds: u64) {
        self.set_cpu(folder, microseconds);
        let (parent, _) = folder.rsplit_once('/').unwrap();
        self.write(parent, &[("cgroup.subtree_control", "\n")]);
    }

    pub fn remove(&self, folder: &str) {
        fs::remove_dir_all(self.dir.path().join(folder)).unwrap();
    }

    /// What the kernel half knows a version 2 cgroup by.
    pub fn key(&self, folder: &str) -> Key {
        Key { hierarchy: 0, id: fs::metadata(self.dir.path().join(folder)).unwrap().ino() }
    }

    pub fn half(&self, settings: &ContainerSettings, kernel: Option<KernelSide>) -> Half {
        self.half_hearing(settings, kernel, None)
    }

    /// As [`Self::half`], with a log of the kernel.
    pub fn half_hearing(
        &self,
        settings: &ContainerSettings,
        kernel: Option<KernelSide>,
        log: Option<Kmsg>,
    ) -> Half {
        let root = self.dir.path();
        let paths = Paths {
            procfs: root.join("proc"),
            sysfs: root.join("sys"),
            rootfs: root.to_owned(),
            udev_data: root.join("udev"),
        };
        let settings = ContainerSettings {
            machine_id_files: vec![root.join("etc/machine-id")],
            boot_id_files: vec![paths.procfs.join("sys/kernel/random/boot_id")],
            ..settings.clone()
        };
        let half = ContainerHalf::start_on(&self.layout, &settings, &paths, kernel, log).unwrap();
        Half { half, page: metric::Page::default() }
    }
}

/// Counts what a test says.
#[derive(Debug, Default)]
pub struct Fake {
    cpu: Mutex<HashMap<Key, CpuCount>>,
    sockets: Mutex<HashMap<Key, SocketCount>>,
    failed: AtomicBool,
}

impl Fake {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn side(self: &Arc<Self>) -> KernelSide {
        KernelSide { counts: Arc::clone(self) as Arc<dyn Counts>, lives: None }
    }

    /// CPU time of a cgroup's own tasks since it was first counted: finished, and running still.
    pub fn set_cpu(&self, key: Key, finished: Duration, running: Duration) {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
        let mut counted = self.cpu.lock().unwrap();
        let count = counted.entry(key).or_default();
        (count.finished, count.running) = (nanoseconds(finished), nanoseconds(running));
    }

    /// Voluntary and forced switches of a cgroup's own tasks; as many milliseconds on the first and second CPU.
    pub fn set_switches(&self, key: Key, voluntary: u64, forced: u64) {
        self.cpu.lock().unwrap().entry(key).or_default().switches = Switches { voluntary, forced };
    }

    pub fn set_sockets(&self, key: Key, count: SocketCount) {
        self.sockets.lock().unwrap().insert(key, count);
    }

    /// Nothing is counted any more.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    pub fn counted(&self) -> usize {
        self.cpu.lock().unwrap().len()
    }
}

impl Counts for Fake {
    fn counts_cpu(&self) -> bool {
        !self.failed.load(Ordering::Relaxed)
    }

    fn counts_sockets(&self) -> bool {
        self.counts_cpu()
    }

    fn enter(&self, key: Key) -> bool {
        self.cpu.lock().unwrap().entry(key).or_default();
        self.sockets.lock().unwrap().entry(key).or_default();
        true
    }

    fn enter_late(&self, key: Key) -> bool {
        self.enter(key)
    }

    fn leave(&self, key: Key) {
        self.cpu.lock().unwrap().remove(&key);
        self.sockets.lock().unwrap().remove(&key);
    }

    fn cpu(&self, key: Key) -> Option<CpuCount> {
        self.cpu.lock().unwrap().get(&key).copied()
    }

    fn add_by_cpu(&self, key: Key, times: &mut Vec<u64>) {
        let Some(count) = self.cpu(key) else { return };
        times.resize(times.len().max(2), 0);
        times[0] += count.switches.voluntary * 1_000_000;
        times[1] += count.switches.forced * 1_000_000;
    }

    fn sockets(&self, key: Key) -> Option<SocketCount> {
        self.sockets.lock().unwrap().get(&key).copied()
    }

    fn room(&self) -> Room {
        Room::default()
    }
}
