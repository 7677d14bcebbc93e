//! `node_*`: one file per collector, all of one shape, in folders by what they are of; listed here.

mod clock;
mod disk;
mod hardware;
mod kept;
mod memory;
mod names;
mod network;
mod processor;
mod services;
#[cfg(test)]
pub(crate) mod sysfs_test;
mod system;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use network::ethtool::fuzz_names;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use services::textfile::matches;

use crate::collector::Descriptor;

/// Every node collector, by name.
pub static COLLECTORS: &[&Descriptor] = &[
    &network::arp::DESCRIPTOR,
    &disk::bcache::DESCRIPTOR,
    &disk::bcachefs::DESCRIPTOR,
    &network::bonding::DESCRIPTOR,
    &disk::btrfs::DESCRIPTOR,
    &memory::buddyinfo::DESCRIPTOR,
    &system::cgroups::DESCRIPTOR,
    &network::conntrack::DESCRIPTOR,
    &processor::cpu::DESCRIPTOR,
    &processor::cpu_vulnerabilities::DESCRIPTOR,
    &processor::cpufreq::DESCRIPTOR,
    &disk::diskstats::DESCRIPTOR,
    &hardware::dmi::DESCRIPTOR,
    &disk::dmmultipath::DESCRIPTOR,
    &disk::drbd::DESCRIPTOR,
    &hardware::drm::DESCRIPTOR,
    &hardware::edac::DESCRIPTOR,
    &system::entropy::DESCRIPTOR,
    &network::ethtool::DESCRIPTOR,
    &hardware::fibrechannel::DESCRIPTOR,
    &system::filefd::DESCRIPTOR,
    &disk::filesystem::DESCRIPTOR,
    &hardware::hwmon::DESCRIPTOR,
    &hardware::infiniband::DESCRIPTOR,
    &processor::interrupts::DESCRIPTOR,
    &network::ipvs::DESCRIPTOR,
    &system::kernel_hung::DESCRIPTOR,
    &memory::ksmd::DESCRIPTOR,
    &network::lnstat::DESCRIPTOR,
    &processor::loadavg::DESCRIPTOR,
    &services::logind::DESCRIPTOR,
    &disk::mdadm::DESCRIPTOR,
    &memory::meminfo::DESCRIPTOR,
    &memory::meminfo_numa::DESCRIPTOR,
    &disk::mountstats::DESCRIPTOR,
    &network::netclass::DESCRIPTOR,
    &network::netdev::DESCRIPTOR,
    &network::netstat::DESCRIPTOR,
    &network::network_route::DESCRIPTOR,
    &disk::nfs::DESCRIPTOR,
    &disk::nfsd::DESCRIPTOR,
    &clock::ntp::DESCRIPTOR,
    &disk::nvme::DESCRIPTOR,
    &disk::nvmesubsystem::DESCRIPTOR,
    &system::os::DESCRIPTOR,
    &hardware::pcidevice::DESCRIPTOR,
    &processor::perf::DESCRIPTOR,
    &hardware::powersupplyclass::DESCRIPTOR,
    &processor::pressure::DESCRIPTOR,
    &processor::processes::DESCRIPTOR,
    &network::qdisc::DESCRIPTOR,
    &hardware::rapl::DESCRIPTOR,
    &services::runit::DESCRIPTOR,
    &processor::schedstat::DESCRIPTOR,
    &system::selinux::DESCRIPTOR,
    &memory::slabinfo::DESCRIPTOR,
    &network::sockstat::DESCRIPTOR,
    &processor::softirqs::DESCRIPTOR,
    &network::softnet::DESCRIPTOR,
    &processor::stat::DESCRIPTOR,
    &services::supervisord::DESCRIPTOR,
    &memory::swap::DESCRIPTOR,
    &system::sysctl::DESCRIPTOR,
    &services::systemd::DESCRIPTOR,
    &disk::tapestats::DESCRIPTOR,
    &network::tcpstat::DESCRIPTOR,
    &services::textfile::DESCRIPTOR,
    &hardware::thermal_zone::DESCRIPTOR,
    &clock::time::DESCRIPTOR,
    &clock::timex::DESCRIPTOR,
    &network::udp_queues::DESCRIPTOR,
    &system::uname::DESCRIPTOR,
    &memory::vmstat::DESCRIPTOR,
    &hardware::watchdog::DESCRIPTOR,
    &network::wifi::DESCRIPTOR,
    &network::xfrm::DESCRIPTOR,
    &disk::xfs::DESCRIPTOR,
    &disk::zfs::DESCRIPTOR,
    &memory::zoneinfo::DESCRIPTOR,
];
