//! Numbers as Go prints them: the shortest digits that read back as the same float, exponent form from 1e+06 on.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a float has at most 17 digits and an exponent below 400"
)]

/// Above this an integer has no exact float for each value.
const EXACT: u64 = 1 << 53;

/// A sample's value. The format knows floats only; a whole number takes a quicker way to the same text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(u64),
    /// Any float.
    Float(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl Value {
    /// Appends the value's text.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Whole(value) if value < EXACT => whole(out, value),
            Self::Whole(value) => float(out, value as f64),
            Self::Float(value) => float(out, value),
        }
    }
}

fn whole(out: &mut Vec<u8>, value: u64) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value).as_bytes();
    if digits.len() <= 6 {
        out.extend_from_slice(digits);
        return;
    }
    let significant = digits.iter().rposition(|&d| d != b'0').map_or(1, |last| last + 1);
    exponent_form(out, &digits[..significant], digits.len() as i32 - 1);
}

fn float(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        out.extend_from_slice(match value {
            _ if value.is_nan() => b"NaN",
            _ if value > 0.0 => b"+Inf",
            _ => b"-Inf",
        });
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let magnitude = value.abs();
    // (Most floats are whole, and the shortest digits of a whole number are quickly found.)
    if magnitude < EXACT as f64 && magnitude.fract() == 0.0 {
        whole(out, magnitude as u64);
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let mut digits = [0u8; 24];
    let (length, point) = decimal(buffer.format_finite(magnitude).as_bytes(), &mut digits);
    let digits = &digits[..length];
    let exponent = point - 1;
    if !(-4..6).contains(&exponent) {
        exponent_form(out, digits, exponent);
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', point.unsigned_abs() as usize));
        out.extend_from_slice(digits);
    } else {
        let whole = (point as usize).min(length);
        out.extend_from_slice(&digits[..whole]);
        out.extend(std::iter::repeat_n(b'0', point as usize - whole));
        if whole < length {
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

/// Splits `12.5`, `1.25e-7` and the like into significant digits (no zeros at either end) and the place of the
/// decimal point relative to the first of them. Returns the number of digits and that place.
fn decimal(text: &[u8], digits: &mut [u8; 24]) -> (usize, i32) {
    let (mut length, mut point, mut seen_point) = (0, 0, false);
    let mut rest = text.iter();
    for &byte in rest.by_ref() {
        match byte {
            b'.' => seen_point = true,
            b'e' => break,
            b'0' if length == 0 => point -= i32::from(seen_point),
            _ => {
                if let Some(place) = digits.get_mut(length) {
                    *place = byte;
                    length += 1;
                }
                point += i32::from(!seen_point);
            }
        }
    }
    let mut exponent = 0;
    let mut negative = false;
    for &byte in rest {
        match byte {
            b'-' => negative = true,
            _ => exponent = exponent * 10 + i32::from(byte - b'0'),
        }
    }
    while length > 1 && digits[length - 1] == b'0' {
        length -= 1;
    }
    (length, point + if negative { -exponent } else { exponent })
}

fn exponent_form(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.abs() < 10 {
        out.push(b'0');
    }
    out.extend_from_slice(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl Into<Value>) -> String {
        let mut out = Vec::new();
        value.into().write(&mut out);
        String::from_utf8(out).expect("numbers are ASCII")
    }

    #[test]
    fn whole_numbers_turn_to_exponent_form_at_a_million() {
        for (value, expected) in [
            (0, "0"),
            (7, "7"),
            (999_999, "999999"),
            (1_000_000, "1e+06"),
            (1_048_576, "1.048576e+06"),
            (1_234_567, "1.234567e+06"),
            (123_456_789_000, "1.23456789e+11"),
            (EXACT - 1, "9.007199254740991e+15"),
            (u64::MAX, "1.8446744073709552e+19"),
        ] {
            assert_eq!(text(value), expected);
            assert_eq!(text(value as f64), expected, "as a float");
        }
    }

    #[test]
    fn floats_are_shortest_and_go_shaped() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (-12.25, "-12.25"),
            (100_000.0, "100000"),
            (123_456.789, "123456.789"),
            (1_234_567.5, "1.2345675e+06"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (1.305e-6, "1.305e-06"),
            (5e-324, "5e-324"),
            (1e300, "1e+300"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn every_text_reads_back_as_the_same_float() {
        let mut bits: u64 = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                assert_eq!(text(value).parse::<f64>().map(f64::to_bits), Ok(value.to_bits()), "{value:e}");
            }
        }
    }
}
