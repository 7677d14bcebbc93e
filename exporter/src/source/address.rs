//! The addresses of the network interfaces, from getifaddrs(3).

use std::{
    ffi::CStr,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ptr::{self, NonNull},
};

/// One address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The interface.
    pub device: Vec<u8>,
    /// Its address.
    pub address: IpAddr,
    /// How many bits of it name the network.
    pub prefix: u32,
}

/// The IPv4 and IPv6 addresses of all interfaces of our network namespace.
///
/// # Errors
/// What the C library says.
pub fn addresses() -> io::Result<Vec<Address>> {
    let mut list = ptr::null_mut();
    // SAFETY: the call writes a pointer to `list`, which lives beyond it.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut rest = NonNull::new(list);
    while let Some(entry) = rest {
        // SAFETY: the entry belongs to the list, which is freed below; nothing writes to it.
        let entry = unsafe { entry.as_ref() };
        // SAFETY: the list's names end with a zero, its addresses are null or sockaddrs of their family's size.
        found.extend(unsafe { address(entry) });
        rest = NonNull::new(entry.ifa_next);
    }
    if !list.is_null() {
        // SAFETY: the list came from getifaddrs and nothing refers to it any more.
        unsafe { libc::freeifaddrs(list) };
    }
    Ok(found)
}

/// Reads one entry; `None` for one that is no IP address.
///
/// # Safety
/// `ifa_name` points to a string that ends with a zero; `ifa_addr` and `ifa_netmask` are null or point to a whole
/// socket address of their family.
unsafe fn address(entry: &libc::ifaddrs) -> Option<Address> {
    // SAFETY: as the caller promises.
    let (name, ip, mask) =
        unsafe { (CStr::from_ptr(entry.ifa_name), ip(entry.ifa_addr)?, ip(entry.ifa_netmask)) };
    let prefix = match mask {
        Some(IpAddr::V4(mask)) => mask.to_bits().leading_ones(),
        Some(IpAddr::V6(mask)) => mask.to_bits().leading_ones(),
        None => 0,
    };
    // An address with a label of its own comes as `eth0:label`; no interface's name holds a colon.
    let device = name.to_bytes().split(|&byte| byte == b':').next()?.to_vec();
    Some(Address { device, address: ip, prefix })
}

/// # Safety
/// `address` is null or points to a whole socket address of its family.
unsafe fn ip(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: not null, so a whole socket address; read as bytes might lie, without regard to alignment.
    match i32::from(unsafe { (&raw const (*address).sa_family).read_unaligned() }) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in.
            let inet = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(u32::from_be(inet.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a sockaddr_in6.
            let inet = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(inet.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_has_its_address() {
        let found = addresses().expect("lists");
        let wanted = Address { device: b"lo".to_vec(), address: Ipv4Addr::LOCALHOST.into(), prefix: 8 };
        assert!(found.contains(&wanted), "{found:?}");
    }
}
