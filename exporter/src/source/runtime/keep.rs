//! Which of a container's labels and variables are kept: what is not is forgotten as soon as it was read.

use regex::Regex;

use super::Metadata;

/// The orchestrator's own labels, which name a container's pod.
pub const KUBERNETES: &str = "io.kubernetes.";
/// A container's labels beyond these are left out; one has a dozen or two.
const MOST: usize = 256;
/// A value that is longer is left out: each series of the container would carry it.
const LONGEST: usize = 4096;
/// All labels together are no longer than this, nor are all variables.
const MOST_TEXT: usize = 16 << 10;

/// What is kept.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Every label, save the excluded.
    pub all: bool,
    /// Labels that are kept where not all are, by their raw keys.
    pub allowed: Vec<String>,
    /// Labels that are never kept, by their raw keys.
    pub excluded: Option<Regex>,
    /// Beginnings of the names of variables that are kept.
    pub variables: Vec<String>,
}

impl Default for Keep {
    fn default() -> Self {
        Self { all: true, allowed: Vec::new(), excluded: None, variables: Vec::new() }
    }
}

impl Keep {
    /// Whether a label is shown.
    pub fn label(&self, key: &str) -> bool {
        (self.all || self.allowed.iter().any(|allowed| allowed == key))
            && !self.excluded.as_ref().is_some_and(|excluded| excluded.is_match(key))
    }

    /// Whether a variable is shown.
    pub fn variable(&self, name: &str) -> bool {
        self.variables.iter().any(|start| name.starts_with(start.as_str()))
    }

    /// Drops what is not kept, or too long; says how many labels, variables and names were too long or too many.
    pub fn thin(&self, metadata: &mut Metadata) -> usize {
        metadata.labels.retain(|(key, _)| self.label(key) || key.starts_with(KUBERNETES));
        metadata.env.retain(|(name, _)| self.variable(name));
        let mut cut_off = 0;
        for text in [&mut metadata.name, &mut metadata.image] {
            if text.len() > LONGEST {
                text.clear();
                text.shrink_to_fit();
                cut_off += 1;
            }
        }
        cut_off + cut(&mut metadata.labels) + cut(&mut metadata.env)
    }
}

/// Drops what is too long, then, in the order of the keys, what is too many.
fn cut(pairs: &mut Vec<(String, String)>) -> usize {
    let count = pairs.len();
    pairs.retain(|(key, value)| key.len() <= LONGEST && value.len() <= LONGEST);
    let mut text = 0_usize;
    let lengths = pairs.iter().map(|(key, value)| key.len() + value.len());
    if pairs.len() > MOST || lengths.sum::<usize>() > MOST_TEXT {
        pairs.sort();
        pairs.truncate(MOST);
        pairs.retain(|(key, value)| {
            text += key.len() + value.len();
            text <= MOST_TEXT
        });
    }
    pairs.shrink_to_fit();
    count - pairs.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn pairs(keys: &[&str]) -> Vec<(String, String)> {
        keys.iter().map(|key| ((*key).to_owned(), "v".to_owned())).collect()
    }

    fn kept(keep: &Keep, labels: &[&str], env: &[&str]) -> (Vec<String>, Vec<String>, usize) {
        let mut metadata = Metadata { labels: pairs(labels), env: pairs(env), ..Metadata::of("a") };
        let lost = keep.thin(&mut metadata);
        let keys = |pairs: Vec<(String, String)>| pairs.into_iter().map(|(key, _)| key).collect();
        (keys(metadata.labels), keys(metadata.env), lost)
    }

    #[test]
    fn lists_are_of_raw_keys_and_of_beginnings_of_names() {
        let keep = Keep {
            all: false,
            allowed: vec!["a.b".to_owned()],
            variables: vec!["APP_".to_owned()],
            ..Keep::default()
        };
        let (labels, env, lost) =
            kept(&keep, &["a.b", "a_b", "io.kubernetes.pod.uid"], &["APP_X", "SECRET", "app_x"]);
        assert_eq!(
            (labels, env, lost),
            (vec!["a.b".to_owned(), "io.kubernetes.pod.uid".to_owned()], vec!["APP_X".to_owned()], 0)
        );
        let keep = Keep { excluded: Some(Regex::new("^secret").unwrap()), ..Keep::default() };
        assert_eq!(kept(&keep, &["secret.x", "x"], &["SECRET"]), (vec!["x".to_owned()], Vec::new(), 0));
        assert!(!keep.label("secret.x") && keep.label("io.kubernetes.pod.uid"));
    }

    #[test]
    fn a_container_cannot_have_labels_without_end() {
        let keys: Vec<String> = (0..100_000).rev().map(|number| format!("{number:06}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let (labels, _, lost) = kept(&Keep::default(), &keys, &[]);
        assert_eq!((labels.len(), lost), (MOST, 100_000 - MOST));
        assert_eq!(labels.last().unwrap(), "000255");
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(kept(&Keep::default(), &[&long, "b"], &[]), (vec!["b".to_owned()], Vec::new(), 1));
        let keys: Vec<String> = (0..9).map(|number| number.to_string().repeat(LONGEST / 2)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let (labels, _, lost) = kept(&Keep::default(), &keys, &[]);
        assert_eq!((labels.len(), lost), (7, 2), "eight and their values are just too much");
        let mut metadata = Metadata { name: long, image: "i".to_owned(), ..Metadata::of("a") };
        assert_eq!(Keep::default().thin(&mut metadata), 1);
        assert_eq!((metadata.name.as_str(), metadata.image.as_str()), ("", "i"));
    }
}
