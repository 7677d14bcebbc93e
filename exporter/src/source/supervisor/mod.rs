//! supervisord, asked for its processes by XML-RPC over HTTP.

mod http;
mod xml;

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::net::SocketAddrUnix;

use super::{socket, text};
pub use xml::{Answer, Process};

/// The longest that one call may take.
const LONGEST: Duration = Duration::from_secs(10);
const CALL: &str = "<?xml version=\"1.0\"?><methodCall>\
    <methodName>supervisor.getAllProcessInfo</methodName><params></params></methodCall>";

/// What went wrong between us and supervisord.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be reached.
    #[error("connect {to}: {source}")]
    Connect {
        /// Its address.
        to: String,
        /// What the kernel or the resolver says.
        source: io::Error,
    },
    /// The connection failed.
    #[error("{call} {to}: {source}")]
    Call {
        /// Name of the system call.
        call: &'static str,
        /// Its address.
        to: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Another answer than 200.
    #[error("{to}: HTTP status {status}")]
    Status {
        /// Its address.
        to: String,
        /// The answer's status.
        status: u16,
    },
    /// It says that something is wrong.
    #[error("{to}: {fault}")]
    Fault {
        /// Its address.
        to: String,
        /// Its words.
        fault: String,
    },
    /// No answer in time.
    #[error("{to}: no complete answer in time")]
    Late {
        /// Its address.
        to: String,
    },
    /// The answer is no list of processes, or too large.
    #[error("{to}: the answer makes no sense")]
    Malformed {
        /// Its address.
        to: String,
    },
}

impl Error {
    /// Whether there is no such socket.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Connect { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Where a supervisord listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    server: Server,
    /// Host and port, as the request names them.
    host: String,
    target: String,
    /// `user:password`
    credentials: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Server {
    /// A host and its port.
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Address {
    /// From `http://[USER:PASSWORD@]HOST[:PORT]/PATH` or `unix:///SOCKET`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        if let Some(path) = url.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') {
                return Err("names no socket: unix:///run/supervisor.sock is one");
            }
            let (server, host, target) = (Server::Unix(path.into()), "unix".to_owned(), "/RPC2".to_owned());
            return Ok(Self { server, host, target, credentials: None });
        }
        let rest = url.strip_prefix("http://").ok_or("begins with neither http:// nor unix://")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(text::unescaped(credentials)), host),
            None => (None, authority),
        };
        let (name, port) = match host.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some((name, port)) => (name, port.parse().map_err(|_| "has no port number")?),
            None => (host, 80),
        };
        let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || !is_plain(host) || !is_plain(target) {
            return Err("names no host");
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            server: Server::Tcp(name.to_owned(), port),
            host: host.to_owned(),
            target: format!("{slash}{target}"),
            credentials,
        })
    }

    /// As messages name it: without the password.
    fn named(&self) -> String {
        match &self.server {
            Server::Tcp(..) => format!("http://{}{}", self.host, self.target),
            Server::Unix(path) => path.display().to_string(),
        }
    }
}

/// A supervisord; each question has a connection of its own.
#[derive(Debug)]
pub struct Supervisor {
    address: Address,
    request: Vec<u8>,
    longest: Duration,
}

impl Supervisor {
    /// Nothing is connected to yet.
    pub fn new(address: Address) -> Self {
        // By HTTP/1.0 the answer comes in one piece.
        let credentials = address.credentials.as_deref().map(base64);
        let request = [
            "POST ",
            &address.target,
            " HTTP/1.0\r\nHost: ",
            &address.host,
            if credentials.is_some() { "\r\nAuthorization: Basic " } else { "" },
            credentials.as_deref().unwrap_or_default(),
            "\r\nContent-Type: text/xml\r\nContent-Length: ",
            &CALL.len().to_string(),
            "\r\n\r\n",
            CALL,
        ]
        .concat();
        Self { address, request: request.into_bytes(), longest: LONGEST }
    }

    /// Asks for all processes. Waits for it, so it belongs on a thread that may.
    ///
    /// # Errors
    /// It cannot be reached, is late, or does not list its processes.
    pub fn processes(&self) -> Result<Vec<Process>, Error> {
        let to = self.address.named();
        let answer = self.ask().map_err(|failure| match failure {
            http::Failure::Call(_, error) if is_late(&error) => Error::Late { to: to.clone() },
            http::Failure::Call("connect", source) => Error::Connect { to: to.clone(), source },
            http::Failure::Call(call, source) => Error::Call { call, to: to.clone(), source },
            http::Failure::Status(status) => Error::Status { to: to.clone(), status },
            http::Failure::Malformed => Error::Malformed { to: to.clone() },
        })?;
        match xml::parse(&answer) {
            Some(Answer::Processes(processes)) => Ok(processes),
            Some(Answer::Fault(fault)) => Err(Error::Fault { to, fault }),
            None => Err(Error::Malformed { to }),
        }
    }

    fn ask(&self) -> Result<Vec<u8>, http::Failure> {
        let deadline = Instant::now() + self.longest;
        let failed = |error| http::Failure::Call("connect", error);
        match &self.address.server {
            Server::Unix(path) => {
                let address = SocketAddrUnix::new(path).map_err(|error| failed(error.into()))?;
                let stream = socket::connect(&address, self.longest).map_err(failed)?;
                http::ask(stream, &self.request, deadline)
            }
            Server::Tcp(name, port) => {
                http::ask(connect(name, *port, deadline).map_err(failed)?, &self.request, deadline)
            }
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Connects to the first of the name's addresses that answers.
fn connect(name: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (name, port).to_socket_addrs()? {
        let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        match TcpStream::connect_timeout(&address, left.ok_or(io::ErrorKind::TimedOut)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit) & 63) as usize;
            let character = DIGITS.get(value).filter(|_| digit <= three.len()).unwrap_or(&b'=');
            out.push(char::from(*character));
        }
    }
    out
}

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(answer: &[u8]) {
    if let Some(body) = http::fuzz(answer) {
        let _ = xml::parse(&body);
    }
    let _ = (xml::parse(answer), Address::parse(&String::from_utf8_lossy(answer)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let tcp = |url: &str| match Address::parse(url) {
            Ok(Address { server: Server::Tcp(name, port), host, target, credentials }) => {
                format!(
                    "{name} {port} {host} {target} {}",
                    String::from_utf8_lossy(&credentials.unwrap_or_default())
                )
            }
            other => panic!("{url}: {other:?}"),
        };
        assert_eq!(tcp("http://localhost:9001/RPC2"), "localhost 9001 localhost:9001 /RPC2 ");
        assert_eq!(tcp("http://a:p%40%3a@[::1]:7/x?y"), "::1 7 [::1]:7 /x?y a:p@:");
        assert_eq!(tcp("http://10.0.0.1"), "10.0.0.1 80 10.0.0.1 / ");
        assert_eq!(tcp("http://[::1]/RPC2"), "::1 80 [::1] /RPC2 ");
        for url in ["unix:///run/s.sock", "unix:/run/s.sock"] {
            let address = Address::parse(url).expect(url);
            assert_eq!((address.server, &*address.target), (Server::Unix("/run/s.sock".into()), "/RPC2"));
        }
        for bad in [
            "",
            "localhost:9001",
            "https://a/",
            "http://",
            "http://a:b/",
            "http://:1/",
            "unix://x",
            "http://a b/",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_named_in_messages() {
        let address = Address::parse("http://me:secret@127.0.0.1:9/RPC2").expect("is one");
        assert_eq!(address.named(), "http://127.0.0.1:9/RPC2");
    }

    #[test]
    fn credentials_are_encoded() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("user:pass", "dXNlcjpwYXNz"),
            ("\u{fff}?>", "4L+/Pz4="),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded, "{plain}");
        }
    }

    #[test]
    fn a_silent_server_is_left_and_a_missing_one_told() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("http://{}/RPC2", listener.local_addr().expect("is bound"));
        let address = Address::parse(&url).expect("is one");
        let silent = Supervisor { longest: Duration::from_millis(50), ..Supervisor::new(address) };
        assert!(matches!(silent.processes(), Err(Error::Late { .. })));
        let missing = Supervisor::new(Address::parse("unix:///nonexistent/socket").expect("is one"));
        assert!(missing.processes().expect_err("is missing").is_absent());
    }
}
