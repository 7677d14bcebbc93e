//! What dashboards, alerts and rules ask of `container_*` and `machine_*`: each name with its labels is seen in a real scrape
//! of real containers, and their queries give rows in a real Prometheus.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dashboards_support;

use std::{collections::BTreeSet, time::Duration};

use dashboards_support::{
    asked::{Asked, asked, folder, missing},
    queries::{CONTAINERS, KUBERNETES, Query, RULES},
    scene::{Engine, Pods},
};
use tests::{
    exporter::Exporter,
    prometheus::{Prometheus, check_metrics},
    running::until,
};

const PATIENCE: Duration = Duration::from_mins(1);
const INTERVAL: Duration = Duration::from_secs(1);

/// Tables of which standalone containers are asked, and those that are about Kubernetes.
const STANDALONE: &[&str] = &[
    "cadvisor-docker-insights",
    "dockprom-containers",
    "dockprom-host",
    "grafana-13946",
    "grafana-14282",
    "grafana-893",
];
const ABOUT_KUBERNETES: &[&str] =
    &["kubernetes-mixin-alerts", "kubernetes-mixin-dashboards", "kubernetes-mixin-rules"];
/// Half of its rules are about each.
const OF_BOTH: &[&str] = &["awesome-alerts-cadvisor"];

/// Waits until the page has all that the tables ask for, and gives what it lacks then.
fn lacks(exporter: &Exporter, tables: &[&str], only: impl Fn(&Asked) -> bool) -> BTreeSet<String> {
    let Some(folder) = folder() else { return BTreeSet::new() };
    let rows: Vec<Asked> = tables.iter().flat_map(|table| asked(&folder, table)).filter(only).collect();
    assert!(!rows.is_empty(), "{tables:?}: no rows");
    let look = || {
        let page = exporter.page();
        rows.iter().flat_map(|row| missing(row, &page)).collect::<BTreeSet<_>>()
    };
    until(PATIENCE, || look().is_empty());
    look()
}

/// Every query has rows, all of them numbers within its range.
fn ask(prometheus: &Prometheus, queries: &[Query]) {
    for query in queries {
        let mut rows = Vec::new();
        let answers = until(PATIENCE, || {
            rows = prometheus.query(query.text);
            !rows.is_empty() && rows.iter().all(|row| query.range.contains(&row.value))
        });
        assert!(answers, "{}: {rows:?}, expected values in {:?}", query.text, query.range);
        for label in query.by {
            let has =
                |row: &tests::prometheus::Series| row.labels.get(label).is_some_and(|value| value != "");
            assert!(rows.iter().any(has), "{}: no {label} in {rows:?}", query.text);
        }
    }
}

#[test]
fn dashboards_and_alerts_of_standalone_containers_have_rows() {
    let Some(engine) = Engine::start() else { return };
    let exporter = Exporter::start(&[&engine.flag(), "--containerd=", "--podman=", "--scrape.share=0"]);
    let Some(prometheus) = Prometheus::start(exporter.address, INTERVAL) else { return };
    let lacks_alone = lacks(&exporter, STANDALONE, |_| true);
    let lacks_alerts = lacks(&exporter, OF_BOTH, |row| !row.is_about_pods());
    assert_eq!((lacks_alone, lacks_alerts), (BTreeSet::new(), BTreeSet::new()));
    ask(&prometheus, CONTAINERS);
    a_container_that_went_is_missed(&engine, &prometheus);
}

/// Without times of its own each series ends with its container, so that alerts tell of it at once.
fn a_container_that_went_is_missed(engine: &Engine, prometheus: &Prometheus) {
    let rows = |query: &str| prometheus.query(query).len();
    assert_eq!(rows("absent(container_last_seen{name=\"web\"})"), 0);
    engine.docker.run(&["rm", "-f", "web"]);
    assert!(until(PATIENCE, || rows("absent(container_last_seen{name=\"web\"})") == 1), "it is still there");
    assert!(rows("time() - max_over_time(container_last_seen{name=\"web\"}[5m])") >= 1);
}

#[test]
fn dashboards_and_rules_of_kubernetes_have_rows() {
    let Some(pods) = Pods::start() else { return };
    let flags = pods.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let exporter = Exporter::start(&flags);
    let Some(prometheus) = Prometheus::start_with_rules(exporter.address, INTERVAL, RULES) else { return };
    let lacks_mixin = lacks(&exporter, ABOUT_KUBERNETES, |_| true);
    let lacks_alerts = lacks(&exporter, OF_BOTH, Asked::is_about_pods);
    assert_eq!((lacks_mixin, lacks_alerts), (BTreeSet::new(), BTreeSet::new()));
    ask(&prometheus, KUBERNETES);
}

#[test]
fn times_are_taken_over_by_prometheus() {
    let Some(engine) = Engine::start() else { return };
    let flag = engine.flag();
    let flags = [flag.as_str(), "--containerd=", "--podman=", "--scrape.share=0", "--container.timestamps"];
    let exporter = Exporter::start(&flags);
    let labels = [("name", "web")];
    let figure = "container_memory_usage_bytes";
    assert!(
        until(PATIENCE, || exporter.page().value(figure, &labels).is_some()),
        "{}",
        exporter.process.said()
    );
    if let Some(said) = check_metrics(&exporter.get("/metrics?collect[]=container").text()) {
        let wrong: Vec<_> = said.iter().filter(|line| line.contains("error")).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    let Some(prometheus) = Prometheus::start(exporter.address, INTERVAL) else { return };
    // A value that was read at a known moment stands there at that moment, to the millisecond.
    let page = exporter.page();
    let read = page.matching(figure, &labels).next().unwrap().timestamp.unwrap();
    let times = || {
        let all = prometheus.samples(&format!("{figure}{{name=\"web\"}}[1m]"));
        all.iter().map(|(time, _)| (time * 1e3).round()).collect::<Vec<_>>()
    };
    assert!(until(PATIENCE, || times().len() >= 3), "{:?}", times());
    let begun = prometheus.samples("scrape_duration_seconds[1m]");
    for time in times() {
        // Prometheus notes the scrape's begin; what bears its own time was read a little later.
        let follows = begun.iter().any(|(begin, took)| {
            let begin = begin * 1e3;
            (begin.floor()..=begin + took * 1e3 + 1_000.0).contains(&time)
        });
        assert!(follows, "{time} is of no scrape: {begun:?}");
        assert!(time >= read as f64 - 60_000.0);
    }
    let untimed = page.samples.iter().filter(|row| {
        row.name.starts_with("container_spec_")
            || row.name.starts_with("machine_")
            || row.name.starts_with("node_")
    });
    assert!(untimed.clone().count() > 10 && untimed.clone().all(|row| row.timestamp.is_none()));
    // No sample was refused for its time.
    let refused = exporter.page().samples.len();
    let added = until(PATIENCE, || {
        let page = prometheus.query("scrape_samples_post_metric_relabeling");
        page.iter().any(|row| row.value >= refused as f64 * 0.9)
    });
    assert!(added, "{:?}", prometheus.query("scrape_samples_post_metric_relabeling"));
}
