//! One request and its answer over a stream, both bounded in time, the answer in size. (The server's client needs a
//! runtime whose descriptors this thread has left behind.)

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use super::text;

/// The largest answer taken: a process has about 1 kB.
const LARGEST: usize = 8 << 20;
const LONGEST_HEAD: usize = 64 << 10;
const PIECE: usize = 16 << 10;

/// What went wrong.
#[derive(Debug)]
pub(super) enum Failure {
    /// A system call.
    Call(&'static str, io::Error),
    /// Another status than 200.
    Status(u16),
    /// What came is no HTTP, or too large.
    Malformed,
}

/// A stream whose waits can be bounded.
pub(super) trait Timed: Read + Write {
    fn limit(&self, left: Duration) -> io::Result<()>;
}

impl Timed for TcpStream {
    fn limit(&self, left: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(left)).and_then(|()| self.set_write_timeout(Some(left)))
    }
}

impl Timed for UnixStream {
    fn limit(&self, left: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(left)).and_then(|()| self.set_write_timeout(Some(left)))
    }
}

/// Sends the request and gives the answer's body.
pub(super) fn ask(mut stream: impl Timed, mut request: &[u8], deadline: Instant) -> Result<Vec<u8>, Failure> {
    while !request.is_empty() {
        match limit(&stream, deadline).and_then(|()| stream.write(request)) {
            Ok(length) => request = request.get(length..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::Call("write", error)),
        }
    }
    let mut answer = Vec::new();
    let mut piece = [0; PIECE];
    let mut head = None;
    loop {
        let length = match limit(&stream, deadline).and_then(|()| stream.read(&mut piece)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.map_err(|error| Failure::Call("read", error))?,
        };
        answer.extend_from_slice(piece.get(..length).unwrap_or_default());
        if head.is_none() {
            head = Head::read(&answer)?;
        }
        let end = head.as_ref().and_then(|head| head.length?.checked_add(head.end));
        let is_whole = end.is_some_and(|end| answer.len() >= end);
        if let Some(head) = head.as_ref().filter(|_| is_whole || length == 0) {
            return match end {
                Some(_) if !is_whole => Err(Failure::Malformed),
                end => Ok(answer.get(head.end..end.unwrap_or(answer.len())).unwrap_or_default().to_vec()),
            };
        }
        let largest = if head.is_some() { LARGEST } else { LONGEST_HEAD };
        if length == 0 || answer.len() > largest {
            return Err(Failure::Malformed);
        }
    }
}

fn limit(stream: &impl Timed, deadline: Instant) -> io::Result<()> {
    let left = deadline.checked_duration_since(Instant::now()).filter(|left| left.as_millis() > 0);
    stream.limit(left.ok_or(ErrorKind::TimedOut)?)
}

/// What stands before the body.
struct Head {
    end: usize,
    /// The body's length; without it the body ends with the connection.
    length: Option<usize>,
}

impl Head {
    /// `None` while more has to come.
    fn read(answer: &[u8]) -> Result<Option<Self>, Failure> {
        let blank = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(head) = blank.and_then(|blank| answer.get(..blank)) else { return Ok(None) };
        let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let mut words = text::fields(lines.next().unwrap_or_default());
        if !words.next().is_some_and(|version| version.starts_with(b"HTTP/1.")) {
            return Err(Failure::Malformed);
        }
        let status = words.next().and_then(text::whole).and_then(|status| u16::try_from(status).ok());
        match status.ok_or(Failure::Malformed)? {
            200 => {}
            status => return Err(Failure::Status(status)),
        }
        let length = lines.find_map(|line| {
            let (name, value) = line.split_at_checked(line.iter().position(|&byte| byte == b':')?)?;
            name.eq_ignore_ascii_case(b"content-length").then(|| value.trim_ascii_start().get(1..))?
        });
        let length = match length {
            Some(digits) => {
                let length = text::only(digits).and_then(|length| usize::try_from(length).ok());
                Some(length.filter(|&length| length <= LARGEST).ok_or(Failure::Malformed)?)
            }
            None => None,
        };
        Ok(Some(Self { end: head.len() + 4, length }))
    }
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(answer: &[u8]) -> Option<Vec<u8>> {
    struct Told<'a>(&'a [u8]);
    impl Read for Told<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.0.read(room)
        }
    }
    impl Write for Told<'_> {
        fn write(&mut self, request: &[u8]) -> io::Result<usize> {
            Ok(request.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Timed for Told<'_> {
        fn limit(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }
    }
    ask(Told(answer), b"x", Instant::now() + Duration::from_secs(10)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(says: &[u8]) -> Result<Vec<u8>, Failure> {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let says = says.to_vec();
        let thread = std::thread::spawn(move || {
            let _ = theirs.read(&mut [0; 100]);
            let _ = says.chunks(1 << 20).try_for_each(|piece| theirs.write_all(piece));
        });
        let asked = ask(ours, b"POST", Instant::now() + Duration::from_secs(20));
        thread.join().expect("ends");
        asked
    }

    #[test]
    fn a_body_ends_where_its_length_says_or_with_the_connection() {
        let sized = answer(b"HTTP/1.1 200 OK\r\ncontent-LENGTH:  3 \r\nX: y\r\n\r\nabcd");
        assert_eq!(sized.expect("has a body"), b"abc");
        assert_eq!(answer(b"HTTP/1.0 200 OK\r\n\r\nabcd").expect("has a body"), b"abcd");
        assert_eq!(answer(b"HTTP/1.0 200 OK\r\n\r\n").expect("has a body"), b"");
    }

    #[test]
    fn what_is_no_good_answer_is_an_error() {
        assert!(matches!(answer(b"HTTP/1.1 401 No\r\n\r\n"), Err(Failure::Status(401))));
        for bad in [
            &b""[..],
            b"\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"SSH-2.0-x",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\nabc",
            &vec![b'x'; 2 * LONGEST_HEAD],
            &[&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b'x'; LARGEST + 1]].concat(),
        ] {
            let start = String::from_utf8_lossy(&bad[..bad.len().min(60)]).into_owned();
            assert!(matches!(answer(bad), Err(Failure::Malformed | Failure::Call(..))), "{start}");
        }
    }
}
