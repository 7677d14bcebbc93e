//! Root folders for container images, made from this machine's own files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::docker::Docker;
use crate::load;
use crate::temp::TempDir;

/// The name of the image that [`import_busybox`] makes.
pub const BUSYBOX: &str = "busybox:local";

/// An image of a static busybox and the load generator (`/bin/nodetally-load`), about 6 MB.
pub fn import_busybox(docker: &Docker) {
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
    docker.import(root.path(), BUSYBOX);
}
