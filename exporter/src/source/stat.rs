//! `/proc/stat`: CPU time and what has happened since boot. It gives ticks of a hundredth of a second, whatever
//! the kernel's own tick is. (The `procfs` crate builds a vector and a map of it at each read.)

use super::text;

/// Ticks in a second.
pub const TICKS_PER_SECOND: f64 = 100.0;

/// The columns of a CPU's line, in the kernel's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the kernel's own")]
pub enum Mode {
    User,
    Nice,
    System,
    Idle,
    Iowait,
    Irq,
    Softirq,
    Steal,
    Guest,
    GuestNice,
}

/// Ticks by [`Mode`]; what an old kernel does not tell is 0.
pub type Ticks = [u64; 10];

/// Columns that every kernel has had: user, nice, system, idle.
const LEAST: usize = 4;

/// The online CPUs: number as text, and ticks. A line that makes no sense is left out.
pub fn cpus(stat: &[u8]) -> impl Iterator<Item = (&[u8], Ticks)> {
    // They come first; behind them stands the interrupts' line, which is long and not looked at here.
    text::lines(stat).take_while(|line| line.starts_with(b"cpu")).filter_map(cpu)
}

fn cpu(line: &[u8]) -> Option<(&[u8], Ticks)> {
    let mut fields = text::fields(line);
    let number = fields.next()?.strip_prefix(b"cpu")?;
    text::whole(number)?;
    let mut ticks = [0; 10];
    let mut columns = 0;
    for (column, field) in ticks.iter_mut().zip(fields) {
        *column = text::whole(field)?;
        columns += 1;
    }
    (columns >= LEAST).then_some((number, ticks))
}

/// What the lines behind the CPUs tell; `None` for a line that is missing or makes no sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Interrupts since boot.
    pub interrupts: Option<u64>,
    /// Context switches since boot.
    pub context_switches: Option<u64>,
    /// The time of boot, in seconds since 1970.
    pub boot_time: Option<u64>,
    /// Forks since boot.
    pub forks: Option<u64>,
    /// Threads that run or wait for a CPU.
    pub running: Option<u64>,
    /// Threads that wait for a disk.
    pub blocked: Option<u64>,
    /// Soft interrupts since boot, by vector, in the kernel's order.
    pub softirqs: Option<[u64; 10]>,
}

/// Reads what stands behind the CPUs' lines.
pub fn totals(stat: &[u8]) -> Totals {
    let mut totals = Totals::default();
    for line in text::lines(stat).skip_while(|line| line.starts_with(b"cpu")) {
        let mut fields = text::fields(line);
        let Some(key) = fields.next() else { continue };
        let mut first = || text::whole(fields.next()?);
        match key {
            b"intr" => totals.interrupts = first(),
            b"ctxt" => totals.context_switches = first(),
            b"btime" => totals.boot_time = first(),
            b"processes" => totals.forks = first(),
            b"procs_running" => totals.running = first(),
            b"procs_blocked" => totals.blocked = first(),
            b"softirq" => totals.softirqs = by_vector(fields),
            _ => {}
        }
    }
    totals
}

/// The fields behind the first, which is their sum.
fn by_vector<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Option<[u64; 10]> {
    let mut counts = fields.skip(1).map(text::whole);
    let mut vectors = [0; 10];
    for vector in &mut vectors {
        *vector = counts.next()??;
    }
    Some(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &[u8] = b"cpu  30 3 10 400 5 0 1 0 0 0\ncpu0 10 1 4 200 2 0 1 0 3 4\ncpu12 20 2 6 200\n\
        intr 77 1 2 3\nctxt 99\nbtime 1700000000\nprocesses 8\nprocs_running 2\nprocs_blocked 1\n\
        softirq 55 1 2 3 4 5 6 7 8 9 10\n";

    #[test]
    fn cpus_are_read_and_old_kernels_too() {
        let found: Vec<_> = cpus(STAT).collect();
        assert_eq!(found[0], (&b"0"[..], [10, 1, 4, 200, 2, 0, 1, 0, 3, 4]));
        assert_eq!(found[1], (&b"12"[..], [20, 2, 6, 200, 0, 0, 0, 0, 0, 0]));
        assert_eq!(found.len(), 2, "the sum of all is no CPU");
        assert_eq!(cpus(b"cpu0 1 2 3 4 5 6 7 8 9 10 11 12\n").count(), 1, "new columns are no harm");
    }

    #[test]
    fn a_line_cut_short_is_left_out() {
        for line in [&b"cpu0 1 2 3\n"[..], b"cpu0 1 2 x 4\n", b"cpux 1 2 3 4\n", b"cpu0", b"cpu", b""] {
            assert_eq!(cpus(line).count(), 0, "{line:?}");
        }
        assert_eq!(cpus(b"cpu0 1 2 3 18446744073709551616\n").count(), 0);
    }

    #[test]
    fn totals_are_read_wherever_they_stand() {
        assert_eq!(
            totals(STAT),
            Totals {
                interrupts: Some(77),
                context_switches: Some(99),
                boot_time: Some(1_700_000_000),
                forks: Some(8),
                running: Some(2),
                blocked: Some(1),
                softirqs: Some([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
            }
        );
        assert_eq!(totals(b"softirq 5 1 2\nctxt x\nbtime\n"), Totals::default());
    }
}
