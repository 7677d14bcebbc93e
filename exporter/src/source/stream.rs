//! Lines of a file that may be as long as it likes, through one buffer.

use std::{os::fd::AsFd, time::Instant};

use rustix::io::Errno;

/// The kernel serves such files a page or so at a time; no line of them is nearly as long.
const ROOM: usize = 16 << 10;

/// Why something of a process or cgroup is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It is not there, or not any more.
    Gone,
    /// It is there, and may not be read, or not in time, or makes no sense.
    Unknown,
}

impl From<Errno> for Miss {
    fn from(error: Errno) -> Self {
        match error {
            // What is threaded has no processes of its own.
            Errno::NOENT | Errno::SRCH | Errno::NODEV | Errno::NOTDIR | Errno::OPNOTSUPP => Self::Gone,
            _ => Self::Unknown,
        }
    }
}

/// Gives each line to `each`, without its end. An empty line is left out.
///
/// # Errors
/// What the kernel says; a line longer than the buffer; `until` has come before the file's end.
pub fn lines(
    file: impl AsFd,
    buffer: &mut Vec<u8>,
    until: Instant,
    mut each: impl FnMut(&[u8]),
) -> Result<(), Miss> {
    buffer.resize(ROOM, 0);
    let mut kept = 0;
    loop {
        let room = buffer.get_mut(kept..).filter(|room| !room.is_empty()).ok_or(Miss::Unknown)?;
        let read = match rustix::io::read(&file, room) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let filled = buffer.get(..kept + read).ok_or(Miss::Unknown)?;
        let complete = match memchr::memrchr(b'\n', filled) {
            Some(end) if read > 0 => end + 1,
            // The last line may lack its end.
            _ if read == 0 => filled.len(),
            _ => 0,
        };
        let whole = filled.get(..complete).unwrap_or_default();
        super::text::lines(whole).for_each(&mut each);
        if read == 0 {
            return Ok(());
        }
        buffer.copy_within(complete..kept + read, 0);
        kept = kept + read - complete;
        if Instant::now() >= until {
            return Err(Miss::Unknown);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{fs::File, io::Write, time::Duration};

    use super::*;

    fn read(text: &[u8], until: Instant) -> (Result<(), Miss>, Vec<Vec<u8>>) {
        let path =
            std::env::temp_dir().join(format!("nodetally-stream-{}-{}", std::process::id(), text.len()));
        File::create(&path).unwrap().write_all(text).unwrap();
        let (mut buffer, mut found) = (Vec::new(), Vec::new());
        let file = File::open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let read = lines(&file, &mut buffer, until, |line| found.push(line.to_vec()));
        assert_eq!(buffer.len(), ROOM);
        (read, found)
    }

    #[test]
    fn lines_of_any_number_come_whole_and_in_order() {
        let later = Instant::now() + Duration::from_mins(1);
        for number in [0, 1, 10, 100_000] {
            let wanted: Vec<_> = (0..number).map(|at| format!("line {at}").into_bytes()).collect();
            let mut text = wanted.join(&b'\n');
            assert_eq!(read(&text, later), (Ok(()), wanted.clone()));
            text.extend(b"\n");
            assert_eq!(read(&text, later), (Ok(()), wanted));
        }
    }

    #[test]
    fn a_line_without_end_and_a_time_that_is_over_are_told() {
        let later = Instant::now() + Duration::from_mins(1);
        let long = vec![b'x'; ROOM];
        assert_eq!(read(&long, later).0, Err(Miss::Unknown));
        assert_eq!(read(&long[1..], later), (Ok(()), vec![long[1..].to_vec()]));
        assert_eq!(read(&b"x\n".repeat(ROOM * 2), Instant::now()).0, Err(Miss::Unknown));
    }
}
