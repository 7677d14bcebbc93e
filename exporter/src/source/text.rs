//! The little that every kernel text needs: lines, fields, numbers. Bytes in, so that nothing is checked twice.

/// The lines, without their ends; an empty last one is left out.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    let line = std::iter::from_fn(move || {
        let text = rest?;
        let (line, after) = match memchr::memchr(b'\n', text).and_then(|end| text.split_at_checked(end)) {
            Some((line, after)) => (line, after.get(1..)),
            None => (text, None),
        };
        rest = after;
        Some(line)
    });
    line.filter(|line| !line.is_empty())
}

/// The fields between blanks and tabs.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b' ' || byte == b'\t').filter(|field| !field.is_empty())
}

/// Decimal digits as a number; `None` for anything else, overflow included.
pub fn whole(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0_u64, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { value.checked_mul(10)?.checked_add(digit.into()) }
    })
}

/// Hexadecimal digits as a number; `None` for anything else, overflow included.
pub fn hex(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0_u64, |value, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some(value.checked_mul(16)? + u64::from(digit))
    })
}

/// Digits, maybe after a sign.
pub fn signed(field: &[u8]) -> Option<i64> {
    let digits = field.strip_prefix(b"-").or_else(|| field.strip_prefix(b"+")).unwrap_or(field);
    // (The standard parser takes signs and digits only, but text first.)
    digits.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(field).ok()?.parse().ok())?
}

/// Hexadecimal digits after `0x`, or decimal ones.
pub fn prefixed(field: &[u8]) -> Option<u64> {
    let Some(digits) = field.strip_prefix(b"0x").or_else(|| field.strip_prefix(b"0X")) else {
        return whole(field);
    };
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// A float in any form Rust reads.
pub fn float(field: &[u8]) -> Option<f64> {
    str::from_utf8(field).ok()?.parse().ok()
}

/// The value of `key value`, one pair a line, as in a cgroup's stat files.
pub fn keyed(text: &[u8], key: &[u8]) -> Option<u64> {
    lines(text).find_map(|line| whole(line.strip_prefix(key)?.strip_prefix(b" ")?))
}

/// A file's only value, its newline aside.
pub fn only(text: &[u8]) -> Option<u64> {
    whole(text.trim_ascii())
}

/// An address' text with `%2f` and its like undone; what is no such escape stays.
pub fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| first == b'%').and_then(|digits| {
            let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
            u8::try_from(digit(0)? * 16 + digit(1)?).ok()
        });
        out.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        assert_eq!(whole(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b"18446744073709551616"[..], b"", b"-1", b"+1", b"1 ", b"0x1", b"\xff"] {
            assert_eq!(whole(bad), None, "{bad:?}");
        }
        assert_eq!(only(b"42\n"), Some(42));
    }

    #[test]
    fn hexadecimal_numbers_have_sixteen_digits_at_most() {
        assert_eq!(hex(b"000dfB82"), Some(0xd_fb82));
        assert_eq!(hex(b"ffffffffffffffff"), Some(u64::MAX));
        for bad in [&b"10000000000000000"[..], b"", b"-1", b"0x1", b"g", b"\xff"] {
            assert_eq!(hex(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn numbers_have_a_sign_or_a_prefix() {
        for (text, value) in
            [("-7", Some(-7)), ("+7", Some(7)), ("0", Some(0)), ("-9223372036854775808", Some(i64::MIN))]
        {
            assert_eq!(signed(text.as_bytes()), value);
        }
        for bad in [&b""[..], b"-", b"--1", b"1-", b"9223372036854775808", b" 1", b"0x1", b"\xff"] {
            assert_eq!(signed(bad), None, "{bad:?}");
        }
        assert_eq!(prefixed(b"0xffffffffffffffff"), Some(u64::MAX));
        assert_eq!(prefixed(b"12"), Some(12));
        for bad in [&b""[..], b"0x", b"0xg", b"0x+1", b"-1", b"0x10000000000000000", b"\xff"] {
            assert_eq!(prefixed(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescaped("a%20b%2F%zz%+f%4"), b"a b/%zz%+f%4");
        assert_eq!(unescaped(""), b"");
    }

    #[test]
    fn a_key_is_matched_whole() {
        let text = b"nr_periods 5\nnr_throttled 2\nthrottled_usec 70\n";
        assert_eq!(keyed(text, b"nr_throttled"), Some(2));
        assert_eq!(keyed(text, b"throttled"), None);
    }

    #[test]
    fn blanks_and_tabs_part_fields() {
        assert_eq!(fields(b"  a\tb  c").collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        for (text, parts) in [
            (&b"x\ny\n"[..], &[&b"x"[..], b"y"][..]),
            (b"\n\nx\n\n y", &[b"x", b" y"]),
            (b"\n", &[]),
            (b"", &[]),
        ] {
            assert_eq!(lines(text).collect::<Vec<_>>(), parts, "{text:?}");
        }
    }
}
