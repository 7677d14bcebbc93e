//! The container half on this machine's own cgroups, by files alone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::PathBuf, time::Duration};

use exporter::{
    config::{ContainerSettings, CpuSource, Paths},
    container::{ContainerHalf, Groups},
    metric::Page,
};

fn paths() -> Paths {
    Paths {
        procfs: PathBuf::from("/proc"),
        sysfs: PathBuf::from("/sys"),
        rootfs: PathBuf::from("/"),
        udev_data: PathBuf::from("/run/udev/data"),
    }
}

fn settings() -> ContainerSettings {
    ContainerSettings {
        max: 4096,
        keep_dead: Duration::from_secs(60),
        cpu_source: CpuSource::Auto,
        docker_socket: None,
    }
}

#[test]
fn shows() {
    let mut half = ContainerHalf::start(&settings(), &paths(), None).unwrap();
    let mut page = Page::default();
    half.collect(Groups::ALL, &mut page);
    println!("{}", String::from_utf8_lossy(page.text()));
    page.clear();
    let begin = std::time::Instant::now();
    half.collect(Groups::ALL, &mut page);
    println!("{:?}", begin.elapsed());
}
