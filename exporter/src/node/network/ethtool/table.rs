//! Which counters of which interfaces make a family. Made when interfaces or their counters change, so that a scrape
//! looks up nothing.

use std::collections::BTreeMap;

use crate::metric::{Family, Labels, Page};

/// The place of an interface, and of a counter among the interface's.
type Place = (usize, usize);

/// Families by name, each with its series.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table(Vec<(Box<str>, Vec<Place>)>);

impl Table {
    /// From the families of each interface's counters.
    pub fn new<'a>(interfaces: impl Iterator<Item = Option<&'a [Option<Box<str>>]>>) -> Self {
        let mut families: BTreeMap<Box<str>, Vec<Place>> = BTreeMap::new();
        for (interface, counters) in interfaces.enumerate() {
            for (counter, family) in counters.unwrap_or_default().iter().enumerate() {
                if let Some(family) = family {
                    families.entry(family.clone()).or_default().push((interface, counter));
                }
            }
        }
        Self(families.into_iter().collect())
    }

    /// Writes the counters of all interfaces, which come in the places that the table was made with.
    pub fn write(&self, pattern: &Family, interfaces: &[(&Labels, &[u64])], page: &mut Page) {
        for (family, series) in &self.0 {
            let mut samples = page.named(pattern, family);
            for (interface, counter) in series {
                let Some((device, counters)) = interfaces.get(*interface) else { continue };
                if let Some(value) = counters.get(*counter) {
                    samples.sample(device, *value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PATTERN: Family = Family::untyped("x_*", "Help.");

    #[test]
    fn families_are_together_and_what_was_not_read_is_left_out() {
        let names = |names: &[&str]| -> Vec<Option<Box<str>>> {
            names.iter().map(|name| (!name.is_empty()).then(|| (*name).into())).collect()
        };
        let (first, third) = (names(&["x_b", "", "x_a"]), names(&["x_a", "x_c"]));
        let table = Table::new([Some(first.as_slice()), None, Some(third.as_slice())].into_iter());
        let device = ["p", "q", "r"].map(|name| Labels::new([("d", name)]));
        let mut page = Page::default();
        let read: [(&Labels, &[u64]); 3] = [(&device[0], &[1, 2, 3]), (&device[1], &[]), (&device[2], &[4])];
        table.write(&PATTERN, &read, &mut page);
        let text = String::from_utf8_lossy(page.text()).into_owned();
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(samples, ["x_a{d=\"p\"} 3", "x_a{d=\"r\"} 4", "x_b{d=\"p\"} 1"]);
        table.write(&PATTERN, &[], &mut Page::default());
    }
}
