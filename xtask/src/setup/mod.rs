//! What a command needs, what of that is missing, and how to get it: facts, then a decision, then the effect.
//!
//! Nothing is installed that the command at hand does not use, and each installation is announced in one line.

use crate::{Outcome, shell};

mod debian;
mod effect;
mod facts;
mod plan;

pub use plan::{BPF_LINKER, NIGHTLY_COMMIT, Need};
use plan::{Component, Tool};

/// For `build-ebpf`.
pub const BUILD_EBPF: &[Need] = &[Need::Nightly, Need::RustSrc, Need::BpfLinker];

/// For `test`.
pub const TEST: &[Need] = &[
    Need::Component(Component::Rustfmt),
    Need::Component(Component::Clippy),
    Need::Tool(Tool::Docker),
    Need::Tool(Tool::Podman),
    Need::Tool(Tool::Iptables),
    Need::Tool(Tool::Ip),
    Need::Tool(Tool::Debootstrap),
    Need::Tool(Tool::Busybox),
    Need::Tool(Tool::Strace),
    Need::Tool(Tool::Systemd),
    Need::Tool(Tool::Dbus),
    Need::Tool(Tool::Qemu),
    Need::Tool(Tool::Mke2fs),
    Need::Kernel(&tests::guest::KERNELS[0]),
    Need::Prometheus,
    Need::NodeExporter,
    Need::Cadvisor,
    Need::Nightly,
    Need::RustSrc,
    Need::BpfLinker,
];

/// For `test --fast`.
pub const TEST_FAST: &[Need] = &[Need::Component(Component::Rustfmt), Need::Component(Component::Clippy)];

/// For `vm`, besides the kernel.
pub const VM: &[Need] = &[
    Need::Tool(Tool::Qemu),
    Need::Tool(Tool::Mke2fs),
    Need::Tool(Tool::Docker),
    Need::Tool(Tool::Ip),
    Need::Tool(Tool::Busybox),
];

/// For `bench`, without and with the stock exporters.
pub const BENCH: &[Need] = &[Need::Tool(Tool::Strace)];
/// For `bench node`, besides.
pub const NODE_PEER: &[Need] = &[Need::NodeExporter];
/// For `bench container`, besides.
pub const CONTAINER_PEER: &[Need] = &[Need::Cadvisor];
/// The stock exporters to compare with.
pub const PEERS: &[Need] = &[Need::NodeExporter, Need::Cadvisor];

/// Installs what is missing; what could not be had is an error that says what to type.
pub fn require(needs: &[Need]) -> Outcome {
    let missing = ensure(needs)?;
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\nxtask: ")) }
}

/// Installs what is missing and gives, for each thing that could not be had, the line that says what to type.
///
/// # Errors
/// Only when there is no place for the cache.
pub fn ensure(needs: &[Need]) -> Outcome<Vec<String>> {
    let mut tried = Vec::new();
    loop {
        let plan = plan::decide(needs, &facts::gather(needs)?, &tried);
        let Some(step) = plan.steps.into_iter().next() else { return Ok(plan.tell) };
        eprintln!("xtask: {}", step.announcement());
        if let Err(why) = effect::perform(&step) {
            eprintln!("xtask: that did not work: {why}");
        }
        tried.push(step);
    }
}

/// The installed toolchain whose compiler is the one the kernel half is pinned to, by its rustup name.
pub fn nightly() -> Option<String> {
    facts::nightly()
}

/// The folder with the programs of a Debian package that [`ensure`] unpacked (`prometheus`, `cadvisor`, ...).
///
/// # Errors
/// When there is no place for the cache.
pub fn unpacked_bin() -> Outcome<std::path::PathBuf> {
    Ok(shell::cache()?.join("peers/usr/bin"))
}
