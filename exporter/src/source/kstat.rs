//! The kstat texts of ZFS below `/proc/spl/kstat`. (No crate that is kept up reads them.)

use super::text;

/// A row's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Of type 4.
    Unsigned(u64),
    /// Of type 3.
    Signed(i64),
}

/// Calls `row` with each row of a text of rows `name type data` that holds a whole number of 64 bits; `None` where
/// the heading is missing or such a row holds something else.
pub fn rows<'a>(kstat: &'a [u8], mut row: impl FnMut(&'a [u8], Number)) -> Option<()> {
    for line in below(kstat, [b"name", b"type", b"data"])? {
        let mut fields = text::fields(line);
        let (Some(name), Some(kind), Some(data)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        match kind {
            b"4" => row(name, Number::Unsigned(text::whole(data)?)),
            b"3" => row(name, Number::Signed(str::from_utf8(data).ok()?.parse().ok()?)),
            _ => {}
        }
    }
    Some(())
}

/// The name in the row `dataset_name`, which may hold blanks.
pub fn dataset(kstat: &[u8]) -> Option<&[u8]> {
    below(kstat, [b"name", b"type", b"data"])?.find_map(|line| {
        let rest = line.strip_prefix(b"dataset_name")?.trim_ascii_start();
        let end = rest.iter().position(u8::is_ascii_whitespace)?;
        Some(rest.get(end..)?.trim_ascii())
    })
}

/// Columns and values of a pool's `io`; `None` where there is no heading or a value is no number.
pub fn columns(kstat: &[u8]) -> Option<Vec<(&[u8], u64)>> {
    let mut lines = text::lines(kstat).skip_while(|line| text::fields(line).next() != Some(b"nread"));
    let (names, values) = (lines.next()?, lines.next()?);
    let values: Vec<u64> = text::fields(values).map(text::whole).collect::<Option<_>>()?;
    let names: Vec<&[u8]> = text::fields(names).collect();
    (names.len() <= values.len()).then(|| names.into_iter().zip(values).collect())
}

/// The lines below the heading that has these words.
fn below<'a>(kstat: &'a [u8], heading: [&'static [u8]; 3]) -> Option<impl Iterator<Item = &'a [u8]>> {
    let mut lines = text::lines(kstat);
    lines.find(|line| text::fields(line).eq(heading))?;
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(kstat: &[u8]) -> Option<Vec<(&[u8], Number)>> {
        let mut all = Vec::new();
        rows(kstat, |name, number| all.push((name, number)))?;
        Some(all)
    }

    const HEAD: &str = "7 1 0x01 21 5712 73163810083184 309946154984654\nname                type data\n";

    #[test]
    fn rows_of_whole_numbers_are_given() {
        let text =
            format!("{HEAD}hits   4    18446744073709551615\nfree   3    -5\nname_x 7  pool\nshort 4\n");
        assert_eq!(
            all(text.as_bytes()),
            Some(vec![(&b"hits"[..], Number::Unsigned(u64::MAX)), (b"free", Number::Signed(-5))])
        );
        assert_eq!(all(HEAD.as_bytes()), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_kstat_is_none() {
        let bad = ["", "hits 4 1\n", "name type\nhits 4 1\n"];
        for text in bad.map(str::to_owned).into_iter().chain(
            ["hits 4 x\n", "hits 4 -1\n", "hits 4 99999999999999999999\n", "hits 3 1.5\n"]
                .map(|row| format!("{HEAD}{row}")),
        ) {
            assert_eq!(all(text.as_bytes()), None, "{text}");
        }
        assert_eq!(all(&[HEAD.as_bytes(), b"hits 3 \xff\n"].concat()), None);
    }

    #[test]
    fn a_dataset_s_name_keeps_its_blanks() {
        let text = format!("{HEAD}dataset_name      7    pool3/dataset with  space\nwrites 4 1\n");
        assert_eq!(dataset(text.as_bytes()), Some(&b"pool3/dataset with  space"[..]));
        assert_eq!(dataset(HEAD.as_bytes()), None);
        assert_eq!(dataset(b"name type data\ndataset_name 7"), None);
    }

    #[test]
    fn columns_meet_their_values() {
        let text = b"12 3 0x00 1 80 7920 3958\nnread nwritten reads\n1884160  3206144  22\n";
        assert_eq!(
            columns(text),
            Some(vec![(&b"nread"[..], 1_884_160), (b"nwritten", 3_206_144), (b"reads", 22)])
        );
        for bad in [&b""[..], b"nread nwritten\n", b"nread nwritten\n1\n", b"nread\nx\n", b"nread\n\xff\n"] {
            assert_eq!(columns(bad), None, "{bad:?}");
        }
    }
}
