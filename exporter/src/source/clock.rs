//! The kernel's clock as it is disciplined (adjtimex), and the zone of the node's time.

use std::{ffi::CStr, io, mem::MaybeUninit};

/// A time zone at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its short name, `CET`.
    pub name: Vec<u8>,
    /// Seconds ahead of UTC.
    pub offset: i64,
}

/// The node's zone at this second since 1970, by `TZ` or `/etc/localtime`.
///
/// # Errors
/// Where the year is more than the C library can count.
pub fn zone(second: i64) -> io::Result<Zone> {
    let mut broken_down = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both point to what is ours for the call's time; a tm of zeros is a valid one.
    let done = unsafe { libc::localtime_r(&raw const second, broken_down.as_mut_ptr()) };
    if done.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeros at first, and filled in since.
    let broken_down = unsafe { broken_down.assume_init() };
    let name = if broken_down.tm_zone.is_null() {
        Vec::new()
    } else {
        // SAFETY: the C library's own text, ended by a zero byte; it stays while the zone is not read anew, which
        // only a change of TZ brings about, and nothing here changes it.
        unsafe { CStr::from_ptr(broken_down.tm_zone) }.to_bytes().to_vec()
    };
    Ok(Zone { name, offset: broken_down.tm_gmtoff })
}

/// What adjtimex(2) tells, and whether the clock is synchronized.
///
/// # Errors
/// What the kernel says.
pub fn discipline() -> io::Result<(libc::timex, bool)> {
    let mut timex = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: zeros are a valid timex, and its `modes` of 0 asks for nothing to be set.
    let state = unsafe { libc::adjtimex(timex.as_mut_ptr()) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeros at first, and filled in since.
    Ok((unsafe { timex.assume_init() }, state != libc::TIME_ERROR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_a_name_and_less_than_a_day() {
        let zone = zone(1_700_000_000).expect("is a time");
        assert!(!zone.name.is_empty() && zone.offset.abs() < 86_400, "{zone:?}");
        assert!(super::zone(i64::MAX).is_err());
    }

    #[test]
    fn the_clock_ticks() {
        let (timex, _) = discipline().expect("may be asked by anybody");
        assert!((9_000..=11_000).contains(&timex.tick), "{}", timex.tick);
    }
}
