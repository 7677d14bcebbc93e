//! The path of a cgroup from the root of its hierarchy.

use std::{cmp::Ordering, fmt, sync::Arc};

/// `/`, `/system.slice/ssh.service`: the `id` label. Sorted so that a parent comes right before its subtree.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CgroupPath(Arc<[u8]>);

impl CgroupPath {
    /// The path as it is; an empty one is the root.
    pub fn new(path: &[u8]) -> Self {
        Self(if path.is_empty() { b"/"[..].into() } else { path.into() })
    }

    /// The root of the hierarchy.
    pub fn root() -> Self {
        Self::new(b"/")
    }

    /// The path's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        *self.0 == *b"/"
    }

    /// The path of a child.
    #[must_use]
    pub fn child(&self, name: &[u8]) -> Self {
        let parent: &[u8] = if self.is_root() { b"" } else { &self.0 };
        Self([parent, b"/", name].concat().into())
    }

    /// The path one level up; none for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&byte| byte == b'/')?;
        Some(Self::new(self.0.get(..end)?))
    }

    /// The last element; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
    }

    /// How many elements it has; 0 for the root.
    pub fn depth(&self) -> usize {
        if self.is_root() { 0 } else { self.0.split(|&byte| byte == b'/').skip(1).count() }
    }

    /// Whether the path is `ancestor` or lies below it.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        ancestor.is_root()
            || self.0.strip_prefix(&*ancestor.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }

    /// The path without its leading slash, to be joined to a mount point.
    pub fn relative(&self) -> &[u8] {
        self.0.strip_prefix(b"/").unwrap_or(&self.0)
    }
}

impl Ord for CgroupPath {
    /// As if the slash sorted before every other byte: `/a`, `/a/b`, `/a-b`.
    fn cmp(&self, other: &Self) -> Ordering {
        let skip = |path: &Self| usize::from(path.is_root());
        let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        let mine = self.0.iter().skip(skip(self)).map(key);
        mine.cmp(other.0.iter().skip(skip(other)).map(key))
    }
}

impl PartialOrd for CgroupPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for CgroupPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CgroupPath {
        CgroupPath::new(text.as_bytes())
    }

    #[test]
    fn a_parent_comes_right_before_its_subtree() {
        let mut paths: Vec<_> = ["/a-b", "/a/b", "/b", "/a", "/", "/a/b/c", "/a/b-c"].map(path).into();
        paths.sort();
        assert_eq!(paths, ["/", "/a", "/a/b", "/a/b/c", "/a/b-c", "/a-b", "/b"].map(path));
    }

    #[test]
    fn parts_of_a_path() {
        let leaf = path("/docker/abc");
        assert_eq!(leaf.parent(), Some(path("/docker")));
        assert_eq!(path("/docker").parent(), Some(CgroupPath::root()));
        assert_eq!(CgroupPath::root().parent(), None);
        assert_eq!((leaf.depth(), path("/docker").depth(), CgroupPath::root().depth()), (2, 1, 0));
        assert_eq!(path("/docker").child(b"abc"), leaf);
        assert_eq!(CgroupPath::root().child(b"docker"), path("/docker"));
        assert_eq!((leaf.name(), CgroupPath::root().name()), (&b"abc"[..], &b""[..]));
        assert!(leaf.is_within(&path("/docker")) && leaf.is_within(&leaf) && leaf.is_within(&path("")));
        assert!(!path("/docker-x").is_within(&path("/docker")));
    }
}
