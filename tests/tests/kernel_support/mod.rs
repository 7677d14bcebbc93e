//! What the live tests of the kernel half share.
#![allow(dead_code, reason = "each test file uses its part of it")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use exporter::source::bpf::{self, CgroupKey, Counters, CpuHierarchy, Kernel, Program, Reason, Request};

/// Figures are compared to the millisecond, so tests do not run beside each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The right to run; `None`, said aloud, where the kernel half cannot.
pub fn turn() -> Option<MutexGuard<'static, ()>> {
    let able = tests::live::root() && tests::live::need("BTF", Path::new(bpf::offsets::VMLINUX).exists());
    able.then(|| ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Where cgroup v2 is mounted.
pub fn v2_root() -> PathBuf {
    mounts("cgroup2", "rw").expect("cgroup v2 is mounted")
}

/// The hierarchy that CPU time is accounted in here.
pub fn cpu_hierarchy() -> CpuHierarchy {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    for line in own.lines() {
        let fields: Vec<_> = line.splitn(3, ':').collect();
        if fields[1].split(',').any(|c| c == "cpuacct") {
            let root = mounts("cgroup", "cpuacct").unwrap();
            return CpuHierarchy { id: fields[0].parse().unwrap(), root };
        }
    }
    CpuHierarchy { id: 0, root: v2_root() }
}

fn mounts(kind: &str, option: &str) -> Option<PathBuf> {
    let text = fs::read("/proc/self/mounts").unwrap();
    let text = String::from_utf8_lossy(&text);
    let found = text.lines().map(|l| l.split(' ').collect::<Vec<_>>());
    found.filter(|w| w[2] == kind && w[3].split(',').any(|o| o == option)).map(|w| PathBuf::from(w[1])).next()
}

pub fn request() -> Request {
    Request::new(cpu_hierarchy(), Some(v2_root()))
}

/// Loads, and asserts that all of the request runs.
pub fn load(request: &Request) -> Kernel {
    let kernel = bpf::load(request);
    for program in &request.programs {
        assert_eq!(kernel.status_of(*program), Reason::Ok, "{:?}", kernel.status);
    }
    kernel
}

/// A cgroup of the test's own in one hierarchy; removed on drop with all that runs in it.
pub struct Group {
    pub dir: PathBuf,
    pub key: CgroupKey,
}

impl Group {
    pub fn new(root: &Path, hierarchy: u32, tag: &str) -> Self {
        let dir = root.join(format!("nodetally-kernel-{tag}-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let key = CgroupKey::new(fs::metadata(&dir).unwrap().ino(), hierarchy);
        Self { dir, key }
    }

    /// In the hierarchy of CPU time.
    pub fn cpu(tag: &str) -> Self {
        let hierarchy = cpu_hierarchy();
        Self::new(&hierarchy.root, hierarchy.id, tag)
    }

    /// In cgroup v2.
    pub fn v2(tag: &str) -> Self {
        Self::new(&v2_root(), 0, tag)
    }

    /// Runs a shell script that is in the group before its first line.
    pub fn run(&self, script: &str) -> Child {
        let join = format!("echo $$ > {}/cgroup.procs && {script}", self.dir.display());
        Command::new("sh").arg("-c").arg(join).spawn().unwrap()
    }

    /// CPU time by the kernel's own file.
    pub fn kernel_cpu(&self) -> Duration {
        if let Ok(text) = fs::read_to_string(self.dir.join("cpuacct.usage")) {
            return Duration::from_nanos(text.trim().parse().unwrap());
        }
        let text = fs::read_to_string(self.dir.join("cpu.stat")).unwrap();
        let usage = text.lines().find_map(|l| l.strip_prefix("usage_usec ")).unwrap();
        Duration::from_micros(usage.parse().unwrap())
    }

    /// CPU time by ours, finished slices.
    pub fn our_cpu(&self, counters: &Counters) -> Duration {
        Duration::from_nanos(counters.cpu(counters.find(self.key).expect("a slot")).ns)
    }

    pub fn pids(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let end = Instant::now() + Duration::from_secs(5);
        while self.dir.exists() && Instant::now() < end {
            for pid in self.pids() {
                let _ = Command::new("kill").args(["-9", &pid]).status();
            }
            let _ = fs::remove_dir(&self.dir);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Ends the child whatever the test's end.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `done` for at most `limit`.
pub fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + tests::running::patience(limit);
    while Instant::now() < end {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    done()
}

/// Programs of this process' own that the kernel still holds, by name.
pub fn only(program: Program) -> Request {
    Request { programs: vec![program], ..request() }
}
