//! What the cross-crate tests share. Everything made here is taken away again on drop, on a failing test too.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod beside;
pub mod cadvisor;
pub mod calls;
pub mod cgroup;
pub mod containerd;
pub mod cri;
pub mod dbus;
pub mod disk;
pub mod docker;
pub mod exporter;
pub mod guest;
pub mod http;
pub mod image;
pub mod live;
pub mod load;
pub mod mounts;
pub mod netns;
pub mod pack;
pub mod page;
pub mod podman;
pub mod prometheus;
pub mod running;
pub mod scripted;
pub mod systemd;
pub mod temp;
