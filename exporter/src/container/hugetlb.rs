//! Huge pages of a container.

use std::time::Instant;

use super::{
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
    write,
};
use crate::{
    metric::{Family, Labels, Page},
    source::cgroup::hugetlb::{HugePages, Size},
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "hugetlb",
    words: &["hugetlb"],
    on: On::Unlisted,
    summary: "huge pages by size",
    reads: "hugetlb.*.current, hugetlb.*.events, or those of cgroup v1",
    families: &[
        Origin::new(&USAGE, "hugetlb.SIZE[.rsvd].usage_in_bytes", "hugetlb.SIZE[.rsvd].current"),
        Origin::new(&MAX_USAGE, "hugetlb.SIZE[.rsvd].max_usage_in_bytes", "-"),
        Origin::new(&FAILCNT, "hugetlb.SIZE[.rsvd].failcnt", "hugetlb.SIZE.events: max"),
    ],
};

static USAGE: Family = Family::gauge(
    "container_hugetlb_usage_bytes",
    "Huge pages in use by the container (from Linux 5.7 on: reserved by it), in bytes.",
);
static MAX_USAGE: Family =
    Family::gauge("container_hugetlb_max_usage_bytes", "The most huge pages ever in use, in bytes.");
static FAILCNT: Family =
    Family::counter("container_hugetlb_failcnt", "Times that the limit of huge pages stood in the way.");

/// The labels of this group.
#[derive(Debug)]
pub struct Writer {
    sizes: Vec<Labels>,
}

impl Writer {
    /// Prepares the labels of these sizes.
    pub fn new(sizes: &[Size]) -> Self {
        Self { sizes: sizes.iter().map(|size| Labels::new([("pagesize", &size.name)])).collect() }
    }

    /// Writes the group.
    pub fn write(&self, page: &mut Page, roster: &Roster, now: Instant) {
        let mut figure = |family, value: fn(&HugePages) -> Option<u64>| {
            write::rows(page, family, roster, now, |entry, samples| {
                for (labels, pages) in self.sizes.iter().zip(&entry.huge_pages) {
                    if let Some(value) = pages.as_ref().and_then(value) {
                        samples.joined(&entry.labels, labels, value);
                    }
                }
            });
        };
        figure(&USAGE, |pages| Some(pages.usage));
        figure(&MAX_USAGE, |pages| pages.max_usage);
        figure(&FAILCNT, |pages| pages.failures);
    }
}
