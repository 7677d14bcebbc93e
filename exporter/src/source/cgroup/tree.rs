//! Which cgroups there are: every path with its ids in the hierarchies that have it. No I/O.

use std::collections::{BTreeMap, HashMap};

use super::{CgroupPath, PLACES, Place};

/// The ids of one cgroup, by place.
pub type Ids = [Option<u64>; PLACES];

/// All cgroups.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<CgroupPath, Ids>,
    by_id: HashMap<(Place, u64), CgroupPath>,
}

/// What a birth or a death was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing new.
    None,
    /// The first hierarchy has it now, or the last one has it no more.
    Whole,
    /// One more hierarchy has it, or one fewer.
    Part,
    /// It was replaced by another one of the same path: the old one is dead.
    Replaced,
}

impl Tree {
    /// A cgroup appeared in a hierarchy.
    pub fn born(&mut self, place: Place, path: &CgroupPath, id: u64) -> Change {
        let ids = self.nodes.entry(path.clone()).or_default();
        let first = ids.iter().all(Option::is_none);
        let Some(mine) = ids.get_mut(place) else { return Change::None };
        let change = match *mine {
            Some(known) if known == id => Change::None,
            Some(known) => {
                self.by_id.remove(&(place, known));
                Change::Replaced
            }
            None if first => Change::Whole,
            None => Change::Part,
        };
        *mine = Some(id);
        self.by_id.insert((place, id), path.clone());
        change
    }

    /// A cgroup left a hierarchy; its path, if it was known.
    pub fn died(&mut self, place: Place, id: u64) -> Option<(CgroupPath, Change)> {
        let path = self.by_id.remove(&(place, id))?;
        let ids = self.nodes.get_mut(&path)?;
        if let Some(mine) = ids.get_mut(place) {
            *mine = None;
        }
        let change = if ids.iter().all(Option::is_none) { Change::Whole } else { Change::Part };
        if change == Change::Whole {
            self.nodes.remove(&path);
        }
        Some((path, change))
    }

    /// The ids of a path.
    pub fn ids(&self, path: &CgroupPath) -> Option<&Ids> {
        self.nodes.get(path)
    }

    /// The path of an id.
    pub fn path(&self, place: Place, id: u64) -> Option<&CgroupPath> {
        self.by_id.get(&(place, id))
    }

    /// Every cgroup that a hierarchy has, parents before their subtrees.
    pub fn of(&self, place: Place) -> impl Iterator<Item = (&CgroupPath, u64)> {
        self.nodes.iter().filter_map(move |(path, ids)| Some((path, (*ids.get(place)?)?)))
    }

    /// The ids in a hierarchy that a walk did not find.
    pub fn missing(&self, place: Place, walked: &HashMap<CgroupPath, u64>) -> Vec<u64> {
        self.of(place).filter(|(path, id)| walked.get(*path) != Some(id)).map(|(_, id)| id).collect()
    }

    /// The children of a path, in whatever hierarchy.
    pub fn children(&self, parent: &CgroupPath) -> Vec<CgroupPath> {
        let depth = parent.depth() + 1;
        self.nodes
            .range(parent.clone()..)
            .map(|(path, _)| path)
            .take_while(|path| path.is_within(parent))
            .filter(|path| path.depth() == depth)
            .cloned()
            .collect()
    }

    /// How many cgroups there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn path(text: &str) -> CgroupPath {
        CgroupPath::new(text.as_bytes())
    }

    #[test]
    fn a_path_in_two_hierarchies_is_one_cgroup() {
        let mut tree = Tree::default();
        assert_eq!(tree.born(0, &path("/a"), 7), Change::Whole);
        assert_eq!(tree.born(0, &path("/a"), 7), Change::None);
        assert_eq!(tree.born(1, &path("/a"), 7), Change::Part);
        assert_eq!(tree.ids(&path("/a")), Some(&[Some(7), Some(7), None, None]));
        assert_eq!(tree.died(0, 7), Some((path("/a"), Change::Part)));
        assert_eq!(tree.died(0, 7), None);
        assert_eq!(tree.died(1, 7), Some((path("/a"), Change::Whole)));
        assert!(tree.is_empty() && tree.by_id.is_empty());
    }

    #[test]
    fn another_cgroup_of_the_same_path_takes_its_place() {
        let mut tree = Tree::default();
        tree.born(0, &path("/a"), 7);
        assert_eq!(tree.born(0, &path("/a"), 8), Change::Replaced);
        assert_eq!(tree.died(0, 7), None, "the old one's death comes too late to harm the new one");
        assert_eq!(tree.path(0, 8), Some(&path("/a")));
    }

    #[test]
    fn a_walk_tells_what_is_missing() {
        let mut tree = Tree::default();
        for (id, name) in [(1, "/"), (2, "/a"), (3, "/b"), (4, "/c")] {
            tree.born(0, &path(name), id);
        }
        let walked = HashMap::from([(path("/"), 1), (path("/b"), 30), (path("/c"), 4)]);
        assert_eq!(tree.missing(0, &walked), [2, 3]);
    }

    #[test]
    fn children_are_those_one_level_down() {
        let mut tree = Tree::default();
        for (id, name) in
            [(1, "/"), (2, "/a"), (3, "/a/b"), (4, "/a/b/c"), (5, "/a/d"), (6, "/a-x"), (7, "/b")]
        {
            tree.born(0, &path(name), id);
        }
        assert_eq!(tree.children(&path("/a")), ["/a/b", "/a/d"].map(path));
        assert_eq!(tree.children(&path("/")), ["/a", "/a-x", "/b"].map(path));
    }

    #[test]
    fn ten_thousand_births_and_deaths_leave_nothing() {
        let mut tree = Tree::default();
        for id in 0..10_000 {
            tree.born(2, &path(&format!("/x{id}")), id);
            tree.died(2, id);
        }
        assert!(tree.is_empty() && tree.by_id.is_empty());
    }
}
