//! The text format as a file brings it. As strict as the reference: one bad line and the whole file is refused.

use std::collections::{BTreeMap, HashMap};

/// What the TYPE line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Counter,
    Gauge,
    Untyped,
    Summary,
    Histogram,
}

impl Type {
    /// The TYPE line's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Untyped => "untyped",
            Self::Summary => "summary",
            Self::Histogram => "histogram",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Counter, Self::Gauge, Self::Untyped, Self::Summary, Self::Histogram]
            .into_iter()
            .find(|kind| kind.word().eq_ignore_ascii_case(word))
    }
}

/// Label names and values.
pub type Pairs = BTreeMap<String, String>;

/// One metric: a plain value, or the parts of a summary or histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metric {
    /// Its labels, `quantile` and `le` aside.
    pub labels: Pairs,
    /// The value of a counter, gauge or untyped one.
    pub value: f64,
    /// Quantiles or buckets, by their bounds.
    pub parts: Vec<(f64, f64)>,
    /// Of a summary or histogram.
    pub sum: f64,
    /// Of a summary or histogram.
    pub count: f64,
}

/// One family of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileFamily {
    pub name: String,
    pub help: Option<String>,
    pub kind: Option<Type>,
    pub metrics: Vec<Metric>,
}

/// What the name of a sample says beyond its family's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Plain,
    Sum,
    Count,
    Bucket,
}

#[derive(Default)]
struct Parser {
    families: Vec<FileFamily>,
    by_name: HashMap<String, usize>,
    /// Where in its family the metric with these labels is; of summaries and histograms only.
    by_labels: HashMap<(usize, Pairs), usize>,
}

/// The families that have samples, in the order of their first mention.
///
/// # Errors
/// The line's number and what is wrong with it.
pub fn parse(text: &[u8]) -> Result<Vec<FileFamily>, String> {
    let text = str::from_utf8(text).map_err(|_| "is not UTF-8".to_owned())?;
    let mut parser = Parser::default();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let outcome = line.strip_suffix('\n').map_or_else(
            || if line.trim_matches(BLANKS).is_empty() { Ok(()) } else { Err("has no end of line") },
            |line| parser.line(line),
        );
        outcome.map_err(|why| format!("line {}: {why}", index + 1))?;
    }
    parser.families.retain(|family| !family.metrics.is_empty());
    Ok(parser.families)
}

const BLANKS: [char; 2] = [' ', '\t'];

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        let line = line.trim_start_matches(BLANKS);
        match line.strip_prefix('#') {
            Some(comment) => self.comment(comment.trim_start_matches(BLANKS)),
            None if line.is_empty() => Ok(()),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &str) -> Result<(), &'static str> {
        let (word, rest) = comment.split_once(BLANKS).unwrap_or((comment, ""));
        let rest = rest.trim_start_matches(BLANKS);
        if (word != "HELP" && word != "TYPE") || rest.is_empty() {
            return Ok(());
        }
        let (name, rest) = rest.split_once(BLANKS).unwrap_or((rest, ""));
        if !is_name(name, true) {
            return Err("HELP or TYPE of no valid name");
        }
        let rest = rest.trim_start_matches(BLANKS);
        let index = self.family(name);
        let Some(family) = self.families.get_mut(index) else { return Ok(()) };
        if word == "HELP" {
            if family.help.is_some() {
                return Err("a second HELP");
            }
            family.help = if rest.is_empty() { None } else { Some(unescape_help(rest)?) };
        } else if !rest.is_empty() {
            if family.kind.is_some() {
                return Err("a second TYPE, or one behind samples");
            }
            family.kind = Some(Type::of(rest).ok_or("a TYPE that is none")?);
        }
        Ok(())
    }

    fn family(&mut self, name: &str) -> usize {
        if let Some(&index) = self.by_name.get(name) {
            return index;
        }
        self.by_name.insert(name.to_owned(), self.families.len());
        self.families.push(FileFamily { name: name.to_owned(), help: None, kind: None, metrics: Vec::new() });
        self.families.len() - 1
    }

    /// The family of a sample's name; `x_sum` is of `x` if that is a summary or histogram.
    fn owner(&mut self, name: &str) -> (usize, Part) {
        if self.by_name.contains_key(name) {
            return (self.family(name), Part::Plain);
        }
        let suffixes = [("_sum", Part::Sum), ("_count", Part::Count), ("_bucket", Part::Bucket)];
        for (suffix, part) in suffixes {
            let Some(index) = name.strip_suffix(suffix).and_then(|base| self.by_name.get(base)) else {
                continue;
            };
            let kind = self.families.get(*index).and_then(|family| family.kind);
            if kind == Some(Type::Histogram) || (kind == Some(Type::Summary) && part != Part::Bucket) {
                return (*index, part);
            }
        }
        (self.family(name), Part::Plain)
    }

    fn sample(&mut self, line: &str) -> Result<(), &'static str> {
        let end = line.find(|c: char| !is_name_character(c)).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        if !is_name(name, true) {
            return Err("no valid name");
        }
        let (mut labels, rest) = labels(rest.trim_start_matches(BLANKS))?;
        let (value, behind) = rest.split_once(BLANKS).unwrap_or((rest, ""));
        let value = float(value).ok_or("no value")?;
        if !behind.trim_matches(BLANKS).is_empty() {
            return Err("a timestamp, which no file may bring");
        }
        let (index, part) = self.owner(name);
        let Some(family) = self.families.get_mut(index) else { return Ok(()) };
        let kind = *family.kind.get_or_insert(Type::Untyped);
        let bound_name = match kind {
            Type::Summary => "quantile",
            Type::Histogram => "le",
            _ => {
                family.metrics.push(Metric { labels, value, ..Metric::default() });
                return Ok(());
            }
        };
        let bound = labels.remove(bound_name).map(|text| float(&text).ok_or("a bound that is no number"));
        let bound = bound.transpose()?;
        let at = *self.by_labels.entry((index, labels.clone())).or_insert_with(|| {
            family.metrics.push(Metric { labels, ..Metric::default() });
            family.metrics.len() - 1
        });
        let Some(metric) = family.metrics.get_mut(at) else { return Ok(()) };
        match (part, bound) {
            (Part::Sum, _) => metric.sum = value,
            (Part::Count, _) => metric.count = value,
            (_, Some(bound)) if !bound.is_nan() => metric.parts.push((bound, value)),
            _ => {}
        }
        Ok(())
    }
}

/// The labels, if any, and what follows them and the blanks.
fn labels(text: &str) -> Result<(Pairs, &str), &'static str> {
    let mut pairs = Pairs::new();
    let Some(mut rest) = text.strip_prefix('{') else { return Ok((pairs, text)) };
    loop {
        rest = rest.trim_start_matches(BLANKS);
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((pairs, rest.trim_start_matches(BLANKS)));
        }
        let (name, after) = rest.split_once('=').ok_or("a label without a value")?;
        let name = name.trim_end_matches(BLANKS);
        if !is_name(name, false) || name == "__name__" {
            return Err("a label without a valid name");
        }
        let after =
            after.trim_start_matches(BLANKS).strip_prefix('"').ok_or("a label's value without quotes")?;
        let (value, after) = unescape_value(after)?;
        if pairs.insert(name.to_owned(), value).is_some() {
            return Err("a label twice");
        }
        rest = after.trim_start_matches(BLANKS);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("neither comma nor brace behind a label"),
        }
    }
}

/// The value up to its closing quote, and what follows that.
fn unescape_value(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Ok((value, text.get(place + 1..).unwrap_or_default())),
            '\\' => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('"' | '\\'))) => escaped,
                _ => return Err("an escape that is none"),
            }),
            other => value.push(other),
        }
    }
    Err("a label's value without end")
}

fn unescape_help(text: &str) -> Result<String, &'static str> {
    let mut help = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => help.push(match characters.next() {
                Some('n') => '\n',
                Some('\\') => '\\',
                _ => return Err("an escape that is none"),
            }),
            other => help.push(other),
        }
    }
    Ok(help)
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn is_name(name: &str, with_colon: bool) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| is_name_character(c) && (with_colon || c != ':'))
}

fn float(text: &str) -> Option<f64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> FileFamily {
        let families = parse(text.as_bytes()).expect("parses");
        assert_eq!(families.len(), 1, "{families:?}");
        families.into_iter().next().expect("is one")
    }

    #[test]
    fn samples_help_and_type_are_read() {
        let family = one(
            "# a comment\n# HELP x Two\\nlines \\\\ here.\n#TYPE x COUNTER\n\n  x{b = \"1\" , a=\"q\\\"\\\\\\n\",} 1e3\nx\t-Inf \n",
        );
        assert_eq!((family.name.as_str(), family.kind), ("x", Some(Type::Counter)));
        assert_eq!(family.help.as_deref(), Some("Two\nlines \\ here."));
        assert_eq!(family.metrics[0].labels["a"], "q\"\\\n");
        assert_eq!(family.metrics.iter().map(|m| m.value).collect::<Vec<_>>(), [1000.0, f64::NEG_INFINITY]);
    }

    #[test]
    fn summaries_and_histograms_are_put_together() {
        let family =
            one("# TYPE s summary\ns{a=\"1\",quantile=\"0.5\"} 4\ns_sum{a=\"1\"} 9\ns_count{a=\"1\"} 2\n");
        assert_eq!(family.metrics.len(), 1);
        assert_eq!(family.metrics[0].parts, [(0.5, 4.0)]);
        assert_eq!((family.metrics[0].sum, family.metrics[0].count), (9.0, 2.0));
        let family =
            one("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_bucket{le=\"1\"} 1\nh_sum 1.5\nh_count 2\n");
        assert_eq!(family.metrics[0].parts, [(f64::INFINITY, 2.0), (1.0, 1.0)]);
        let families = parse(b"# TYPE g gauge\ng 1\ng_sum 2\n").expect("parses");
        assert_eq!(families.len(), 2, "a gauge has no parts");
    }

    #[test]
    fn what_has_no_samples_is_left_out() {
        for text in ["", "\n", "# HELP x\n", "# TYPE x gauge\n", "# HELP x y\n", "#\n", "# TYPE\n", "   "] {
            assert_eq!(parse(text.as_bytes()), Ok(Vec::new()), "{text:?}");
        }
        assert_eq!(one("# HELP x \nx 1\n").help, None);
    }

    #[test]
    fn one_bad_line_refuses_the_file() {
        for text in [
            "x 1",
            "x\n",
            "x one\n",
            "x 1 1441205977284\n",
            "x 1 soon\n",
            "1x 1\n",
            "x{a=\"1\" 1\n",
            "x{a=1} 1\n",
            "x{a=\"1} 1\n",
            "x{a=\"\\t\"} 1\n",
            "x{a=\"1\",a=\"2\"} 1\n",
            "x{a:b=\"1\"} 1\n",
            "x{__name__=\"y\"} 1\n",
            "x{a=\"1\"b=\"2\"} 1\n",
            "# TYPE x nothing\n",
            "# TYPE x gauge\n# TYPE x gauge\n",
            "x 1\n# TYPE x gauge\n",
            "# HELP x a\n# HELP x b\n",
            "# HELP x \\t\n",
            "# HELP 1x a\n",
            "# TYPE s summary\ns{quantile=\"half\"} 1\n",
            "x 1_000\n",
            "x 0x10\n",
            "x 1\r\n",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(parse(b"x{a=\"\xff\"} 1\n").is_err());
        assert_eq!(parse(b"x 1\ny\n").expect_err("is bad"), "line 2: no value");
    }
}
