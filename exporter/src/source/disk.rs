//! `/proc/diskstats`: what each block device has done. (Its columns are served in order, as an array; the `procfs`
//! crate names each of them and fails as a whole on one bad line.)

use super::text;

/// Columns of the newest kernels (5.5); older ones have 15 (4.18) or 11.
pub const COLUMNS: usize = 17;
const LEAST: usize = 11;

/// One block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk<'a> {
    /// Device number, first part.
    pub major: u32,
    /// Device number, second part.
    pub minor: u32,
    /// Its name, as in /dev.
    pub name: &'a [u8],
    /// Its figures.
    pub activity: Activity,
}

/// The columns behind the name, as far as the kernel has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    columns: [u64; COLUMNS],
    count: usize,
}

impl Activity {
    /// Column `index`, counted from 0; `None` where the kernel has none.
    pub fn column(&self, index: usize) -> Option<u64> {
        self.columns.get(..self.count)?.get(index).copied()
    }
}

/// The block devices. A line with fewer than eleven columns, as 2.6 gave for partitions, is left out.
pub fn disks(diskstats: &[u8]) -> impl Iterator<Item = Disk<'_>> {
    text::lines(diskstats).filter_map(disk)
}

fn disk(line: &[u8]) -> Option<Disk<'_>> {
    let mut fields = text::fields(line);
    let mut number = || u32::try_from(text::whole(fields.next()?)?).ok();
    let (major, minor) = (number()?, number()?);
    let name = fields.next()?;
    let mut activity = Activity::default();
    for (column, value) in activity.columns.iter_mut().zip(fields.map_while(text::whole)) {
        *column = value;
        activity.count += 1;
    }
    (activity.count >= LEAST).then_some(Disk { major, minor, name, activity })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_kernels_are_read() {
        let text = b"   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n 259 3 nvme0n1p3 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n\
            8 16 sdb 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19\n";
        let found: Vec<_> = disks(text).collect();
        assert_eq!((found[0].major, found[0].minor, found[0].name), (8, 0, &b"sda"[..]));
        let counts: Vec<_> = found.iter().map(|disk| disk.activity.count).collect();
        assert_eq!(counts, [11, 15, 17]);
        assert_eq!(found[0].activity.column(10), Some(11));
        assert_eq!(found[0].activity.column(11), None);
        assert_eq!(found[2].activity.column(16), Some(17));
        assert_eq!(found[2].activity.column(17), None);
    }

    #[test]
    fn lines_cut_short_are_left_out() {
        for line in [
            &b"8 0 sda 1 2 3 4 5 6 7 8 9 10"[..],
            b"8 0 sda 1 2 3 4 5 x 7 8 9 10 11",
            b"8 0 sda 18446744073709551616 2 3 4 5 6 7 8 9 10 11",
            b"8 99999999999 sda 1 2 3 4 5 6 7 8 9 10 11",
            b"8 0",
            b"",
            b"\xff",
        ] {
            assert_eq!(disks(line).count(), 0, "{line:?}");
        }
    }
}
