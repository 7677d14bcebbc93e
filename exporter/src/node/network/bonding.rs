//! Bonded network interfaces: how many each has, how many of them work.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::{KeptFile, ReadError, Serves},
        folder::Folder,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "bonding",
    on_by_default: true,
    summary: "bonded network interfaces: how many each has, how many of them work",
    reads: "/sys/class/net/bonding_masters",
    since: "2.6",
    // The kernel's lock on its network configuration may be held for long.
    pace: Pace::MayBlock,
    flags: &[],
    families: &[&SLAVES, &ACTIVE],
    build: Bonding::build,
};

static SLAVES: Family = Family::gauge("node_bonding_slaves", "Interfaces that the bond is made of.");
static ACTIVE: Family = Family::gauge("node_bonding_active", "Interfaces of the bond whose link is up.");

struct Bonding {
    masters: KeptFile,
    class: PathBuf,
}

impl Bonding {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let class = context.paths.sysfs.join("class/net");
        Ok(Box::new(Self { masters: KeptFile::new(class.join("bonding_masters"), Serves::Whole), class }))
    }
}

impl Collector for Bonding {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let masters = self.masters.read().map_err(ReadError::or_absent)?;
        let (mut bonds, mut known) = (Vec::new(), HashSet::new());
        let mut buffer = Vec::new();
        for master in words(masters).filter(|master| known.insert(*master)) {
            let counts = members(&self.class, master, &mut buffer).map_err(ReadError::or_absent)?;
            bonds.push((Labels::new([("master", master)]), counts));
        }
        let mut samples = page.family(&SLAVES);
        for (labels, (all, _)) in &bonds {
            samples.sample(labels, *all);
        }
        let mut samples = page.family(&ACTIVE);
        for (labels, (_, active)) in &bonds {
            samples.sample(labels, *active);
        }
        Ok(())
    }
}

/// Interfaces in the bond and those of them whose link is up.
fn members(class: &Path, master: &[u8], buffer: &mut Vec<u8>) -> Result<(u64, u64), ReadError> {
    let folder = Folder::open(class.join(os(master)))?;
    let slaves = folder.read("bonding/slaves", &mut Vec::new())?.to_vec();
    let (mut all, mut active) = (0, 0);
    for slave in words(&slaves) {
        let status = |prefix: &[u8]| {
            let name = [prefix, slave, b"/bonding_slave/mii_status"].concat();
            Path::new(os(&name)).to_owned()
        };
        // Old kernels had another name for the link.
        let is_up = match folder.read(status(b"lower_"), buffer) {
            Err(error) if error.is_gone() => is_up(folder.read(status(b"slave_"), buffer)?),
            other => is_up(other?),
        };
        all += 1;
        active += u64::from(is_up);
    }
    Ok((all, active))
}

fn is_up(status: &[u8]) -> bool {
    status.trim_ascii() == b"up"
}

fn os(name: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(name)
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bond_that_is_listed_twice_counts_once() {
        let root = crate::node::sysfs_test::Root::new("bonds");
        root.write("class/net/bonding_masters", "bond0 bond0\n");
        root.write("class/net/bond0/bonding/slaves", "\n");
        let wanted = ["node_bonding_slaves{master=\"bond0\"} 0", "node_bonding_active{master=\"bond0\"} 0"];
        assert_eq!(root.samples(&DESCRIPTOR, &[]).expect("collects"), wanted);
    }

    #[test]
    fn counts_what_is_up_under_either_name() {
        let class = std::env::temp_dir().join(format!("nodetally-bonding-{}", std::process::id()));
        for (file, text) in [
            ("bond0/bonding/slaves", "eth0 eth1 eth2\n"),
            ("bond0/lower_eth0/bonding_slave/mii_status", "up\n"),
            ("bond0/slave_eth1/bonding_slave/mii_status", "up\n"),
            ("bond0/lower_eth2/bonding_slave/mii_status", "going down\n"),
            ("empty/bonding/slaves", "\n"),
            ("lost/bonding/slaves", "eth7\n"),
        ] {
            let path = class.join(file);
            std::fs::create_dir_all(path.parent().expect("has a parent")).expect("makes");
            std::fs::write(path, text).expect("writes");
        }
        let members =
            |master: &[u8]| members(&class, master, &mut Vec::new()).map_err(|error| error.to_string());
        assert_eq!(members(b"bond0"), Ok((3, 2)));
        assert_eq!(members(b"empty"), Ok((0, 0)));
        assert!(members(b"lost").expect_err("is lost").contains("slave_eth7"));
        assert!(members(b"b\xff").is_err());
        std::fs::remove_dir_all(class).expect("removes");
    }
}
