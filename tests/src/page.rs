//! The text format 0.0.4, read strictly: what a test says of a page it says of samples, not of substrings.

use std::collections::{BTreeMap, BTreeSet};

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Label names and values, unescaped.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
    /// The time that it bears, in milliseconds since 1970.
    pub timestamp: Option<i64>,
}

/// A parsed page.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// All samples in order.
    pub samples: Vec<Sample>,
    /// Family name to type word.
    pub types: BTreeMap<String, String>,
    /// Family name to help text.
    pub help: BTreeMap<String, String>,
}

impl Page {
    /// Parses and checks what any page must keep: well-formed lines, TYPE before its samples and once, families
    /// together, no series twice, a newline at the end.
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "a page ends with a newline");
        let mut page = Self::default();
        let mut seen = BTreeSet::new();
        let mut closed = BTreeSet::new();
        let mut family = String::new();
        for line in text.lines() {
            let next = if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("bad TYPE: {line}"));
                assert!(page.types.insert(name.into(), kind.into()).is_none(), "TYPE twice: {name}");
                name.to_owned()
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
                assert!(page.help.insert(name.into(), help.into()).is_none(), "HELP twice: {name}");
                name.to_owned()
            } else if line.is_empty() || line.starts_with('#') {
                continue;
            } else {
                let sample = parse_sample(line).unwrap_or_else(|| panic!("bad line: {line}"));
                assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "series twice: {line}");
                let name = page.family_of(&sample.name);
                page.samples.push(sample);
                name
            };
            if next != family {
                assert!(closed.insert(next.clone()), "family in two places: {next}");
                family = next;
            }
        }
        page
    }

    /// A histogram's or summary's sample belongs to the family its suffix is cut from.
    fn family_of(&self, name: &str) -> String {
        let bases = ["_bucket", "_sum", "_count"].iter().filter_map(|suffix| name.strip_suffix(suffix));
        let mut composed = bases.filter(|base| {
            self.types.get(*base).is_some_and(|kind| kind == "histogram" || kind == "summary")
        });
        composed.next().unwrap_or(name).to_owned()
    }

    /// The samples of this name that carry at least these labels.
    pub fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |s| {
            s.name == name && labels.iter().all(|(k, v)| s.labels.get(*k).is_some_and(|have| have == v))
        })
    }

    /// The value of the first such sample.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.matching(name, labels).next().map(|s| s.value)
    }

    /// The sum over all such samples; `None` when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.matching(name, labels).map(|s| s.value).reduce(|a, b| a + b)
    }

    /// The names of all samples.
    pub fn names(&self) -> BTreeSet<&str> {
        self.samples.iter().map(|s| s.name.as_str()).collect()
    }
}

fn parse_sample(line: &str) -> Option<Sample> {
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = unescape(after)?;
            if labels.insert(key.to_owned(), value).is_some() {
                return None;
            }
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let (value, timestamp) = match rest.strip_prefix(' ')?.split_once(' ') {
        Some((value, time)) => (value, Some(time.parse().ok()?)),
        None => (rest.strip_prefix(' ')?, None),
    };
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => number.parse().ok()?,
        _ => return None,
    };
    Some(Sample { name: name.to_owned(), labels, value, timestamp })
}

/// Reads up to the closing quote and gives the value and what follows the quote.
fn unescape(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                same @ ('\\' | '"') => same,
                _ => return None,
            }),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_labels_and_numbers_are_read() {
        let page = Page::parse(concat!(
            "# HELP a_total Words \\n more.\n# TYPE a_total counter\n",
            "a_total{x=\"1\",y=\"q\\\"\\\\\\n}\"} 1.5e+06\na_total{x=\"2\"} NaN\n# TYPE b gauge\nb -3\nb{} +Inf\nt 1 -5\n"
        ).replace("b{} +Inf\n", "").as_str());
        assert_eq!(page.value("a_total", &[("y", "q\"\\\n}")]), Some(1.5e6));
        assert_eq!(page.sum("b", &[]), Some(-3.0));
        assert_eq!(page.matching("a_total", &[]).count(), 2);
        assert_eq!(page.sum("c", &[]), None);
        let times: Vec<_> = page.samples.iter().map(|sample| sample.timestamp).collect();
        assert_eq!(times, [None, None, None, Some(-5)]);
    }

    #[test]
    fn broken_pages_fail() {
        let broken = [
            "a 1",
            "a 1\na 2\n",
            "a{x=\"1\"} 1\nb 1\na{x=\"2\"} 1\n",
            "a{x=1} 1\n",
            "a{x=\"1} 1\n",
            "a\n",
            "a inf\n",
            "a 1 x\n",
            "a 1 2 3\n",
            "# TYPE a gauge\n# TYPE a gauge\n",
        ];
        for text in broken {
            assert!(std::panic::catch_unwind(|| Page::parse(text)).is_err(), "{text}");
        }
    }
}
