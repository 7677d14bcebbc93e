//! The tables: for every collector the files that it reads.

use crate::Case;

/// A target whose input is files.
pub type Target = (&'static str, &'static [&'static Case]);

/// Targets by name.
pub static TARGETS: &[Target] = &[
    ("cpu", CPU),
    ("memory", MEMORY),
    ("kernel", KERNEL),
    ("network", NETWORK),
    ("interfaces", INTERFACES),
    ("disk", DISK),
    ("mounts", MOUNTS),
    ("nfs", NFS),
    ("ipvs", IPVS),
    ("raid", RAID),
    ("filesystems", FILESYSTEMS),
    ("hardware", HARDWARE),
    ("buses", BUSES),
    ("textfile", TEXTFILE),
];

/// Inputs to begin with of the targets whose input is what one parser takes.
pub static SEEDS: &[(&str, &[&[u8]])] = &[
    ("docker", &[
        br#"{"Id":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","Name":"/web","Created":"2024-01-02T03:04:05.678Z","RestartCount":2,"Config":{"Image":"nginx:1","Labels":{"a.b":"c"}},"State":{"Status":"running","Pid":7,"StartedAt":"2024-01-02T03:04:05+01:00","Health":{"Status":"healthy"}},"HostConfig":{"NetworkMode":"container:abc"}}"#,
        br#"[{"Id":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","Names":["/web"],"Image":"nginx","State":"running","Labels":{"a":"b"}}]"#,
        br#"{"Type":"container","Action":"health_status: healthy","Actor":{"ID":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","Attributes":{}}}"#,
    ]),
    ("cgroup", &[
        b"usage_usec 10\nuser_usec 6\nsystem_usec 4\nnr_periods 5\nnr_throttled 2\nthrottled_usec 70\n",
        b"anon 1\nfile 2\nkernel 3\nshmem 4\ninactive_file 5\npgfault 6\npgmajfault 7\n",
        b"cache 1\nrss 2\nmapped_file 3\ntotal_inactive_file 4\ntotal_pgfault 5\nhierarchical_memory_limit 9\n",
        b"user 5\nsystem 6\n",
        b"25 19 0:22 /a /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n30 19 0:9 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        b"12:cpu,cpuacct:/a/b\n1:name=systemd:/x\n0::/init.scope\n",
    ]),
    ("request", &[
        b"collect[]=cpu&collect%5B%5D=mem+info\ntext/plain;version=0.0.4;q=0.5;escaping=dots,*/*;q=0.1\ngzip;q=1.0, identity; q=0\n2.5",
    ]),
    ("flags", &[
        b"--collector.disable-defaults\n--collector.cpu\n--web.listen-address=[::1]:9100\n--collector.netdev.device-exclude=^lo$\n--log.level=debug",
    ]),
    ("dbus", &[
        b"l\x02\x01\x01\x0c\0\0\0\x07\0\0\0\x08\0\0\0\x05\x01u\0\x09\0\0\0\x01s\0\0\x03\0\0\0252\0",
        b"\x1c\0\0\0\0\0\0\0\x05\0\0\0seat0\0\0\0\x04\0\0\0/s/0\0\0\0\0",
        b"unix:path=/run/x%20y,guid=1;unix:abstract=z",
    ]),
    ("services", &[
        b"<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n<value><struct>\n<member>\n<name>name</name>\n<value><string>a&amp;b</string></value>\n</member>\n<member>\n<name>state</name>\n<value><int>20</int></value>\n</member>\n</struct></value>\n</data></array></value>\n</param>\n</params>\n</methodResponse>\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\nContent-Type: text/xml\r\n\r\n<methodResponse>",
        b"<methodResponse><fault><value><struct></struct></value></fault></methodResponse>",
        b"@\0\0\0f\0\0\0\0\0\0\0\x07\0\0\0\0u\0\x01",
        b"http://user:pass@[::1]:9001/RPC2",
        b"\xe9\0\0\0\0\0\0\0\x24\x02\x06\xe9\0\0\x12\x34\0\x01\x56\x79TEST\xe9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xe9\0\0\0\0\0\0\0\xe9\0\0\0\0\0\0\0",
        b"rx_packets\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0port.tx[0] rx\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ]),
    ("glob", &[b"a[^b-d]?*\\*x\nabcd*x", b"*.prom\nx.prom"]),
];

pub static CPU: &[&Case] = &[
    &Case {
        collectors: &["cpu"],
        flags: &[
            "--collector.cpu.info",
            "--collector.cpu.info.flags-include=a",
            "--collector.cpu.info.bugs-include=m",
        ],
        files: &[
            ("proc/stat", None),
            ("proc/cpuinfo", None),
            ("sys/devices/system/cpu/isolated", None),
            ("sys/devices/system/cpu/cpu0/online", None),
            ("sys/devices/system/cpu/cpu0/topology/core_id", None),
            ("sys/devices/system/cpu/cpu0/topology/physical_package_id", None),
            ("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", None),
            ("sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", None),
        ],
        // A CPU's counters hold what they had reached.
        forgets: false,
    },
    &Case {
        collectors: &["stat"],
        flags: &["--collector.stat.softirq"],
        files: &[("proc/stat", None)],
        forgets: true,
    },
    &Case { collectors: &["interrupts"], flags: &[], files: &[("proc/interrupts", None)], forgets: true },
    &Case { collectors: &["softirqs"], flags: &[], files: &[("proc/softirqs", None)], forgets: true },
    &Case { collectors: &["schedstat"], flags: &[], files: &[("proc/schedstat", None)], forgets: true },
    &Case {
        collectors: &["cpu_vulnerabilities"],
        flags: &[],
        files: &[
            (
                "sys/devices/system/cpu/vulnerabilities/mds",
                Some("Mitigation: Clear CPU buffers; SMT Host state unknown\n"),
            ),
            ("sys/devices/system/cpu/vulnerabilities/retbleed", Some("Not affected\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["cpufreq"],
        flags: &[],
        files: &[
            (
                "sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors",
                Some("performance powersave\n"),
            ),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", Some("powersave\n")),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", Some("1699981\n")),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", Some("3700000\n")),
            ("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_min_freq", Some("800000\n")),
        ],
        forgets: true,
    },
];

pub static MEMORY: &[&Case] = &[
    &Case { collectors: &["meminfo"], flags: &[], files: &[("proc/meminfo", None)], forgets: true },
    &Case {
        collectors: &["vmstat"],
        flags: &["--collector.vmstat.fields=.*"],
        files: &[("proc/vmstat", None)],
        forgets: true,
    },
    &Case { collectors: &["buddyinfo"], flags: &[], files: &[("proc/buddyinfo", None)], forgets: true },
    &Case { collectors: &["swap"], flags: &[], files: &[("proc/swaps", None)], forgets: true },
    &Case {
        collectors: &["slabinfo"],
        flags: &[],
        files: &[(
            "proc/slabinfo",
            Some(
                "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n\
                dentry 70 86 192 21 1 : tunables 0 0 0 : slabdata 4 4 0\n",
            ),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["zoneinfo"],
        flags: &[],
        files: &[(
            "proc/zoneinfo",
            Some(
                "Node 0, zone      DMA\n  per-node stats\n      nr_inactive_anon 9\n      nr_mapped    4\n  pages free     2949\n        \
                min      8\n        low      11\n        spanned  4095\n        present  3997\n        managed  3975\n        \
                protection: (0, 2039, 31932)\n      nr_free_pages 2949\n  pagesets\n    cpu: 0\n              count: 0\n  \
                start_pfn:           1\nNode 0, zone   Normal\n  pages free     7\n        high     14\n",
            ),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["meminfo_numa"],
        flags: &[],
        files: &[
            (
                "sys/devices/system/node/node0/meminfo",
                Some(
                    "Node 0 MemTotal:       9 kB\nNode 0 Active(anon):    7 kB\nNode 0 HugePages_Total:     1\n",
                ),
            ),
            ("sys/devices/system/node/node0/numastat", Some("numa_hit 19\nnuma_miss 5\nlocal_node 7\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["ksmd"],
        flags: &[],
        files: &[
            ("sys/kernel/mm/ksm/full_scans", Some("323\n")),
            ("sys/kernel/mm/ksm/general_profit", Some("-5\n")),
            ("sys/kernel/mm/ksm/merge_across_nodes", Some("1\n")),
            ("sys/kernel/mm/ksm/pages_shared", Some("1\n")),
            ("sys/kernel/mm/ksm/pages_sharing", Some("255\n")),
            ("sys/kernel/mm/ksm/pages_to_scan", Some("100\n")),
            ("sys/kernel/mm/ksm/pages_unshared", Some("0\n")),
            ("sys/kernel/mm/ksm/pages_volatile", Some("0\n")),
            ("sys/kernel/mm/ksm/run", Some("1\n")),
            ("sys/kernel/mm/ksm/sleep_millisecs", Some("20\n")),
        ],
        forgets: true,
    },
];

pub static KERNEL: &[&Case] = &[
    &Case { collectors: &["loadavg"], flags: &[], files: &[("proc/loadavg", None)], forgets: true },
    &Case {
        collectors: &["pressure"],
        flags: &[],
        files: &[
            ("proc/pressure/cpu", None),
            ("proc/pressure/io", None),
            ("proc/pressure/memory", None),
            ("proc/pressure/irq", None),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["entropy", "filefd", "sysctl", "kernel_hung"],
        flags: &[
            "--collector.sysctl.include=fs.file-nr:open,spare,most",
            "--collector.sysctl.include=kernel.pid_max",
            "--collector.sysctl.include-info=kernel.ostype",
        ],
        files: &[
            ("proc/sys/kernel/random/entropy_avail", None),
            ("proc/sys/kernel/random/poolsize", None),
            ("proc/sys/fs/file-nr", None),
            ("proc/sys/kernel/pid_max", None),
            ("proc/sys/kernel/ostype", None),
            ("proc/sys/kernel/hung_task_detect_count", Some("3\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["cgroups"],
        flags: &[],
        files: &[(
            "proc/cgroups",
            Some("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t5\t47\t1\nrdma\t0\t1\t0\n"),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["os"],
        flags: &[],
        files: &[(
            "etc/os-release",
            Some(
                "PRETTY_NAME=\"Some \\\"OS\\\" 12.3\"\nNAME='Some OS'\nVERSION_ID=12.3\n# word\nID=some\nBUILD_ID=x\n\
                SUPPORT_END=2030-01-02\n",
            ),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["processes"],
        flags: &[],
        files: &[
            ("proc/1/stat", None),
            ("proc/7/stat", None),
            ("proc/1/task/1/stat", None),
            ("proc/1/task/7/stat", None),
            ("proc/sys/kernel/threads-max", None),
            ("proc/sys/kernel/pid_max", None),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["time"],
        flags: &[],
        files: &[
            ("sys/devices/system/clocksource/clocksource0/available_clocksource", Some("tsc hpet acpi_pm\n")),
            ("sys/devices/system/clocksource/clocksource0/current_clocksource", Some("tsc\n")),
        ],
        // It tells the time.
        forgets: false,
    },
];

pub static NETWORK: &[&Case] = &[
    &Case {
        collectors: &["arp"],
        flags: &["--no-collector.arp.netlink"],
        files: &[(
            "proc/net/arp",
            Some(
                "IP address       HW type     Flags       HW address            Mask     Device\n\
                192.168.1.1      0x1         0x2         cc:aa:dd:ee:aa:bb     *        eth0\n\
                192.168.1.2      0x1         0x2         bb:cc:dd:ee:ff:aa     *        eth1\n",
            ),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["netstat"],
        flags: &["--collector.netstat.fields=.*"],
        files: &[("proc/net/netstat", None), ("proc/net/snmp", None), ("proc/net/snmp6", None)],
        forgets: true,
    },
    &Case {
        collectors: &["sockstat"],
        flags: &[],
        files: &[("proc/net/sockstat", None), ("proc/net/sockstat6", None)],
        forgets: true,
    },
    &Case { collectors: &["softnet"], flags: &[], files: &[("proc/net/softnet_stat", None)], forgets: true },
    &Case {
        collectors: &["udp_queues"],
        flags: &[],
        files: &[("proc/net/udp", None), ("proc/net/udp6", None)],
        forgets: true,
    },
    &Case { collectors: &["xfrm"], flags: &[], files: &[("proc/net/xfrm_stat", None)], forgets: true },
    &Case {
        collectors: &["conntrack", "lnstat"],
        flags: &[],
        files: &[
            ("proc/net/stat/nf_conntrack", None),
            ("proc/net/stat/arp_cache", None),
            ("proc/sys/net/netfilter/nf_conntrack_count", None),
            ("proc/sys/net/netfilter/nf_conntrack_max", None),
        ],
        forgets: true,
    },
];

pub static INTERFACES: &[&Case] = &[
    &Case {
        collectors: &["netdev"],
        flags: &["--no-collector.netdev.netlink", "--collector.netdev.label-ifalias"],
        files: &[("proc/net/dev", None), ("sys/class/net/eth0/ifalias", None)],
        forgets: true,
    },
    &Case {
        collectors: &["netdev"],
        flags: &[
            "--no-collector.netdev.netlink",
            "--collector.netdev.enable-detailed-metrics",
            "--collector.netdev.device-exclude=^l",
        ],
        files: &[("proc/net/dev", None)],
        forgets: true,
    },
    &Case {
        collectors: &["bonding"],
        flags: &[],
        files: &[
            ("sys/class/net/bonding_masters", Some("bond0 int\n")),
            ("sys/class/net/bond0/bonding/slaves", Some("eth0 eth4\n")),
            ("sys/class/net/bond0/slave_eth0/bonding_slave/mii_status", Some("up\n")),
            ("sys/class/net/bond0/lower_eth4/bonding_slave/mii_status", Some("down\n")),
            ("sys/class/net/int/bonding/slaves", Some("\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["netclass"],
        flags: &[],
        files: &[
            ("sys/class/net/eth0/address", Some("01:01:01:01:01:01\n")),
            ("sys/class/net/eth0/broadcast", Some("ff:ff:ff:ff:ff:ff\n")),
            ("sys/class/net/eth0/carrier", Some("1\n")),
            ("sys/class/net/eth0/duplex", Some("full\n")),
            ("sys/class/net/eth0/flags", Some("0x1303\n")),
            ("sys/class/net/eth0/ifalias", Some("to the \"rack\"\n")),
            ("sys/class/net/eth0/ifindex", Some("2\n")),
            ("sys/class/net/eth0/mtu", Some("1500\n")),
            ("sys/class/net/eth0/operstate", Some("up\n")),
            ("sys/class/net/eth0/speed", Some("-1\n")),
            ("sys/class/net/eth0/type", Some("1\n")),
        ],
        forgets: true,
    },
];

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

pub static NFS: &[&Case] = &[
    &Case {
        collectors: &["nfs"],
        flags: &[],
        files: &[(
            "proc/net/rpc/nfs",
            Some(
                "net 70 70 69 45\nrpc 7 3 9\nproc2 18 16 57 74 52 71 73 45 86 0 52 83 61 17 53 50 23 70 82\n\
                proc3 22 0 1 2 3 4 5 6 7 8 9 0 0 7 15 1 0 3 9 2 1 1 7\nproc4 4 98 51 54 83\n",
            ),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["nfsd"],
        flags: &[],
        files: &[(
            "proc/net/rpc/nfsd",
            Some(
                "rc 0 6 18622\nfh 0 0 0 0 0\nio 157286400 72864\nth 8 0 0.000 0.000\nra 32 0 0 0 0 0 0 0 0 0 0 0\n\
                net 972 55 917 1\nrpc 18628 3 1 2 0\nproc4 2 2 10853\nwdeleg_getattr 15\n",
            ),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["mountstats"],
        flags: &[],
        files: &[
            (
                "proc/self/mountstats",
                Some(
                    "device rootfs mounted on / with fstype rootfs\n\
                    device srv:/x mounted on /mnt/a\\040b with fstype nfs4 statvers=1.1\n\tage:\t13968\n\
                    \tevents:\t1 2 0 0 1 3 3 0 0 3 0 4 0 0 7 0 0 7 0 0 0 0 0 0 0 0 0\n\tbytes:\t1 2 3 4 5 6 7 8\n\
                    \txprt:\ttcp 832 0 1 0 11 6 7 0 9 0 24 26 57\n\txprt:\tudp 832 1 2 3 4 5 6 7 8 9\n\
                    \tper-op statistics\n\t  NULL: 0 1 2 3 4 5 6 7\n\t  READ: 0 1 2 3 4 5 6 7 8\n\n",
                ),
            ),
            (
                "proc/self/mountinfo",
                Some(
                    "21 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
                    194 21 0:42 / /mnt/a\\040b rw - nfs4 srv:/x rw,vers=4,addr=192.168.1.1,local_lock=none\n",
                ),
            ),
        ],
        forgets: true,
    },
];

pub static IPVS: &[&Case] = &[&Case {
    collectors: &["ipvs"],
    flags: &[
        "--collector.ipvs.backend-labels=local_address,local_port,remote_address,remote_port,proto,local_mark",
    ],
    files: &[
        (
            "proc/net/ip_vs",
            Some(
                "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  \
                -> RemoteAddress:Port Forward Weight ActiveConn InActConn\nTCP  C0A80016:0CEA wlc  \n  \
                -> C0A85216:0CEA      Tunnel  100    248        2         \n\
                TCP  [2620:0000:0000:0000:0000:0000:0000:0001]:0050 sh  \n  \
                -> [2620:0000:0000:0000:0000:0000:0000:0002]:0050      Tunnel  0      0          1         \n\
                FWM  10001000 wlc   \n  -> C0A8321A:0CEA      Route   20     64         1         \n",
            ),
        ),
        (
            "proc/net/ip_vs_stats",
            Some(
                "   Total Incoming Outgoing         Incoming         Outgoing\n   Conns  Packets  Packets            \
                Bytes            Bytes\n 16AA370 E33656E5        0     51D8C8883AB3                0\n\n Conns/s\n",
            ),
        ),
    ],
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

pub static FILESYSTEMS: &[&Case] = &[
    &Case {
        collectors: &["xfs"],
        flags: &[],
        files: &[(
            "sys/fs/xfs/sda1/stats/stats",
            Some(
                "extent_alloc 1 872 0 0\nabt 0 0 0 0\nblk_map 61 29 1 1 1 91 0\nbmbt 0 0 0 0\ndir 3 2 1 52\ntrans 4 40 0\n\
                ig 5 1 0 4 0 0 1\nlog 8 21 0 5821 4\npush_ail 44 0 1102 15 0 2 0 2 0 2\nxstrat 1 0\nrw 28 0\nattr 0 0 0 0\n\
                icluster 2 2 2\nvnodes 4 0 0 0 1 1 1 0\nbuf 22 25 14 0 0 8 0 8 8\nxpc 3571712 3568056 0\ndebug 0\n",
            ),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["zfs"],
        flags: &[],
        files: &[
            (
                "proc/spl/kstat/zfs/arcstats",
                Some(
                    "6 1 0x01 91 4368 5266997922 97951858082072\nname type data\nhits 4 8772612\nsize 4 1603939792\nmemory_available_bytes 3 -922337203685477580\n",
                ),
            ),
            ("proc/spl/kstat/zfs/fm", Some("0 1 0x01 4 176 1 2\nname type data\nerpt-dropped 4 18\n")),
            (
                "proc/spl/kstat/zfs/pool1/io",
                Some(
                    "12 3 0x00 1 80 79205351707403 395818011156865\nnread    nwritten reads    writes   wtime    wlentime wupdate  rtime    rlentime rupdate  wcnt     rcnt\n1884160  3206144  22       132      7155162  104112268 79210489694949 24168078 104112268 79210489849220 0        0\n",
                ),
            ),
            (
                "proc/spl/kstat/zfs/pool1/objset-1",
                Some(
                    "23 1 0x01 7 2160 221578688875 6665999035587\nname type data\ndataset_name 7 pool1\nwrites 4 7\nnread 4 7\n",
                ),
            ),
            ("proc/spl/kstat/zfs/pool1/state", Some("ONLINE\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["btrfs"],
        flags: &[],
        files: &[
            ("sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/label", Some("fixture\n")),
            (
                "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/commit_stats",
                Some("commits 258051\nlast_commit_ms 1000\nmax_commit_ms 51462\ntotal_commit_ms 47836090\n"),
            ),
            ("sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/devices/loop25/size", Some("20971520\n")),
            (
                "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/allocation/global_rsv_size",
                Some("16777216\n"),
            ),
            ("sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/allocation/data/bytes_reserved", Some("0\n")),
            (
                "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/allocation/data/raid0/total_bytes",
                Some("2147483648\n"),
            ),
            (
                "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/allocation/data/raid0/used_bytes",
                Some("808189952\n"),
            ),
            (
                "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/allocation/metadata/bytes_reserved",
                Some("0\n"),
            ),
            (
                "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/allocation/system/bytes_reserved",
                Some("0\n"),
            ),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["bcache"],
        flags: &["--collector.bcache.priorityStats"],
        files: &[
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/average_key_size", Some("0\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/btree_cache_size", Some("1.5k\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/cache_available_percent", Some("100\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/congested", Some("0\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/root_usage_percent", Some("0\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/tree_depth", Some("0\n")),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/internal/active_journal_entries",
                Some("1\n"),
            ),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/internal/btree_nodes", Some("0\n")),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/internal/btree_read_average_duration_us",
                Some("1305\n"),
            ),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/internal/cache_read_races", Some("0\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/dirty_data", Some("1.2G\n")),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/writeback_rate_debug",
                Some(
                    "rate:\t\t1.1M/sec\ndirty:\t\t20.4G\ntarget:\t\t20.4G\nproportional:\t427.5k\nintegral:\t790.0k\nchange:\t\t321.5k/sec\nnext io:\t17ms\n",
                ),
            ),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/bypassed", Some("0\n")),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/cache_bypass_hits",
                Some("0\n"),
            ),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/cache_bypass_misses",
                Some("0\n"),
            ),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/cache_hits",
                Some("546\n"),
            ),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/cache_miss_collisions",
                Some("0\n"),
            ),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/cache_misses",
                Some("0\n"),
            ),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/cache_readaheads",
                Some("0\n"),
            ),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/cache0/io_errors", Some("0\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/cache0/metadata_written", Some("512\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/cache0/written", Some("0\n")),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/cache0/priority_stats",
                Some(
                    "Unused:\t\t99%\nMetadata:\t0%\nAverage:\t10473\nSectors per Q:\t64\nQuantiles:\t[0 0 20946]\n",
                ),
            ),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["bcachefs"],
        flags: &[],
        files: &[
            ("sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/btree_cache_size", Some("1.2G\n")),
            (
                "sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/btree_write_stats",
                Some(
                    "                   nr        size\ninitial:           3298401   100k\ninterior:          3035363   1.26k\n",
                ),
            ),
            (
                "sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/compression_stats",
                Some(
                    "typetype          compressed    uncompressed     average extent size\nlz4                    48.9G           71.2G                   62.5k\n",
                ),
            ),
            (
                "sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/counters/btree_cache_reap",
                Some("since mount:                   10555604\nsince filesystem creation:     69068459\n"),
            ),
            (
                "sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/errors",
                Some("bset_bad_csum                                   2       1767112063\n"),
            ),
            ("sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/label", Some("hdd.1\n")),
            ("sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/state", Some("rw\n")),
            ("sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/bucket_size", Some("256k\n")),
            ("sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/nbuckets", Some("976561\n")),
            ("sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/durability", Some("1\n")),
            (
                "sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/io_done",
                Some("read:\nsb          : 3989504\nbtree       : 5\nwrite:\nuser        : 7\n"),
            ),
            (
                "sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/io_errors",
                Some(
                    "IO errors since filesystem creation\n  read:    197346\n  write:   0\n  checksum:0\nIO errors since 8 y ago\n",
                ),
            ),
        ],
        forgets: true,
    },
];

pub static HARDWARE: &[&Case] = &[
    &Case {
        collectors: &["hwmon"],
        flags: &[],
        files: &[
            ("sys/class/hwmon/hwmon0/name", Some("coretemp\n")),
            ("sys/class/hwmon/hwmon0/temp1_input", Some("55000\n")),
            ("sys/class/hwmon/hwmon0/temp1_label", Some("Package \"0\"\n")),
            ("sys/class/hwmon/hwmon0/temp1_crit_alarm", Some("0\n")),
            ("sys/class/hwmon/hwmon0/temp1_type", Some("1\n")),
            ("sys/class/hwmon/hwmon0/fan1_input", Some("1098\n")),
            ("sys/class/hwmon/hwmon0/in0_input", Some("792\n")),
            ("sys/class/hwmon/hwmon0/curr1_input", Some("-3\n")),
            ("sys/class/hwmon/hwmon0/power1_average", Some("75140000\n")),
            ("sys/class/hwmon/hwmon0/energy1_input", Some("8\n")),
            ("sys/class/hwmon/hwmon0/humidity1_input", Some("8\n")),
            ("sys/class/hwmon/hwmon0/freq1_input", Some("1800000\n")),
            ("sys/class/hwmon/hwmon0/freq1_label", Some("sclk\n")),
            ("sys/class/hwmon/hwmon0/pwm1", Some("132\n")),
            ("sys/class/hwmon/hwmon0/beep_enable", Some("0\n")),
            ("sys/class/hwmon/hwmon0/update_interval", Some("1000\n")),
        ],
        // A label is learnt when the chip comes.
        forgets: false,
    },
    &Case {
        collectors: &["thermal_zone"],
        flags: &[],
        files: &[
            ("sys/class/thermal/thermal_zone0/type", Some("bcm2835_thermal\n")),
            ("sys/class/thermal/thermal_zone0/temp", Some("49925\n")),
            ("sys/class/thermal/cooling_device0/type", Some("Processor\n")),
            ("sys/class/thermal/cooling_device0/cur_state", Some("0\n")),
            ("sys/class/thermal/cooling_device0/max_state", Some("3\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["powersupplyclass"],
        flags: &[],
        files: &[
            ("sys/class/power_supply/BAT0/type", Some("Battery\n")),
            ("sys/class/power_supply/BAT0/status", Some("Charging\n")),
            ("sys/class/power_supply/BAT0/capacity", Some("81\n")),
            ("sys/class/power_supply/BAT0/capacity_level", Some("Normal\n")),
            ("sys/class/power_supply/BAT0/energy_full", Some("45070000\n")),
            ("sys/class/power_supply/BAT0/voltage_now", Some("11884000\n")),
            ("sys/class/power_supply/BAT0/manufacturer", Some("LGC\n")),
            ("sys/class/power_supply/BAT0/serial_number", Some("38109\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["edac"],
        flags: &[],
        files: &[
            ("sys/devices/system/edac/mc/mc0/ce_count", Some("1\n")),
            ("sys/devices/system/edac/mc/mc0/ce_noinfo_count", Some("2\n")),
            ("sys/devices/system/edac/mc/mc0/ue_count", Some("5\n")),
            ("sys/devices/system/edac/mc/mc0/ue_noinfo_count", Some("6\n")),
            ("sys/devices/system/edac/mc/mc0/csrow0/ce_count", Some("3\n")),
            ("sys/devices/system/edac/mc/mc0/csrow0/ue_count", Some("4\n")),
            ("sys/devices/system/edac/mc/mc0/csrow0/ch0_ce_count", Some("7\n")),
            ("sys/devices/system/edac/mc/mc0/csrow0/ch0_ue_count", Some("8\n")),
            ("sys/devices/system/edac/mc/mc0/csrow0/ch0_dimm_label", Some("CPU_SrcID#0_DIMM#0\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["rapl"],
        flags: &[],
        files: &[
            ("sys/class/powercap/intel-rapl:0/name", Some("package-0\n")),
            ("sys/class/powercap/intel-rapl:0/energy_uj", Some("240422366267\n")),
            ("sys/class/powercap/intel-rapl:0/max_energy_range_uj", Some("262143328850\n")),
            ("sys/class/powercap/intel-rapl:0:0/name", Some("core\n")),
            ("sys/class/powercap/intel-rapl:0:0/energy_uj", Some("118821284256\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["watchdog"],
        flags: &[],
        files: &[
            ("sys/class/watchdog/watchdog0/bootstatus", Some("1\n")),
            ("sys/class/watchdog/watchdog0/identity", Some("Software Watchdog\n")),
            ("sys/class/watchdog/watchdog0/nowayout", Some("0\n")),
            ("sys/class/watchdog/watchdog0/options", Some("0x8380\n")),
            ("sys/class/watchdog/watchdog0/pretimeout_governor", Some("noop\n")),
            ("sys/class/watchdog/watchdog0/status", Some("0x8000\n")),
            ("sys/class/watchdog/watchdog0/timeleft", Some("300\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["dmi"],
        flags: &[],
        files: &[
            ("sys/class/dmi/id/bios_date", Some("04/12/2021\n")),
            ("sys/class/dmi/id/board_serial", Some(".7N62AI2.GR TCLA6910060S.\n")),
            ("sys/class/dmi/id/sys_vendor", Some("Some Inc.\n")),
        ],
        // It never changes while the machine runs.
        forgets: false,
    },
    &Case {
        collectors: &["drm"],
        flags: &[],
        files: &[
            ("sys/class/drm/card0/device/uevent", Some("DRIVER=amdgpu\nPCI_CLASS=38000\n")),
            ("sys/class/drm/card0/device/gpu_busy_percent", Some("4\n")),
            ("sys/class/drm/card0/device/mem_info_vram_used", Some("1490378752\n")),
            ("sys/class/drm/card0/device/mem_info_vram_vendor", Some("samsung\n")),
            ("sys/class/drm/card0/device/unique_id", Some("0123456789abcdef\n")),
        ],
        forgets: true,
    },
];

pub static BUSES: &[&Case] = &[
    &Case {
        collectors: &["infiniband"],
        flags: &[],
        files: &[
            ("sys/class/infiniband/mlx4_0/board_id", Some("SM_1141000001000\n")),
            ("sys/class/infiniband/mlx4_0/fw_ver", Some("2.31.5050\n")),
            ("sys/class/infiniband/mlx4_0/hca_type", Some("MT4099\n")),
            ("sys/class/infiniband/mlx4_0/ports/1/state", Some("4: ACTIVE\n")),
            ("sys/class/infiniband/mlx4_0/ports/1/phys_state", Some("5: LinkUp\n")),
            ("sys/class/infiniband/mlx4_0/ports/1/rate", Some("40 Gb/sec (4X QDR)\n")),
            ("sys/class/infiniband/mlx4_0/ports/1/counters/port_rcv_data", Some("8884894436\n")),
            ("sys/class/infiniband/mlx4_0/ports/1/counters/link_downed", Some("N/A (no PMA)\n")),
            ("sys/class/infiniband/mlx4_0/ports/1/hw_counters/duplicate_request", Some("41\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["fibrechannel"],
        flags: &[],
        files: &[
            ("sys/class/fc_host/host0/speed", Some("16 Gbit\n")),
            ("sys/class/fc_host/host0/port_state", Some("Online\n")),
            ("sys/class/fc_host/host0/port_type", Some("Point-To-Point (direct nport connection)\n")),
            ("sys/class/fc_host/host0/port_id", Some("0x000002\n")),
            ("sys/class/fc_host/host0/port_name", Some("0x1000e0071bce95f2\n")),
            ("sys/class/fc_host/host0/fabric_name", Some("0x0\n")),
            ("sys/class/fc_host/host0/symbolic_name", Some("Some HBA\n")),
            ("sys/class/fc_host/host0/supported_classes", Some("Class 3\n")),
            ("sys/class/fc_host/host0/supported_speeds", Some("4 Gbit, 8 Gbit, 16 Gbit\n")),
            ("sys/class/fc_host/host0/dev_loss_tmo", Some("30\n")),
            ("sys/class/fc_host/host0/statistics/dumped_frames", Some("0xffffffffffffffff\n")),
            ("sys/class/fc_host/host0/statistics/error_frames", Some("0x1\n")),
            ("sys/class/fc_host/host0/statistics/rx_words", Some("0x4\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["pcidevice"],
        flags: &["--collector.pcidevice.names", "--collector.pcidevice.idsfile={root}/pci.ids"],
        files: &[
            (
                "pci.ids",
                Some(
                    "# list\n8086  Intel Corporation\n\t1234  Some device\n\t\t17aa 5095  Some board\nC 06  Bridge\n\t04  PCI bridge\n\t\t00  Normal decode\n",
                ),
            ),
            ("sys/bus/pci/devices/0000:00:02.1", Some("-> ../../../devices/pci0000:00/0000:00:02.1")),
            ("sys/devices/pci0000:00/0000:00:02.1/class", Some("0x060400\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/vendor", Some("0x8086\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/device", Some("0x1234\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/subsystem_vendor", Some("0x17aa\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/subsystem_device", Some("0x5095\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/revision", Some("0x00\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/current_link_speed", Some("8.0 GT/s PCIe\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/max_link_width", Some("8\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/current_link_width", Some("4\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/max_link_speed", Some("16.0 GT/s PCIe\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/d3cold_allowed", Some("1\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/power_state", Some("D0\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/numa_node", Some("-1\n")),
            ("sys/devices/pci0000:00/0000:00:02.1/sriov_numvfs", Some("4\n")),
        ],
        // The list of names is read once.
        forgets: false,
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
