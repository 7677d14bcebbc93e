//! Root folders for container images, made from this machine's own files: no image registry is asked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docker::Docker;
use crate::live::need;
use crate::load;
use crate::running::output;
use crate::temp::TempDir;

/// The name of the image that [`import_busybox`] makes.
pub const BUSYBOX: &str = "busybox:local";

/// An image of a static busybox and the load generator (`/bin/nodetally-load`), about 6 MB.
pub fn import_busybox(docker: &Docker) {
    docker.import(busybox_root().path(), BUSYBOX, &[]);
}

/// The root folder of that image.
pub fn busybox_root() -> TempDir {
    let root = TempDir::new("busybox");
    for folder in ["bin", "proc", "sys", "dev", "tmp", "etc", "root"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|p| Path::new(p).exists()).unwrap();
    fs::copy(busybox, root.path().join("bin/busybox")).unwrap();
    for applet in ["sh", "sleep", "cat", "echo", "wget", "httpd", "true", "dd", "ip", "id"] {
        symlink("busybox", root.path().join("bin").join(applet)).unwrap();
    }
    fs::copy(load::binary(), root.path().join("bin/nodetally-load")).unwrap();
    root.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    root
}

/// The name of the image that [`import_rust`] makes.
pub const RUST: &str = "rust:local";

/// A stand-in for `rust:1.95-bookworm`: Debian with a C compiler, this machine's stable toolchain, and the
/// crates of `Cargo.lock` in cargo's cache, so that nothing is downloaded within the build.
///
/// Gives `false` when this machine cannot make it (said as a left-out test).
pub fn import_rust(docker: &Docker, workspace: &Path) -> bool {
    let debootstrap = Path::new("/usr/sbin/debootstrap");
    if !need("debootstrap", debootstrap.exists()) {
        return false;
    }
    let root = TempDir::new("rust");
    let debian = debian_with_compiler();
    output(Command::new("tar").arg("-C").arg(root.path()).arg("-xf").arg(debian));
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(workspace));
    let toolchain = root.path().join("usr/local/rust");
    fs::create_dir_all(&toolchain).unwrap();
    for part in ["bin", "lib"] {
        copy(&Path::new(sysroot.trim()).join(part), &toolchain);
    }
    output(Command::new("cargo").args(["fetch", "--locked"]).current_dir(workspace));
    let crates = root.path().join("usr/local/cargo/registry");
    fs::create_dir_all(&crates).unwrap();
    for part in ["cache", "index"] {
        copy(&cargo_home().join("registry").join(part), &crates);
    }
    let path = "ENV PATH=/usr/local/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    docker.import(
        root.path(),
        RUST,
        &[path, "ENV CARGO_HOME=/usr/local/cargo", "ENV CARGO_NET_OFFLINE=true"],
    );
    true
}

/// A tar archive of Debian 12 with gcc, made once and kept in the cache.
fn debian_with_compiler() -> PathBuf {
    let folder = crate::prometheus::cache().join("images");
    let archive = folder.join("bookworm-gcc.tar");
    if archive.is_file() {
        return archive;
    }
    fs::create_dir_all(&folder).unwrap();
    let root = TempDir::new("bookworm");
    let mut debootstrap = Command::new("/usr/sbin/debootstrap");
    debootstrap.args(["--variant=minbase", "--include=gcc,libc6-dev", "bookworm"]).arg(root.path());
    output(debootstrap.args(mirror()));
    let unfinished = folder.join(format!("bookworm-gcc.{}", std::process::id()));
    output(Command::new("tar").arg("-C").arg(root.path()).arg("-cf").arg(&unfinished).arg("."));
    fs::rename(unfinished, &archive).unwrap();
    archive
}

/// The Debian archive this machine's own apt uses; none leaves it to debootstrap.
fn mirror() -> Option<String> {
    let format = "$(REPO_URI) $(ORIGIN) $(LABEL)";
    let out =
        Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]).output();
    let text = String::from_utf8_lossy(&out.ok()?.stdout).into_owned();
    text.lines().find_map(|line| line.strip_suffix(" Debian Debian")).map(str::to_owned)
}

fn copy(from: &Path, into: &Path) {
    output(Command::new("cp").arg("-a").arg(from).arg(into));
}

fn cargo_home() -> PathBuf {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    named.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cargo"))
}
