//! `cargo xtask build-ebpf`: the kernel half from source, with the one compiler and linker it is pinned to.
//!
//! The built object is committed, because not everyone has that compiler, and embedded by a plain build. Beside it
//! lies a record of what it was built from and with; a test compares the record with the sources, so the object
//! cannot lag behind them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

use crate::{
    Outcome, setup,
    shell::{self, cargo_of, output, root, status},
};

mod object;

const TARGET: &str = "bpfel-unknown-none";
const CRATE: &str = "exporter-ebpf";
const NAME: &str = "nodetally-ebpf";
/// What makes the object as much as the sources do. The loader needs types (`--btf`), which the linker makes of
/// debug information. The architecture is that of `pt_regs`, which no program reads: any will do, but always one.
const FLAGS: &[&str] = &["-C link-arg=--btf", "-C debuginfo=2", "--cfg=bpf_target_arch=\"x86_64\""];

/// Builds the kernel half and puts it in the committed one's place, or with `check` compares the two.
///
/// # Errors
/// When it cannot be built, or differs.
pub fn run(check: bool) -> Outcome {
    let Some(toolchain) = setup::nightly() else {
        return Err(format!("the kernel half needs the compiler of commit {}", setup::NIGHTLY_COMMIT));
    };
    let fresh = build(&toolchain, &[])?;
    // Not shipped, yet it must stay buildable; its log lines are for development and for a test.
    let with_log = build(&toolchain, &["log"])?;
    let beside = target_dir()?.join(format!("{NAME}-log.o"));
    fs::write(&beside, with_log).map_err(|e| format!("write {}: {e}", beside.display()))?;

    if check {
        return compare(&fresh);
    }
    let rustc = output(Command::new("rustup").args(["run", &toolchain, "rustc", "--version"]))?;
    write(&committed(), &fresh)?;
    write(&record(), record_of(&fresh, &source_hash(&root())?, rustc.trim()).as_bytes())?;
    eprintln!("xtask: {} ({} bytes)", committed().display(), fresh.len());
    eprintln!("xtask: {} has log lines", beside.display());
    Ok(())
}

fn compare(fresh: &[u8]) -> Outcome {
    let kept = read(&committed())?;
    if kept == fresh {
        eprintln!("xtask: the committed object and a fresh build are the same, byte for byte");
        return Ok(());
    }
    let differences = object::differences(&kept, fresh)?;
    if differences.is_empty() {
        eprintln!("xtask: the committed object and a fresh build differ in line information only");
        return Ok(());
    }
    Err(format!(
        "the committed object is not what the sources give; type `cargo xtask build-ebpf`\n  {}",
        differences.join("\n  ")
    ))
}

/// Builds with these features and gives the object without debug information.
fn build(toolchain: &str, features: &[&str]) -> Outcome<Vec<u8>> {
    let target = target_dir()?.join(if features.is_empty() { "ebpf".to_owned() } else { features.join("-") });
    let manifest = root().join(CRATE).join("Cargo.toml");
    let mut cargo = cargo_of(toolchain);
    cargo.args(["build", "--release", "--locked", "--target", TARGET, "-Z", "build-std=core"]);
    cargo.arg("--manifest-path").arg(manifest).args(["--features", &features.join(",")]);
    cargo.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", flags(toolchain)?).env("PATH", path()?);
    // The workspace's own wrapper and flags are for the host's programs.
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env("CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER", "");
    status(&mut cargo)?;
    object::without_debug(&read(&target.join(TARGET).join("release").join(NAME))?)
}

/// [`FLAGS`] and the places of this machine, which must not get into the object.
fn flags(toolchain: &str) -> Outcome<String> {
    let sysroot = output(Command::new("rustup").args(["run", toolchain, "rustc", "--print", "sysroot"]))?;
    let home = env::var_os("HOME").map(PathBuf::from).ok_or("HOME is not set")?;
    let cargo_home = env::var_os("CARGO_HOME").map_or(home.join(".cargo"), PathBuf::from);
    let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
    let places = [
        (root(), ""),
        (cargo_home.join("registry/src"), "registry/"),
        (Path::new(sysroot.trim()).join("lib/rustlib/src/rust"), "rust/"),
    ];
    flags.extend(places.map(|(from, to)| format!("--remap-path-prefix={}/={to}", from.display())));
    Ok(flags.join(" "))
}

/// `PATH` with the pinned linker first.
fn path() -> Outcome<std::ffi::OsString> {
    let linker = shell::cache()?.join(format!("bpf-linker-{}/bin", setup::BPF_LINKER));
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths([linker].into_iter().chain(env::split_paths(&rest))).map_err(|e| format!("PATH: {e}"))
}

/// Below the workspace's own target folder, so that cleaning one cleans both.
fn target_dir() -> Outcome<PathBuf> {
    Ok(shell::target_dir()?.join("ebpf"))
}

fn committed() -> PathBuf {
    root().join(CRATE).join("prebuilt").join(format!("{NAME}.o"))
}

fn record() -> PathBuf {
    committed().with_extension("txt")
}

fn record_of(object: &[u8], sources: &str, rustc: &str) -> String {
    format!(
        "The kernel half, built by `cargo xtask build-ebpf`.\n\
         object sha256: {}\n\
         source sha256: {sources}\n\
         compiler: {rustc}\n\
         linker: bpf-linker {}\n\
         flags: {}\n",
        hex(&Sha256::digest(object)),
        setup::BPF_LINKER,
        FLAGS.join(" ")
    )
}

/// Hash of all that the object is made of: names, lengths and bytes of the sources of both crates, and the flags.
fn source_hash(root: &Path) -> Outcome<String> {
    let mut files = Vec::new();
    for name in [CRATE, "exporter-common"] {
        let dir = root.join(name);
        files.extend(
            ["Cargo.toml", "Cargo.lock"].map(|file| dir.join(file)).into_iter().filter(|f| f.is_file()),
        );
        collect(&dir.join("src"), &mut files)?;
    }
    let mut hash = Sha256::new();
    hash.update(FLAGS.join(" "));
    let mut named: Vec<_> =
        files.iter().map(|file| (file.strip_prefix(root).unwrap_or(file).to_string_lossy(), file)).collect();
    named.sort();
    for (name, file) in named {
        let bytes = read(file)?;
        hash.update(format!("\0{name}\0{}\0", bytes.len()));
        hash.update(bytes);
    }
    Ok(hex(&hash.finalize()))
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    let entries = fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    for entry in entries {
        let path = entry.map_err(|e| format!("{}: {e}", dir.display()))?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(|e| format!("read {}: {e}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Outcome {
    fs::write(path, bytes).map_err(|e| format!("write {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn recorded(what: &str) -> String {
        let text = fs::read_to_string(record()).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(": "));
        value.unwrap_or_else(|| panic!("no {what} in {}", record().display())).to_owned()
    }

    #[test]
    fn the_committed_object_was_built_from_these_sources() {
        let now = source_hash(&root()).unwrap();
        assert_eq!(recorded("source sha256"), now, "type `cargo xtask build-ebpf`");
        assert_eq!(recorded("object sha256"), hex(&Sha256::digest(read(&committed()).unwrap())));
        assert!(recorded("compiler").contains(setup::NIGHTLY_COMMIT));
        assert_eq!(recorded("linker"), format!("bpf-linker {}", setup::BPF_LINKER));
    }

    #[test]
    fn the_committed_object_names_no_place_of_the_machine_that_built_it() {
        let bytes = read(&committed()).unwrap();
        let texts = bytes.split(|b| !(b' '..=b'~').contains(b)).map(String::from_utf8_lossy);
        // A path that starts at the root: at the start of a text, two names at least.
        let absolute: Vec<_> = texts
            .filter(|text| text.len() > 5 && text.starts_with('/') && text.get(1..).unwrap().contains('/'))
            .collect();
        assert!(absolute.is_empty(), "{absolute:?}");
        for place in ["/home/", "/root/", "/usr/", "/var/", "/tmp/", ".cargo/", ".rustup/"] {
            let found = bytes.windows(place.len()).any(|window| window == place.as_bytes());
            assert!(!found, "{place} in {}", committed().display());
        }
    }

    #[test]
    fn a_changed_source_changes_the_hash() {
        let dir = env::temp_dir().join(format!("nodetally-source-hash-{}", std::process::id()));
        for name in [CRATE, "exporter-common"] {
            fs::create_dir_all(dir.join(name).join("src")).unwrap();
            fs::write(dir.join(name).join("src/lib.rs"), "one").unwrap();
        }
        let one = source_hash(&dir).unwrap();
        fs::write(dir.join("exporter-common/src/lib.rs"), "two").unwrap();
        let two = source_hash(&dir).unwrap();
        fs::rename(dir.join("exporter-common/src/lib.rs"), dir.join("exporter-common/src/mod.rs")).unwrap();
        let renamed = source_hash(&dir).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert!(one != two && two != renamed, "{one} {two} {renamed}");
    }
}
