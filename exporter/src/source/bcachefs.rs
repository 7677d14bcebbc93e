//! The texts that bcachefs writes for people below `/sys/fs/bcachefs`.

use super::text;

/// A number such as `28.2k` or `44.5T`, by powers of 1024, cut to a whole one.
pub fn number(field: &[u8]) -> Option<f64> {
    if let Some(whole) = text::whole(field) {
        return Some(float(whole));
    }
    let (last, digits) = field.split_last()?;
    let power = b"kMGTPEZY".iter().position(|unit| unit == last);
    let (digits, power) = power.map_or((field, 0), |power| (digits, power + 1));
    let is_plain =
        digits.first()?.is_ascii_digit() && digits.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    let value = text::float(digits).filter(|_| is_plain)?;
    Some((value * 1024_f64.powi(i32::try_from(power).ok()?)).trunc())
}

#[expect(clippy::cast_precision_loss, reason = "samples are floats")]
fn float(number: u64) -> f64 {
    number as f64
}

/// A counter's count since the filesystem was made.
pub fn counter(text: &[u8]) -> Option<f64> {
    text::lines(text).find_map(|line| number(line.strip_prefix(b"since filesystem creation:")?.trim_ascii()))
}

/// Rows of a name and two numbers, `initial: 3298401 100k`, below a heading; `None` where one is something else.
pub fn pairs(text: &[u8]) -> Option<Vec<(&[u8], f64, f64)>> {
    let rows = text::lines(text).skip(1).filter(|line| !line.trim_ascii().is_empty());
    rows.map(|line| {
        let mut fields = text::fields(line);
        let name = fields.next()?;
        let name = name.strip_suffix(b":").unwrap_or(name);
        Some((name, number(fields.next()?)?, number(fields.next()?)?))
    })
    .collect()
}

/// Kinds of errors and how often each was; `None` where a line has no number.
pub fn errors(text: &[u8]) -> Option<Vec<(&[u8], f64)>> {
    let rows = text::lines(text).filter(|line| !line.trim_ascii().is_empty());
    rows.map(|line| {
        let mut fields = text::fields(line);
        Some((fields.next()?, number(fields.next()?)?))
    })
    .collect()
}

/// A device's errors by kind, from when the filesystem was made.
pub fn io_errors(text: &[u8]) -> Option<Vec<(&[u8], f64)>> {
    let mut lines = text::lines(text);
    lines.find(|line| line.ends_with(b"since filesystem creation"))?;
    lines.take_while(|line| !line.starts_with(b"IO errors")).map(keyed).collect()
}

/// A device's bytes, by what was done (`read`, `write`) and by kind of data.
pub fn io_done(text: &[u8]) -> Option<Vec<(&'static str, &[u8], f64)>> {
    let mut operation = None;
    let mut done = Vec::new();
    for line in text::lines(text).filter(|line| !line.trim_ascii().is_empty()) {
        match line.trim_ascii() {
            b"read:" => operation = Some("read"),
            b"write:" => operation = Some("write"),
            _ => {
                let (kind, bytes) = keyed(line)?;
                done.push((operation?, kind, bytes));
            }
        }
    }
    Some(done)
}

/// `name : number`, with or without blanks.
fn keyed(line: &[u8]) -> Option<(&[u8], f64)> {
    let place = line.iter().position(|&byte| byte == b':')?;
    Some((line.get(..place)?.trim_ascii(), number(line.get(place + 1..)?.trim_ascii())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        for (text, value) in [
            (&b"0"[..], 0.0),
            (b"720", 720.0),
            (b"28.2k", 28_876.0),
            (b"2.05G", 2_201_170_739.0),
            (b"44.5T", 48_928_267_436_032.0),
            (b"18446744073709551615", 18_446_744_073_709_551_615.0),
        ] {
            assert_eq!(number(text), Some(value), "{text:?}");
        }
        for bad in [&b""[..], b"k", b"-1", b"inf", b"nan", b"1e3", b".5k", b"1.2.3", b"1,5k", b"\xff"] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn texts_are_read() {
        assert_eq!(counter(b"since mount:  475G\nsince filesystem creation:     1.5k\n"), Some(1536.0));
        assert_eq!(counter(b"since mount: 1\n"), None);
        let rows = b"         nr        size\ninitial:    329   100k\ncache_reclaim: 14401     720\n";
        assert_eq!(
            pairs(rows),
            Some(vec![(&b"initial"[..], 329.0, 102_400.0), (b"cache_reclaim", 14_401.0, 720.0)])
        );
        assert_eq!(pairs(b"head\ninitial: 329\n"), None);
        assert_eq!(
            errors(b"bad   2   1753593586\nrun_on  112\n"),
            Some(vec![(&b"bad"[..], 2.0), (b"run_on", 112.0)])
        );
        assert_eq!(errors(b"bad\n"), None);
    }

    #[test]
    fn a_device_s_texts_are_read() {
        let text = b"IO errors since filesystem creation\n  read:    7\n  checksum:0\nIO errors since 8 y ago\n  read: 9\n";
        assert_eq!(io_errors(text), Some(vec![(&b"read"[..], 7.0), (b"checksum", 0.0)]));
        assert_eq!(io_errors(b"IO errors since 8 y ago\n"), None);
        let text = b"read:\nsb          :       86016\nneed_gc_gens:           0\nwrite:\nsb:1\n";
        assert_eq!(
            io_done(text),
            Some(vec![("read", &b"sb"[..], 86_016.0), ("read", b"need_gc_gens", 0.0), ("write", b"sb", 1.0)])
        );
        for bad in [&b"sb : 1\n"[..], b"read:\nsb\n", b"read:\nsb : x\n", b"\xff"] {
            assert_eq!(io_done(bad), None, "{bad:?}");
        }
    }
}
