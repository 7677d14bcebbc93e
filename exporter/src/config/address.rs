//! Where to listen: `:9100`, `127.0.0.1:9100`, `[::1]:9100`, `localhost:9100`, a name from `/etc/hosts`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One `--web.listen-address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// The address; with `any` the unspecified IPv6 one.
    pub socket: SocketAddr,
    /// No host was given: all addresses, IPv6 and IPv4, or IPv4 alone where the kernel has no IPv6.
    pub any: bool,
}

impl ListenAddress {
    /// Reads an address as typed. `hosts` is the text of `/etc/hosts`: a static program asks no other resolver.
    ///
    /// # Errors
    /// A line that says what is wrong with it.
    pub fn parse(typed: &str, hosts: &str) -> Result<Self, String> {
        let (host, port) = typed.rsplit_once(':').ok_or("expected HOST:PORT or :PORT")?;
        let port: u16 = port.parse().map_err(|_| format!("{port:?} is no port (0 to 65535)"))?;
        if host.is_empty() {
            return Ok(Self { socket: SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port), any: true });
        }
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let ip = match (bare, host) {
            (Some(v6), _) => {
                v6.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| format!("{v6:?} is no IPv6 address"))?
            }
            (None, "localhost") => Ipv4Addr::LOCALHOST.into(),
            (None, name) => match name.parse() {
                Ok(ip) => IpAddr::V4(ip),
                Err(_) => look_up(name, hosts).ok_or_else(|| {
                    format!("{name:?} is neither an address nor a name in /etc/hosts; give the address")
                })?,
            },
        };
        Ok(Self { socket: SocketAddr::new(ip, port), any: false })
    }
}

fn look_up(name: &str, hosts: &str) -> Option<IpAddr> {
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let ip = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_people_type() {
        let hosts = "127.0.0.1 localhost\n10.1.2.3 node7.example node7 # rack 4\n";
        for (typed, socket, any) in [
            (":9100", "[::]:9100", true),
            ("0.0.0.0:9100", "0.0.0.0:9100", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("[::1]:9100", "[::1]:9100", false),
            ("localhost:9100", "127.0.0.1:9100", false),
            ("node7:80", "10.1.2.3:80", false),
        ] {
            let parsed = ListenAddress::parse(typed, hosts);
            assert_eq!(
                parsed,
                Ok(ListenAddress { socket: socket.parse().expect("an address"), any }),
                "{typed}"
            );
        }
        for typed in ["9100", "host:9100", ":99999", ":", "[::1", "::1:9100", "rack:9100", "[1.2.3.4]:1"] {
            assert!(ListenAddress::parse(typed, hosts).is_err(), "{typed}");
        }
    }
}
