//! The documentation's tables are those of the code. `BLESS=1 cargo test -p tests --test docs` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use exporter::collector::Takes;
use exporter::config::{CADVISOR_FLAGS, CadvisorFlag, Here, Kind, exporter_flags};
use exporter::container::{GROUPS, On};
use exporter::node::COLLECTORS;

fn collectors() -> String {
    let mut table = "| collector | gives | from | kernel |\n| --- | --- | --- | --- |\n".to_owned();
    for collector in COLLECTORS {
        let off = if collector.on_by_default { "" } else { " (off)" };
        let (name, summary) = (collector.name, collector.summary);
        writeln!(table, "| `{name}`{off} | {summary} | {} | {} |", collector.reads, collector.since).unwrap();
    }
    table
}

fn groups() -> String {
    let mut table = "| group | gives | from |\n| --- | --- | --- |\n".to_owned();
    for group in GROUPS {
        let off = if group.on == On::ByDefault { "" } else { " (off)" };
        writeln!(table, "| `{}`{off} | {} | {} |", group.name, group.summary, group.reads).unwrap();
    }
    table
}

/// Every family of containers and the machine, with what it says and where that is from.
fn figures() -> String {
    let mut text = String::new();
    for group in GROUPS {
        let words: Vec<_> = group.words.iter().map(|word| format!("`{word}`")).collect();
        let when = match group.on {
            On::ByDefault => "",
            On::Unlisted => ", off by default",
            On::ByName => ", off unless named",
        };
        let called =
            if words.is_empty() { String::new() } else { format!(", in flags {}", words.join(", ")) };
        writeln!(
            text,
            "\n## {}\n\n{}{called}{when}. From {}.\n",
            group.name,
            capital(group.summary),
            group.reads
        )
        .unwrap();
        if group.families.is_empty() {
            continue;
        }
        writeln!(text, "| family | is | cgroup v1 | cgroup v2 |\n| --- | --- | --- | --- |").unwrap();
        for origin in group.families {
            let family = origin.family;
            let (name, kind) = (family.name, family.kind.word());
            writeln!(text, "| `{name}` ({kind}) | {} | {} | {} |", family.help, origin.v1, origin.v2)
                .unwrap();
        }
    }
    text + "\n"
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn flags() -> String {
    let mut table = "| flag | default | meaning |\n| --- | --- | --- |\n".to_owned();
    for flag in exporter_flags() {
        let (form, default) = match flag.takes {
            Takes::Switch { default } => (String::new(), if default { "on" } else { "off" }),
            Takes::Text { placeholder, default } => (format!("={placeholder}"), default),
            Takes::Many { placeholder, default } => (format!("={placeholder} ..."), default),
            Takes::Choice { of, default } => (format!("={}", of.join("\\|")), default),
        };
        let default =
            if default.is_empty() { String::new() } else { format!("`{}`", default.replace('|', "\\|")) };
        writeln!(table, "| `--{}{form}` | {default} | {} |", flag.name, flag.help).unwrap();
    }
    table
}

fn cadvisor_flags() -> String {
    let mut table = "| flag | default | meaning |\n| --- | --- | --- |\n".to_owned();
    for flag in CADVISOR_FLAGS {
        let Here::Means { placeholder, help } = flag.here else { continue };
        let form = if flag.kind == Kind::Switch { String::new() } else { format!("={placeholder}") };
        let default = if flag.default.is_empty() { String::new() } else { format!("`{}`", flag.default) };
        writeln!(table, "| `--{}{form}` | {default} | {help} |", flag.name).unwrap();
    }
    table
}

fn idle_flags() -> String {
    let why = |flag: &&CadvisorFlag| match flag.here {
        Here::Idle(why) => Some(why),
        Here::Means { .. } => None,
    };
    let idle: Vec<_> = CADVISOR_FLAGS.iter().filter(|flag| why(flag).is_some()).collect();
    let mut table = "| flags | why |\n| --- | --- |\n".to_owned();
    for alike in idle.chunk_by(|one, other| why(one) == why(other)) {
        let names: Vec<_> = alike.iter().map(|flag| format!("`{}`", flag.name)).collect();
        writeln!(table, "| {} | {} |", names.join(", "), why(&alike[0]).unwrap()).unwrap();
    }
    table
}

fn check(file: &str, mark: &str, table: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{file}: no {begin}"));
    let (have, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{file}: no {end}"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(have, table, "{file} is behind; type: BLESS=1 cargo test -p tests --test docs");
}

#[test]
fn the_tables_are_those_of_the_code() {
    check("README.md", "collectors", &collectors());
    check("README.md", "groups", &groups());
    check("docs/figures.md", "figures", &figures());
    check("docs/flags.md", "flags", &flags());
    check("docs/flags.md", "flags of cAdvisor", &cadvisor_flags());
    check("docs/flags.md", "flags without meaning", &idle_flags());
}

#[test]
fn no_two_collectors_share_a_name_or_a_family() {
    let mut names = BTreeSet::new();
    let mut families = BTreeSet::new();
    for collector in COLLECTORS {
        assert!(names.insert(collector.name), "{}", collector.name);
        for family in collector.families {
            // Those that two have in the reference, too.
            let is_counter = family.name.starts_with("node_network_") && family.name.ends_with("_total");
            let is_shared = family.name == "node_cpu_frequency_hertz" || is_counter;
            let is_first = families.insert(family.name) || is_shared;
            assert!(is_first, "{} declares {} as well", collector.name, family.name);
            assert!(!family.help.contains(['\\', '\n']), "{}: its help needs no escape", family.name);
            assert!(family.help.ends_with('.'), "{}: its help is a sentence", family.name);
        }
    }
}
