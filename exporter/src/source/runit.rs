//! What runit's `runsv` writes of its service: `supervise/status`, twenty bytes.

use std::{fs::File, io::Read, path::Path};

use rustix::fs::{Mode, OFlags, open};

use super::file::ReadError;

/// What `runsv` writes.
const LENGTH: usize = 20;
/// Seconds between the start of its count (TAI64) and 1970, with the ten leap seconds that it adds to any time.
const EPOCH: i64 = (1 << 62) + 10;

/// A service as its `runsv` sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// When it last changed, in seconds since 1970.
    pub changed: i64,
    /// Whether it is to be up.
    pub is_wanted_up: bool,
    /// 0 for down, 1 for up, 2 while it finishes.
    pub state: u8,
}

/// Reads a status file; `None` for one that is no such file.
pub fn parse(status: &[u8]) -> Option<Status> {
    let status: &[u8; LENGTH] = status.try_into().ok()?;
    // Seconds, nanoseconds, process, whether paused, what is wanted, whether told to end, state.
    let (seconds, rest) = status.split_first_chunk()?;
    let [.., wanted, _told, state] = rest else { return None };
    let changed = i64::from_be_bytes(*seconds).wrapping_sub(EPOCH);
    Some(Status { changed, is_wanted_up: *wanted == b'u', state: *state })
}

/// Reads what there is of a status file, in a folder that belongs to a service. A pipe in its place is not waited for.
///
/// # Errors
/// What `open` or `read` says.
pub fn read(path: &Path) -> Result<Option<Status>, ReadError> {
    let failed = |operation, error| ReadError { operation, path: path.to_owned(), error };
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).map_err(|errno| failed("open", errno.into()))?;
    let mut status = Vec::with_capacity(2 * LENGTH);
    let read = File::from(file).take(LENGTH as u64 + 1).read_to_end(&mut status);
    read.map_err(|error| failed("read", error))?;
    Ok(parse(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_bytes_are_a_status() {
        let status = b"\x40\0\0\0\x65\x53\xf1\x0a\x12\x34\x56\x78\x2a\0\0\0\0u\0\x01";
        let wanted = Status { changed: 1_700_000_000, is_wanted_up: true, state: 1 };
        assert_eq!(parse(status), Some(wanted));
        let down = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0d\0\xff";
        let wanted = Status { changed: -(1 << 62) - 10, is_wanted_up: false, state: 255 };
        assert_eq!(parse(down), Some(wanted));
        assert!(parse(&[0xff; 20]).is_some_and(|status| status.changed < 0));
        for length in [0, 18, 19, 21, 100] {
            assert_eq!(parse(&vec![b'u'; length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("nodetally-runit-{}", std::process::id()));
        let made = rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        );
        made.expect("makes a pipe");
        let status = read(&path);
        std::fs::remove_file(&path).expect("removes");
        assert!(matches!(status, Ok(None)), "{status:?}");
        assert!(read(&path).expect_err("is gone").is_gone());
    }
}
