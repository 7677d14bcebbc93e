//! The sources that the tables of figures name (docs/figures.md) are those that are read: where a table has none there is no
//! row, and without the files that it names the figure is another or none.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance_support;
mod container_support;

use std::{collections::BTreeMap, fs, path::PathBuf};

use conformance_support::trees::{self, ID, PATH};
use container_support::{settings, tree::Tree};
use exporter::{
    config::ContainerSettings,
    container::{GROUPS, Groups, Origin},
};
use tests::page::Page;

/// Families whose source on this tree is no file of its cgroups, or that the tree has nothing to give for.
const NOT_BY_FILES: &[&str] = &["spec", "life", "machine", "network", "socket", "oom"];

fn page(tree: &Tree) -> Page {
    tree.half(&ContainerSettings { groups: Groups::ALL, ..settings() }, None).page()
}

/// The values of a family's rows by their labels.
fn rows(page: &Page, family: &str) -> BTreeMap<BTreeMap<String, String>, String> {
    let of_it = page.matching(family, &[("id", PATH)]);
    of_it.map(|row| (row.labels.clone(), row.value.to_string())).collect()
}

/// The words of a source that are names of cgroups' files; `SIZE` stands for one of huge pages.
fn files(source: &str) -> Vec<String> {
    let words = source.split([' ', ',', ':', ';', '(', ')']).filter(|word| {
        let controllers =
            ["cpu.", "cpuacct.", "cpuset.", "memory.", "io.", "blkio.", "hugetlb.", "pids.", "cgroup."];
        controllers.iter().any(|begin| word.starts_with(begin))
    });
    words.map(|word| word.replace("SIZE", "2MB").replace("[.rsvd]", "")).collect()
}

fn remove(tree: &Tree, names: &[String]) -> usize {
    let hierarchies = tree.layout.hierarchies.iter().chain(tree.layout.beside.iter().map(|(_, one)| one));
    let folders: Vec<PathBuf> = hierarchies.map(|one| one.mount.join("docker").join(ID)).collect();
    let paths = folders.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    paths.filter(|path| fs::remove_file(path).is_ok()).count()
}

fn check(tree: fn() -> Tree, source: fn(&Origin) -> &'static str) {
    let whole = page(&tree());
    let mut amiss = Vec::new();
    let mut checked = 0;
    for group in GROUPS.iter().filter(|group| !NOT_BY_FILES.contains(&group.name)) {
        for origin in group.families {
            let (name, source) = (origin.family.name, source(origin));
            let before = rows(&whole, name);
            if source == "-" && !before.is_empty() {
                amiss.push(format!("{name}: has rows, and no source is told"));
            }
            let files = files(source);
            if before.is_empty() || files.is_empty() {
                continue;
            }
            let tree = tree();
            if remove(&tree, &files) == 0 {
                amiss.push(format!("{name}: the tree has none of {files:?}, and there are rows"));
            } else if rows(&page(&tree), name) == before {
                amiss.push(format!("{name}: the same without {files:?}"));
            }
            checked += 1;
        }
    }
    assert!(amiss.is_empty(), "{amiss:#?}");
    assert!(checked > 15, "{checked} families are too few");
}

#[test]
fn figures_of_version_1_are_of_the_files_that_are_told() {
    check(trees::v1, |origin| origin.v1);
}

#[test]
fn figures_of_version_2_are_of_the_files_that_are_told() {
    check(trees::v2, |origin| origin.v2);
}
