//! CPU time of a container on each processor, which stands in the place of its total.

use std::time::Instant;

use super::{
    cpu,
    group::{GroupDescriptor, On},
    roster::Roster,
    write::{self, seconds},
};
use crate::metric::{Labels, Page};

/// This group. Its one family is that of `cpu`.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "percpu",
    words: &["percpu"],
    on: On::ByName,
    summary: "`container_cpu_usage_seconds_total` by processor, not as `cpu=\"total\"`, on cgroup v1",
    reads: "cpuacct.usage_percpu of cgroup v1",
    families: &[],
};

/// CPU time on each processor in nanoseconds, in the order of their numbers; none of it ever falls.
#[derive(Debug, Default)]
pub struct ByCpu(Vec<u64>);

impl ByCpu {
    /// Takes in the time of one.
    pub fn read(&mut self, place: usize, time: u64) {
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        if let Some(shown) = self.0.get_mut(place) {
            *shown = time.max(*shown);
        }
    }
}

/// The labels of this group.
#[derive(Debug, Default)]
pub struct Writer {
    cpus: Vec<Labels>,
}

impl Writer {
    /// Writes the CPU time used; of processors that did nothing there is none.
    pub fn write(&mut self, page: &mut Page, roster: &Roster, now: Instant) {
        let most = roster.shown(now).map(|entry| entry.by_cpu.0.len()).max().unwrap_or(0);
        for cpu in self.cpus.len()..most {
            self.cpus.push(Labels::new([("cpu", format!("cpu{cpu:02}"))]));
        }
        write::rows(page, &cpu::USAGE, roster, now, |entry, samples| {
            for (labels, &time) in self.cpus.iter().zip(&entry.by_cpu.0).filter(|(_, time)| **time > 0) {
                samples.joined(&entry.labels, labels, seconds(time));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_falls_and_places_are_kept() {
        let mut by_cpu = ByCpu::default();
        for (place, time) in [(2, 7), (0, 5), (2, 6), (0, 9)] {
            by_cpu.read(place, time);
        }
        assert_eq!(by_cpu.0, [9, 0, 7]);
    }
}
