//! `node_*`: one file per collector, all of one shape, listed here.

mod arp;
mod bcache;
mod bcachefs;
mod bonding;
mod btrfs;
mod buddyinfo;
mod cgroups;
mod conntrack;
mod cpu;
mod cpu_vulnerabilities;
mod cpufreq;
mod diskstats;
mod dmi;
mod dmmultipath;
mod drbd;
mod drm;
mod edac;
mod entropy;
mod ethtool;
mod fibrechannel;
mod filefd;
mod filesystem;
mod hwmon;
mod infiniband;
mod interrupts;
mod ipvs;
mod kept;
mod kernel_hung;
mod ksmd;
mod lnstat;
mod loadavg;
mod logind;
mod mdadm;
mod meminfo;
mod meminfo_numa;
mod mountstats;
mod names;
mod netclass;
mod netdev;
mod netstat;
mod network_route;
mod nfs;
mod nfsd;
mod ntp;
mod nvme;
mod nvmesubsystem;
mod os;
mod pcidevice;
mod perf;
mod powersupplyclass;
mod pressure;
mod processes;
mod qdisc;
mod rapl;
mod runit;
mod schedstat;
mod selinux;
mod slabinfo;
mod sockstat;
mod softirqs;
mod softnet;
mod stat;
mod supervisord;
mod swap;
mod sysctl;
#[cfg(test)]
mod sysfs_test;
mod systemd;
mod tapestats;
mod tcpstat;
mod textfile;
mod thermal_zone;
mod time;
mod timex;
mod udp_queues;
mod uname;
mod vmstat;
mod watchdog;
mod wifi;
mod xfrm;
mod xfs;
mod zfs;
mod zoneinfo;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use ethtool::fuzz_names;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use textfile::matches;

use crate::collector::Descriptor;

/// Every node collector, by name.
pub static COLLECTORS: &[&Descriptor] = &[
    &arp::DESCRIPTOR,
    &bcache::DESCRIPTOR,
    &bcachefs::DESCRIPTOR,
    &bonding::DESCRIPTOR,
    &btrfs::DESCRIPTOR,
    &buddyinfo::DESCRIPTOR,
    &cgroups::DESCRIPTOR,
    &conntrack::DESCRIPTOR,
    &cpu::DESCRIPTOR,
    &cpu_vulnerabilities::DESCRIPTOR,
    &cpufreq::DESCRIPTOR,
    &diskstats::DESCRIPTOR,
    &dmi::DESCRIPTOR,
    &dmmultipath::DESCRIPTOR,
    &drbd::DESCRIPTOR,
    &drm::DESCRIPTOR,
    &edac::DESCRIPTOR,
    &entropy::DESCRIPTOR,
    &ethtool::DESCRIPTOR,
    &fibrechannel::DESCRIPTOR,
    &filefd::DESCRIPTOR,
    &filesystem::DESCRIPTOR,
    &hwmon::DESCRIPTOR,
    &infiniband::DESCRIPTOR,
    &interrupts::DESCRIPTOR,
    &ipvs::DESCRIPTOR,
    &kernel_hung::DESCRIPTOR,
    &ksmd::DESCRIPTOR,
    &lnstat::DESCRIPTOR,
    &loadavg::DESCRIPTOR,
    &logind::DESCRIPTOR,
    &mdadm::DESCRIPTOR,
    &meminfo::DESCRIPTOR,
    &meminfo_numa::DESCRIPTOR,
    &mountstats::DESCRIPTOR,
    &netclass::DESCRIPTOR,
    &netdev::DESCRIPTOR,
    &netstat::DESCRIPTOR,
    &network_route::DESCRIPTOR,
    &nfs::DESCRIPTOR,
    &nfsd::DESCRIPTOR,
    &ntp::DESCRIPTOR,
    &nvme::DESCRIPTOR,
    &nvmesubsystem::DESCRIPTOR,
    &os::DESCRIPTOR,
    &pcidevice::DESCRIPTOR,
    &perf::DESCRIPTOR,
    &powersupplyclass::DESCRIPTOR,
    &pressure::DESCRIPTOR,
    &processes::DESCRIPTOR,
    &qdisc::DESCRIPTOR,
    &rapl::DESCRIPTOR,
    &runit::DESCRIPTOR,
    &schedstat::DESCRIPTOR,
    &selinux::DESCRIPTOR,
    &slabinfo::DESCRIPTOR,
    &sockstat::DESCRIPTOR,
    &softirqs::DESCRIPTOR,
    &softnet::DESCRIPTOR,
    &stat::DESCRIPTOR,
    &supervisord::DESCRIPTOR,
    &swap::DESCRIPTOR,
    &sysctl::DESCRIPTOR,
    &systemd::DESCRIPTOR,
    &tapestats::DESCRIPTOR,
    &tcpstat::DESCRIPTOR,
    &textfile::DESCRIPTOR,
    &thermal_zone::DESCRIPTOR,
    &time::DESCRIPTOR,
    &timex::DESCRIPTOR,
    &udp_queues::DESCRIPTOR,
    &uname::DESCRIPTOR,
    &vmstat::DESCRIPTOR,
    &watchdog::DESCRIPTOR,
    &wifi::DESCRIPTOR,
    &xfrm::DESCRIPTOR,
    &xfs::DESCRIPTOR,
    &zfs::DESCRIPTOR,
    &zoneinfo::DESCRIPTOR,
];
