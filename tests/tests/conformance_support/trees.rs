//! Trees whose files hold the figures that the expected output shows.

use std::{io::Write, os::unix::fs::symlink, path::Path};

use tests::{
    pack::copy_with_links,
    scripted::{Scripted, answer},
};

use crate::container_support::tree::Tree;

/// The container's id, and the number of its process, which no kernel gives.
pub const ID: &str = "abababababababababababababababababababababababababababababababab";
pub const PATH: &str = "/docker/abababababababababababababababababababababababababababababababab";
pub const PID: u32 = 4_999_999;

/// What Docker's API says of a container.
pub fn inspection(id: &str, name: &str, pid: u32) -> String {
    serde_json::json!({
        "Id": id,
        "Name": format!("/{name}"),
        "Created": "2009-11-10T23:00:00Z",
        "State": {
            "Status": "running",
            "Pid": pid,
            "StartedAt": "2009-11-10T23:16:40Z",
            "Health": { "Status": "healthy" },
        },
        "Config": { "Image": "test", "Labels": { "foo.label": "bar" }, "Env": ["FOO_ENV=prod"] },
        "HostConfig": { "NetworkMode": "bridge" },
    })
    .to_string()
}

/// An engine that has these containers (id, name, pid).
pub fn engine(socket: &Path, containers: &'static [(&'static str, &'static str, u32)]) -> Scripted {
    Scripted::start(socket, move |target, mut stream| {
        if target.starts_with("/events") {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            std::thread::park();
        } else if target == "/containers/json" {
            let entry = |(id, name, _): &(&str, &str, u32)| {
                serde_json::json!({ "Id": id, "Names": [format!("/{name}")], "State": "running",
                    "Status": "Up (healthy)" })
            };
            let list = containers.iter().map(entry).collect::<serde_json::Value>();
            answer(&mut stream, "200 OK", list.to_string().as_bytes());
        } else {
            let asked = target.split('/').nth(2).unwrap_or_default();
            match containers.iter().find(|(id, ..)| *id == asked) {
                Some((id, name, pid)) => {
                    answer(&mut stream, "200 OK", inspection(id, name, *pid).as_bytes());
                }
                None => answer(&mut stream, "404 Not Found", b"{}"),
            }
        }
    })
}

/// Another container with the files and the process of the first.
pub fn add_twin(tree: &Tree, id: &str, pid: u32) {
    for hierarchy in
        &tree.layout.hierarchies.iter().chain(tree.layout.beside.iter().map(|one| &one.1)).collect::<Vec<_>>()
    {
        let docker = hierarchy.mount.join("docker");
        copy_with_links(&docker.join(ID), &docker.join(id));
        std::fs::write(docker.join(id).join("cgroup.procs"), format!("{pid}\n")).unwrap();
    }
    let process = |pid: u32| tree.path().join(format!("proc/{pid}"));
    copy_with_links(&process(PID), &process(pid));
    std::fs::write(process(pid).join("cgroup"), format!("3:memory:/docker/{id}\n0::/docker/{id}\n")).unwrap();
    let task = process(pid).join("task");
    std::fs::rename(task.join(PID.to_string()), task.join(pid.to_string())).unwrap();
}

/// The container's folder within a hierarchy's.
fn folder(hierarchy: &str) -> String {
    format!("{hierarchy}{PATH}")
}

/// Version 1: limits, disks, huge pages, NUMA nodes.
pub fn v1() -> Tree {
    let tree = Tree::v1();
    write_process(&tree);
    let pids = format!("{PID}\n");
    for hierarchy in ["cpu", "cpuacct", "memory", "blkio", "cpuset", "hugetlb", "pids"] {
        tree.write(&folder(hierarchy), &[("cgroup.procs", &pids)]);
    }
    tree.write(
        &folder("cpu"),
        &[("cpu.shares", "1000\n"), ("cpu.cfs_period_us", "100000\n"), ("cpu.cfs_quota_us", "10000\n")],
    );
    tree.write(&folder("cpu"), &[("cpu.stat", "nr_periods 3\nnr_throttled 2\nthrottled_time 1000\n")]);
    tree.write(
        &folder("cpuacct"),
        &[
            ("cpuacct.usage", "14\n"),
            ("cpuacct.usage_percpu", "2 3 4 5\n"),
            ("cpuacct.stat", "user 1\nsystem 2\n"),
        ],
    );
    tree.write(
        &folder("memory"),
        &[
            ("memory.usage_in_bytes", "8\n"),
            ("memory.max_usage_in_bytes", "9\n"),
            ("memory.limit_in_bytes", "4096\n"),
            ("memory.failcnt", "0\n"),
            (
                "memory.stat",
                "pgfault 3\npgmajfault 2\ntotal_cache 1\ntotal_rss 1\ntotal_mapped_file 1\ntotal_swap 1\n\
                 total_inactive_file 1\ntotal_active_file 1\n",
            ),
            ("memory.kmem.usage_in_bytes", "17\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"),
            ("memory.numa_stat", NUMA),
        ],
    );
    tree.write(&folder("cpuset"), &[("cpuset.memory_migrate", "1\n")]);
    tree.write(&folder("pids"), &[("pids.current", "5\n"), ("pids.max", "100\n")]);
    for size in ["2048", "1048576"] {
        tree.write(&format!("sys/kernel/mm/hugepages/hugepages-{size}kB"), &[("nr_hugepages", "0\n")]);
    }
    for (size, usage, max, failures) in [("2MB", "4\n", "10\n", "1\n"), ("1GB", "0\n", "0\n", "0\n")] {
        let name = |figure: &str| format!("hugetlb.{size}.{figure}");
        let (used, most, failed) = (name("usage_in_bytes"), name("max_usage_in_bytes"), name("failcnt"));
        tree.write(&folder("hugetlb"), &[(&used, usage), (&most, max), (&failed, failures)]);
    }
    for cgroup in ["blkio", &folder("blkio")] {
        for file in ["io_service_bytes", "io_service_bytes_recursive"] {
            tree.write(cgroup, &[(&format!("blkio.throttle.{file}"), BLKIO)]);
        }
        for file in ["io_serviced", "io_serviced_recursive"] {
            tree.write(cgroup, &[(&format!("blkio.throttle.{file}"), "Total 0\n")]);
        }
    }
    write_disks(&tree);
    tree
}

const NUMA: &str = "total=10000 N0=5000 N1=5000\nfile=26649 N0=16649 N1=10000\nanon=17109 N0=10000 N1=7109\n\
                    unevictable=18900 N0=8900 N1=10000\nhierarchical_total=10000 N0=5000 N1=5000\n\
                    hierarchical_file=46649 N0=36649 N1=10000\nhierarchical_anon=27109 N0=20000 N1=7109\n\
                    hierarchical_unevictable=28900 N0=8900 N1=20000\n";
const BLKIO: &str = "8:0 Read 3\n8:0 Write 6\n8:0 Sync 4\n8:0 Async 1\n8:0 Discard 2\n8:0 Total 5\nTotal 5\n";
/// What the reference's test says of its file systems' devices is one line of this file each.
const DISKS: &str = "   8       0 sdb 0 0 0 0 0 0 0 0 0 0 0\n\
                     \x20  8       1 sda1 24 25 26 27 28 39 40 41 42 43 44\n\
                     \x20  8       2 sda2 39 40 41 42 43 44 45 46 47 48 49\n";
const MOUNTS: &str = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 8:2 / /data rw - ext4 /dev/sda2 rw\n";
const COSTS: &str = "8:1 rbytes=0 wbytes=0 rios=0 wios=0 dbytes=0 dios=0 cost.usage=1500000 cost.wait=2500000 \
                     cost.indebt=500000 cost.indelay=750000\n";

fn write_disks(tree: &Tree) {
    for folder in ["sys/block/sdb", "sys/class/block/sdb", "sys/dev/block/8:0"] {
        tree.write(folder, &[("dev", "8:0\n"), ("uevent", "MAJOR=8\nMINOR=0\nDEVNAME=sdb\nDEVTYPE=disk\n")]);
    }
    tree.write("proc", &[("diskstats", DISKS)]);
    for process in ["proc/1", "proc/self"] {
        tree.write(process, &[("mountinfo", MOUNTS), ("mounts", "/dev/sda1 / ext4 rw 0 0\n")]);
    }
}

/// Version 2: CPU time and its quota, memory, waiting.
pub fn v2() -> Tree {
    let tree = Tree::v2();
    write_process(&tree);
    tree.write(
        &folder("cgroup"),
        &[
            ("cgroup.procs", &format!("{PID}\n")),
            (
                "cpu.stat",
                "usage_usec 13\nuser_usec 6\nsystem_usec 7\nnr_periods 723\nnr_throttled 18\n\
                 throttled_usec 1724314\nnr_bursts 25\nburst_usec 500000\n",
            ),
            ("io.stat", COSTS),
            ("cpu.max", "10000 100000\n"),
            ("cpu.weight", "39\n"),
            ("memory.current", "8\n"),
            ("memory.peak", "8\n"),
            ("memory.swap.current", "8192\n"),
            ("memory.max", "4096\n"),
            ("memory.events", "low 0\nhigh 42\nmax 5\noom 0\noom_kill 0\n"),
            ("memory.events.local", "low 0\nhigh 42\nmax 5\noom 0\noom_kill 0\n"),
            (
                "memory.stat",
                "anon 15\nfile 14\nkernel 17\nfile_mapped 16\nfile_dirty 19\nfile_writeback 20\n\
                 inactive_file 6\nactive_file 7\npgfault 10\npgmajfault 11\npgscan 21\npgsteal 22\n\
                 workingset_refault_anon 24\nworkingset_refault_file 23\n",
            ),
            ("pids.current", "5\n"),
            ("pids.max", "100\n"),
        ],
    );
    let pressure = |some, full| format!("some avg10=0.00 total={some}\nfull avg10=0.00 total={full}\n");
    tree.write(
        &folder("cgroup"),
        &[
            ("cpu.pressure", &pressure(200, 100)),
            ("memory.pressure", &pressure(2_000, 1_000)),
            ("io.pressure", &pressure(2_200, 1_100)),
        ],
    );
    tree.write("cgroup", &[("io.stat", COSTS)]);
    write_disks(&tree);
    tree
}

/// Version 2 again, with figures that contradict the first: what the reference's test says of both scopes of page faults,
/// and a working set that is larger than what is in use.
pub fn v2_other() -> Tree {
    let tree = v2();
    tree.write(
        &folder("cgroup"),
        &[
            ("memory.current", "15\n"),
            ("memory.stat", "anon 0\nfile 0\ninactive_file 6\nactive_file 0\npgfault 12\npgmajfault 13\n"),
        ],
    );
    tree
}

/// The container's one process, its network and its files.
fn write_process(tree: &Tree) {
    let process = format!("proc/{PID}");
    let cgroup = format!("3:memory:{PATH}\n0::{PATH}\n");
    let stat = format!("{PID} (sleep) S {}\n", "1 ".repeat(40));
    tree.write(&process, &[("cgroup", &cgroup), ("limits", LIMITS), ("smaps", SMAPS), ("stat", &stat)]);
    tree.write(&process, &[("schedstat", "53643567 479424566378 984285\n")]);
    tree.write(&format!("{process}/task/{PID}"), &[("schedstat", "53643567 479424566378 984285\n")]);
    tree.write(&format!("{process}/ns"), &[("net", "")]);
    tree.write("proc/1/ns", &[("net", "")]);
    tree.write(
        &format!("{process}/net"),
        &[
            ("dev", DEVICES),
            ("tcp", &sockets(13, 3)),
            ("tcp6", &sockets(11, 3)),
            ("udp", "  sl  local_address rem_address   st tx_queue rx_queue\n"),
            ("udp6", "  sl  local_address rem_address   st tx_queue rx_queue\n"),
            ("snmp", SNMP),
            ("netstat", NETSTAT),
        ],
    );
    let descriptors = tree.path().join(format!("{process}/fd"));
    std::fs::create_dir_all(&descriptors).unwrap();
    for (number, target) in ["/dev/null", "/x", "socket:[1]", "socket:[2]", "socket:[3]"].iter().enumerate() {
        symlink(target, descriptors.join(number.to_string())).unwrap();
    }
}

fn sockets(established: usize, listening: usize) -> String {
    let row = |state| format!("   0: 0100007F:0016 00000000:0000 {state} 00000000:00000000 00:00000000\n");
    let head = "  sl  local_address rem_address   st tx_queue rx_queue\n";
    [head.to_owned(), row("01").repeat(established), row("0A").repeat(listening)].concat()
}

const DEVICES: &str = "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast\
                       |bytes packets errs drop fifo colls carrier compressed\n\
                       \x20   lo: 1 1 1 1 0 0 0 0 1 1 1 1 0 0 0 0\n\
                       \x20 eth0: 14 15 16 17 0 0 0 0 18 19 20 21 0 0 0 0\n";
const SMAPS: &str = "00400000-00401000 r-xp 00000000 08:01 1 /x\nRss: 8 kB\nReferenced: 1 kB\n";
const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max cpu time              unlimited            unlimited            seconds   \n\
                      Max open files            16384                1048576              files     \n";
const SNMP: &str = "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets \
                    CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n\
                    Tcp: 1 200 120000 -1 11038621 59 48997 37 22 140370590 211580512 462961 31 91699 0\n";
const NETSTAT: &str = "TcpExt: TW DelayedACKs DelayedACKLocked DelayedACKLost TCPHPHits TCPPureAcks TCPHPAcks \
                       TCPRenoRecovery TCPSackRecovery TCPSACKReorder TCPRenoReorder TCPTSReorder TCPFullUndo \
                       TCPPartialUndo TCPDSACKUndo TCPLossUndo TCPRenoFailures TCPSackFailures TCPLossFailures \
                       TCPFastRetrans TCPSlowStartRetrans TCPTimeouts TCPLossProbes TCPLossProbeRecovery \
                       TCPRenoRecoveryFail TCPSackRecoveryFail TCPDSACKOldSent TCPDSACKOfoSent TCPDSACKRecv \
                       TCPDSACKOfoRecv TCPAbortOnData TCPAbortOnClose TCPDSACKIgnoredNoUndo TCPSackShifted \
                       TCPSackMerged TCPSackShiftFallback TCPSynRetrans TCPOrigDataSent \
                       EmbryonicRsts IPReversePathFilter ListenDrops ListenOverflows LockDroppedIcmps OfoPruned \
                       OutOfWindowIcmps PAWSActive PAWSEstab PFMemallocDrop PruneCalled RcvPruned \
                       SyncookiesFailed SyncookiesRecv SyncookiesSent TCPAbortFailed TCPAbortOnLinger \
                       TCPAbortOnMemory TCPAbortOnTimeout TCPBacklogDrop TCPDeferAcceptDrop TCPDSACKIgnoredOld \
                       TCPFACKReorder TCPFastOpenActive TCPFastOpenActiveFail TCPFastOpenCookieReqd \
                       TCPFastOpenListenOverflow TCPFastOpenPassive TCPFastOpenPassiveFail TCPLostRetransmit \
                       TCPMD5Failure TCPMD5NotFound TCPMD5Unexpected TCPMemoryPressures \
                       TCPMemoryPressuresChrono TCPMinTTLDrop TCPRcvCollapsed TCPReqQFullDoCookies \
                       TCPReqQFullDrop TCPRetransFail TCPSACKDiscard TCPSACKReneging TCPSpuriousRTOs \
                       TCPTimeWaitOverflow TWKilled TWRecycled\n\
                       TcpExt: 10436427 503975 90 18843 56096478 24251339 21490641 3519 159 11 839 3 2361 3 33 \
                       61374 43414 60 729 11794 290832 27422 88648 401 394 2 15633 1 83680 10 8 7 71885 2 6 298 \
                       988 130698387 \
                       0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 \
                       0 0\n";

/// The machine of the reference's test. It has four CPUs in one core, and eight cores in its nodes: its figures are not
/// of one machine, so the nodes are in a tree of their own.
pub fn machine() -> Tree {
    let tree = Tree::v2();
    write_identity(&tree);
    tree.write("proc", &[("meminfo", "MemTotal: 1 kB\nMemFree: 1 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n")]);
    for cpu in 0..4 {
        let folder = format!("sys/devices/system/cpu/cpu{cpu}/topology");
        tree.write(&folder, &[("core_id", "0\n"), ("physical_package_id", "0\n")]);
    }
    write_modules(&tree);
    tree
}

fn write_modules(tree: &Tree) {
    for (controller, kind, size, count) in
        [(0, "Non-volatile-RAM\n", "258496\n", 8), (1, "Unbuffered-DDR4\n", "32768\n", 12)]
    {
        for module in 0..count {
            let folder = format!("sys/devices/system/edac/mc/mc{controller}/dimm{module}");
            tree.write(&folder, &[("dimm_mem_type", kind), ("size", size)]);
        }
    }
}

/// The two nodes of the reference's test.
pub fn nodes() -> Tree {
    let tree = Tree::v2();
    write_identity(&tree);
    write_nodes(&tree);
    tree
}

fn write_nodes(tree: &Tree) {
    tree.write("sys/devices/system/cpu", &[("online", "0-15\n")]);
    tree.write("sys/devices/system/node", &[("online", "0-1\n"), ("possible", "0-1\n")]);
    for cpu in 0..16 {
        write_cpu(tree, cpu);
    }
    for (node, cpus, distance, kibibytes, pages) in [
        (0, "0-7\n", "10 12\n", 32_817_192, ["0\n", "0\n"]),
        (1, "8-15\n", "12 10\n", 32_817_192, ["4\n", "2\n"]),
    ] {
        let folder = format!("sys/devices/system/node/node{node}");
        let memory = format!("Node {node} MemTotal: {kibibytes} kB\nNode {node} MemFree: 1 kB\n");
        tree.write(&folder, &[("cpulist", cpus), ("distance", distance), ("meminfo", &memory)]);
        for (size, count) in ["2048", "1048576"].into_iter().zip(pages) {
            let folder = format!("{folder}/hugepages/hugepages-{size}kB");
            tree.write(&folder, &[("nr_hugepages", count)]);
        }
    }
}

/// Two threads a core, four cores a node; the second node's cores share a cache, those of the first have none to share.
fn write_cpu(tree: &Tree, cpu: usize) {
    let (core, node) = (cpu / 2, cpu / 8);
    let folder = format!("sys/devices/system/cpu/cpu{cpu}");
    let siblings = format!("{}-{}\n", core * 2, core * 2 + 1);
    let (core, package) = (format!("{core}\n"), format!("{node}\n"));
    tree.write(
        &format!("{folder}/topology"),
        &[
            ("core_id", &core),
            ("physical_package_id", &package),
            ("thread_siblings_list", &siblings),
            ("core_cpus_list", &siblings),
        ],
    );
    let links = tree.path().join(format!("sys/devices/system/node/node{node}"));
    std::fs::create_dir_all(&links).unwrap();
    symlink(format!("../../cpu/cpu{cpu}"), links.join(format!("cpu{cpu}"))).unwrap();
    symlink(format!("../../node/node{node}"), tree.path().join(format!("{folder}/node{node}"))).unwrap();
    let caches: &[(usize, &str, &str, &str, &str)] = &[
        (0, "1", "Data\n", "32K\n", &siblings),
        (1, "1", "Instruction\n", "32K\n", &siblings),
        (2, "2", "Unified\n", "256K\n", &siblings),
        (3, "3", "Unified\n", "8192K\n", "8-15\n"),
    ];
    for (index, level, kind, size, shared) in &caches[..if node == 1 { 4 } else { 3 }] {
        let folder = format!("{folder}/cache/index{index}");
        let id = format!("{}\n", if *index == 3 { "0" } else { core.trim() });
        tree.write(
            &folder,
            &[("level", &format!("{level}\n")), ("type", kind), ("size", size), ("shared_cpu_list", shared)],
        );
        tree.write(&folder, &[("id", &id)]);
    }
}

fn write_identity(tree: &Tree) {
    tree.write("proc/sys/kernel/random", &[("boot_id", "boot-id-test\n")]);
    tree.write("etc", &[("machine-id", "machine-id-test\n")]);
    tree.write("sys/class/dmi/id", &[("product_uuid", "system-uuid-test\n")]);
}

/// Version 2 with the container on a machine with nodes and modules.
pub fn machine_with_container() -> Tree {
    let tree = v2();
    write_nodes(&tree);
    write_modules(&tree);
    tree
}
