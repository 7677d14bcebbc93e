//! Names of interfaces by their index, looked up once and again only when the kernel tells of a change.

use std::{collections::BTreeMap, os::fd::OwnedFd};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink,
        sockopt::set_socket_recv_buffer_size,
    },
};

use super::{Error, Links, conversation::call};

/// `RTMGRP_LINK`: an interface came, went or changed.
const LINK_GROUP: u32 = 1;
/// Room for one message or two: what counts is that there was one.
const BACKLOG: usize = 4096;
/// Messages taken at most at one look; with more in the queue the next look rings again.
const MOST: usize = 64;

/// Tells whether any interface of our network namespace has come, gone or changed, for one system call.
#[derive(Debug, Default)]
pub struct LinkBell {
    socket: Option<OwnedFd>,
}

impl LinkBell {
    /// Whether there was a change since the last call; `true` at the first one, and whenever it cannot be known.
    pub fn has_rung(&mut self) -> bool {
        let Some(socket) = &self.socket else {
            self.socket = open().ok();
            return true;
        };
        let mut has_rung = false;
        for _ in 0..MOST {
            match rustix::net::recv(socket, &mut [0_u8; 16], RecvFlags::DONTWAIT) {
                Ok(_) | Err(Errno::NOBUFS) => has_rung = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return has_rung,
                Err(_) => {
                    self.socket = None;
                    return true;
                }
            }
        }
        true
    }
}

fn open() -> Result<OwnedFd, Error> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)
        .map_err(call("socket"))?;
    set_socket_recv_buffer_size(&socket, BACKLOG).map_err(call("setsockopt SO_RCVBUF"))?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, LINK_GROUP)).map_err(call("bind"))?;
    Ok(socket)
}

/// The names of our network namespace's interfaces.
#[derive(Debug, Default)]
pub struct LinkNames {
    bell: LinkBell,
    links: Links,
    names: BTreeMap<u32, Vec<u8>>,
    /// Whether the last list was whole.
    is_whole: bool,
}

impl LinkNames {
    /// Looks whether names have changed, and if so lists the interfaces anew. Gives whether they are other names
    /// than before. To be called after what refers to the names was read, so that none is missing.
    ///
    /// # Errors
    /// As [`Links::dump`].
    pub fn refresh(&mut self) -> Result<bool, Error> {
        if !self.bell.has_rung() && self.is_whole {
            return Ok(false);
        }
        self.is_whole = false;
        let links = self.links.dump()?;
        let is_whole = !links.interrupted();
        let names = links.map(|link| (link.index, link.name.to_vec())).collect();
        let have_changed = self.names != names;
        (self.names, self.is_whole) = (names, is_whole);
        Ok(have_changed)
    }

    /// The name of an interface; `None` for one that is not there.
    pub fn get(&self, index: u32) -> Option<&[u8]> {
        self.names.get(&index).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_loopback_is_the_first_interface() {
        let mut names = LinkNames::default();
        assert!(names.refresh().unwrap());
        assert_eq!(names.get(1), Some(&b"lo"[..]));
        assert_eq!(names.get(0), None);
    }
}
