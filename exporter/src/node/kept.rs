//! What a collector keeps per device, CPU or mount from one scrape to the next.

use std::{borrow::Cow, collections::BTreeMap};

use crate::metric::Labels;

/// Items by name, in the order of their names' bytes. One round per scrape: [`Kept::begin`], [`Kept::meet`] for
/// each name that the kernel lists, [`Kept::end`], which forgets those that it did not list.
#[derive(Debug)]
pub struct Kept<T> {
    round: u64,
    grew: bool,
    entries: BTreeMap<Vec<u8>, Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    round: u64,
    item: T,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { round: 0, grew: false, entries: BTreeMap::new() }
    }
}

impl<T> Kept<T> {
    /// Begins a round.
    pub fn begin(&mut self) {
        self.round += 1;
        self.grew = false;
    }

    /// The item of this name, made if the name is new. `None` if it was met in this round already: its series
    /// must not be written twice.
    pub fn meet(&mut self, name: &[u8], make: impl FnOnce() -> T) -> Option<&mut T> {
        let name = as_written(name);
        let round = self.round;
        if !self.entries.contains_key(&*name) {
            self.entries.insert(name.to_vec(), Entry { round: 0, item: make() });
            self.grew = true;
        }
        let entry = self.entries.get_mut(&*name)?;
        if entry.round == round {
            return None;
        }
        entry.round = round;
        Some(&mut entry.item)
    }

    /// Forgets what was not met in this round; tells whether names have come or gone since the last.
    pub fn end(&mut self) -> bool {
        let (round, before) = (self.round, self.entries.len());
        self.entries.retain(|_, entry| entry.round == round);
        self.grew || self.entries.len() != before
    }

    /// The items, in the order of their names.
    pub fn items(&self) -> impl Iterator<Item = &T> {
        self.entries.values().map(|entry| &entry.item)
    }

    /// The items, to be changed, in the order of their names.
    pub fn items_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.values_mut().map(|entry| &mut entry.item)
    }
}

/// Two names that differ only in bytes that are not UTF-8 give one label, so they count as one name.
fn as_written(name: &[u8]) -> Cow<'_, [u8]> {
    if str::from_utf8(name).is_ok() {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(Labels::new([("", name)]).text().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(kept: &mut Kept<Vec<u8>>, names: &[&[u8]]) -> (usize, bool) {
        kept.begin();
        let met = names.iter().filter(|name| kept.meet(name, || name.to_vec()).is_some()).count();
        (met, kept.end())
    }

    #[test]
    fn names_come_go_and_count_once() {
        let mut kept = Kept::default();
        assert_eq!(round(&mut kept, &[b"b", b"a", b"b"]), (2, true));
        assert_eq!(kept.items().collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(round(&mut kept, &[b"a", b"b"]), (2, false));
        assert_eq!(round(&mut kept, &[b"a", b"c"]), (2, true), "as many as before, but others");
        assert_eq!(kept.items().collect::<Vec<_>>(), [b"a", b"c"]);
        assert_eq!(round(&mut kept, &[]), (0, true));
    }

    #[test]
    fn names_that_are_written_alike_count_once() {
        assert_eq!(round(&mut Kept::default(), &[b"a\xff", b"a\xfe", b"a"]), (2, true));
    }
}
