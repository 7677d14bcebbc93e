//! Nodes of memory with the cores, threads and caches that lie on them. From sysfs.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{cpu, file::word, text};

/// No kernel is built for more nodes.
const MOST_NODES: usize = 1024;
/// No processor has more caches.
const MOST_CACHES: usize = 32;

const KIBIBYTE: u64 = 1_024;

/// A node; where the kernel tells of none, a socket, of which its memory is not known.
#[derive(Debug)]
pub struct Node {
    /// Its number.
    pub id: u64,
    /// Its cores that have a processor online.
    pub cores: Vec<Core>,
    /// Caches that all of its cores share.
    pub caches: Vec<Cache>,
    folder: Option<PathBuf>,
}

/// A core.
#[derive(Debug, PartialEq, Eq)]
pub struct Core {
    /// Its number, which another socket's core may have too.
    pub id: u64,
    /// Its processors that are online.
    pub threads: Vec<u64>,
    /// Caches of its own.
    pub caches: Vec<Cache>,
}

/// A cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// `Data`, `Instruction` or `Unified`.
    pub kind: Vec<u8>,
    /// Its level, 1 the nearest to the core.
    pub level: u64,
    /// Its size.
    pub bytes: u64,
}

/// Huge pages of one size on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HugePages {
    /// The size of one, in KiB.
    pub size: u64,
    /// How many there are.
    pub count: u64,
}

/// Where the nodes are.
pub fn folder(sysfs: &Path) -> PathBuf {
    sysfs.join("devices/system/node")
}

/// Every node, or every socket where the kernel tells of no node. `online`: the processors that are online.
pub fn read(sysfs: &Path, online: &[u64]) -> Vec<Node> {
    let online: BTreeSet<u64> = online.iter().copied().collect();
    let nodes = numbered(&folder(sysfs), b"node", MOST_NODES);
    if nodes.is_empty() {
        return sockets(&cpu::folder(sysfs), &online);
    }
    let node = |(id, folder): (u64, PathBuf)| Node {
        folder: Some(folder.clone()),
        ..node(id, &folder, &online, None)
    };
    nodes.into_iter().map(node).collect()
}

/// As nodes, the sockets that processors belong to.
fn sockets(folder: &Path, online: &BTreeSet<u64>) -> Vec<Node> {
    let socket_of =
        |number: &u64| number_in(&folder.join(format!("cpu{number}/topology/physical_package_id")));
    let sockets: BTreeSet<u64> = online.iter().filter_map(socket_of).collect();
    sockets.into_iter().map(|socket| node(socket, folder, online, Some(socket))).collect()
}

/// What the processors in a folder make up; of one socket alone where one is named.
fn node(id: u64, folder: &Path, online: &BTreeSet<u64>, only: Option<u64>) -> Node {
    let mut cores = BTreeMap::<(Option<u64>, u64), Vec<(u64, PathBuf)>>::new();
    let most = usize::try_from(cpu::MOST).unwrap_or(usize::MAX);
    for (number, folder) in
        numbered(folder, b"cpu", most).into_iter().filter(|(number, _)| online.contains(number))
    {
        let Some(core) = number_in(&folder.join("topology/core_id")) else { continue };
        let socket = number_in(&folder.join("topology/physical_package_id"));
        if only.is_none() || socket == only {
            cores.entry((socket, core)).or_default().push((number, folder));
        }
    }
    let all: usize = cores.values().map(Vec::len).sum();
    let mut node = Node { id, cores: Vec::new(), caches: Vec::new(), folder: None };
    for ((_, core), threads) in cores {
        let mut core = Core {
            id: core,
            threads: threads.iter().map(|(number, _)| *number).collect(),
            caches: Vec::new(),
        };
        for (cache, shared_by) in threads.first().map(|(_, folder)| caches(folder)).unwrap_or_default() {
            let place = match shared_by {
                _ if shared_by == threads.len() && (cache.level <= 2 || all > shared_by) => &mut core.caches,
                _ if shared_by == all => &mut node.caches,
                // Of some cores only: there is no label that tells such caches apart.
                _ => continue,
            };
            if !place.iter().any(|known| (known.level, &known.kind) == (cache.level, &cache.kind)) {
                place.push(cache);
            }
        }
        node.cores.push(core);
    }
    node
}

/// A processor's caches, each with how many processors share it.
fn caches(folder: &Path) -> Vec<(Cache, usize)> {
    let cache = |(_, folder): (u64, PathBuf)| {
        let size = word(&folder.join("size"))?;
        let cache = Cache {
            kind: word(&folder.join("type"))?,
            level: number_in(&folder.join("level"))?,
            bytes: text::whole(size.strip_suffix(b"K")?)?.checked_mul(KIBIBYTE)?,
        };
        Some((cache, cpu::list(&word(&folder.join("shared_cpu_list"))?)?.len()))
    };
    numbered(&folder.join("cache"), b"index", MOST_CACHES).into_iter().filter_map(cache).collect()
}

impl Node {
    /// Its memory, in bytes.
    pub fn memory(&self) -> Option<u64> {
        let file = fs::read(self.folder.as_ref()?.join("meminfo")).ok()?;
        // Such as `Node 0 MemTotal:       24683656 kB`.
        let mut words = text::lines(&file).find_map(|line| {
            let mut words = text::fields(line).skip(2);
            (words.next()? == b"MemTotal:").then_some(words)
        })?;
        text::whole(words.next()?)?.checked_mul(KIBIBYTE)
    }

    /// Its huge pages, the smallest first.
    pub fn huge_pages(&self) -> Vec<HugePages> {
        let Some(folder) = self.folder.as_ref().map(|folder| folder.join("hugepages")) else {
            return Vec::new();
        };
        let pages = |entry: fs::DirEntry| {
            let name = entry.file_name();
            let size = text::whole(name.as_bytes().strip_prefix(b"hugepages-")?.strip_suffix(b"kB")?)?;
            Some(HugePages { size, count: number_in(&entry.path().join("nr_hugepages"))? })
        };
        let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        let mut found: Vec<_> = entries.filter_map(pages).take(MOST_CACHES).collect();
        found.sort_unstable();
        found
    }

    /// How far it is to each of the nodes, in their order; 10 is its own memory.
    pub fn distances(&self) -> Vec<u64> {
        let file = self.folder.as_ref().and_then(|folder| fs::read(folder.join("distance")).ok());
        let file = file.unwrap_or_default();
        text::fields(file.trim_ascii()).map_while(text::whole).take(MOST_NODES).collect()
    }
}

fn number_in(file: &Path) -> Option<u64> {
    text::whole(&word(file)?)
}

/// Number and path of the entries of a folder that are this word and a number, in the order of their numbers.
fn numbered(folder: &Path, word: &[u8], most: usize) -> Vec<(u64, PathBuf)> {
    let number = |name: &OsStr| text::whole(name.as_bytes().strip_prefix(word)?);
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<_> =
        entries.filter_map(|entry| Some((number(&entry.file_name())?, entry.path()))).take(most).collect();
    found.sort_unstable();
    found.dedup_by_key(|(number, _)| *number);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::sysfs_test::Root;

    /// A processor with caches: `(level, type, KiB, shared by)`.
    fn cpu(root: &Root, folder: &str, (core, socket): (u64, u64), caches: &[(u64, &str, u64, &str)]) {
        root.write(&format!("{folder}/topology/core_id"), format!("{core}\n"));
        root.write(&format!("{folder}/topology/physical_package_id"), format!("{socket}\n"));
        for (index, (level, kind, size, shared)) in caches.iter().enumerate() {
            let file = |name: &str| format!("{folder}/cache/index{index}/{name}");
            root.write(&file("level"), format!("{level}\n"));
            root.write(&file("type"), format!("{kind}\n"));
            root.write(&file("size"), format!("{size}K\n"));
            root.write(&file("shared_cpu_list"), format!("{shared}\n"));
        }
    }

    fn cache(level: u64, kind: &str, kib: u64) -> Cache {
        Cache { kind: kind.into(), level, bytes: kib << 10 }
    }

    #[test]
    fn caches_belong_to_a_core_or_to_the_node() {
        let root = Root::new("nodes");
        let at = |number: u64| format!("devices/system/node/node0/cpu{number}");
        for (number, core, shared) in [(0, 0, "0,2"), (1, 1, "1"), (2, 0, "0,2")] {
            let caches = [(1, "Data", 32, shared), (2, "Unified", 512, shared), (3, "Unified", 8_192, "0-2")];
            cpu(&root, &at(number), (core, 0), &caches);
        }
        // Half of the node shares this one; and this processor is not online.
        cpu(
            &root,
            &at(1),
            (1, 0),
            &[(1, "Data", 32, "1"), (4, "Unified", 9, "0-1"), (3, "Unified", 8_192, "0-2")],
        );
        cpu(&root, &at(9), (9, 0), &[(1, "Data", 32, "9")]);
        let nodes = read(root.path(), &[0, 1, 2]);
        let [node] = &nodes[..] else { panic!("{nodes:?}") };
        let own = |id, threads: &[u64], caches: &[Cache]| Core {
            id,
            threads: threads.into(),
            caches: caches.into(),
        };
        assert_eq!(node.cores[0], own(0, &[0, 2], &[cache(1, "Data", 32), cache(2, "Unified", 512)]));
        assert_eq!(node.cores[1], own(1, &[1], &[cache(1, "Data", 32)]));
        assert_eq!(node.caches, [cache(3, "Unified", 8_192)]);
        assert_eq!((node.memory(), node.huge_pages(), node.distances()), (None, vec![], vec![]));
    }

    #[test]
    fn a_node_of_one_core_shares_its_last_cache() {
        let root = Root::new("one-core");
        let caches = [(1, "Data", 32, "0"), (3, "Unified", 64, "0")];
        cpu(&root, "devices/system/node/node3/cpu0", (0, 0), &caches);
        let nodes = read(root.path(), &[0]);
        assert_eq!((nodes[0].id, &nodes[0].cores[0].caches[..]), (3, &[cache(1, "Data", 32)][..]));
        assert_eq!(nodes[0].caches, [cache(3, "Unified", 64)]);
    }

    #[test]
    fn without_nodes_there_are_sockets() {
        let root = Root::new("sockets");
        for number in 0..4 {
            let shared = number.to_string();
            cpu(
                &root,
                &format!("devices/system/cpu/cpu{number}"),
                (0, number % 2),
                &[(1, "Data", 1, &shared)],
            );
        }
        let nodes = read(root.path(), &[0, 1, 2]);
        let threads: Vec<_> = nodes.iter().map(|node| (node.id, &node.cores[0].threads[..])).collect();
        assert_eq!(threads, [(0, &[0, 2][..]), (1, &[1])]);
        assert_eq!(nodes[1].memory(), None);
        assert!(read(Path::new("/nonexistent"), &[0]).is_empty());
    }

    #[test]
    fn garbage_is_left_out() {
        let root = Root::new("garbage");
        let folder = "devices/system/node/node0";
        cpu(&root, &format!("{folder}/cpu0"), (0, 0), &[(1, "Data", 1, "0"), (2, "Unified", 1, "x")]);
        root.write(&format!("{folder}/cpu0/cache/index0/size"), "99999999999999999999K\n");
        root.write(&format!("{folder}/cpu1/topology/core_id"), "-1\n");
        root.write(&format!("{folder}/meminfo"), "Node\nNode 0 MemTotal:\n");
        root.write(&format!("{folder}/distance"), "10 x 12\n");
        root.write(&format!("{folder}/hugepages/hugepages-2048kB/nr_hugepages"), "\n");
        root.write(&format!("{folder}/hugepages/hugepages-xkB/nr_hugepages"), "1\n");
        root.write("devices/system/node/nodes", "");
        let nodes = read(root.path(), &[0, 1]);
        let [node] = &nodes[..] else { panic!("{nodes:?}") };
        assert_eq!(node.cores, [Core { id: 0, threads: vec![0], caches: vec![] }]);
        assert_eq!((node.memory(), node.huge_pages(), node.distances()), (None, vec![], vec![10]));
    }

    #[test]
    fn the_reference_s_own_trees() {
        let pack = std::env::var_os("CONFORMANCE_DIR").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
            PathBuf::from,
        );
        let pack = pack.join("cadvisor/sysfs_cpu");
        if !pack.is_dir() {
            eprintln!("LEFT OUT: needs the conformance data at {} (or $CONFORMANCE_DIR)", pack.display());
            return;
        }
        let linked = |folder: &str, tree: &str| {
            let root = Root::new("reference");
            root.write("devices/system/x", "");
            let place = root.path().join("devices/system").join(folder);
            std::os::unix::fs::symlink(pack.join(tree), place).expect("links");
            root
        };
        let root = linked("node", "testdata");
        let nodes = read(root.path(), &[0, 1]);
        assert_eq!(nodes.iter().map(|node| node.id).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(nodes[0].cores, [Core { id: 0, threads: vec![0], caches: vec![] }]);
        assert_eq!((nodes[0].memory(), nodes[0].distances()), (Some(32_817_192 << 10), vec![10, 11]));
        let pages = |size, count| HugePages { size, count };
        assert_eq!(nodes[0].huge_pages(), [pages(2_048, 2), pages(1_048_576, 1)]);
        for (tree, sockets, cores) in [("testdata_rpi4", 1, 4), ("testdata_xeon4214_2socket", 2, 24)] {
            let root = linked("cpu", tree);
            let all: Vec<u64> = (0..128).collect();
            let nodes = read(root.path(), &all);
            let found = nodes.iter().map(|node| node.cores.len()).sum::<usize>();
            assert_eq!((nodes.len(), found), (sockets, cores), "{tree}");
        }
    }
}
