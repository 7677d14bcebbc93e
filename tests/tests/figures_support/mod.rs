//! Containers that are each made to do something of known size.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "a test fails by panicking; figures that rest are equal"
)]

pub mod compare;
pub mod made;
pub mod reviewed;
pub mod truth;

use exporter::container::{GROUPS, On};
use tests::{
    cgroup::{Hierarchy, hierarchies},
    docker::Docker,
    exporter::Exporter,
    page::Page,
};

/// The exporter with every group that there is, asked for this engine alone.
pub fn ours(docker: &Docker) -> Exporter {
    let socket = format!("--docker=unix://{}", docker.socket().display());
    let by_name = GROUPS.iter().filter(|group| group.on == On::ByName).flat_map(|group| group.words);
    let by_name: Vec<&str> = by_name.copied().collect();
    let add = format!("--container.add={}", by_name.join(","));
    let alone = ["--containerd=", "--crio=", "--podman=", "--scrape.share=0"];
    Exporter::start(&[&[socket.as_str(), "--disable_metrics=", &add], &alone[..]].concat())
}

/// Its page of containers.
pub fn page(ours: &Exporter) -> Page {
    ours.page_of("/metrics?collect[]=container")
}

/// Whether there is cgroup v2 alone.
pub fn is_unified() -> bool {
    hierarchies().iter().all(Hierarchy::is_v2)
}
