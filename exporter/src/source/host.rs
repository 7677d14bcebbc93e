//! Whether this process sees the host or the inside of a container, and which figures that changes.
//!
//! Facts are looked up once at start; what follows from them is a pure function of the facts.

use std::{
    fmt, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index};

use crate::config::Paths;

/// Inode numbers that the kernel gives its first namespaces (`enum init_ns_ino` of `linux/nsfs.h`). Those of the
/// network are fixed on newer kernels only; a namespace made later never has one of these.
const FIRST_CGROUP: u64 = 0xEFFF_FFFB;
const FIRST_PID: u64 = 0xEFFF_FFFC;
const FIRST_NETWORK: u64 = 0xEFFF_FFF9;

/// A view of the host that a container may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The tree of cgroups.
    Cgroup,
    /// The network's interfaces, routes and sockets.
    Network,
    /// The processes.
    Pid,
    /// The root file system and what is mounted below.
    Root,
}

impl View {
    /// All, in the order of their names.
    pub const ALL: [Self; 4] = [Self::Cgroup, Self::Network, Self::Pid, Self::Root];

    /// The name in the label `view`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Network => "network",
            Self::Pid => "pid",
            Self::Root => "root",
        }
    }
}

/// A view that is the container's own; shown, it is a warning of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// Which view.
    pub what: View,
    /// The figures that are the container's own for it, or missing.
    pub figures: &'static str,
    /// What to add to `docker run`.
    pub mend: &'static str,
}

impl Restriction {
    const fn of(what: View) -> Self {
        let (figures, mend) = match what {
            View::Cgroup => ("container_*", "--cgroupns=host"),
            View::Network => ("node_network_* and all other figures of the network", "--network=host"),
            View::Pid => ("container_network_* and the list of node_filesystem_*", "--pid=host"),
            View::Root => ("the sizes of node_filesystem_*", "-v /:/host:ro,rslave and --path.rootfs=/host"),
        };
        Self { what, figures, mend }
    }
}

impl fmt::Display for Restriction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = match self.what {
            View::Cgroup => "the cgroup namespace is not the host's",
            View::Network => "the network namespace is not the host's",
            View::Pid => "the pid namespace is not the host's",
            View::Root => "the root file system is not the host's",
        };
        write!(
            out,
            "{seen}: {} are this container's own; give docker run {} to see the host",
            self.figures, self.mend
        )
    }
}

/// What is mounted at `/`: the device's number and the folder on it, as `mountinfo` has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootMount {
    /// `254:0`.
    pub device: String,
    /// `/`, or a folder or subvolume.
    pub folder: String,
}

/// What is known of where this process runs; `None` where the kernel did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Inode of the own cgroup namespace.
    pub cgroup: Option<u64>,
    /// Inode of the own pid namespace.
    pub pid: Option<u64>,
    /// Inode of the own network namespace.
    pub network: Option<u64>,
    /// Inode of `net/dev` in procfs, which each network namespace has its own of. Unlike the namespace's, that of
    /// another process can be asked for without privilege.
    pub devices: Option<u64>,
    /// The same of the host's first process.
    pub init_devices: Option<u64>,
    /// Whether an own interface has a device behind it; `None` when there is none but the loopback.
    pub network_hardware: Option<bool>,
    /// What is mounted as the own root.
    pub root: Option<RootMount>,
    /// What is mounted as the root of the host's first process.
    pub init_root: Option<RootMount>,
    /// Whether `--path.rootfs` points elsewhere than to `/`.
    pub rootfs_given: bool,
}

impl Facts {
    /// Asks the kernel.
    pub fn look(paths: &Paths) -> Self {
        let own = Path::new("/proc/self/ns");
        let pid = namespace(&own.join("pid"));
        let init = host_procfs(paths, pid);
        Self {
            cgroup: namespace(&own.join("cgroup")),
            pid,
            network: namespace(&own.join("net")),
            devices: inode(Path::new("/proc/self/net/dev")),
            init_devices: init.iter().find_map(|procfs| inode(&procfs.join("1/net/dev"))),
            network_hardware: hardware(Path::new("/sys/class/net")),
            root: root_of(Path::new("/proc/self/mountinfo")),
            init_root: init.iter().find_map(|procfs| root_of(&procfs.join("1/mountinfo"))),
            rootfs_given: paths.rootfs != Path::new("/"),
        }
    }

    /// Which views are the container's own. What is not known is not complained of.
    pub fn restrictions(&self) -> Vec<Restriction> {
        View::ALL.into_iter().filter(|view| !self.is_host(*view)).map(Restriction::of).collect()
    }

    /// Whether the view is the host's, as far as is known.
    pub fn is_host(&self, view: View) -> bool {
        let own_pid = self.pid.is_some_and(|inode| inode != FIRST_PID);
        match view {
            View::Cgroup => self.cgroup.is_none_or(|inode| inode == FIRST_CGROUP),
            View::Pid => !own_pid,
            View::Network => match (self.devices, self.init_devices) {
                (Some(own), Some(init)) => own == init,
                _ if self.network == Some(FIRST_NETWORK) => true,
                // Nobody to compare with: a host without one network device is rarer than a container with one.
                _ => self.network_hardware != Some(false),
            },
            // Processes that are not the host's and yet its root: nobody starts it so without a reason to say where.
            View::Root if !self.rootfs_given && own_pid => false,
            View::Root if !self.rootfs_given => match (&self.root, &self.init_root) {
                (Some(own), Some(init)) => own == init,
                _ => true,
            },
            View::Root => true,
        }
    }
}

/// The procfs mounts whose process 1 is the host's first.
fn host_procfs(paths: &Paths, pid: Option<u64>) -> Vec<PathBuf> {
    let own = Path::new("/proc");
    let given = Some(paths.procfs.clone()).filter(|path| path != own);
    let below_root = Some(paths.rootfs.join("proc")).filter(|path| path != own);
    let seen = Some(own.to_path_buf()).filter(|_| pid == Some(FIRST_PID));
    [given, below_root, seen].into_iter().flatten().collect()
}

/// The number in `net:[4026531833]`.
fn namespace(link: &Path) -> Option<u64> {
    inode_in(fs::read_link(link).ok()?.to_str()?)
}

fn inode_in(target: &str) -> Option<u64> {
    target.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.ino())
}

fn root_of(mountinfo: &Path) -> Option<RootMount> {
    root_in(&String::from_utf8_lossy(&fs::read(mountinfo).ok()?))
}

/// Of several mounts at `/` the last one is seen.
fn root_in(mountinfo: &str) -> Option<RootMount> {
    mountinfo.lines().rev().find_map(|line| {
        let mut words = line.split(' ').skip(2);
        let (device, folder, point) = (words.next()?, words.next()?, words.next()?);
        (point == "/").then(|| RootMount { device: device.to_owned(), folder: folder.to_owned() })
    })
}

/// The mount of sysfs may be of another network namespace, so what it lists must also be found in the own one.
fn hardware(interfaces: &Path) -> Option<bool> {
    let mut others =
        fs::read_dir(interfaces).ok()?.flatten().filter(|entry| entry.file_name() != "lo").peekable();
    others.peek()?;
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    Some(others.any(|entry| {
        let index = fs::read_to_string(entry.path().join("ifindex")).ok();
        let own = entry.file_name().to_str().and_then(|name| name_to_index(&socket, name).ok());
        own.is_some()
            && own == index.and_then(|text| text.trim().parse().ok())
            && entry.path().join("device").exists()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(device: &str, folder: &str) -> RootMount {
        RootMount { device: device.to_owned(), folder: folder.to_owned() }
    }

    /// As root on the host, on a kernel before the fixed number of the network's first namespace.
    fn host() -> Facts {
        Facts {
            cgroup: Some(4_026_531_835),
            pid: Some(4_026_531_836),
            network: Some(4_026_531_840),
            devices: Some(4_026_531_874),
            init_devices: Some(4_026_531_874),
            network_hardware: Some(true),
            root: Some(mount("254:0", "/")),
            init_root: Some(mount("254:0", "/")),
            rootfs_given: false,
        }
    }

    /// `docker run` without a flag.
    fn contained() -> Facts {
        Facts {
            cgroup: Some(4_026_532_400),
            pid: Some(4_026_532_399),
            network: Some(4_026_532_401),
            devices: Some(4_026_532_500),
            init_devices: None,
            network_hardware: Some(false),
            root: Some(mount("0:50", "/")),
            init_root: None,
            rootfs_given: false,
        }
    }

    #[test]
    fn facts_decide() {
        use View::{Cgroup, Network, Pid, Root};
        let unknown = Facts::default();
        let first = Some(4_026_531_833);
        let cases: [(&str, Facts, &[View]); 13] = [
            ("on the host", host(), &[]),
            ("nothing known", unknown, &[]),
            ("no flag", contained(), &[Cgroup, Network, Pid, Root]),
            ("on the host, process 1 hidden", Facts { init_devices: None, init_root: None, ..host() }, &[]),
            (
                "the same on a new kernel, no network device",
                Facts { network: first, init_devices: None, network_hardware: Some(false), ..host() },
                &[],
            ),
            (
                "a folder of the host's disk as root",
                Facts { root: Some(mount("254:0", "/srv/image")), ..host() },
                &[Root],
            ),
            ("all flags", Facts { root: Some(mount("0:50", "/")), rootfs_given: true, ..host() }, &[]),
            (
                "no --cgroupns=host",
                Facts { cgroup: Some(4_026_532_400), rootfs_given: true, ..host() },
                &[Cgroup],
            ),
            (
                "no --network=host",
                Facts { devices: Some(4_026_532_500), rootfs_given: true, ..host() },
                &[Network],
            ),
            (
                "no --network=host, process 1 hidden",
                Facts {
                    network: Some(4_026_532_401),
                    devices: Some(4_026_532_500),
                    init_devices: None,
                    network_hardware: Some(false),
                    ..host()
                },
                &[Network],
            ),
            (
                "no --network=host, with a device moved in",
                Facts { network_hardware: Some(true), ..contained() },
                &[Cgroup, Pid, Root],
            ),
            ("no -v /:/host", Facts { root: Some(mount("0:50", "/")), ..host() }, &[Root]),
            (
                "no --pid=host, the host's procfs below its root",
                Facts { pid: Some(4_026_532_399), rootfs_given: true, ..host() },
                &[Pid],
            ),
        ];
        for (case, facts, own) in cases {
            let found: Vec<View> = facts.restrictions().iter().map(|restriction| restriction.what).collect();
            assert_eq!(found, own, "{case}");
        }
    }

    #[test]
    fn a_warning_is_one_line_with_the_flag() {
        for (restriction, flag) in contained().restrictions().iter().zip([
            "--cgroupns=host",
            "--network=host",
            "--pid=host",
            "--path.rootfs=/host",
        ]) {
            let line = restriction.to_string();
            assert!(
                line.contains(flag) && line.contains(restriction.figures) && !line.contains('\n'),
                "{line}"
            );
        }
    }

    #[test]
    fn links_of_namespaces_are_read() {
        assert_eq!(inode_in("net:[4026531833]"), Some(4_026_531_833));
        for target in ["", "net", "net:[", "net:[]", "net:[x]", "net:[99999999999999999999]", "net:[1"] {
            assert_eq!(inode_in(target), None, "{target}");
        }
        let paths = Paths {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
            udev_data: "/run/udev/data".into(),
        };
        let facts = Facts::look(&paths);
        assert!(facts.pid.is_some() && facts.network.is_some() && facts.devices.is_some(), "{facts:?}");
    }

    #[test]
    fn the_last_root_counts() {
        let mountinfo = "21 1 0:2 / / rw - rootfs rootfs rw\n27 21 254:0 /@ / rw,relatime - btrfs /dev/vda rw\n\
                         22 27 0:21 / /proc rw - proc proc rw\nshort\n\n";
        assert_eq!(root_in(mountinfo), Some(mount("254:0", "/@")));
        assert_eq!(root_in("22 27 0:21 / /proc rw - proc proc rw\n1 2\n"), None);
    }
}
