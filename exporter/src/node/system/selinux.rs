//! Whether SELinux is on, and its mode.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::fs::StatVfsMountFlags;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Page},
    source::{mount, text},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "selinux",
    on_by_default: true,
    summary: "whether SELinux is on, its mode now and as configured",
    reads: "/sys/fs/selinux, /proc/thread-self/attr/current, /etc/selinux/config",
    since: "2.6",
    // The configuration lies on a disk.
    pace: Pace::MayBlock,
    flags: &[],
    families: &[&CONFIG_MODE, &CURRENT_MODE, &ENABLED],
    build: Selinux::build,
};

static CONFIG_MODE: Family = Family::gauge(
    "node_selinux_config_mode",
    "Mode that SELinux starts in: 1 enforcing, 0 permissive, -1 off or unknown.",
);
static CURRENT_MODE: Family =
    Family::gauge("node_selinux_current_mode", "Mode of SELinux now: 1 enforcing, 0 permissive, -1 unknown.");
static ENABLED: Family = Family::gauge("node_selinux_enabled", "Whether SELinux is on, 1 or 0.");

const USUAL_PLACE: &str = "/sys/fs/selinux";
const CONFIG: &str = "/etc/selinux/config";
/// The type of selinuxfs in statfs(2).
const MAGIC: u64 = 0xf97c_ff8c;

/// These files have no `--path` flag in the reference either.
struct Selinux {
    /// Where selinuxfs is mounted, if SELinux is on: that is settled when the kernel starts.
    mounted: Option<PathBuf>,
}

impl Selinux {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(_: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { mounted: place().filter(|_| has_policy()) }))
    }
}

impl Collector for Selinux {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        if let Some(mounted) = &self.mounted {
            page.family(&CONFIG_MODE).plain(configured(&fs::read(CONFIG).unwrap_or_default()));
            page.family(&CURRENT_MODE).plain(current(&fs::read(mounted.join("enforce")).unwrap_or_default()));
        }
        page.family(&ENABLED).plain(self.mounted.is_some());
        Ok(())
    }
}

/// Where selinuxfs is mounted for writing.
fn place() -> Option<PathBuf> {
    let usual = PathBuf::from(USUAL_PLACE);
    if is_selinuxfs(&usual) {
        return Some(usual);
    }
    let filesystems = fs::read("/proc/filesystems").ok()?;
    if !text::lines(&filesystems).any(|line| text::fields(line).last() == Some(b"selinuxfs")) {
        return None;
    }
    let mountinfo = fs::read("/proc/self/mountinfo").ok()?;
    let places = mount::mounts(&mountinfo).filter(|mount| mount.fstype == b"selinuxfs");
    let mut paths = places.filter_map(|mount| Some(PathBuf::from(str::from_utf8(mount.point).ok()?)));
    paths.find(|path| is_selinuxfs(path))
}

fn is_selinuxfs(path: &Path) -> bool {
    let is_type = rustix::fs::statfs(path).is_ok_and(|found| u64::try_from(found.f_type) == Ok(MAGIC));
    is_type && rustix::fs::statvfs(path).is_ok_and(|found| !found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Without a policy every thread is called `kernel`.
fn has_policy() -> bool {
    let label = fs::read("/proc/thread-self/attr/current").unwrap_or_default();
    label.split(|&byte| byte == 0).next().is_none_or(|label| label.trim_ascii() != b"kernel")
}

/// The mode of `SELINUX=` in the configuration.
fn configured(config: &[u8]) -> f64 {
    let value = |line: &'_ [u8]| -> Option<Vec<u8>> {
        let value = line.trim_ascii().strip_prefix(b"SELINUX=")?;
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        Some(value.strip_suffix(b"\"").unwrap_or(value).to_vec())
    };
    match text::lines(config).find_map(value).as_deref() {
        Some(b"enforcing") => 1.0,
        Some(b"permissive") => 0.0,
        _ => -1.0,
    }
}

/// The mode as selinuxfs has it.
fn current(enforce: &[u8]) -> f64 {
    match text::only(enforce) {
        Some(0) => 0.0,
        Some(1) => 1.0,
        _ => -1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_one_of_three() {
        for (config, mode) in [
            (&b"# SELINUX=permissive\nSELINUX=enforcing\nSELINUXTYPE=targeted\n"[..], 1.0),
            (b"SELINUXTYPE=x\n  SELINUX=\"permissive\"\n", 0.0),
            (b"SELINUX=disabled", -1.0),
            (b"SELINUX=", -1.0),
            (b"SELINUX=enforc\xff", -1.0),
            (b"", -1.0),
        ] {
            assert!((configured(config) - mode).abs() < f64::EPSILON, "{config:?}");
        }
        for (enforce, mode) in [(&b"1"[..], 1.0), (b"0\n", 0.0), (b"2", -1.0), (b"", -1.0), (b"\xff", -1.0)] {
            assert!((current(enforce) - mode).abs() < f64::EPSILON, "{enforce:?}");
        }
    }
}
