//! Messages: calls as bytes, and what stands before an answer's values.

use super::value::{Malformed, Order, Values};

/// Where a message's length is known.
pub(super) const PREFIX: usize = 16;
/// The largest message taken. A list of 2,000 units has about 1 MB.
pub(super) const LARGEST: usize = 16 << 20;
const SERIAL_AT: usize = 8;

const CALL: u8 = 1;
const ANSWER: u8 = 2;
const ERROR: u8 = 3;
const VERSION: u8 = 1;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Calls to be asked together; each goes by its place, from 0 on.
#[derive(Debug, Default)]
pub struct Calls {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Calls {
    /// Forgets all calls.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no call.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds the call of a method that takes these texts.
    pub fn method(&mut self, to: &str, object: &[u8], interface: &str, method: &str, texts: &[&str]) {
        let start = self.bytes.len();
        let body: usize =
            texts.iter().fold(0, |sum: usize, text| sum.next_multiple_of(4) + 4 + text.len() + 1);
        let out = &mut self.bytes;
        out.extend_from_slice(&[b'l', CALL, 0, VERSION]);
        number(out, body);
        // The serial, set when it is sent, and the length of the fields, set below.
        out.extend_from_slice(&[0; 8]);
        for (code, kind, value) in [
            (PATH, b'o', object),
            (DESTINATION, b's', to.as_bytes()),
            (INTERFACE, b's', interface.as_bytes()),
            (MEMBER, b's', method.as_bytes()),
        ] {
            pad(out, start, 8);
            out.extend_from_slice(&[code, 1, kind, 0]);
            text(out, value);
        }
        if let Ok(count @ 1..) = u8::try_from(texts.len()) {
            pad(out, start, 8);
            out.extend_from_slice(&[SIGNATURE, 1, b'g', 0, count]);
            out.extend(texts.iter().map(|_| b's'));
            out.push(0);
        }
        let fields = out.len() - start - PREFIX;
        set(out, start + PREFIX - 4, fields);
        pad(out, start, 8);
        let body_at = out.len();
        for value in texts {
            pad(out, body_at, 4);
            text(out, value.as_bytes());
        }
        self.ends.push(self.bytes.len());
    }

    /// Adds the reading of a property.
    pub fn property(&mut self, to: &str, object: &[u8], interface: &str, property: &str) {
        self.method(to, object, "org.freedesktop.DBus.Properties", "Get", &[interface, property]);
    }

    /// The bytes of the calls from `first` on, `most` at most, numbered from `serial` on; and how many they are.
    pub(super) fn window(&mut self, first: usize, most: usize, serial: u32) -> (&[u8], usize) {
        let starts_at = |place: usize| place.checked_sub(1).and_then(|last| self.ends.get(last)).copied();
        let start = starts_at(first).unwrap_or(0);
        let count = self.ends.len().saturating_sub(first).min(most);
        let mut call = start;
        for (serial, &end) in (serial..).zip(self.ends.iter().skip(first).take(count)) {
            if let Some(place) = self.bytes.get_mut(call + SERIAL_AT..call + SERIAL_AT + 4) {
                place.copy_from_slice(&serial.to_le_bytes());
            }
            call = end;
        }
        (self.bytes.get(start..call).unwrap_or_default(), count)
    }
}

/// Zeros up to the next place of this alignment, counted from the message's start.
fn pad(out: &mut Vec<u8>, start: usize, to: usize) {
    out.resize(start + (out.len() - start).next_multiple_of(to), 0);
}

/// A length: nothing here comes near four GiB.
fn number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn set(out: &mut [u8], at: usize, length: usize) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    number(out, text.len());
    out.extend_from_slice(text);
    out.push(0);
}

/// What came back for a call.
#[derive(Clone, Copy, Debug)]
pub enum Reply<'a> {
    /// The values.
    Values(Values<'a>),
    /// The name of the error.
    Refused(&'a [u8]),
}

impl<'a> Reply<'a> {
    /// A property's value; `None` for one that is refused or no plain value.
    pub fn property(self) -> Option<super::Plain<'a>> {
        if let Self::Values(mut values) = self { values.variant().ok() } else { None }
    }
}

/// A message received.
#[derive(Debug)]
pub(super) struct Received<'a> {
    /// The call that it answers; `None` for a signal or a call to us.
    pub answers: Option<u32>,
    pub reply: Reply<'a>,
}

/// The whole message's length, from its first bytes.
pub(super) fn length(prefix: &[u8; PREFIX]) -> Result<usize, Malformed> {
    let mut values = Values::new(prefix, order(prefix)?);
    let [_order, _kind, _flags, version] = [values.byte()?, values.byte()?, values.byte()?, values.byte()?];
    let (body, _serial, fields) = (values.u32()?, values.u32()?, values.u32()?);
    if version != VERSION {
        return Err(Malformed);
    }
    let length = PREFIX as u64 + u64::from(fields).next_multiple_of(8) + u64::from(body);
    usize::try_from(length).map_err(|_| Malformed)
}

/// Reads a whole message.
pub(super) fn parse(message: &[u8]) -> Result<Received<'_>, Malformed> {
    let order = order(message)?;
    let mut values = Values::new(message, order);
    let [_order, kind, _flags, _version] = [values.byte()?, values.byte()?, values.byte()?, values.byte()?];
    let (body, _serial) = (values.u32()?, values.u32()?);
    let mut fields = values.array(8)?;
    let (mut answers, mut error) = (None, &b""[..]);
    while !fields.is_done() {
        fields.align(8)?;
        let code = fields.byte()?;
        let value = fields.variant()?;
        match code {
            REPLY_SERIAL => answers = value.whole().and_then(|serial| u32::try_from(serial).ok()),
            ERROR_NAME => error = value.text().ok_or(Malformed)?,
            _ => {}
        }
    }
    let body =
        usize::try_from(body).ok().and_then(|body| message.len().checked_sub(body)).ok_or(Malformed)?;
    let reply = match kind {
        ERROR => Reply::Refused(error),
        _ => Reply::Values(Values::new(message.get(body..).ok_or(Malformed)?, order)),
    };
    match kind {
        ANSWER | ERROR => Ok(Received { answers: Some(answers.ok_or(Malformed)?), reply }),
        _ => Ok(Received { answers: None, reply }),
    }
}

fn order(message: &[u8]) -> Result<Order, Malformed> {
    match message.first() {
        Some(b'l') => Ok(Order::Little),
        Some(b'B') => Ok(Order::Big),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call as the specification has it, written by hand.
    #[test]
    fn a_call_is_laid_out_as_specified() {
        let mut calls = Calls::default();
        calls.method("a.b", b"/", "c.d", "E", &["x", "yz"]);
        let (bytes, count) = calls.window(0, 9, 0x0102_0304);
        let wanted: &[&[u8]] = &[
            b"l\x01\0\x01",
            b"\x0f\0\0\0\x04\x03\x02\x01\x48\0\0\0",
            b"\x01\x01o\0\x01\0\0\0/\0\0\0\0\0\0\0",
            b"\x06\x01s\0\x03\0\0\0a.b\0\0\0\0\0",
            b"\x02\x01s\0\x03\0\0\0c.d\0\0\0\0\0",
            b"\x03\x01s\0\x01\0\0\0E\0\0\0\0\0\0\0",
            b"\x08\x01g\0\x02ss\0",
            b"\x01\0\0\0x\0\0\0\x02\0\0\0yz\0",
        ];
        assert_eq!((bytes, count), (&*wanted.concat(), 1));
        let prefix = bytes[..PREFIX].try_into().expect("is longer");
        assert_eq!(length(prefix), Ok(bytes.len()));
    }

    #[test]
    fn a_window_holds_some_of_the_calls() {
        let mut calls = Calls::default();
        for name in ["A", "BB", "CCCCCCCCC"] {
            calls.method("a.b", b"/", "c.d", name, &[]);
        }
        let (first, count) = calls.window(0, 2, 7);
        assert_eq!((first[8], count), (7, 2));
        let (second, count) = calls.window(2, 2, 9);
        assert_eq!((second[8], count), (9, 1));
        assert!(second.windows(9).any(|part| part == b"CCCCCCCCC"));
        assert_eq!(calls.window(3, 2, 10).1, 0);
        calls.clear();
        assert!(calls.is_empty() && calls.window(0, 2, 1).1 == 0);
    }

    fn answer(kind: u8, fields: &[u8], body: &[u8]) -> Vec<u8> {
        let mut out = vec![b'l', kind, 0, 1];
        number(&mut out, body.len());
        number(&mut out, 5);
        number(&mut out, fields.len());
        out.extend_from_slice(fields);
        pad(&mut out, 0, 8);
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn answers_and_errors_say_what_they_answer() {
        let good = answer(ANSWER, b"\x05\x01u\0\x09\0\0\0\x08\x01g\0\x01u\0", b"\x2a\0\0\0");
        let received = parse(&good).expect("parses");
        assert_eq!(received.answers, Some(9));
        let Reply::Values(mut values) = received.reply else { panic!("has values") };
        assert_eq!(values.u32(), Ok(42));
        let error = answer(ERROR, b"\x05\x01u\0\x09\0\0\0\x04\x01s\0\x03\0\0\0a.B\0", b"");
        let received = parse(&error).expect("parses");
        assert!(matches!(received.reply, Reply::Refused(b"a.B")) && received.answers == Some(9));
        assert!(received.reply.property().is_none());
        assert_eq!(parse(&answer(4, b"", b"")).expect("parses").answers, None, "a signal");
    }

    #[test]
    fn garbage_is_refused() {
        let good = answer(ANSWER, b"\x05\x01u\0\x09\0\0\0\x08\x01g\0\x01u\0", b"\x2a\0\0\0");
        for end in 0..good.len() {
            let cut = &good[..end];
            assert!(parse(cut).is_err() || end >= 31, "{end} bytes");
        }
        assert!(parse(&answer(ANSWER, b"", b"")).is_err(), "answers nothing");
        assert!(parse(&answer(ANSWER, b"\x05\x01s\0\x01\0\0\0x\0", b"")).is_err());
        assert!(parse(&answer(ANSWER, b"\x05\x01u\0\x09\0", b"")).is_err());
        assert_eq!(length(b"l\x02\0\x02\0\0\0\0\0\0\0\0\0\0\0\0"), Err(Malformed));
        assert_eq!(length(b"x\x02\0\x01\0\0\0\0\0\0\0\0\0\0\0\0"), Err(Malformed));
        let giant = length(b"l\x02\0\x01\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff").expect("is a length");
        assert!(giant > LARGEST);
        // Any byte of a good message may be any other.
        for at in 0..good.len() {
            for byte in 0..=255 {
                let mut bad = good.clone();
                bad[at] = byte;
                if let Ok(Received { reply: Reply::Values(mut values), .. }) = parse(&bad) {
                    let _ = values.variant();
                }
            }
        }
    }
}
