//! What a cgroup's files say of CPU time and memory: text in, numbers out.

use crate::source::text;

const MICROSECOND: u64 = 1_000;
const SECOND: u64 = 1_000_000_000;

/// CPU time of a cgroup with all below it, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuFigures {
    /// All of it.
    pub usage: Option<u64>,
    /// In user mode.
    pub user: Option<u64>,
    /// In the kernel.
    pub system: Option<u64>,
    /// What a quota did; only where one is set.
    pub throttling: Option<Throttling>,
}

/// What a CPU quota did to a cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttling {
    /// Periods that passed.
    pub periods: u64,
    /// Periods in which it was held back.
    pub throttled_periods: u64,
    /// How long it was held back, in nanoseconds.
    pub throttled: u64,
    /// Periods in which it took more than its quota; where the kernel tells.
    pub burst_periods: Option<u64>,
    /// CPU time that it took so, in nanoseconds.
    pub burst: Option<u64>,
}

/// Version 2's `cpu.stat`.
pub fn cpu_stat(file: &[u8]) -> CpuFigures {
    let mut cpu = CpuFigures::default();
    let mut throttling = Throttling::default();
    let mut throttled = false;
    for (key, value) in pairs(file) {
        let nanoseconds = value.saturating_mul(MICROSECOND);
        match key {
            b"usage_usec" => cpu.usage = Some(nanoseconds),
            b"user_usec" => cpu.user = Some(nanoseconds),
            b"system_usec" => cpu.system = Some(nanoseconds),
            b"nr_periods" => (throttling.periods, throttled) = (value, true),
            b"nr_throttled" => throttling.throttled_periods = value,
            b"throttled_usec" => throttling.throttled = nanoseconds,
            b"nr_bursts" => throttling.burst_periods = Some(value),
            b"burst_usec" => throttling.burst = Some(nanoseconds),
            _ => {}
        }
    }
    cpu.throttling = throttled.then_some(throttling);
    cpu
}

/// Version 1's `cpu.stat`, in nanoseconds already; bursts are not told of there by the reference.
pub fn cpu_stat_v1(file: &[u8]) -> Option<Throttling> {
    Some(Throttling {
        periods: text::keyed(file, b"nr_periods")?,
        throttled_periods: text::keyed(file, b"nr_throttled")?,
        throttled: text::keyed(file, b"throttled_time")?,
        burst_periods: None,
        burst: None,
    })
}

/// Version 1's `cpuacct.stat`: user and system time in nanoseconds, from clock ticks.
pub fn cpuacct_stat(file: &[u8], ticks_per_second: u64) -> Option<(u64, u64)> {
    let nanoseconds = |key| Some(text::keyed(file, key)?.saturating_mul(SECOND / ticks_per_second.max(1)));
    Some((nanoseconds(b"user")?, nanoseconds(b"system")?))
}

/// More processors than any kernel is built for.
const MOST_CPUS: usize = 1 << 14;

/// Version 1's `cpuacct.usage_percpu`: the CPU time on each processor in nanoseconds, in the order of their numbers;
/// `None` for what is no number.
pub fn usage_by_cpu(file: &[u8]) -> impl Iterator<Item = Option<u64>> {
    text::lines(file).take(1).flat_map(text::fields).map(text::whole).take(MOST_CPUS)
}

/// Memory of a cgroup with all below it. Bytes, unless said otherwise; `None` where the kernel does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryFigures {
    /// All that is charged.
    pub usage: Option<u64>,
    /// The most that was charged.
    pub max_usage: Option<u64>,
    /// Swapped out.
    pub swap: Option<u64>,
    /// Held by the kernel.
    pub kernel: Option<u64>,
    /// Times that the limit was hit.
    pub failures: Option<u64>,
    /// Times that the high mark was passed.
    pub high_events: Option<u64>,
    /// Out of `memory.stat`.
    pub stat: MemoryStat,
}

impl MemoryFigures {
    /// What is charged, less the file pages that were not used for long.
    pub fn working_set(&self) -> Option<u64> {
        Some(self.usage?.saturating_sub(self.stat.inactive_file.unwrap_or(0)))
    }
}

/// What `memory.stat` says; bytes or counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kernel's own words")]
pub struct MemoryStat {
    pub anon: Option<u64>,
    pub file: Option<u64>,
    pub file_mapped: Option<u64>,
    pub kernel: Option<u64>,
    pub swap: Option<u64>,
    pub active_file: Option<u64>,
    pub inactive_file: Option<u64>,
    pub file_dirty: Option<u64>,
    pub file_writeback: Option<u64>,
    pub pgfault: Option<u64>,
    pub pgmajfault: Option<u64>,
    pub pgscan: Option<u64>,
    pub pgsteal: Option<u64>,
    pub workingset_refault_file: Option<u64>,
    pub workingset_refault_anon: Option<u64>,
}

/// Version 2's `memory.stat`.
pub fn memory_stat(file: &[u8]) -> MemoryStat {
    let mut stat = MemoryStat::default();
    for (key, value) in pairs(file) {
        let field = match key {
            b"anon" => &mut stat.anon,
            b"file" => &mut stat.file,
            b"kernel" => &mut stat.kernel,
            b"file_mapped" => &mut stat.file_mapped,
            b"active_file" => &mut stat.active_file,
            b"inactive_file" => &mut stat.inactive_file,
            b"file_dirty" => &mut stat.file_dirty,
            b"file_writeback" => &mut stat.file_writeback,
            b"pgfault" => &mut stat.pgfault,
            b"pgmajfault" => &mut stat.pgmajfault,
            b"pgscan" => &mut stat.pgscan,
            b"pgsteal" => &mut stat.pgsteal,
            b"workingset_refault_file" => &mut stat.workingset_refault_file,
            b"workingset_refault_anon" => &mut stat.workingset_refault_anon,
            _ => continue,
        };
        *field = Some(value);
    }
    stat
}

/// Version 1's `memory.stat`: the totals with all below, or the cgroup's own where there are none. Faults are
/// the cgroup's own, as the reference has them.
pub fn memory_stat_v1(file: &[u8]) -> MemoryStat {
    let (mut own, mut total) = (MemoryStat::default(), MemoryStat::default());
    for (key, value) in pairs(file) {
        let (stat, key) = match key.strip_prefix(b"total_") {
            Some(key) => (&mut total, key),
            None => (&mut own, key),
        };
        let field = match key {
            b"rss" => &mut stat.anon,
            b"cache" => &mut stat.file,
            b"mapped_file" => &mut stat.file_mapped,
            b"swap" => &mut stat.swap,
            b"active_file" => &mut stat.active_file,
            b"inactive_file" => &mut stat.inactive_file,
            b"pgfault" => &mut stat.pgfault,
            b"pgmajfault" => &mut stat.pgmajfault,
            b"workingset_refault_file" => &mut stat.workingset_refault_file,
            b"workingset_refault_anon" => &mut stat.workingset_refault_anon,
            _ => continue,
        };
        *field = Some(value);
    }
    MemoryStat {
        anon: total.anon.or(own.anon),
        file: total.file.or(own.file),
        file_mapped: total.file_mapped.or(own.file_mapped),
        swap: total.swap.or(own.swap),
        active_file: total.active_file.or(own.active_file),
        inactive_file: total.inactive_file.or(own.inactive_file),
        ..own
    }
}

/// How often something happened to the memory of a cgroup with all below it; `None` where the kernel does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryEvents {
    /// Memory was taken back though it was protected.
    pub low: Option<u64>,
    /// The high mark was passed.
    pub high: Option<u64>,
    /// The limit was hit.
    pub max: Option<u64>,
    /// Nothing could be taken back at the limit.
    pub oom: Option<u64>,
    /// A task was killed.
    pub oom_kill: Option<u64>,
    /// All tasks of a group were killed.
    pub oom_group_kill: Option<u64>,
}

/// Version 2's `memory.events`.
pub fn memory_events(file: &[u8]) -> MemoryEvents {
    let mut events = MemoryEvents::default();
    for (key, value) in pairs(file) {
        let field = match key {
            b"low" => &mut events.low,
            b"high" => &mut events.high,
            b"max" => &mut events.max,
            b"oom" => &mut events.oom,
            b"oom_kill" => &mut events.oom_kill,
            b"oom_group_kill" => &mut events.oom_group_kill,
            _ => continue,
        };
        *field = Some(value);
    }
    events
}

/// How long tasks waited, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Some of them.
    pub some: u64,
    /// All of them at once; 0 where the kernel does not tell (CPU before 5.13).
    pub full: u64,
}

/// One of version 2's `*.pressure` files; none where the kernel does not keep it.
pub fn pressure(file: &[u8]) -> Option<Pressure> {
    let total = |kind: &[u8]| {
        let line = text::lines(file).find(|line| text::fields(line).next() == Some(kind))?;
        let total = text::fields(line).find_map(|field| field.strip_prefix(b"total="))?;
        Some(text::whole(total)?.saturating_mul(MICROSECOND))
    };
    Some(Pressure { some: total(b"some")?, full: total(b"full").unwrap_or(0) })
}

fn pairs(file: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    text::lines(file).filter_map(|line| {
        let blank = line.iter().position(|&byte| byte == b' ')?;
        Some((line.get(..blank)?, text::whole(line.get(blank + 1..)?)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_stat_with_and_without_the_controller() {
        let bare = b"usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnice_usec 0\n";
        let cpu = cpu_stat(bare);
        assert_eq!((cpu.usage, cpu.user, cpu.system), (Some(1_500_000_000), Some(SECOND), Some(SECOND / 2)));
        assert_eq!(cpu.throttling, None);
        let more =
            b"usage_usec 9\nnr_periods 10\nnr_throttled 3\nthrottled_usec 70\nnr_bursts 2\nburst_usec 5\n";
        assert_eq!(
            cpu_stat(more).throttling,
            Some(Throttling {
                periods: 10,
                throttled_periods: 3,
                throttled: 70_000,
                burst_periods: Some(2),
                burst: Some(5_000)
            })
        );
        assert_eq!(cpu_stat(b"usage_usec x\n\n garbage\nusage_usec"), CpuFigures::default());
    }

    #[test]
    fn version_1_counts_in_ticks_and_nanoseconds() {
        assert_eq!(cpuacct_stat(b"user 150\nsystem 50\n", 100), Some((1_500_000_000, 500_000_000)));
        assert_eq!(cpuacct_stat(b"user 150\n", 100), None);
        let throttling = cpu_stat_v1(b"nr_periods 5\nnr_throttled 2\nthrottled_time 900\nnr_bursts 1\n");
        assert_eq!(
            throttling,
            Some(Throttling { periods: 5, throttled_periods: 2, throttled: 900, ..Throttling::default() })
        );
    }

    #[test]
    fn each_processor_has_its_place() {
        let read = |file| usage_by_cpu(file).collect::<Vec<_>>();
        assert_eq!(read(b"12 0 34 \n"), [Some(12), Some(0), Some(34)]);
        assert_eq!(read(b"12 x 34\n5"), [Some(12), None, Some(34)], "a line, and places are kept");
        assert_eq!((read(b""), read(b"\n")), (vec![], vec![]));
        assert_eq!(usage_by_cpu(&b"1 ".repeat(MOST_CPUS + 9)).count(), MOST_CPUS);
    }

    #[test]
    fn version_1_memory_is_the_total_with_all_below() {
        let both = b"cache 1\nrss 2\nmapped_file 3\nswap 4\npgfault 5\npgmajfault 6\ninactive_file 7\n\
            active_file 8\nworkingset_refault_file 9\ntotal_cache 10\ntotal_rss 20\ntotal_mapped_file 30\n\
            total_swap 40\ntotal_pgfault 50\ntotal_inactive_file 70\ntotal_active_file 80\n";
        let stat = memory_stat_v1(both);
        assert_eq!(
            (stat.file, stat.anon, stat.file_mapped, stat.swap),
            (Some(10), Some(20), Some(30), Some(40))
        );
        assert_eq!((stat.pgfault, stat.pgmajfault), (Some(5), Some(6)));
        assert_eq!((stat.inactive_file, stat.active_file), (Some(70), Some(80)));
        assert_eq!((stat.workingset_refault_file, stat.workingset_refault_anon), (Some(9), None));
        assert_eq!(memory_stat_v1(b"cache 1\nrss 2\n").file, Some(1));
    }

    #[test]
    fn version_2_memory() {
        let stat =
            memory_stat(b"anon 1\nfile 2\nkernel 3\nfile_mapped 4\npgscan 5\npgscan_direct 6\nnonsense\n");
        assert_eq!((stat.anon, stat.file, stat.kernel), (Some(1), Some(2), Some(3)));
        assert_eq!((stat.file_mapped, stat.pgscan, stat.pgsteal), (Some(4), Some(5), None));
        let events = memory_events(b"low 0\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill x\nsock 9\n");
        assert_eq!((events.low, events.high, events.max), (Some(0), Some(2), Some(3)));
        assert_eq!((events.oom, events.oom_kill, events.oom_group_kill), (Some(4), Some(5), None));
    }

    #[test]
    fn pressure_is_the_total_of_both_kinds() {
        let some = b"some avg10=0.00 avg60=1.50 avg300=0.00 total=15\n";
        let both = [&some[..], b"full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"].concat();
        assert_eq!(pressure(&both), Some(Pressure { some: 15_000, full: 7_000 }));
        assert_eq!(pressure(some), Some(Pressure { some: 15_000, full: 0 }));
        assert_eq!(
            (pressure(b""), pressure(b"some total=x"), pressure(b"somewhat total=1")),
            (None, None, None)
        );
    }

    #[test]
    fn the_working_set_is_never_below_zero() {
        let mut memory = MemoryFigures { usage: Some(10), ..MemoryFigures::default() };
        assert_eq!(memory.working_set(), Some(10));
        memory.stat.inactive_file = Some(11);
        assert_eq!(memory.working_set(), Some(0));
        assert_eq!(MemoryFigures::default().working_set(), None);
    }

    #[test]
    fn no_text_breaks_the_parsers() {
        let words: [&[u8]; 9] = [
            b"usage_usec",
            b"total_rss",
            b"rss",
            b" ",
            b"\n",
            b"18446744073709551615",
            b"-1",
            b"\xff",
            b"max",
        ];
        let mut state = 7_u64;
        for _ in 0..20_000 {
            let mut text = Vec::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.extend_from_slice(words[usize::try_from(state >> 33).unwrap_or(0) % words.len()]);
            }
            let _ = (cpu_stat(&text), cpu_stat_v1(&text), cpuacct_stat(&text, 0), memory_stat(&text));
            let _ = usage_by_cpu(&text).count();
            let _ = (memory_stat_v1(&text), memory_events(&text), pressure(&text));
        }
        let most = cpu_stat(b"usage_usec 18446744073709551615\n");
        assert_eq!(most.usage, Some(u64::MAX), "too large a number stays at the end of the range");
    }
}
