//! D-Bus: a small client that asks many things at once and waits for none of them without end.
//!
//! Own code: the kept-up crates are async or link C, and none bounds time and size or asks many calls in one write.

mod address;
mod message;
mod value;

use std::{
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use rustix::net::{RecvFlags, recv};

use super::socket;
use address::Address;
pub use message::{Calls, Reply};
use message::{LARGEST, PREFIX};
pub use value::{Malformed, Plain, Values};

/// The longest that all of a scrape's questions may take.
const LONGEST: Duration = Duration::from_secs(10);
/// What one scrape may receive, signals included.
const MOST_BYTES: usize = 4 * LARGEST;
/// Calls under way at once: buses allow a peer 128 at least, and so many always fit a socket's buffer.
const MOST_CALLS: usize = 100;
/// How much is asked of the kernel at once, at least.
const PIECE: usize = 64 << 10;
/// The longest line of the greeting.
const LONGEST_LINE: usize = 1024;

/// Below the root.
const SYSTEMD_PRIVATE: &str = "run/systemd/private";

/// What went wrong between us and the bus.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on the socket failed.
    #[error("{call} {bus}: {source}")]
    Call {
        /// Name of the system call.
        call: &'static str,
        /// The bus' socket.
        bus: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The peer closed the connection; one error, wherever we noticed it.
    #[error("{bus}: the connection was closed")]
    Closed {
        /// The bus' socket.
        bus: String,
    },
    /// No complete answer in time.
    #[error("{bus}: no complete answer in time")]
    Late {
        /// The bus' socket.
        bus: String,
    },
    /// The bus does not let us in.
    #[error("{bus}: the bus refuses us")]
    Unwelcome {
        /// The bus' socket.
        bus: String,
    },
    /// What came is no D-Bus, answers what was not asked, or is too large.
    #[error("{bus}: {why}")]
    Senseless {
        /// The bus' socket.
        bus: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The environment names no socket that we could connect to.
    #[error("the address of the system bus names no unix socket")]
    NoAddress,
}

impl Error {
    /// Whether there is no bus.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Call { call: "connect", source, .. } if source.kind() == ErrorKind::NotFound)
    }
}

/// A peer that is asked at each scrape over a connection that stays open.
#[derive(Debug)]
pub struct Client {
    peers: Vec<Peer>,
    longest: Duration,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Peer {
    address: Address,
    /// Whether it is a bus, which wants to be greeted, and not the one program asked.
    is_bus: bool,
}

impl Client {
    /// The bus of the system whose root this is.
    pub fn system(root: &Path) -> Self {
        let addresses = Address::of_system_bus(root).into_iter();
        let peers = addresses.map(|address| Peer { address, is_bus: true }).collect();
        Self { peers, longest: LONGEST, connection: None }
    }

    /// The systemd of the system whose root this is: over the bus, or over its own socket if there is no bus or
    /// `private` says so.
    pub fn systemd(root: &Path, private: bool) -> Self {
        let mut client = Self::system(root);
        if private {
            client.peers.clear();
        }
        let own = Address::Path(format!("/{SYSTEMD_PRIVATE}").into_bytes());
        let addresses = Address::below(root, SYSTEMD_PRIVATE).into_iter().chain([own]);
        client.peers.extend(addresses.map(|address| Peer { address, is_bus: false }));
        client
    }

    /// Begins a scrape's questions: their time runs from now. Connects if it has to.
    ///
    /// # Errors
    /// There is no bus, or it does not let us in; the error of the first that is there.
    pub fn begin(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + self.longest;
        if let Some(connection) = self.connection.as_mut().filter(|connection| connection.is_alive()) {
            (connection.deadline, connection.received) = (deadline, 0);
            return Ok(());
        }
        self.connection = None;
        let mut failure: Option<Error> = None;
        for peer in &self.peers {
            match Connection::open(peer, deadline) {
                Ok(connection) => {
                    self.connection = Some(connection);
                    return Ok(());
                }
                Err(error @ Error::Late { .. }) => return Err(error),
                // What is there and fails says more than what is not there.
                Err(error) if failure.as_ref().is_none_or(Error::is_absent) => failure = Some(error),
                Err(_) => {}
            }
        }
        Err(failure.unwrap_or(Error::NoAddress))
    }

    /// Asks all calls and hands each reply, with the place of its call, to `take`, in the order they come.
    ///
    /// # Errors
    /// The peer fails, is late or talks nonsense, or `take` cannot read a reply. The connection is then closed.
    pub fn ask(
        &mut self,
        calls: &mut Calls,
        take: impl FnMut(usize, Reply<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Error> {
        let connection = self.connection.as_mut().ok_or(Error::NoAddress)?;
        let asked = connection.ask(calls, take);
        if asked.is_err() {
            self.connection = None;
        }
        asked
    }
}

/// An open connection, greeted.
#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    bus: String,
    deadline: Instant,
    /// The serial of the next call.
    serial: u32,
    /// Bytes received since the scrape began.
    received: usize,
    /// What has come and was not read yet is between `start` and `end`; behind is room.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Connection {
    fn open(peer: &Peer, deadline: Instant) -> Result<Self, Error> {
        let bus = peer.address.to_string();
        let left = deadline.saturating_duration_since(Instant::now());
        let stream = peer.address.socket().and_then(|to| socket::connect(&to, left)).map_err(|error| {
            if error.kind() == ErrorKind::WouldBlock {
                Error::Late { bus: bus.clone() }
            } else {
                Error::Call { call: "connect", bus: bus.clone(), source: error }
            }
        })?;
        let mut connection =
            Self { stream, bus, deadline, serial: 1, received: 0, buffer: Vec::new(), start: 0, end: 0 };
        connection.authenticate()?;
        if peer.is_bus {
            let mut hello = Calls::default();
            let bus = "org.freedesktop.DBus";
            hello.method(bus, b"/org/freedesktop/DBus", bus, "Hello", &[]);
            let mut welcome = false;
            connection.ask(&mut hello, |_, reply| {
                welcome = matches!(reply, Reply::Values(_));
                Ok(())
            })?;
            if !welcome {
                return Err(Error::Unwelcome { bus: connection.bus });
            }
        }
        Ok(connection)
    }

    /// Says who we are, by the user id that the kernel tells the bus as well.
    fn authenticate(&mut self) -> Result<(), Error> {
        let user = rustix::process::geteuid().as_raw().to_string();
        // The text's bytes in hexadecimal: a digit's is 30 to 39.
        let hex: String = user.chars().flat_map(|digit| ['3', digit]).collect();
        self.write(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        if !self.line()?.starts_with(b"OK ") {
            return Err(Error::Unwelcome { bus: self.bus.clone() });
        }
        self.write(b"BEGIN\r\n")
    }

    fn line(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            let waiting = self.waiting();
            if let Some(length) = waiting.windows(2).position(|two| two == b"\r\n") {
                let line = waiting.get(..length).unwrap_or_default().to_vec();
                self.start += length + 2;
                return Ok(line);
            }
            if waiting.len() > LONGEST_LINE {
                return Err(self.senseless("this is no D-Bus"));
            }
            self.receive()?;
        }
    }

    /// Whether the peer is still there: nothing, or a signal, is to be read, but no end.
    fn is_alive(&self) -> bool {
        let mut byte = [0];
        match recv(&self.stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, length)) => length > 0,
            Err(error) => error == rustix::io::Errno::AGAIN,
        }
    }

    fn ask(
        &mut self,
        calls: &mut Calls,
        mut take: impl FnMut(usize, Reply<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Error> {
        let mut first = 0;
        while first < calls.len() {
            // Serials begin anew before they run out: none is under way between two windows.
            if self.serial > u32::MAX / 2 {
                self.serial = 1;
            }
            let serial = self.serial;
            let (bytes, count) = calls.window(first, MOST_CALLS, serial);
            self.write(bytes)?;
            self.serial = u32::try_from(count).ok().and_then(|count| serial.checked_add(count)).unwrap_or(1);
            let mut open = [true; MOST_CALLS];
            let mut answered = 0;
            while answered < count {
                let (start, end) = self.message()?;
                let message = self.buffer.get(start..end).unwrap_or_default();
                let taken = message::parse(message).and_then(|received| {
                    let Some(answers) = received.answers else { return Ok(false) };
                    let place = answers.checked_sub(serial).and_then(|place| usize::try_from(place).ok());
                    let place = place.filter(|&place| place < count).ok_or(Malformed)?;
                    let is_open = open.get_mut(place).ok_or(Malformed)?;
                    if !std::mem::replace(is_open, false) {
                        return Err(Malformed);
                    }
                    take(first + place, received.reply).map(|()| true)
                });
                answered +=
                    usize::from(taken.map_err(|Malformed| self.senseless("the answer makes no sense"))?);
            }
            first += count;
        }
        Ok(())
    }

    /// The next message: where it lies in the buffer until more is received.
    fn message(&mut self) -> Result<(usize, usize), Error> {
        loop {
            let waiting = self.waiting();
            if let Some(prefix) = waiting.first_chunk::<PREFIX>() {
                let length =
                    message::length(prefix).map_err(|Malformed| self.senseless("this is no D-Bus"))?;
                if length > LARGEST {
                    return Err(self.senseless("the answer is too large"));
                }
                if waiting.len() >= length {
                    let start = self.start;
                    self.start += length;
                    return Ok((start, self.start));
                }
            }
            self.receive()?;
        }
    }

    fn waiting(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Receives more. The buffer grows with what has come, whatever length was promised.
    fn receive(&mut self) -> Result<(), Error> {
        if self.received > MOST_BYTES {
            return Err(self.senseless("it talks without end"));
        }
        if self.buffer.len() - self.end < PIECE {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            let room = (2 * self.end).max(PIECE) + PIECE;
            if self.buffer.len() < room {
                self.buffer.resize(room, 0);
            }
        }
        loop {
            let left = self.left()?;
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.stream.set_read_timeout(Some(left)).and_then(|()| self.stream.read(room)) {
                Ok(0) => return Err(self.failed("read", ErrorKind::UnexpectedEof.into())),
                Ok(length) => {
                    self.end += length;
                    self.received += length;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("read", error)),
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let left = self.left()?;
            match self.stream.set_write_timeout(Some(left)).and_then(|()| self.stream.write(bytes)) {
                Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("write", error)),
            }
        }
        Ok(())
    }

    /// The time left, never zero, which would mean no limit.
    fn left(&self) -> Result<Duration, Error> {
        let left = self.deadline.checked_duration_since(Instant::now()).filter(|left| left.as_millis() > 0);
        left.ok_or_else(|| Error::Late { bus: self.bus.clone() })
    }

    fn failed(&self, call: &'static str, error: io::Error) -> Error {
        let bus = self.bus.clone();
        match error.kind() {
            ErrorKind::WouldBlock => Error::Late { bus },
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                Error::Closed { bus }
            }
            _ => Error::Call { call, bus, source: error },
        }
    }

    fn senseless(&self, why: &'static str) -> Error {
        Error::Senseless { bus: self.bus.clone(), why }
    }
}

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(answer: &[u8]) {
    use super::systemd::{seats, sessions, units, version_number};
    if let Some(prefix) = answer.first_chunk() {
        let _ = message::length(prefix);
    }
    let mut bodies = vec![Values::new(answer, value::Order::Little), Values::new(answer, value::Order::Big)];
    if let Ok(message::Received { reply: Reply::Values(values), .. }) = message::parse(answer) {
        bodies.push(values);
    }
    for body in bodies {
        let _ = (units(body, |_| ()), seats(body, |_| ()), sessions(body, |_| ()));
        if let Some(text) = Reply::Values(body).property().and_then(Plain::text) {
            let _ = version_number(text);
        }
    }
    address::fuzz(answer);
}

/// A body as a test wrote it.
#[cfg(test)]
pub fn body(bytes: &[u8]) -> Values<'_> {
    Values::new(bytes, value::Order::Little)
}

#[cfg(test)]
mod tests;
