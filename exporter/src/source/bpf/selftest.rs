//! The proof: what the programs count of this very process must be what the kernel counts of it.
//!
//! A wrong offset of the right type loads and lies, so nothing is believed before this. Each test gives the
//! sentence for the log when it fails.

use std::{
    ffi::OsStr,
    fmt::Write,
    fs, io,
    net::UdpSocket,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use exporter_common::CgroupKey;
use rustix::time::{ClockId, clock_gettime};

use super::{
    Counters, Request, Slot,
    life::{Life, LifeEvents},
};

/// A wrong offset fails every time. A slice may be lost, rarely, on kernels that do not tell of every switch.
const TRIES: u32 = 3;
/// CPU time burnt for the proof.
const BURN: Duration = Duration::from_millis(10);
/// Times the burner gives the CPU up of its own will.
const NAPS: u32 = 3;
/// Given up after this long, on a host that gives us no CPU.
const PATIENCE: Duration = Duration::from_secs(2);
/// Niceness of the burner: its `vruntime`, a neighbour of the counter, then grows nine times too fast.
const NICE: i32 = 10;
/// How far above the kernel's figure ours may stand: a tick on each of two CPUs.
const ABOVE: Duration = Duration::from_millis(20);
/// How far below what the burner itself measured.
const BELOW: Duration = Duration::from_micros(500);

/// CPU time of this process' own cgroup grows by what a thread burns, and not by more than the kernel says.
pub fn cpu(counters: &Counters, request: &Request) -> Result<(), String> {
    let own = own_cgroups(request.cpu.id, &request.cpu.root)?;
    let slots: Vec<_> =
        own.iter().filter_map(|(dir, key)| Some((counters.enter(*key)?, dir.as_path()))).collect();
    let result = (1..TRIES)
        .find_map(|_| prove_cpu(counters, &slots).ok())
        .map_or_else(|| prove_cpu(counters, &slots), Ok);
    for (_, key) in &own {
        counters.leave(*key);
    }
    result
}

fn prove_cpu(counters: &Counters, own: &[(Slot, &Path)]) -> Result<(), String> {
    let before: Vec<_> = own.iter().map(|(slot, dir)| (kernel_ns(dir), counters.cpu(*slot))).collect();
    let burnt = thread::scope(|scope| scope.spawn(|| burn(counters)).join())
        .map_err(|_| "the burning thread died".to_owned())?;
    if burnt.time < Duration::from_millis(1) {
        return Err(format!("only {:?} of CPU time in {PATIENCE:?}", burnt.time));
    }
    if !burnt.seen {
        return Err("a running task was not seen by its pid".to_owned());
    }
    // The burner's last slice is charged when it is switched out for good, just after the join.
    let end = Instant::now() + Duration::from_millis(200);
    loop {
        counters.see_cpus();
        let mut seen = String::new();
        for ((slot, dir), (kernel_before, before)) in own.iter().zip(&before) {
            let now = counters.cpu(*slot);
            let ours = Burnt {
                time: Duration::from_nanos(now.ns.saturating_sub(before.ns)),
                voluntary: now.voluntary.saturating_sub(before.voluntary),
                forced: now.forced.saturating_sub(before.forced),
                seen: true,
            };
            let most = match (kernel_ns(dir), kernel_before) {
                (Some(after), Some(before)) => after.saturating_sub(*before) + ABOVE,
                _ => PATIENCE,
            };
            if ours.covers(burnt) && ours.time <= most {
                return Ok(());
            }
            let _ = write!(seen, "; {} counted {ours:?}, at most {most:?} are true", dir.display());
        }
        if Instant::now() > end {
            return Err(format!("burnt {burnt:?}{seen}"));
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// What a thread did by its own account, or a cgroup by ours.
#[derive(Debug, Clone, Copy)]
struct Burnt {
    time: Duration,
    voluntary: u64,
    forced: u64,
    /// The kernel half knew which task it was while it ran.
    seen: bool,
}

impl Burnt {
    /// Whether the part is in the whole. The thread's end is one more switch than it knows of.
    fn covers(self, part: Self) -> bool {
        self.time + BELOW >= part.time && self.voluntary >= part.voluntary && self.forced >= part.forced
    }
}

/// Datagrams over loopback arrive, and are counted in both directions to the byte or more.
pub fn net(counters: &Counters, request: &Request) -> Result<(), String> {
    const COUNT: u64 = 3;
    /// Payload, UDP header, IP header.
    const BYTES: u64 = 1000 + 8 + 20;
    let root = request.cgroup2_root.as_deref().unwrap_or(Path::new("/sys/fs/cgroup"));
    let own = own_cgroups(0, root)?;
    let slots: Vec<_> = own.iter().filter_map(|(_, key)| counters.enter(*key)).collect();
    let before: Vec<_> = slots.iter().map(|slot| counters.net(*slot).loopback).collect();
    let conversation = converse(COUNT);
    counters.see_cpus();
    let after: Vec<_> = slots.iter().map(|slot| counters.net(*slot).loopback).collect();
    for (_, key) in &own {
        counters.leave(*key);
    }
    conversation.map_err(|e| format!("datagram over loopback: {e}"))?;
    for (before, after) in before.iter().zip(after) {
        let packets = [after.rx_packets - before.rx_packets, after.tx_packets - before.tx_packets];
        let bytes = [after.rx_bytes - before.rx_bytes, after.tx_bytes - before.tx_bytes];
        if packets.iter().all(|n| *n >= COUNT) && bytes.iter().all(|n| *n >= COUNT * BYTES) {
            return Ok(());
        }
    }
    Err(format!("{COUNT} datagrams arrived and were not counted"))
}

/// A cgroup made and removed is told of, by its right key and path. Where none can be made (read-only mount) there
/// is no proof, and what the kernel's BTF said stands.
pub fn life(counters: &Counters, events: &mut LifeEvents, request: &Request) -> Result<(), String> {
    let Some((parent, _)) = own_cgroups(request.cpu.id, &request.cpu.root)?.into_iter().next() else {
        return Ok(());
    };
    let name = format!("nodetally-selftest-{}", std::process::id());
    let dir = parent.join(&name);
    if let Err(error) = fs::create_dir(&dir) {
        tracing::debug!(dir = %dir.display(), %error, "births of cgroups not proved");
        return Ok(());
    }
    let id = fs::metadata(&dir).map(|m| m.ino());
    fs::remove_dir(&dir).map_err(|e| format!("rmdir {}: {e}", dir.display()))?;
    let key = CgroupKey::new(id.map_err(|e| format!("stat {}: {e}", dir.display()))?, request.cpu.id);
    let level = |path: &[u8]| path.split(|b| *b == b'/').filter(|name| !name.is_empty()).count();
    let (mut born, mut died) = (false, false);
    events.drain(|event| {
        let right = event.path.ends_with(name.as_bytes()) && event.level as usize == level(event.path);
        match event.what {
            Life::Born => born |= event.key == key && right && event.slot == counters.find(key),
            Life::Died => {
                died |= event.key == key && right;
                counters.leave(event.key);
            }
        }
    });
    if born && died { Ok(()) } else { Err(format!("{key:?} made and removed: born {born}, died {died}")) }
}

/// Our own cgroup's directory and key, wherever this process sees it: under `root`, where a container mounts its own
/// tree, or, in a cgroup namespace before the host's tree, at a path that `/proc/self/cgroup` does not tell.
fn own_cgroups(hierarchy: u32, root: &Path) -> Result<Vec<(PathBuf, CgroupKey)>, String> {
    const OWN: &str = "/proc/self/cgroup";
    let text = fs::read(OWN).map_err(|e| format!("read {OWN}: {e}"))?;
    let id = hierarchy.to_string();
    let mut path = None;
    for line in text.split(|b| *b == b'\n') {
        let mut fields = line.splitn(3, |b| *b == b':');
        if fields.next() == Some(id.as_bytes()) {
            path = fields.nth(1);
        }
    }
    let path = path.ok_or_else(|| format!("{OWN} has no hierarchy {hierarchy}"))?;
    let path = Path::new(OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)));
    let usual = ["", "unified", "cpuacct", "cpu,cpuacct"].map(|dir| Path::new("/sys/fs/cgroup").join(dir));
    let mut found: Vec<(PathBuf, CgroupKey)> = Vec::new();
    for dir in [root.to_owned()].into_iter().chain(usual).map(|root| root.join(path)) {
        let Ok(meta) = fs::metadata(&dir) else { continue };
        let key = CgroupKey::new(meta.ino(), hierarchy);
        if holds_us(&dir) && !found.iter().any(|(_, known)| *known == key) {
            found.push((dir, key));
        }
    }
    if found.is_empty() {
        let dir =
            search(root).ok_or_else(|| format!("no directory for our own cgroup /{}", path.display()))?;
        let meta = fs::metadata(&dir).map_err(|e| format!("stat {}: {e}", dir.display()))?;
        found.push((dir, CgroupKey::new(meta.ino(), hierarchy)));
    }
    Ok(found)
}

/// Whether this process is in the cgroup. A threaded one does not list its processes and is believed.
fn holds_us(dir: &Path) -> bool {
    let own = std::process::id().to_string();
    match fs::read_to_string(dir.join("cgroup.procs")) {
        Ok(pids) => pids.lines().any(|pid| pid == own),
        Err(error) => error.raw_os_error() == Some(libc::EOPNOTSUPP),
    }
}

/// The cgroup below `root` that this process is in.
fn search(root: &Path) -> Option<PathBuf> {
    /// A host has hundreds, seldom thousands.
    const MOST: usize = 20_000;
    let mut waiting = vec![root.to_owned()];
    for _ in 0..MOST {
        let dir = waiting.pop()?;
        if holds_us(&dir) {
            return Some(dir);
        }
        let below = fs::read_dir(&dir).into_iter().flatten().flatten();
        waiting.extend(below.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
    }
    None
}

/// What the kernel says a cgroup has used, its children included.
fn kernel_ns(dir: &Path) -> Option<Duration> {
    if let Ok(text) = fs::read_to_string(dir.join("cpuacct.usage")) {
        return text.trim().parse().ok().map(Duration::from_nanos);
    }
    let text = fs::read_to_string(dir.join("cpu.stat")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    value.trim().parse().ok().map(Duration::from_micros)
}

/// Naps a little, so that there are switches of its own will, then burns [`BURN`] of CPU time on this thread, or
/// what [`PATIENCE`] allows.
fn burn(counters: &Counters) -> Burnt {
    // Refused in some sandboxes; the proof is then only as strong as without.
    let _ = rustix::process::setpriority_process(None, NICE);
    for _ in 0..NAPS {
        thread::sleep(Duration::from_micros(100));
    }
    let start = Instant::now();
    let pid = own_pid();
    let mut seen = pid.is_none();
    loop {
        let cpu = rustix::thread::sched_getcpu();
        seen = seen || counters.current.load(cpu).pid == pid.unwrap_or(0);
        let now = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let time =
            Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(now.tv_nsec).unwrap_or(0));
        if time >= BURN || start.elapsed() > PATIENCE {
            let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
            let number = |name| {
                let value = status.lines().find_map(|line| line.strip_prefix(name))?;
                value.trim().parse().ok()
            };
            let voluntary = number("voluntary_ctxt_switches:").unwrap_or(u64::from(NAPS));
            let forced = number("nonvoluntary_ctxt_switches:").unwrap_or(0);
            return Burnt { time, voluntary, forced, seen };
        }
    }
}

/// This thread's id as the kernel half sees it; `None` in a namespace of its own, where it has another.
fn own_pid() -> Option<u64> {
    /// Of the first namespace, in every kernel.
    const INITIAL: u64 = 0xefff_fffc;
    let namespace = fs::metadata("/proc/self/ns/pid").ok()?;
    (namespace.ino() == INITIAL)
        .then(|| rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs().into())
}

/// Sends `count` datagrams to ourselves and receives them.
fn converse(count: u64) -> io::Result<()> {
    let (from, to) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    to.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut buffer = [0; 1000];
    for _ in 0..count {
        from.send_to(&[7; 1000], to.local_addr()?)?;
        to.recv(&mut buffer)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_cgroup_is_found_by_our_process_being_in_it() {
        let base = std::env::temp_dir().join(format!("nodetally-own-{}", std::process::id()));
        let ours = base.join("a/ours");
        fs::create_dir_all(&ours).expect("a folder");
        fs::create_dir_all(base.join("b")).expect("a folder");
        fs::write(base.join("cgroup.procs"), "1\n").expect("a file");
        fs::write(base.join("b/cgroup.procs"), "").expect("a file");
        assert_eq!(search(&base), None);
        fs::write(ours.join("cgroup.procs"), format!("1\n{}\n", std::process::id())).expect("a file");
        assert_eq!(search(&base), Some(ours));
        fs::remove_dir_all(&base).expect("the folder is ours");
    }
}
