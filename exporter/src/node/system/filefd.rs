//! Open files of all processes.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Page, Value},
    node::names::number,
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "filefd",
    on_by_default: true,
    summary: "open files of all processes, and the limit",
    reads: "/proc/sys/fs/file-nr",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&ALLOCATED, &MAXIMUM],
    build: Filefd::build,
};

static ALLOCATED: Family = Family::gauge("node_filefd_allocated", "Open files of all processes together.");
static MAXIMUM: Family =
    Family::gauge("node_filefd_maximum", "Open files that all processes together may have.");

struct Filefd {
    file: KeptFile,
}

impl Filefd {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { file: KeptFile::new(context.paths.procfs.join("sys/fs/file-nr"), Serves::Whole) }))
    }
}

impl Collector for Filefd {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let (allocated, maximum) =
            parse(self.file.read()?).ok_or_else(|| Failure::unreadable(self.file.path(), "three numbers"))?;
        page.family(&ALLOCATED).plain(allocated);
        page.family(&MAXIMUM).plain(maximum);
        Ok(())
    }
}

/// The first and the third number.
fn parse(text: &[u8]) -> Option<(Value, Value)> {
    let mut fields = text::fields(text.trim_ascii());
    let allocated = number(fields.next()?)?;
    let maximum = number(fields.nth(1)?)?;
    Some((allocated, maximum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_third_number_are_read() {
        assert_eq!(parse(b"1024\t0\t1631329\n"), Some((1024.into(), 1_631_329.into())));
        assert_eq!(parse(b"1\t0\t18446744073709551615"), Some((1.into(), u64::MAX.into())));
        for bad in [&b""[..], b"\n", b"1\t2\n", b"x\t0\t3\n", b"1\t0\tx\n", b"\xff\t\xff\t\xff"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
