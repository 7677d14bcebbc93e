//! Container images.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::time::Duration;
use tests::{docker::Docker, image, running::until};

#[test]
fn smoke() {
    let Some(docker) = Docker::start() else { return };
    image::import_busybox(&docker);
    let sink = docker.container(&["--name", "sink", image::BUSYBOX, "/bin/nodetally-load", "sink", "7000"]);
    let address = docker.address_of(&sink);
    docker.container(&[
        "--name",
        "send",
        "-m",
        "64m",
        image::BUSYBOX,
        "/bin/nodetally-load",
        "tcp",
        &format!("{address}:7000"),
        "1000000",
    ]);
    assert!(until(Duration::from_secs(5), || docker.run(&["logs", "sink"]).contains("listening")));
    std::thread::sleep(Duration::from_secs(3));
    println!("{}", docker.run(&["exec", "sink", "cat", "/proc/net/dev"]));
    println!("{}", docker.run(&["ps", "-a"]));
}
