//! The tables: for every collector the files that it reads.

mod filesystems;
mod hardware;
mod network;
mod storage;
mod system;

pub use filesystems::FILESYSTEMS;
pub use hardware::{BUSES, HARDWARE};
pub use network::{INTERFACES, IPVS, NETWORK, NFS};
pub use storage::{DISK, MOUNTS, RAID, TEXTFILE};
pub use system::{CPU, KERNEL, MEMORY};

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
