//! The textfile collector on the reference's own cases: every line as the reference has it, but the mtime's value. And
//! files whose families clash with the exporter's, or with each other's.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod node_support;

use std::fs;

use tests::exporter::Exporter;
use tests::temp::TempDir;

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

#[test]
fn what_clashes_is_left_out_and_told_once() {
    const FAULTS: (&str, [(&str, &str); 1]) =
        ("promhttp_metric_handler_errors_total", [("cause", "gathering")]);
    let folder = TempDir::new("clashes");
    folder.write(
        "a.prom",
        concat!(
            "# TYPE node_load1 counter\nnode_load1 -77\n",
            "node_scrape_collector_success{collector=\"textfile\"} -77\n",
            "node_textfile_scrape_error -77\nnode_uname_info -77\nnodetally_build_info -77\nprocess_open_fds -77\n",
            "# TYPE job_seconds summary\njob_seconds_sum 3\njob_seconds_count 2\n",
            "# TYPE kept gauge\nkept{a=\"1\"} 1\nkept{a=\"1\"} 2\nkept{a=\"2\"} 3\n",
            "# HELP told One.\ntold 1\n",
        ),
    );
    folder.write("b.prom", "job_seconds_count 9\n# TYPE kept counter\nkept{a=\"3\"} 9\nkept_too 4\n");
    let directory = format!("--collector.textfile.directory={}", folder.path().display());
    let exporter = Exporter::start(&["--ebpf=off", "--no-container", "--scrape.share=0s", &directory]);
    let mut page = exporter.page();
    let began = page.value(FAULTS.0, &FAULTS.1).unwrap();
    for _ in 0..3 {
        // (Parsing it has seen to it that nothing is there twice.)
        page = exporter.page();
    }
    assert!(page.value(FAULTS.0, &FAULTS.1).unwrap() > began, "it is counted");
    assert!(page.samples.iter().all(|sample| sample.value > -76.0 || sample.value < -78.0));
    for name in ["node_load1", "nodetally_build_info", "process_open_fds"] {
        assert!(page.value(name, &[]).unwrap() >= 0.0, "{name} is the exporter's own");
    }
    let success = page.value("node_scrape_collector_success", &[("collector", "textfile")]);
    assert_eq!((success, page.value("node_textfile_scrape_error", &[])), (Some(1.0), Some(0.0)));
    for (name, labels, value) in [
        ("job_seconds_count", &[][..], Some(2.0)),
        ("kept", &[("a", "1")], Some(1.0)),
        ("kept", &[("a", "2")], Some(3.0)),
        ("kept", &[("a", "3")], None),
        ("kept_too", &[], Some(4.0)),
    ] {
        assert_eq!(page.value(name, labels), value, "{name} {labels:?}");
    }

    // A help text that differs is the one clash that the collector tells of as its own.
    folder.write("c.prom", "# HELP told Another.\ntold{a=\"1\"} 2\n");
    for _ in 0..2 {
        assert_eq!(exporter.page().value("node_textfile_scrape_error", &[]), Some(1.0));
    }
    let said = exporter.process.said();
    for told in [
        "families that the page has already are left out",
        "a.prom: kept: 1 series are there already",
        "b.prom: kept has another type",
        "c.prom: told has another help text",
        "the name of one of the collector's own",
        "job_seconds_count is a part of another file's summary",
    ] {
        assert_eq!(said.matches(told).count(), 1, "{told}:\n{said}");
    }
}
