//! The families of all files, put together and written out.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
};

use super::parse::{FileFamily, Metric, Pairs, Type};
use crate::metric::{Labels, Value};

/// Families by name.
#[derive(Default)]
pub struct Merged(BTreeMap<String, One>);

/// One family so far.
struct One {
    help: Option<String>,
    kind: Type,
    files: Vec<String>,
    metrics: Vec<Metric>,
    /// The labels that are there already: the first of two alike is kept.
    seen: HashSet<Pairs>,
}

/// How much of a family was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    All,
    /// All but this many series, whose labels are there already.
    But(usize),
    /// Nothing: an earlier file has another help text for it.
    OtherHelp,
    /// Nothing: an earlier file has another type for it.
    OtherType,
}

impl Merged {
    /// Adds a file's family.
    pub fn add(&mut self, family: FileFamily, path: &Path) -> Added {
        let kind = family.kind.unwrap_or(Type::Untyped);
        let one = self.0.entry(family.name).or_insert_with(|| One {
            help: None,
            kind,
            files: Vec::new(),
            metrics: Vec::new(),
            seen: HashSet::new(),
        });
        if let (Some(have), Some(new)) = (&one.help, &family.help)
            && have != new
        {
            return Added::OtherHelp;
        }
        if one.kind != kind {
            return Added::OtherType;
        }
        if one.help.is_none() {
            one.help = family.help;
        }
        one.files.push(path.display().to_string());
        let names: BTreeSet<String> =
            family.metrics.iter().flat_map(|metric| metric.labels.keys().cloned()).collect();
        let mut repeated = 0;
        for mut metric in family.metrics {
            for name in &names {
                metric.labels.entry(name.clone()).or_default();
            }
            // To Prometheus an empty label is none.
            let key = metric.labels.iter().filter(|(_, value)| !value.is_empty());
            if one.seen.insert(key.map(|(name, value)| (name.clone(), value.clone())).collect()) {
                one.metrics.push(metric);
            } else {
                repeated += 1;
            }
        }
        if repeated == 0 { Added::All } else { Added::But(repeated) }
    }

    /// Leaves out the families whose name is that of another one's sums, counts or buckets, and names them.
    pub fn remove_clashes(&mut self) -> BTreeSet<String> {
        let is_part = |name: &str| {
            let owner =
                |suffix: &str| Some((self.0.get(name.strip_suffix(suffix)?)?.kind, suffix == "_bucket"));
            ["_sum", "_count", "_bucket"].into_iter().filter_map(owner).any(|owner| match owner {
                (Type::Summary, is_bucket) => !is_bucket,
                (kind, _) => kind == Type::Histogram,
            })
        };
        let clashes: BTreeSet<String> = self.0.keys().filter(|name| is_part(name)).cloned().collect();
        self.0.retain(|name, _| !clashes.contains(name));
        clashes
    }

    /// Each family's text, from its HELP line on.
    pub fn sections(&self) -> Vec<Vec<u8>> {
        self.0.iter().map(|(name, one)| one.section(name)).collect()
    }
}

impl One {
    fn section(&self, name: &str) -> Vec<u8> {
        let read_from = || format!("Metric read from {}", self.files.join(", "));
        let help = self.help.clone().unwrap_or_else(read_from).replace('\\', "\\\\").replace('\n', "\\n");
        let mut text = format!("# HELP {name} {help}\n# TYPE {name} {}\n", self.kind.word()).into_bytes();
        for metric in &self.metrics {
            let labels = Labels::new(metric.labels.iter().map(|(name, value)| (name.as_str(), value)));
            let mut add = |suffix: &str, bound: Option<(&str, f64)>, value: f64| {
                line(&mut text, name, suffix, &labels, bound, value);
            };
            match self.kind {
                Type::Summary => {
                    for (bound, value) in sorted(&metric.parts) {
                        add("", Some(("quantile", bound)), value);
                    }
                }
                Type::Histogram => {
                    let mut parts = sorted(&metric.parts);
                    if !parts.last().is_some_and(|(bound, _)| bound.is_infinite() && *bound > 0.0) {
                        parts.push((f64::INFINITY, metric.count));
                    }
                    for (bound, value) in parts {
                        add("_bucket", Some(("le", bound)), whole(value));
                    }
                }
                _ => {
                    add("", None, metric.value);
                    continue;
                }
            }
            add("_sum", None, metric.sum);
            add("_count", None, whole(metric.count));
        }
        text
    }
}

/// By their bounds; the last of two alike counts.
fn sorted(parts: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut parts: Vec<_> = parts.iter().rev().copied().collect();
    parts.sort_by(|one, other| one.0.total_cmp(&other.0));
    parts.dedup_by(|one, other| one.0.total_cmp(&other.0).is_eq());
    parts
}

/// A count is a whole number of at least 0.
fn whole(value: f64) -> f64 {
    value.trunc().max(0.0)
}

fn line(
    text: &mut Vec<u8>,
    name: &str,
    suffix: &str,
    labels: &Labels,
    bound: Option<(&str, f64)>,
    value: f64,
) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(suffix.as_bytes());
    if !labels.is_empty() || bound.is_some() {
        text.push(b'{');
        text.extend_from_slice(labels.text());
        if let Some((name, bound)) = bound {
            if !labels.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b"=\"");
            Value::Float(bound).write(text);
            text.push(b'"');
        }
        text.push(b'}');
    }
    text.push(b' ');
    Value::Float(value).write(text);
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::services::textfile::parse::parse;

    fn merge(files: &[&str]) -> (String, Added) {
        let mut merged = Merged::default();
        let mut worst = Added::All;
        for (index, file) in files.iter().enumerate() {
            for family in parse(file.as_bytes()).expect("parses") {
                match merged.add(family, Path::new(&format!("f{index}"))) {
                    Added::All => {}
                    other => worst = other,
                }
            }
        }
        merged.remove_clashes();
        (String::from_utf8(merged.sections().concat()).expect("is UTF-8"), worst)
    }

    #[test]
    fn families_of_several_files_are_one() {
        assert_eq!(
            merge(&["x{a=\"1\"} 1\nx{b=\"2\"} 2\n", "x{a=\"1\",b=\"\"} 7\nx 3\n"]),
            (
                "# HELP x Metric read from f0, f1\n# TYPE x untyped\nx{a=\"1\",b=\"\"} 1\nx{a=\"\",b=\"2\"} 2\nx{a=\"\",b=\"\"} 3\n"
                    .to_owned(),
                Added::But(1)
            )
        );
    }

    #[test]
    fn what_clashes_is_left_out() {
        let (text, added) =
            merge(&["# HELP x One.\nx 1\n", "# HELP x Two.\nx{a=\"1\"} 2\n", "x{a=\"2\"} 3\n"]);
        assert_eq!(text, "# HELP x One.\n# TYPE x untyped\nx 1\nx{a=\"2\"} 3\n");
        assert_eq!(added, Added::OtherHelp);
        let (text, added) = merge(&["# TYPE x gauge\nx 1\n", "# TYPE x counter\nx{a=\"1\"} 2\n"]);
        assert_eq!(text, "# HELP x Metric read from f0\n# TYPE x gauge\nx 1\n");
        assert_eq!(added, Added::OtherType);
    }

    #[test]
    fn the_parts_of_a_summary_are_no_family_of_their_own() {
        let summary = "# HELP s S.\n# TYPE s summary\ns_sum 1\ns_count 2\n";
        let alone = merge(&[summary]);
        assert_eq!(merge(&[summary, "s_count 3\ns_sum{a=\"1\"} 4\n"]), alone);
        assert_eq!(merge(&["s_count 3\n", summary]), alone);
        assert!(merge(&[summary, "s_bucket 5\n"]).0.ends_with("s_bucket 5\n"));
    }

    #[test]
    fn a_histogram_has_a_last_bucket_and_a_summary_sum_and_count() {
        let (text, _) =
            merge(&["# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"0.5\"} 1\nh_count 3\n"]);
        assert!(text.ends_with(
            "h_bucket{le=\"0.5\"} 1\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 0\nh_count 3\n"
        ));
        let (text, _) = merge(&["# HELP s a\\\\b\\nc\n# TYPE s summary\ns{q=\"1\",quantile=\"0.5\"} 4\n"]);
        assert_eq!(
            text,
            "# HELP s a\\\\b\\nc\n# TYPE s summary\ns{q=\"1\",quantile=\"0.5\"} 4\ns_sum{q=\"1\"} 0\ns_count{q=\"1\"} 0\n"
        );
    }
}
