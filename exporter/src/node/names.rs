//! Families whose names are made from what the kernel calls them: a file, a row, a column. [`Names`] where a family has
//! its samples in one place, [`Gathered`] where they come mixed with those of others; both end in [`Page::named`].

use std::collections::BTreeMap;

use crate::{
    metric::{Family, Labels, Page, Value, label_name},
    source::text,
};

/// Family names by their place in a file, so that a name is made (and a pattern asked) once and not at each scrape. Keys
/// lie side by side: hundreds are compared at each scrape, and few are wanted.
#[derive(Debug, Default)]
pub struct Names {
    keys: Vec<u8>,
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    /// Where the key ends; its scope begins where the key before ends.
    end: usize,
    /// The length of its scope.
    scope: usize,
    name: Option<Box<str>>,
}

impl Names {
    /// The name for the key at this place, which counts up from 0; `make` is asked when another key stands there
    /// than at the scrape before. `None` where `make` wants no such family.
    pub fn at(
        &mut self,
        place: usize,
        scope: &[u8],
        key: &[u8],
        make: impl FnOnce() -> Option<String>,
    ) -> Option<&str> {
        let start = match place.checked_sub(1) {
            Some(before) => self.known.get(before).map_or(self.keys.len(), |known| known.end),
            None => 0,
        };
        let is_known = self.known.get(place).is_some_and(|known| {
            let words = self.keys.get(start..known.end).and_then(|words| words.split_at_checked(known.scope));
            words == Some((scope, key))
        });
        if !is_known {
            // A file that has changed its shape is learnt anew from here on.
            self.known.truncate(place);
            self.keys.truncate(start);
            self.keys.extend_from_slice(scope);
            self.keys.extend_from_slice(key);
            let name = make().map(String::into_boxed_str);
            self.known.push(Known { end: self.keys.len(), scope: scope.len(), name });
        }
        self.known.get(place)?.name.as_deref()
    }
}

/// The families of a scrape that one pattern stands for, each with its samples so far. Kept from one scrape to the next,
/// so that a name's text is made once.
#[derive(Debug)]
pub struct Gathered {
    pattern: &'static Family,
    families: BTreeMap<Vec<u8>, Begun>,
    words: Vec<u8>,
}

#[derive(Debug)]
struct Begun {
    name: String,
    samples: BTreeMap<Labels, Value>,
}

impl Gathered {
    /// Families of this pattern.
    pub fn new(pattern: &'static Family) -> Self {
        Self { pattern, families: BTreeMap::new(), words: Vec::new() }
    }

    /// Begins a scrape: forgets the samples.
    pub fn begin(&mut self) {
        self.families.values_mut().for_each(|family| family.samples.clear());
    }

    /// Adds a sample to the family of the name that the parts make, foreign characters as `_`. Labels that it
    /// has already are left out: a file may say a row twice.
    pub fn add(&mut self, parts: &[&[u8]], labels: &Labels, value: impl Into<Value>) {
        self.words.clear();
        for part in parts {
            self.words.extend_from_slice(part);
        }
        if !self.families.contains_key(&self.words) {
            let begun = Begun { name: family_name("", &self.words), samples: BTreeMap::new() };
            self.families.insert(self.words.clone(), begun);
        }
        if let Some(family) = self.families.get_mut(&self.words) {
            family.samples.entry(labels.clone()).or_insert(value.into());
        }
    }

    /// Writes the families that have samples; those that have none are forgotten.
    pub fn write(&mut self, page: &mut Page) {
        self.families.retain(|_, family| !family.samples.is_empty());
        for family in self.families.values() {
            let mut samples = page.named(self.pattern, &family.name);
            for (labels, value) in &family.samples {
                samples.sample(labels, *value);
            }
        }
    }
}

/// A family's name: the prefix and the kernel's words, with `_` for what no name may hold.
pub fn family_name(prefix: &str, words: &[u8]) -> String {
    label_name(prefix, &String::from_utf8_lossy(words))
}

/// A number as the reference takes it: whole, else any float.
pub fn number(field: &[u8]) -> Option<Value> {
    text::whole(field).map(Value::Whole).or_else(|| text::float(field).map(Value::Float))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_once_for_a_place() {
        let mut names = Names::default();
        assert_eq!(names.at(0, b"", b"a", || Some("x".to_owned())), Some("x"));
        assert_eq!(names.at(1, b"", b"b", || None), None);
        assert_eq!(names.at(0, b"", b"a", || Some("y".to_owned())), Some("x"));
        assert_eq!(names.at(1, b"", b"b", || Some("y".to_owned())), None);
        assert_eq!(names.at(0, b"s", b"a", || Some("z".to_owned())), Some("z"));
        assert_eq!(names.at(1, b"", b"b", || Some("y".to_owned())), Some("y"));
        assert_eq!(names.at(0, b"", b"sa", || Some("w".to_owned())), Some("w"), "another scope");
        assert_eq!(names.at(0, b"", b"longer", || Some("v".to_owned())), Some("v"));
        assert_eq!(names.at(1, b"", b"b", || Some("u".to_owned())), Some("u"));
        assert_eq!(names.at(0, b"", b"longer", || None), Some("v"));
        assert_eq!(names.at(1, b"", b"b", || None), Some("u"));
    }

    #[test]
    fn a_name_holds_what_names_may_hold() {
        assert_eq!(family_name("node_vmstat_", b"pg-in\xff"), "node_vmstat_pg_in_");
    }

    #[test]
    fn numbers_may_be_negative() {
        assert_eq!(number(b"18446744073709551615"), Some(Value::Whole(u64::MAX)));
        assert_eq!(number(b"-1"), Some(Value::Float(-1.0)));
        assert_eq!(number(b"x"), None);
    }

    static PATTERN: Family = Family::counter("a_*", "Help.");

    fn page(made: &mut Gathered) -> String {
        let mut page = Page::default();
        made.write(&mut page);
        String::from_utf8(page.text().to_vec()).expect("a page is UTF-8")
    }

    #[test]
    fn names_are_made_once_and_forgotten_with_their_last_sample() {
        let mut made = Gathered::new(&PATTERN);
        let labels = ["1", "2"].map(|id| Labels::new([("id", id)]));
        made.add(&[b"a_", b"b-\xff", b"_total"], &labels[0], 1_u64);
        made.add(&[b"a_c"], &Labels::EMPTY, 2_u64);
        made.add(&[b"a_", b"b-\xff", b"_total"], &labels[1], 3_u64);
        made.add(&[b"a_", b"b-\xff", b"_total"], &labels[0], 4_u64);
        let wanted = "# HELP a_b___total Help.\n# TYPE a_b___total counter\n\
            a_b___total{id=\"1\"} 1\na_b___total{id=\"2\"} 3\n";
        let text = page(&mut made);
        assert!(text.starts_with(wanted), "{text}");
        assert!(text.ends_with("a_c 2\n"));
        made.begin();
        made.add(&[b"a_c"], &Labels::EMPTY, 4_u64);
        assert_eq!(page(&mut made), "# HELP a_c Help.\n# TYPE a_c counter\na_c 4\n");
        assert_eq!(made.families.len(), 1);
    }
}
