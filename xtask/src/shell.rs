//! Running other programs, and the places of this project.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;

/// The workspace's root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// This project's cache: `$XDG_CACHE_HOME/nodetally`, else `~/.cache/nodetally`.
pub fn cache() -> Outcome<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    Ok(base.ok_or("neither XDG_CACHE_HOME nor HOME is set: no place for a cache")?.join("nodetally"))
}

/// The cargo that started this program.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// The cargo of another installed toolchain, through rustup.
pub fn cargo_of(toolchain: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.arg(format!("+{toolchain}")).current_dir(root());
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
        cargo.env_remove(name);
    }
    cargo
}

/// The folder cargo builds into (`CARGO_TARGET_DIR` and configuration files heeded).
pub fn target_dir() -> Outcome<PathBuf> {
    let text = output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"))?;
    let dir = metadata.get("target_directory").and_then(|v| v.as_str());
    dir.map(PathBuf::from).ok_or_else(|| "cargo metadata names no target directory".to_owned())
}

/// Builds the exporter in `profile` (`dev` or `release`) and gives the path of the binary.
pub fn build_exporter(profile: &str) -> Outcome<PathBuf> {
    status(cargo().args(["build", "--package", "exporter", "--profile", profile]))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target_dir()?.join(folder).join("nodetally"))
}

/// Runs to the end with the terminal's own output; an exit code other than 0 is an error.
pub fn status(command: &mut Command) -> Outcome {
    let name = name_of(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name}: {status}")),
        Err(e) => Err(format!("{name}: {e}")),
    }
}

/// Runs to the end and gives standard output; the error carries standard error's last line.
pub fn output(command: &mut Command) -> Outcome<String> {
    let name = name_of(command);
    let out = command.output().map_err(|e| format!("{name}: {e}"))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&out.stderr);
    Err(format!("{name}: {}: {}", out.status, said.trim_end().lines().last().unwrap_or_default()))
}

/// Whether a program of this name is on `PATH` or in the system folders an ordinary user's `PATH` lacks.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|dir| dir.join(program).is_file())
}

/// Whether this process is root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Program and first words, for an error: enough to know which it was.
fn name_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    let words: Vec<_> = words.take(4).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}
