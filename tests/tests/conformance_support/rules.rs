//! From which tree each expected row is taken, and what of the expected output is not to be reproduced, with the reason.

/// The rules of one expected page. A row is `family` or `family{label=value,...}`; the first that fits counts.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Rows and the tree that they are taken from.
    pub taken: &'a [(&'a str, &'a str)],
    /// Rows that ours does not have, or has with another value.
    pub left_out: &'a [Rule<'a>],
    /// Rows whose figure is finer than any file gives it: the file holds it so many times as large.
    pub scaled: &'a [Rule<'a>],
    /// Rows whose figure no file gives in bytes: the nearest multiple of the file's unit.
    pub rounded: &'a [Rule<'a>],
    /// Rows with a label's value that no kernel gives.
    pub relabelled: &'a [Rule<'a>],
    /// Rows that bear a time there and not here.
    pub untimed: &'a [Rule<'a>],
    /// Rows of ours that the expected page lacks.
    pub more: &'a [Rule<'a>],
}

/// A rule and its reason.
#[derive(Debug, Clone, Copy)]
pub struct Rule<'a> {
    pub row: &'a str,
    pub why: &'a str,
    /// Of what is scaled or rounded.
    pub number: f64,
    /// Of what is relabelled.
    pub label: &'a str,
    pub theirs: &'a str,
    pub ours: &'a str,
}

const fn because<'a>(row: &'a str, why: &'a str) -> Rule<'a> {
    Rule { row, why, number: 0.0, label: "", theirs: "", ours: "" }
}

const fn by<'a>(row: &'a str, number: f64, why: &'a str) -> Rule<'a> {
    Rule { number, ..because(row, why) }
}

const fn named<'a>(row: &'a str, label: &'a str, theirs: &'a str, ours: &'a str) -> Rule<'a> {
    Rule { label, theirs, ours, ..because(row, "no kernel and no mount calls it so") }
}

const PERF: &str = "perf events are not counted";
const RESCTRL: &str = "resctrl is not read";
const APP: &str = "a container's own metrics are not collected";
const NETLINK: &str = "the kernel is asked over netlink, no file";
const STATFS: &str = "a file system is asked, no file";
const MILLISECONDS: &str = "milliseconds of the file, which the reference takes for nanoseconds";

/// `prometheus_metrics` and its filtered sister.
pub const CONTAINER: Rules = Rules {
    taken: &[
        ("container_blkio_device_usage_total", "v1"),
        ("container_cpu_cfs_burst_periods_total", "v2"),
        ("container_cpu_cfs_burst_seconds_total", "v2"),
        ("container_cpu_cfs_periods_total", "v2"),
        ("container_cpu_cfs_throttled_periods_total", "v2"),
        ("container_cpu_cfs_throttled_seconds_total", "v2"),
        ("container_cpu_schedstat_run_periods_total", "v1"),
        ("container_cpu_schedstat_run_seconds_total", "v1"),
        ("container_cpu_schedstat_runqueue_seconds_total", "v1"),
        ("container_cpu_system_seconds_total", "v2"),
        ("container_cpu_usage_seconds_total", "v1"),
        ("container_cpu_user_seconds_total", "v2"),
        ("container_creation_time_seconds", "v1"),
        ("container_file_descriptors", "v1"),
        ("container_fs_io_cost_indebt_seconds_total", "v2"),
        ("container_fs_io_cost_indelay_seconds_total", "v2"),
        ("container_fs_io_cost_usage_seconds_total", "v2"),
        ("container_fs_io_cost_wait_seconds_total", "v2"),
        ("container_fs_io_current", "the host's file systems"),
        ("container_fs_io_time_seconds_total", "the host's file systems"),
        ("container_fs_io_time_weighted_seconds_total", "the host's file systems"),
        ("container_fs_read_seconds_total", "the host's file systems"),
        ("container_fs_reads_bytes_total", "v1"),
        ("container_fs_reads_merged_total", "the host's file systems"),
        ("container_fs_reads_total", "the host's file systems"),
        ("container_fs_sector_reads_total", "the host's file systems"),
        ("container_fs_sector_writes_total", "the host's file systems"),
        ("container_fs_write_seconds_total", "the host's file systems"),
        ("container_fs_writes_bytes_total", "v1"),
        ("container_fs_writes_merged_total", "the host's file systems"),
        ("container_fs_writes_total", "the host's file systems"),
        ("container_health_state", "v1"),
        ("container_hugetlb_failcnt", "v1"),
        ("container_hugetlb_max_usage_bytes", "v1"),
        ("container_hugetlb_usage_bytes", "v1"),
        ("container_last_seen", "v1"),
        ("container_memory_cache", "v2"),
        ("container_memory_events_high_total", "v2"),
        ("container_memory_events_max_total", "v2"),
        ("container_memory_failcnt", "v1"),
        ("container_memory_failures_total{scope=container}", "v2"),
        ("container_memory_failures_total{scope=hierarchy}", "v2, other figures"),
        ("container_memory_file_dirty_bytes", "v2"),
        ("container_memory_file_writeback_bytes", "v2"),
        ("container_memory_kernel_usage", "v2"),
        ("container_memory_mapped_file", "v2"),
        ("container_memory_max_usage_bytes", "v2"),
        ("container_memory_migrate", "v1"),
        ("container_memory_numa_pages", "v1"),
        ("container_memory_pgscan_total", "v2"),
        ("container_memory_pgsteal_total", "v2"),
        ("container_memory_rss", "v2"),
        ("container_memory_swap", "v2"),
        ("container_memory_total_active_file_bytes", "v2"),
        ("container_memory_total_inactive_file_bytes", "v2"),
        ("container_memory_usage_bytes", "v2"),
        ("container_memory_working_set_bytes", "v2, other figures"),
        ("container_memory_workingset_refault_anon_total", "v2"),
        ("container_memory_workingset_refault_file_total", "v2"),
        ("container_network_advance_tcp_stats_total", "v1"),
        ("container_network_receive_bytes_total", "v1"),
        ("container_network_receive_errors_total", "v1"),
        ("container_network_receive_packets_dropped_total", "v1"),
        ("container_network_receive_packets_total", "v1"),
        ("container_network_tcp6_usage_total", "v1"),
        ("container_network_tcp_usage_total", "v1"),
        ("container_network_transmit_bytes_total", "v1"),
        ("container_network_transmit_errors_total", "v1"),
        ("container_network_transmit_packets_dropped_total", "v1"),
        ("container_network_transmit_packets_total", "v1"),
        ("container_network_udp6_usage_total", "v1"),
        ("container_network_udp_usage_total", "v1"),
        ("container_oom_events_total", "v1"),
        ("container_pressure_cpu_stalled_seconds_total", "v2"),
        ("container_pressure_cpu_waiting_seconds_total", "v2"),
        ("container_pressure_io_stalled_seconds_total", "v2"),
        ("container_pressure_io_waiting_seconds_total", "v2"),
        ("container_pressure_memory_stalled_seconds_total", "v2"),
        ("container_pressure_memory_waiting_seconds_total", "v2"),
        ("container_processes", "v1"),
        ("container_referenced_bytes", "v1"),
        ("container_scrape_error", "v1"),
        ("container_sockets", "v1"),
        ("container_spec_cpu_period", "v1"),
        ("container_spec_cpu_quota", "v1"),
        ("container_spec_cpu_shares", "v1"),
        ("container_start_time_seconds", "v1"),
        ("container_threads", "v1"),
        ("container_threads_max", "v1"),
        ("container_ulimits_soft", "v1"),
    ],
    left_out: &[
        because("cadvisor_version_info", "nodetally's own version"),
        because("container_custom_app_metric_1", APP),
        because("container_custom_app_metric_2", APP),
        because("container_custom_app_metric_3", APP),
        because("container_perf_events_total", PERF),
        because("container_perf_events_scaling_ratio", PERF),
        because("container_perf_uncore_events_total", PERF),
        because("container_perf_uncore_events_scaling_ratio", PERF),
        because("container_llc_occupancy_bytes", RESCTRL),
        because("container_memory_bandwidth_bytes", RESCTRL),
        because("container_memory_bandwidth_local_bytes", RESCTRL),
        because("container_cpu_load_average_10s", NETLINK),
        because("container_cpu_load_d_average_10s", NETLINK),
        because("container_fs_inodes_free", STATFS),
        because("container_fs_inodes_total", STATFS),
        because("container_fs_limit_bytes", STATFS),
        because("container_fs_usage_bytes", STATFS),
        because("container_tasks_state", NETLINK),
    ],
    scaled: &[
        by("container_cpu_system_seconds_total", 1_000.0, "the file tells microseconds"),
        by("container_cpu_user_seconds_total", 1_000.0, "the file tells microseconds"),
        by("container_fs_io_time_seconds_total", 1e6, MILLISECONDS),
        by("container_fs_io_time_weighted_seconds_total", 1e6, MILLISECONDS),
        by("container_fs_read_seconds_total", 1e6, MILLISECONDS),
        by("container_fs_write_seconds_total", 1e6, MILLISECONDS),
    ],
    rounded: &[by("container_referenced_bytes", 1_024.0, "the file tells kilobytes")],
    relabelled: &[
        named("container_fs_*{device=sda1}", "device", "sda1", "/dev/sda1"),
        named("container_fs_*{device=sda2}", "device", "sda2", "/dev/sda2"),
        named("container_hugetlb_failcnt{pagesize=1Gi}", "pagesize", "1Gi", "1GB"),
        named("container_hugetlb_failcnt{pagesize=2Mi}", "pagesize", "2Mi", "2MB"),
        named("container_hugetlb_max_usage_bytes{pagesize=1Gi}", "pagesize", "1Gi", "1GB"),
        named("container_hugetlb_max_usage_bytes{pagesize=2Mi}", "pagesize", "2Mi", "2MB"),
        named("container_hugetlb_usage_bytes{pagesize=1Gi}", "pagesize", "1Gi", "1GB"),
        named("container_hugetlb_usage_bytes{pagesize=2Mi}", "pagesize", "2Mi", "2MB"),
    ],
    untimed: &[
        because("container_health_state", "the runtime told it, at no moment of ours"),
        because("container_last_seen", "its value is the time"),
    ],
    more: &[],
};

/// `prometheus_machine_metrics`.
pub const MACHINE: Rules = Rules {
    taken: &[
        ("machine_cpu_books", "machine"),
        ("machine_cpu_cache_capacity_bytes", "nodes"),
        ("machine_node_distance", "nodes"),
        ("machine_node_hugepages_count", "nodes"),
        ("machine_node_memory_capacity_bytes", "nodes"),
        ("machine_thread_siblings_count", "nodes"),
        ("machine_cpu_cores", "machine"),
        ("machine_cpu_drawers", "machine"),
        ("machine_cpu_physical_cores", "machine"),
        ("machine_cpu_sockets", "machine"),
        ("machine_dimm_capacity_bytes", "machine"),
        ("machine_dimm_count", "machine"),
        ("machine_memory_bytes", "machine"),
        ("machine_nvm_avg_power_budget_watts", "machine"),
        ("machine_scrape_error", "machine"),
        ("machine_swap_bytes", "machine"),
    ],
    left_out: &[because("machine_nvm_capacity", "libipmctl is not asked; 0 as in its usual builds")],
    scaled: &[],
    rounded: &[
        by("machine_cpu_cache_capacity_bytes", 32_768.0, KIBIBYTES),
        by("machine_node_memory_capacity_bytes", 1_024.0, KIBIBYTES),
    ],
    relabelled: &[],
    untimed: &[
        because("machine_cpu_books", UNTIMED),
        because("machine_cpu_cache_capacity_bytes", UNTIMED),
        because("machine_node_distance", UNTIMED),
        because("machine_node_hugepages_count", UNTIMED),
        because("machine_node_memory_capacity_bytes", UNTIMED),
        because("machine_thread_siblings_count", UNTIMED),
        because("machine_cpu_cores", UNTIMED),
        because("machine_cpu_drawers", UNTIMED),
        because("machine_cpu_physical_cores", UNTIMED),
        because("machine_cpu_sockets", UNTIMED),
        because("machine_dimm_capacity_bytes", UNTIMED),
        because("machine_dimm_count", UNTIMED),
        because("machine_memory_bytes", UNTIMED),
        because("machine_nvm_avg_power_budget_watts", UNTIMED),
        because("machine_swap_bytes", UNTIMED),
    ],
    more: &[],
};

const KIBIBYTES: &str = "the kernel tells whole KiB";
const UNTIMED: &str = "looked at in the scrape";
