//! The textfile collector on the reference's own cases: every line as the reference has it, but the mtime's value.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod node_support;

use std::fs;

use node_support::{build, pack, paths, scrape};

/// All lines but the help texts of the collector's own families, which are in our words; mtimes are 1.
fn comparable(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# HELP node_textfile_"))
        .map(|line| match line.split_once("} ") {
            Some((series, _)) if line.starts_with("node_textfile_mtime_seconds{") => format!("{series}}} 1"),
            _ => line.to_owned(),
        })
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn every_case_is_the_reference_s() {
    let Some(pack) = pack() else { return };
    let cases = pack.join("fixtures/textfile");
    let root = cases.parent().unwrap().parent().unwrap().canonicalize().unwrap();
    let roots = paths("/proc".into(), "/sys".into(), "/", "/run/udev/data".into());
    let mut count = 0;
    for entry in fs::read_dir(&cases).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let Some(case) = name.strip_suffix(".out") else { continue };
        let folder = if case == "glob_extra_dimension" { "*_extra_dimension" } else { case };
        let flag = format!("--collector.textfile.directory={}/fixtures/textfile/{folder}", root.display());
        let mut collectors = build(&roots, &["textfile"], &[&flag]);
        let expected = fs::read_to_string(entry.path()).unwrap();
        for _ in 0..2 {
            let given = scrape(&mut collectors).replace(&format!("{}/", root.display()), "");
            assert_eq!(comparable(&given), comparable(&expected), "{case}");
        }
        count += 1;
    }
    assert!(count >= 15, "{count} cases are too few");
}
