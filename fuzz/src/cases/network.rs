//! The network.

use crate::Case;

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
