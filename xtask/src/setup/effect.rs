//! The effects: one installation each.

use std::path::Path;
use std::process::Command;

use super::plan::{BPF_LINKER, NIGHTLY_NAME, Step};
use super::{debian, facts};
use crate::{Outcome, shell};

/// Does one step.
pub fn perform(step: &Step) -> Outcome {
    match step {
        Step::Apt(packages) => apt(packages),
        Step::AddComponent(component) => {
            shell::status(Command::new("rustup").args(["component", "add", component.names().1]))
        }
        Step::AddNightly => shell::status(Command::new("rustup").args([
            "toolchain",
            "install",
            NIGHTLY_NAME,
            "--profile",
            "minimal",
        ])),
        Step::RustSrcFromRustup => {
            let toolchain = facts::nightly().ok_or("the pinned compiler went away")?;
            shell::status(Command::new("rustup").args([
                "component",
                "add",
                "rust-src",
                "--toolchain",
                &toolchain,
            ]))
        }
        Step::RustSrcFromDebian => rust_src_from_debian(),
        Step::InstallLinker => {
            let root = shell::cache()?.join(format!("bpf-linker-{BPF_LINKER}"));
            shell::status(
                shell::cargo()
                    .args(["install", "bpf-linker", "--version", BPF_LINKER, "--locked", "--root"])
                    .arg(root),
            )
        }
        Step::Unpack(suite, packages) => debian::unpack(suite, packages, &shell::cache()?.join("peers")),
        Step::UnpackKernel(release) => debian::unpack_kernel(release.suite, &release.place()?),
    }
}

fn apt(packages: &[&str]) -> Outcome {
    let apt = || {
        let mut apt = Command::new("apt-get");
        // RUNLEVEL=1 keeps packages from starting their daemons: the tests start their own.
        apt.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        apt
    };
    shell::status(apt().args(["-qq", "update"]))?;
    shell::status(apt().args(["-qq", "install", "-y", "--no-install-recommends"]).args(packages))
}

fn rust_src_from_debian() -> Outcome {
    let minor = facts::minor_version().ok_or("the pinned compiler's version is unknown")?;
    let place = shell::cache()?.join("rust-src");
    debian::unpack("sid", &["rust-src"], &place)?;
    let found = sources_of(&place.join("usr/src"), &minor)?;
    let link = facts::source_folder().ok_or("the pinned compiler's folder is unknown")?;
    let parent = link.parent().ok_or("the compiler's source folder has no parent")?;
    std::fs::create_dir_all(parent).map_err(|e| format!("{}: {e}", parent.display()))?;
    std::os::unix::fs::symlink(&found, &link).map_err(|e| format!("{}: {e}", link.display()))
}

/// Debian's `usr/src/rustc-1.97.0`, refused when it is of another minor version than the compiler.
fn sources_of(folder: &Path, minor: &str) -> Outcome<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let wanted = format!("rustc-{minor}.");
    entries
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with(&wanted))
        .map(|entry| entry.path())
        .ok_or_else(|| format!("Debian's rust-src is of another version than {minor}"))
}
