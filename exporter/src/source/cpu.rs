//! `/sys/devices/system/cpu`: which CPUs there are, and their files.

use std::path::{Path, PathBuf};

use super::text;

/// The kernel is never built for more CPUs than this.
pub const MOST: u64 = 8192;

/// Where the CPUs are.
pub fn folder(sysfs: &Path) -> PathBuf {
    sysfs.join("devices/system/cpu")
}

/// The names `cpu0`, `cpu1`, `cpu10`, ... in the order of their bytes; none if the folder cannot be read.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.strip_prefix("cpu").is_some_and(|rest| text::whole(rest.as_bytes()).is_some()))
        .collect();
    names.sort_unstable();
    names
}

/// A small file's only number; `None` if it has none or cannot be read.
pub fn number(path: &Path) -> Option<u64> {
    text::only(&std::fs::read(path).ok()?)
}

/// The numbers in a list such as `1,3-5,9`; `None` for anything else.
pub fn list(text: &[u8]) -> Option<Vec<u64>> {
    let mut numbers = Vec::new();
    for part in text.trim_ascii().split(|&byte| byte == b',').filter(|part| !part.is_empty()) {
        let mut ends = part.splitn(2, |&byte| byte == b'-').map(text::whole);
        let first = ends.next()??;
        let last = ends.next().unwrap_or(Some(first))?;
        if first > last || last >= MOST {
            return None;
        }
        numbers.extend(first..=last);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_numbers_and_ranges() {
        assert_eq!(list(b"1,3-5,9\n"), Some(vec![1, 3, 4, 5, 9]));
        assert_eq!(list(b"2,1-2"), Some(vec![1, 2]));
        assert_eq!(list(b"\n"), Some(vec![]));
        for bad in [&b"x"[..], b"1-", b"-1", b"5-3", b"0-18446744073709551615", b"1-2-3", b"1 2"] {
            assert_eq!(list(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_cpus_are_named() {
        let names = names(Path::new("/sys/devices/system/cpu"));
        assert!(names.contains(&"cpu0".to_owned()), "{names:?}");
        assert!(!names.iter().any(|name| name == "cpufreq" || name == "cpuidle"));
    }
}
