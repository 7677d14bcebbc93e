//! Folders of `/sys` with an entry per device, and the small files in them.
//!
//! A device may come and go between two scrapes and nothing cheaper than the folder tells of it, so folders are listed
//! and files opened anew each time: three system calls per file, all on a path that ends in sysfs' own memory.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use super::{file::ReadError, text};

/// What the kernel writes at most into one file of sysfs.
const LARGEST: usize = 4096;

/// A folder of sysfs.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Names the folder; nothing is read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A folder within it.
    #[must_use]
    pub fn folder(&self, name: &str) -> Self {
        Self(self.0.join(name))
    }

    /// The names of its entries, in the order of their bytes. (The kernel gives no name that is not UTF-8.)
    ///
    /// # Errors
    /// What `opendir` or `readdir` says; [`ReadError::is_gone`] where there is no such folder.
    pub fn names(&self) -> Result<Vec<String>, ReadError> {
        let error = |error| ReadError { operation: "readdir", path: self.0.clone(), error };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.0).map_err(error)? {
            names.extend(entry.map_err(error)?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The entries `<prefix><digits>` and maybe more (`thermal_zone0`), with what follows the prefix; none where there
    /// is no such folder.
    ///
    /// # Errors
    /// As [`Folder::names`].
    pub fn numbered(&self, prefix: &str) -> Result<Vec<(String, String)>, ReadError> {
        let names = match self.names() {
            Err(error) if error.is_gone() => return Ok(Vec::new()),
            names => names?,
        };
        let number = |name: &String| {
            let rest = name.strip_prefix(prefix)?;
            rest.starts_with(|first: char| first.is_ascii_digit()).then(|| rest.to_owned())
        };
        Ok(names.into_iter().filter_map(|name| number(&name).map(|rest| (name, rest))).collect())
    }

    /// A file's text without the white space around it.
    ///
    /// # Errors
    /// What `open` or `read` says.
    pub fn text(&self, name: &str) -> Result<Vec<u8>, ReadError> {
        let mut buffer = [0; LARGEST];
        self.read(name, &mut buffer).map(<[u8]>::to_vec)
    }

    /// A file's only number.
    ///
    /// # Errors
    /// As [`Folder::text`]; `parse` where it holds something else.
    pub fn whole(&self, name: &str) -> Result<u64, ReadError> {
        self.parsed(name, "a whole number", text::whole)
    }

    /// A file's only number, which may be below 0.
    ///
    /// # Errors
    /// As [`Folder::whole`].
    pub fn signed(&self, name: &str) -> Result<i64, ReadError> {
        self.parsed(name, "a number", signed)
    }

    /// A file's only number, in hexadecimal digits after `0x` or in decimal ones.
    ///
    /// # Errors
    /// As [`Folder::whole`].
    pub fn prefixed(&self, name: &str) -> Result<u64, ReadError> {
        self.parsed(name, "a number such as 0x1f", prefixed)
    }

    /// What `parse` makes of a file's text, the white space around it taken away; `wanted` says in the error what it
    /// would have taken.
    ///
    /// # Errors
    /// As [`Folder::whole`].
    pub fn parsed<T>(
        &self,
        name: &str,
        wanted: &str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, ReadError> {
        let mut buffer = [0; LARGEST];
        parse(self.read(name, &mut buffer)?).ok_or_else(|| {
            let error = io::Error::new(io::ErrorKind::InvalidData, format!("expected {wanted}"));
            ReadError { operation: "parse", path: self.0.join(name), error }
        })
    }

    fn read<'b>(&self, name: &str, buffer: &'b mut [u8; LARGEST]) -> Result<&'b [u8], ReadError> {
        let path = self.0.join(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => return Err(ReadError { operation: "open", path, error }),
        };
        loop {
            match file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError { operation: "read", path, error }),
                Ok(length) => return Ok(buffer.get(..length).unwrap_or_default().trim_ascii()),
            }
        }
    }
}

/// Makes `None` of an attribute that this device does not have; every other error stays one.
///
/// # Errors
/// Those of the read that tell of more than a missing file.
pub fn optional<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    unless(read, &[Errno::NOENT])
}

/// Makes `None` of an attribute that this device does not have or a driver declines to tell: no such file or device,
/// not supported, invalid argument.
///
/// # Errors
/// Every other one.
pub fn offered<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    unless(read, &[Errno::NOENT, Errno::NODEV, Errno::OPNOTSUPP, Errno::INVAL])
}

/// Makes `None` of the errors named.
///
/// # Errors
/// Every other one.
pub fn unless<T>(read: Result<T, ReadError>, lacks: &[Errno]) -> Result<Option<T>, ReadError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if Errno::from_io_error(&error.error).is_some_and(|errno| lacks.contains(&errno)) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Digits, maybe after a sign.
pub fn signed(field: &[u8]) -> Option<i64> {
    let digits = field.strip_prefix(b"-").or_else(|| field.strip_prefix(b"+")).unwrap_or(field);
    // (The standard parser takes signs and digits only, but text first.)
    digits.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(field).ok()?.parse().ok())?
}

/// Hexadecimal digits after `0x`, or decimal ones.
pub fn prefixed(field: &[u8]) -> Option<u64> {
    let Some(digits) = field.strip_prefix(b"0x").or_else(|| field.strip_prefix(b"0X")) else {
        return text::whole(field);
    };
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_sign_or_a_prefix() {
        for (text, value) in
            [("-7", Some(-7)), ("+7", Some(7)), ("0", Some(0)), ("-9223372036854775808", Some(i64::MIN))]
        {
            assert_eq!(signed(text.as_bytes()), value);
        }
        for bad in [&b""[..], b"-", b"--1", b"1-", b"9223372036854775808", b" 1", b"0x1", b"\xff"] {
            assert_eq!(signed(bad), None, "{bad:?}");
        }
        assert_eq!(prefixed(b"0xffffffffffffffff"), Some(u64::MAX));
        assert_eq!(prefixed(b"12"), Some(12));
        for bad in [&b""[..], b"0x", b"0xg", b"0x+1", b"-1", b"0x10000000000000000", b"\xff"] {
            assert_eq!(prefixed(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn folders_and_files_are_read_and_errors_name_the_path() {
        let root = std::env::temp_dir().join(format!("nodetally-sysfs-{}", std::process::id()));
        for name in ["zone10", "zone2", "zonex", "other"] {
            std::fs::create_dir_all(root.join(name)).expect("makes");
        }
        std::fs::write(root.join("zone2/temp"), " -12\n").expect("writes");
        let folder = Folder::new(&root);
        assert_eq!(folder.names().expect("lists"), ["other", "zone10", "zone2", "zonex"]);
        let numbered = folder.numbered("zone").expect("lists");
        assert_eq!(numbered, [("zone10", "10"), ("zone2", "2")].map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert!(folder.folder("none").numbered("zone").expect("is empty").is_empty());
        let zone = folder.folder("zone2");
        assert_eq!(zone.text("temp").expect("reads"), b"-12");
        assert_eq!(zone.signed("temp").expect("reads"), -12);
        let error = zone.whole("temp").expect_err("is below 0").to_string();
        assert!(
            error.starts_with("parse ") && error.ends_with("zone2/temp: expected a whole number"),
            "{error}"
        );
        assert_eq!(optional(zone.whole("none")).expect("is missing"), None);
        optional(folder.whole("zone2")).expect_err("is a folder");
        optional(zone.whole("temp")).expect_err("is there");
        let error = folder.folder("none").names().expect_err("is missing");
        assert!(error.is_gone() && error.to_string().contains("/none: "), "{error}");
        std::fs::remove_dir_all(&root).expect("removes");
    }

    #[test]
    fn what_a_driver_declines_is_none() {
        let error = |errno: Errno| -> Result<u64, ReadError> {
            Err(ReadError { operation: "read", path: "/sys/x".into(), error: errno.into() })
        };
        assert_eq!(offered(error(Errno::INVAL)).expect("declined"), None);
        assert_eq!(offered(Ok(1)).expect("reads"), Some(1));
        offered(error(Errno::IO)).expect_err("is broken");
        optional(error(Errno::INVAL)).expect_err("is there");
    }
}
