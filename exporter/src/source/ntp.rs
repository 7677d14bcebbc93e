//! One question to a time server: SNTP as RFC 5905 has it. (The crates for it set clocks, and show less of the answer.)

use std::{
    hash::BuildHasher,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::net::sockopt::set_ipv6_unicast_hops;

/// Bytes of a question, and the least that an answer has.
const PACKET: usize = 48;
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
/// A question tells nothing of our clock, its precision least of all.
const NO_PRECISION: u8 = 0x20;
/// Seconds from 1900 to 1970.
const TO_UNIX: u64 = 2_208_988_800;

/// A time or a span in NTP's form: seconds in the upper 32 bits, their parts in the lower ones. A time counts from
/// 1900, and begins anew in 2036.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fixed(pub u64);

impl Fixed {
    /// The time on our clock.
    fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self((since.as_secs().wrapping_add(TO_UNIX) << 32) + parts(since))
    }

    fn after(self, span: Duration) -> Self {
        Self(self.0.wrapping_add(span.as_secs() << 32).wrapping_add(parts(span)))
    }

    /// A span in nanoseconds.
    pub fn nanoseconds(self) -> i64 {
        let parts = (self.0 & 0xffff_ffff) * 1_000_000_000;
        let whole = (self.0 >> 32) * 1_000_000_000 + (parts >> 32) + (parts >> 31 & 1);
        i64::try_from(whole).unwrap_or(i64::MAX)
    }

    /// A time in nanoseconds since 1970; from before that, it is of the time after 2036.
    pub fn unix_nanoseconds(self) -> i64 {
        let to_unix = i64::try_from(TO_UNIX).unwrap_or(i64::MAX);
        let era = if self.0 >> 32 < TO_UNIX { (1 << 32) - to_unix } else { -to_unix };
        self.nanoseconds().saturating_add(era.saturating_mul(1_000_000_000))
    }
}

/// What is over after whole seconds, in units of 2^-32 s.
fn parts(span: Duration) -> u64 {
    (u64::from(span.subsec_nanos()) << 32) / 1_000_000_000
}

/// A short span in NTP's form, seconds in the upper 16 bits, in nanoseconds.
fn short_nanoseconds(short: u32) -> i64 {
    let parts = u64::from(short & 0xffff) * 1_000_000_000;
    let whole = u64::from(short >> 16) * 1_000_000_000 + (parts >> 16) + (parts >> 15 & 1);
    i64::try_from(whole).unwrap_or(i64::MAX)
}

/// Who is asked, and how.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The server.
    pub server: SocketAddr,
    /// The protocol's version: 2, 3 or 4.
    pub version: u8,
    /// How many hops the question may go; 0 for as many as is usual.
    pub hops: u8,
    /// How long to wait.
    pub timeout: Duration,
}

/// What the server said, and when. Spans are in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// 0 none, 1 and 2 a leap second to come, 3 a clock that is not set.
    pub leap: u8,
    /// How far from a clock of the first order; 0 for a server that wants to be left alone.
    pub stratum: u8,
    /// How long the way to the first clock and back is.
    pub root_delay: i64,
    /// How wrong the server may be.
    pub root_dispersion: i64,
    /// When the server's clock was set last.
    pub reference: Fixed,
    /// When our question came there.
    pub received: Fixed,
    /// When the answer left there.
    pub sent: Fixed,
    /// When our question left here.
    pub asked: Fixed,
    /// When the answer came here.
    pub answered: Fixed,
}

impl Answer {
    /// How long question and answer were on their way.
    pub fn round_trip(&self) -> i64 {
        let here = difference(self.answered, self.asked);
        let span = here.wrapping_sub(difference(self.sent, self.received));
        Fixed(u64::try_from(span).unwrap_or(0)).nanoseconds()
    }

    /// How far the server's clock is before ours.
    pub fn offset(&self) -> i64 {
        let (there, back) = (difference(self.received, self.asked), difference(self.sent, self.answered));
        let offset = there.wrapping_add(back.wrapping_sub(there) / 2);
        let span = Fixed(offset.unsigned_abs()).nanoseconds();
        if offset < 0 { -span } else { span }
    }

    /// How far the clocks differ at the least, since no message arrives before it was sent.
    pub fn least_error(&self) -> i64 {
        let before = |late: Fixed, early: Fixed| Fixed(late.0.saturating_sub(early.0));
        before(self.asked, self.received).max(before(self.sent, self.answered)).nanoseconds()
    }
}

fn difference(late: Fixed, early: Fixed) -> i64 {
    late.0.wrapping_sub(early.0).cast_signed()
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{call} for {server}: {source}")]
    Call {
        /// Its name.
        call: &'static str,
        /// Who was to be asked.
        server: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nothing came in time.
    #[error("{server}: no answer within {} ms", timeout.as_millis())]
    Silent {
        /// Who was asked.
        server: SocketAddr,
        /// How long was waited.
        timeout: Duration,
    },
    /// What came answers nothing.
    #[error("{server}: {what}")]
    Nonsense {
        /// Who was asked.
        server: SocketAddr,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Asks once and waits for one answer.
///
/// # Errors
/// A failing system call, silence, or an answer that is not one to this question.
pub fn ask(question: &Question) -> Result<Answer, Error> {
    let server = question.server;
    let call = |call| move |source| Error::Call { call, server, source };
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).map_err(call("bind"))?;
    // Connected, it takes no answer from anyone else, and hears of a server that is not there.
    socket.connect(server).map_err(call("connect"))?;
    if question.hops > 0 {
        let limited = match server {
            SocketAddr::V4(_) => socket.set_ttl(question.hops.into()),
            SocketAddr::V6(_) => set_ipv6_unicast_hops(&socket, Some(question.hops)).map_err(Into::into),
        };
        limited.map_err(call("setsockopt"))?;
    }
    socket.set_read_timeout(Some(question.timeout)).map_err(call("setsockopt"))?;
    // A number that nobody can guess stands where our time would: only the server can repeat it.
    let secret = std::hash::RandomState::new().hash_one(server);
    let (asked, begun) = (Fixed::now(), Instant::now());
    socket.send(&packet(question.version, secret)).map_err(call("send"))?;
    let mut buffer = [0; 512];
    let length = match socket.recv(&mut buffer) {
        Ok(length) => length,
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            return Err(Error::Silent { server, timeout: question.timeout });
        }
        Err(error) => return Err(call("recv")(error)),
    };
    let answered = asked.after(begun.elapsed());
    let answer = parse(buffer.get(..length).unwrap_or_default(), secret);
    let answer = answer.map_err(|what| Error::Nonsense { server, what })?;
    Ok(Answer { asked, answered, ..answer })
}

fn packet(version: u8, secret: u64) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    packet[0] = version << 3 | CLIENT;
    packet[3] = NO_PRECISION;
    if let Some(sent) = packet.last_chunk_mut() {
        *sent = secret.to_be_bytes();
    }
    packet
}

/// The server's part of an answer.
fn parse(bytes: &[u8], secret: u64) -> Result<Answer, &'static str> {
    let short = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let time = |at: usize| Some(Fixed(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?)));
    let whole = || {
        let (&first, &stratum) = (bytes.first()?, bytes.get(1)?);
        let answer = Answer {
            leap: first >> 6,
            stratum,
            root_delay: short_nanoseconds(short(4)?),
            root_dispersion: short_nanoseconds(short(8)?),
            reference: time(16)?,
            received: time(32)?,
            sent: time(40)?,
            ..Answer::default()
        };
        Some((answer, first & 7, time(24)?))
    };
    let (answer, mode, repeated) = whole().ok_or("the answer is cut short")?;
    if mode != SERVER {
        return Err("the answer is not a server's");
    }
    if answer.sent == Fixed(0) {
        return Err("the answer has no time");
    }
    if repeated != Fixed(secret) {
        return Err("the answer is to another question");
    }
    if answer.received > answer.sent {
        return Err("the answer left before the question came");
    }
    Ok(answer)
}

/// Takes the first eight bytes for our times, the rest for an answer to question 0.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(input: &[u8]) {
    let Some((ours, answer)) = input.split_first_chunk() else { return };
    let asked = Fixed(u64::from_be_bytes(*ours));
    if let Ok(answer) = parse(answer, 0) {
        let answer = Answer { asked, answered: Fixed(asked.0.reverse_bits()), ..answer };
        let _ =
            (answer.round_trip(), answer.offset(), answer.least_error(), answer.reference.unix_nanoseconds());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
    use super::*;

    /// A server that gives each question to `answer`, until the end of the test.
    pub fn server(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                if let Some(answer) = answer(&question[..length]) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        address
    }

    /// A good answer, from a clock this many seconds before ours.
    pub fn good(question: &[u8], ahead: u64) -> Vec<u8> {
        let mut answer = vec![0; PACKET];
        answer[0] = 4 << 3 | SERVER;
        answer[1] = 2;
        answer[4..8].copy_from_slice(&0x0000_8000_u32.to_be_bytes());
        answer[8..12].copy_from_slice(&0x0001_4000_u32.to_be_bytes());
        let now = Fixed::now().0.wrapping_add(ahead << 32);
        answer[16..24].copy_from_slice(&(now - (60 << 32)).to_be_bytes());
        answer[24..32].copy_from_slice(&question[40..48]);
        answer[32..40].copy_from_slice(&now.to_be_bytes());
        answer[40..48].copy_from_slice(&now.to_be_bytes());
        answer
    }

    pub fn question(server: SocketAddr, timeout: u64) -> Question {
        Question { server, version: 4, hops: 1, timeout: Duration::from_millis(timeout) }
    }

    #[test]
    fn a_good_answer_is_read() {
        let address = server(|question| {
            assert_eq!((question.len(), question[0], question[3]), (48, 4 << 3 | 3, 0x20));
            Some([good(question, 1000), vec![7; 20]].concat())
        });
        let answer = ask(&question(address, 10_000)).unwrap();
        assert_eq!((answer.leap, answer.stratum), (0, 2));
        assert_eq!((answer.root_delay, answer.root_dispersion), (500_000_000, 1_250_000_000));
        assert_eq!(answer.sent.unix_nanoseconds() - answer.reference.unix_nanoseconds(), 60_000_000_000);
        let (offset, round_trip) = (answer.offset() - 1_000_000_000_000, answer.round_trip());
        assert!(round_trip >= 0 && offset.abs() <= round_trip / 2 + 2, "{offset} within {round_trip}");
        let error = answer.least_error() - 1_000_000_000_000;
        assert!((-round_trip - 2..=0).contains(&error), "{error}");
    }

    #[test]
    fn versions_are_asked_as_told() {
        for version in 2..=4 {
            assert_eq!(packet(version, 1)[0], version << 3 | 3);
        }
    }

    type Twist = fn(&mut Vec<u8>);

    #[test]
    fn answers_that_are_none_are_told_apart() {
        let twists: [(Twist, &str); 7] = [
            (|answer| answer.truncate(47), "cut short"),
            (Vec::clear, "cut short"),
            (|answer| answer[0] = 4 << 3 | CLIENT, "not a server's"),
            (|answer| answer[40..48].fill(0), "has no time"),
            (|answer| answer[31] ^= 1, "another question"),
            (|answer| answer[39] = answer[39].wrapping_add(1), "left before"),
            (|answer| answer.fill(0xff), "not a server's"),
        ];
        for (twist, said) in twists {
            let address = server(move |question| {
                let mut answer = good(question, 0);
                // The last byte must have room to grow.
                answer[39] = 1;
                answer[47] = 1;
                twist(&mut answer);
                Some(answer)
            });
            let error = ask(&question(address, 10_000)).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(&address.to_string()), "{error}");
        }
    }

    #[test]
    fn silence_ends_in_time_and_absence_at_once() {
        let silent = server(|_| None);
        assert!(matches!(ask(&question(silent, 20)), Err(Error::Silent { .. })));
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = ask(&question(closed, 10_000)).unwrap_err();
        assert!(matches!(error, Error::Call { call: "recv", .. }), "{error}");
    }

    #[test]
    fn a_server_of_version_6_of_the_internet_is_asked_too() {
        let Ok(socket) = UdpSocket::bind("[::1]:0") else { return };
        let closed = socket.local_addr().unwrap();
        drop(socket);
        assert!(matches!(ask(&question(closed, 10_000)), Err(Error::Call { call: "recv", .. })));
    }

    #[test]
    fn times_are_of_either_era() {
        let at = |seconds: u64, parts: u64| Fixed(seconds << 32 | parts);
        assert_eq!(at(TO_UNIX, 0).unix_nanoseconds(), 0);
        assert_eq!(at(TO_UNIX + 1, 0x8000_0000).unix_nanoseconds(), 1_500_000_000);
        assert_eq!(at(0, 0).unix_nanoseconds(), 2_085_978_496_000_000_000);
        assert_eq!(at(u64::from(u32::MAX), 0).unix_nanoseconds(), 2_085_978_495_000_000_000);
        assert_eq!(at(TO_UNIX - 1, 0).unix_nanoseconds(), 4_294_967_295_000_000_000);
        // Rounded, not cut off.
        assert_eq!(at(0, 0xffff_ffff).nanoseconds(), 1_000_000_000);
        assert_eq!(short_nanoseconds(1), 15_259);
        assert_eq!(short_nanoseconds(u32::MAX), 65_535_999_984_741);
    }

    #[test]
    fn no_times_make_the_sums_overflow() {
        let odd = [0, 1, u64::MAX, u64::MAX / 2, u64::MAX / 2 + 1, 0x83aa_7e80_0000_0000].map(Fixed);
        for asked in odd {
            for received in odd {
                for sent in odd {
                    for answered in odd {
                        let answer = Answer { received, sent, asked, answered, ..Answer::default() };
                        let sums = [answer.round_trip(), answer.least_error(), answer.offset().abs()];
                        assert!(sums.iter().all(|sum| *sum >= 0), "{answer:?}: {sums:?}");
                    }
                }
            }
        }
    }
}
