//! A metric family: its name, type and help.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The type of a family, as its TYPE line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows, save at a restart of what it counts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// The reference leaves the type open, so we do too.
    Untyped,
}

impl Kind {
    /// The word of the TYPE line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Untyped => "untyped",
        }
    }
}

/// One family. Name and help are written as they are: they hold neither backslash nor newline, which
/// a test asserts for every family a collector declares.
#[derive(Debug)]
pub struct Family {
    /// The full name, `node_load1`; or with one `*` (`node_vmstat_*`) what stands for every family whose name is
    /// made from input, to be written by [`super::Page::named`].
    pub name: &'static str,
    /// The TYPE line's word.
    pub kind: Kind,
    /// One sentence in our own words, with the unit.
    pub help: &'static str,
    /// By which a page knows what it has made of it; 0 until it is first written.
    number: AtomicUsize,
}

impl Family {
    const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, help, number: AtomicUsize::new(0) }
    }

    /// A number from 1 on that no other family of the process has.
    pub(super) fn number(&self) -> usize {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        let known = self.number.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let new = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        self.number
            .compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed)
            .map_or_else(|first| first, |_| new)
    }

    /// Whether this declares the family of that name.
    pub fn covers(&self, name: &str) -> bool {
        match self.name.split_once('*') {
            None => self.name == name,
            Some((start, end)) => {
                name.len() > start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
            }
        }
    }

    /// A counter.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Counter, help)
    }

    /// A gauge.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Gauge, help)
    }

    /// A family without a type.
    pub const fn untyped(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Untyped, help)
    }

    /// A table of families as a descriptor lists them.
    pub const fn each<const COUNT: usize>(families: &'static [Self; COUNT]) -> [&'static Self; COUNT] {
        Self::all(&[], &[families])
    }

    /// Single families and tables of them, as a descriptor lists them: `COUNT` in all.
    ///
    /// # Panics
    /// When there are more or fewer: while a static is compiled.
    pub const fn all<const COUNT: usize>(
        single: &[&'static Self],
        tables: &[&'static [Self]],
    ) -> [&'static Self; COUNT] {
        let mut all = [if single.is_empty() { &tables[0][0] } else { single[0] }; COUNT];
        let mut place = 0;
        while place < single.len() {
            all[place] = single[place];
            place += 1;
        }
        let mut table = 0;
        while table < tables.len() {
            let mut index = 0;
            while index < tables[table].len() {
                all[place] = &tables[table][index];
                place += 1;
                index += 1;
            }
            table += 1;
        }
        assert!(place == COUNT, "the list has room for more families");
        all
    }
}
