//! Figures of containers that were made to do something of known size: against what was done, and beside the reference.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod figures_support;

use std::time::Duration;

use figures_support::{
    compare::{Differences, differences, lasting},
    is_unified,
    made::Made,
    ours, page,
    reviewed::judge,
    truth::Truth,
};
use tests::{cadvisor::Cadvisor, docker::Docker, exporter::Exporter, live, running::until};

#[test]
fn each_has_done_what_it_was_made_to_do() {
    let Some(docker) = Docker::start() else { return };
    at_rest(&docker);
}

#[test]
fn ours_lies_between_two_of_the_reference() {
    // What is reviewed was seen there; the reference of that age knows little of version 2.
    if !live::need("cgroup v1", !is_unified()) {
        return;
    }
    let Some(docker) = Docker::start() else { return };
    let (made, exporter) = at_rest(&docker);
    let Some(cadvisor) = Cadvisor::start(&docker.socket(), &["-disable_metrics="]) else { return };
    let mut ids = made.ids();
    ids.extend(["/", "/docker"]);
    cadvisor.page_with("container_memory_usage_bytes", &ids);
    cadvisor.page_read_from_now(&ids);
    let mut found: Option<Differences> = None;
    for _ in 0..3 {
        let before = cadvisor.page();
        let here = page(&exporter);
        let after = cadvisor.page_read_from_now(&ids);
        let now = differences(&before, &here, &after, &ids);
        found = Some(found.map_or_else(|| now.clone(), |found| lasting(found, now.clone())));
    }
    judge(&found.unwrap());
}

/// The containers when they have done it, which is looked at, and the exporter that has seen all of it.
fn at_rest(docker: &Docker) -> (Made, Exporter) {
    let mut made = Made::start(docker);
    let exporter = ours(docker);
    let named = until(Duration::from_secs(20), || {
        let page = page(&exporter);
        made.paths.iter().all(|(name, id)| {
            let row = page.value("container_memory_usage_bytes", &[("id", id), ("name", name)]);
            row.is_some()
        })
    });
    assert!(named, "not all have their names: {}", exporter.process.said());
    let before = page(&exporter);
    made.go(docker);
    let after = page(&exporter);
    Truth { made: &made, docker, exporter: &exporter, before: &before, after: &after }.holds();
    (made, exporter)
}
