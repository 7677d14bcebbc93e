//! Groups that are off by default, on made-up trees: every figure by value.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod container_support;

use container_support::{
    has, lacks, settings,
    tree::{Fake, Tree},
};
use exporter::{
    config::{ContainerSettings, CpuSource},
    container::Groups,
};
use tests::page::Page;

#[test]
fn by_processor_there_is_no_total_and_no_processor_that_did_nothing() {
    let of_version_1 = Tree::v1();
    let usage = |text: &str| of_version_1.write("cpuacct/d", &[("cpuacct.usage_percpu", text)]);
    of_version_1.write("cpuacct/d", &[("cpuacct.usage", "9\n"), ("cpuacct.stat", "user 150\nsystem 90\n")]);
    usage("2 0 4 2500000000\n");
    for source in [CpuSource::Auto, CpuSource::Ebpf] {
        let by_cpu = ContainerSettings { groups: Groups::ALL, cpu_source: source, ..settings() };
        let mut half = of_version_1.half(&by_cpu, Some(Fake::new().side()));
        let shown = |page: Page| {
            let rows = page.matching("container_cpu_usage_seconds_total", &[("id", "/d")]);
            rows.map(|row| (row.labels["cpu"].clone(), row.value)).collect::<Vec<_>>()
        };
        let row = |cpu: &str, value| (cpu.to_owned(), value);
        assert_eq!(shown(half.page()), [row("cpu00", 2e-9), row("cpu02", 4e-9), row("cpu03", 2.5)]);
        // One is offline, one fell, and the kernel's line is cut.
        usage("1 0 x");
        assert_eq!(shown(half.page()), [row("cpu00", 2e-9), row("cpu02", 4e-9), row("cpu03", 2.5)]);
        usage("7 1 4 2500000000\n");
        assert_eq!(shown(half.page_of(&["percpu"])).len(), 4);
        usage("2 0 4 2500000000\n");
    }
    // Version 2 has the total alone, whatever is asked for.
    let tree = Tree::v2();
    tree.set_cpu("cgroup/a", 1_000_000);
    let mut half = tree.half(&ContainerSettings { groups: Groups::ALL, ..settings() }, None);
    has(&half.page(), "/a", "container_cpu_usage_seconds_total{cpu=total} 1");
}

/// A machine with huge pages of two sizes.
fn with_huge_pages(tree: Tree) -> Tree {
    for size in ["2048kB", "1048576kB"] {
        tree.write(&format!("sys/kernel/mm/hugepages/hugepages-{size}"), &[("nr_hugepages", "0\n")]);
    }
    tree
}

#[test]
fn huge_pages_of_version_1_by_size() {
    let tree = with_huge_pages(Tree::v1());
    let file = |folder: &str, name: &str, text: &str| {
        tree.write(&format!("hugetlb/{folder}"), &[(&format!("hugetlb.{name}"), text)]);
    };
    for folder in ["cpu/new", "cpu/old", "cpu/none"] {
        tree.write(folder, &[("cpu.shares", "2\n")]);
    }
    file("new", "2MB.rsvd.usage_in_bytes", "4194304\n");
    file("new", "2MB.rsvd.max_usage_in_bytes", "6291456\n");
    file("new", "2MB.rsvd.failcnt", "5\n");
    file("new", "2MB.usage_in_bytes", "1\n");
    file("new", "1GB.rsvd.usage_in_bytes", "0\n");
    file("new", "1GB.rsvd.max_usage_in_bytes", "x\n");
    // A kernel before reservations were counted.
    file("old", "2MB.usage_in_bytes", "2097152\n");
    file("old", "2MB.max_usage_in_bytes", "2097152\n");
    file("old", "2MB.failcnt", "0\n");
    let mut half = tree.half(&settings(), None);
    let page = half.page();
    has(
        &page,
        "/new",
        "container_hugetlb_usage_bytes{pagesize=2MB} 4194304
         container_hugetlb_max_usage_bytes{pagesize=2MB} 6291456
         container_hugetlb_failcnt{pagesize=2MB} 5
         container_hugetlb_usage_bytes{pagesize=1GB} 0",
    );
    assert_eq!(page.matching("container_hugetlb_max_usage_bytes", &[("pagesize", "1GB")]).count(), 0);
    assert_eq!(page.matching("container_hugetlb_failcnt", &[("pagesize", "1GB")]).count(), 0);
    has(
        &page,
        "/old",
        "container_hugetlb_usage_bytes{pagesize=2MB} 2097152
         container_hugetlb_max_usage_bytes{pagesize=2MB} 2097152
         container_hugetlb_failcnt{pagesize=2MB} 0",
    );
    lacks(&page, "/none", &["container_hugetlb_usage_bytes", "container_hugetlb_failcnt"]);
    file("new", "2MB.rsvd.failcnt", "4\n");
    has(&half.page(), "/new", "container_hugetlb_failcnt{pagesize=2MB} 5");
}

#[test]
fn huge_pages_of_version_2_by_size() {
    let tree = with_huge_pages(Tree::v2());
    tree.set_cpu("cgroup/a", 1);
    tree.set_cpu("cgroup/b", 1);
    tree.write("cgroup/a", &[("hugetlb.2MB.current", "9\n"), ("hugetlb.2MB.events", "max 3\n")]);
    tree.write("cgroup/a", &[("hugetlb.2MB.rsvd.current", "2097152\n"), ("hugetlb.1GB.current", "0\n")]);
    let page = tree.half(&settings(), None).page();
    has(
        &page,
        "/a",
        "container_hugetlb_usage_bytes{pagesize=2MB} 2097152
         container_hugetlb_failcnt{pagesize=2MB} 3
         container_hugetlb_usage_bytes{pagesize=1GB} 0",
    );
    lacks(&page, "/a", &["container_hugetlb_max_usage_bytes"]);
    lacks(&page, "/b", &["container_hugetlb_usage_bytes", "container_hugetlb_failcnt"]);
}

#[test]
fn pages_by_node_and_whether_they_move() {
    let tree = Tree::v1();
    tree.write("memory/a", &[("memory.stat", "cache 1\n")]);
    tree.write("memory/b", &[("memory.stat", "cache 1\n")]);
    tree.write("cpuset/a", &[("cpuset.memory_migrate", "1\n")]);
    let pages = "total=44758 N0=35549 N1=9209\nfile=26649 N0=16649 N1=10000\nanon=17109 N0=10000 N1=7109\n\
        unevictable=18900 N0=8900 N1=10000\nhierarchical_total=9 N0=9 N1=9\n\
        hierarchical_file=46649 N0=36649 N1=10000\nhierarchical_anon=27109 N0=20000 N1=7109\n\
        hierarchical_unevictable=28900 N0=8900 N1=20000\n";
    tree.write("memory/a", &[("memory.numa_stat", pages)]);
    let mut half = tree.half(&settings(), None);
    let page = half.page();
    // The figures that the reference's own test expects.
    has(
        &page,
        "/a",
        "container_memory_migrate 1
         container_memory_numa_pages{node=0,scope=container,type=anon} 10000
         container_memory_numa_pages{node=0,scope=container,type=file} 16649
         container_memory_numa_pages{node=0,scope=container,type=unevictable} 8900
         container_memory_numa_pages{node=0,scope=hierarchy,type=anon} 20000
         container_memory_numa_pages{node=0,scope=hierarchy,type=file} 36649
         container_memory_numa_pages{node=0,scope=hierarchy,type=unevictable} 8900
         container_memory_numa_pages{node=1,scope=container,type=anon} 7109
         container_memory_numa_pages{node=1,scope=container,type=file} 10000
         container_memory_numa_pages{node=1,scope=container,type=unevictable} 10000
         container_memory_numa_pages{node=1,scope=hierarchy,type=anon} 7109
         container_memory_numa_pages{node=1,scope=hierarchy,type=file} 10000
         container_memory_numa_pages{node=1,scope=hierarchy,type=unevictable} 20000",
    );
    assert_eq!(page.matching("container_memory_numa_pages", &[]).count(), 12);
    lacks(&page, "/b", &["container_memory_migrate"]);
    tree.write("memory/a", &[("memory.numa_stat", "anon=3 N0=1 N1")]);
    tree.write("cpuset/a", &[("cpuset.memory_migrate", "\n")]);
    let page = half.page();
    has(&page, "/a", "container_memory_numa_pages{node=0,scope=container,type=anon} 1");
    assert_eq!(page.matching("container_memory_numa_pages", &[]).count(), 1);
    lacks(&page, "/a", &["container_memory_migrate"]);
}

#[test]
fn pages_by_node_of_version_2_are_those_with_all_below() {
    let tree = Tree::v2();
    tree.set_cpu("cgroup/a", 1);
    let bytes = 4 * rustix::param::page_size();
    let stat =
        format!("anon N0=1\nfile N0=1\ninactive_file N0={bytes}\nactive_file N0={bytes}\nunevictable N0=0\n");
    tree.write("cgroup/a", &[("memory.numa_stat", &stat), ("cpuset.memory_migrate", "1\n")]);
    let page = tree.half(&settings(), None).page();
    has(
        &page,
        "/a",
        "container_memory_numa_pages{node=0,scope=hierarchy,type=file} 8
         container_memory_numa_pages{node=0,scope=hierarchy,type=unevictable} 0",
    );
    assert_eq!(page.matching("container_memory_numa_pages", &[]).count(), 2);
}

#[test]
fn what_nobody_asks_for_is_not_there() {
    let tree = with_huge_pages(Tree::v1());
    tree.write("memory/a", &[("memory.stat", "cache 1\n"), ("memory.numa_stat", "anon=3 N0=1\n")]);
    tree.write("hugetlb/a", &[("hugetlb.2MB.usage_in_bytes", "1\n")]);
    tree.write("cpuset/a", &[("cpuset.memory_migrate", "1\n")]);
    let asked = Groups::named("memory").unwrap().with(Groups::named("cpu").unwrap());
    let mut half = tree.half(&ContainerSettings { groups: asked, ..settings() }, None);
    let page = half.page_of(&["memory", "cpu"]);
    assert!(page.value("container_memory_cache", &[("id", "/a")]).is_some());
    let names = ["container_memory_numa_pages", "container_hugetlb_usage_bytes", "container_memory_migrate"];
    lacks(&page, "/a", &names);
    for (group, name) in ["memory_numa", "hugetlb", "cpuset"].into_iter().zip(names) {
        assert!(half.page_of(&[group]).value(name, &[("id", "/a")]).is_some(), "{group}");
    }
}

#[test]
fn nodes_cores_and_caches_of_the_machine() {
    let tree = Tree::v2();
    let write = |file: &str, text: &str| {
        let (folder, name) = file.rsplit_once('/').unwrap();
        tree.write(&format!("sys/devices/system/{folder}"), &[(name, text)]);
    };
    for (cpu, node, core) in [(0, 0, 0), (1, 0, 0), (2, 1, 4), (3, 1, 4)] {
        let folder = format!("node/node{node}/cpu{cpu}");
        write(&format!("{folder}/topology/core_id"), &format!("{core}\n"));
        let pair = if node == 0 { "0-1" } else { "2-3" };
        for (index, level, kind, size) in [
            (0, 1, "Data", "32K"),
            (1, 1, "Instruction", "32K"),
            (2, 2, "Unified", "256K"),
            (3, 3, "Unified", "8192K"),
        ] {
            let cache = format!("{folder}/cache/index{index}");
            write(&format!("{cache}/level"), &format!("{level}\n"));
            write(&format!("{cache}/type"), &format!("{kind}\n"));
            write(&format!("{cache}/size"), &format!("{size}\n"));
            write(&format!("{cache}/shared_cpu_list"), &format!("{pair}\n"));
        }
    }
    write("node/node0/meminfo", "Node 0 MemTotal:       32817192 kB\nNode 0 MemFree: 1 kB\n");
    write("node/node1/hugepages/hugepages-2048kB/nr_hugepages", "4\n");
    write("node/node1/hugepages/hugepages-1048576kB/nr_hugepages", "2\n");
    write("node/node0/distance", "10 12\n");
    write("node/node1/distance", "12 10\n");
    let mut half = tree.half(&settings(), None);
    let page = half.page_of(&["cpu_topology"]);
    let rows = |page: &Page, name: &str, labels: &[(&str, &str)]| {
        page.matching(name, labels).map(|row| row.value).collect::<Vec<_>>()
    };
    let caches = "machine_cpu_cache_capacity_bytes";
    for (labels, value) in [
        (&[("node_id", "0"), ("core_id", "0"), ("level", "1"), ("type", "Data")][..], 32_768.0),
        (&[("node_id", "0"), ("core_id", "0"), ("level", "1"), ("type", "Instruction")], 32_768.0),
        (&[("node_id", "1"), ("core_id", "4"), ("level", "2"), ("type", "Unified")], 262_144.0),
        (
            &[("node_id", "1"), ("core_id", ""), ("level", "3"), ("type", "Unified"), ("machine_id", "m-1")],
            8_388_608.0,
        ),
    ] {
        assert_eq!(rows(&page, caches, labels), [value], "{labels:?}");
    }
    assert_eq!(rows(&page, caches, &[]).len(), 8);
    let thread = [("node_id", "1"), ("core_id", "4"), ("thread_id", "3")];
    assert_eq!(rows(&page, "machine_thread_siblings_count", &thread), [2.0]);
    assert_eq!(rows(&page, "machine_thread_siblings_count", &[]).len(), 4);
    assert_eq!(rows(&page, "machine_node_memory_capacity_bytes", &[]), [33_604_804_608.0]);
    assert_eq!(rows(&page, "machine_node_distance", &[("node_id", "0"), ("target_node_id", "1")]), [12.0]);
    assert_eq!(rows(&page, "machine_node_distance", &[]).len(), 4);
    assert_eq!(rows(&page, "machine_node_hugepages_count", &[("page_size", "2048")]), [4.0]);
    assert_eq!(rows(&page, "machine_node_hugepages_count", &[("page_size", "1048576")]), [2.0]);

    // One goes offline, and pages are given back.
    write("cpu/online", "0-2\n");
    write("node/node1/hugepages/hugepages-2048kB/nr_hugepages", "3\n");
    let page = half.page_of(&["cpu_topology"]);
    assert_eq!(rows(&page, "machine_thread_siblings_count", &[("thread_id", "2")]), [1.0]);
    assert_eq!(rows(&page, "machine_thread_siblings_count", &[]).len(), 3);
    assert_eq!(rows(&page, "machine_node_hugepages_count", &[("page_size", "2048")]), [3.0]);
}
