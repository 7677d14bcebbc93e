//! Settings of the kernel, those that are asked for.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Labels, Page, Value},
    node::names::{family_name, number},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "sysctl",
    on_by_default: false,
    summary: "the settings of the kernel that are asked for",
    reads: "/proc/sys",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[
        Flag {
            name: INCLUDE,
            takes: Takes::Many { placeholder: "NAME[:KEY,...]", default: "" },
            help: "A setting of numbers, with a key for each of them if there are several",
        },
        Flag {
            name: INCLUDE_INFO,
            takes: Takes::Many { placeholder: "NAME", default: "" },
            help: "A setting of words",
        },
    ],
    families: &[&SETTING, &INFO],
    build: Sysctl::build,
};

const INCLUDE: &str = "collector.sysctl.include";
const INCLUDE_INFO: &str = "collector.sysctl.include-info";

static SETTING: Family =
    Family::untyped("node_sysctl_*", "The kernel's setting of this name, in its own unit.");
static INFO: Family =
    Family::gauge("node_sysctl_info", "1 for each word of the kernel's setting of this name.");

struct Sysctl {
    numbers: Vec<Numbers>,
    words: Vec<Words>,
}

/// A setting of numbers.
struct Numbers {
    file: KeptFile,
    name: String,
    /// The families of its numbers where they have keys.
    keyed: Vec<String>,
    /// By place.
    labels: Vec<Labels>,
    values: Vec<Value>,
}

/// A setting of words.
struct Words {
    file: KeptFile,
    name: String,
    /// The reference takes keys for words and then fails on them.
    has_keys: bool,
    text: Vec<u8>,
    labels: Vec<Labels>,
}

impl Sysctl {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file = |name: &str| {
            KeptFile::new(context.paths.procfs.join("sys").join(name.replace('.', "/")), Serves::Whole)
        };
        let given = |flag: &'static str| context.flags.many(flag).filter(|given| !given.is_empty());
        let numbers = given(INCLUDE).map(|given| {
            let (name, keys) = setting(INCLUDE, given)?;
            let prefix = family_name("node_sysctl_", name.as_bytes());
            let keyed = keys.iter().map(|key| family_name(&format!("{prefix}_"), key.as_bytes())).collect();
            Ok(Numbers { file: file(name), name: prefix, keyed, labels: Vec::new(), values: Vec::new() })
        });
        let words = given(INCLUDE_INFO).map(|given| {
            let (name, keys) = setting(INCLUDE_INFO, given)?;
            let (name, has_keys) = (name.to_owned(), !keys.is_empty());
            Ok(Words { file: file(&name), name, has_keys, text: Vec::new(), labels: Vec::new() })
        });
        Ok(Box::new(Self {
            numbers: numbers.collect::<Result<_, ConfigError>>()?,
            words: words.collect::<Result<_, ConfigError>>()?,
        }))
    }
}

/// `name:key,key` in its parts.
fn setting<'a>(flag: &str, given: &'a str) -> Result<(&'a str, Vec<&'a str>), ConfigError> {
    let refuse = |why| Err(ConfigError::flag(flag, given, why));
    let (name, keys) = match given.split_once(':') {
        None => (given, Vec::new()),
        Some((_, keys)) if keys.contains(':') => return refuse("more than one colon"),
        Some((name, keys)) => (name, keys.split(',').collect()),
    };
    if name.is_empty() || keys.contains(&"") {
        return refuse("an empty name");
    }
    Ok((name, keys))
}

impl Numbers {
    /// Reads the numbers anew.
    fn refresh(&mut self) -> Result<(), Failure> {
        let Self { file, keyed, labels, values, .. } = self;
        values.clear();
        let text = file.read()?;
        let mut take = || words(text).try_for_each(|field| signed(field).map(|value| values.push(value)));
        let taken = take();
        taken.ok_or_else(|| Failure::unreadable(file.path(), "whole numbers"))?;
        if values.is_empty() || (!keyed.is_empty() && keyed.len() != values.len()) {
            return Err(Failure::unreadable(file.path(), "as many numbers as keys, and at least one"));
        }
        for place in labels.len()..values.len() {
            labels.push(Labels::new([("index", place.to_string())]));
        }
        Ok(())
    }

    fn write(&self, page: &mut Page) {
        match (&self.values[..], &self.keyed[..]) {
            ([value], []) => page.named(&SETTING, &self.name).plain(*value),
            (values, []) => {
                let mut samples = page.named(&SETTING, &self.name);
                for (labels, value) in self.labels.iter().zip(values) {
                    samples.sample(labels, *value);
                }
            }
            (values, keyed) => {
                for (name, value) in keyed.iter().zip(values) {
                    page.named(&SETTING, name).plain(*value);
                }
            }
        }
    }
}

impl Words {
    fn refresh(&mut self) -> Result<(), Failure> {
        let text = self.file.read()?;
        if self.has_keys {
            return Err(Failure::unreadable(self.file.path(), "no keys, since words have none"));
        }
        if text == self.text && !self.labels.is_empty() {
            return Ok(());
        }
        self.text = text.to_vec();
        let labels = |(place, word): (usize, &[u8])| {
            let place = place.to_string();
            Labels::new([("index", place.as_bytes()), ("name", self.name.as_bytes()), ("value", word)])
        };
        self.labels = words(&self.text).enumerate().map(labels).collect();
        if self.labels.is_empty() {
            return Err(Failure::unreadable(self.file.path(), "words"));
        }
        Ok(())
    }
}

impl Collector for Sysctl {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        for numbers in &mut self.numbers {
            numbers.refresh()?;
            numbers.write(page);
        }
        let mut samples = page.family(&INFO);
        for words in &mut self.words {
            words.refresh()?;
            words.labels.iter().for_each(|labels| samples.sample(labels, 1_u64));
        }
        Ok(())
    }
}

/// The kernel parts some settings by line breaks.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A whole number, perhaps negative.
fn signed(field: &[u8]) -> Option<Value> {
    text::whole(field.strip_prefix(b"-").unwrap_or(field))?;
    number(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(keyed: &[&str], text: &[u8]) -> Result<String, String> {
        let path = std::env::temp_dir().join(format!("nodetally-sysctl-{}", std::process::id()));
        std::fs::write(&path, text).expect("writes");
        let mut numbers = Numbers {
            file: KeptFile::new(&path, Serves::Whole),
            name: "node_sysctl_a_b".to_owned(),
            keyed: keyed.iter().map(|key| format!("node_sysctl_a_b_{key}")).collect(),
            labels: Vec::new(),
            values: Vec::new(),
        };
        let mut page = Page::default();
        let outcome = numbers.refresh().map_err(|failure| failure.to_string());
        std::fs::remove_file(&path).expect("removes");
        outcome?;
        numbers.write(&mut page);
        let text = str::from_utf8(page.text()).expect("a page is UTF-8");
        let samples = text.lines().filter_map(|line| line.strip_prefix("node_sysctl_a_b"));
        Ok(samples.collect::<Vec<_>>().join(";"))
    }

    #[test]
    fn numbers_are_given_by_place_or_key() {
        assert_eq!(numbers(&[], b"7\n").as_deref(), Ok(" 7"));
        assert_eq!(
            numbers(&[], b"-1\t18446744073709551615\n").as_deref(),
            Ok("{index=\"0\"} -1;{index=\"1\"} 1.8446744073709552e+19")
        );
        assert_eq!(numbers(&["x", "y"], b"1 2\n").as_deref(), Ok("_x 1;_y 2"));
        for (keyed, bad) in [
            (&[][..], &b""[..]),
            (&[], b"\n"),
            (&[], b"x"),
            (&[], b"1 \xff"),
            (&[], b"1.5"),
            (&[], b"18446744073709551616"),
            (&["x"], b"1 2"),
            (&["x", "y"], b"1"),
        ] {
            let failure = numbers(keyed, bad).expect_err("makes no sense");
            assert!(failure.contains("expected"), "{failure}");
        }
    }

    #[test]
    fn a_setting_has_a_name_and_perhaps_keys() {
        let parts = |given| setting(INCLUDE, given).map_err(|error| error.to_string());
        assert_eq!(parts("fs.file-nr"), Ok(("fs.file-nr", vec![])));
        assert_eq!(parts("fs.file-nr:a,b"), Ok(("fs.file-nr", vec!["a", "b"])));
        for bad in ["", ":a", "x:", "x:a,,b", "x:a:b"] {
            let error = parts(bad).expect_err(bad);
            assert!(error.starts_with("--collector.sysctl.include: "), "{error}");
        }
    }
}
