//! How many cgroups each controller has.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "cgroups",
    on_by_default: false,
    summary: "number of cgroups by controller",
    reads: "/proc/cgroups",
    since: "2.6.24",
    pace: Pace::Quick,
    flags: &[],
    families: &[&CGROUPS, &ENABLED],
    build: Cgroups::build,
};

static CGROUPS: Family =
    Family::gauge("node_cgroups_cgroups", "Cgroups of the hierarchy that the controller is in.");
static ENABLED: Family = Family::gauge("node_cgroups_enabled", "Whether the controller is on, 1 or 0.");

struct Cgroups {
    file: KeptFile,
    controllers: Kept<Controller>,
}

struct Controller {
    labels: Labels,
    cgroups: u64,
    enabled: u64,
}

impl Cgroups {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            file: KeptFile::new(context.paths.procfs.join("cgroups"), Serves::Whole),
            controllers: Kept::default(),
        }))
    }
}

impl Collector for Cgroups {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.controllers.begin();
        let understood = update(&mut self.controllers, self.file.read()?);
        self.controllers.end();
        understood.ok_or_else(|| Failure::unreadable(self.file.path(), "four columns"))?;
        for (family, value) in [
            (&CGROUPS, (|of| of.cgroups) as fn(&Controller) -> u64),
            (&ENABLED, |of: &Controller| of.enabled),
        ] {
            let mut samples = page.family(family);
            for controller in self.controllers.items() {
                samples.sample(&controller.labels, value(controller));
            }
        }
        Ok(())
    }
}

/// Takes in all lines; `None` at the first that makes no sense.
fn update(controllers: &mut Kept<Controller>, cgroups: &[u8]) -> Option<()> {
    for line in text::lines(cgroups).filter(|line| !line.starts_with(b"#")) {
        let (name, cgroups, enabled) = controller(line)?;
        let make = || Controller { labels: Labels::new([("subsys_name", name)]), cgroups: 0, enabled: 0 };
        if let Some(controller) = controllers.meet(name, make) {
            (controller.cgroups, controller.enabled) = (cgroups, enabled);
        }
    }
    Some(())
}

/// The name, the number of cgroups and whether it is on: columns 1, 3 and 4 of exactly four.
fn controller(line: &[u8]) -> Option<(&[u8], u64, u64)> {
    let mut fields = text::fields(line);
    let name = fields.next()?;
    let mut number = || text::whole(fields.next()?);
    let (_hierarchy, cgroups, enabled) = (number()?, number()?, number()?);
    fields.next().is_none().then_some((name, cgroups, enabled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_four_columns() {
        assert_eq!(controller(b"cpu\t3\t172\t1"), Some((&b"cpu"[..], 172, 1)));
        for bad in [
            &b"cpu 3 172"[..],
            b"cpu 3 172 1 1",
            b"cpu 3 x 1",
            b"cpu 3 18446744073709551616 1",
            b"cpu",
            b"\xff",
        ] {
            assert_eq!(controller(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn one_bad_line_fails_all() {
        let mut kept = Kept::default();
        kept.begin();
        assert_eq!(update(&mut kept, b"#subsys_name\thierarchy\ncpu 3 172 1\n"), Some(()));
        assert_eq!(kept.items().count(), 1);
        assert_eq!(update(&mut kept, b"memory 3 172 1\nc\xfeu\n"), None);
    }
}
