//! What a network driver tells of itself, by ioctl(2) `SIOCETHTOOL`. (No crate that is kept up asks it.)

use std::{
    ffi::c_void,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    ioctl::{Updater, ioctl},
    net::{AddressFamily, SocketFlags, SocketType, netdevice::name_to_index, socket_with},
};

const SIOCETHTOOL: u32 = 0x8946;
const GET_LINK: u32 = 0x01;
const GET_DRIVER: u32 = 0x03;
const GET_NAMES: u32 = 0x1b;
const GET_COUNTERS: u32 = 0x1d;
/// Which of the driver's lists of names: that of its counters.
const NAMES_OF_COUNTERS: u32 = 1;

/// Bytes of a name in the driver's list.
const NAME: usize = 32;
/// More counters than any driver has. The kernel writes as many as there are, however many are asked for, so there is
/// always room for this many.
const MOST: usize = 32_768;

/// The kernel's `struct ifreq`, or a little more where pointers are short.
#[repr(C)]
struct Request {
    name: [u8; 16],
    data: *mut c_void,
    rest: [u64; 2],
}

/// What an interface's link can do, from `struct ethtool_cmd`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Bits of `ETHTOOL_LINK_MODE_*`, the first 32 of them.
    pub supported: u32,
    /// Of these, what is offered to the other end.
    pub advertised: u32,
    /// Whether speed and duplex are negotiated.
    pub negotiates: u8,
}

/// What a driver tells of itself: `struct ethtool_drvinfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Driver([u32; 49]);

impl Driver {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        self.text(4)
    }

    /// Its version.
    pub fn version(&self) -> &[u8] {
        self.text(36)
    }

    /// The firmware's version.
    pub fn firmware(&self) -> &[u8] {
        self.text(68)
    }

    /// Where the device is on its bus.
    pub fn bus(&self) -> &[u8] {
        self.text(100)
    }

    /// The version of the expansion ROM.
    pub fn expansion_rom(&self) -> &[u8] {
        self.text(132)
    }

    /// How many counters it has.
    pub fn counters(&self) -> usize {
        self.0.get(45).map_or(0, |&count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn text(&self, at: usize) -> &[u8] {
        let field = bytemuck::cast_slice(&self.0).get(at..at + 32).unwrap_or_default();
        until_zero(field)
    }
}

/// The names in a driver's list, in the order of its counters; an empty one stands for none.
pub fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.chunks_exact(NAME).map(until_zero)
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Whoever answers for the drivers of interfaces.
pub trait Drivers {
    /// The interface's number; 0 if it has none.
    fn index(&mut self, interface: &[u8]) -> u32;

    /// What its link can do.
    ///
    /// # Errors
    /// What `socket` or `ioctl` says: `EOPNOTSUPP` where the driver knows nothing of it.
    fn link(&mut self, interface: &[u8]) -> io::Result<Link>;

    /// What its driver says of itself.
    ///
    /// # Errors
    /// As [`Self::link`].
    fn driver(&mut self, interface: &[u8]) -> io::Result<Driver>;

    /// The names of that many counters, to be read by [`names`].
    ///
    /// # Errors
    /// As [`Self::link`]; also where there are another number of them by now.
    fn names(&mut self, interface: &[u8], count: usize) -> io::Result<Vec<u8>>;

    /// That many counters.
    ///
    /// # Errors
    /// As [`Self::names`].
    fn counters(&mut self, interface: &[u8], count: usize) -> io::Result<&[u64]>;
}

/// The kernel's drivers, in this thread's network namespace.
///
/// A request may wait for the lock on the network's configuration and for the device.
#[derive(Debug, Default)]
pub struct KernelDrivers {
    socket: Option<OwnedFd>,
    /// A header and the counters, in memory that becomes real only where it was written to.
    room: Vec<u64>,
}

impl KernelDrivers {
    fn socket(&mut self) -> io::Result<&OwnedFd> {
        if self.socket.is_none() {
            self.socket =
                Some(socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?);
        }
        self.socket.as_ref().ok_or(io::Error::from(io::ErrorKind::NotConnected))
    }
}

/// Asks for what the first word of `data` names.
///
/// # Safety
/// `data` must have room for all that the kernel writes in answer.
unsafe fn ask(socket: impl AsFd, interface: &[u8], data: *mut c_void) -> io::Result<()> {
    let mut name = [0; 16];
    for (to, &from) in name.iter_mut().take(15).zip(interface) {
        *to = from;
    }
    let mut request = Request { name, data, rest: [0; 2] };
    // SAFETY: the request is at least as large as what the kernel copies; the caller vouches for `data`.
    Ok(unsafe { ioctl(socket, Updater::<SIOCETHTOOL, Request>::new(&mut request)) }?)
}

impl Drivers for KernelDrivers {
    fn index(&mut self, interface: &[u8]) -> u32 {
        let name = str::from_utf8(interface).unwrap_or_default();
        self.socket().ok().and_then(|socket| name_to_index(socket, name).ok()).unwrap_or(0)
    }

    fn link(&mut self, interface: &[u8]) -> io::Result<Link> {
        let mut words = [0_u32; 11];
        words[0] = GET_LINK;
        // SAFETY: the words are as large as the kernel's `struct ethtool_cmd`.
        unsafe { ask(self.socket()?, interface, words.as_mut_ptr().cast()) }?;
        let [_, supported, advertised, _, port, ..] = words;
        Ok(Link { supported, advertised, negotiates: port.to_ne_bytes()[2] })
    }

    fn driver(&mut self, interface: &[u8]) -> io::Result<Driver> {
        let mut words = [0_u32; 49];
        words[0] = GET_DRIVER;
        // SAFETY: the words are as large as the kernel's `struct ethtool_drvinfo`.
        unsafe { ask(self.socket()?, interface, words.as_mut_ptr().cast()) }?;
        Ok(Driver(words))
    }

    fn names(&mut self, interface: &[u8], count: usize) -> io::Result<Vec<u8>> {
        let mut words = vec![0_u32; 3 + MOST * NAME / 4];
        let length = small(count)?;
        for (to, from) in words.iter_mut().zip([GET_NAMES, NAMES_OF_COUNTERS, length]) {
            *to = from;
        }
        // SAFETY: there is room for more names than any driver has.
        unsafe { ask(self.socket()?, interface, words.as_mut_ptr().cast()) }?;
        same(words.get(2).copied(), length)?;
        let list = bytemuck::cast_slice(words.get(3..).unwrap_or_default());
        Ok(list.get(..count.saturating_mul(NAME)).unwrap_or_default().to_vec())
    }

    fn counters(&mut self, interface: &[u8], count: usize) -> io::Result<&[u64]> {
        let length = small(count)?;
        let mut room = std::mem::take(&mut self.room);
        room.resize(1 + MOST, 0);
        if let Some(header) = room.first_mut() {
            *header = bytemuck::cast([GET_COUNTERS, length]);
        }
        // SAFETY: there is room for more counters than any driver has.
        let asked =
            self.socket().and_then(|socket| unsafe { ask(socket, interface, room.as_mut_ptr().cast()) });
        self.room = room;
        asked?;
        let header: [u32; 2] = bytemuck::cast(self.room.first().copied().unwrap_or_default());
        same(Some(header[1]), length)?;
        Ok(self.room.get(1..=count).unwrap_or_default())
    }
}

fn small(count: usize) -> io::Result<u32> {
    let error = || io::Error::new(io::ErrorKind::InvalidData, format!("{count} counters are too many"));
    u32::try_from(count).ok().filter(|_| count <= MOST).ok_or_else(error)
}

/// Whether the kernel gave as many as were asked for: a driver may have got another number of queues meanwhile.
fn same(given: Option<u32>, asked: u32) -> io::Result<()> {
    let error = || io::Error::new(io::ErrorKind::InvalidData, "the number of counters has changed");
    given.filter(|given| *given == asked).map(drop).ok_or_else(error)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
    use super::*;

    /// A driver that says this of itself.
    pub(crate) fn driver(texts: [&[u8]; 5], counters: u32) -> Driver {
        let mut words = [0_u32; 49];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        for (field, text) in texts.iter().enumerate() {
            bytes[4 + field * 32..][..text.len()].copy_from_slice(text);
        }
        words[45] = counters;
        Driver(words)
    }

    #[test]
    fn texts_end_at_their_zero_or_their_field() {
        let long = [b'x'; 32];
        let driver = driver([b"veth", &long, b"", b"0000:00:03.0", b"\xff"], 7);
        assert_eq!((driver.name(), driver.version()), (&b"veth"[..], &long[..]));
        assert_eq!((driver.firmware(), driver.bus()), (&b""[..], &b"0000:00:03.0"[..]));
        assert_eq!((driver.expansion_rom(), driver.counters()), (&b"\xff"[..], 7));
    }

    #[test]
    fn a_list_cut_short_has_the_whole_names_alone() {
        let mut list = vec![0; 70];
        list[..2].copy_from_slice(b"rx");
        list[64..].copy_from_slice(b"cut   ");
        assert_eq!(names(&list).collect::<Vec<_>>(), [&b"rx"[..], b""]);
        assert_eq!(names(&[]).count(), 0);
    }

    #[test]
    fn too_many_counters_are_not_asked_for() {
        let mut drivers = KernelDrivers::default();
        for count in [MOST + 1, usize::MAX] {
            assert!(drivers.counters(b"lo", count).is_err());
            assert!(drivers.names(b"lo", count).is_err());
        }
        assert!(same(Some(3), 4).is_err() && same(None, 4).is_err() && same(Some(4), 4).is_ok());
    }

    #[test]
    fn the_loopback_has_no_driver_and_nonsense_no_number() {
        let mut drivers = KernelDrivers::default();
        assert_eq!(drivers.index(b"lo"), 1);
        let refused = drivers.link(b"lo").unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()));
        assert_eq!(drivers.index(b"\xff"), 0);
        assert!(drivers.driver(b"a name that is far too long").is_err());
    }
}
