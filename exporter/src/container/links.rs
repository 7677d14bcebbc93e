//! The interfaces of containers and of the host, read on a thread of their own: the kernel may make us wait for its
//! network configuration.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    identity,
    network::{Direction, Figures, is_left_out},
};
use crate::{
    metric::Labels,
    source::{
        cgroup::CgroupPath,
        netdev,
        netlink::{InnerVeth, Links, Stats},
        text,
    },
};

/// The containers whose interfaces are wanted, each with a process in its namespace.
#[derive(Clone, Debug, Default)]
pub struct Targets(Arc<Mutex<Vec<Target>>>);

/// One container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its cgroup.
    pub path: CgroupPath,
    /// A process of it, in the host's numbering.
    pub pid: u32,
}

impl Targets {
    /// Names the containers anew, in the order of their paths.
    pub fn set(&self, targets: impl Iterator<Item = Target>) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.clear();
        list.extend(targets);
    }

    fn copy_to(&self, copy: &mut Vec<Target>) {
        copy.clone_from(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// One interface, read.
#[derive(Clone, Debug)]
pub struct Row {
    /// The cgroup that shows it.
    pub path: CgroupPath,
    /// The `interface` label.
    pub labels: Arc<Labels>,
    /// What it carried.
    pub figures: Figures,
}

/// Reads interfaces.
#[derive(Debug)]
pub struct LinkReader {
    links: Links,
    procfs: PathBuf,
    /// Whether the host's interfaces are those of this process.
    in_host_network: bool,
    targets: Targets,
    copy: Vec<Target>,
    host: HostLinks,
    maps: HashMap<CgroupPath, Map>,
    names: Names,
}

/// Labels by interface name, made once.
#[derive(Debug, Default)]
struct Names {
    known: HashMap<Vec<u8>, Name>,
    /// The number of the file that is read.
    file: u64,
}

#[derive(Debug)]
struct Name {
    labels: Arc<Labels>,
    /// The file that had it last.
    file: u64,
}

/// How one container's interfaces are read.
#[derive(Debug, Default)]
struct Map {
    pid: u32,
    /// Our number for its namespace.
    nsid: Option<i32>,
    veths: Vec<(InnerVeth, Arc<Labels>)>,
    /// It has other interfaces than veths, or its veths end elsewhere: its own file tells.
    by_process: bool,
    /// How many of the host's links led into its namespace when this was made.
    led_in: usize,
    /// Its network was not complete when this was made.
    is_early: bool,
    /// How often this was made.
    tries: u32,
}

/// The host's ends of containers' links.
#[derive(Debug, Default)]
struct HostLinks {
    by_index: HashMap<u32, Outer>,
    /// How many lead into each namespace.
    led_in: HashMap<i32, usize>,
}

#[derive(Clone, Copy, Debug)]
struct Outer {
    inner_index: Option<u32>,
    netnsid: i32,
    stats: Stats,
}

/// Names are kept for no more interfaces than this.
const MOST_NAMES: usize = 10_000;
/// A container's network is looked at so often at most while it is made.
const MOST_TRIES: u32 = 20;

impl LinkReader {
    /// A reader for these containers and the host.
    pub fn new(procfs: PathBuf, in_host_network: bool, targets: Targets) -> Self {
        Self {
            links: Links::new(),
            procfs,
            in_host_network,
            targets,
            copy: Vec::new(),
            host: HostLinks::default(),
            maps: HashMap::new(),
            names: Names::default(),
        }
    }

    /// Reads all interfaces anew into `rows`.
    pub fn read(&mut self, rows: &mut Vec<Row>) {
        rows.clear();
        if self.names.known.len() > MOST_NAMES {
            self.names.known.clear();
        }
        let mut targets = std::mem::take(&mut self.copy);
        self.targets.copy_to(&mut targets);
        self.maps.retain(|path, map| {
            targets
                .binary_search_by(|target| target.path.cmp(path))
                .is_ok_and(|at| targets.get(at).is_some_and(|target| target.pid == map.pid))
        });
        if self.in_host_network {
            self.read_host(rows);
            for target in &targets {
                self.read_container(target, rows);
            }
        } else {
            self.read_file(&self.procfs.join("1/net/dev"), &CgroupPath::root(), rows);
            for target in &targets {
                self.read_process(target, rows);
            }
        }
        self.copy = targets;
    }

    /// One dump of the host's links: its own figures, and the other side of its containers'.
    fn read_host(&mut self, rows: &mut Vec<Row>) {
        self.host.by_index.clear();
        self.host.led_in.clear();
        let dump = match self.links.dump() {
            Ok(dump) => dump,
            Err(error) => return tracing::warn!(%error, "no interfaces"),
        };
        let root = CgroupPath::root();
        for link in dump {
            let Some(stats) = link.stats else { continue };
            if !is_left_out(link.name) {
                let labels = self.names.label(link.name);
                rows.push(Row { path: root.clone(), labels, figures: figures(&stats) });
            }
            if let Some(netnsid) = link.link_netnsid {
                *self.host.led_in.entry(netnsid).or_default() += 1;
                self.host.by_index.insert(link.index, Outer { inner_index: link.link, netnsid, stats });
            }
        }
    }

    fn read_container(&mut self, target: &Target, rows: &mut Vec<Row>) {
        let begin = rows.len();
        let known = self.maps.get(&target.path);
        let is_read = known.is_some_and(|map| self.host.read(map, &target.path, rows));
        if !is_read {
            let tries = known.map_or(0, |map| map.tries);
            rows.truncate(begin);
            let map = Map { tries: tries + 1, ..self.map(target) };
            self.host.read(&map, &target.path, rows);
            self.maps.insert(target.path.clone(), map);
        }
        if self.maps.get(&target.path).is_some_and(|map| map.by_process) {
            rows.truncate(begin);
            self.read_process(target, rows);
        }
    }

    /// Looks what a container's namespace holds. Without a number for it, or without the right to look, its own
    /// file tells.
    fn map(&mut self, target: &Target) -> Map {
        let by_process = Map { pid: target.pid, by_process: true, ..Map::default() };
        let nsid = match self.links.nsid_of_pid(target.pid) {
            Ok(Some(nsid)) => nsid,
            // The number comes with the first link into the namespace.
            Ok(None) => return Map { is_early: true, ..by_process },
            Err(_) => return by_process,
        };
        let led_in = self.host.led_in.get(&nsid).copied().unwrap_or(0);
        let mut map = Map { pid: target.pid, nsid: Some(nsid), led_in, ..Map::default() };
        let Ok(dump) = self.links.dump_namespace(nsid) else { return by_process };
        for link in dump {
            match link.inner_veth() {
                // It bears such a name until it gets its own.
                Some(_) if is_left_out(link.name) => map.is_early = true,
                _ if is_left_out(link.name) => {}
                Some(inner) => map.veths.push((inner, self.names.label(link.name))),
                None => map.by_process = true,
            }
        }
        map.by_process |= !map.veths.iter().all(|(inner, _)| self.host.peer(inner).is_some());
        if !is_in(&self.procfs.join(target.pid.to_string()), &target.path) {
            return Map { pid: target.pid, led_in, nsid: map.nsid, is_early: true, ..Map::default() };
        }
        map
    }

    fn read_process(&mut self, target: &Target, rows: &mut Vec<Row>) {
        let process = self.procfs.join(target.pid.to_string());
        // Should it be in the host's network after all, the host's interfaces would be shown as its own.
        let (its, host) = (namespace(&process), namespace(&self.procfs.join("1")));
        let begin = rows.len();
        if its.is_none() || its != host {
            self.read_file(&process.join("net/dev"), &target.path, rows);
        }
        // What was read may be another's, whose process has the number by now.
        if !is_in(&process, &target.path) {
            rows.truncate(begin);
        }
    }

    fn read_file(&mut self, file: &Path, path: &CgroupPath, rows: &mut Vec<Row>) {
        // Opened and closed here: kept open it would keep the namespace alive.
        let Ok(text) = fs::read(file) else { return };
        self.names.file = self.names.file.wrapping_add(1);
        for (name, stats) in netdev::interfaces(&text).filter(|(name, _)| !is_left_out(name)) {
            // While links come and go the kernel may list one twice.
            let Some(labels) = self.names.label_once(name) else { continue };
            rows.push(Row { path: path.clone(), labels, figures: figures(&stats) });
        }
    }
}

impl HostLinks {
    /// Takes a container's figures from the host's ends of its links; `false` if it is to be looked at anew.
    fn read(&self, map: &Map, path: &CgroupPath, rows: &mut Vec<Row>) -> bool {
        let led_in = map.nsid.and_then(|nsid| self.led_in.get(&nsid)).copied().unwrap_or(0);
        if led_in != map.led_in || (map.is_early && map.tries < MOST_TRIES) {
            return false;
        }
        map.by_process
            || map.veths.iter().all(|(inner, labels)| {
                let Some(outer) = self.peer(inner) else { return false };
                // What the host's end sent the container received.
                let Figures { receive: transmit, transmit: receive } = figures(&outer.stats);
                let figures = Figures { receive, transmit };
                rows.push(Row { path: path.clone(), labels: Arc::clone(labels), figures });
                true
            })
    }

    /// The other end of a container's link. Both must name each other: numbers are used again.
    fn peer(&self, inner: &InnerVeth) -> Option<&Outer> {
        let outer = self.by_index.get(&inner.outer)?;
        (outer.inner_index == Some(inner.index) && outer.netnsid == inner.netnsid).then_some(outer)
    }
}

impl Names {
    fn label(&mut self, name: &[u8]) -> Arc<Labels> {
        match self.known.get(name) {
            Some(known) => Arc::clone(&known.labels),
            None => self.add(name),
        }
    }

    /// None for a name that this file has had already.
    fn label_once(&mut self, name: &[u8]) -> Option<Arc<Labels>> {
        let Some(known) = self.known.get_mut(name) else { return Some(self.add(name)) };
        let is_new = std::mem::replace(&mut known.file, self.file) != self.file;
        is_new.then(|| Arc::clone(&known.labels))
    }

    fn add(&mut self, name: &[u8]) -> Arc<Labels> {
        let labels = Arc::new(Labels::new([("interface", identity::distinct(name))]));
        self.known.insert(name.to_vec(), Name { labels: Arc::clone(&labels), file: self.file });
        labels
    }
}

fn figures(stats: &Stats) -> Figures {
    let direction = |bytes, packets, errors, dropped| Direction {
        bytes,
        packets,
        errors: Some(errors),
        dropped: Some(dropped),
    };
    Figures {
        receive: direction(stats.rx_bytes, stats.rx_packets, stats.rx_errors, stats.rx_dropped),
        transmit: direction(stats.tx_bytes, stats.tx_packets, stats.tx_errors, stats.tx_dropped),
    }
}

/// Whether a process is in a cgroup or below: numbers are used again.
pub(super) fn is_in(process: &Path, path: &CgroupPath) -> bool {
    fs::read(process.join("cgroup")).is_ok_and(|told| names(&told, path))
}

/// Whether a process' `cgroup` file names this cgroup or one below. Where we are in a namespace of our own the kernel
/// tells its path from there, so the cgroup's name has to do.
pub fn names(told: &[u8], path: &CgroupPath) -> bool {
    text::lines(told).any(|line| {
        let its = line.splitn(3, |&byte| byte == b':').nth(2).unwrap_or_default();
        its.split(|&byte| byte == b'/').any(|name| !name.is_empty() && name == path.name())
    })
}

/// Device and number of a process' network namespace.
fn namespace(process: &Path) -> Option<(u64, u64)> {
    fs::metadata(process.join("ns/net")).ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_process_is_in_the_cgroup_that_its_file_names() {
        let process = std::env::temp_dir().join(format!("nodetally-links-{}", std::process::id()));
        fs::create_dir_all(&process).unwrap();
        let path = CgroupPath::new(b"/docker/abc");
        for (text, expected) in [
            ("4:memory:/docker/abc\n0::/\n", true),
            ("0::/docker/abc/init\n", true),
            ("0::/../abc\n", true),
            ("1:name=x:/a:b\n0::/docker/abcd\n", false),
            ("0::/docker\n", false),
            ("0::/\n", false),
            ("abc\nabc:abc\n", false),
            ("", false),
        ] {
            fs::write(process.join("cgroup"), text).unwrap();
            assert_eq!(is_in(&process, &path), expected, "{text}");
        }
        assert!(!is_in(&process.join("gone"), &path));
        fs::remove_dir_all(process).unwrap();
    }
}
