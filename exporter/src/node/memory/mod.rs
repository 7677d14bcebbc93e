//! Memory: how much, for what, how scarce.

pub(super) mod buddyinfo;
pub(super) mod ksmd;
pub(super) mod meminfo;
pub(super) mod meminfo_numa;
pub(super) mod slabinfo;
pub(super) mod swap;
pub(super) mod vmstat;
pub(super) mod zoneinfo;
