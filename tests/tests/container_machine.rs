//! `machine_*` beside the reference on this machine.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use tests::{cadvisor::Cadvisor, exporter::Exporter, live, page::Page, temp::TempDir};

/// Families that came after the release that stands beside.
const NEWER: [&str; 3] = ["machine_cpu_books", "machine_cpu_drawers", "machine_swap_bytes"];

type Row = (String, BTreeMap<String, String>, String);

fn rows(page: &Page) -> BTreeSet<Row> {
    let of_machine = |name: &str| name.starts_with("machine_") || name.starts_with("cadvisor_");
    let rows = page.samples.iter().filter(|row| of_machine(&row.name));
    rows.map(|row| (row.name.clone(), row.labels.clone(), row.value.to_string())).collect()
}

/// What tells the two programs apart, and nothing of the machine.
fn without_versions(rows: BTreeSet<Row>) -> BTreeSet<Row> {
    let mut rows: Vec<Row> = rows.into_iter().collect();
    for (name, labels, _) in &mut rows {
        if name == "cadvisor_version_info" {
            labels.retain(|label, _| ["kernelVersion", "osVersion"].contains(&label.as_str()));
        }
    }
    rows.into_iter().collect()
}

#[test]
fn both_see_the_same_machine() {
    if !live::root() {
        return;
    }
    let dir = TempDir::new("machine");
    let boot = dir.write("boot", "0123-boot\n");
    dir.write("machine", "fedcba\n");
    let at = |file: &str| dir.path().join(file).display().to_string();
    let flags = [
        format!("-machine_id_file={},{}", at("missing"), at("machine")),
        format!("--boot_id_file={}", boot.display()),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let Some(cadvisor) = Cadvisor::start(&dir.path().join("docker.sock"), &flags) else { return };
    let exporter = Exporter::start(&[&flags[..], &["--ebpf=off", "--docker="]].concat());
    let (theirs, ours) = (cadvisor.page(), exporter.page_of("/metrics?collect[]=container.machine"));
    for page in [&theirs, &ours] {
        let named = [("machine_id", "fedcba"), ("boot_id", "0123-boot")];
        assert!(page.value("machine_cpu_cores", &named).is_some());
        assert_eq!(page.value("machine_scrape_error", &[]), Some(0.0));
    }
    for (name, kind) in ours.types.iter().filter(|(name, _)| name.starts_with("machine_")) {
        assert_eq!(theirs.types.get(name).unwrap_or(kind), kind, "{name}");
    }
    let newer = |row: &Row| NEWER.contains(&row.0.as_str());
    let several_sockets = theirs.value("machine_cpu_sockets", &[]) != Some(1.0);
    // The reference takes cores of two sockets that have one number for one.
    let counted_apart = |row: &Row| several_sockets && row.0 == "machine_cpu_physical_cores";
    let (newer, same): (BTreeSet<Row>, BTreeSet<Row>) =
        without_versions(rows(&ours)).into_iter().filter(|row| !counted_apart(row)).partition(newer);
    let theirs: BTreeSet<Row> =
        without_versions(rows(&theirs)).into_iter().filter(|row| !counted_apart(row)).collect();
    assert_eq!(same, theirs);
    let names: Vec<&str> = newer.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, NEWER);
    let version = ours.samples.iter().find(|row| row.name == "cadvisor_version_info").unwrap();
    assert_eq!(version.labels["cadvisorRevision"], "nodetally");
}
