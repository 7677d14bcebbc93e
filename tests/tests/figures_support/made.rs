//! The containers and what each was made to do.

use std::{collections::BTreeMap, fs::File, io::Write, process::Command, time::Duration};

use tests::{
    cgroup::Cgroup,
    disk::LoopDevice,
    docker::Docker,
    image::{BUSYBOX, import_busybox},
    load,
    running::{Running, is_slow, output, until},
    temp::TempDir,
};

use super::is_unified;

const MIB: u64 = 1 << 20;
const PORT: u16 = 9000;

/// How much each does; a slow machine does less.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Written to a file and left in the page cache.
    pub cached: u64,
    /// Anonymous memory.
    pub anonymous: u64,
    /// Written and read past the page cache.
    pub direct: u64,
    /// Sent from one container to another.
    pub sent: u64,
    /// CPU time of the one without a quota.
    pub burnt: Duration,
    /// CPU time of the one with limits, on its one CPU.
    pub limited: Duration,
    /// CPU time of the one with a quota of [`QUOTA`].
    pub throttled: Duration,
}

/// The limit of the container whose children are killed for want of memory, and the number of them.
pub const KILL_LIMIT: u64 = 64 * MIB;
pub const KILLED: usize = 2;
/// The limits, as given to `docker run`.
pub const LIMITED: &[&str] = &[
    "--memory=128m",
    "--memory-reservation=64m",
    "--memory-swap=192m",
    "--cpu-quota=50000",
    "--cpu-period=125000",
    "--cpu-shares=300",
    "--cpuset-cpus=0",
    "--pids-limit=77",
];

/// A tenth of a CPU in short periods: who runs at all is held back, on a busy machine too.
const QUOTA: &[&str] = &["--cpu-quota=2000", "--cpu-period=20000"];

impl Sizes {
    pub fn here() -> Self {
        let share = if is_slow() { 4 } else { 1 };
        Self {
            cached: 100 * MIB / share,
            anonymous: 200 * MIB / share,
            direct: 16 * MIB / share,
            sent: 40 * MIB / share,
            burnt: Duration::from_millis(1500) / u32::try_from(share).unwrap(),
            limited: Duration::from_millis(200),
            throttled: Duration::from_millis(200) / u32::try_from(share).unwrap(),
        }
    }
}

/// Containers at the gate, and later at rest.
#[derive(Debug)]
pub struct Made {
    pub sizes: Sizes,
    /// Paths of the containers' cgroups by name.
    pub paths: BTreeMap<&'static str, String>,
    /// What is written to where version 1 counts on a disk only once somebody had a limit there.
    pub disk: Option<LoopDevice>,
    /// A plain cgroup with one that burns.
    pub plain: Cgroup,
    burner: Running,
    gates: BTreeMap<&'static str, File>,
    /// Of the host, seen by all as `/host`.
    shared: TempDir,
}

impl Made {
    /// Starts them; each waits at its gate.
    pub fn start(docker: &Docker) -> Self {
        import_busybox(docker);
        let sizes = Sizes::here();
        let mut made = Self {
            sizes,
            paths: BTreeMap::new(),
            disk: (!is_unified()).then(|| LoopDevice::new(sizes.direct)).flatten(),
            plain: Cgroup::new("figures"),
            burner: Running::start(&mut Command::new("true")),
            gates: BTreeMap::new(),
            shared: TempDir::new("figures"),
        };
        made.plain.limit_memory(100 * MIB);
        let volume = format!("{}:/host", made.shared.path().display());
        let load = "/bin/nodetally-load";
        let rest = "echo done; exec sleep 100000";
        let killed = format!("{load} memory {}; ", 4 * KILL_LIMIT).repeat(KILLED);
        let file = made.disk.as_ref().map_or("/host/file", LoopDevice::path).to_owned();
        let disk = made.disk.as_ref().map(LoopDevice::path).map_or_else(Vec::new, |path| {
            vec![format!("--device={path}"), format!("--device-write-bps={path}:1000gb")]
        });
        let disk: Vec<&str> = disk.iter().map(String::as_str).collect();
        let blocks = format!("bs=1M count={}", sizes.direct / MIB);
        let direct = format!(
            "dd if=/dev/zero of={file} {blocks} oflag=direct; dd if={file} of=/dev/null {blocks} iflag=direct; {rest}"
        );
        let cached = sizes.cached / MIB;
        let tasks = "sleep 100000 & sleep 100000 & sleep 100000 & echo done; exec sleep 100000";
        let again = "while read go < /host/cached; do cat /f > /dev/null; echo again; done";
        let sink = format!("exec {load} sink {PORT}");
        made.run(docker, "sink", &[&volume], &sink);
        let address = docker.address_of("sink");
        let limit = format!("--memory={KILL_LIMIT}");
        for (name, flags, work) in [
            ("limited", LIMITED, format!("exec {load} burn {}", sizes.limited.as_millis())),
            ("burner", &[][..], format!("exec {load} burn {}", sizes.burnt.as_millis())),
            ("throttled", QUOTA, format!("exec {load} burn {}", sizes.throttled.as_millis())),
            ("spinner", &["--cpus=0.1"][..], format!("exec {load} cpu 100")),
            (
                "cached",
                &[][..],
                format!("dd if=/dev/zero of=/f bs=1M count={cached} conv=fsync; echo done; {again}"),
            ),
            ("anonymous", &[][..], format!("exec {load} memory {}", sizes.anonymous)),
            ("direct", &disk, direct),
            ("sender", &[][..], format!("exec {load} send {address}:{PORT} {}", sizes.sent)),
            ("killed", &[limit.as_str()][..], format!("{killed}{rest}")),
            ("tasks", &["--pids-limit=50"][..], tasks.to_owned()),
            ("idle", &["--network=none"][..], rest.to_owned()),
        ] {
            made.run(docker, name, &[&[volume.as_str()], flags].concat(), &work);
        }
        made
    }

    /// A container that does this once its gate is opened.
    fn run(&mut self, docker: &Docker, name: &'static str, flags: &[&str], work: &str) {
        let gate = self.shared.path().join(name);
        output(Command::new("mkfifo").arg(&gate));
        // Held open for both, so that neither side waits for the other.
        self.gates.insert(name, File::options().read(true).write(true).open(&gate).unwrap());
        let script = format!("read go < /host/{name}; {work}");
        let flags = [&["--name", name, "--volume"], flags, &[BUSYBOX, "sh", "-c", &script]].concat();
        self.paths.insert(name, format!("/docker/{}", docker.container(&flags)));
    }

    /// Lets them go, and waits until what ends has ended.
    pub fn go(&mut self, docker: &Docker) {
        // Who sends to it comes later.
        self.open("sink");
        says(docker, "sink", "listening");
        self.gates.keys().filter(|name| **name != "sink").for_each(|name| self.open(name));
        let mut burn = Command::new(load::binary());
        burn.args(["burn", &self.sizes.burnt.as_millis().to_string()]);
        self.burner = self.plain.start(&burn);
        for (name, word) in [
            ("limited", "used"),
            ("tasks", "done"),
            ("idle", "done"),
            ("burner", "used"),
            ("throttled", "used"),
            ("cached", "done"),
            ("anonymous", "holding"),
            ("direct", "done"),
            ("sender", "sent"),
            ("killed", "done"),
        ] {
            says(docker, name, word);
        }
        assert!(self.burner.says("used", Duration::from_mins(1)), "{}", self.burner.said());
    }

    /// Has the file of the page cache read again: a busy machine takes its pages back at any time.
    pub fn read_again(&self, docker: &Docker) {
        let times = || docker.run(&["logs", "cached"]).matches("again").count();
        let before = times();
        self.open("cached");
        assert!(until(Duration::from_mins(1), || times() > before), "the file is not read again");
    }

    fn open(&self, name: &str) {
        (&self.gates[name]).write_all(b"go\n").unwrap();
    }

    /// The CPU time of the one in the plain cgroup.
    pub fn plain_used(&self) -> f64 {
        used(&self.burner.said())
    }

    /// The cgroup that `id` says.
    pub fn id(&self, name: &str) -> &str {
        &self.paths[name]
    }

    /// All cgroups of these containers, and the plain one.
    pub fn ids(&self) -> Vec<&str> {
        self.paths.values().map(String::as_str).chain([self.plain.path()]).collect()
    }
}

fn says(docker: &Docker, name: &str, word: &str) {
    let said = || {
        let out = docker.command(&["logs", name]).output().unwrap();
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    };
    assert!(until(Duration::from_mins(1), || said().contains(word)), "{name}: {}", said());
}

/// The CPU time that a burning container's own process has used.
pub fn used_by(docker: &Docker, name: &str) -> f64 {
    used(&docker.run(&["logs", name]))
}

fn used(said: &str) -> f64 {
    let nanoseconds = said.lines().find_map(|line| line.strip_prefix("used ")).unwrap();
    Duration::from_nanos(nanoseconds.trim().parse().unwrap()).as_secs_f64()
}
