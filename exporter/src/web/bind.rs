//! Listening sockets, made before anything else starts so that a taken port is said at once.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt},
};

use crate::config::{ListenAddress, Part, WebSettings};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 512;

/// A listening socket, and what is served there.
#[derive(Debug)]
pub struct Listening {
    /// The socket.
    pub listener: TcpListener,
    /// What is served.
    pub part: Part,
}

/// Opens a listener for each address of the settings.
///
/// # Errors
/// A line that names the address and what the kernel said of it.
pub fn bind(settings: &WebSettings) -> Result<Vec<Listening>, String> {
    let addresses =
        settings.sites.iter().flat_map(|site| site.listen.iter().map(|address| (address, site.part)));
    addresses.map(|(address, part)| Ok(Listening { listener: listener(address)?, part })).collect()
}

fn listener(address: &ListenAddress) -> Result<TcpListener, String> {
    let opened = match open(address.socket, address.any) {
        Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if address.any => {
            open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.socket.port()), false)
        }
        other => other,
    };
    opened.map_err(|error| {
        let hint = match error {
            Errno::ADDRINUSE => " (another program listens there)",
            Errno::ADDRNOTAVAIL => " (no interface of this machine has that address)",
            Errno::ACCESS => " (ports below 1024 need a privilege)",
            _ => "",
        };
        format!("cannot listen on {}: {error}{hint}", shown(address))
    })
}

fn shown(address: &ListenAddress) -> String {
    if address.any { format!(":{}", address.socket.port()) } else { address.socket.to_string() }
}

fn open(address: SocketAddr, dual_stack: bool) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // An address typed as `[::]` has both families too, as the reference's has.
        let only = !dual_stack && address.ip() != Ipv6Addr::UNSPECIFIED;
        sockopt::set_ipv6_v6only(&socket, only)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::config::SiteSettings;

    fn settings(typed: &[&str]) -> WebSettings {
        let site = SiteSettings {
            part: Part::All,
            listen: typed.iter().map(|typed| ListenAddress::parse(typed, "").expect("an address")).collect(),
            telemetry_path: "/metrics".to_owned(),
            prefix: String::new(),
        };
        WebSettings { sites: vec![site], max_requests: 40, exporter_metrics: true }
    }

    #[test]
    fn no_host_means_both_families() {
        let bound = bind(&settings(&[":0"])).expect("binds");
        let address = bound[0].listener.local_addr().expect("an address");
        TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).expect("IPv4 is served");
        if address.is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, address.port())).expect("IPv6 is served");
        }
    }

    #[test]
    fn a_taken_address_is_named() {
        let first = bind(&settings(&["127.0.0.1:0"])).expect("binds");
        let taken = first[0].listener.local_addr().expect("an address").to_string();
        let error = bind(&settings(&["127.0.0.1:0", &taken])).expect_err("taken");
        assert!(error.contains(&taken) && error.contains("listens there"), "{error}");
    }

    #[test]
    fn a_foreign_address_is_named() {
        let error = bind(&settings(&["192.0.2.1:0"])).expect_err("not ours");
        assert!(error.contains("192.0.2.1:0") && error.contains("no interface"), "{error}");
    }
}
