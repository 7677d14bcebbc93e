//! The tables: which metric is asked for, with which labels.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use tests::page::Page;

/// Labels that Prometheus adds, its configuration, or another metric that a rule joins.
const NOT_OURS: &[&str] = &[
    "cluster",
    "instance",
    "job",
    "__name__",
    "node",
    "endpoint",
    "metrics_path",
    "dc",
    "from",
    "workload",
    "workload_type",
];

/// A row of the tables.
#[derive(Debug)]
pub struct Asked {
    pub name: String,
    /// In the selector or in a grouping: some series must have them.
    labels: BTreeSet<String>,
    /// Conditions as they stand in the selector: some series must fulfil each.
    matchers: Vec<String>,
}

impl Asked {
    /// Whether it is about pods, and not about containers of any kind.
    pub fn is_about_pods(&self) -> bool {
        ["container", "pod", "namespace"].iter().any(|label| self.labels.contains(*label))
    }
}

/// The folder of the tables; they are no part of this repository, and their lack is told.
pub fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("CONFORMANCE_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
        PathBuf::from,
    );
    let folder = root.join("dashboards");
    if !folder.is_dir() {
        eprintln!("LEFT OUT: needs the conformance data at {} (or $CONFORMANCE_DIR)", root.display());
    }
    folder.is_dir().then_some(folder)
}

/// The rows of a table that are about containers and the machine; names with a colon are those of recording rules.
pub fn asked(folder: &Path, table: &str) -> Vec<Asked> {
    let text = fs::read_to_string(folder.join(format!("{table}.tsv"))).unwrap();
    let rows = text.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, name, labels, matchers, grouping, _] = fields[..] else { panic!("{line}") };
        let is_wanted = name.starts_with("container_") || name.starts_with("machine_");
        (is_wanted && !name.contains(':')).then(|| row(name, [labels, grouping], matchers))
    });
    rows.collect()
}

fn row(name: &str, labels: [&str; 2], matchers: &str) -> Asked {
    let labels = labels.iter().flat_map(|list| list.split(','));
    let matchers: Vec<String> = matchers.split(' ').filter(|word| *word != "-").map(str::to_owned).collect();
    // What must be empty need not be there.
    let is_empty = |label: &str| matchers.contains(&format!("{label}=\"\""));
    let labels = labels.filter(|label| *label != "-" && !NOT_OURS.contains(label) && !is_empty(label));
    Asked { name: name.to_owned(), labels: labels.map(str::to_owned).collect(), matchers }
}

/// What a page lacks of it, a line each.
pub fn missing(asked: &Asked, page: &Page) -> Vec<String> {
    let name = &asked.name;
    let series: Vec<_> = page.matching(name, &[]).collect();
    if series.is_empty() {
        return vec![name.clone()];
    }
    let without = |label: &&String| !series.iter().any(|one| one.labels.contains_key(*label));
    let mut all: Vec<_> =
        asked.labels.iter().filter(without).map(|label| format!("{name}: no {label}")).collect();
    for matcher in asked.matchers.iter().filter(|matcher| !is_of_others(matcher)) {
        let fulfils = |labels: &std::collections::BTreeMap<String, String>| fulfils(labels, matcher);
        if !series.iter().any(|one| fulfils(&one.labels)) {
            all.push(format!("{name}: none has {matcher}"));
        }
    }
    all
}

fn is_of_others(matcher: &str) -> bool {
    matcher.split(['=', '!']).next().is_some_and(|label| NOT_OURS.contains(&label))
}

/// Whether labels fulfil a condition: `a=b`, `a!=b`, `a=~b`, `a!~b`, where an expression ends with `.*` or `.+` or is plain.
fn fulfils(labels: &std::collections::BTreeMap<String, String>, matcher: &str) -> bool {
    let at = matcher.find(['=', '!']).unwrap();
    let (label, condition) = matcher.split_at(at);
    let value = labels.get(label).map_or("", String::as_str);
    let operator = if condition.starts_with("!=") || condition[1..].starts_with('~') { 2 } else { 1 };
    let (operator, wanted) = condition.split_at(operator);
    let wanted = wanted.trim_matches('"');
    let expression = || match (wanted.strip_suffix(".+"), wanted.strip_suffix(".*")) {
        (Some(begin), _) => value.starts_with(begin) && value.len() > begin.len(),
        (_, Some(begin)) => value.starts_with(begin),
        _ => value == wanted,
    };
    match operator {
        "=" => value == wanted,
        "!=" => value != wanted,
        "=~" => expression(),
        "!~" => !expression(),
        other => panic!("{other}"),
    }
}
