//! Space, files and state of mounted file systems.

mod errno;
mod mount;

use std::time::{Duration, Instant};

use self::mount::{Mount, Rules, Trouble};
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, Filter, FilterFlags, duration},
    metric::{Family, Page},
    source::{
        file::{KeptFile, ReadError, Serves},
        mount::Space,
        statfs::Asker,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "filesystem",
    on_by_default: true,
    summary: "space, files and state of mounted file systems",
    reads: "/proc/1/mountinfo, else /proc/self/mountinfo; statfs(2)",
    since: "2.6.26",
    // A server that does not answer holds statfs for as long as it likes. (`statfs` sees to that; the list of mounts may
    // wait, too.)
    pace: Pace::MayBlock,
    flags: &[
        Flag {
            name: POINTS.include,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Only these mount points; clears the default of mount-points-exclude",
        },
        Flag {
            name: POINTS.exclude,
            takes: Takes::Text {
                placeholder: "REGEXP",
                default: "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
            },
            help: "All mount points but these",
        },
        Flag {
            name: FSTYPES.include,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Only these types of file system; clears the default of fs-types-exclude",
        },
        Flag {
            name: FSTYPES.exclude,
            takes: Takes::Text {
                placeholder: "REGEXP",
                default: "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|\
                    iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|\
                    sysfs|tracefs)$",
            },
            help: "All types of file system but these",
        },
        Flag {
            name: OLD_POINTS,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Old name of mount-points-exclude",
        },
        Flag {
            name: OLD_FSTYPES,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Old name of fs-types-exclude",
        },
        Flag {
            name: MOUNT_TIMEOUT,
            takes: Takes::Text { placeholder: "TIME", default: "5s" },
            help: "How long a mount may take to answer, if the scrape's deadline is not before",
        },
        Flag {
            name: STAT_WORKERS,
            takes: Takes::Text { placeholder: "N", default: "4" },
            help: "Accepted and not used: one thread asks, and one more for each mount that does not answer",
        },
    ],
    families: &[
        &SIZE,
        &FREE,
        &AVAILABLE,
        &FILES,
        &FILES_FREE,
        &PURGEABLE,
        &READONLY,
        &DEVICE_ERROR,
        &MOUNT_INFO,
    ],
    build: Filesystem::build,
};

const MOUNT_TIMEOUT: &str = "collector.filesystem.mount-timeout";
const STAT_WORKERS: &str = "collector.filesystem.stat-workers";
const OLD_POINTS: &str = "collector.filesystem.ignored-mount-points";
const OLD_FSTYPES: &str = "collector.filesystem.ignored-fs-types";
const POINTS: FilterFlags = FilterFlags {
    include: "collector.filesystem.mount-points-include",
    exclude: "collector.filesystem.mount-points-exclude",
    old_include: None,
    old_exclude: Some(OLD_POINTS),
};
const FSTYPES: FilterFlags = FilterFlags {
    include: "collector.filesystem.fs-types-include",
    exclude: "collector.filesystem.fs-types-exclude",
    old_include: None,
    old_exclude: Some(OLD_FSTYPES),
};

static SIZE: Family = Family::gauge("node_filesystem_size_bytes", "Size of the file system, in bytes.");
static FREE: Family = Family::gauge("node_filesystem_free_bytes", "Free space for root, in bytes.");
static AVAILABLE: Family =
    Family::gauge("node_filesystem_avail_bytes", "Free space for all users, in bytes.");
static FILES: Family =
    Family::gauge("node_filesystem_files", "Files (inodes) that the file system can hold.");
static FILES_FREE: Family =
    Family::gauge("node_filesystem_files_free", "Files (inodes) that can still be made.");
static PURGEABLE: Family = Family::gauge(
    "node_filesystem_purgeable_bytes",
    "Space that the system would free if asked, in bytes; always 0 on Linux.",
);
static READONLY: Family =
    Family::gauge("node_filesystem_readonly", "Whether the file system cannot be written, 1 or 0.");
static DEVICE_ERROR: Family = Family::gauge(
    "node_filesystem_device_error",
    "Whether asking for the space failed, 1 or 0; the label device_error says why.",
);
static MOUNT_INFO: Family =
    Family::gauge("node_filesystem_mount_info", "1, with the device's number and the mount point.");

/// A family of the file systems that answer, and its figure.
type Figure = (&'static Family, fn(&Space) -> f64);

static SPACE: [Figure; 6] = [
    (&SIZE, |space| bytes(space.blocks, space)),
    (&FREE, |space| bytes(space.free, space)),
    (&AVAILABLE, |space| bytes(space.available, space)),
    (&FILES, |space| space.files as f64),
    (&FILES_FREE, |space| space.files_free as f64),
    (&PURGEABLE, |_| 0.0),
];

fn bytes(blocks: u64, space: &Space) -> f64 {
    blocks as f64 * space.block_size as f64
}

struct Filesystem {
    /// The first process's view is the host's, also from within a container that sees the host's /proc.
    first: KeptFile,
    /// Our own, where the first process is hidden from us.
    own: KeptFile,
    rules: Rules,
    /// The list that `mounts` was made of.
    mountinfo: Vec<u8>,
    mounts: Vec<Mount>,
    patience: Duration,
    /// Begun at the first scrape, so that its threads share nothing with the process' first one.
    asker: Option<Asker>,
}

impl Filesystem {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let procfs = &context.paths.procfs;
        let points = Filter::from_flags(context.flags, &POINTS)?;
        let fstypes = Filter::from_flags(context.flags, &FSTYPES)?;
        let workers = context.flags.text(STAT_WORKERS);
        if workers.parse::<u32>().is_err() {
            return Err(ConfigError::flag(STAT_WORKERS, workers, "expected a number"));
        }
        Ok(Box::new(Self {
            first: KeptFile::new(procfs.join("1/mountinfo"), Serves::Records),
            own: KeptFile::new(procfs.join("self/mountinfo"), Serves::Records),
            rules: Rules::new(points, fstypes, &context.paths.rootfs),
            mountinfo: Vec::new(),
            mounts: Vec::new(),
            patience: duration(context.flags, MOUNT_TIMEOUT)?,
            asker: None,
        }))
    }

    /// Takes in the list of mounts; tells whether it is another one than before.
    fn list(&mut self) -> Result<bool, Failure> {
        let mountinfo = match self.first.read() {
            Ok(text) => text,
            Err(error) if is_hidden(&error) => self.own.read()?,
            Err(error) => return Err(error.into()),
        };
        if mountinfo == self.mountinfo && !mountinfo.is_empty() {
            return Ok(false);
        }
        self.mounts = mount::shown(mountinfo, &self.rules);
        self.mountinfo.clear();
        self.mountinfo.extend_from_slice(mountinfo);
        if crate::source::mount::mounts(mountinfo).next().is_none() {
            return Err(Failure::unreadable(self.first.path(), "lines of mounts"));
        }
        Ok(true)
    }
}

fn is_hidden(error: &ReadError) -> bool {
    error.is_gone() || error.error.kind() == std::io::ErrorKind::PermissionDenied
}

impl Collector for Filesystem {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.collect_until(Instant::now() + self.patience, page)
    }

    fn collect_until(&mut self, deadline: Instant, page: &mut Page) -> Result<(), Failure> {
        let is_another = self.list()?;
        let is_first = self.asker.is_none();
        let asker = match &mut self.asker {
            Some(asker) => asker,
            none => none
                .insert(Asker::new().map_err(|error| Failure::Broken(format!("start a thread: {error}")))?),
        };
        if is_another || is_first {
            asker.follow(self.mounts.iter().map(Mount::place));
        }
        asker.ask(self.patience, deadline);
        for (mount, answer) in self.mounts.iter_mut().zip(asker.answers()) {
            mount.take(answer.map_or(Err(Trouble::Stuck), |answer| answer.map_err(Trouble::Error)));
        }
        for (family, value) in SPACE {
            let mut samples = page.family(family);
            for mount in &self.mounts {
                if let Some(space) = mount.space() {
                    samples.sample(&mount.labels, value(space));
                }
            }
        }
        let mut samples = page.family(&READONLY);
        self.mounts.iter().for_each(|mount| samples.sample(&mount.labels, mount.is_readonly()));
        let mut samples = page.family(&DEVICE_ERROR);
        self.mounts.iter().for_each(|mount| samples.sample(&mount.labels, mount.space().is_none()));
        let mut samples = page.family(&MOUNT_INFO);
        for mount in self.mounts.iter().filter(|mount| mount.space().is_some()) {
            mount.infos.iter().for_each(|info| samples.sample(info, 1_u64));
        }
        Ok(())
    }
}
