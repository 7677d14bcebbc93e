//! Disks and file systems.

use crate::Case;

pub static DISK: &[&Case] = &[
    &Case {
        collectors: &["diskstats"],
        flags: &[],
        files: &[
            ("proc/diskstats", None),
            (
                "udev/data/b8:0",
                Some(
                    "S:disk/by-id/a\nE:ID_MODEL=Some\\x20Disk\nE:ID_SERIAL_SHORT=7\nE:ID_ATA=1\nE:ID_ATA_ROTATION_RATE_RPM=7200\nE:ID_FS_TYPE=ext4\nE:ID_FS_VERSION=1.0\nE:ID_FS_UUID=x\nE:DM_NAME=a--b\nE:DM_VG_NAME=v\nE:DM_LV_NAME=l\nE:DM_UUID=LVM-x\n",
                ),
            ),
            ("sys/block/sda/queue/rotational", None),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["nvme"],
        flags: &[],
        files: &[
            ("sys/class/nvme/nvme0/cntlid", Some("1997\n")),
            ("sys/class/nvme/nvme0/firmware_rev", Some("1B2QEXP7\n")),
            ("sys/class/nvme/nvme0/model", Some("Some SSD 970\n")),
            ("sys/class/nvme/nvme0/serial", Some("S680HF8N190894I\n")),
            ("sys/class/nvme/nvme0/state", Some("live\n")),
            ("sys/class/nvme/nvme0/nvme0n1/ana_state", Some("optimized\n")),
            ("sys/class/nvme/nvme0/nvme0n1/nuse", Some("488281250\n")),
            ("sys/class/nvme/nvme0/nvme0n1/size", Some("3907029168\n")),
            ("sys/class/nvme/nvme0/nvme0n1/queue/logical_block_size", Some("4096\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["nvmesubsystem"],
        flags: &[],
        files: &[
            ("sys/class/nvme-subsystem/nvme-subsys0/iopolicy", Some("round-robin\n")),
            ("sys/class/nvme-subsystem/nvme-subsys0/model", Some("Some Store\n")),
            ("sys/class/nvme-subsystem/nvme-subsys0/serial", Some("SN1\n")),
            ("sys/class/nvme-subsystem/nvme-subsys0/subsysnqn", Some("nqn.2014.x\n")),
            ("sys/class/nvme-subsystem/nvme-subsys0/nvme0/state", Some("live\n")),
            ("sys/class/nvme-subsystem/nvme-subsys0/nvme0/transport", Some("fc\n")),
            ("sys/class/nvme-subsystem/nvme-subsys0/nvme0n1/size", Some("1\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["dmmultipath"],
        flags: &[],
        files: &[
            ("sys/block/dm-5/dm/name", Some("mpathA\n")),
            ("sys/block/dm-5/dm/suspended", Some("0\n")),
            ("sys/block/dm-5/dm/uuid", Some("mpath-36001\n")),
            ("sys/block/dm-5/size", Some("209715200\n")),
            ("sys/block/dm-5/slaves/sdi/x", Some("")),
            ("sys/block/sdi/device/state", Some("running\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["tapestats"],
        flags: &[],
        files: &[
            ("sys/class/scsi_tape/st0/stats/in_flight", Some("1\n")),
            ("sys/class/scsi_tape/st0/stats/io_ns", Some("9247011087720\n")),
            ("sys/class/scsi_tape/st0/stats/other_cnt", Some("1409\n")),
            ("sys/class/scsi_tape/st0/stats/read_byte_cnt", Some("979383912\n")),
            ("sys/class/scsi_tape/st0/stats/read_cnt", Some("3741\n")),
            ("sys/class/scsi_tape/st0/stats/read_ns", Some("33788355744\n")),
            ("sys/class/scsi_tape/st0/stats/resid_cnt", Some("19\n")),
            ("sys/class/scsi_tape/st0/stats/write_byte_cnt", Some("1496246784000\n")),
            ("sys/class/scsi_tape/st0/stats/write_cnt", Some("53772916\n")),
            ("sys/class/scsi_tape/st0/stats/write_ns", Some("5233597394395\n")),
        ],
        forgets: true,
    },
];

pub static MOUNTS: &[&Case] = &[&Case {
    collectors: &["filesystem"],
    flags: &["--collector.filesystem.mount-points-exclude=^$", "--collector.filesystem.fs-types-exclude=^$"],
    files: &[("proc/1/mountinfo", None)],
    forgets: true,
}];

pub static RAID: &[&Case] = &[
    &Case {
        collectors: &["mdadm"],
        flags: &[],
        files: &[
            (
                "proc/mdstat",
                Some(
                    "Personalities : [raid1] [raid0]\n\nmd6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]\n      \
                    195310144 blocks [2/1] [U_]\n      bitmap: 0/2 pages [0KB], 65536KB chunk\n      \
                    [=>....]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec\n\n\
                    md9 : active raid0 sdb1[1] sda1[0]\n      7 blocks super 1.2\n\nunused devices: <none>\n",
                ),
            ),
            ("sys/block/md6/md/degraded", Some("1\n")),
            ("sys/block/md6/md/raid_disks", Some("2\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["drbd"],
        flags: &[],
        files: &[(
            "proc/drbd",
            Some(
                "version: 8.4.3 (api:1/proto:86-101)\nsrcversion: 1A9\n\n \
                1: cs:Connected ro:Primary/Secondary ds:UpToDate/Inconsistent C r-----\n    \
                ns:17 nr:10 dw:2 dr:1 al:11 bm:2 lo:3 pe:4 ua:5 ap:6 ep:1 wo:d oos:3\n",
            ),
        )],
        forgets: true,
    },
];

pub static TEXTFILE: &[&Case] = &[&Case {
    collectors: &["textfile"],
    flags: &["--collector.textfile.directory={root}/text"],
    files: &[
        (
            "text/a.prom",
            Some(
                "# HELP one_total Some \\\\ words\\n more.\n# TYPE one_total counter\none_total{a=\"b\\\"c\",d=\"\"} 1.5e3\n\
                one_total{a=\"x\"} +Inf\n# TYPE two histogram\ntwo_bucket{le=\"0.5\"} 1\ntwo_bucket{le=\"+Inf\"} 2\ntwo_sum 3\n\
                two_count 2\n# TYPE three summary\nthree{quantile=\"0.9\"} NaN\nthree_sum 0\nthree_count 0\nfour 7\n",
            ),
        ),
        (
            "text/b.prom",
            Some("# HELP four Other words.\n# TYPE four untyped\nfour{x=\"1\"} -0.5 \nfive 0x10\n"),
        ),
    ],
    // The files' times are told.
    forgets: false,
}];
