//! What a mounted Btrfs tells of its devices, by ioctl(2). (No crate that is kept up asks it.)

use std::{fs::File, io, path::Path};

use rustix::ioctl::{Getter, Updater, ioctl, opcode};

const MAGIC: u8 = 0x94;
/// Devices have numbers from 1; a number as high as this is no sane answer.
const MOST_DEVICES: u64 = 4096;

/// `struct btrfs_ioctl_fs_info_args`.
#[repr(C)]
struct FsInfo {
    max_id: u64,
    devices: u64,
    fsid: [u8; 16],
    rest: [u64; 124],
}

/// `struct btrfs_ioctl_dev_info_args`.
#[repr(C)]
struct DevInfo {
    id: u64,
    uuid: [u8; 16],
    used: u64,
    total: u64,
    rest: [u64; 379],
    path: [u8; 1024],
}

/// `struct btrfs_ioctl_get_dev_stats`.
#[repr(C)]
struct DevStats {
    id: u64,
    count: u64,
    flags: u64,
    values: [u64; 5],
    rest: [u64; 121],
}

const _: () = {
    assert!(size_of::<FsInfo>() == 1024);
    assert!(size_of::<DevInfo>() == 4096);
    assert!(size_of::<DevStats>() == 1032);
};

const FS_INFO: u32 = opcode::read::<FsInfo>(MAGIC, 31);
const DEV_INFO: u32 = opcode::read_write::<DevInfo>(MAGIC, 30);
const GET_DEV_STATS: u32 = opcode::read_write::<DevStats>(MAGIC, 52);

/// One device of a filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its path, `/dev/sda`.
    pub path: Vec<u8>,
    /// Its own UUID.
    pub uuid: [u8; 16],
    /// Its size, in bytes.
    pub total: u64,
    /// How much of it is set apart, in bytes.
    pub used: u64,
    /// Errors: write, read, flush, corruption, generation.
    pub errors: [u64; 5],
}

/// The UUID of the filesystem mounted here, and its devices.
///
/// # Errors
/// What `open` or `ioctl` says; the latter wants root.
pub fn devices(mount_point: &Path) -> io::Result<([u8; 16], Vec<Device>)> {
    let file = File::open(mount_point)?;
    // SAFETY: the struct has the size and layout that the kernel writes for this request.
    let info: FsInfo = unsafe { ioctl(&file, Getter::<FS_INFO, FsInfo>::new()) }?;
    let mut devices = Vec::new();
    for id in 0..=info.max_id.min(MOST_DEVICES) {
        let mut device = DevInfo { id, uuid: [0; 16], used: 0, total: 0, rest: [0; 379], path: [0; 1024] };
        // SAFETY: as above; what the kernel writes is plain numbers and bytes.
        match unsafe { ioctl(&file, Updater::<DEV_INFO, DevInfo>::new(&mut device)) } {
            Err(rustix::io::Errno::NODEV) => continue,
            other => other?,
        }
        let mut stats = DevStats { id, count: 5, flags: 0, values: [0; 5], rest: [0; 121] };
        // SAFETY: as above.
        unsafe { ioctl(&file, Updater::<GET_DEV_STATS, DevStats>::new(&mut stats)) }?;
        let path = device.path.split(|&byte| byte == 0).next().unwrap_or_default();
        devices.push(Device {
            path: path.to_vec(),
            uuid: device.uuid,
            total: device.total,
            used: device.used,
            errors: stats.values,
        });
    }
    Ok((info.fsid, devices))
}
