//! What a cgroup's files say of block devices: text in, numbers out.

use crate::source::text;

/// A block device as the kernel numbers it. Another disk may have the number later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// First part.
    pub major: u32,
    /// Second part.
    pub minor: u32,
}

impl Number {
    /// Reads `8:16`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let colon = text.iter().position(|&byte| byte == b':')?;
        let part = |digits: &[u8]| u32::try_from(text::whole(digits)?).ok();
        Some(Self { major: part(text.get(..colon)?)?, minor: part(text.get(colon + 1..)?)? })
    }
}

/// What version 2's `io.stat` says of a device; `None` where the kernel does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoStat {
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Bytes written.
    pub write_bytes: Option<u64>,
    /// Reads.
    pub reads: Option<u64>,
    /// Writes.
    pub writes: Option<u64>,
    /// Bytes discarded.
    pub discard_bytes: Option<u64>,
    /// Discards.
    pub discards: Option<u64>,
    /// Time of the device that the cost model charged, in microseconds.
    pub cost_usage: Option<u64>,
    /// Time spent waiting for that, in microseconds.
    pub cost_wait: Option<u64>,
    /// Time in debt, in microseconds.
    pub cost_indebt: Option<u64>,
    /// Time held back for debt, in microseconds.
    pub cost_indelay: Option<u64>,
}

/// The devices of an `io.stat` file. A line that tells nothing is left out. Some kernels put devices without figures
/// before another one on its line.
pub fn io_stat(file: &[u8]) -> impl Iterator<Item = (Number, IoStat)> {
    text::lines(file).filter_map(|line| {
        let (mut number, mut stat) = (None, IoStat::default());
        for word in text::fields(line) {
            match word.iter().position(|&byte| byte == b'=') {
                Some(end) => take(&mut stat, word.get(..end)?, word.get(end + 1..)?),
                None => number = Number::parse(word).or(number),
            }
        }
        Some((number?, stat)).filter(|(_, stat)| *stat != IoStat::default())
    })
}

fn take(stat: &mut IoStat, key: &[u8], value: &[u8]) {
    let field = match key {
        b"rbytes" => &mut stat.read_bytes,
        b"wbytes" => &mut stat.write_bytes,
        b"rios" => &mut stat.reads,
        b"wios" => &mut stat.writes,
        b"dbytes" => &mut stat.discard_bytes,
        b"dios" => &mut stat.discards,
        b"cost.usage" => &mut stat.cost_usage,
        b"cost.wait" => &mut stat.cost_wait,
        b"cost.indebt" => &mut stat.cost_indebt,
        b"cost.indelay" => &mut stat.cost_indelay,
        _ => return,
    };
    *field = text::whole(value).or(*field);
}

/// What a line of version 1's files is of. Each request is a read or a write or a discard, and sync or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kernel's own words")]
pub enum Operation {
    Read,
    Write,
    Sync,
    Async,
    Discard,
    Total,
}

/// The lines of one of version 1's `blkio.*` files, `8:0 Read 4096`. The sum of all devices at its end is left out.
pub fn blkio(file: &[u8]) -> impl Iterator<Item = (Number, Operation, u64)> {
    text::lines(file).filter_map(|line| {
        let mut words = text::fields(line);
        let number = Number::parse(words.next()?)?;
        let operation = match words.next()? {
            b"Read" => Operation::Read,
            b"Write" => Operation::Write,
            b"Sync" => Operation::Sync,
            b"Async" => Operation::Async,
            b"Discard" => Operation::Discard,
            b"Total" => Operation::Total,
            _ => return None,
        };
        let value = text::whole(words.next()?)?;
        words.next().is_none().then_some((number, operation, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn number(major: u32, minor: u32) -> Number {
        Number { major, minor }
    }

    #[test]
    fn every_key_of_version_2_is_read() {
        let file = b"254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.vrate=100.00 cost.usage=7 \
            cost.wait=8 cost.indebt=9 cost.indelay=10\n8:16 rbytes=11 wbytes=12 rios=13 wios=14\n";
        let found: Vec<_> = io_stat(file).collect();
        let first = IoStat {
            read_bytes: Some(1),
            write_bytes: Some(2),
            reads: Some(3),
            writes: Some(4),
            discard_bytes: Some(5),
            discards: Some(6),
            cost_usage: Some(7),
            cost_wait: Some(8),
            cost_indebt: Some(9),
            cost_indelay: Some(10),
        };
        let second = IoStat {
            read_bytes: Some(11),
            write_bytes: Some(12),
            reads: Some(13),
            writes: Some(14),
            ..IoStat::default()
        };
        assert_eq!(found, [(number(254, 0), first), (number(8, 16), second)]);
    }

    #[test]
    fn a_device_without_figures_may_stand_before_another() {
        let stat = |bytes| IoStat { read_bytes: Some(bytes), ..IoStat::default() };
        let found: Vec<_> =
            io_stat(b"7:7 7:6 8:0 rbytes=5\n7:5\n7:4 \n8:1 rbytes=6 (unknown) 9:9x\n").collect();
        assert_eq!(found, [(number(8, 0), stat(5)), (number(8, 1), stat(6))]);
    }

    #[test]
    fn garbage_of_version_2_is_left_out() {
        for bad in [
            &b"rbytes=1\n"[..],
            b"(unknown) rbytes=1\n",
            b"8:0 rbytes=-1 wbytes=18446744073709551616 =3 rios=\n",
            b"8: rbytes=1\n:8 rbytes=1\n8:4294967296 rbytes=1\n",
            b"8:0 cost.vrate=1\n",
            b"\xff\xfe=\x00",
            b"",
        ] {
            assert_eq!(io_stat(bad).count(), 0, "{bad:?}");
        }
        let cut: Vec<_> = io_stat(b"8:0 rbytes=12 wby").collect();
        assert_eq!(cut, [(number(8, 0), IoStat { read_bytes: Some(12), ..IoStat::default() })]);
    }

    #[test]
    fn every_operation_of_version_1_is_read() {
        let file = b"8:0 Read 1\n8:0 Write 2\n8:0 Sync 3\n8:0 Async 4\n8:0 Discard 5\n8:0 Total 6\n\
            259:12 Read 7\nTotal 13\n";
        let found: Vec<_> = blkio(file).collect();
        let of_first = |operation, value| (number(8, 0), operation, value);
        assert_eq!(
            found,
            [
                of_first(Operation::Read, 1),
                of_first(Operation::Write, 2),
                of_first(Operation::Sync, 3),
                of_first(Operation::Async, 4),
                of_first(Operation::Discard, 5),
                of_first(Operation::Total, 6),
                (number(259, 12), Operation::Read, 7)
            ]
        );
    }

    #[test]
    fn garbage_of_version_1_is_left_out() {
        for bad in [
            &b"Total 0\n"[..],
            b"8:0 12\n",
            b"8:0 Erase 1\n",
            b"8:0 Read\n8:0 Read x\n8:0 Read 1 2\n8 Read 1\n",
            b"8:0 Read 18446744073709551616\n",
            b"\xff",
            b"",
        ] {
            assert_eq!(blkio(bad).count(), 0, "{bad:?}");
        }
    }
}
