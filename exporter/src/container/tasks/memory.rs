//! Memory that processes have touched. The kernel walks all their pages for it, with their memory locked meanwhile.

use std::ops::Range;
use std::time::Instant;

use super::{
    ask::{self, Order, Row},
    reader::Listing,
};
use crate::source::{process::Processes, stream::Miss};

/// Reads referenced memory.
#[derive(Debug)]
pub struct MemoryReader {
    listing: Listing,
    processes: Processes,
}

impl MemoryReader {
    /// Of the processes listed so.
    pub fn new(listing: Listing, processes: Processes) -> Self {
        Self { listing, processes }
    }

    /// Reads what is ordered, a row for each subject. What there is no time for stays empty.
    pub fn read(&mut self, order: &Order, rows: &mut Vec<Row<u64>>) {
        ask::prepare(order, rows, |figures| *figures = None);
        self.processes.begin();
        self.listing.list(order, |subject| subject.is_shown);
        for (at, row) in rows.iter_mut().enumerate() {
            let Some(pids) = self.listing.of(at).pids else { continue };
            row.figures = self.sum(pids, ask::part_of(order.until));
        }
        self.processes.end();
    }

    fn sum(&mut self, pids: Range<usize>, until: Instant) -> Option<u64> {
        let mut sum = 0_u64;
        for &pid in self.listing.pids(pids) {
            match self.processes.referenced(pid, until) {
                Ok(bytes) => sum = sum.saturating_add(bytes),
                Err(Miss::Gone) => {}
                Err(Miss::Unknown) => return None,
            }
            if Instant::now() >= until {
                return None;
            }
        }
        Some(sum)
    }
}
