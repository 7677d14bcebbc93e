//! The kernel's own objects, by slab cache.

use regex::Regex;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, pattern},
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "slabinfo",
    on_by_default: false,
    summary: "the kernel's own objects by slab cache",
    reads: "/proc/slabinfo (root)",
    since: "2.6.10",
    // The kernel holds all caches while it counts; it may wait for one that is being made.
    pace: Pace::MayBlock,
    flags: &[
        Flag {
            name: INCLUDE,
            takes: Takes::Text { placeholder: "REGEXP", default: ".*" },
            help: "Only these slab caches",
        },
        Flag {
            name: EXCLUDE,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "All slab caches but these",
        },
    ],
    families: &EVERY_FAMILY,
    build: Slabinfo::build,
};

const INCLUDE: &str = "collector.slabinfo.slabs-include";
const EXCLUDE: &str = "collector.slabinfo.slabs-exclude";

const COUNT: usize = 5;
/// Columns of a line, the names of its parts counted.
const COLUMNS: usize = 16;

/// In the order of the file.
static FAMILIES: [Family; COUNT] = [
    Family::gauge("node_slabinfo_active_objects", "Objects of the cache that are in use."),
    Family::gauge("node_slabinfo_objects", "Objects of the cache, in use or free."),
    Family::gauge("node_slabinfo_object_size_bytes", "Size of one object, in bytes."),
    Family::gauge("node_slabinfo_objects_per_slab", "Objects that one slab holds."),
    Family::gauge("node_slabinfo_pages_per_slab", "Pages of memory that one slab takes."),
];
static EVERY_FAMILY: [&Family; COUNT] = Family::each(&FAMILIES);

struct Slabinfo {
    file: KeptFile,
    filter: Filter,
    /// `None` for a cache that is filtered out.
    caches: Kept<Option<Cache>>,
}

/// Here, unlike elsewhere, both patterns may be given.
struct Filter {
    include: Option<Regex>,
    exclude: Option<Regex>,
}

impl Filter {
    fn keeps(&self, name: &str) -> bool {
        !self.exclude.as_ref().is_some_and(|pattern| pattern.is_match(name))
            && self.include.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }
}

struct Cache {
    labels: Labels,
    figures: [u64; COUNT],
}

impl Slabinfo {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let pattern = |flag| pattern(flag, context.flags.text(flag));
        Ok(Box::new(Self {
            file: KeptFile::new(context.paths.procfs.join("slabinfo"), Serves::Rows),
            filter: Filter { include: pattern(INCLUDE)?, exclude: pattern(EXCLUDE)? },
            caches: Kept::default(),
        }))
    }
}

impl Collector for Slabinfo {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.caches.begin();
        let understood = update(&mut self.caches, &self.filter, self.file.read()?);
        self.caches.end();
        understood.ok_or_else(|| Failure::unreadable(self.file.path(), "sixteen columns"))?;
        for (index, family) in FAMILIES.iter().enumerate() {
            let mut samples = page.family(family);
            for cache in self.caches.items().flatten() {
                samples.sample(&cache.labels, cache.figures.get(index).copied().unwrap_or(0));
            }
        }
        Ok(())
    }
}

/// Takes in all lines; `None` at the first that makes no sense.
fn update(caches: &mut Kept<Option<Cache>>, filter: &Filter, slabinfo: &[u8]) -> Option<()> {
    let is_heading = |line: &&[u8]| line.starts_with(b"slabinfo - version") || line.starts_with(b"# name");
    for line in text::lines(slabinfo).filter(|line| !is_heading(line)) {
        let (name, figures) = cache(line)?;
        let make = || {
            let wanted = filter.keeps(&String::from_utf8_lossy(name));
            wanted.then(|| Cache { labels: Labels::new([("slab", name)]), figures })
        };
        if let Some(Some(cache)) = caches.meet(name, make) {
            cache.figures = figures;
        }
    }
    Some(())
}

/// The name and the five numbers behind it, of a line of sixteen columns.
fn cache(line: &[u8]) -> Option<(&[u8], [u64; COUNT])> {
    let mut fields = text::fields(line);
    let name = fields.next()?;
    let mut figures = [0; COUNT];
    for figure in &mut figures {
        *figure = text::whole(fields.next()?)?;
    }
    (fields.count() == COLUMNS - 1 - COUNT).then_some((name, figures))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "kmalloc-8k 132 148 8192 4 8 : tunables 0 0 0 : slabdata 37 37 0";

    fn names(include: &str, exclude: &str) -> Vec<String> {
        let pattern = |text| pattern("x", text).expect("is a pattern");
        let filter = Filter { include: pattern(include), exclude: pattern(exclude) };
        let mut caches = Kept::default();
        caches.begin();
        let text = format!("slabinfo - version: 2.1\n# name <active_objs>\n{LINE}\nx{LINE}\nx{LINE}\n");
        update(&mut caches, &filter, text.as_bytes()).expect("parses");
        let text = |cache: &Cache| String::from_utf8_lossy(cache.labels.text()).into_owned();
        caches.items().flatten().map(text).collect()
    }

    #[test]
    fn a_line_has_sixteen_columns() {
        assert_eq!(cache(LINE.as_bytes()), Some((&b"kmalloc-8k"[..], [132, 148, 8192, 4, 8])));
        for bad in [
            &LINE.as_bytes()[..60],
            b"kmalloc-8k",
            b"",
            b"\xff",
            b"k 1 2 3 4 -5 : tunables 0 0 0 : slabdata 37 37 0",
            b"k 1 2 3 4 18446744073709551616 : tunables 0 0 0 : slabdata 37 37 0",
            b"k 1 2 3 4 5 : tunables 0 0 0 : slabdata 37 37 0 0",
        ] {
            assert_eq!(cache(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn both_patterns_may_be_given() {
        assert_eq!(names(".*", ""), ["slab=\"kmalloc-8k\"", "slab=\"xkmalloc-8k\""]);
        assert_eq!(names(".*", "^x"), ["slab=\"kmalloc-8k\""]);
        assert_eq!(names("^x", "8"), [""; 0]);
    }
}
