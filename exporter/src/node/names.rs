//! Names of families made from what the kernel calls them.

use crate::{
    metric::{Value, label_name},
    source::text,
};

/// Family names by their place in a file, so that a name is made (and a pattern asked) once and not at each scrape.
#[derive(Debug, Default)]
pub struct Names {
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    scope: Vec<u8>,
    key: Vec<u8>,
    name: Option<String>,
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
        let is_known = self.known.get(place).is_some_and(|known| known.key == key && known.scope == scope);
        if !is_known {
            // A file that has changed its shape is learnt anew from here on.
            self.known.truncate(place);
            self.known.push(Known { scope: scope.to_vec(), key: key.to_vec(), name: make() });
        }
        self.known.get(place)?.name.as_deref()
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
}
