//! `node_*`: one file per collector, all of one shape, listed here.

mod cpu;
mod diskstats;
mod filesystem;
mod kept;
mod loadavg;
mod meminfo;
mod netdev;
mod stat;
mod uname;

use crate::collector::Descriptor;

/// Every node collector, by name.
pub static COLLECTORS: &[&Descriptor] = &[
    &cpu::DESCRIPTOR,
    &diskstats::DESCRIPTOR,
    &filesystem::DESCRIPTOR,
    &loadavg::DESCRIPTOR,
    &meminfo::DESCRIPTOR,
    &netdev::DESCRIPTOR,
    &stat::DESCRIPTOR,
    &uname::DESCRIPTOR,
];
