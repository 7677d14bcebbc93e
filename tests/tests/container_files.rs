//! The container half on this machine's own cgroups, by files alone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod container_support;

use std::{fs, time::Duration};

use container_support::{Half, near};
use tests::{cgroup::Cgroup, live, load, running::until};

#[test]
fn cpu_time_and_memory_are_what_the_load_took() {
    if !live::root() {
        return;
    }
    let group = Cgroup::new("figures");
    let mut half = Half::start();
    let id = [("id", group.path())];
    let before = half.page();
    let begun = std::time::Instant::now();
    let _burns = group.start(&load::cpu(50));
    let _holds = group.start(&load::memory(64 << 20));
    std::thread::sleep(Duration::from_secs(2));
    let kernel = group.cpu_usage().as_secs_f64();
    let after = half.page();
    let cpu = [("id", group.path()), ("cpu", "total")];
    let used = after.value("container_cpu_usage_seconds_total", &cpu).unwrap()
        - before.value("container_cpu_usage_seconds_total", &cpu).unwrap();
    near(used, kernel, 0.03, 0.02);
    assert!(used > begun.elapsed().as_secs_f64() * 0.1, "{used} s of CPU");
    let split = ["user", "system"]
        .map(|mode| after.value(&format!("container_cpu_{mode}_seconds_total"), &id).unwrap())
        .iter()
        .sum::<f64>();
    near(split, used, 0.05, 0.05);

    let memory = |family: &str| after.value(&format!("container_memory_{family}"), &id).unwrap();
    near(memory("usage_bytes"), group.memory_usage() as f64, 0.02, 1e6);
    assert!(memory("rss") >= 64.0 * 1_048_576.0, "rss {}", memory("rss"));
    assert!(memory("max_usage_bytes") >= memory("usage_bytes"));
    assert!(memory("working_set_bytes") <= memory("usage_bytes"));
    assert!(memory("failures_total") > 0.0, "page faults");
}

#[test]
fn births_deaths_and_limits_are_noticed() {
    if !live::root() {
        return;
    }
    let mut half = Half::start();
    let group = Cgroup::new("limits");
    let seen = [("id", group.path())];
    assert!(half.comes("container_last_seen", &seen), "a birth");
    let child = group.child("below");
    assert!(half.comes("container_last_seen", &[("id", child.path())]), "a birth below a new one");

    assert_eq!(half.page().value("container_spec_memory_limit_bytes", &seen), Some(0.0), "no limit");
    assert_eq!(half.page().value("container_spec_cpu_quota", &seen), None, "no quota");
    group.limit_memory(100 << 20);
    let cpu = group.dir("cpu");
    fs::write(cpu.join("cpu.cfs_quota_us"), "25000")
        .or_else(|_| fs::write(cpu.join("cpu.max"), "25000 100000"))
        .unwrap();
    let limited = until(Duration::from_secs(2), || {
        let page = half.page();
        page.value("container_spec_memory_limit_bytes", &seen) == Some(104_857_600.0)
            && page.value("container_spec_cpu_quota", &seen) == Some(25_000.0)
            && page.value("container_spec_cpu_period", &seen) == Some(100_000.0)
            && page.value("container_cpu_cfs_periods_total", &seen).is_some()
    });
    assert!(limited, "new limits");

    // Below it: a cgroup of version 2 that has children has no processes of its own.
    child.start(&std::process::Command::new("true")).wait(Duration::from_secs(5)).unwrap();
    half.page();
    let path = group.path().to_owned();
    let usage = [("id", path.as_str()), ("cpu", "total")];
    drop(child);
    drop(group);
    assert!(half.goes("container_last_seen", &[("id", &path)]), "a death");
    let page = half.page();
    assert!(page.value("container_cpu_usage_seconds_total", &usage).is_some(), "its counters stay");
    assert_eq!(page.value("container_memory_usage_bytes", &[("id", &path)]), None, "its gauges do not");
    assert_eq!(page.value("container_spec_memory_limit_bytes", &[("id", &path)]), None);
}

#[test]
fn a_thousand_births_and_deaths_leave_nothing_behind() {
    if !live::root() {
        return;
    }
    let group = Cgroup::new("churn");
    let mut half = Half::start_keeping(Duration::ZERO);
    assert!(half.comes("container_last_seen", &[("id", group.path())]));
    for number in 0..1_000 {
        drop(group.child(&format!("x{number}")));
        if number % 100 == 0 {
            half.page();
        }
    }
    let last = group.child("xlast");
    assert!(half.comes("container_last_seen", &[("id", last.path())]), "no gap after the churn");
    let path = last.path().to_owned();
    drop(last);
    assert!(half.goes("container_cpu_usage_seconds_total", &[("id", &path)]));
    let below = format!("{}/", group.path());
    let left = half
        .page()
        .samples
        .into_iter()
        .find(|sample| sample.labels.get("id").is_some_and(|id| id.starts_with(&below)));
    assert_eq!(left, None, "series of the dead");
    // The halves of other tests in this process have seen them too.
    let is_held = || {
        let links =
            fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        { links }.any(|link| link.to_string_lossy().contains(&format!("{below}x")))
    };
    assert!(until(Duration::from_secs(5), || !is_held()), "files are still open");
}

#[test]
fn the_machine_and_the_root_are_shown() {
    let mut half = Half::start();
    let page = half.page();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let total: f64 = meminfo.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert_eq!(page.value("machine_memory_bytes", &[]), Some(total * 1_024.0));
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let cores = stat.lines().filter(|line| line.starts_with("cpu")).count() - 1;
    assert_eq!(page.value("machine_cpu_cores", &[]), Some(cores as f64));
    let root = [("id", "/")];
    assert_eq!(page.value("container_spec_memory_limit_bytes", &root), Some(total * 1_024.0));
    assert!(page.value("container_memory_usage_bytes", &root).unwrap() > 0.0);
    assert!(page.value("container_cpu_usage_seconds_total", &root).unwrap() > 0.0);
    assert_eq!(page.value("container_scrape_error", &[]), Some(0.0));
}

#[test]
fn groups_that_are_not_asked_for_are_not_written() {
    let mut half = Half::start();
    let page = half.page_of(&["spec", "machine"]);
    for name in page.names() {
        assert!(
            name.starts_with("container_spec_")
                || name.starts_with("machine_")
                || name == "cadvisor_version_info"
                || name == "container_scrape_error"
                || name == "nodetally_figure_source",
            "{name}"
        );
    }
    assert!(page.value("container_spec_memory_limit_bytes", &[("id", "/")]).is_some());
}

#[test]
fn odd_names_are_series_of_their_own() {
    use std::os::unix::ffi::OsStrExt;
    if !live::root() {
        return;
    }
    let group = Cgroup::new("odd");
    let mut half = Half::start();
    for name in [&b"\xff"[..], b"\xfe", b"a b", b"quote\"", b"back\\slash", b"{}", b"\xc3\xbc", b"=,"] {
        fs::create_dir(group.dir("cpuacct").join(std::ffi::OsStr::from_bytes(name))).unwrap();
    }
    let names = ["//xff", "//xfe", "a b", "quote\"", "back\\slash", "{}", "ü", "=,"];
    for name in names {
        let id = format!("{}/{name}", group.path());
        assert!(half.comes("container_cpu_usage_seconds_total", &[("id", &id)]), "{name}");
    }
}

#[test]
fn a_renamed_cgroup_is_found_again() {
    if !live::root() {
        return;
    }
    let group = Cgroup::new("renamed");
    let cpuacct = group.dir("cpuacct");
    if !live::need("a hierarchy of version 1, where renaming is allowed", cpuacct.join("tasks").exists()) {
        return;
    }
    fs::create_dir(cpuacct.join("before")).unwrap();
    let mut half = Half::start();
    let id = |name: &str| format!("{}/{name}", group.path());
    assert!(half.comes("container_last_seen", &[("id", &id("before"))]));
    fs::rename(cpuacct.join("before"), cpuacct.join("after")).unwrap();
    fs::remove_dir(cpuacct.join("after")).unwrap();
    let gone = until(Duration::from_secs(20), || {
        half.page().value("container_cpu_usage_seconds_total", &[("id", &id("before"))]).is_none()
    });
    assert!(gone, "no event tells of it, but a walk does");
}
