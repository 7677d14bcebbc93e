//! Memory zones: watermarks, and pages by state.

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
    name: "zoneinfo",
    on_by_default: false,
    summary: "memory zones: watermarks and pages by state",
    reads: "/proc/zoneinfo",
    since: "2.6.13",
    pace: Pace::Quick,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Zoneinfo::build,
};

const LINES: usize = 34;
/// As many zones as a node can have.
const PROTECTIONS: usize = 6;

/// The lines that are given, in the order of their bytes; [`FAMILIES`] has the same order.
static KEYS: [&[u8]; LINES] = [
    b"high",
    b"low",
    b"managed",
    b"min",
    b"nr_active_anon",
    b"nr_active_file",
    b"nr_anon_pages",
    b"nr_anon_transparent_hugepages",
    b"nr_dirtied",
    b"nr_dirty",
    b"nr_file_pages",
    b"nr_free_pages",
    b"nr_inactive_anon",
    b"nr_inactive_file",
    b"nr_isolated_anon",
    b"nr_isolated_file",
    b"nr_kernel_stack",
    b"nr_mapped",
    b"nr_mlock_stack",
    b"nr_shmem",
    b"nr_slab_reclaimable",
    b"nr_slab_unreclaimable",
    b"nr_unevictable",
    b"nr_writeback",
    b"nr_written",
    b"numa_foreign",
    b"numa_hit",
    b"numa_interleave",
    b"numa_local",
    b"numa_miss",
    b"numa_other",
    b"present",
    b"scanned",
    b"spanned",
];

static FAMILIES: [Family; LINES] = [
    Family::gauge("node_zoneinfo_high_pages", "Free pages at which reclaim comes to rest."),
    Family::gauge("node_zoneinfo_low_pages", "Free pages below which reclaim begins."),
    Family::gauge("node_zoneinfo_managed_pages", "Pages of the zone that the page allocator deals with."),
    Family::gauge("node_zoneinfo_min_pages", "Free pages that are kept for those who cannot wait."),
    Family::gauge("node_zoneinfo_nr_active_anon_pages", "Anonymous pages used lately."),
    Family::gauge("node_zoneinfo_nr_active_file_pages", "Pages of files used lately."),
    Family::gauge("node_zoneinfo_nr_anon_pages", "Anonymous pages mapped into processes."),
    Family::gauge("node_zoneinfo_nr_anon_transparent_hugepages", "Anonymous transparent huge pages."),
    Family::counter("node_zoneinfo_nr_dirtied_total", "Pages made dirty since boot."),
    Family::gauge("node_zoneinfo_nr_dirty_pages", "Pages that wait to be written to disk."),
    Family::gauge("node_zoneinfo_nr_file_pages", "Pages of files, shared memory included."),
    Family::gauge("node_zoneinfo_nr_free_pages", "Pages that nothing uses."),
    Family::gauge("node_zoneinfo_nr_inactive_anon_pages", "Anonymous pages not used lately."),
    Family::gauge("node_zoneinfo_nr_inactive_file_pages", "Pages of files not used lately."),
    Family::gauge("node_zoneinfo_nr_isolated_anon_pages", "Anonymous pages that reclaim is looking at."),
    Family::gauge("node_zoneinfo_nr_isolated_file_pages", "Pages of files that reclaim is looking at."),
    Family::gauge("node_zoneinfo_nr_kernel_stacks", "Stacks of threads in the kernel, in KiB."),
    Family::gauge("node_zoneinfo_nr_mapped_pages", "Pages of files mapped into processes."),
    Family::gauge("node_zoneinfo_nr_mlock_stack_pages", "Pages of stacks locked with mlock."),
    Family::gauge("node_zoneinfo_nr_shmem_pages", "Pages of shared memory and tmpfs."),
    Family::gauge("node_zoneinfo_nr_slab_reclaimable_pages", "Pages of slabs that can be reclaimed."),
    Family::gauge("node_zoneinfo_nr_slab_unreclaimable_pages", "Pages of slabs that cannot be reclaimed."),
    Family::gauge("node_zoneinfo_nr_unevictable_pages", "Pages that cannot be reclaimed."),
    Family::gauge("node_zoneinfo_nr_writeback_pages", "Pages being written to disk now."),
    Family::counter("node_zoneinfo_nr_written_total", "Pages written to disk since boot."),
    Family::counter(
        "node_zoneinfo_numa_foreign_total",
        "Pages wanted from this node and taken from another.",
    ),
    Family::counter("node_zoneinfo_numa_hit_total", "Pages taken from this node as wanted."),
    Family::counter("node_zoneinfo_numa_interleave_total", "Pages taken from this node in its turn."),
    Family::counter("node_zoneinfo_numa_local_total", "Pages taken by CPUs of this node."),
    Family::counter("node_zoneinfo_numa_miss_total", "Pages taken from this node though another was wanted."),
    Family::counter("node_zoneinfo_numa_other_total", "Pages taken by CPUs of other nodes."),
    Family::gauge("node_zoneinfo_present_pages", "Pages of the zone that exist."),
    Family::gauge("node_zoneinfo_scanned_pages", "Pages looked at since the last reclaim."),
    Family::gauge("node_zoneinfo_spanned_pages", "Pages from the zone's first to its last, holes included."),
];

static PROTECTION: [Family; PROTECTIONS] = [
    Family::gauge("node_zoneinfo_protection_0", "Pages kept from requests that could use zone 0."),
    Family::gauge("node_zoneinfo_protection_1", "Pages kept from requests that could use zone 1."),
    Family::gauge("node_zoneinfo_protection_2", "Pages kept from requests that could use zone 2."),
    Family::gauge("node_zoneinfo_protection_3", "Pages kept from requests that could use zone 3."),
    Family::gauge("node_zoneinfo_protection_4", "Pages kept from requests that could use zone 4."),
    Family::gauge("node_zoneinfo_protection_5", "Pages kept from requests that could use zone 5."),
];

static EVERY_FAMILY: [&Family; LINES + PROTECTIONS] = Family::all(&[], &[&FAMILIES, &PROTECTION]);

struct Zoneinfo {
    file: KeptFile,
    zones: Kept<Zone>,
}

struct Zone {
    labels: Labels,
    figures: Figures,
}

/// What is told of a zone; a line that makes no sense tells nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    lines: [Option<i64>; LINES],
    protection: [Option<i64>; PROTECTIONS],
}

impl Figures {
    const NONE: Self = Self { lines: [None; LINES], protection: [None; PROTECTIONS] };

    fn take(&mut self, line: &[u8]) {
        let mut fields = text::fields(line);
        let Some(key) = fields.next() else { return };
        if key == b"protection:" {
            self.protection = protection(line).unwrap_or([None; PROTECTIONS]);
            return;
        }
        let place = KEYS.binary_search(&key).ok().and_then(|index| self.lines.get_mut(index));
        if let (Some(place), Some(value)) = (place, fields.next()) {
            *place = text::signed(value);
        }
    }
}

impl Zoneinfo {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            file: KeptFile::new(context.paths.procfs.join("zoneinfo"), Serves::Records),
            zones: Kept::default(),
        }))
    }
}

impl Collector for Zoneinfo {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.zones.begin();
        update(&mut self.zones, self.file.read()?);
        self.zones.end();
        if self.zones.items().next().is_none() {
            return Err(Failure::unreadable(self.file.path(), "lines such as Node 0, zone DMA"));
        }
        let mut write = |family: &'static Family, value: &dyn Fn(&Figures) -> Option<i64>| {
            let mut samples = page.family(family);
            for zone in self.zones.items() {
                if let Some(value) = value(&zone.figures) {
                    samples.sample(&zone.labels, value as f64);
                }
            }
        };
        for (index, family) in FAMILIES.iter().enumerate() {
            write(family, &|figures| figures.lines.get(index).copied().flatten());
        }
        for (index, family) in PROTECTION.iter().enumerate() {
            write(family, &|figures| figures.protection.get(index).copied().flatten());
        }
        Ok(())
    }
}

/// Takes in the zones and what stands below each.
fn update(zones: &mut Kept<Zone>, zoneinfo: &[u8]) {
    let mut name = Vec::new();
    let mut lines = text::lines(zoneinfo).peekable();
    while let Some(line) = lines.next() {
        let Some((node, zone)) = heading(line) else { continue };
        let mut figures = Figures::NONE;
        while let Some(line) = lines.next_if(|line| heading(line).is_none()) {
            figures.take(line);
        }
        name.clear();
        name.extend_from_slice(node);
        name.push(b' ');
        name.extend_from_slice(zone);
        let make = || Zone { labels: Labels::new([("node", node), ("zone", zone)]), figures };
        if let Some(zone) = zones.meet(&name, make) {
            zone.figures = figures;
        }
    }
}

/// The node's number and the zone's name in `Node 0, zone      DMA`.
fn heading(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = text::fields(line.strip_prefix(b"Node ")?);
    let node = fields.next()?.strip_suffix(b",").filter(|node| text::whole(node).is_some())?;
    fields.next().filter(|word| *word == b"zone")?;
    Some((node, fields.next()?))
}

/// The numbers between the brackets of `protection: (0, 2039, 31932)`.
fn protection(line: &[u8]) -> Option<[Option<i64>; PROTECTIONS]> {
    let line = line.trim_ascii().strip_prefix(b"protection:")?.trim_ascii();
    let list = line.strip_prefix(b"(")?.strip_suffix(b")")?;
    let mut protection = [None; PROTECTIONS];
    let mut places = protection.iter_mut();
    for number in list.split(|&byte| byte == b',') {
        let number = text::signed(number.trim_ascii())?;
        if let Some(place) = places.next() {
            *place = Some(number);
        }
    }
    Some(protection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(text: &[u8]) -> Kept<Zone> {
        let mut zones = Kept::default();
        zones.begin();
        update(&mut zones, text);
        zones
    }

    fn value(figures: &Figures, key: &str) -> Option<i64> {
        figures.lines[KEYS.iter().position(|known| *known == key.as_bytes()).expect("is known")]
    }

    #[test]
    fn keys_are_sorted_and_belong_to_their_families() {
        assert!(KEYS.is_sorted());
        for (key, family) in KEYS.iter().zip(&FAMILIES) {
            let key = str::from_utf8(key).expect("is ASCII");
            assert!(family.name.starts_with(&format!("node_zoneinfo_{key}")), "{}", family.name);
        }
    }

    #[test]
    fn a_zone_has_what_stands_below_it() {
        let found = zones(
            b"Node 0, zone      DMA\n  per-node stats\n      nr_dirty     103\n  pages free     2949\n\
                  min      8\n        protection: (0, 2039, 31932, 31932, 31932)\n  pagesets\n    cpu: 0\n\
                          high:  9\n              high_min: 9\nNode 1, zone   Normal\n        high     -14\n",
        );
        let zones: Vec<_> = found.items().collect();
        assert_eq!(zones[0].labels.text(), br#"node="0",zone="DMA""#);
        assert_eq!(
            (value(&zones[0].figures, "nr_dirty"), value(&zones[0].figures, "min")),
            (Some(103), Some(8))
        );
        assert_eq!(value(&zones[0].figures, "high"), None);
        assert_eq!(
            zones[0].figures.protection,
            [Some(0), Some(2039), Some(31_932), Some(31_932), Some(31_932), None]
        );
        assert_eq!(zones[1].labels.text(), br#"node="1",zone="Normal""#);
        assert_eq!(value(&zones[1].figures, "high"), Some(-14));
    }

    #[test]
    fn a_line_that_makes_no_sense_tells_nothing() {
        for line in [
            "min",
            "min x",
            "min 9223372036854775808",
            "protection: (0, x)",
            "protection: 0, 1",
            "protection:",
        ] {
            let found = zones(format!("Node 0, zone DMA\n  {line}\n").as_bytes());
            assert_eq!(found.items().next().expect("is there").figures, Figures::NONE, "{line}");
        }
        for bad in [&b""[..], b"Node x, zone DMA", b"Node 0, zone", b"Node 0 zone DMA", b"  min 8", b"\xff"] {
            assert_eq!(zones(bad).items().count(), 0, "{bad:?}");
        }
        assert_eq!(zones(b"Node 0, zone DMA\nNode 0, zone DMA\n").items().count(), 1);
    }
}
