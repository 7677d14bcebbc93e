//! How the machine's cores, caches and memory lie.

use std::{collections::HashSet, path::PathBuf};

use super::group::{GroupDescriptor, On, Origin};
use crate::{
    metric::{Family, Labels, Page},
    source::{
        file::{KeptFile, Serves},
        nodes::{self, Cache, Node},
        topology,
    },
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "cpu_topology",
    words: &["cpu_topology"],
    on: On::Unlisted,
    summary: "nodes of memory, the cores and caches on them, and how far they are from each other",
    reads: "/sys/devices/system/node, /sys/devices/system/cpu",
    families: &[
        Origin::same(&CACHES, "sysfs: cpu*/cache"),
        Origin::same(&SIBLINGS, "sysfs: cpu*/topology"),
        Origin::same(&MEMORY, "sysfs: node*/meminfo"),
        Origin::same(&HUGE_PAGES, "sysfs: node*/hugepages"),
        Origin::same(&DISTANCE, "sysfs: node*/distance"),
    ],
};

static CACHES: Family = Family::gauge(
    "machine_cpu_cache_capacity_bytes",
    "What a cache holds, in bytes; core_id is empty for those that all cores of a node share.",
);
static SIBLINGS: Family = Family::gauge(
    "machine_thread_siblings_count",
    "Processors that are online on the core of this one, itself included.",
);
static MEMORY: Family = Family::gauge("machine_node_memory_capacity_bytes", "Memory of a node, in bytes.");
static HUGE_PAGES: Family =
    Family::gauge("machine_node_hugepages_count", "Huge pages of a node by their size in KiB.");
static DISTANCE: Family = Family::gauge(
    "machine_node_distance",
    "How far it is from one node's cores to another's memory, where 10 is a node's own.",
);

/// What is known of the nodes, and the labels of this group.
#[derive(Debug)]
pub struct CpuTopology {
    machine: Labels,
    sysfs: PathBuf,
    online: [KeptFile; 2],
    /// Which processors and nodes were online when all this was read.
    read_of: Option<Vec<u8>>,
    caches: Vec<(Labels, u64)>,
    siblings: Vec<(Labels, u64)>,
    distances: Vec<(Labels, u64)>,
    nodes: Vec<(Labels, Node)>,
}

impl CpuTopology {
    /// Knows of nothing yet. `machine`: the labels of all that is of the machine.
    pub fn new(machine: &Labels, sysfs: PathBuf) -> Self {
        let online = ["cpu", "node"]
            .map(|kind| KeptFile::new(sysfs.join("devices/system").join(kind).join("online"), Serves::Whole));
        Self {
            machine: machine.clone(),
            sysfs,
            online,
            read_of: None,
            caches: Vec::new(),
            siblings: Vec::new(),
            distances: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// Writes the group.
    pub fn write(&mut self, page: &mut Page) {
        self.look();
        for (family, rows) in
            [(&CACHES, &self.caches), (&SIBLINGS, &self.siblings), (&DISTANCE, &self.distances)]
        {
            let mut samples = page.family(family);
            for (labels, value) in rows {
                samples.sample(labels, *value);
            }
        }
        let mut samples = page.family(&MEMORY);
        for (labels, node) in &self.nodes {
            if let Some(bytes) = node.memory() {
                samples.sample(labels, bytes);
            }
        }
        let mut samples = page.family(&HUGE_PAGES);
        for (labels, node) in &self.nodes {
            for pages in node.huge_pages() {
                samples.sample(&with(labels, &[("page_size", &pages.size.to_string())]), pages.count);
            }
        }
    }

    /// Reads it anew when other processors or nodes are online.
    fn look(&mut self) {
        let [cpus, nodes] = &mut self.online;
        let cpus = cpus.read().unwrap_or_default();
        let online = topology::online(cpus).unwrap_or_default();
        let mut state = cpus.to_vec();
        state.extend_from_slice(nodes.read().unwrap_or_default());
        if self.read_of.as_ref() == Some(&state) {
            return;
        }
        self.read_of = Some(state);
        for rows in [&mut self.caches, &mut self.siblings, &mut self.distances] {
            rows.clear();
        }
        let nodes = nodes::read(&self.sysfs, &online);
        let ids: Vec<String> = nodes.iter().map(|node| node.id.to_string()).collect();
        self.nodes = nodes
            .into_iter()
            .zip(&ids)
            .map(|(node, id)| (with(&self.machine, &[("node_id", id)]), node))
            .collect();
        for (labels, node) in &self.nodes {
            for (distance, target) in node.distances().into_iter().zip(&ids) {
                self.distances.push((with(labels, &[("target_node_id", target)]), distance));
            }
        }
        self.look_at_cores();
    }

    fn look_at_cores(&mut self) {
        let Self { caches, siblings, nodes, .. } = self;
        let mut known = HashSet::new();
        let mut add = |labels: &Labels, core: &str, all: &[Cache]| {
            for Cache { kind, level, bytes } in all {
                let mut labels = with(labels, &[("core_id", core)]);
                labels.push("level", level.to_string().as_bytes());
                labels.push("type", kind);
                // Two sockets on one node may number their cores alike.
                if known.insert(labels.clone()) {
                    caches.push((labels, *bytes));
                }
            }
        };
        for (labels, node) in nodes {
            add(labels, "", &node.caches);
            for core in &node.cores {
                let id = core.id.to_string();
                add(labels, &id, &core.caches);
                for thread in &core.threads {
                    let labels = with(labels, &[("core_id", &id), ("thread_id", &thread.to_string())]);
                    siblings.push((labels, core.threads.len() as u64));
                }
            }
        }
    }
}

fn with(labels: &Labels, more: &[(&str, &str)]) -> Labels {
    let mut labels = labels.clone();
    for (name, value) in more {
        labels.push(name, value.as_bytes());
    }
    labels
}
