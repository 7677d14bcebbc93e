//! What the reference is expected to write, and how ours is laid beside it.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test fails by panicking, and each test file uses a part"
)]

pub mod rules;
pub mod trees;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use tests::page::{Page, Sample};

use rules::{Rule, Rules};

/// The reference's data; it is not part of this repository, and its lack is told.
pub fn pack() -> Option<PathBuf> {
    let root = std::env::var_os("CONFORMANCE_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
        PathBuf::from,
    );
    let pack = root.join("cadvisor");
    if !pack.is_dir() {
        eprintln!("LEFT OUT: needs the conformance data at {} (or $CONFORMANCE_DIR)", root.display());
    }
    pack.is_dir().then_some(pack)
}

/// An expected page, with the one container's `id` as ours has it and without the label that the reference's test adds.
pub fn expected(file: &Path) -> Page {
    let mut page = Page::parse(&std::fs::read_to_string(file).unwrap());
    for sample in &mut page.samples {
        sample.labels.remove("zone_name");
        if let Some(id) = sample.labels.get_mut("id") {
            trees::PATH.clone_into(id);
        }
    }
    page
}

/// Our pages by the names of their trees.
pub type Pages = BTreeMap<&'static str, Page>;

/// Lays every expected row beside ours and gives what is amiss, a line each: rows that differ, rows that nobody expects,
/// and rules that are not needed.
pub fn compare(expected: &Page, ours: &Pages, rules: &Rules) -> Vec<String> {
    let mut amiss = Vec::new();
    let mut needed = BTreeSet::new();
    for sample in &expected.samples {
        amiss.extend(compare_row(expected, sample, ours, rules, &mut needed).err());
    }
    amiss.extend(unexpected(expected, ours, rules));
    let lists = [rules.left_out, rules.scaled, rules.rounded, rules.relabelled, rules.untimed];
    for rule in lists.into_iter().flatten() {
        if !needed.contains(rule.row) {
            amiss.push(format!("{}: the rule is not needed ({})", rule.row, rule.why));
        }
    }
    for (row, _) in rules.taken {
        if !expected.samples.iter().any(|sample| matches(row, sample)) {
            amiss.push(format!("{row}: no such row is expected"));
        }
    }
    amiss
}

fn compare_row<'a>(
    expected: &Page,
    sample: &Sample,
    ours: &Pages,
    rules: &Rules<'a>,
    needed: &mut BTreeSet<&'a str>,
) -> Result<(), String> {
    let said = format!("{} {:?} {}", sample.name, sample.labels, sample.value);
    let rule = |list: &'a [Rule<'a>]| list.iter().find(|rule| matches(rule.row, sample));
    if let Some(left_out) = rule(rules.left_out) {
        // The rule is needed unless some tree gives the row as it is expected.
        if !ours.values().any(|page| find(page, sample).is_some_and(|row| is_equal(row.value, sample.value)))
        {
            needed.insert(left_out.row);
        }
        return Ok(());
    }
    let taken = rules.taken.iter().find(|(row, _)| matches(row, sample));
    let (_, tree) = taken.ok_or_else(|| format!("{said}: no tree is named for it"))?;
    let page = &ours[tree];
    let kind = (expected.types.get(&sample.name), page.types.get(&sample.name));
    if kind.0 != kind.1 {
        return Err(format!("{said}: type {:?}, ours in {tree}: {:?}", kind.0, kind.1));
    }
    let mut wanted = sample.clone();
    if let Some(relabelled) = rule(rules.relabelled) {
        for (label, value) in &mut wanted.labels {
            if label == relabelled.label && *value == relabelled.theirs {
                relabelled.ours.clone_into(value);
                needed.insert(relabelled.row);
            }
        }
    }
    let found = find(page, &wanted).ok_or_else(|| format!("{said}: not in {tree}"))?;
    if let Some(scaled) = rule(rules.scaled).filter(|_| !is_equal(found.value, wanted.value)) {
        wanted.value *= scaled.number;
        needed.insert(scaled.row);
    }
    if let Some(rounded) = rule(rules.rounded).filter(|_| !is_equal(found.value, wanted.value)) {
        wanted.value = (wanted.value / rounded.number).round() * rounded.number;
        needed.insert(rounded.row);
    }
    if !is_equal(found.value, wanted.value) {
        return Err(format!("{said}: {} in {tree}", found.value));
    }
    let timed = (sample.timestamp.is_some(), found.timestamp.is_some());
    if let Some(untimed) = rule(rules.untimed).filter(|_| timed == (true, false)) {
        needed.insert(untimed.row);
    } else if timed.0 != timed.1 {
        return Err(format!("{said}: bears a time there: {}, here: {}", timed.0, timed.1));
    }
    Ok(())
}

/// Rows of ours, in families that are compared, that the reference would not write.
fn unexpected(expected: &Page, ours: &Pages, rules: &Rules) -> Vec<String> {
    let whole = rules.taken.iter().filter(|(row, _)| !row.contains('{'));
    let rows = whole.flat_map(|(family, tree)| {
        let of_it = |row: &&Sample| row.labels.get("id").is_none_or(|id| id == trees::PATH);
        ours[tree].samples.iter().filter(|row| row.name == *family).filter(of_it)
    });
    let is_expected = |row: &Sample| {
        expected.samples.iter().filter(|sample| sample.name == row.name).any(|sample| {
            let relabel = rules.relabelled.iter().filter(|rule| matches(rule.row, sample));
            let mut labels = sample.labels.clone();
            for rule in relabel {
                if labels.get(rule.label).is_some_and(|value| value == rule.theirs) {
                    labels.insert(rule.label.to_owned(), rule.ours.to_owned());
                }
            }
            labels == row.labels
        })
    };
    let is_excused = |row: &Sample| rules.more.iter().any(|rule| matches(rule.row, row));
    rows.filter(|row| !is_expected(row) && !is_excused(row))
        .map(|row| format!("{} {:?}: nobody expects it", row.name, row.labels))
        .collect()
}

fn find<'a>(page: &'a Page, wanted: &Sample) -> Option<&'a Sample> {
    page.samples.iter().find(|row| row.name == wanted.name && row.labels == wanted.labels)
}

fn is_equal(one: f64, other: f64) -> bool {
    (one - other).abs() <= other.abs() * 1e-12
}

/// Whether a sample is one of `family`, of `beginning*` or of either with `{label=value,...}`.
fn matches(pattern: &str, sample: &Sample) -> bool {
    let (name, labels) = pattern.split_once('{').unwrap_or((pattern, ""));
    let mut labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
    let begins = |begin: &str| sample.name.starts_with(begin);
    let is_named = name.strip_suffix('*').map_or(name == sample.name, begins);
    is_named && labels.all(|(label, value)| sample.labels.get(label).is_some_and(|its| its == value))
}
