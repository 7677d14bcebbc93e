//! What netlink tells of all interfaces: as long as it is the same, so are most files of sysfs.

use std::{collections::HashMap, hash::BuildHasher, hash::RandomState};

use crate::source::netlink::{Error, Link, LinkMode, LinkModes, Links};

/// A reader of interfaces and, if they are asked for, of their speed and duplex. (Asking for those wakes devices
/// that sleep.)
#[derive(Debug, Default)]
pub(super) struct Told {
    links: Links,
    modes: Option<LinkModes>,
    hasher: RandomState,
}

/// What is told of one interface.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneTold<'a> {
    pub link: Link<'a>,
    pub mode: Option<LinkMode>,
    /// Another one when anything but the counters has changed.
    pub print: u64,
}

/// All that is told.
#[derive(Debug)]
pub(super) struct AllTold<'a> {
    pub interfaces: Vec<OneTold<'a>>,
    /// Whether no interface is missing.
    pub is_whole: bool,
}

impl Told {
    /// One that asks for speed and duplex, too.
    pub fn with_modes() -> Self {
        Self { modes: Some(LinkModes::default()), ..Self::default() }
    }

    /// Asks for all interfaces.
    ///
    /// # Errors
    /// As [`Links::dump`] and [`LinkModes::list`].
    pub fn all(&mut self) -> Result<AllTold<'_>, Error> {
        let modes = self.modes.as_mut().map(LinkModes::list).transpose()?.flatten();
        let modes: HashMap<u32, LinkMode> =
            modes.unwrap_or_default().into_iter().map(|mode| (mode.index, mode)).collect();
        let links = self.links.dump()?;
        let is_whole = !links.interrupted();
        let hasher = &self.hasher;
        let told = links.map(|link| {
            let mode = modes.get(&link.index).copied();
            let mut uncounted = link;
            uncounted.stats = None;
            OneTold { link, mode, print: hasher.hash_one((uncounted, mode)) }
        });
        let interfaces = told.collect();
        Ok(AllTold { interfaces, is_whole })
    }
}

impl<'a> AllTold<'a> {
    /// The interfaces by name.
    pub fn by_name(&self) -> HashMap<&'a [u8], &OneTold<'a>> {
        self.interfaces.iter().map(|one| (one.link.name, one)).collect()
    }
}
