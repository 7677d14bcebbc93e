//! Queries in the manner of dashboards, recording rules and alerts, made from the names and labels in their tables.

use std::ops::RangeInclusive;

/// A query that must have rows.
#[derive(Debug)]
pub struct Query {
    pub text: &'static str,
    /// Labels that some row must have.
    pub by: &'static [&'static str],
    /// Where every value must lie.
    pub range: RangeInclusive<f64>,
}

const ANY: RangeInclusive<f64> = 0.0..=f64::MAX;
const PERCENT: RangeInclusive<f64> = 0.0..=100.0;

const fn rows(text: &'static str, by: &'static [&'static str]) -> Query {
    Query { text, by, range: ANY }
}

const fn within(text: &'static str, by: &'static [&'static str], range: RangeInclusive<f64>) -> Query {
    Query { text, by, range }
}

/// Of dashboards for Docker (893, 13946, 14282, dockprom) and of alerts over any container.
pub const CONTAINERS: &[Query] = &[
    rows("sum by (name) (rate(container_cpu_usage_seconds_total{name=~\".+\"}[1m])) * 100", &["name"]),
    rows("sum(rate(container_cpu_system_seconds_total{id=\"/\"}[1m]))", &[]),
    rows("sum(rate(container_cpu_system_seconds_total{name=~\".+\"}[1m]))", &[]),
    rows(
        "sum by (id, name, instance) (rate(container_cpu_user_seconds_total{image!=\"\"}[1m])) * 100 \
         / on (instance) group_left machine_cpu_cores",
        &["id", "name"],
    ),
    rows(
        "sum(rate(container_cpu_user_seconds_total{image!=\"\"}[1m])) / scalar(sum(machine_cpu_cores)) * 100",
        &[],
    ),
    rows(
        "sum by (name) (rate(container_cpu_usage_seconds_total{image!=\"\",container_label_org_label_schema_group=\"\"}[1m])) \
         / scalar(count(node_cpu_seconds_total{mode=\"user\"})) * 100",
        &["name"],
    ),
    within("count(time() - container_last_seen{name=~\".+\"} < 15)", &[], 3.0..=1e4),
    within("time() - container_last_seen{image!=\"\"}", &["name", "image"], -5.0..=15.0),
    rows("sum by (name) (container_memory_rss{name=~\".+\"})", &["name"]),
    rows("container_memory_rss{id=\"/\"}", &[]),
    rows("sum by (name) (container_memory_cache{name=~\".+\"})", &["name"]),
    rows(
        "sum by (name) (container_memory_usage_bytes{image!=\"\",container_label_org_label_schema_group=\"\"})",
        &["name"],
    ),
    rows("container_memory_swap{name=~\".+\"}", &["name"]),
    within(
        "sum by (id, name, instance) (container_memory_usage_bytes{image!=\"\"}) \
         / on (instance) group_left machine_memory_bytes * 100",
        &["id", "name"],
        PERCENT,
    ),
    within(
        "container_memory_usage_bytes{name=~\".+\"} / (container_spec_memory_limit_bytes{name=~\".+\"} > 0) * 100",
        &["name"],
        PERCENT,
    ),
    within(
        "sum by (instance, name) (container_memory_working_set_bytes{name!=\"\"}) \
         / sum by (instance, name) (container_spec_memory_limit_bytes > 0) * 100",
        &["name"],
        PERCENT,
    ),
    rows("sum by (name) (rate(container_network_receive_bytes_total{name=~\".+\"}[1m]))", &["name"]),
    rows("sum by (name) (rate(container_network_transmit_bytes_total{name=~\".+\"}[1m]))", &["name"]),
    rows("sum(rate(container_network_receive_bytes_total{id=\"/\"}[1m])) by (id)", &["id"]),
    rows(
        "sum by (name, interface) (rate(container_network_receive_bytes_total{image!=\"\"}[1m]))",
        &["interface"],
    ),
    rows("time() - container_start_time_seconds{name=~\".+\"}", &["name"]),
    rows(
        "sum by (name, device) (rate(container_fs_reads_bytes_total{image!=\"\",device!~\"/dev/dm.*\"}[1m]))",
        &["device"],
    ),
    rows(
        "sum by (name, device) (rate(container_fs_writes_bytes_total{image!=\"\",device!~\"/dev/dm.*\"}[1m]))",
        &["device"],
    ),
    rows("sum by (name) (rate(container_fs_writes_bytes_total{name=~\".+\"}[1m]))", &["name"]),
    rows("sum(container_fs_usage_bytes)", &[]),
    within("container_fs_usage_bytes / container_fs_limit_bytes * 100", &["device", "id"], PERCENT),
    within(
        "container_fs_usage_bytes{name=\"writer\"} / container_fs_limit_bytes{name=\"writer\"} * 100",
        &["name"],
        PERCENT,
    ),
    within(
        "(1 - sum by (instance) (container_fs_inodes_free{id=\"/\"}) / sum by (instance) (container_fs_inodes_total{id=\"/\"})) * 100",
        &["instance"],
        PERCENT,
    ),
    rows(
        "(1 - sum by (instance) (container_fs_inodes_free{name!=\"\"}) / sum by (instance) (container_fs_inodes_total)) * 100",
        &[],
    ),
    // A quota is kept over its periods; within a few seconds one more or less may be counted.
    within(
        "rate(container_cpu_usage_seconds_total{name=\"spin\"}[1m]) / on (name) \
         (container_spec_cpu_quota{name=\"spin\"} / container_spec_cpu_period{name=\"spin\"}) * 100",
        &["name"],
        1.0..=150.0,
    ),
    within(
        "sum by (name) (increase(container_cpu_cfs_throttled_periods_total{name!=\"\"}[1m])) \
         / sum by (name) (increase(container_cpu_cfs_periods_total{name!=\"\"}[1m])) > 0",
        &["name"],
        0.0..=1.0,
    ),
    within("container_health_state{name=\"ill\"} == 0", &["name"], 0.0..=0.0),
];

/// What kube-state-metrics would add, and the rules that record what dashboards ask for.
pub const STATE: &str = "\
# TYPE kube_pod_info gauge\n\
kube_pod_info{namespace=\"shop\",pod=\"web-0\",node=\"here\"} 1\n\
# TYPE kube_pod_container_resource_limits gauge\n\
kube_pod_container_resource_limits{namespace=\"shop\",pod=\"web-0\",container=\"web\",resource=\"cpu\"} 0.2\n\
kube_pod_container_resource_limits{namespace=\"shop\",pod=\"web-0\",container=\"web\",resource=\"memory\"} 6.7108864e+07\n";

/// Recording rules over what the exporter gives, joined with the pod's node.
pub const RULES: &str = "\
groups:
- name: containers
  interval: 1s
  rules:
  - record: node_namespace_pod_container:container_cpu_usage_seconds_total:sum_rate5m
    expr: sum by (namespace, pod, container) (rate(container_cpu_usage_seconds_total{image!=\"\"}[5m]))
      * on (namespace, pod) group_left (node) max by (namespace, pod, node) (kube_pod_info{node!=\"\"})
  - record: node_namespace_pod_container:container_cpu_usage_seconds_total:sum_irate
    expr: sum by (namespace, pod, container) (irate(container_cpu_usage_seconds_total{image!=\"\"}[5m]))
      * on (namespace, pod) group_left (node) max by (namespace, pod, node) (kube_pod_info{node!=\"\"})
  - record: node_namespace_pod_container:container_memory_working_set_bytes
    expr: container_memory_working_set_bytes{image!=\"\"}
      * on (namespace, pod) group_left (node) max by (namespace, pod, node) (kube_pod_info{node!=\"\"})
  - record: node_namespace_pod_container:container_memory_rss
    expr: container_memory_rss{image!=\"\"}
      * on (namespace, pod) group_left (node) max by (namespace, pod, node) (kube_pod_info{node!=\"\"})
  - record: node_namespace_pod_container:container_memory_cache
    expr: container_memory_cache{image!=\"\"}
      * on (namespace, pod) group_left (node) max by (namespace, pod, node) (kube_pod_info{node!=\"\"})
  - record: node_namespace_pod_container:container_memory_swap
    expr: container_memory_swap{image!=\"\"}
      * on (namespace, pod) group_left (node) max by (namespace, pod, node) (kube_pod_info{node!=\"\"})
";

const POD: &[&str] = &["namespace", "pod"];
const CONTAINER: &[&str] = &["namespace", "pod", "container"];

/// Of the Kubernetes mixin and of alerts over pods.
pub const KUBERNETES: &[Query] = &[
    rows(
        "sum by (container) (node_namespace_pod_container:container_cpu_usage_seconds_total:sum_rate5m\
         {namespace=\"shop\",pod=\"web-0\",container!=\"\"})",
        &["container"],
    ),
    rows(
        "node_namespace_pod_container:container_cpu_usage_seconds_total:sum_irate{node=\"here\"}",
        CONTAINER,
    ),
    rows(
        "sum by (pod) (node_namespace_pod_container:container_memory_working_set_bytes{container!=\"\",node=\"here\"})",
        &["pod"],
    ),
    rows(
        "sum by (pod) (node_namespace_pod_container:container_memory_rss{container!=\"\",node=\"here\"})",
        &["pod"],
    ),
    rows(
        "sum by (pod) (node_namespace_pod_container:container_memory_cache{container!=\"\",node=\"here\"})",
        &["pod"],
    ),
    rows(
        "sum by (pod) (node_namespace_pod_container:container_memory_swap{container!=\"\",node=\"here\"})",
        &["pod"],
    ),
    within(
        "sum by (container) (container_memory_working_set_bytes{namespace=\"shop\",container!=\"\",image!=\"\"}) \
         / sum by (container) (kube_pod_container_resource_limits{resource=\"memory\"})",
        &["container"],
        0.0..=1.0,
    ),
    rows(
        "sum by (container) (node_namespace_pod_container:container_cpu_usage_seconds_total:sum_rate5m{container!=\"\"}) \
         / sum by (container) (kube_pod_container_resource_limits{resource=\"cpu\"})",
        &["container"],
    ),
    rows(
        "sum by (container) (container_memory_rss{namespace=\"shop\",container!=\"\",container!=\"POD\"})",
        &["container"],
    ),
    rows(
        "sum by (container) (container_memory_cache{namespace=\"shop\",container!=\"\",container!=\"POD\"})",
        &["container"],
    ),
    rows(
        "sum by (container) (container_memory_swap{namespace=\"shop\",container!=\"\",container!=\"POD\"})",
        &["container"],
    ),
    rows("sum by (namespace, pod) (rate(container_network_receive_bytes_total{namespace!=\"\"}[5m]))", POD),
    rows("sum by (namespace, pod) (rate(container_network_transmit_bytes_total{namespace!=\"\"}[5m]))", POD),
    rows("sum by (namespace, pod) (rate(container_network_receive_packets_total{namespace!=\"\"}[5m]))", POD),
    rows(
        "sum by (namespace, pod) (rate(container_network_transmit_packets_total{namespace!=\"\"}[5m]))",
        POD,
    ),
    rows(
        "sum by (namespace, pod) (rate(container_network_receive_packets_dropped_total{namespace!=\"\"}[5m]))",
        POD,
    ),
    rows(
        "sum by (namespace, pod) (rate(container_network_transmit_packets_dropped_total{namespace!=\"\"}[5m]))",
        POD,
    ),
    rows(
        "ceil(sum by (namespace, pod) (rate(container_fs_reads_total{namespace=\"shop\",container!=\"\"}[5m]) \
         + rate(container_fs_writes_total{namespace=\"shop\",container!=\"\"}[5m])))",
        POD,
    ),
    rows(
        "sum by (namespace, pod, container) (rate(container_fs_reads_bytes_total{namespace=\"shop\",container!=\"\"}[5m]) \
         + rate(container_fs_writes_bytes_total{namespace=\"shop\",container!=\"\"}[5m]))",
        CONTAINER,
    ),
    within(
        "sum by (container, pod, namespace) (increase(container_cpu_cfs_throttled_periods_total{container!=\"\"}[5m])) \
         / sum by (container, pod, namespace) (increase(container_cpu_cfs_periods_total{container!=\"\"}[5m])) > 0",
        CONTAINER,
        0.0..=1.0,
    ),
    within(
        "sum by (pod, container) (rate(container_cpu_usage_seconds_total{container!=\"\"}[5m])) \
         / sum by (pod, container) (container_spec_cpu_quota{container!=\"\"} / container_spec_cpu_period{container!=\"\"}) * 100",
        &["pod", "container"],
        1.0..=150.0,
    ),
    within("time() - container_last_seen{container=\"web\"}", CONTAINER, -5.0..=15.0),
];
