//! `node_*`: one file per collector, all of one shape, listed here.

mod buddyinfo;
mod conntrack;
mod cpu;
mod diskstats;
mod entropy;
mod filefd;
mod filesystem;
mod interrupts;
mod kept;
mod lnstat;
mod loadavg;
mod meminfo;
mod names;
mod netdev;
mod netstat;
mod pressure;
mod processes;
mod schedstat;
mod sockstat;
mod softirqs;
mod softnet;
mod stat;
mod swap;
mod sysctl;
mod time;
mod timex;
mod udp_queues;
mod uname;
mod vmstat;
mod xfrm;

use crate::collector::Descriptor;

/// Every node collector, by name.
pub static COLLECTORS: &[&Descriptor] = &[
    &buddyinfo::DESCRIPTOR,
    &conntrack::DESCRIPTOR,
    &cpu::DESCRIPTOR,
    &diskstats::DESCRIPTOR,
    &entropy::DESCRIPTOR,
    &filefd::DESCRIPTOR,
    &filesystem::DESCRIPTOR,
    &interrupts::DESCRIPTOR,
    &lnstat::DESCRIPTOR,
    &loadavg::DESCRIPTOR,
    &meminfo::DESCRIPTOR,
    &netdev::DESCRIPTOR,
    &netstat::DESCRIPTOR,
    &pressure::DESCRIPTOR,
    &processes::DESCRIPTOR,
    &schedstat::DESCRIPTOR,
    &sockstat::DESCRIPTOR,
    &softirqs::DESCRIPTOR,
    &softnet::DESCRIPTOR,
    &stat::DESCRIPTOR,
    &swap::DESCRIPTOR,
    &sysctl::DESCRIPTOR,
    &time::DESCRIPTOR,
    &timex::DESCRIPTOR,
    &udp_queues::DESCRIPTOR,
    &uname::DESCRIPTOR,
    &vmstat::DESCRIPTOR,
    &xfrm::DESCRIPTOR,
];
