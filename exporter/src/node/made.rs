//! Families whose names the kernel makes: a file's name, a row's name.

use std::collections::BTreeMap;

use crate::metric::{Kind, Labels, Page, Value, label_name};

/// The families of a scrape, each with its samples so far. Kept from one scrape to the next, so that a name's text
/// is made once.
#[derive(Debug)]
pub struct Made {
    kind: Kind,
    families: BTreeMap<Vec<u8>, Begun>,
    name: Vec<u8>,
}

/// A family's HELP and TYPE lines, and its samples behind them.
#[derive(Debug)]
struct Begun {
    name: Vec<u8>,
    text: Vec<u8>,
    head: usize,
}

impl Made {
    /// Families of one type.
    pub fn new(kind: Kind) -> Self {
        Self { kind, families: BTreeMap::new(), name: Vec::new() }
    }

    /// Begins a scrape: forgets the samples.
    pub fn begin(&mut self) {
        for family in self.families.values_mut() {
            family.text.truncate(family.head);
        }
    }

    /// Adds a sample to the family of the name that the parts make, foreign characters as `_`. `help` follows the
    /// name's own words in the HELP line. The caller gives no labels twice.
    pub fn add(&mut self, parts: &[&[u8]], help: &str, labels: &Labels, value: impl Into<Value>) {
        self.name.clear();
        for part in parts {
            self.name.extend_from_slice(part);
        }
        if !self.families.contains_key(&self.name) {
            self.families.insert(self.name.clone(), Begun::new(&self.name, self.kind, help));
        }
        let Some(family) = self.families.get_mut(&self.name) else { return };
        family.text.extend_from_slice(&family.name);
        if !labels.is_empty() {
            family.text.push(b'{');
            family.text.extend_from_slice(labels.text());
            family.text.push(b'}');
        }
        family.text.push(b' ');
        value.into().write(&mut family.text);
        family.text.push(b'\n');
    }

    /// Writes the families that have samples; those that have none are forgotten.
    pub fn write(&mut self, page: &mut Page) {
        self.families.retain(|_, family| family.text.len() > family.head);
        for family in self.families.values() {
            page.section(&family.text);
        }
    }
}

impl Begun {
    fn new(raw: &[u8], kind: Kind, help: &str) -> Self {
        let name = label_name("", &String::from_utf8_lossy(raw));
        let text = format!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.word()).into_bytes();
        Self { name: name.into_bytes(), head: text.len(), text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(made: &mut Made) -> String {
        let mut page = Page::default();
        made.write(&mut page);
        String::from_utf8(page.text().to_vec()).expect("a page is UTF-8")
    }

    #[test]
    fn names_are_made_once_and_forgotten_with_their_last_sample() {
        let mut made = Made::new(Kind::Counter);
        let labels = ["1", "2"].map(|id| Labels::new([("id", id)]));
        made.add(&[b"a_", b"b-\xff", b"_total"], "Help.", &labels[0], 1_u64);
        made.add(&[b"a_c"], "Other.", &Labels::EMPTY, 2_u64);
        made.add(&[b"a_", b"b-\xff", b"_total"], "Help.", &labels[1], 3_u64);
        let wanted = "# HELP a_b___total Help.\n# TYPE a_b___total counter\n\
            a_b___total{id=\"1\"} 1\na_b___total{id=\"2\"} 3\n";
        let text = page(&mut made);
        assert!(text.starts_with(wanted), "{text}");
        assert!(text.ends_with("a_c 2\n"));
        made.begin();
        made.add(&[b"a_c"], "Other.", &Labels::EMPTY, 4_u64);
        assert_eq!(page(&mut made), "# HELP a_c Other.\n# TYPE a_c counter\na_c 4\n");
        assert_eq!(made.families.len(), 1);
    }
}
