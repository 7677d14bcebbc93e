//! Free blocks of memory by their size.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "buddyinfo",
    on_by_default: false,
    summary: "free blocks of memory by size",
    reads: "/proc/buddyinfo",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&BLOCKS],
    build: Buddyinfo::build,
};

static BLOCKS: Family = Family::gauge(
    "node_buddyinfo_blocks",
    "Free blocks of memory; size is the binary logarithm of a block's pages.",
);

struct Buddyinfo {
    file: KeptFile,
    /// By the text before the counts.
    zones: Kept<Zone>,
}

#[derive(Default)]
struct Zone {
    node: Vec<u8>,
    name: Vec<u8>,
    /// By size.
    labels: Vec<Labels>,
    counts: Vec<u64>,
}

impl Buddyinfo {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file = KeptFile::new(context.paths.procfs.join("buddyinfo"), Serves::Rows);
        Ok(Box::new(Self { file, zones: Kept::default() }))
    }
}

impl Zone {
    /// Takes this scrape's counts; `None` if one is no number.
    fn count<'a>(&mut self, counts: impl Iterator<Item = &'a [u8]>) -> Option<()> {
        self.counts.clear();
        for (size, field) in counts.enumerate() {
            self.counts.push(text::whole(field)?);
            if self.labels.len() <= size {
                self.labels.push(Labels::new([
                    ("node", &self.node[..]),
                    ("size", size.to_string().as_bytes()),
                    ("zone", &self.name),
                ]));
            }
        }
        Some(())
    }
}

/// Takes in the file; `None` if a line makes no sense.
fn take(buddyinfo: &[u8], zones: &mut Kept<Zone>) -> Option<()> {
    let mut key = Vec::new();
    for line in text::lines(buddyinfo) {
        // `Node 0, zone   Normal   4381 ...`
        let mut fields = text::fields(line);
        let node = fields.nth(1)?;
        let node = node.strip_suffix(b",").unwrap_or(node);
        let name = fields.nth(1)?;
        key.clear();
        key.extend_from_slice(node);
        key.push(b' ');
        key.extend_from_slice(name);
        let make = || Zone { node: node.to_vec(), name: name.to_vec(), ..Zone::default() };
        if let Some(zone) = zones.meet(&key, make) {
            zone.count(fields)?;
        }
    }
    Some(())
}

impl Collector for Buddyinfo {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let Self { file, zones } = self;
        zones.begin();
        let taken = take(file.read()?, zones);
        zones.end();
        taken.ok_or_else(|| Failure::unreadable(file.path(), "node, zone and counts of blocks"))?;
        let mut samples = page.family(&BLOCKS);
        for zone in zones.items() {
            for (labels, count) in zone.labels.iter().zip(&zone.counts) {
                samples.sample(labels, *count);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(text: &[u8]) -> Option<Vec<(String, u64)>> {
        let mut zones = Kept::default();
        zones.begin();
        take(text, &mut zones)?;
        let blocks = zones.items().flat_map(|zone| zone.labels.iter().zip(&zone.counts));
        Some(
            blocks
                .map(|(labels, count)| (String::from_utf8_lossy(labels.text()).into_owned(), *count))
                .collect(),
        )
    }

    #[test]
    fn blocks_are_counted_by_size() {
        let found =
            zones(b"Node 0, zone      DMA      1      0 \nNode 12, zone Normal 18446744073709551615\n");
        let expected = [
            (r#"node="0",size="0",zone="DMA""#.to_owned(), 1),
            (r#"node="0",size="1",zone="DMA""#.to_owned(), 0),
            (r#"node="12",size="0",zone="Normal""#.to_owned(), u64::MAX),
        ];
        assert_eq!(found.as_deref(), Some(&expected[..]));
        assert_eq!(zones(b""), Some(vec![]));
    }

    #[test]
    fn lines_that_make_no_sense_are_failures() {
        for bad in [
            &b"Node"[..],
            b"Node 0, zone",
            b"Node 0, zone DMA x",
            b"Node 0, zone DMA 1 -1",
            b"\xff",
            b"Node 0, zone DMA 18446744073709551616",
        ] {
            assert_eq!(zones(bad), None, "{bad:?}");
        }
    }
}
