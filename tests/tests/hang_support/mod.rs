//! File systems that do not answer, and an exporter that meets them.

pub mod frozen;
pub mod fuse;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::Signal;
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tests::exporter::Exporter;
use tests::http::{Connection, free_address};
use tests::page::Page;
use tests::running::until;
use tests::temp::TempDir;

/// From here on this thread, and what it starts, has mounts of its own.
pub fn own_mounts() {
    // SAFETY: the thread leaves the mount namespace only; its file descriptors stay as they are.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
}

/// What does not answer until it is let go. Let go when dropped, too.
pub trait Hangs {
    fn let_go(&mut self);
}

/// Nothing hangs.
impl Hangs for () {
    fn let_go(&mut self) {}
}

impl<H: Hangs, const N: usize> Hangs for [H; N] {
    fn let_go(&mut self) {
        self.iter_mut().for_each(Hangs::let_go);
    }
}

/// An exporter beside what hangs.
pub struct Scene<H: Hangs> {
    // Dropped first: a thread that hangs cannot be killed, and its process is waited for.
    pub hangs: H,
    address: SocketAddr,
    flags: Vec<String>,
    exporter: Exporter,
    ended: Vec<Exporter>,
    _procfs: TempDir,
}

impl<H: Hangs> Scene<H> {
    pub fn new(hangs: H, flags: &[&str]) -> Self {
        // Without process 1, so that the exporter takes its own mounts for the host's.
        let procfs = TempDir::new("proc");
        for name in ["self", "loadavg", "stat", "meminfo", "diskstats", "net", "cpuinfo", "cgroups"] {
            std::os::unix::fs::symlink(format!("/proc/{name}"), procfs.path().join(name)).unwrap();
        }
        let mut all =
            vec![format!("--path.procfs={}", procfs.path().display()), "--scrape.share=0".to_owned()];
        all.extend(flags.iter().map(|&flag| flag.to_owned()));
        let address = free_address();
        let exporter = start(address, &all);
        Self { hangs, address, flags: all, exporter, ended: Vec::new(), _procfs: procfs }
    }

    /// Ends the exporter, none of whose threads hangs.
    pub fn end(self) -> H {
        self.hangs
    }

    /// One scrape with a timeout of a second, within which it must be there.
    pub fn scrape(&self) -> Page {
        let begun = Instant::now();
        let headers = [("X-Prometheus-Scrape-Timeout-Seconds", "1"), ("Connection", "close")];
        let answer = Connection::open(self.address).unwrap().request("GET", "/metrics", &headers).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        // The exporter's clock begins when it has read the request.
        assert!(begun.elapsed() < Duration::from_millis(1500), "took {:?}", begun.elapsed());
        let page = Page::parse(&answer.text());
        for collector in ["loadavg", "stat", "cpufreq", "thermal_zone", "time"] {
            let outcome = outcome(&page, collector);
            assert!(matches!(outcome.as_str(), "ok" | "absent"), "{collector}: {outcome}");
        }
        assert!(page.value("node_load1", &[]).is_some());
        page
    }

    /// Twenty scrapes, of which `check` sees each; the number of threads comes to rest.
    pub fn scrape_often(&self, check: impl Fn(&Page)) {
        let mut threads = BTreeSet::new();
        for scrape in 0..20 {
            check(&self.scrape());
            assert_eq!(self.exporter.get("/-/healthy").status, 200);
            if scrape >= 3 {
                threads.insert(threads_of(self.exporter.process.pid()).len());
            }
        }
        // (The thread in reserve may come or go.)
        assert!(threads.len() <= 2, "{threads:?}\n{}", self.exporter.process.said());
        assert!(threads.last().unwrap() - threads.first().unwrap() <= 1, "{threads:?}");
    }

    /// Ends the exporter while a thread of it hangs, in good order and by force: it leaves nothing but that thread, and
    /// another one starts on the same port.
    pub fn ends_and_starts_anew(&mut self) {
        for signal in [Signal::TERM, Signal::KILL] {
            self.scrape();
            let pid = self.exporter.process.pid();
            let programs = self.exporter.bpf_programs();
            assert!(self.hanging() > 0, "no thread hangs");
            self.exporter.process.signal(signal);
            let is_free = || std::net::TcpListener::bind(self.address).is_ok();
            assert!(until(Duration::from_secs(5), is_free), "{signal:?}: the port is still taken");
            let loaded =
                || aya::programs::loaded_programs().filter_map(Result::ok).map(|program| program.id());
            let gone = until(Duration::from_secs(5), || !loaded().any(|id| programs.contains(&id)));
            assert!(
                gone && !programs.is_empty(),
                "{signal:?}: {programs:?} are still loaded, or there were none"
            );
            let next = start(self.address, &self.flags);
            let still_hangs = threads_of(pid).iter().any(|thread| is_beyond_signals(thread));
            assert!(still_hangs, "{signal:?}: the thread hangs no more");
            self.ended.push(std::mem::replace(&mut self.exporter, next));
        }
    }

    /// How many of the exporter's threads wait for what does not answer.
    pub fn hanging(&self) -> usize {
        let place = |thread: &PathBuf| std::fs::read_to_string(thread.join("wchan")).unwrap_or_default();
        let waits = |thread: &&PathBuf| is_beyond_signals(thread) || place(thread) == "request_wait_answer";
        threads_of(self.exporter.process.pid()).iter().filter(waits).count()
    }

    /// The exporters that were ended are gone as soon as nothing holds them.
    pub fn ended_are_gone(&mut self) {
        for exporter in &mut self.ended {
            assert!(exporter.process.wait(Duration::from_secs(10)).is_some(), "a thread still hangs");
        }
    }
}

/// Each thread's folder in `/proc`; none if there is no such process.
fn threads_of(pid: u32) -> Vec<PathBuf> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    tasks.into_iter().flatten().filter_map(|task| Some(task.ok()?.path())).collect()
}

/// Whether the thread is in a sleep that no signal ends.
fn is_beyond_signals(thread: &Path) -> bool {
    std::fs::read_to_string(thread.join("stat")).is_ok_and(|stat| stat.contains(") D "))
}

fn start(address: SocketAddr, flags: &[String]) -> Exporter {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Exporter::start_at(address, &flags)
}

/// What the collector came to.
pub fn outcome(page: &Page, collector: &str) -> String {
    let collector = [("collector", collector)];
    let mut outcomes = page.matching("nodetally_collector_outcome", &collector);
    outcomes.next().and_then(|sample| sample.labels.get("outcome")).cloned().unwrap_or_default()
}
