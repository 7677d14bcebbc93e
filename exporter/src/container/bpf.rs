//! The eBPF programs as this half's kernel side.

use std::{os::fd::BorrowedFd, sync::Arc};

use super::kernel::{Counts, CpuCount, KernelSide, Key, Life, Lives, Room, SocketCount, Switches, Traffic};
use crate::source::bpf::{self, CgroupKey, Counters, Kernel, LifeEvents, Program, Reason};

/// A path of this length may have been cut by the kernel.
const LONGEST: usize = exporter_common::PATH_BYTES - 1;

impl KernelSide {
    /// What runs of the kernel half, which must be kept alive; none if nothing counts. Takes its events over.
    pub fn of(kernel: &mut Kernel) -> Option<Self> {
        let is_up = |program| kernel.status_of(program) == Reason::Ok;
        let (cpu, net) = (is_up(Program::Cpu), is_up(Program::Net));
        let counters = kernel.counters.clone()?;
        let lives = kernel.life.take().map(|events| {
            Box::new(Events { ring: events, counters: Arc::clone(&counters), lost: 0 }) as Box<dyn Lives>
        });
        Some(Self { counts: Arc::new(Counting { counters, cpu, net }), lives })
    }
}

#[derive(Debug)]
struct Counting {
    counters: Arc<Counters>,
    cpu: bool,
    net: bool,
}

impl Counts for Counting {
    fn counts_cpu(&self) -> bool {
        self.cpu
    }

    fn counts_sockets(&self) -> bool {
        self.net
    }

    fn enter(&self, key: Key) -> bool {
        self.counters.enter(theirs(key)).is_some()
    }

    fn enter_late(&self, key: Key) -> bool {
        self.counters.enter_if_free(theirs(key))
    }

    fn leave(&self, key: Key) {
        self.counters.leave(theirs(key));
    }

    fn cpu(&self, key: Key) -> Option<CpuCount> {
        let count = self.counters.cpu(self.counters.find(theirs(key))?);
        let switches = Switches { voluntary: count.voluntary, forced: count.forced };
        Some(CpuCount { finished: count.ns, running: count.running_ns, switches })
    }

    fn add_by_cpu(&self, key: Key, times: &mut Vec<u64>) {
        if let Some(slot) = self.counters.find(theirs(key)) {
            self.counters.add_by_cpu(slot, times);
        }
    }

    fn sockets(&self, key: Key) -> Option<SocketCount> {
        Some(sockets(self.counters.net(self.counters.find(theirs(key))?)))
    }

    fn room(&self) -> Room {
        let usage = self.counters.usage();
        Room {
            used: usage.used as u64,
            capacity: usage.capacity as u64,
            refused: usage.times_full,
            events_lost: usage.events_lost,
            unknown_cpu: usage.unknown_cpu.ns,
            unknown_sockets: sockets(usage.unknown_net),
        }
    }
}

fn theirs(key: Key) -> CgroupKey {
    CgroupKey::new(key.id, key.hierarchy)
}

fn ours(key: CgroupKey) -> Key {
    Key { hierarchy: key.hierarchy, id: key.id }
}

fn sockets(totals: bpf::NetTotals) -> SocketCount {
    SocketCount { devices: traffic(totals.devices), loopback: traffic(totals.loopback) }
}

fn traffic(traffic: bpf::Traffic) -> Traffic {
    Traffic {
        receive_bytes: traffic.rx_bytes,
        receive_packets: traffic.rx_packets,
        transmit_bytes: traffic.tx_bytes,
        transmit_packets: traffic.tx_packets,
    }
}

#[derive(Debug)]
struct Events {
    ring: LifeEvents,
    counters: Arc<Counters>,
    /// Events known to be lost.
    lost: u64,
}

impl Lives for Events {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    fn drain(&mut self, each: &mut dyn FnMut(Life<'_>)) -> bool {
        let mut is_cut = false;
        self.ring.drain(|event| {
            let key = ours(event.key);
            if event.what == bpf::Life::Born && event.path.len() >= LONGEST {
                // The path of another cgroup, for all we know.
                is_cut = true;
                return;
            }
            each(match event.what {
                bpf::Life::Born => Life::Born { key, path: event.path },
                bpf::Life::Died => Life::Died { key },
            });
        });
        let lost = self.counters.usage().events_lost;
        std::mem::replace(&mut self.lost, lost) != lost || is_cut
    }
}
