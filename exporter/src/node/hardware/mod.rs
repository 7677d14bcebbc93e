//! Devices beside processors, disks and networks: sensors, power, buses.

pub(super) mod dmi;
pub(super) mod drm;
pub(super) mod edac;
pub(super) mod fibrechannel;
pub(super) mod hwmon;
pub(super) mod infiniband;
pub(super) mod pcidevice;
pub(super) mod powersupplyclass;
pub(super) mod rapl;
pub(super) mod thermal_zone;
pub(super) mod watchdog;
