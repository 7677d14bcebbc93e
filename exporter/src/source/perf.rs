//! Counters of the performance monitor: perf_event_open(2). (The crates for it count for a process, or sample.)

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

/// The first form of the kernel's `struct perf_event_attr`, which every kernel takes.
#[repr(C)]
#[derive(Debug, Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    period: u64,
    sample: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    config1: u64,
}

const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
/// A read gives: number of values, nanoseconds enabled, nanoseconds running, the values.
const READ_FORMAT: u64 = 1 | 2 | 8;
const CLOSE_ON_EXEC: u64 = 8;
const EVERY_PROCESS: libc::pid_t = -1;

/// What is counted, in the kernel's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// `PERF_TYPE_*`.
    pub kind: u32,
    /// Which of that type.
    pub config: u64,
}

impl Event {
    /// An event of the processor, by `PERF_COUNT_HW_*`.
    pub const fn hardware(config: u64) -> Self {
        Self { kind: 0, config }
    }

    /// An event of the kernel, by `PERF_COUNT_SW_*`.
    pub const fn software(config: u64) -> Self {
        Self { kind: 1, config }
    }

    /// A tracepoint, by the number in its `id` file.
    pub const fn tracepoint(id: u64) -> Self {
        Self { kind: 2, config: id }
    }

    /// An event of a cache: which one, what is done (0 a read, 1 a write), what came of it (0 access, 1 miss).
    pub const fn cache(cache: u64, operation: u64, result: u64) -> Self {
        Self { kind: 3, config: cache | operation << 8 | result << 16 }
    }
}

/// Counts that are read together.
pub trait Counting: Send {
    /// Writes the counts, in the order of the events, and gives the nanoseconds since counting began, which grow as long
    /// as it goes on. `None` if not all could be read.
    fn read(&mut self, counts: &mut Vec<u64>) -> Option<u64>;
}

/// Whoever counts events.
pub trait Counters: Send {
    /// Counts these events on a CPU from now on, for all that runs there. The kernel has to count all of them at a time
    /// or none, so events of the processor go one by one.
    ///
    /// # Errors
    /// What `perf_event_open` says: `EACCES` without the right to it, `ENOENT` and others for what the machine lacks.
    fn count(&mut self, cpu: u32, events: &[Event]) -> io::Result<Box<dyn Counting>>;
}

/// The kernel's counters. Counting needs `CAP_PERFMON` (`CAP_SYS_ADMIN` before Linux 5.8); reading needs nothing.
#[derive(Debug, Default)]
pub struct KernelCounters;

/// Events that are open; the first one stands for all.
#[derive(Debug)]
struct Group {
    events: Vec<OwnedFd>,
    buffer: Vec<u8>,
}

impl Counters for KernelCounters {
    fn count(&mut self, cpu: u32, events: &[Event]) -> io::Result<Box<dyn Counting>> {
        let mut open: Vec<OwnedFd> = Vec::with_capacity(events.len());
        for event in events {
            let first = open.first().map(std::os::fd::AsRawFd::as_raw_fd);
            open.push(open_event(*event, cpu, first)?);
        }
        Ok(Box::new(Group { buffer: vec![0; 8 * (3 + events.len())], events: open }))
    }
}

fn open_event(event: Event, cpu: u32, group: Option<RawFd>) -> io::Result<OwnedFd> {
    let attributes = Attributes {
        kind: event.kind,
        size: size_of::<Attributes>().try_into().unwrap_or(u32::MAX),
        config: event.config,
        read_format: READ_FORMAT,
        flags: EXCLUDE_HYPERVISOR,
        ..Attributes::default()
    };
    let cpu = libc::c_int::try_from(cpu).unwrap_or(libc::c_int::MAX);
    // SAFETY: the attributes outlive the call and their size is in them; the rest are numbers.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            EVERY_PROCESS,
            cpu,
            group.unwrap_or(-1),
            CLOSE_ON_EXEC,
        )
    };
    match RawFd::try_from(opened) {
        // SAFETY: the kernel has just opened it for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Counting for Group {
    fn read(&mut self, counts: &mut Vec<u64>) -> Option<u64> {
        counts.clear();
        let length = rustix::io::read(self.events.first()?, &mut self.buffer[..]).ok()?;
        parse(self.buffer.get(..length)?, self.events.len(), counts)
    }
}

/// The counts of a group's answer; `None` if it is not of so many.
fn parse(answer: &[u8], expected: usize, counts: &mut Vec<u64>) -> Option<u64> {
    let mut numbers =
        answer.chunks_exact(8).map_while(|number| Some(u64::from_ne_bytes(number.try_into().ok()?)));
    let (count, enabled, _running) = (numbers.next()?, numbers.next()?, numbers.next()?);
    counts.extend(numbers.take(expected));
    (usize::try_from(count) == Ok(expected) && counts.len() == expected).then_some(enabled)
}

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(answer: &[u8]) {
    let _ = parse(answer, 3, &mut Vec::new());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_attributes_are_the_kernel_s_first_form() {
        assert_eq!(size_of::<Attributes>(), 64);
        assert_eq!(Event::cache(2, 1, 1).config, 0x1_0102);
    }

    #[test]
    fn only_whole_answers_count() {
        let answer =
            |numbers: &[u64]| numbers.iter().flat_map(|number| number.to_ne_bytes()).collect::<Vec<_>>();
        let mut counts = Vec::new();
        assert_eq!(parse(&answer(&[2, 70, 60, 5, u64::MAX]), 2, &mut counts), Some(70));
        assert_eq!(counts, [5, u64::MAX]);
        let whole = answer(&[1, 70, 60, 5]);
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end], 1, &mut Vec::new()), None, "{end}");
        }
        // A group that has lost its members, and one that has too many.
        assert_eq!(parse(&whole, 2, &mut Vec::new()), None);
        assert_eq!(parse(&answer(&[2, 70, 60, 5, 6]), 1, &mut Vec::new()), None);
        assert_eq!(parse(&answer(&[u64::MAX, 70, 60, 5]), 1, &mut Vec::new()), None);
    }
}
