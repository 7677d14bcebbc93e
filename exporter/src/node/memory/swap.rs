//! Swap areas: their size and use.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page, Value},
    node::{kept::Kept, names::number},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "swap",
    on_by_default: false,
    summary: "swap areas: size, use and priority",
    reads: "/proc/swaps",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&SIZE, &USED, &PRIORITY],
    build: Swap::build,
};

static SIZE: Family = Family::gauge("node_swap_size_bytes", "Size of the swap area, in bytes.");
static USED: Family = Family::gauge("node_swap_used_bytes", "Used part of the swap area, in bytes.");
static PRIORITY: Family =
    Family::gauge("node_swap_priority", "Priority of the swap area: the highest is used first.");

/// A swap area as the file has it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Area<'a> {
    device: &'a [u8],
    swap_type: &'a [u8],
    figures: Figures,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    size: u64,
    used: u64,
    priority: Value,
}

/// A family and its value.
type Column = (&'static Family, fn(&Figures) -> Value);

struct Swap {
    file: KeptFile,
    /// By device and type.
    areas: Kept<(Labels, Figures)>,
}

impl Swap {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file = KeptFile::new(context.paths.procfs.join("swaps"), Serves::Records);
        Ok(Box::new(Self { file, areas: Kept::default() }))
    }
}

impl Collector for Swap {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let Self { file, areas } = self;
        areas.begin();
        let taken = take(file.read()?, areas);
        areas.end();
        taken.ok_or_else(|| Failure::unreadable(file.path(), "name, type, size, use and priority"))?;
        let columns: [Column; 3] = [
            (&SIZE, |figures| figures.size.into()),
            (&USED, |figures| figures.used.into()),
            (&PRIORITY, |figures| figures.priority),
        ];
        for (family, value) in columns {
            let mut samples = page.family(family);
            areas.items().for_each(|(labels, figures)| samples.sample(labels, value(figures)));
        }
        Ok(())
    }
}

/// Takes in the file; `None` if a line makes no sense.
fn take(swaps: &[u8], areas: &mut Kept<(Labels, Figures)>) -> Option<()> {
    let mut key = Vec::new();
    for line in text::lines(swaps).skip(1) {
        let area = parse(line)?;
        key.clear();
        key.extend_from_slice(area.device);
        key.push(b' ');
        key.extend_from_slice(area.swap_type);
        let make = || {
            let labels = Labels::new([("device", area.device), ("swap_type", area.swap_type)]);
            (labels, area.figures)
        };
        if let Some((_, figures)) = areas.meet(&key, make) {
            *figures = area.figures;
        }
    }
    Some(())
}

/// The kernel counts in KiB.
fn parse(line: &[u8]) -> Option<Area<'_>> {
    let mut fields = text::fields(line);
    let (device, swap_type) = (fields.next()?, fields.next()?);
    let mut bytes = || text::whole(fields.next()?)?.checked_mul(1024);
    let (size, used) = (bytes()?, bytes()?);
    let priority = number(fields.next()?)?;
    Some(Area { device, swap_type, figures: Figures { size, used, priority } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_read_in_bytes() {
        let area = parse(b"/dev/zram0      partition\t8388604\t\t76\t\t-2").expect("is an area");
        assert_eq!((area.device, area.swap_type), (&b"/dev/zram0"[..], &b"partition"[..]));
        assert_eq!(
            area.figures,
            Figures { size: 8_388_604 * 1024, used: 76 * 1024, priority: (-2.0).into() }
        );
        let mut areas = Kept::default();
        areas.begin();
        assert_eq!(take(b"Filename Type Size Used Priority\n/s\\040w file 4 0 5\n", &mut areas), Some(()));
        let labels: Vec<_> = areas.items().map(|(labels, _)| labels.text()).collect();
        assert_eq!(labels, [&br#"device="/s\\040w",swap_type="file""#[..]]);
    }

    #[test]
    fn lines_that_make_no_sense_are_failures() {
        for bad in [
            &b""[..],
            b"/s file 4 0",
            b"/s file x 0 5",
            b"/s file 4 0 x",
            b"/s file 18014398509481984 0 1",
            b"/s file 18446744073709551616 0 1",
            b"\xff",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
