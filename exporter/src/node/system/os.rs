//! The distribution, as os-release names it.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{file::ReadError, os_release::assignment, runtime::time::seconds_since_1970, text},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "os",
    on_by_default: true,
    summary: "the distribution's name, version and end of support",
    reads: "/etc/os-release, else /usr/lib/os-release",
    since: "2.6",
    // The file lies on a disk, or on whatever is mounted there.
    pace: Pace::MayBlock,
    flags: &[],
    families: &[&INFO, &VERSION, &SUPPORT_END],
    build: Os::build,
};

static INFO: Family = Family::gauge("node_os_info", "1, with the names and versions that os-release holds.");
static VERSION: Family =
    Family::gauge("node_os_version", "The distribution's version, its first two parts as one number.");
static SUPPORT_END: Family = Family::gauge(
    "node_os_support_end_timestamp_seconds",
    "When support for this version of the distribution ends, in seconds since 1970.",
);

/// Longer than any os-release.
const LARGEST: u64 = 1 << 20;

struct Os {
    files: [PathBuf; 2],
    /// The file read last, and what was made of it.
    known: Option<(Version, Release)>,
}

/// Where a file is and when it was written: another one has another.
type Version = [i128; 5];

#[derive(Debug, Default, PartialEq)]
struct Release {
    info: Labels,
    named: Labels,
    version: Option<f64>,
    support_end: Option<f64>,
}

impl Os {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let files = ["etc/os-release", "usr/lib/os-release"].map(|name| context.paths.rootfs.join(name));
        Ok(Box::new(Self { files, known: None }))
    }
}

impl Collector for Os {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let found = self.files.iter().find_map(|path| match version_of(path) {
            Err(Errno::NOENT) => None,
            other => Some((path, other)),
        });
        let Some((path, version)) = found else {
            return Err(Failure::absent(format!(
                "neither {} nor its like is there",
                self.files[0].display()
            )));
        };
        let version = version.map_err(|errno| error("stat", path, errno.into()))?;
        if self.known.as_ref().is_none_or(|(known, _)| *known != version) {
            self.known = None;
            let text = read(path).map_err(|why| error("read", path, why))?;
            self.known = parse(&text).map(|release| (version, release));
        }
        let Some((_, release)) = &self.known else {
            return Err(Failure::unreadable(path, "lines such as ID=debian, and dates such as 2030-12-31"));
        };
        page.family(&INFO).sample(&release.info, 1_u64);
        if let Some(version) = release.version {
            page.family(&VERSION).sample(&release.named, version);
        }
        if let Some(support_end) = release.support_end {
            page.family(&SUPPORT_END).plain(support_end);
        }
        Ok(())
    }
}

/// By its path each time: an upgrade puts another file in its place.
fn version_of(path: &Path) -> Result<Version, Errno> {
    let stat = rustix::fs::stat(path)?;
    let written = [(stat.st_mtime, stat.st_mtime_nsec), (stat.st_ctime, stat.st_ctime_nsec)];
    let [modified, changed] =
        written.map(|(seconds, nanoseconds)| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds));
    Ok([stat.st_dev.into(), stat.st_ino.into(), stat.st_size.into(), modified, changed])
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut text)?;
    Ok(text)
}

fn error(operation: &'static str, path: &Path, error: io::Error) -> ReadError {
    ReadError { operation, path: path.to_owned(), error }
}

/// `None` where a line is no assignment, or the end of support no date.
fn parse(text: &[u8]) -> Option<Release> {
    let mut known: Vec<(&[u8], Vec<u8>)> = Vec::new();
    for line in text::lines(text).map(<[u8]>::trim_ascii) {
        if !line.is_empty() && !line.starts_with(b"#") {
            known.push(assignment(line)?);
        }
    }
    let value = |key: &str| -> &[u8] {
        known.iter().rev().find(|(name, _)| *name == key.as_bytes()).map_or(&[], |(_, value)| value)
    };
    let support_end = value("SUPPORT_END");
    let version = version(value("VERSION_ID"));
    Some(Release {
        info: Labels::new([
            ("build_id", value("BUILD_ID")),
            ("id", value("ID")),
            ("id_like", value("ID_LIKE")),
            ("image_id", value("IMAGE_ID")),
            ("image_version", value("IMAGE_VERSION")),
            ("name", value("NAME")),
            ("pretty_name", value("PRETTY_NAME")),
            ("variant", value("VARIANT")),
            ("variant_id", value("VARIANT_ID")),
            ("version", value("VERSION")),
            ("version_codename", value("VERSION_CODENAME")),
            ("version_id", value("VERSION_ID")),
        ]),
        named: Labels::new([("id", value("ID")), ("id_like", value("ID_LIKE")), ("name", value("NAME"))]),
        version: (version > 0.0).then_some(version),
        support_end: if support_end.is_empty() { None } else { Some(date(support_end)?) },
    })
}

/// The digits at the start with at most one point in them; 0 where there are none.
fn version(text: &[u8]) -> f64 {
    let mut points = 0;
    let length = text
        .iter()
        .take_while(|&&byte| {
            points += usize::from(byte == b'.');
            byte.is_ascii_digit() || (byte == b'.' && points == 1)
        })
        .count();
    let number = text.get(..length).filter(|number| number.first().is_some_and(u8::is_ascii_digit));
    number.and_then(text::float).unwrap_or(0.0)
}

/// Midnight UTC of a day such as `2030-12-31`.
fn date(text: &[u8]) -> Option<f64> {
    let text = str::from_utf8(text).ok().filter(|text| text.len() == 10)?;
    seconds_since_1970(&format!("{text}T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::sysfs_test::Root;

    fn info(text: &[u8]) -> String {
        String::from_utf8(parse(text).expect("parses").info.text().to_vec()).expect("labels are UTF-8")
    }

    #[test]
    fn values_are_bare_or_quoted() {
        let text = info(b"# a comment\n\nID=debian\nNAME=\"A \\\"B\\\" C\"\nVARIANT='it \"is\"'\nID=late\n");
        assert!(text.contains(r#"id="late""#), "{text}");
        assert!(text.contains(r#"name="A \"B\" C""#), "{text}");
        assert!(text.contains(r#"variant="it \"is\"""#), "{text}");
        assert!(text.contains(r#"version_id="""#), "{text}");
        assert!(info(b"NAME=\"a\xff\"").contains("name=\"a\u{fffd}\""));
    }

    #[test]
    fn what_is_no_assignment_fails_all() {
        for bad in [&b"ID"[..], b"=x", b"1D=x", b"I D=x", b"ID=\"x", b"ID='x", b"ID=\"x\\", b"\xff"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert!(parse(b"").is_some_and(|release| release.version.is_none()));
    }

    #[test]
    fn the_version_is_two_parts_at_most() {
        for (text, number) in [
            ("20.04", 20.04),
            ("24.10", 24.1),
            ("8.5.2", 8.5),
            ("12", 12.0),
            ("12-rc", 12.0),
            ("", 0.0),
            ("v1", 0.0),
            (".5", 0.0),
        ] {
            assert!((version(text.as_bytes()) - number).abs() < f64::EPSILON, "{text}");
        }
    }

    #[test]
    fn the_end_of_support_is_a_day() {
        assert_eq!(date(b"2030-01-01"), Some(1_893_456_000.0));
        for bad in [&b"2030-1-1"[..], b"soon", b"2030-13-01", b"2030-01-01T00:00:00Z", b"\xff"] {
            assert_eq!(date(bad), None, "{bad:?}");
        }
        assert_eq!(parse(b"SUPPORT_END=soon"), None);
        assert_eq!(parse(b"SUPPORT_END=1970-01-02").and_then(|release| release.support_end), Some(86_400.0));
    }

    #[test]
    fn an_upgrade_is_seen_at_once() {
        let root = Root::new("os");
        let mut os = Os { files: ["a", "b"].map(|name| root.path().join(name)), known: None };
        let mut text = || {
            let mut page = Page::default();
            os.collect(&mut page).map(|()| String::from_utf8_lossy(page.text()).into_owned())
        };
        assert!(matches!(text(), Err(Failure::Absent(_))));
        root.write("b", "ID=older\n");
        assert!(text().expect("reads").contains("id=\"older\""));
        assert!(text().expect("reads").contains("id=\"older\""));
        root.write("new", "ID=newer\n");
        std::fs::rename(root.path().join("new"), root.path().join("b")).expect("renames");
        assert!(text().expect("reads").contains("id=\"newer\""));
        root.write("a", "ID=first\n");
        assert!(text().expect("reads").contains("id=\"first\""));
    }
}
