//! Everything that reads. Plain structs and bytes come out; nothing here knows of metrics or HTTP.

pub mod bpf;
pub mod file;
pub mod host;
pub mod netlink;
pub mod privilege;
pub mod runtime;
pub mod text;
pub mod thread;
