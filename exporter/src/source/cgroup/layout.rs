//! Which cgroup hierarchies there are and which of them serves what: facts, then a pure decision.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf};

use super::{
    CgroupPath,
    facts::{Facts, Mount},
};
use crate::config::Paths;

/// How the host mounts its cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Version 1 alone.
    V1,
    /// Version 2 alone.
    V2,
    /// Controllers on version 1, which gives their figures, and a version 2 tree beside them.
    Hybrid,
}

/// A hierarchy that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// The kernel's number for it; 0 is version 2.
    pub id: u32,
    /// Where it is mounted, as this process sees it.
    pub mount: PathBuf,
    /// The path of the cgroup that is the mount's top, `/` unless only a part is mounted. None in a container's own
    /// namespace, which does not say where in the host's tree it lies.
    pub top: Option<Vec<u8>>,
}

impl Hierarchy {
    /// The directory of a cgroup.
    pub fn directory(&self, path: &CgroupPath) -> PathBuf {
        self.mount.join(OsStr::from_bytes(path.relative()))
    }

    /// The path below the mount of a cgroup that the kernel names from the hierarchy's root; none if it lies outside.
    pub fn below_mount(&self, path: &[u8]) -> Option<CgroupPath> {
        let top = self.top.as_deref()?;
        if top == b"/" {
            return Some(CgroupPath::new(path));
        }
        let rest = path.strip_prefix(top)?;
        (rest.is_empty() || rest.starts_with(b"/")).then(|| CgroupPath::new(rest))
    }
}

/// A controller whose figures are read where the followed hierarchies have a cgroup: nobody follows its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// Block devices; `io` of version 2.
    Blkio,
    /// CPUs and nodes of memory.
    Cpuset,
    /// Huge pages.
    Hugetlb,
    /// Number of tasks.
    Pids,
}

impl Controller {
    const ALL: [Self; 4] = [Self::Blkio, Self::Cpuset, Self::Hugetlb, Self::Pids];

    const fn word(self) -> &'static [u8] {
        match self {
            Self::Blkio => b"blkio",
            Self::Cpuset => b"cpuset",
            Self::Hugetlb => b"hugetlb",
            Self::Pids => b"pids",
        }
    }
}

/// The place of a hierarchy in [`Layout::hierarchies`].
pub type Place = usize;

/// The most hierarchies that a layout uses.
pub const PLACES: usize = 4;

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How the host mounts its cgroups.
    pub mode: Mode,
    /// The hierarchies in use, at most [`PLACES`], each once.
    pub hierarchies: Vec<Hierarchy>,
    /// Where limits and throttling of CPU time are.
    pub cpu: Option<Place>,
    /// Where CPU time is accounted.
    pub cpuacct: Option<Place>,
    /// Where memory is accounted.
    pub memory: Option<Place>,
    /// The version 2 tree.
    pub unified: Option<Place>,
    /// Hierarchies of version 1 that are read and not followed.
    pub beside: Vec<(Controller, Hierarchy)>,
    /// Whether only a part of the host's tree is in sight, so that `/` is not the host.
    pub partial: bool,
}

/// Why there is no layout.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// No cgroup file system is mounted where this process sees it.
    #[error("no cgroup hierarchy is mounted under {}", rootfs.display())]
    NoMount {
        /// The root looked under.
        rootfs: PathBuf,
    },
    /// A file that tells of them cannot be read.
    #[error("read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        error: std::io::Error,
    },
}

impl Layout {
    /// Probes and decides.
    ///
    /// # Errors
    /// See [`Facts::probe`]; or no hierarchy is in sight.
    pub fn find(paths: &Paths) -> Result<Self, LayoutError> {
        Self::decide(&Facts::probe(paths)?)
            .ok_or_else(|| LayoutError::NoMount { rootfs: paths.rootfs.clone() })
    }

    /// The decision alone; none when nothing is mounted. Where anything is mounted at the usual place, what is
    /// mounted elsewhere (in a tree made for a chroot, say) does not count.
    pub fn decide(facts: &Facts) -> Option<Self> {
        let usual: Vec<_> =
            facts.mounts.iter().filter(|mount| mount.point.starts_with(&facts.usual)).cloned().collect();
        if !usual.is_empty() && usual.len() < facts.mounts.len() {
            return Self::decide(&Facts { mounts: usual, ..facts.clone() });
        }
        let mut layout = Self {
            mode: Mode::V1,
            hierarchies: Vec::new(),
            cpu: None,
            cpuacct: None,
            memory: None,
            unified: None,
            beside: Vec::new(),
            partial: false,
        };
        layout.cpu = layout.place(facts, b"cpu");
        layout.cpuacct = layout.place(facts, b"cpuacct");
        layout.memory = layout.place(facts, b"memory");
        let beside = |controller: Controller| {
            Some((controller, hierarchy(facts, mount_of(facts, controller.word())?)))
        };
        layout.beside = Controller::ALL.into_iter().filter_map(beside).collect();
        let on_v1 = !layout.hierarchies.is_empty();
        layout.unified = layout.place_unified(facts);
        match (on_v1, layout.unified) {
            (true, Some(_)) => layout.mode = Mode::Hybrid,
            (false, Some(_)) => layout.mode = Mode::V2,
            (true, None) => {}
            (false, None) => return None,
        }
        // Version 2 serves what version 1 does not have.
        for place in [&mut layout.cpu, &mut layout.cpuacct, &mut layout.memory] {
            *place = place.or(layout.unified);
        }
        Some(layout)
    }

    /// The hierarchy at a place.
    pub fn hierarchy(&self, place: Place) -> Option<&Hierarchy> {
        self.hierarchies.get(place)
    }

    /// The hierarchy that has a controller's files; the version 2 tree where version 1 has none.
    pub fn controller(&self, controller: Controller) -> Option<&Hierarchy> {
        let beside = self.beside.iter().find(|(found, _)| *found == controller);
        beside.map(|(_, hierarchy)| hierarchy).or_else(|| self.hierarchy(self.unified?))
    }

    /// The place of the hierarchy that the kernel numbers so.
    pub fn place_of(&self, id: u32) -> Option<Place> {
        self.hierarchies.iter().position(|hierarchy| hierarchy.id == id)
    }

    fn place(&mut self, facts: &Facts, controller: &[u8]) -> Option<Place> {
        Some(self.add(mount_of(facts, controller)?, facts))
    }

    fn place_unified(&mut self, facts: &Facts) -> Option<Place> {
        let mount = widest(facts.mounts.iter().filter(|mount| mount.unified))?;
        Some(self.add((0, mount), facts))
    }

    fn add(&mut self, (id, mount): (u32, &Mount), facts: &Facts) -> Place {
        if let Some(place) = self.place_of(id) {
            return place;
        }
        // Seen from inside a namespace, "/" is the namespace's own top and "/.." lies above it.
        self.partial |= !(mount.top == b"/" && !facts.own_namespace || leads_up(&mount.top));
        self.hierarchies.push(hierarchy(facts, (id, mount)));
        self.hierarchies.len() - 1
    }
}

/// The number of version 1's hierarchy with that controller, and where it is mounted.
fn mount_of<'a>(facts: &'a Facts, controller: &[u8]) -> Option<(u32, &'a Mount)> {
    let id = facts.numbers.iter().find(|(id, names)| *id != 0 && has(names, controller))?.0;
    let mounts = facts.mounts.iter().filter(|mount| !mount.unified && has(&mount.options, controller));
    Some((id, widest(mounts)?))
}

fn hierarchy(facts: &Facts, (id, mount): (u32, &Mount)) -> Hierarchy {
    let top = match facts.own_namespace {
        _ if leads_up(&mount.top) => Some(b"/".to_vec()),
        true => None,
        false => Some(mount.top.clone()),
    };
    Hierarchy { id, mount: mount.point.clone(), top }
}

/// The first mount of those that show most of the tree.
fn widest<'a>(mounts: impl Iterator<Item = &'a Mount>) -> Option<&'a Mount> {
    mounts.min_by_key(|mount| match &*mount.top {
        top if leads_up(top) => 0,
        b"/" => 1,
        _ => 2,
    })
}

/// Whether the path is `/..`, `/../..` and so on.
fn leads_up(top: &[u8]) -> bool {
    top != b"/" && top.split(|&byte| byte == b'/').skip(1).all(|element| element == b"..")
}

fn has(list: &[u8], word: &[u8]) -> bool {
    list.split(|&byte| byte == b',').any(|item| item == word)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::cgroup::facts::{mounts, numbers};

    const HYBRID: &str = "\
25 20 0:23 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
26 25 0:24 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
27 25 0:25 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
29 25 0:27 / /sys/fs/cgroup/memory rw,relatime shared:7 master:1 - cgroup cgroup rw,memory
34 25 0:32 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
35 25 0:33 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";
    const HYBRID_NUMBERS: &str = "9:name=systemd:/\n4:memory:/x\n2:cpuacct:/\n1:cpu:/\n0::/\n";
    const JOINED: &str = "\
26 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
29 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
";
    const V2: &str = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

    fn facts(mountinfo: &str, cgroup: &str) -> Facts {
        Facts {
            mounts: mounts(mountinfo.as_bytes()),
            numbers: numbers(cgroup.as_bytes()),
            own_namespace: false,
            usual: PathBuf::from("/sys/fs/cgroup"),
        }
    }

    fn decided(mountinfo: &str, cgroup: &str) -> Layout {
        Layout::decide(&facts(mountinfo, cgroup)).unwrap()
    }

    fn at(layout: &Layout, place: Option<Place>) -> Option<(u32, &str)> {
        place.and_then(|place| layout.hierarchy(place)).map(|found| (found.id, found.mount.to_str().unwrap()))
    }

    #[test]
    fn hybrid_with_each_controller_mounted_alone() {
        let layout = decided(HYBRID, HYBRID_NUMBERS);
        assert_eq!((layout.mode, layout.partial), (Mode::Hybrid, false));
        assert_eq!(at(&layout, layout.cpu), Some((1, "/sys/fs/cgroup/cpu")));
        assert_eq!(at(&layout, layout.cpuacct), Some((2, "/sys/fs/cgroup/cpuacct")));
        assert_eq!(at(&layout, layout.memory), Some((4, "/sys/fs/cgroup/memory")));
        assert_eq!(at(&layout, layout.unified), Some((0, "/sys/fs/cgroup/unified")));
    }

    #[test]
    fn joined_controllers_are_one_hierarchy() {
        let layout = decided(JOINED, "5:memory:/\n3:cpu,cpuacct:/\n");
        assert_eq!(layout.mode, Mode::V1);
        assert_eq!(layout.cpu, layout.cpuacct);
        assert_eq!(at(&layout, layout.cpuacct), Some((3, "/sys/fs/cgroup/cpu,cpuacct")));
        assert_eq!((layout.hierarchies.len(), layout.unified), (2, None));
    }

    #[test]
    fn version_2_serves_all_from_one_tree() {
        let layout = decided(V2, "0::/user.slice\n");
        assert_eq!((layout.mode, layout.hierarchies.len()), (Mode::V2, 1));
        assert_eq!([layout.cpu, layout.cpuacct, layout.memory, layout.unified], [Some(0); 4]);
    }

    #[test]
    fn a_named_hierarchy_alone_does_not_make_a_hybrid() {
        let text = format!("{V2}34 25 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n");
        assert_eq!(decided(&text, "9:name=systemd:/\n0::/\n").mode, Mode::V2);
    }

    #[test]
    fn a_controller_that_is_not_mounted_is_missing() {
        let layout = decided(
            "29 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
            "5:memory:/\n3:cpu,cpuacct:/\n",
        );
        assert_eq!((layout.cpu, layout.cpuacct, layout.memory), (None, None, Some(0)));
        assert_eq!(Layout::decide(&facts("", "0::/\n")), None);
    }

    #[test]
    fn the_mount_that_shows_most_is_taken() {
        // A container's own mount first, the host's beside it, seen from the host's namespace and from another.
        let own = "40 30 0:27 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let host = "41 30 0:27 / /host/sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let mut facts = facts(&format!("{own}{host}"), "5:memory:/docker/abc\n");
        facts.usual = PathBuf::from("/host/sys/fs/cgroup");
        let layout = Layout::decide(&facts).unwrap();
        assert_eq!(at(&layout, layout.memory), Some((5, "/host/sys/fs/cgroup/memory")));
        assert!(!layout.partial);

        let alone = decided(own, "5:memory:/docker/abc\n");
        assert!(alone.partial);
        let memory = &alone.hierarchies[0];
        assert_eq!(memory.below_mount(b"/docker/abc/x"), Some(CgroupPath::new(b"/x")));
        assert_eq!(memory.below_mount(b"/docker/abc"), Some(CgroupPath::root()));
        assert_eq!(memory.below_mount(b"/docker/abcd"), None);

        let inside = "40 30 0:27 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let above = "41 30 0:27 /../.. /host/sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        facts.mounts = mounts(format!("{inside}{above}").as_bytes());
        facts.numbers = numbers(b"0::/\n");
        facts.own_namespace = true;
        let layout = Layout::decide(&facts).unwrap();
        assert_eq!(at(&layout, layout.unified), Some((0, "/host/sys/fs/cgroup")));
        assert!(!layout.partial);
        assert_eq!(layout.hierarchies[0].below_mount(b"/x"), Some(CgroupPath::new(b"/x")));
        facts.mounts.pop();
        facts.usual = PathBuf::from("/sys/fs/cgroup");
        let alone = Layout::decide(&facts).unwrap();
        assert!(alone.partial);
        assert_eq!(alone.hierarchies[0].below_mount(b"/x"), None, "nobody knows where its own top lies");
    }

    #[test]
    fn mounts_in_unusual_places_do_not_mix_with_the_host_s() {
        let odd = HYBRID.replace("/sys/fs", "/srv/chroot/sys/fs");
        let layout = decided(&format!("{odd}{V2}"), HYBRID_NUMBERS);
        assert_eq!((layout.mode, at(&layout, layout.memory)), (Mode::V2, Some((0, "/sys/fs/cgroup"))));
        let alone = decided(&odd, HYBRID_NUMBERS);
        assert_eq!(at(&alone, alone.memory), Some((4, "/srv/chroot/sys/fs/cgroup/memory")));
    }
}
