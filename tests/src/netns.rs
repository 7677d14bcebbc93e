//! Network namespaces made for a test, and the reference beside ours within them.

use std::{
    collections::BTreeMap,
    fs::File,
    net::SocketAddr,
    os::fd::AsFd,
    panic::resume_unwind,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::{
    exporter::{Exporter, binary},
    http, live,
    page::{Page, Sample},
    prometheus::program,
    running::{Running, until},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A reading of something that changes may fall out of the bracket now and then; a wrong one falls out each time.
const ATTEMPTS: u32 = 5;

/// A network namespace with a loopback; gone on drop with all that is in it.
#[derive(Debug)]
pub struct Space(String);

impl Space {
    fn new(tag: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let space = Self(format!("nt-{tag}-{}-{number}", std::process::id()));
        run(Command::new("ip").args(["netns", "add", &space.0]));
        space.ip("link set lo up");
        space
    }

    /// Runs `ip` in it.
    pub fn ip(&self, arguments: &str) {
        run(Command::new("ip").args(["-n", &self.0]).args(arguments.split(' ')));
    }

    /// Runs many lines of `ip` in it.
    pub fn ip_batch(&self, lines: &str) {
        let file = crate::temp::TempDir::new("batch");
        let file = file.write("lines", lines);
        run(Command::new("ip").args(["-n", &self.0, "-batch"]).arg(file));
    }

    /// Runs `tc` in it.
    pub fn tc(&self, arguments: &str) {
        run(Command::new("tc").args(["-n", &self.0]).args(arguments.split(' ')));
    }

    /// Runs a line of shell in it, with its `/sys`.
    pub fn shell(&self, line: &str) {
        run(self.command(Path::new("sh")).args(["-c", line]));
    }

    /// A program in it, with its `/sys`.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// Runs the test on a thread within a namespace of its own; left out where none can be made.
pub fn within(tag: &str, test: impl FnOnce(&Space) + Send) {
    let can = rustix::process::geteuid().is_root()
        && ["ip", "tc"]
            .iter()
            .all(|tool| Command::new(tool).arg("-V").stdout(Stdio::null()).status().is_ok());
    if !live::need("root, and the commands ip and tc", can) {
        return;
    }
    let space = Space::new(tag);
    let inside = || {
        let file = File::open(format!("/run/netns/{}", space.0)).unwrap();
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        test(&space);
    };
    std::thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|panic| resume_unwind(panic));
}

/// The reference and ours with the same flags in a namespace.
#[derive(Debug)]
pub struct Pair {
    reference: Running,
    address: SocketAddr,
    ours: Exporter,
}

impl Pair {
    /// To be called within the namespace; `None` where there is no reference.
    pub fn start(space: &Space, flags: &[&str]) -> Option<Self> {
        let reference = program("prometheus-node-exporter")?;
        let address = http::free_address();
        let mut command = space.command(&reference);
        command.args(["--collector.disable-defaults", "--web.disable-exporter-metrics"]).args(flags);
        let reference = Running::start(command.arg(format!("--web.listen-address={address}")));
        let up = until(Duration::from_secs(20), || http::get(address, "/").is_ok());
        assert!(up, "the reference did not start: {}", reference.said());
        let mut command = space.command(&binary());
        command.args(["--collector.disable-defaults", "--scrape.share=0", "--ebpf=off"]);
        command.args(["--no-container", "--docker="]).args(flags);
        let ours = Exporter::start_with(http::free_address(), &mut command);
        Some(Self { reference, address, ours })
    }

    /// Reads the reference, ours, the reference: the same series, and each of our values between its two. Gives ours.
    pub fn same(&self, at_least: usize) -> Page {
        let reference = || Page::parse(&http::get(self.address, "/metrics").unwrap().text());
        let mut last = Vec::new();
        for _ in 0..ATTEMPTS {
            let (before, ours, after) = (reference(), self.ours.page(), reference());
            last = differences(&before, &ours, &after);
            let count = series(&ours).len();
            assert!(count >= at_least, "{count} series are too few to mean much");
            if last.is_empty() {
                return ours;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{last:#?}\n{}\n{}", self.ours.process.said(), self.reference.said());
    }
}

type Series<'a> = BTreeMap<(&'a str, &'a BTreeMap<String, String>), &'a Sample>;

fn series(page: &Page) -> Series<'_> {
    let is_timing = |sample: &&Sample| sample.name.starts_with("node_scrape_collector_duration");
    let is_ours =
        |sample: &&Sample| sample.name.starts_with("node_") && !sample.name.starts_with("node_exporter_");
    let samples = page.samples.iter().filter(is_ours).filter(|sample| !is_timing(sample));
    samples.map(|sample| ((sample.name.as_str(), &sample.labels), sample)).collect()
}

fn differences(before: &Page, ours: &Page, after: &Page) -> Vec<String> {
    let (first, here, second) = (series(before), series(ours), series(after));
    let mut differences = Vec::new();
    for (key, sample) in &here {
        let (Some(a), Some(b)) = (first.get(key), second.get(key)) else {
            differences.push(format!("only ours: {sample:?}"));
            continue;
        };
        if !(a.value.min(b.value)..=a.value.max(b.value)).contains(&sample.value) {
            differences.push(format!("{} to {}: {sample:?}", a.value, b.value));
        }
        if before.types.get(&sample.name) != ours.types.get(&sample.name) {
            differences.push(format!("other type: {}", sample.name));
        }
    }
    let missing = first.iter().filter(|(key, _)| !here.contains_key(key));
    differences.extend(missing.map(|(_, sample)| format!("missing: {sample:?}")));
    differences
}
