//! The shape of netlink messages: pure parsing of bytes, with no panic and no trust in any length field.

/// Lengths of the headers, in bytes.
const MESSAGE_HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;

/// The attribute types carry two flag bits at the top.
const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;
/// The one that says that an attribute holds attributes.
const NESTED: u16 = 0x8000;

/// The bytes are not a run of netlink messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// One netlink message: its header's fields and the bytes behind the header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub body: &'a [u8],
}

/// The messages of one or more datagrams laid end to end, each starting at a multiple of four.
#[derive(Debug, Clone)]
pub(super) struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let message = split_message(self.0);
        // After a bad length nothing behind it can be placed.
        self.0 = message.map_or(&[], |(_, rest)| rest);
        Some(message.map(|(message, _)| message).ok_or(Malformed))
    }
}

fn split_message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let message = Message {
        kind: u16_at(bytes, 4)?,
        flags: u16_at(bytes, 6)?,
        sequence: u32_at(bytes, 8)?,
        body: bytes.get(MESSAGE_HEADER..length)?,
    };
    Some((message, bytes.get(aligned(length)..).unwrap_or(&[])))
}

/// The attributes in `bytes`, as (type without flag bits, payload); ends at the first one that does not fit.
#[derive(Debug)]
pub(super) struct Attributes<'a>(pub &'a [u8]);

impl<'a> Attributes<'a> {
    /// The payload of the first attribute of this type.
    pub fn payload(&self, wanted: u16) -> Option<&'a [u8]> {
        Self(self.0).find(|(kind, _)| *kind == wanted).map(|(_, payload)| payload)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & ATTRIBUTE_TYPE_MASK;
        let payload = self.0.get(ATTRIBUTE_HEADER..length)?;
        self.0 = self.0.get(aligned(length)..).unwrap_or(&[]);
        Some((kind, payload))
    }
}

/// Begins a request with the length left open; `finish` fills it in.
pub(super) fn begin(request: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, body: &[u8]) {
    request.clear();
    request.extend_from_slice(&0u32.to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&flags.to_ne_bytes());
    request.extend_from_slice(&sequence.to_ne_bytes());
    request.extend_from_slice(&0u32.to_ne_bytes());
    request.extend_from_slice(body);
}

/// Appends one attribute and what brings the next one to a multiple of four.
pub(super) fn attribute(request: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(ATTRIBUTE_HEADER.saturating_add(value.len())).unwrap_or(u16::MAX);
    request.extend_from_slice(&length.to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(value);
    request.resize(aligned(request.len()), 0);
}

/// Appends an attribute that holds one of four bytes.
pub(super) fn nested(request: &mut Vec<u8>, kind: u16, inner: u16, value: [u8; 4]) {
    let mut payload = Vec::with_capacity(8);
    attribute(&mut payload, inner, &value);
    attribute(request, kind | NESTED, &payload);
}

/// Writes the request's length into its header.
pub(super) fn finish(request: &mut [u8]) {
    let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
    if let Some(field) = request.first_chunk_mut::<4>() {
        *field = length.to_ne_bytes();
    }
}

/// The next multiple of four, where the following message or attribute starts.
pub(super) fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// A string up to its ending zero.
pub(super) fn text(payload: &[u8]) -> &[u8] {
    payload.split(|byte| *byte == 0).next().unwrap_or(payload)
}

pub(super) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::netlink::recorded::message;

    #[test]
    fn a_run_of_messages_ends_at_the_first_bad_length() {
        let mut bytes = message(16, 2, 9, b"abcde");
        bytes.extend(message(3, 2, 9, &[0; 4]));
        let kinds: Vec<_> = Messages(&bytes).map(|message| message.map(|message| message.kind)).collect();
        assert_eq!(kinds, [Ok(16), Ok(3)]);
        for length in [0u32, 15, 1000, u32::MAX] {
            let mut broken = bytes.clone();
            broken[24..28].copy_from_slice(&length.to_ne_bytes());
            let kinds: Vec<_> =
                Messages(&broken).map(|message| message.map(|message| message.kind)).collect();
            assert_eq!(kinds, [Ok(16), Err(Malformed)], "{length}");
        }
    }

    #[test]
    fn attributes_are_padded_and_found_in_others() {
        let mut bytes = Vec::new();
        attribute(&mut bytes, 3, b"lo\0");
        nested(&mut bytes, 7, 2, [1, 2, 3, 4]);
        let found: Vec<_> = Attributes(&bytes).collect();
        assert_eq!(found[0], (3, &b"lo\0"[..]));
        assert_eq!(text(found[0].1), b"lo");
        assert_eq!(Attributes(found[1].1).payload(2), Some(&[1, 2, 3, 4][..]));
        assert_eq!(Attributes(&bytes).payload(9), None);
        assert_eq!(Attributes(&bytes[..bytes.len() - 1]).payload(7), None, "cut short");
    }
}
