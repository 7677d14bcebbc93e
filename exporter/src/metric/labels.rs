//! Label text, prepared once per series and copied at each scrape.

/// Labels as they stand between the braces, `device="sda",mode="idle"`; empty for a series without labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels {
    text: Vec<u8>,
    is_lossy: bool,
}

impl Labels {
    /// No labels.
    pub const EMPTY: Self = Self { text: Vec::new(), is_lossy: false };

    /// Labels in the order given, which is the order of their names where the reference sorts them. Names are
    /// taken as valid (see [`label_name`]); values may be any bytes.
    pub fn new<'a, V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (&'a str, V)>) -> Self {
        let mut labels = Self::default();
        for (name, value) in pairs {
            labels.push(name, value.as_ref());
        }
        labels
    }

    /// Appends one label; an empty value is written too (`device_error=""`).
    pub fn push(&mut self, name: &str, value: &[u8]) {
        if !self.text.is_empty() {
            self.text.push(b',');
        }
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"=\"");
        let start = self.text.len();
        escape_into(&mut self.text, value);
        self.is_lossy |=
            self.text.get(start..).is_some_and(|text| text.windows(3).any(|three| three == REPLACED));
        self.text.push(b'"');
    }

    /// The text between the braces.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether other values than these could have given the same text: it holds U+FFFD.
    pub fn is_lossy(&self) -> bool {
        self.is_lossy
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Makes a label name of any text: each character outside `[a-zA-Z0-9_]` becomes `_`.
pub fn label_name(prefix: &str, raw: &str) -> String {
    let mut name = String::with_capacity(prefix.len() + raw.len());
    name.push_str(prefix);
    name.extend(raw.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }));
    name
}

/// U+FFFD, which stands for what is not UTF-8.
const REPLACED: &[u8] = "\u{fffd}".as_bytes();

/// Escapes backslash, quote and newline; each run of bytes that is not UTF-8 becomes one U+FFFD.
fn escape_into(out: &mut Vec<u8>, value: &[u8]) {
    let mut after_invalid = false;
    for chunk in value.utf8_chunks() {
        if !chunk.valid().is_empty() {
            after_invalid = false;
        }
        for &byte in chunk.valid().as_bytes() {
            match byte {
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'"' => out.extend_from_slice(b"\\\""),
                b'\n' => out.extend_from_slice(b"\\n"),
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() && !after_invalid {
            out.extend_from_slice(REPLACED);
            after_invalid = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &[u8]) -> String {
        String::from_utf8(Labels::new([("l", value)]).text().to_vec()).expect("labels are UTF-8")
    }

    #[test]
    fn escapes_what_the_format_reserves() {
        assert_eq!(text(b"a\\b\"c\nd"), r#"l="a\\b\"c\nd""#);
        assert_eq!(text(b""), r#"l="""#);
        assert_eq!(text("grün".as_bytes()), r#"l="grün""#);
    }

    #[test]
    fn a_run_of_invalid_bytes_is_one_replacement_character() {
        assert_eq!(text(b"a\xff\xfe\xc3b\xff"), "l=\"a\u{fffd}b\u{fffd}\"");
    }

    #[test]
    fn what_may_be_another_value_s_text_too_says_so() {
        for (value, is_lossy) in
            [(&b"a\xff"[..], true), ("a\u{fffd}".as_bytes(), true), (b"a\xc3\xbf", false)]
        {
            assert_eq!(Labels::new([("l", value), ("m", b"x")]).is_lossy(), is_lossy, "{value:?}");
        }
    }

    #[test]
    fn labels_are_joined_in_the_order_given() {
        assert_eq!(Labels::new([("b", "1"), ("a", "2")]).text(), br#"b="1",a="2""#);
        assert!(Labels::EMPTY.is_empty());
    }

    #[test]
    fn foreign_characters_of_a_name_become_underscores() {
        assert_eq!(label_name("container_label_", "com.example/x-y"), "container_label_com_example_x_y");
    }
}
