//! How the machine is built: cores, sockets, memory modules. From sysfs.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::{cpu, file::word, text};

/// More memory controllers, or modules of one, than any machine has.
const MOST_MODULES: usize = 4096;

/// What the CPUs that are online belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Physical cores: those of two sockets are different ones, whatever their numbers.
    pub cores: u64,
    /// Sockets.
    pub sockets: u64,
    /// Books of s390; 0 elsewhere.
    pub books: u64,
    /// Drawers of s390; 0 elsewhere.
    pub drawers: u64,
}

/// Memory modules of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modules {
    /// The type as EDAC names it, such as `Registered-DDR4`.
    pub kind: Vec<u8>,
    /// How many there are.
    pub count: u64,
    /// What they hold, in bytes.
    pub bytes: u64,
}

/// The CPUs in the kernel's list of those that are online; `None` for anything else, or where none is.
pub fn online(list: &[u8]) -> Option<Vec<u64>> {
    cpu::list(list).filter(|cpus| !cpus.is_empty())
}

impl Topology {
    /// Reads it from sysfs. `online`: the numbers of the CPUs that are online. `None` where sysfs does not know of any.
    pub fn read(sysfs: &Path, online: &[u64]) -> Option<Self> {
        let (mut cores, mut sockets) = (BTreeSet::new(), BTreeSet::new());
        let (mut books, mut drawers) = (BTreeSet::new(), BTreeSet::new());
        for number in online {
            let folder = cpu::folder(sysfs).join(format!("cpu{number}/topology"));
            let id = |file: &str| word(&folder.join(file));
            let Some(core) = id("core_id") else { continue };
            let (socket, book, drawer) = (id("physical_package_id"), id("book_id"), id("drawer_id"));
            cores.insert((socket.clone(), core));
            sockets.insert(socket);
            books.extend(book.map(|book| (drawer.clone(), book)));
            drawers.extend(drawer);
        }
        let count = |length| u64::try_from(length).unwrap_or(u64::MAX);
        (!cores.is_empty()).then(|| Self {
            cores: count(cores.len()),
            sockets: count(sockets.len()),
            books: count(books.len()),
            drawers: count(drawers.len()),
        })
    }
}

/// The memory modules that EDAC knows of, by type; none where it does not run.
pub fn modules(sysfs: &Path) -> Vec<Modules> {
    const MEBIBYTE: u64 = 1 << 20;
    let mut kinds = BTreeMap::<Vec<u8>, (u64, u64)>::new();
    for controller in numbered(&sysfs.join("devices/system/edac/mc"), "mc") {
        for module in numbered(&controller, "dimm") {
            let size = word(&module.join("size")).and_then(|size| text::whole(&size)?.checked_mul(MEBIBYTE));
            let (Some(kind), Some(size)) = (word(&module.join("dimm_mem_type")), size) else { continue };
            let (count, bytes) = kinds.entry(kind).or_default();
            *count = count.saturating_add(1);
            *bytes = bytes.saturating_add(size);
        }
    }
    kinds.into_iter().map(|(kind, (count, bytes))| Modules { kind, count, bytes }).collect()
}

/// The entries of a folder that are this word and a number.
fn numbered(folder: &Path, word: &str) -> Vec<PathBuf> {
    let is_wanted = |name: &OsStr| {
        let number = name.to_str().and_then(|name| name.strip_prefix(word)).unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let wanted = entries.filter(|entry| is_wanted(&entry.file_name()));
    wanted.take(MOST_MODULES).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::sysfs_test::Root;

    fn sysfs(files: &[(&str, &str)]) -> Root {
        let root = Root::new("topology");
        root.fill("devices/system", files);
        root
    }

    #[test]
    fn processors_are_counted_from_ranges() {
        for (list, count) in [
            (&b"0\n"[..], Some(1)),
            (b"0-1\n", Some(2)),
            (b"0-3,7,9-10\n", Some(7)),
            (b"\n", None),
            (b"3-1", None),
            (b"0-18446744073709551615", None),
        ] {
            assert_eq!(online(list).map(|cpus| cpus.len()), count, "{list:?}");
        }
        let empty = sysfs(&[]);
        for list in [&b"0-65536"[..], b"0-18446744073709551614", b"x", b"0-1"] {
            assert_eq!(online(list).and_then(|cpus| Topology::read(empty.path(), &cpus)), None);
        }
    }

    #[test]
    fn cores_of_two_sockets_are_different_ones() {
        let files: Vec<_> = [(0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1), (4, 0, 0), (5, 9, 9)]
            .iter()
            .flat_map(|(cpu, socket, core)| {
                let file = |name: &str| format!("cpu/cpu{cpu}/topology/{name}");
                [(file("physical_package_id"), format!("{socket}\n")), (file("core_id"), format!("{core}\n"))]
            })
            .collect();
        let files: Vec<_> = files.iter().map(|(file, content)| (file.as_str(), content.as_str())).collect();
        let root = sysfs(&files);
        // The last one is not online.
        let found = online(b"0-4\n").and_then(|cpus| Topology::read(root.path(), &cpus));
        assert_eq!(found, Some(Topology { cores: 4, sockets: 2, books: 0, drawers: 0 }));
    }

    #[test]
    fn modules_are_summed_by_type() {
        let root = sysfs(&[
            ("edac/mc/mc0/dimm0/dimm_mem_type", "Unbuffered-DDR4\n"),
            ("edac/mc/mc0/dimm0/size", "789\n"),
            ("edac/mc/mc0/dimm1/dimm_mem_type", "Non-volatile-RAM\n"),
            ("edac/mc/mc0/dimm1/size", "456\n"),
            ("edac/mc/mc1/dimm0/dimm_mem_type", "Non-volatile-RAM\n"),
            ("edac/mc/mc1/dimm0/size", "123\n"),
            ("edac/mc/mc1/dimm1/dimm_mem_type", "Non-volatile-RAM\n"),
            ("edac/mc/mc1/dimm1/size", "much\n"),
            ("edac/mc/mc1/dimms/dimm_mem_type", "Other\n"),
            ("edac/mc/mc1/dimms/size", "1\n"),
            ("edac/mc/mc/dimm0/dimm_mem_type", "Other\n"),
            ("edac/mc/mc/dimm0/size", "1\n"),
        ]);
        let modules_of =
            |kind: &[u8], count, mib: u64| Modules { kind: kind.into(), count, bytes: mib << 20 };
        let expected = [modules_of(b"Non-volatile-RAM", 2, 579), modules_of(b"Unbuffered-DDR4", 1, 789)];
        assert_eq!(modules(root.path()), expected);
        assert_eq!(modules(Path::new("/nonexistent")), []);
    }
}
