//! Load averages.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Page},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "loadavg",
    on_by_default: true,
    summary: "load averages over 1, 5 and 15 minutes",
    reads: "/proc/loadavg",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&LOAD1, &LOAD5, &LOAD15],
    build: Loadavg::build,
};

static LOAD1: Family =
    Family::gauge("node_load1", "Tasks that run or wait for a disk, averaged over one minute.");
static LOAD5: Family =
    Family::gauge("node_load5", "Tasks that run or wait for a disk, averaged over five minutes.");
static LOAD15: Family =
    Family::gauge("node_load15", "Tasks that run or wait for a disk, averaged over fifteen minutes.");

struct Loadavg {
    file: KeptFile,
}

impl Loadavg {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { file: KeptFile::new(context.paths.procfs.join("loadavg"), Serves::Whole) }))
    }
}

impl Collector for Loadavg {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let load = parse(self.file.read()?)
            .ok_or_else(|| Failure::unreadable(self.file.path(), "three averages"))?;
        for (family, average) in [&LOAD1, &LOAD5, &LOAD15].into_iter().zip(load) {
            page.family(family).plain(average);
        }
        Ok(())
    }
}

/// The first three fields. (The `procfs` crate gives them as f32, which would print other digits.)
fn parse(text: &[u8]) -> Option<[f64; 3]> {
    let mut fields = text::fields(text);
    let mut next = || text::float(fields.next()?);
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_averages() {
        assert_eq!(parse(b"0.21 0.37 0.39 1/719 19737\n"), Some([0.21, 0.37, 0.39]));
        assert_eq!(parse(b"0.21 0.37\n"), None);
        assert_eq!(parse(b""), None);
    }
}
