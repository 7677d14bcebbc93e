//! Counters of the virtual memory, under the kernel's own names.

use regex::Regex;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, pattern},
    metric::{Family, Page},
    node::names::{Names, family_name, number},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "vmstat",
    on_by_default: true,
    summary: "pages moved and faulted in, processes killed for lack of memory",
    reads: "/proc/vmstat",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[Flag {
        name: FIELDS,
        takes: Takes::Text { placeholder: "REGEXP", default: "^(oom_kill|pgpg|pswp|pg.*fault).*" },
        help: "The lines of /proc/vmstat to give",
    }],
    families: &[&LINE],
    build: Vmstat::build,
};

const FIELDS: &str = "collector.vmstat.fields";

static LINE: Family = Family::untyped(
    "node_vmstat_*",
    "The line of /proc/vmstat with this name, in pages or events since boot.",
);

struct Vmstat {
    file: KeptFile,
    fields: Option<Regex>,
    names: Names,
}

impl Vmstat {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            file: KeptFile::new(context.paths.procfs.join("vmstat"), Serves::Rows),
            fields: pattern(FIELDS, context.flags.text(FIELDS))?,
            names: Names::default(),
        }))
    }
}

impl Collector for Vmstat {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let written = write(self.file.read()?, self.fields.as_ref(), &mut self.names, page);
        written.ok_or_else(|| Failure::unreadable(self.file.path(), "lines of a name and a number"))
    }
}

/// `None` at the first line that makes no sense.
fn write(vmstat: &[u8], wanted: Option<&Regex>, names: &mut Names, page: &mut Page) -> Option<()> {
    for (place, line) in text::lines(vmstat).enumerate() {
        let mut fields = text::fields(line);
        let key = fields.next()?;
        let value = number(fields.next()?)?;
        let make = || {
            let is_wanted = wanted.is_none_or(|wanted| wanted.is_match(&String::from_utf8_lossy(key)));
            is_wanted.then(|| family_name("node_vmstat_", key))
        };
        if let Some(name) = names.at(place, b"", key, make) {
            page.named(&LINE, name).plain(value);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(vmstat: &[u8], wanted: &str) -> (bool, String) {
        let (mut page, mut names) = (Page::default(), Names::default());
        let wanted = Regex::new(wanted).expect("is a pattern");
        let succeeded = write(vmstat, Some(&wanted), &mut names, &mut page).is_some();
        let text = str::from_utf8(page.text()).expect("a page is UTF-8");
        (succeeded, text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(";"))
    }

    #[test]
    fn wanted_lines_are_given() {
        let (succeeded, samples) = text(b"pgpgin 7\nnr_dirty 2\npgpgout 2000000\n", "^pg");
        assert!(succeeded);
        assert_eq!(samples, "node_vmstat_pgpgin 7;node_vmstat_pgpgout 2e+06");
        assert_eq!(text(b"", "").1, "");
        assert_eq!(text(b"a\xff 18446744073709551615\n", "").1, "node_vmstat_a_ 1.8446744073709552e+19");
    }

    #[test]
    fn a_line_without_a_number_is_a_failure_even_if_not_wanted() {
        for bad in [&b"pgpgin 7\nx"[..], b"pgpgin 7\nx y\n", b"pgpgin 7\nx \xff\n", b"pgpgin 7\n \n"] {
            assert_eq!(text(bad, "^pg"), (false, "node_vmstat_pgpgin 7".to_owned()), "{bad:?}");
        }
    }
}
