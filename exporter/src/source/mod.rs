//! Everything that reads. Plain structs and bytes come out; nothing here knows of metrics or HTTP.

pub mod address;
pub mod bpf;
pub mod cgroup;
pub mod clock;
pub mod cpu;
pub mod disk;
pub mod file;
pub mod host;
pub mod ipvs;
pub mod memory;
pub mod mount;
pub mod netdev;
pub mod netlink;
pub mod nfs;
pub mod privilege;
pub mod runtime;
pub mod stat;
pub mod sysfs;
pub mod task;
pub mod text;
pub mod thread;
pub mod udev;
pub mod worker;
