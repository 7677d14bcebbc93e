//! The facts: what this machine has of the things a command needs.

use std::path::PathBuf;
use std::process::Command;

use tests::guest::Kernel;

use super::plan::{BPF_LINKER, Facts, NIGHTLY_COMMIT, Need};
use crate::{Outcome, shell};

/// Looks for each need; changes nothing.
pub fn gather(needs: &[Need]) -> Outcome<Facts> {
    let mut facts = Facts {
        root: shell::is_root(),
        apt: shell::has("apt-get"),
        rustup: shell::has("rustup"),
        ..Facts::default()
    };
    for need in needs {
        if is_met(*need)? {
            facts.met.insert(*need);
        }
    }
    Ok(facts)
}

fn is_met(need: Need) -> Outcome<bool> {
    let unpacked = |program: &str| Ok(shell::has(program) || super::unpacked_bin()?.join(program).is_file());
    match need {
        Need::Tool(tool) => Ok(shell::has(tool.names().0)),
        Need::Component(component) => {
            let program = component.names().0;
            // rustup's proxies are there even when the component is not: ask for the version.
            Ok(shell::output(Command::new(program).arg("--version")).is_ok())
        }
        Need::Nightly => Ok(nightly().is_some()),
        Need::RustSrc => Ok(source_folder().is_some_and(|dir| dir.join("library/core").is_dir())),
        Need::BpfLinker => Ok(linker()?.is_file() || linker_on_path()),
        Need::Prometheus => Ok(unpacked("prometheus")? && unpacked("promtool")?),
        Need::NodeExporter => unpacked("prometheus-node-exporter"),
        Need::Cadvisor => unpacked("cadvisor"),
        Need::Kernel(release) => Ok(Kernel::find(release).is_ok()),
    }
}

/// Where the linker of the kernel half is put.
pub fn linker() -> Outcome<PathBuf> {
    Ok(shell::cache()?.join(format!("bpf-linker-{BPF_LINKER}/bin/bpf-linker")))
}

fn linker_on_path() -> bool {
    let said = shell::output(Command::new("bpf-linker").arg("--version")).unwrap_or_default();
    said.split_whitespace().last() == Some(BPF_LINKER)
}

/// The rustup name of an installed toolchain with the pinned compiler.
pub fn nightly() -> Option<String> {
    let list = shell::output(Command::new("rustup").args(["toolchain", "list"])).ok()?;
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    // A nightly is the likely one: asking each compiler takes time.
    let (likely, others): (Vec<&str>, Vec<&str>) = names.partition(|name| name.starts_with("nightly"));
    likely.into_iter().chain(others).find(|name| is_pinned(name)).map(str::to_owned)
}

fn is_pinned(toolchain: &str) -> bool {
    let said = shell::output(rustc(toolchain).arg("-vV")).unwrap_or_default();
    said.lines()
        .any(|line| line.strip_prefix("commit-hash: ").is_some_and(|hash| hash.starts_with(NIGHTLY_COMMIT)))
}

/// That toolchain's folder `lib/rustlib/src/rust`, there or not.
pub fn source_folder() -> Option<PathBuf> {
    let sysroot = shell::output(rustc(&nightly()?).args(["--print", "sysroot"])).ok()?;
    Some(PathBuf::from(sysroot.trim()).join("lib/rustlib/src/rust"))
}

/// `1.97` of the pinned compiler.
pub fn minor_version() -> Option<String> {
    let said = shell::output(rustc(&nightly()?).arg("-vV")).ok()?;
    let release = said.lines().find_map(|line| line.strip_prefix("release: "))?;
    let mut parts = release.split(['.', '-']);
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}

fn rustc(toolchain: &str) -> Command {
    let mut rustc = Command::new("rustc");
    rustc.arg(format!("+{toolchain}")).env_remove("RUSTUP_TOOLCHAIN");
    rustc
}
