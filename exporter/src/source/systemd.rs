//! What systemd and logind tell over D-Bus: names of things to call, and the lists they answer with.

use super::dbus::{Malformed, Values};

/// systemd's name on the bus.
pub const SYSTEMD: &str = "org.freedesktop.systemd1";
/// The object that stands for systemd as a whole.
pub const SYSTEMD_OBJECT: &[u8] = b"/org/freedesktop/systemd1";
/// Its interface.
pub const SYSTEMD_MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// logind's name on the bus.
pub const LOGIND: &str = "org.freedesktop.login1";
/// The object that stands for logind as a whole.
pub const LOGIND_OBJECT: &[u8] = b"/org/freedesktop/login1";
/// Its interface.
pub const LOGIND_MANAGER: &str = "org.freedesktop.login1.Manager";
/// The interface of a session.
pub const LOGIND_SESSION: &str = "org.freedesktop.login1.Session";

/// systemd itself keeps no more units than twice this; what is longer is nonsense.
const MOST: usize = 1 << 16;

/// A unit as systemd lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit<'a> {
    /// The name, `ssh.service`.
    pub name: &'a [u8],
    /// Whether its file could be read: `loaded`, `not-found`, `masked` and others.
    pub load_state: &'a [u8],
    /// `active`, `inactive`, `failed` and others.
    pub active_state: &'a [u8],
    /// What the active state means for a unit of its kind, such as `running`.
    pub sub_state: &'a [u8],
    /// Its object.
    pub object: &'a [u8],
}

/// A session as logind lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session<'a> {
    /// The seat that it is at; empty for none.
    pub seat: &'a [u8],
    /// Its object.
    pub object: &'a [u8],
}

/// Reads the answer of `ListUnits`, `a(ssssssouso)`.
///
/// # Errors
/// It is no such list, or too long. What came before has been handed on.
pub fn units<'a>(mut answer: Values<'a>, mut each: impl FnMut(Unit<'a>)) -> Result<(), Malformed> {
    structs(&mut answer, |values| {
        let (name, _description) = (values.text()?, values.text()?);
        let (load_state, active_state, sub_state) = (values.text()?, values.text()?, values.text()?);
        let (_following, object) = (values.text()?, values.text()?);
        let (_job, _kind, _object_of_job) = (values.u32()?, values.text()?, values.text()?);
        each(Unit { name, load_state, active_state, sub_state, object });
        Ok(())
    })
}

/// Reads the answer of `ListSeats`, `a(so)`: the seats' names.
///
/// # Errors
/// As for [`units`].
pub fn seats<'a>(mut answer: Values<'a>, mut each: impl FnMut(&'a [u8])) -> Result<(), Malformed> {
    structs(&mut answer, |values| {
        let (name, _object) = (values.text()?, values.text()?);
        each(name);
        Ok(())
    })
}

/// Reads the answer of `ListSessions`, `a(susso)`.
///
/// # Errors
/// As for [`units`].
pub fn sessions<'a>(mut answer: Values<'a>, mut each: impl FnMut(Session<'a>)) -> Result<(), Malformed> {
    structs(&mut answer, |values| {
        let (_id, _user, _name) = (values.text()?, values.u32()?, values.text()?);
        let (seat, object) = (values.text()?, values.text()?);
        each(Session { seat, object });
        Ok(())
    })
}

fn structs<'a>(
    answer: &mut Values<'a>,
    mut each: impl FnMut(&mut Values<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut list = answer.array(8)?;
    for _ in 0..MOST {
        if list.is_done() {
            return Ok(());
        }
        list.align(8)?;
        each(&mut list)?;
    }
    if list.is_done() { Ok(()) } else { Err(Malformed) }
}

/// The number in a version such as `252.38-1~deb12u1`: the first three digits or more, with a fraction.
pub fn version_number(version: &[u8]) -> Option<f64> {
    let runs = version.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
    let is_number = |run: &[u8]| run.first().is_some_and(u8::is_ascii_digit);
    let mut runs = runs.skip_while(|run| run.len() < 3 || !is_number(run));
    let mut number = str::from_utf8(runs.next()?).ok()?.to_owned();
    if let (Some(b"."), Some(fraction)) = (runs.next(), runs.next()) {
        number.push('.');
        number.push_str(str::from_utf8(fraction).ok()?);
    }
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::dbus::body;

    fn text(out: &mut Vec<u8>, text: &str) {
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(u32::try_from(text.len()).expect("is short").to_le_bytes());
        out.extend(text.as_bytes());
        out.push(0);
    }

    fn list(count: usize, element: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = vec![0; 8];
        for _ in 0..count {
            out.resize(out.len().next_multiple_of(8), 0);
            element(&mut out);
        }
        let length = u32::try_from(out.len() - 8).expect("is short").to_le_bytes();
        out[..4].copy_from_slice(&length);
        out
    }

    fn unit(out: &mut Vec<u8>) {
        for part in ["a.service", "The A", "loaded", "active", "running", "", "/u/a"] {
            text(out, part);
        }
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend([0; 4]);
        text(out, "");
        text(out, "/");
    }

    #[test]
    fn units_are_read_to_the_list_s_end() {
        let mut seen = Vec::new();
        let bytes = list(3, unit);
        assert_eq!(units(body(&bytes), |unit| seen.push(unit)), Ok(()));
        assert_eq!(seen.len(), 3);
        let wanted = Unit {
            name: b"a.service",
            load_state: b"loaded",
            active_state: b"active",
            sub_state: b"running",
            object: b"/u/a",
        };
        assert_eq!(seen[2], wanted);
        assert_eq!(units(body(&list(0, unit)), |_| unreachable!("is empty")), Ok(()));
    }

    #[test]
    fn a_list_that_is_cut_garbled_or_endless_is_refused() {
        let good = list(2, unit);
        for end in 0..good.len() {
            assert_eq!(units(body(&good[..end]), |_| ()), Err(Malformed), "{end}");
        }
        // Any byte may be any other: no panic, no endless loop.
        for at in 0..good.len() {
            for byte in [0, 1, 9, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = byte;
                let _ = units(body(&bad), |_| ());
                let _ = sessions(body(&bad), |_| ());
                let _ = seats(body(&bad), |_| ());
            }
        }
        let many = list(MOST + 1, |out| {
            text(out, "");
            text(out, "/");
        });
        let mut count = 0;
        assert_eq!(seats(body(&many), |_| count += 1), Err(Malformed));
        assert_eq!(count, MOST);
    }

    #[test]
    fn seats_and_sessions_are_read() {
        let bytes = list(2, |out| {
            text(out, "seat0");
            text(out, "/s/0");
        });
        let mut seen = Vec::new();
        assert_eq!(seats(body(&bytes), |seat| seen.push(seat)), Ok(()));
        assert_eq!(seen, [b"seat0", b"seat0"]);
        let bytes = list(1, |out| {
            text(out, "c1");
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend([1, 0, 0, 0]);
            for part in ["me", "seat0", "/s/c1"] {
                text(out, part);
            }
        });
        let mut seen = Vec::new();
        assert_eq!(sessions(body(&bytes), |session| seen.push(session)), Ok(()));
        assert_eq!(seen, [Session { seat: b"seat0", object: b"/s/c1" }]);
    }

    #[test]
    fn versions_have_a_number() {
        for (version, number) in [
            (&b"252.38-1~deb12u1"[..], Some(252.38)),
            (b"219", Some(219.0)),
            (b"v257~rc1-22.fc42 (258)", Some(257.0)),
            (b"256.", Some(256.0)),
            (b"256.x", Some(256.0)),
            (b"99", None),
            (b"1.2345", Some(2345.0)),
            (b"", None),
            (b"\xff\xfe", None),
        ] {
            assert_eq!(version_number(version), number, "{version:?}");
        }
    }
}
