//! Block devices, file systems, RAID.

pub(super) mod bcache;
pub(super) mod bcachefs;
pub(super) mod btrfs;
pub(super) mod diskstats;
pub(super) mod dmmultipath;
pub(super) mod drbd;
pub(super) mod filesystem;
pub(super) mod mdadm;
pub(super) mod mountstats;
pub(super) mod nfs;
pub(super) mod nfsd;
pub(super) mod nvme;
pub(super) mod nvmesubsystem;
pub(super) mod tapestats;
pub(super) mod xfs;
pub(super) mod zfs;
