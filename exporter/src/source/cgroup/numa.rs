//! Pages of a cgroup by the node of memory that they lie on.

use super::{CgroupPath, files::Reader};
use crate::source::text;

/// No kernel is built for more nodes.
pub const MOST_NODES: usize = 1024;

/// What [`NumaPages`] tells apart on each node: what pages are of, and whose.
pub const KINDS: [(&str, &str); 6] = [
    ("file", "container"),
    ("anon", "container"),
    ("unevictable", "container"),
    ("file", "hierarchy"),
    ("anon", "hierarchy"),
    ("unevictable", "hierarchy"),
];

/// By node, the number of pages of each of [`KINDS`]; none where the kernel does not tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NumaPages(pub Vec<[Option<u64>; KINDS.len()]>);

impl NumaPages {
    fn clear(&mut self) {
        self.0.clear();
    }

    fn add(&mut self, node: usize, kind: usize, pages: u64) {
        if node >= MOST_NODES {
            return;
        }
        if self.0.len() <= node {
            self.0.resize(node + 1, [None; KINDS.len()]);
        }
        if let Some(sum) = self.0.get_mut(node).and_then(|kinds| kinds.get_mut(kind)) {
            *sum = Some(sum.unwrap_or(0).saturating_add(pages));
        }
    }

    /// Version 1's `memory.numa_stat`: `anon=7 N0=3 N1=4` of the cgroup's own pages, `hierarchical_anon=...` of those
    /// with all below.
    fn read_v1(&mut self, file: &[u8]) {
        self.clear();
        for line in text::lines(file) {
            let mut fields = text::fields(line);
            let kind = match fields.next().and_then(|field| field.split(|&byte| byte == b'=').next()) {
                Some(b"file") => 0,
                Some(b"anon") => 1,
                Some(b"unevictable") => 2,
                Some(b"hierarchical_file") => 3,
                Some(b"hierarchical_anon") => 4,
                Some(b"hierarchical_unevictable") => 5,
                _ => continue,
            };
            // A line that comes twice is no sum.
            self.0.iter_mut().filter_map(|kinds| kinds.get_mut(kind)).for_each(|pages| *pages = None);
            for (node, pages) in fields.filter_map(node) {
                self.add(node, kind, pages);
            }
        }
    }

    /// Version 2's `memory.numa_stat`, bytes with all below. Version 1's figures are those of the lists that pages are
    /// reclaimed from; `anon` and `file` are other sums here.
    fn read_v2(&mut self, file: &[u8], page: u64) {
        self.clear();
        for line in text::lines(file) {
            let mut fields = text::fields(line);
            let kind = match fields.next() {
                Some(b"inactive_file" | b"active_file") => 3,
                Some(b"inactive_anon" | b"active_anon") => 4,
                Some(b"unevictable") => 5,
                _ => continue,
            };
            for (node, bytes) in fields.filter_map(node) {
                self.add(node, kind, bytes / page.max(1));
            }
        }
    }
}

/// Such as `N0=3`.
fn node(field: &[u8]) -> Option<(usize, u64)> {
    let mut parts = field.strip_prefix(b"N")?.splitn(2, |&byte| byte == b'=').map(text::whole);
    Some((usize::try_from(parts.next()??).ok()?, parts.next()??))
}

impl Reader {
    /// Reads them into `pages`, which are none where the kernel does not tell.
    pub fn numa(&mut self, path: &CgroupPath, pages: &mut NumaPages) {
        let of_version_2 = self.has_memory_on_version_2();
        match self.rare_of_memory(path, "memory.numa_stat") {
            Some(file) if of_version_2 => pages.read_v2(file, rustix::param::page_size() as u64),
            Some(file) => pages.read_v1(file),
            None => pages.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &[u8] = b"total=9 N0=5 N1=4\nfile=3 N0=1 N1=2\nanon=6 N0=4 N1=2\nunevictable=0 N0=0 N1=0\n\
        hierarchical_total=90 N0=50 N1=40\nhierarchical_file=30 N0=10 N1=20\nhierarchical_anon=60 N0=40 N1=20\n\
        hierarchical_unevictable=1 N0=0 N1=1\n";

    #[test]
    fn version_1_tells_own_pages_and_those_with_all_below() {
        let mut pages = NumaPages::default();
        pages.read_v1(V1);
        assert_eq!(pages.0, [[1, 4, 0, 10, 40, 0].map(Some), [2, 2, 0, 20, 20, 1].map(Some)]);
        pages.read_v1(b"file=3 N1=2 N9x=1 N=4 x\nanon\n");
        assert_eq!(pages.0, [[None; 6], [Some(2), None, None, None, None, None]]);
        pages.read_v1(b"");
        assert_eq!(pages, NumaPages::default());
    }

    #[test]
    fn version_2_tells_bytes_by_list() {
        let mut pages = NumaPages::default();
        let file =
            b"anon N0=1 N1=1\nfile N0=1 N1=1\ninactive_anon N0=4096 N1=0\nactive_anon N0=8192 N1=4096\n\
            inactive_file N0=0 N1=0\nactive_file N0=40960 N1=0\nunevictable N0=0 N1=4096\n";
        pages.read_v2(file, 4_096);
        let (none, some) = (None, Some);
        assert_eq!(
            pages.0,
            [[none, none, none, some(10), some(3), some(0)], [none, none, none, some(0), some(1), some(1)]]
        );
    }

    #[test]
    fn no_text_breaks_it_or_makes_it_large() {
        let mut pages = NumaPages::default();
        pages.read_v1(b"file=1 N1023=1 N1024=1 N18446744073709551615=1 N0=18446744073709551616\n");
        assert_eq!(pages.0.len(), MOST_NODES);
        pages.read_v2(b"active_file N0=18446744073709551615\ninactive_file N0=18446744073709551615\n", 0);
        assert_eq!(pages.0.first().and_then(|kinds| kinds[3]), Some(u64::MAX));
        pages.read_v1(b"\xff=\nfile=\nanon N\nunevictable=0 N=\n=N0=\n");
        assert_eq!(pages, NumaPages::default());
    }
}
