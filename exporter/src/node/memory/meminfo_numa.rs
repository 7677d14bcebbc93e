//! Memory by NUMA node: every line of the kernel's, whatever its name.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    node::{kept::Kept, names::family_name},
    source::{
        file::{KeptFile, Serves},
        folder::Folder,
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "meminfo_numa",
    on_by_default: false,
    summary: "memory and page requests by NUMA node",
    reads: "/sys/devices/system/node/node*/{meminfo,numastat}",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&MEMORY, &REQUESTS],
    build: MeminfoNuma::build,
};

static MEMORY: Family = Family::gauge(
    "node_memory_numa_*",
    "A line of the node's meminfo, in bytes; those of huge pages in pages.",
);
static REQUESTS: Family =
    Family::counter("node_memory_numa_*_total", "A line of the node's numastat, in pages since boot.");

struct MeminfoNuma {
    folder: Folder,
    nodes: Kept<Node>,
    memory: Table,
    requests: Table,
}

struct Node {
    labels: Labels,
    meminfo: KeptFile,
    numastat: KeptFile,
}

/// Figures by line and node. Nodes have the same lines in the same order, as a rule.
#[derive(Default)]
struct Table {
    rows: Vec<Row>,
}

struct Row {
    key: Vec<u8>,
    family: String,
    /// By the node's place; `None` for one that does not have the line.
    values: Vec<Option<f64>>,
}

impl Table {
    /// Forgets the figures, and the lines that no node had at the last scrape.
    fn clear(&mut self) {
        self.rows.retain(|row| !row.values.is_empty());
        for row in &mut self.rows {
            row.values.clear();
        }
    }

    /// Notes a figure of the node at this place. `at` is where the line is looked for first.
    fn note(&mut self, at: usize, key: &[u8], node: usize, value: f64, name: impl FnOnce() -> String) {
        let place = match self.rows.get(at) {
            Some(row) if row.key == key => at,
            _ => self.rows.iter().position(|row| row.key == key).unwrap_or(self.rows.len()),
        };
        if place == self.rows.len() {
            self.rows.push(Row { key: key.to_vec(), family: name(), values: Vec::new() });
        }
        if let Some(row) = self.rows.get_mut(place)
            && row.values.len() <= node
        {
            row.values.resize(node, None);
            row.values.push(Some(value));
        }
    }

    fn write(&self, page: &mut Page, family: &Family, nodes: &Kept<Node>) {
        for row in &self.rows {
            let mut samples = page.named(family, &row.family);
            for (node, value) in nodes.items().zip(&row.values) {
                if let Some(value) = value {
                    samples.sample(&node.labels, *value);
                }
            }
        }
    }
}

impl MeminfoNuma {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            folder: Folder::new(context.paths.sysfs.join("devices/system/node")),
            nodes: Kept::default(),
            memory: Table::default(),
            requests: Table::default(),
        }))
    }

    /// Nodes come and go with memory that is plugged; the folder's list is what tells of it.
    fn list(&mut self) -> Result<(), Failure> {
        self.nodes.begin();
        for (name, number) in self.folder.numbered("node")? {
            let path = self.folder.path().join(&name);
            let file = |name| KeptFile::new(path.join(name), Serves::Whole);
            self.nodes.meet(name.as_bytes(), || Node {
                labels: Labels::new([("node", &number)]),
                meminfo: file("meminfo"),
                numastat: file("numastat"),
            });
        }
        self.nodes.end();
        Ok(())
    }
}

impl Collector for MeminfoNuma {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.list()?;
        self.memory.clear();
        self.requests.clear();
        for (place, node) in self.nodes.items_mut().enumerate() {
            meminfo(&mut self.memory, place, node.meminfo.read()?).ok_or_else(|| {
                Failure::unreadable(node.meminfo.path(), "lines such as Node 0 MemFree: 1 kB")
            })?;
            numastat(&mut self.requests, place, node.numastat.read()?)
                .ok_or_else(|| Failure::unreadable(node.numastat.path(), "lines such as numa_hit 1"))?;
        }
        self.memory.write(page, &MEMORY, &self.nodes);
        self.requests.write(page, &REQUESTS, &self.nodes);
        Ok(())
    }
}

/// `Node 0 Active(anon):  691324 kB`; without a unit it is a number of pages. `None` where a line is none of these.
fn meminfo(table: &mut Table, node: usize, text: &[u8]) -> Option<()> {
    for (at, line) in text::lines(text).enumerate() {
        let mut fields = text::fields(line).skip(2);
        let (key, value) = (fields.next()?, text::float(fields.next()?)?);
        let value = match (fields.next(), fields.next()) {
            (None, _) => value,
            (Some(b"kB"), None) => value * 1024.0,
            _ => return None,
        };
        table.note(at, key, node, value, || {
            let key: Vec<u8> = key.iter().copied().filter(|&byte| byte != b')' && byte != b':').collect();
            family_name("node_memory_numa_", &key)
        });
    }
    Some(())
}

/// `numa_hit 193460335812`; `None` where a line is no such pair.
fn numastat(table: &mut Table, node: usize, text: &[u8]) -> Option<()> {
    for (at, line) in text::lines(text).enumerate() {
        let mut fields = text::fields(line);
        let (key, value) = (fields.next()?, text::float(fields.next()?)?);
        fields.next().is_none().then_some(())?;
        table.note(at, key, node, value, || format!("{}_total", family_name("node_memory_numa_", key)));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(table: &Table) -> Vec<(&str, &[Option<f64>])> {
        table.rows.iter().map(|row| (row.family.as_str(), &row.values[..])).collect()
    }

    #[test]
    fn lines_become_families_and_nodes_their_series() {
        let mut table = Table::default();
        meminfo(&mut table, 0, b"Node 0 MemFree:  2 kB\nNode 0 Active(anon): 1 kB\n").expect("parses");
        meminfo(&mut table, 1, b"Node 1 Active(anon): 3 kB\nNode 1 HugePages_Free:  7\n").expect("parses");
        assert_eq!(
            rows(&table),
            [
                ("node_memory_numa_MemFree", &[Some(2048.0)][..]),
                ("node_memory_numa_Active_anon", &[Some(1024.0), Some(3072.0)]),
                ("node_memory_numa_HugePages_Free", &[None, Some(7.0)]),
            ]
        );
        table.clear();
        assert!(rows(&table).iter().all(|(_, values)| values.is_empty()));
        let mut table = Table::default();
        numastat(&mut table, 0, b"numa_hit 193460335812\nnuma_hit 1\n").expect("parses");
        assert_eq!(rows(&table), [("node_memory_numa_numa_hit_total", &[Some(193_460_335_812.0)][..])]);
    }

    #[test]
    fn one_bad_line_fails_all() {
        for bad in [
            &b"Node 0 MemFree:"[..],
            b"Node 0",
            b"Node 0 MemFree: x kB",
            b"Node 0 MemFree: 1 MB",
            b"\xff",
            b"Node 0 MemFree: 1 kB x",
        ] {
            assert_eq!(meminfo(&mut Table::default(), 0, bad), None, "{bad:?}");
        }
        for bad in [&b"numa_hit"[..], b"numa_hit x", b"numa_hit 1 2", b"\xff"] {
            assert_eq!(numastat(&mut Table::default(), 0, bad), None, "{bad:?}");
        }
    }
}
