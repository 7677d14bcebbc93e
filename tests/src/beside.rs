//! One collector of ours beside the reference's, both asked for the same thing.

use std::{process::Command, time::Duration};

use crate::{
    exporter::{Exporter, binary},
    http::{self, free_address},
    page::Page,
    prometheus::program,
    running::{Running, until},
};

/// Our flags that leave one collector alone.
pub const OURS: [&str; 5] =
    ["--collector.disable-defaults", "--ebpf=off", "--no-container", "--docker=", "--scrape.share=0"];
/// Samples of these collectors in a fixed form. An empty label is none.
pub fn samples(page: &Page) -> Vec<String> {
    let own = page.samples.iter().filter(|sample| {
        ["node_systemd_", "node_logind_", "node_service_", "node_supervisord_"]
            .iter()
            .any(|prefix| sample.name.starts_with(prefix))
    });
    let mut lines: Vec<String> = own
        .map(|sample| {
            let kind = page.types.get(&sample.name);
            format!("{kind:?} {} {:?} {}", sample.name, sample.labels, sample.value)
        })
        .collect();
    lines.sort();
    lines
}

/// Both exporters' samples of one collector, in that environment.
pub fn both(
    environment: &(&str, String),
    flags: &[&str],
    collector: &str,
) -> Option<(Vec<String>, Vec<String>)> {
    let reference = program("prometheus-node-exporter")?;
    let mut all = vec!["--collector.disable-defaults".to_owned(), format!("--collector.{collector}")];
    all.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let address = free_address();
    let mut command = Command::new(reference);
    command.args(&all).arg(format!("--web.listen-address={address}")).env(environment.0, &environment.1);
    let reference = Running::start(&mut command);
    let up = until(Duration::from_secs(20), || http::get(address, "/").is_ok());
    assert!(up, "the reference did not start: {}", reference.said());
    let theirs = Page::parse(&http::get(address, "/metrics").unwrap().text());
    let mut command = Command::new(binary());
    command.args(OURS).args(&all[1..]).env(environment.0, &environment.1);
    let ours = Exporter::start_with(free_address(), &mut command).page();
    for page in [&theirs, &ours] {
        let success = page.value("node_scrape_collector_success", &[("collector", collector)]);
        assert_eq!(success, Some(1.0), "{}", reference.said());
    }
    Some((samples(&theirs), samples(&ours)))
}

/// Fails where the two differ, or where there is little to compare.
pub fn assert_same(both: (Vec<String>, Vec<String>), at_least: usize) {
    let (theirs, ours) = both;
    let only =
        |a: &[String], b: &[String]| a.iter().filter(|line| !b.contains(line)).cloned().collect::<Vec<_>>();
    assert_eq!(
        (only(&theirs, &ours), only(&ours, &theirs)),
        (Vec::new(), Vec::new()),
        "only there, only here"
    );
    assert!(ours.len() >= at_least, "{} samples are too few to mean much", ours.len());
    assert_eq!(ours.len(), theirs.len(), "none twice");
}
