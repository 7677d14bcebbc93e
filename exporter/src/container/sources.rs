//! Which source feeds which figures, and how well they agree: what this half says of itself.

use super::{
    accuracy::Accuracy,
    kernel::{Counts, Room, Traffic},
    tasks::InTime,
};
use crate::metric::{Family, Labels, Page};

static SOURCE: Family = Family::gauge(
    "nodetally_figure_source",
    "1 for the source that these figures are taken from: the cgroup's or the processes' files, eBPF, the network's devices or the runtime.",
);
static COMPARED: Family = Family::counter(
    "nodetally_container_cpu_compared_seconds_total",
    "CPU time of all cgroups over the same spans, as the kernel's files and as eBPF counted it, in seconds.",
);
static DIFFERENCE: Family = Family::gauge(
    "nodetally_container_cpu_difference_seconds",
    "CPU time that eBPF counted of one cgroup above (or, negative, below) the kernel's own since the last scrape: the one that is farthest off, in seconds.",
);
static SLOTS_USED: Family =
    Family::gauge("nodetally_ebpf_slots_used", "Cgroups that are counted in the kernel.");
static SLOTS: Family = Family::gauge("nodetally_ebpf_slots", "Cgroups that can be counted in the kernel.");
static SLOTS_FULL: Family = Family::counter(
    "nodetally_ebpf_slots_full_total",
    "Cgroups that could not be counted in the kernel, because all slots were taken.",
);
static EVENTS_LOST: Family = Family::counter(
    "nodetally_ebpf_events_lost_total",
    "Births and deaths of cgroups that were not told; the cgroups were walked instead.",
);
static UNKNOWN_CPU: Family = Family::counter(
    "nodetally_ebpf_unknown_cpu_seconds_total",
    "CPU time counted in the kernel for cgroups without a slot, in seconds.",
);
static UNKNOWN_BYTES: Family = Family::counter(
    "nodetally_ebpf_unknown_socket_bytes_total",
    "IP bytes counted in the kernel for cgroups without a slot.",
);

/// Where figures may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// CPU time is shown by count, not from the files.
    pub cpu_by_count: bool,
    /// The interfaces were read in time; none if nobody asked for them.
    pub interfaces: Option<bool>,
    /// Which figures of processes were read in time.
    pub tasks: InTime,
    /// Socket traffic is counted.
    pub sockets: bool,
}

/// The labels of these families.
#[derive(Debug)]
pub struct Writer {
    cpu: [Labels; 2],
    memory: Labels,
    network: [Labels; 2],
    tasks: [Labels; 2],
    referenced: [Labels; 2],
    host_network: [Labels; 2],
    sockets: [Labels; 2],
    compared: [Labels; 2],
    directions: [Labels; 2],
}

impl Writer {
    /// Prepares the labels.
    pub fn new() -> Self {
        let source = |figure, source| Labels::new([("figure", figure), ("source", source)]);
        let either = |figure, other| [source(figure, other), source(figure, "ebpf")];
        Self {
            cpu: either("container_cpu_usage", "cgroupfs"),
            memory: source("container_memory", "cgroupfs"),
            network: [source("container_network", "none"), source("container_network", "device")],
            tasks: ["none", "procfs"].map(|from| source("container_tasks", from)),
            referenced: ["none", "procfs"].map(|from| source("container_referenced", from)),
            host_network: either("container_network_host", "none"),
            sockets: either("container_socket", "none"),
            compared: ["cgroupfs", "ebpf"].map(|source| Labels::new([("source", source)])),
            directions: ["receive", "transmit"].map(|direction| Labels::new([("direction", direction)])),
        }
    }

    /// Writes them.
    pub fn write(&self, page: &mut Page, sources: Sources, accuracy: &Accuracy, counts: Option<&dyn Counts>) {
        let mut source = page.family(&SOURCE);
        let network = sources.interfaces.map(|in_time| pick(&self.network, in_time));
        let tasks = sources.tasks.tasks.map(|in_time| pick(&self.tasks, in_time));
        let referenced = sources.tasks.memory.map(|in_time| pick(&self.referenced, in_time));
        for labels in network.into_iter().chain(tasks).chain(referenced).chain([
            pick(&self.cpu, sources.cpu_by_count),
            &self.memory,
            pick(&self.host_network, sources.sockets),
            pick(&self.sockets, sources.sockets),
        ]) {
            source.sample(labels, 1_u64);
        }
        let Some(counts) = counts else { return };
        if counts.counts_cpu() {
            self.write_accuracy(page, accuracy);
        }
        self.write_room(page, &counts.room());
    }

    fn write_accuracy(&self, page: &mut Page, accuracy: &Accuracy) {
        let mut compared = page.family(&COMPARED);
        for (labels, nanoseconds) in self.compared.iter().zip([accuracy.kernel, accuracy.counted]) {
            compared.sample(labels, super::write::seconds(nanoseconds));
        }
        page.family(&DIFFERENCE).plain(accuracy.worst as f64 / 1e9);
    }

    fn write_room(&self, page: &mut Page, room: &Room) {
        page.family(&SLOTS_USED).plain(room.used);
        page.family(&SLOTS).plain(room.capacity);
        page.family(&SLOTS_FULL).plain(room.refused);
        page.family(&EVENTS_LOST).plain(room.events_lost);
        page.family(&UNKNOWN_CPU).plain(super::write::seconds(room.unknown_cpu));
        let all: Traffic = room.unknown_sockets.devices.plus(room.unknown_sockets.loopback);
        let mut bytes = page.family(&UNKNOWN_BYTES);
        for (labels, value) in self.directions.iter().zip([all.receive_bytes, all.transmit_bytes]) {
            bytes.sample(labels, value);
        }
    }
}

fn pick(labels: &[Labels; 2], second: bool) -> &Labels {
    let [first, other] = labels;
    if second { other } else { first }
}
