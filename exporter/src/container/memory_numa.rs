//! Pages of a container by the node of memory that they lie on.

use std::time::Instant;

use super::{
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
    write,
};
use crate::{
    metric::{Family, Labels, Page},
    source::cgroup::numa::KINDS,
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "memory_numa",
    words: &["memory_numa"],
    on: On::Unlisted,
    summary: "pages of memory by node",
    reads: "memory.numa_stat",
    families: &[Origin::new(
        &PAGES,
        "memory.numa_stat",
        "memory.numa_stat: inactive_file + active_file, inactive_anon + active_anon, unevictable",
    )],
};

static PAGES: Family = Family::gauge(
    "container_memory_numa_pages",
    "Pages of memory on each node, by what they are of; scope is the container's own, or with all below it.",
);

/// The labels of this group, by node.
#[derive(Debug, Default)]
pub struct Writer {
    nodes: Vec<[Labels; KINDS.len()]>,
}

impl Writer {
    /// Writes the group.
    pub fn write(&mut self, page: &mut Page, roster: &Roster, now: Instant) {
        let most = roster.shown(now).map(|entry| entry.numa.0.len()).max().unwrap_or(0);
        for node in self.nodes.len()..most {
            let node = node.to_string();
            self.nodes.push(KINDS.map(|(kind, scope)| {
                Labels::new([("node", node.as_str()), ("scope", scope), ("type", kind)])
            }));
        }
        write::rows(page, &PAGES, roster, now, |entry, samples| {
            for (labels, kinds) in self.nodes.iter().zip(&entry.numa.0) {
                for (labels, pages) in labels.iter().zip(kinds) {
                    if let Some(pages) = *pages {
                        samples.joined(&entry.labels, labels, pages);
                    }
                }
            }
        });
    }
}
