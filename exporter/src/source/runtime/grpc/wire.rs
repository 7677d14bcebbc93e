//! Protocol buffers as bytes: a message is walked in place, a field of the wrong type costs that field alone.

/// The message ends within a field, or holds what no message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Malformed;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Value<'a> {
    /// A number, a flag or an enum.
    Number(u64),
    /// A text, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Eight or four bytes of no interest here.
    Other,
}

impl<'a> Value<'a> {
    pub(in super::super) fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    pub(in super::super) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(in super::super) fn text(self) -> Option<&'a str> {
        self.bytes().and_then(|bytes| str::from_utf8(bytes).ok())
    }
}

/// The fields of a message, in order; ends after the first that is malformed.
#[derive(Debug, Clone)]
pub(in super::super) struct Fields<'a>(&'a [u8]);

/// Walks `message`.
pub(in super::super) fn fields(message: &[u8]) -> Fields<'_> {
    Fields(message)
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or(Malformed);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let key = self.number()?;
        let field = u32::try_from(key >> 3).ok().filter(|field| *field != 0)?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((field, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Seven bits a byte, the lowest first; a byte without the highest bit is the last.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

/// The messages in the repeated field `number`, no more than `limit`.
pub(in super::super) fn repeated(message: &[u8], number: u32, limit: usize) -> Result<Vec<&[u8]>, Malformed> {
    let mut found = Vec::new();
    for field in fields(message) {
        let (field, value) = field?;
        if field == number
            && let Some(bytes) = value.bytes()
        {
            if found.len() >= limit {
                return Err(Malformed);
            }
            found.push(bytes);
        }
    }
    Ok(found)
}

/// The last text in field `number`; `None` where there is none, or no text.
pub(in super::super) fn text(message: &[u8], number: u32) -> Option<&str> {
    last(message, number)?.text()
}

/// The last value in field `number`.
pub(in super::super) fn last(message: &[u8], number: u32) -> Option<Value<'_>> {
    fields(message).map_while(Result::ok).filter(|(field, _)| *field == number).last().map(|(_, value)| value)
}

/// An entry of a map from text to text; what is left out is empty.
pub(in super::super) fn entry(message: &[u8]) -> Option<(&str, &str)> {
    let part = |number| last(message, number).map_or(Some(""), Value::text);
    Some((part(1)?, part(2)?))
}

/// Most labels that are kept of one container.
const LABELS: usize = 4096;

/// A map of labels that comes entry by entry.
#[derive(Debug, Default)]
pub(in super::super) struct Labels {
    kept: Vec<(String, String)>,
    /// Some entry was no text, or one too many.
    pub is_odd: bool,
}

impl Labels {
    pub(in super::super) fn push(&mut self, entry_field: Value<'_>) {
        match entry_field.bytes().and_then(entry) {
            Some((key, value)) if self.kept.len() < LABELS => {
                self.kept.push((key.to_owned(), value.to_owned()));
            }
            _ => self.is_odd = true,
        }
    }

    pub(in super::super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.kept.iter().rev().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }

    /// Adds one that is missing.
    pub(in super::super) fn add(&mut self, key: &str, value: &str) {
        if self.get(key).is_none() {
            self.kept.push((key.to_owned(), value.to_owned()));
        }
    }

    /// Sorted by key; of two with one key the later.
    pub(in super::super) fn sorted(mut self) -> Vec<(String, String)> {
        self.kept.reverse();
        self.kept.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.kept.dedup_by(|(later, _), (earlier, _)| later == earlier);
        self.kept
    }
}

/// A message in the making; a request's size is known to fit.
#[derive(Debug, Default, Clone)]
pub(in super::super) struct Writer(Vec<u8>);

impl Writer {
    pub(in super::super) fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
        self.put(u64::from(field) << 3 | 2);
        self.put(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    pub(in super::super) fn text(self, field: u32, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(in super::super) fn number(mut self, field: u32, number: u64) -> Self {
        self.put(u64::from(field) << 3);
        self.put(number);
        self
    }

    pub(in super::super) fn end(self) -> Vec<u8> {
        self.0
    }

    fn put(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let inner = Writer::default().text(1, "key").text(2, "välue").end();
        let whole = Writer::default().number(3, 300).bytes(7, &inner).number(40, u64::MAX).end();
        let read: Vec<_> = fields(&whole).map(Result::unwrap).collect();
        assert_eq!(read, [(3, Value::Number(300)), (7, Value::Bytes(&inner)), (40, Value::Number(u64::MAX))]);
        assert_eq!(&whole[..3], [0x18, 0xac, 0x02]);
        assert_eq!(entry(&inner), Some(("key", "välue")));
        assert_eq!(entry(&[]), Some(("", "")));
        assert_eq!(text(&inner, 2), Some("välue"));
        assert_eq!(text(&whole, 3), None, "a number is no text");
    }

    #[test]
    fn fields_of_other_types_are_passed_over() {
        let message = [0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4, 0x18, 7];
        let read: Vec<_> = fields(&message).map(Result::unwrap).collect();
        assert_eq!(read, [(1, Value::Other), (2, Value::Other), (3, Value::Number(7))]);
    }

    #[test]
    fn broken_messages_end_with_an_error_and_no_panic() {
        for message in [
            &[0x0a, 5, b'a'][..],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            &[0x0a],
            &[0x08],
            &[0x80; 11],
            &[0x00, 0x00],
            &[0x0b, 0x0c],
            &[0x0d, 1, 2, 3],
            &[0x09, 1],
            &[0x0f],
        ] {
            assert_eq!(fields(message).last(), Some(Err(Malformed)), "{message:?}");
            assert!(fields(message).count() < 3);
        }
        let good = Writer::default().text(1, "abc").number(2, 1 << 40).end();
        for length in 1..good.len() {
            let _ = fields(&good[..length]).count();
        }
    }

    #[test]
    fn many_entries_cost_no_memory() {
        let many = [0x0a, 0].repeat(100);
        assert_eq!(repeated(&many, 1, 100).unwrap().len(), 100);
        assert_eq!(repeated(&many, 1, 99), Err(Malformed));
        let mut labels = Labels::default();
        for number in 0..2 * LABELS {
            labels.push(Value::Bytes(&Writer::default().text(1, &number.to_string()).end()));
        }
        assert!(labels.is_odd && labels.sorted().len() == LABELS);
    }

    #[test]
    fn labels_are_sorted_and_those_that_are_no_text_are_left_out() {
        let mut labels = Labels::default();
        for (key, value) in
            [(&b"b"[..], &b"1"[..]), (b"a", b"2"), (b"b", b"3"), (b"\xff", b"4"), (b"c", b"\xc3")]
        {
            labels.push(Value::Bytes(&Writer::default().bytes(1, key).bytes(2, value).end()));
        }
        assert!(labels.is_odd);
        assert_eq!(labels.get("b"), Some("3"));
        let owned = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(labels.sorted(), [owned("a", "2"), owned("b", "3")]);
    }
}
