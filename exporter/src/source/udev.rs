//! What udev knows of a device: `<data>/b<major>:<minor>`, lines of `E:NAME=value`.

use std::{fs::File, io::Read, os::unix::fs::MetadataExt, path::PathBuf};

use super::text;

/// No device has this much said of it.
const LARGEST: u64 = 1 << 20;

/// One device's properties, read anew only when udev has written them anew.
#[derive(Debug)]
pub struct Device {
    path: PathBuf,
    stamp: Option<Stamp>,
    text: Vec<u8>,
}

/// Udev replaces the file, so a new text has another inode or another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Device {
    /// The block device of this number, in udev's folder.
    pub fn block(data: &std::path::Path, major: u32, minor: u32) -> Self {
        Self { path: data.join(format!("b{major}:{minor}")), stamp: None, text: Vec::new() }
    }

    /// Looks whether udev has news of it; one system call when it has none. A device that udev does not know
    /// has no properties.
    pub fn refresh(&mut self) -> bool {
        let stamp = std::fs::metadata(&self.path).ok().map(|found| Stamp {
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
        });
        if stamp == self.stamp {
            return false;
        }
        self.stamp = stamp;
        self.text.clear();
        let read = File::open(&self.path).map(|file| file.take(LARGEST).read_to_end(&mut self.text));
        if !matches!(read, Ok(Ok(_))) {
            self.text.clear();
        }
        true
    }

    /// A property's value; empty when it has none.
    pub fn property(&self, name: &str) -> &[u8] {
        property(&self.text, name.as_bytes())
    }
}

/// The last value given to `name`.
fn property<'a>(text: &'a [u8], name: &[u8]) -> &'a [u8] {
    let value = |line: &'a [u8]| line.strip_prefix(b"E:")?.strip_prefix(name)?.strip_prefix(b"=");
    text::lines(text).filter_map(value).last().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_matched_whole_and_the_last_one_wins() {
        let text =
            b"S:disk/by-id/x\nE:ID_MODEL=A B=C\nE:ID_MODEL_ID=no\nI:1\nE:ID_WWN=1\nE:ID_WWN=2\nE:ID_REV";
        assert_eq!(property(text, b"ID_MODEL"), b"A B=C");
        assert_eq!(property(text, b"ID_WWN"), b"2");
        assert_eq!(property(text, b"ID_REV"), b"");
        assert_eq!(property(text, b"ID"), b"");
    }

    #[test]
    fn news_are_noticed() {
        let folder = std::env::temp_dir().join(format!("nodetally-udev-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("makes a folder");
        let mut device = Device::block(&folder, 8, 0);
        assert!(!device.refresh(), "udev does not know it, as before");
        for (text, model) in [("E:ID_MODEL=one\n", "one"), ("E:ID_MODEL=two\n", "two")] {
            std::fs::write(folder.join("new"), text).expect("writes");
            std::fs::rename(folder.join("new"), folder.join("b8:0")).expect("renames");
            assert!(device.refresh());
            assert_eq!(device.property("ID_MODEL"), model.as_bytes());
            assert!(!device.refresh());
        }
        std::fs::remove_dir_all(&folder).expect("removes");
        assert!(device.refresh());
        assert_eq!(device.property("ID_MODEL"), b"");
    }
}
