//! Shell patterns for directories: `*`, `?`, `[a-z]`, `[^a]` and `\` before a character that is meant as it is.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

/// The paths that the pattern matches, sorted; the pattern itself where it matches none.
pub fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in Path::new(pattern).components() {
        let part = component.as_os_str();
        found = match component {
            Component::Normal(_) if has_magic(part.as_bytes()) => {
                found.iter().flat_map(|folder| matching(folder, part.as_bytes())).collect()
            }
            _ => found.into_iter().map(|folder| folder.join(part)).collect(),
        };
    }
    found.retain(|path| path.exists());
    found.sort_unstable();
    if found.is_empty() { vec![PathBuf::from(pattern)] } else { found }
}

fn has_magic(part: &[u8]) -> bool {
    part.iter().any(|byte| b"*?[\\".contains(byte))
}

fn matching(folder: &Path, pattern: &[u8]) -> Vec<PathBuf> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(listed) else { return Vec::new() };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    names.filter(|name| matches(pattern, name.as_bytes())).map(|name| folder.join(name)).collect()
}

/// Whether the whole name fits the pattern. What a star has eaten is given back from the last star only, so the
/// time is at most the product of the lengths.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some(rest) = pattern.strip_prefix(b"*") {
            retry = Some((rest, name));
            pattern = rest;
            continue;
        }
        if let (Some((_, others)), Some(rest)) = (name.split_first(), pattern_fits(pattern, name)) {
            (pattern, name) = (rest, others);
            continue;
        }
        if pattern.is_empty() && name.is_empty() {
            return true;
        }
        let Some((after_star, eaten_to)) = retry else { return false };
        let Some((_, shorter)) = eaten_to.split_first() else { return false };
        retry = Some((after_star, shorter));
        (pattern, name) = (after_star, shorter);
    }
}

/// What is left of the pattern once its first element has met the name's first byte; `None` if it does not meet it.
fn pattern_fits<'p>(pattern: &'p [u8], name: &[u8]) -> Option<&'p [u8]> {
    let (&byte, (&first, rest)) = (name.first()?, pattern.split_first()?);
    match first {
        b'?' => Some(rest),
        b'\\' => rest.split_first().filter(|(meant, _)| **meant == byte).map(|(_, rest)| rest),
        b'[' => {
            let end = 1 + rest.iter().skip(1).position(|&b| b == b']')?;
            let (set, rest) = (rest.get(..end)?, rest.get(end + 1..)?);
            let (is_negated, set) = set.strip_prefix(b"^").map_or((false, set), |set| (true, set));
            (in_set(set, byte) != is_negated).then_some(rest)
        }
        _ => (first == byte).then_some(rest),
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    let mut rest = set;
    loop {
        rest = match rest {
            [low, b'-', high, rest @ ..] => {
                if (*low..=*high).contains(&byte) {
                    return true;
                }
                rest
            }
            [one, rest @ ..] => {
                if *one == byte {
                    return true;
                }
                rest
            }
            [] => return false,
        };
    }
}

/// The path without `.`, empty parts and `name/..`, as the reference has it in the label.
pub fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        let ends_in_name = matches!(cleaned.components().next_back(), Some(Component::Normal(_)));
        match component {
            Component::CurDir => {}
            Component::ParentDir if ends_in_name => {
                cleaned.pop();
            }
            Component::ParentDir if cleaned == Path::new("/") => {}
            other => cleaned.push::<&OsStr>(other.as_os_str()),
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("*_extra", "histogram_extra", true),
            ("*_extra", "extra", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?b", "ab", true),
            ("?b", "b", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[^a-c]x", "dx", true),
            ("[]x", "]x", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("\\", "\\", false),
            ("a", "ab", false),
            ("****a", "bbba", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_find_folders_in_order() {
        let root = std::env::temp_dir().join(format!("nodetally-glob-{}", std::process::id()));
        for folder in ["b/in", "a/in", "c/out"] {
            std::fs::create_dir_all(root.join(folder)).expect("makes");
        }
        let expand = |pattern: &str| expand(&format!("{}/{pattern}", root.display()));
        assert_eq!(expand("*/in"), [root.join("a/in"), root.join("b/in")]);
        assert_eq!(expand("[bc]"), [root.join("b"), root.join("c")]);
        assert_eq!(expand("none*"), [root.join("none*")], "none is the pattern itself");
        assert_eq!(expand("a"), [root.join("a")]);
        std::fs::remove_dir_all(root).expect("removes");
    }

    #[test]
    fn paths_are_cleaned() {
        for (path, cleaned) in [
            ("a//b/", "a/b"),
            ("./a", "a"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("/../a", "/a"),
            ("/a/./b", "/a/b"),
        ] {
            assert_eq!(clean(Path::new(path)), Path::new(cleaned));
        }
    }
}
