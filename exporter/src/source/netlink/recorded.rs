//! Netlink messages made for tests, and garbage made of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::message::{aligned, attribute, begin, finish};

/// A message, padded.
pub fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin(&mut bytes, kind, flags, sequence, body);
    finish(&mut bytes);
    bytes.resize(aligned(bytes.len()), 0);
    bytes
}

/// An attribute, padded.
pub fn attr(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    attribute(&mut bytes, kind, payload);
    bytes
}

/// The bytes that hexadecimal digits stand for; blanks and line ends are left out.
pub fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Gives `parse` a good body, every cut of it, and thousands of bodies with a few bytes changed.
pub fn garble(body: &[u8], mut parse: impl FnMut(&[u8])) {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for end in 0..=body.len() {
        parse(body.get(..end).unwrap());
    }
    for _ in 0..20_000 {
        let mut bytes = body.to_vec();
        for _ in 0..=next() % 8 {
            let at = usize::try_from(next()).unwrap() % bytes.len();
            *bytes.get_mut(at).unwrap() = next().to_le_bytes()[0];
        }
        parse(&bytes);
    }
}
