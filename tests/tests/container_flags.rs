//! cAdvisor's command lines as people have them, and containers at an address of their own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use exporter::config::{self, Asked};
use tests::exporter::{Exporter, binary, refused};
use tests::http::{self, Connection};
use tests::page::Page;
use tests::prometheus::program;

/// A name that every page of containers has.
const CONTAINERS: &str = "machine_cpu_cores";
const NODE: &str = "node_time_seconds";

fn page(address: SocketAddr, target: &str) -> Page {
    let answer = http::get(address, target).unwrap();
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    Page::parse(&answer.text())
}

/// An exporter with this line of flags; `PORT` in it becomes a free one, where containers then are.
fn with_line(line: &str) -> (Exporter, SocketAddr) {
    let containers = http::free_address();
    let line = line.replace("PORT", &containers.port().to_string());
    let flags: Vec<&str> = line.split_whitespace().chain(["--ebpf=off"]).collect();
    (Exporter::start(&flags), containers)
}

/// The flags of cAdvisor's that the log says to change nothing.
fn idle(exporter: &Exporter) -> Vec<String> {
    assert!(exporter.process.says("listening", Duration::from_secs(5)));
    let said = exporter.process.said();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("change nothing")).collect();
    assert!(lines.len() <= 1, "one line at most:\n{said}");
    let words = lines.iter().flat_map(|line| line.split([' ', '"', '=']));
    words.filter_map(|word| word.strip_prefix("--")).map(str::to_owned).collect()
}

#[test]
fn command_lines_that_people_have() {
    for (line, expected) in [
        ("", &[][..]),
        // A compose file of a well-known stack.
        (
            "--docker_only=true --housekeeping_interval=30s --disable_metrics=disk,percpu \
             --store_container_labels=false -logtostderr -port=PORT",
            &["housekeeping_interval", "logtostderr"],
        ),
        // What cAdvisor's own image and chart start it with.
        ("-logtostderr --port=PORT", &["logtostderr"]),
        (
            "--housekeeping_interval=10s --max_housekeeping_interval=15s --event_storage_event_limit=default=0 \
             --event_storage_age_limit=default=0 --enable_metrics=app,cpu,disk,diskIO,memory,network,process \
             --docker_only --store_container_labels=false \
             --whitelisted_container_labels=io.kubernetes.container.name,io.kubernetes.pod.name --port PORT",
            &[
                "housekeeping_interval",
                "max_housekeeping_interval",
                "event_storage_age_limit",
                "event_storage_event_limit",
            ],
        ),
        (
            "-v=2 --alsologtostderr=false -stderrthreshold=WARNING --vmodule=manager=4 -skip_headers \
             -allow_dynamic_housekeeping=1 -storage_duration 1m0s --storage_driver influxdb \
             -storage_driver_host=db:8086 --global_housekeeping_interval=1m0s -containerd=/run/k3s/containerd.sock \
             -containerd-namespace=k8s.io --listen_ip=127.0.0.1 --port=PORT",
            &[
                "allow_dynamic_housekeeping",
                "global_housekeeping_interval",
                "storage_driver",
                "storage_driver_host",
                "storage_duration",
                "alsologtostderr",
                "skip_headers",
                "stderrthreshold",
                "v",
                "vmodule",
            ],
        ),
        ("--prometheus_endpoint=/x --docker= --docker_root=/data", &["prometheus_endpoint", "docker_root"]),
        ("--log.level=info --docker unix:///nowhere.sock -docker=unix:///nobody.sock", &[]),
    ] {
        let (exporter, containers) = with_line(line);
        assert_eq!(idle(&exporter), expected, "{line}");
        let own = if line.contains("PORT") { containers } else { exporter.address };
        assert!(page(own, "/metrics").value(CONTAINERS, &[]).is_some(), "{line}");
        assert_eq!(
            page(exporter.address, "/metrics").value(CONTAINERS, &[]).is_some(),
            own == exporter.address
        );
    }
}

#[test]
fn bad_values_end_it_with_one_line() {
    for (flags, word) in [
        (&["-housekeeping_interval=30"][..], "--housekeeping_interval"),
        (&["-port=web"], "--port"),
        (&["-port"], "--port"),
        (&["-docker_only=maybe"], "--docker_only"),
        (&["--disable_metrics=disk,cpus"], "cpus"),
        (&["--enable_metrics=everything"], "everything"),
        (&["--listen_ip=nowhere"], "--listen_ip"),
        (&["-port=1", "--no-container"], "--no-container"),
        (&["-housekeeping=30s"], "-housekeeping"),
        (&["--housekeeping=30s"], "--housekeeping"),
        (&["-web.telemetry-path=/x"], "-web.telemetry-path"),
        (&["-docker_only", "true"], "true"),
        (&["--container.label-exclude=("], "--container.label-exclude"),
        (&["--crio=tcp://x"], "--crio"),
    ] {
        let line = refused(flags);
        assert!(line.contains(word), "{flags:?}: {line}");
    }
}

#[test]
fn version_and_help_have_both_forms() {
    for flag in ["-version", "--version", "-version=true", "-help", "-h"] {
        let out = Command::new(binary()).arg(flag).output().unwrap();
        assert_eq!(out.status.code(), Some(0), "{flag}");
        assert!(out.stdout.starts_with(b"nodetally ") || out.stdout.starts_with(b"One agent"), "{flag}");
    }
    let help = Command::new(binary()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("--store_container_labels") && help.contains("--port <PORT>"), "{help}");
    assert!(!help.contains("housekeeping") && !help.contains("logtostderr"), "{help}");
    let (ours, _) = help.split_once("Collectors").unwrap();
    assert!(ours.lines().all(|line| line.chars().count() <= 100), "{ours}");
}

#[test]
fn each_address_serves_its_part_alone() {
    let (exporter, containers) = with_line("-listen_ip=127.0.0.1 -port=PORT");
    let (node, own) = (exporter.page(), page(containers, "/metrics"));
    let strange = |page: &Page, known: &[&str]| -> Vec<String> {
        let is_known = |name: &&str| known.iter().any(|prefix| name.starts_with(prefix));
        page.names().into_iter().filter(|name| !is_known(name)).map(str::to_owned).collect()
    };
    let expected = ["container_", "machine_", "cadvisor_version_info", "process_", "nodetally_"];
    assert_eq!(strange(&own, &expected), [""; 0]);
    assert_eq!(strange(&node, &["node_", "process_", "nodetally_", "promhttp_"]), [""; 0]);
    for prefix in ["container_", "machine_", "process_", "nodetally_"] {
        assert!(own.names().iter().any(|name| name.starts_with(prefix)), "{prefix}");
    }
    for name in [NODE, "node_exporter_build_info", "process_cpu_seconds_total", "nodetally_build_info"] {
        assert!(node.names().contains(name), "{name}");
    }
    assert!(!node.names().iter().any(|name| name.starts_with("nodetally_container_")));
}

#[test]
fn selections_and_foreign_queries_stay_within_the_part() {
    let (exporter, containers) = with_line("-port=PORT -url_base_prefix=/c -prometheus_endpoint=/m");
    let chosen = page(containers, "/c/m?collect[]=container.machine");
    assert!(chosen.value(CONTAINERS, &[]).is_some());
    assert!(!chosen.names().contains("container_last_seen"));
    for query in ["?type=docker&max_age=1s&count=1&recursive=true", "?type=name", "?exclude[]=cpu"] {
        let page = page(containers, &format!("/c/m{query}"));
        assert!(
            page.value(CONTAINERS, &[]).is_some() && page.names().contains("container_last_seen"),
            "{query}"
        );
    }
    for (address, target, status) in [
        (containers, "/c/m?collect[]=time", 400),
        (exporter.address, "/metrics?collect[]=container", 400),
        (containers, "/c/healthz", 200),
        (exporter.address, "/healthz", 200),
        (containers, "/c/", 200),
        (containers, "/metrics", 404),
        (exporter.address, "/c/m", 404),
    ] {
        assert_eq!(http::get(address, target).unwrap().status, status, "{target}");
    }
    assert_eq!(http::get(containers, "/c/healthz").unwrap().text(), "ok");
    let mut connection = Connection::open(containers).unwrap();
    let zipped = connection.request("GET", "/c/m", &[("Accept-Encoding", "gzip")]).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&zipped.body[..]).read_to_string(&mut text).unwrap();
    assert!(Page::parse(&text).value(CONTAINERS, &[]).is_some());
}

#[test]
fn a_scrape_is_not_shared_between_the_parts() {
    let (first, second) = (http::free_address(), http::free_address());
    let flags = [first, second].map(|address| format!("--container.listen-address={address}"));
    let exporter = Exporter::start(&["--ebpf=off", "--scrape.share=10s", &flags[0], &flags[1]]);
    // The last of each pair comes while the one before it could be shared.
    for _ in 0..3 {
        assert!(page(first, "/metrics").value(CONTAINERS, &[]).is_some());
        let node = exporter.page();
        assert!(node.value(CONTAINERS, &[]).is_none() && node.value(NODE, &[]).is_some());
        assert!(page(second, "/metrics").value(NODE, &[]).is_none());
    }
}

/// The flags that the reference prints: names, and the words for what they take; none for a switch.
fn flags_of_the_reference() -> Option<Vec<(String, Option<String>)>> {
    let out = Command::new(program("cadvisor")?).arg("--help").output().unwrap();
    let text = [out.stdout, out.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    let flags = text.lines().filter_map(|line| line.strip_prefix("  -")).map(|line| {
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        (words.next().unwrap().to_owned(), words.next().map(str::to_owned))
    });
    Some(flags.collect())
}

#[test]
fn every_flag_of_the_reference_is_taken() {
    let Some(flags) = flags_of_the_reference() else { return };
    assert!(flags.len() > 70, "{flags:?}");
    for (name, takes) in flags {
        let value = match (name.as_str(), takes.as_deref()) {
            ("vmodule", _) => "file=1",
            ("log_backtrace_at", _) => "file:1",
            (_, Some("duration")) => "1m30s",
            (_, Some("string" | "driver" | "metrics")) => "text",
            (_, Some(_)) => "1",
            (_, None) => "false",
        };
        let mut lines = vec![vec![format!("-{name}={value}")], vec![format!("--{name}={value}")]];
        lines.push(if takes.is_some() {
            vec![format!("-{name}"), value.into()]
        } else {
            vec![format!("-{name}")]
        });
        for line in lines {
            let parsed = config::parse(line.clone());
            let is_version = line == ["-version"];
            assert!(
                matches!(&parsed, Ok(Asked::Print(_))) == is_version && parsed.is_ok(),
                "{line:?}: {parsed:?}"
            );
        }
    }
}
