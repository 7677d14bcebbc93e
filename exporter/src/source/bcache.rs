//! bcache's own way to write numbers, and the two texts it writes for people.

use super::text;

/// A number as bcache writes it: `20.4G`, `-321.5k`. What follows the point counts 1/10.24 each, since the kernel
/// divides the rest of 1024 by 100 and prints that. Cut to a whole number, as the reference does.
pub fn number(field: &[u8]) -> Option<f64> {
    let (is_negative, field) = match field.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, field),
    };
    let (last, rest) = field.split_last()?;
    let power = b"kMGTPEZY".iter().position(|unit| unit == last);
    let (digits, unit) = match power {
        Some(power) => (rest, 1024_f64.powi(i32::try_from(power).ok()? + 1)),
        None => (field, 1.0),
    };
    let mut parts = digits.splitn(2, |&byte| byte == b'.');
    let whole = float(text::whole(parts.next()?)?);
    let part = parts.next().map_or(Some(0.0), |part| Some(float(text::whole(part)?) / 10.24))?;
    let value = ((whole + part) * unit).trunc();
    Some(if is_negative { -value } else { value })
}

#[expect(clippy::cast_precision_loss, reason = "samples are floats")]
fn float(number: u64) -> f64 {
    number as f64
}

/// What `writeback_rate_debug` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Writeback {
    /// Sectors a second that are aimed at.
    pub rate: f64,
    /// Dirty data, in bytes.
    pub dirty: f64,
    /// Dirty data that is aimed at, in bytes.
    pub target: f64,
    /// The controller's proportional term.
    pub proportional: f64,
    /// The controller's integral term.
    pub integral: f64,
    /// How the rate changed last.
    pub change: f64,
}

/// `writeback_rate_debug`; `None` where a line that is known holds no number.
pub fn writeback(text: &[u8]) -> Option<Writeback> {
    let mut writeback = Writeback::default();
    for line in text::lines(text) {
        let mut fields = text::fields(line);
        let place = match fields.next() {
            Some(b"rate:") => &mut writeback.rate,
            Some(b"dirty:") => &mut writeback.dirty,
            Some(b"target:") => &mut writeback.target,
            Some(b"proportional:") => &mut writeback.proportional,
            Some(b"integral:") => &mut writeback.integral,
            Some(b"change:") => &mut writeback.change,
            _ => continue,
        };
        let field = fields.next()?;
        *place = number(field.strip_suffix(b"/sec").unwrap_or(field))?;
    }
    Some(writeback)
}

/// Percentages of `priority_stats`: what is not used, and what metadata takes.
pub fn priorities(text: &[u8]) -> Option<(u64, u64)> {
    let percent = |key: &[u8]| {
        text::lines(text).find_map(|line| {
            text::whole(line.strip_prefix(key)?.trim_ascii().strip_suffix(b"%")?.trim_ascii())
        })
    };
    Some((percent(b"Unused:")?, percent(b"Metadata:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bcache_s_own_fractions() {
        for (text, value) in [
            (&b"0"[..], 0.0),
            (b"512", 512.0),
            (b"1.1M", 1_150_976.0),
            (b"20.4G", 21_894_266_880.0),
            (b"-321.5k", -329_204.0),
            (b"1.10k", 2024.0),
            (b"1Y", 1024_f64.powi(8)),
        ] {
            assert_eq!(number(text), Some(value), "{text:?}");
        }
        for bad in [
            &b""[..],
            b"-",
            b"k",
            b".5k",
            b"1.k",
            b"--1",
            b"1.2.3k",
            b"1,5k",
            b"\xff",
            b"99999999999999999999",
        ] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_rate_s_lines_are_read() {
        let text =
            b"rate:\t\t1.1M/sec\ndirty:\t20.4G\ntarget: 20.4G\nproportional: 427.5k\nintegral: 790.0k\n\
            change: -321.5k/sec\nnext io: 17ms\n";
        let read = writeback(text).expect("makes sense");
        assert_eq!((read.rate, read.change), (1_150_976.0, -329_204.0));
        assert_eq!((read.proportional, read.integral), (437_748.0, 808_960.0));
        assert_eq!(writeback(b""), Some(Writeback::default()));
        assert_eq!(writeback(b"rate:\n"), None);
        assert_eq!(writeback(b"dirty: much\n"), None);
    }

    #[test]
    fn percentages_are_read() {
        assert_eq!(priorities(b"Unused:\t\t99%\nMetadata:\t0%\nAverage: 3\n"), Some((99, 0)));
        assert_eq!(priorities(b"Unused: 99%\n"), None);
        assert_eq!(priorities(b"Unused: 99\nMetadata: 0%\n"), None);
    }
}
