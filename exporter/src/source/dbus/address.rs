//! Where a bus listens.

use std::{fmt, io, path::Path};

use rustix::net::SocketAddrUnix;

use crate::source::text;

/// Where the system's bus is unless the environment names another place.
const SYSTEM_BUS: &str = "unix:path=/var/run/dbus/system_bus_socket";
/// The same below another root, whose `/var/run` may be a link out of it.
const BELOW_ROOT: &str = "run/dbus/system_bus_socket";
/// Names the system's bus, as for every D-Bus program.
const NAMED_BY: &str = "DBUS_SYSTEM_BUS_ADDRESS";

/// A unix socket: by its path, or by a name in the abstract namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Path(Vec<u8>),
    Abstract(Vec<u8>),
}

impl Address {
    /// The system bus' addresses, the best one first: where the environment says, else below the host's root, else
    /// where it usually is.
    pub fn of_system_bus(root: &Path) -> Vec<Self> {
        match std::env::var(NAMED_BY) {
            Ok(named) if !named.is_empty() => parse(&named),
            _ => Self::below(root, BELOW_ROOT).into_iter().chain(parse(SYSTEM_BUS)).collect(),
        }
    }

    /// The socket of the host, where its root is not ours.
    pub fn below(root: &Path, path: &str) -> Option<Self> {
        (root != Path::new("/")).then(|| Self::Path(root.join(path).into_os_string().into_encoded_bytes()))
    }

    pub fn socket(&self) -> io::Result<SocketAddrUnix> {
        Ok(match self {
            Self::Path(path) => SocketAddrUnix::new(path.as_slice())?,
            Self::Abstract(name) => SocketAddrUnix::new_abstract_name(name)?,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(&String::from_utf8_lossy(path)),
            Self::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
        }
    }
}

/// The unix sockets in a list such as `unix:path=/run/bus,guid=1;unix:abstract=x`.
fn parse(list: &str) -> Vec<Address> {
    let sockets = list.split(';').filter_map(|address| address.strip_prefix("unix:"));
    sockets
        .filter_map(|pairs| {
            pairs.split(',').find_map(|pair| match pair.split_once('=')? {
                ("path", path) => Some(Address::Path(text::unescaped(path))),
                ("abstract", name) => Some(Address::Abstract(text::unescaped(name))),
                _ => None,
            })
        })
        .collect()
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(list: &[u8]) {
    let _ = parse(&String::from_utf8_lossy(list)).len();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_sockets_are_found_in_a_list() {
        let list =
            parse("tcp:host=a,port=1;unix:guid=1,path=/run/a%20b;unix:abstract=/x%2fy%zz;unix:tmpdir=/t");
        assert_eq!(list, [Address::Path(b"/run/a b".to_vec()), Address::Abstract(b"/x/y%zz".to_vec())]);
        assert_eq!(
            (list[0].to_string(), list[1].to_string()),
            ("/run/a b".to_owned(), "@/x/y%zz".to_owned())
        );
        assert_eq!(parse(SYSTEM_BUS).len(), 1);
        assert!(parse("").is_empty() && parse("unix:path").is_empty());
    }

    #[test]
    fn another_root_has_a_bus_of_its_own() {
        assert_eq!(Address::below(Path::new("/"), BELOW_ROOT), None);
        let host = Address::below(Path::new("/host"), BELOW_ROOT).expect("is another");
        assert_eq!(host.to_string(), "/host/run/dbus/system_bus_socket");
    }

    #[test]
    fn a_path_has_a_longest() {
        assert!(Address::Path(vec![b'x'; 200]).socket().is_err());
        assert!(Address::Path(b"/run/bus".to_vec()).socket().is_ok());
    }
}
