//! The container half with the kernel half beside it, live.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod container_support;
mod kernel_support;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use container_support::{Half, near, settings};
use exporter::{
    config::{ContainerSettings, CpuSource},
    container::kernel::KernelSide,
    source::bpf::{Kernel, Request},
};
use kernel_support::{load, request, turn};
use tests::{cgroup::Cgroup, live::thrice, load as loads, running::until};

/// A half on a loaded kernel half, which must outlive it.
fn start(source: CpuSource) -> (Kernel, Half) {
    start_with(source, &request())
}

fn start_with(source: CpuSource, request: &Request) -> (Kernel, Half) {
    let mut kernel = load(request);
    let settings = ContainerSettings { cpu_source: source, ..settings() };
    let half = Half::with(&settings, KernelSide::of(&mut kernel));
    (kernel, half)
}

fn usage(half: &mut Half, path: &str) -> Option<f64> {
    half.page().value("container_cpu_usage_seconds_total", &[("id", path), ("cpu", "total")])
}

/// Burns about this much CPU time and ends.
fn burn(milliseconds: u32) -> Command {
    let mut shell = Command::new("timeout");
    shell.arg(format!("{}", f64::from(milliseconds) / 1e3)).args(["sh", "-c", "while :; do :; done"]);
    shell
}

#[test]
fn a_life_too_short_for_any_scrape_is_seen_after_its_end() {
    let Some(_turn) = turn() else { return };
    thrice(|| {
        let (_kernel, mut half) = start(CpuSource::Auto);
        let parent = Cgroup::new("short");
        assert!(half.comes("container_last_seen", &[("id", parent.path())]));
        let child = parent.child("life");
        let path = child.path().to_owned();
        child.start(&burn(300)).wait(Duration::from_secs(10)).unwrap();
        let kernel = child.cpu_usage().as_secs_f64();
        drop(child);
        let id = [("id", path.as_str())];
        assert!(half.comes("container_cpu_usage_seconds_total", &id), "the dead child's CPU time");
        assert!(kernel > 0.05, "burnt {kernel} s");
        near(usage(&mut half, &path).unwrap(), kernel, 0.01, 0.02);
        assert_eq!(half.page().value("container_last_seen", &id), None);
        near(usage(&mut half, parent.path()).unwrap(), kernel, 0.01, 0.02);
    });
}

#[test]
fn switches_and_time_by_cpu_are_the_tasks_own_and_stay_with_the_parent() {
    let Some(_turn) = turn() else { return };
    thrice(|| {
        let (_kernel, mut half) = start(CpuSource::Auto);
        let parent = Cgroup::new("switches");
        let id = [("id", parent.path())];
        assert!(half.comes("container_context_switches_total", &id));
        let child = parent.child("naps");
        // A hundred naps, then a spin that others interrupt.
        let mut naps = Command::new("sh");
        naps.args([
            "-c",
            "for i in 0 1 2 3 4 5 6 7 8 9; do for j in 0 1 2 3 4 5 6 7 8 9; do sleep 0.001; done; done",
        ]);
        assert!(child.start(&naps).wait(Duration::from_secs(20)).unwrap().success());
        child.start(&burn(300)).wait(Duration::from_secs(10)).unwrap();
        drop(child);
        let figures = |half: &mut Half| {
            let page = half.page();
            let kind = |kind| {
                page.value("container_context_switches_total", &[("id", parent.path()), ("kind", kind)])
                    .unwrap()
            };
            let by_cpu = page.matching("container_cpu_counted_seconds_total", &id).map(|row| row.value);
            (kind("voluntary"), kind("forced"), by_cpu.sum::<f64>())
        };
        let usage = usage(&mut half, parent.path()).unwrap();
        let (voluntary, forced, by_cpu) = figures(&mut half);
        assert!(
            (200.0..2_000.0).contains(&voluntary),
            "{voluntary} voluntary switches of 100 sleeps and as many waits"
        );
        assert!((1.0..10_000.0).contains(&forced), "{forced} forced switches");
        near(by_cpu, usage, 0.02, 0.02);
    });
}

#[test]
fn by_count_alone_the_figures_agree_with_the_file_and_never_fall() {
    let Some(_turn) = turn() else { return };
    thrice(|| {
        let (_kernel, mut half) = start(CpuSource::Ebpf);
        let parent = Cgroup::new("count");
        assert!(half.comes("container_cpu_usage_seconds_total", &[("id", parent.path())]));
        let source = [("figure", "container_cpu_usage"), ("source", "ebpf")];
        assert_eq!(half.page().value("nodetally_figure_source", &source), Some(1.0));

        let busy = parent.child("busy");
        let _spins = busy.start(&loads::cpu(100));
        let _sleeps = busy.start(&loads::cpu(10));
        let mut last = [0.0; 2];
        for round in 0..12 {
            let passing = parent.child(&format!("passing{round}"));
            passing.start(&burn(50)).wait(Duration::from_secs(10)).unwrap();
            drop(passing);
            std::thread::sleep(Duration::from_millis(150));
            for (group, last) in [&busy, &parent].into_iter().zip(&mut last) {
                let before = group.cpu_usage().as_secs_f64();
                let Some(shown) = usage(&mut half, group.path()) else { continue };
                let after = group.cpu_usage().as_secs_f64();
                assert!(shown >= *last, "{}: {shown} after {last}", group.path());
                if round > 1 {
                    assert!(shown > *last, "{}: stands still at {shown}", group.path());
                }
                let slack = (before * 0.01).max(0.02);
                assert!(
                    shown >= before - slack && shown <= after + slack,
                    "{}: {before} <= {shown} <= {after}",
                    group.path()
                );
                *last = shown;
            }
        }
        let page = half.page();
        assert_eq!(
            page.value("container_cpu_user_seconds_total", &[("id", busy.path())]),
            None,
            "no file is read"
        );
        assert_eq!(page.value("nodetally_figure_source", &source), Some(1.0), "still by count");
    });
}

#[test]
fn accuracy_is_published() {
    let Some(_turn) = turn() else { return };
    let (_kernel, mut half) = start(CpuSource::Auto);
    let group = Cgroup::new("accuracy");
    let _spins = group.start(&loads::cpu(80));
    assert!(half.comes("container_last_seen", &[("id", group.path())]));
    let compared = |half: &mut Half| {
        let page = half.page();
        ["cgroupfs", "ebpf"].map(|source| {
            page.value("nodetally_container_cpu_compared_seconds_total", &[("source", source)]).unwrap()
        })
    };
    let before = compared(&mut half);
    std::thread::sleep(Duration::from_secs(3));
    let after = compared(&mut half);
    let [kernel, ebpf] = [0, 1].map(|at| after[at] - before[at]);
    assert!(kernel > 0.3, "{kernel} s compared");
    near(ebpf, kernel, 0.03, 0.05);
}

#[test]
fn a_cgroup_s_own_traffic_is_counted_with_loopback() {
    let Some(_turn) = turn() else { return };
    let (_kernel, mut half) = start(CpuSource::Auto);
    let parent = Cgroup::new("sockets");
    let child = parent.child("sends");
    assert!(half.comes("container_socket_transmit_bytes_total", &[("id", child.path())]));
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = receiver.local_addr().unwrap().to_string();
    let begun = Instant::now();
    let mut sends = child.start(&loads::udp(&address, 1_000_000));
    std::thread::sleep(Duration::from_secs(1));
    sends.signal(tests::running::Signal::KILL);
    sends.wait(Duration::from_secs(5)).unwrap();
    let most = begun.elapsed().as_secs_f64() * 1_000_000.0 * 1.028;
    let sent = |half: &mut Half, path: &str| {
        half.page().value("container_socket_transmit_bytes_total", &[("id", path)]).unwrap()
    };
    let by_child = sent(&mut half, child.path());
    assert!(by_child > most * 0.5 && by_child <= most * 1.02, "{by_child} of at most {most} bytes");
    assert!((sent(&mut half, parent.path()) - by_child).abs() < 1.0, "the parent has its child's");
    drop(child);
    assert!(until(Duration::from_secs(2), || (sent(&mut half, parent.path()) - by_child).abs() < 1.0));
    assert!(half.goes("container_last_seen", &[("id", &format!("{}/sends", parent.path()))]));
    assert!((sent(&mut half, parent.path()) - by_child).abs() < 1.0, "and keeps them");
}

#[test]
fn churn_gives_every_slot_back() {
    let Some(_turn) = turn() else { return };
    let (_kernel, mut half) = start(CpuSource::Auto);
    let group = Cgroup::new("slots");
    assert!(half.comes("container_last_seen", &[("id", group.path())]));
    let used = |half: &mut Half| half.page().value("nodetally_ebpf_slots_used", &[]).unwrap();
    let before = used(&mut half);
    for number in 0..1_500 {
        drop(group.child(&format!("x{number}")));
    }
    let back = until(Duration::from_secs(5), || used(&mut half) <= before + 4.0);
    assert!(back, "{before} slots before, {} after", used(&mut half));
    let page = half.page();
    assert_eq!(page.value("nodetally_ebpf_events_lost_total", &[]), Some(0.0));
    let last = group.child("xlast");
    assert!(half.comes("container_last_seen", &[("id", last.path())]), "no gap after the churn");
}

#[test]
fn a_path_too_long_for_an_event_is_the_real_one() {
    let Some(_turn) = turn() else { return };
    let (_kernel, mut half) = start(CpuSource::Auto);
    let mut groups = vec![Cgroup::new("long")];
    while let Some(deepest) = groups.last()
        && deepest.path().len() <= 1_100
    {
        let child = deepest.child(&"x".repeat(200));
        groups.push(child);
    }
    let deepest = groups.last().unwrap();
    assert!(half.comes("container_cpu_usage_seconds_total", &[("id", deepest.path())]));
    let page = half.page();
    let mine = |id: &str| id.starts_with(groups[0].path());
    let shown = page
        .matching("container_last_seen", &[])
        .filter(|sample| sample.labels.iter().any(|(name, value)| name == "id" && mine(value)));
    assert_eq!(shown.count(), groups.len(), "each once, and no other");
    while groups.pop().is_some() {}
}

#[test]
fn a_cgroup_that_found_no_slot_gets_one_when_there_is_room() {
    let Some(_turn) = turn() else { return };
    thrice(|| {
        let (_kernel, mut half) = start_with(CpuSource::Ebpf, &Request { max_cgroups: 16, ..request() });
        let parent = Cgroup::new("room");
        let taking: Vec<_> = (0..20).map(|number| parent.child(&format!("takes{number}"))).collect();
        let last = parent.child("last");
        let id = [("id", last.path())];
        assert!(half.comes("container_last_seen", &id));
        let page = half.page();
        assert_eq!(page.value("container_socket_transmit_bytes_total", &id), None, "there was room");
        assert!(page.value("nodetally_ebpf_slots_full_total", &[]).unwrap() > 0.0);
        last.start(&burn(200)).wait(Duration::from_secs(10)).unwrap();
        let before = usage(&mut half, last.path()).unwrap();
        near(before, last.cpu_usage().as_secs_f64(), 0.01, 0.02);
        drop(taking);
        assert!(half.comes("container_socket_transmit_bytes_total", &id));
        last.start(&burn(200)).wait(Duration::from_secs(10)).unwrap();
        let after = usage(&mut half, last.path()).unwrap();
        assert!(after > before);
        near(after, last.cpu_usage().as_secs_f64(), 0.01, 0.02);
    });
}
