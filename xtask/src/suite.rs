//! `cargo xtask test`: every check and test, one stage after the other, and a summary at the end.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::setup;
use crate::shell::{cargo, cargo_of, status};
use crate::{Outcome, build_ebpf, shell};

/// A named stage; a failed one does not keep the others from running.
struct Stage {
    name: &'static str,
    run: fn() -> Outcome,
}

const FAST: &[Stage] = &[
    Stage { name: "format", run: format },
    Stage { name: "clippy", run: clippy },
    Stage { name: "unit tests", run: unit_tests },
];

const REST: &[Stage] = &[
    Stage { name: "build the exporter", run: build },
    Stage { name: "kernel half from source (build-ebpf --check)", run: kernel_half },
    Stage { name: "live tests: kernel and process", run: || integration(Group::Live) },
    Stage { name: "live tests: containers", run: || integration(Group::Containers) },
    Stage { name: "a real Prometheus", run: || integration(Group::Prometheus) },
    Stage { name: "fuzz targets (cargo check)", run: fuzz_targets },
    Stage { name: "aarch64 (cargo check)", run: aarch64 },
];

/// Runs all stages, or only those that need neither root nor other programs.
///
/// # Errors
/// Names the stages that failed.
pub fn run(fast: bool) -> Outcome {
    let begun = Instant::now();
    for line in setup::ensure(if fast { setup::TEST_FAST } else { setup::TEST })? {
        eprintln!("xtask: {line}");
    }
    if !fast && !shell::is_root() {
        eprintln!("xtask: not root: live tests will be left out; with them: sudo -E cargo xtask test");
    }
    let stages: Vec<&Stage> = FAST.iter().chain(if fast { &[] } else { REST }).collect();
    let mut done = Vec::new();
    for (i, stage) in stages.iter().enumerate() {
        eprintln!("\n[{}/{}] {}", i + 1, stages.len(), stage.name);
        let started = Instant::now();
        let outcome = (stage.run)();
        if let Err(why) = &outcome {
            eprintln!("xtask: {}: {why}", stage.name);
        }
        done.push((stage.name, outcome, started.elapsed()));
    }
    summary(&done, begun.elapsed())
}

fn summary(done: &[(&str, Outcome, Duration)], whole: Duration) -> Outcome {
    eprintln!();
    for (name, outcome, took) in done {
        let word = if outcome.is_ok() { "ok    " } else { "FAILED" };
        eprintln!("{word} {:>6.1} s  {name}", took.as_secs_f64());
    }
    eprintln!("       {:>6.1} s  in all", whole.as_secs_f64());
    let failed: Vec<&str> = done.iter().filter(|(_, outcome, _)| outcome.is_err()).map(|d| d.0).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

fn format() -> Outcome {
    status(cargo().args(["fmt", "--all", "--check"]))?;
    let kernel_half = shell::root().join("exporter-ebpf/Cargo.toml");
    if !kernel_half.is_file() {
        return Ok(());
    }
    status(cargo().args(["fmt", "--check", "--manifest-path"]).arg(kernel_half))
}

fn clippy() -> Outcome {
    status(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// All but the crate `tests`, whose tests need a built exporter and mostly root; its own support code is here.
fn unit_tests() -> Outcome {
    let rest = status(cargo().args(["test", "--workspace", "--exclude", "tests", "--no-fail-fast"]));
    let support = status(cargo().args(["test", "--package", "tests", "--lib"]));
    rest.and(support)
}

fn build() -> Outcome {
    shell::build_exporter("dev").map(|_| ())
}

/// What a test file of the crate `tests` needs; told by its name, so that a new file is never forgotten.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Live,
    Containers,
    Prometheus,
}

fn group_of(test: &str) -> Group {
    match test {
        "prometheus" => Group::Prometheus,
        "image" | "guest" => Group::Containers,
        _ if test.contains("container") || test.contains("docker") => Group::Containers,
        _ => Group::Live,
    }
}

fn integration(group: Group) -> Outcome {
    let mut tests = test_files()?;
    tests.retain(|test| group_of(test) == group);
    if tests.is_empty() {
        return Err("there are no such tests".to_owned());
    }
    let mut command = cargo();
    command.args(["test", "--package", "tests", "--no-fail-fast"]);
    for test in &tests {
        command.args(["--test", test]);
    }
    // One at a time: they load the machine and measure it.
    command.args(["--", "--test-threads=1"]);
    tell_places(&mut command)?;
    status(&mut command)
}

/// The tests find the exporter, Prometheus and the like through these variables.
fn tell_places(command: &mut Command) -> Outcome {
    command.env("NODETALLY_BIN", shell::target_dir()?.join("debug/nodetally"));
    command.env("NODETALLY_CACHE", shell::cache()?);
    Ok(())
}

fn test_files() -> Outcome<Vec<String>> {
    let folder: PathBuf = shell::root().join("tests/tests");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let rust = paths.filter(|path| path.extension().is_some_and(|x| x == "rs"));
    let mut names: Vec<String> =
        rust.filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
}

fn kernel_half() -> Outcome {
    if setup::nightly().is_some() {
        return build_ebpf::run(true);
    }
    without_nightly("the committed object was not compared with a fresh build")
}

/// A workspace of its own, which nothing else here compiles.
fn fuzz_targets() -> Outcome {
    status(cargo().args(["check", "--manifest-path", "fuzz/Cargo.toml", "--bins", "--examples"]))
}

fn aarch64() -> Outcome {
    let Some(nightly) = setup::nightly() else { return without_nightly("aarch64 was not checked") };
    status(cargo_of(&nightly).args([
        "check",
        "-Z",
        "build-std",
        "--target",
        "aarch64-unknown-linux-gnu",
        "--package",
        "exporter",
    ]))
}

fn without_nightly(what: &str) -> Outcome {
    let line = format!("LEFT OUT: the pinned compiler is not here: {what}");
    if std::env::var_os("CI").is_some() {
        return Err(line);
    }
    eprintln!("{line}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Group, group_of};

    #[test]
    fn every_test_file_has_a_group() {
        assert!(group_of("prometheus") == Group::Prometheus);
        assert!(group_of("image") == Group::Containers && group_of("docker_names") == Group::Containers);
        assert!(group_of("process") == Group::Live && group_of("anything_new") == Group::Live);
    }
}
