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
    ("runtimes", &[
        b"\n\xcd\x02\n\x03abc\x12\x13\n\x0cnerdctl/name\x12\x03web\x1a\x09busybox:1*\xba\x01\n\x01x\x12\xb4\x01{\"process\":{\"env\":[\"A=b\"]},\"annotations\":{\"io.kubernetes.cri.sandbox-id\":\"def\"},\"linux\":{\"cgroupsPath\":\"a-b.slice:p:abc\",\"namespaces\":[{\"type\":\"network\",\"path\":\"/proc/7/ns/net\"}]}}B\x08\x08\xa2\xec\x8f\xd8\x06\x10\x05R_\n$io.cri-containerd.container.metadata\x127\n\x01x\x122{\"Metadata\":{\"Config\":{\"metadata\":{\"attempt\":4}}}}",
        b"\n\x03abc\x12\x03abc\x18M \x02",
        b"\x12\x06k8s.io\x1a\x0b/tasks/exit\"\x11\n\x01x\x12\x0c\n\x03abc\x12\x03abc\x18\x07",
        b"\nd\n\x03abc\x12\x07\n\x03web\x10\x03\x18\x01 \x80\xf2\xe0\xa3\xd2\xd1\xa7\xf5\x18(\x80\x86\xcc\x80\xd6\xd1\xa7\xf5\x18B\x0b\n\x09busybox:1b\x06\n\x01a\x12\x01bj)\n$io.kubernetes.container.restartCount\x12\x015\x12\xe8\x01\n\x04info\x12\xdf\x01{\"sandboxID\":\"def\",\"pid\":77,\"runtimeSpec\":{\"process\":{\"env\":[\"A=b\"]},\"annotations\":{\"io.kubernetes.cri.sandbox-id\":\"def\"},\"linux\":{\"cgroupsPath\":\"a-b.slice:p:abc\",\"namespaces\":[{\"type\":\"network\",\"path\":\"/proc/7/ns/net\"}]}}}",
        b"\n1\n\x03abc\x12\x10\n\x03pod\x12\x03uid\x1a\x02ns \x01 \x80\xf2\xe0\xa3\xd2\xd1\xa7\xf5\x182\x06\n\x04\x12\x02\x08\x02:\x06\n\x01a\x12\x01b\x12\xe8\x01\n\x04info\x12\xdf\x01{\"sandboxID\":\"def\",\"pid\":77,\"runtimeSpec\":{\"process\":{\"env\":[\"A=b\"]},\"annotations\":{\"io.kubernetes.cri.sandbox-id\":\"def\"},\"linux\":{\"cgroupsPath\":\"a-b.slice:p:abc\",\"namespaces\":[{\"type\":\"network\",\"path\":\"/proc/7/ns/net\"}]}}}",
        b"\n\x03abc\x10\x03\x18\x01",
    ]),
    ("cgroup", &[
        b"usage_usec 10\nuser_usec 6\nsystem_usec 4\nnr_periods 5\nnr_throttled 2\nthrottled_usec 70\n",
        b"anon 1\nfile 2\nkernel 3\nshmem 4\ninactive_file 5\npgfault 6\npgmajfault 7\n",
        b"cache 1\nrss 2\nmapped_file 3\ntotal_inactive_file 4\ntotal_pgfault 5\nhierarchical_memory_limit 9\n",
        b"user 5\nsystem 6\n",
        b"25 19 0:22 /a /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n30 19 0:9 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        b"12:cpu,cpuacct:/a/b\n1:name=systemd:/x\n0::/init.scope\n",
        b"6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),oom_memcg=/a,task_memcg=/a/\\x5cb\06,2,2,c;,task=x,pid=7,uid=0\n\03,3,2,-;Memory cgroup out of memory: Killed process 7 (x)\n\06,4,2,-;Task in /a killed as a result of limit of /a\n",
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
