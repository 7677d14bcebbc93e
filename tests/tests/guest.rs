//! The container tests again, in a virtual machine with cgroup v2 alone: its kernel, all controllers, a real Docker
//! engine. What is slow there without telling more is not repeated.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::time::{Duration, Instant};

use tests::exporter;
use tests::guest::{Ended, Guest, KERNELS, Kernel, Output, able};

/// Test programs with what of them is run.
const SET: &[(&str, &str)] = &[
    // Names, labels, limits, networks: a container from its birth to its end, with the kernel half.
    ("container_docker", ""),
    // The exporter as a user starts it: renames, short lives, new runs, moved tasks, a daemon that goes and comes.
    ("container_lives", ""),
    ("container_exporter", "a_tree_of_version_2"),
    // With and without the kernel half.
    ("container_oom", "a_real_kill"),
    // What containers were made to do, of every group.
    ("container_figures", "each_has_done"),
    // By files alone: figures, births, deaths, limits. Version 2 knows no renaming.
    ("container_files", "--skip a_renamed_cgroup --skip a_thousand"),
    ("container_kernel", "a_life_too_short a_cgroup_s_own_traffic"),
    ("kernel_net", "--skip a_cgroup_on_the_hosts_network"),
    ("kernel_life", "births_and_deaths thousands_come_and_go"),
];

#[test]
fn the_container_tests_pass_where_there_is_cgroup_v2_alone() {
    if !able() {
        return;
    }
    let begun = Instant::now();
    let mut guest = guest(Duration::from_mins(15));
    let programs: Vec<String> = SET.iter().map(|(program, _)| (*program).to_owned()).collect();
    guest.carry_programs(&exporter::binary(), &programs).unwrap();
    // What would be left out there is a failure: the set says what is run.
    let mut script = "export CI=true\nfailed=0\n".to_owned();
    for (program, chosen) in SET {
        writeln!(script, "echo; echo {program} {chosen}").unwrap();
        writeln!(script, "{program} --test-threads=1 {chosen} || failed=1").unwrap();
    }
    script.push_str("exit $failed");
    let ended = run(&guest, &script).unwrap_or_else(|why| panic!("{why}"));
    println!("{}\n{:.0?} in all", ended.said, begun.elapsed());
    assert_eq!(ended.code, 0, "tests failed in the guest");
    let passed = ended.said.matches("test result: ok. ").count();
    assert_eq!(passed, SET.len(), "each program of the set has run");
    assert!(!ended.said.contains("test result: ok. 0 passed"), "one of them has run nothing");
}

#[test]
fn the_exit_code_comes_back_and_a_guest_that_hangs_is_ended() {
    if !able() {
        return;
    }
    let said = "cat /sys/fs/cgroup/cgroup.controllers; echo by the command >&2; exit 3";
    let ended = guest(Duration::from_mins(5)).run(said, Output::Captured).unwrap();
    assert_eq!(ended.code, 3, "{}", ended.said);
    assert!(ended.said.contains("cpuset cpu io memory"), "all controllers are version 2's: {}", ended.said);
    assert!(ended.said.contains("by the command"), "{}", ended.said);
    let why = guest(Duration::from_secs(1)).run("sleep 1000", Output::Captured).unwrap_err();
    assert!(why.starts_with("not done in 1s"), "{why}");
}

/// Once more, should the guest die: emulated processors now and then run an instruction that the kernel is just patching.
/// What our programs do to a kernel they do again.
fn run(guest: &Guest, script: &str) -> Result<Ended, String> {
    guest.run(script, Output::Captured).or_else(|why| {
        if !why.starts_with("the guest died") {
            return Err(why);
        }
        eprintln!("{why}\nonce more");
        guest.run(script, Output::Captured)
    })
}

fn guest(limit: Duration) -> Guest {
    Guest::new(Kernel::find(&KERNELS[0]).unwrap(), limit)
}
