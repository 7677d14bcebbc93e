//! A kernel of Debian's, unpacked into the cache, and its modules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{bytes_of, folder};

/// A kernel that a guest can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// `6.12`.
    pub version: &'static str,
    /// The Debian suite whose cloud kernel is of that version.
    pub suite: &'static str,
}

/// All of them, the default first.
pub const KERNELS: &[Release] =
    &[Release { version: "6.12", suite: "trixie" }, Release { version: "6.1", suite: "bookworm" }];

impl Release {
    /// Where it is unpacked to.
    ///
    /// # Errors
    /// When the cache cannot be made.
    pub fn place(&self) -> Result<PathBuf, String> {
        Ok(folder()?.join(format!("kernel-{}", self.version)))
    }
}

/// An unpacked kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The compressed image that is booted.
    pub image: PathBuf,
    modules: PathBuf,
}

/// A module's name, and its contents ready for the kernel.
pub type Module = (String, Vec<u8>);

impl Kernel {
    /// The unpacked kernel.
    ///
    /// # Errors
    /// When it is not there.
    pub fn find(release: &Release) -> Result<Self, String> {
        let place = release.place()?;
        let missing = || format!("{}: no kernel unpacked; type `cargo xtask vm`", place.display());
        let image = entries(&place.join("boot")).into_iter().chain(entries(&place.join("usr/lib/modules")));
        let image = image.chain(entries(&place.join("lib/modules"))).find_map(|path| {
            let within = path.join("vmlinuz");
            let named = path.file_name()?.to_str()?.starts_with("vmlinuz");
            if named { Some(path) } else { Some(within).filter(|p| p.is_file()) }
        });
        let folders = ["usr/lib/modules", "lib/modules"].map(|name| entries(&place.join(name)));
        let modules = folders.into_iter().flatten().next();
        Ok(Self { image: image.ok_or_else(missing)?, modules: modules.ok_or_else(missing)? })
    }

    /// These modules with all that they need, in the order of loading; what is built into the kernel is left out.
    ///
    /// # Errors
    /// When one is not there or cannot be unpacked.
    pub fn modules(&self, names: &[&str]) -> Result<Vec<Module>, String> {
        let mut files = BTreeMap::new();
        find_modules(&self.modules.join("kernel"), &mut files);
        let built_in = fs::read_to_string(self.modules.join("modules.builtin")).unwrap_or_default();
        let built_in: Vec<String> = built_in.lines().filter_map(|line| name_of(Path::new(line))).collect();
        let mut found = Vec::new();
        for name in names {
            add(name, &files, &built_in, &mut found)?;
        }
        Ok(found)
    }
}

fn add(
    name: &str,
    files: &BTreeMap<String, PathBuf>,
    built_in: &[String],
    found: &mut Vec<Module>,
) -> Result<(), String> {
    if built_in.iter().chain(found.iter().map(|(name, _)| name)).any(|known| known == name) {
        return Ok(());
    }
    let file = files.get(name).ok_or_else(|| format!("the kernel has no module {name}"))?;
    let module = unpacked(file)?;
    for needed in needs_of(&module) {
        add(&needed, files, built_in, found)?;
    }
    found.push((name.to_owned(), module));
    Ok(())
}

fn unpacked(file: &Path) -> Result<Vec<u8>, String> {
    if file.extension().is_some_and(|x| x == "xz") {
        return bytes_of(Command::new("busybox").args(["unxz", "-c"]).arg(file));
    }
    fs::read(file).map_err(|e| format!("{}: {e}", file.display()))
}

/// The modules that one needs, by the line `depends=a,b` in it.
fn needs_of(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let names = module[at + KEY.len()..].split(|b| *b == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(names);
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

fn find_modules(dir: &Path, files: &mut BTreeMap<String, PathBuf>) {
    for path in entries(dir) {
        if path.is_dir() {
            find_modules(&path, files);
        } else if let Some(name) = name_of(&path) {
            files.insert(name, path);
        }
    }
}

/// `virtio_blk` of `.../virtio-blk.ko.xz`.
fn name_of(path: &Path) -> Option<String> {
    let (name, _) = path.file_name()?.to_str()?.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_tells_what_it_needs() {
        assert_eq!(needs_of(b"ELF\0license=GPL\0depends=stp,802-x\0name=bridge\0"), ["stp", "802_x"]);
        assert!(needs_of(b"\0depends=\0").is_empty() && needs_of(b"no such line").is_empty());
        assert_eq!(name_of(Path::new("a/virtio-blk.ko.xz")).as_deref(), Some("virtio_blk"));
        assert_eq!(name_of(Path::new("a/modules.dep")), None);
    }
}
