//! The interfaces as sysfs tells them: some twenty files each, which are read when netlink tells of a change.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use regex::Regex;
use rustix::fs::{FsWord, statfs};

use super::{
    families::{ADDRESS_FROM, CARRIER_CHANGES, FLAGS, INDEX, MTU},
    interface::{Interface, Known, SpeedFiles},
    netlink::hardware_address,
    print::{OneTold, Told},
};
use crate::{
    collector::Failure,
    node::kept::Kept,
    source::{
        folder::{Folder, names},
        netlink::{Link, LinkBell},
    },
};

const SYSFS_MAGIC: FsWord = 0x6265_6572;
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;
/// Interfaces whose speed is held open.
const MOST_HELD: usize = 512;

/// A reader of `/sys/class/net`.
pub(super) struct Files {
    class: PathBuf,
    /// `None` where the folder is not the kernel's own.
    told: Option<Told>,
    bell: LinkBell,
    /// What the folder lists, and whether netlink told of all of it and of nothing else: then it need not be listed
    /// again until the bell rings. (A listing passes by the interfaces of all network namespaces.)
    names: Vec<OsString>,
    is_settled: bool,
    buffer: Vec<u8>,
}

impl Files {
    pub fn new(class: PathBuf) -> Self {
        let is_sysfs = statfs(&class).is_ok_and(|fs| fs.f_type == SYSFS_MAGIC);
        Self {
            class,
            told: is_sysfs.then(Told::default),
            bell: LinkBell::default(),
            names: Vec::new(),
            is_settled: false,
            buffer: Vec::new(),
        }
    }

    /// The interfaces that the folder lists, less those that are ignored.
    pub fn read(&mut self, ignored: Option<&Regex>, kept: &mut Kept<Known>) -> Result<(), Failure> {
        let has_rung = self.bell.has_rung();
        // Asked before the files are read: a change in between shows at the next scrape.
        let told = self.told.as_mut().and_then(|told| told.all().ok()).filter(|told| told.is_whole);
        let told = told.as_ref().map(|told| told.by_name()).unwrap_or_default();
        if has_rung || !self.is_settled || told.is_empty() {
            self.is_settled = false;
            self.names = names(&self.class)?;
            if self.names.is_empty() && !self.class.is_dir() {
                return Err(Failure::absent(format!("no folder {}", self.class.display())));
            }
        }
        let mut held = kept.items().filter(|known| known.held.is_some()).count();
        let (mut met, mut is_settled) = (0, true);
        kept.begin();
        for name in &self.names {
            let bytes = name.as_encoded_bytes();
            let told = told.get(bytes).copied();
            met += usize::from(told.is_some());
            if let Some(known) = kept.meet(bytes, || Known::new(bytes, ignored))
                && !known.is_ignored
            {
                if has_rung {
                    held -= usize::from(known.held.take().is_some());
                }
                let may_hold = held < MOST_HELD;
                refresh(known, bytes, &self.class.join(name), told, has_rung, &mut self.buffer);
                if !may_hold {
                    known.held = None;
                }
                held += usize::from(known.held.is_some());
                // What is listed and neither told nor an interface is a file.
                is_settled &= told.is_some() || known.interface.is_none();
            }
        }
        kept.end();
        self.is_settled = is_settled && met == told.len();
        Ok(())
    }
}

/// Reads the files, or as few of them as netlink leaves open.
fn refresh(
    known: &mut Known,
    name: &[u8],
    path: &Path,
    told: Option<&OneTold<'_>>,
    has_rung: bool,
    buffer: &mut Vec<u8>,
) {
    if let (Some(interface), Some(told)) = (&mut known.interface, told)
        && known.print == Some(told.print)
        && read_untold(interface, &mut known.held, &told.link, path, has_rung, buffer)
    {
        return;
    }
    // `bonding_masters` is a file, and an interface may have gone by now.
    known.interface = Folder::open(path).ok().map(|folder| Interface::read(name, &folder, buffer));
    let is_told = |told: &&OneTold<'_>| known.interface.as_ref().is_some_and(|one| is_same(one, told));
    known.print = told.filter(is_told).map(|told| told.print);
}

/// Reads what may change without a word from netlink; `false` where more has to be read.
fn read_untold(
    interface: &mut Interface,
    held: &mut Option<SpeedFiles>,
    link: &Link<'_>,
    path: &Path,
    has_rung: bool,
    buffer: &mut Vec<u8>,
) -> bool {
    // Both ends of a veth have one speed for ever; that of many others is a third one's, or its driver's secret.
    let has_speed = link.flags & (IFF_UP | IFF_LOOPBACK) == IFF_UP && link.kind != Some(b"veth");
    let has_hidden_flag = link.all_multicast.is_none();
    if has_rung || has_hidden_flag {
        let Ok(folder) = Folder::open(path) else { return false };
        if has_rung {
            interface.read_number(ADDRESS_FROM, &folder, buffer);
        }
        if has_hidden_flag {
            interface.read_number(FLAGS, &folder, buffer);
        }
    }
    if !has_speed {
        *held = None;
        return true;
    }
    if held.is_none() {
        *held = SpeedFiles::open(path);
    }
    held.as_ref().is_some_and(|files| interface.read_speed(files))
}

/// Whether both tell of one interface. The folder may be of another network namespace, with the same names.
fn is_same(interface: &Interface, told: &OneTold<'_>) -> bool {
    let number = |place: usize| interface.numbers.get(place).copied().flatten();
    let link = &told.link;
    let address = hardware_address(link.address);
    number(INDEX) == Some(link.index.into())
        && number(MTU) == Some(link.mtu.into())
        && number(CARRIER_CHANGES) == link.carrier_changes.map(i64::from)
        && interface.info.text().starts_with(format!("address=\"{address}\",").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_interface_is_not_taken_for_another() {
        let link = Link {
            index: 7,
            mtu: 1500,
            carrier_changes: Some(2),
            address: &[2, 0, 0, 0, 0, 0xab],
            ..Link::default()
        };
        let told = OneTold { link, mode: None, print: 1 };
        let interface = |index, address: &str| {
            let mut interface = Interface {
                info: crate::metric::Labels::new([("address", address), ("adminstate", "up")]),
                ..Interface::default()
            };
            for (place, number) in [(INDEX, index), (MTU, 1500), (CARRIER_CHANGES, 2)] {
                interface.numbers[place] = Some(number);
            }
            interface
        };
        assert!(is_same(&interface(7, "02:00:00:00:00:ab"), &told));
        assert!(!is_same(&interface(8, "02:00:00:00:00:ab"), &told));
        assert!(!is_same(&interface(7, "02:00:00:00:00:ac"), &told));
        assert!(!is_same(&Interface::default(), &told));
    }

    #[test]
    fn a_folder_that_is_not_the_kernel_s_is_read_each_time() {
        assert!(Files::new(std::env::temp_dir()).told.is_none());
    }
}
