//! Statistics that networking keeps by CPU, under the kernel's own names.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    node::{kept::Kept, names::family_name},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "lnstat",
    on_by_default: false,
    summary: "networking's statistics by CPU: routes, neighbours, tracked connections",
    reads: "/proc/net/stat/*",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&COLUMN],
    build: Lnstat::build,
};

static COLUMN: Family = Family::counter(
    "node_lnstat_*_total",
    "The column of this name in a file of /proc/net/stat, whose name is the label subsystem.",
);

struct Lnstat {
    folder: PathBuf,
    files: Kept<Statistics>,
    /// Family names, each with the columns it stands for: a file's place and the column's.
    families: BTreeMap<String, Vec<(usize, usize)>>,
}

/// One of the files.
struct Statistics {
    file: KeptFile,
    subsystem: String,
    head: Vec<u8>,
    /// Family names by column.
    names: Vec<String>,
    /// By CPU.
    labels: Vec<Labels>,
    /// This scrape's numbers, CPU after CPU.
    numbers: Vec<u64>,
}

impl Lnstat {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            folder: context.paths.procfs.join("net/stat"),
            files: Kept::default(),
            families: BTreeMap::new(),
        }))
    }

    /// Files come with kernel modules, and nothing cheaper than the folder tells of them.
    fn read(&mut self) -> Result<bool, Failure> {
        let mut renamed = false;
        let mut outcome = Ok(());
        self.files.begin();
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let make = || Statistics::new(entry.path(), name.to_string_lossy().into_owned());
            if let Some(statistics) = self.files.meet(name.as_encoded_bytes(), make) {
                match statistics.read() {
                    Ok(has_new_names) => renamed |= has_new_names,
                    Err(failure) => outcome = Err(failure),
                }
            }
        }
        renamed |= self.files.end();
        outcome.map(|()| renamed)
    }
}

impl Statistics {
    fn new(path: PathBuf, subsystem: String) -> Self {
        Self {
            file: KeptFile::new(path, Serves::Rows),
            subsystem,
            head: Vec::new(),
            names: Vec::new(),
            labels: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// Takes in the file; tells whether its columns have other names than before.
    fn read(&mut self) -> Result<bool, Failure> {
        let Self { file, subsystem, head, names, labels, numbers } = self;
        numbers.clear();
        let text = file.read()?;
        let mut lines = text::lines(text);
        let new_head = lines.next().unwrap_or_default();
        let renamed = new_head != head;
        if renamed {
            *head = new_head.to_vec();
            *names = text::fields(head).map(name_of).collect();
        }
        let mut cpus = 0;
        let take = || {
            for line in lines {
                let before = numbers.len();
                for field in text::fields(line) {
                    numbers.push(text::hex(field)?);
                }
                if numbers.len() - before != names.len() {
                    return None;
                }
                if labels.len() <= cpus {
                    let cpu = cpus.to_string();
                    labels.push(Labels::new([("cpu", &cpu), ("subsystem", subsystem)]));
                }
                cpus += 1;
            }
            Some(())
        };
        let taken = take();
        taken.ok_or_else(|| Failure::unreadable(file.path(), "a hexadecimal number for each column"))?;
        Ok(renamed)
    }

    fn rows(&self) -> impl Iterator<Item = (&Labels, &[u64])> {
        self.labels.iter().zip(self.numbers.chunks_exact(self.names.len().max(1)))
    }
}

fn name_of(column: &[u8]) -> String {
    family_name("node_lnstat_", column) + "_total"
}

impl Collector for Lnstat {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let outcome = self.read();
        // After a failure, too: places may be others than before.
        if !matches!(outcome, Ok(false)) {
            self.families.clear();
            for (place, file) in self.files.items().enumerate() {
                for (column, name) in file.names.iter().enumerate() {
                    let columns = self.families.entry(name.clone()).or_default();
                    if columns.last().is_none_or(|(last, _)| *last != place) {
                        columns.push((place, column));
                    }
                }
            }
        }
        outcome?;
        for (name, columns) in &self.families {
            let mut samples = page.named(&COLUMN, name);
            for (place, column) in columns {
                for (labels, row) in self.files.items().nth(*place).into_iter().flat_map(Statistics::rows) {
                    if let Some(number) = row.get(*column) {
                        samples.sample(labels, *number);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_go_and_change() {
        let folder = std::env::temp_dir().join(format!("nodetally-lnstat-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("makes a folder");
        let mut lnstat = Lnstat { folder: folder.clone(), files: Kept::default(), families: BTreeMap::new() };
        let mut scrape = |name: &str, text: &[u8]| {
            std::fs::write(folder.join(name), text).expect("writes");
            let mut page = Page::default();
            lnstat.collect(&mut page).map_err(|failure| failure.to_string())?;
            assert_eq!(page.dropped(), 0);
            let text = str::from_utf8(page.text()).expect("a page is UTF-8");
            let samples = text.lines().filter_map(|line| line.strip_prefix("node_lnstat_"));
            Ok::<_, String>(samples.collect::<Vec<_>>().join(";"))
        };
        let a = "hits_total{cpu=\"0\",subsystem=\"a\"} 16;hits_total{cpu=\"1\",subsystem=\"a\"} 255";
        assert_eq!(
            scrape("a", b"entries hits\n1 10\n2 ff\n"),
            Ok(format!(
                "entries_total{{cpu=\"0\",subsystem=\"a\"}} 1;entries_total{{cpu=\"1\",subsystem=\"a\"}} 2;{a}"
            ))
        );
        let b = "hits_total{cpu=\"0\",subsystem=\"b\"} 1.8446744073709552e+19";
        let both = scrape("b", b"hits hits\nffffffffffffffff 1\n").expect("reads");
        assert!(both.ends_with(&format!("{a};{b}")), "{both}");
        for bad in [&b"hits\nx\n"[..], b"hits\n1 2\n", b"hits\n\xff\n", b"hits\n10000000000000000\n"] {
            let failure = scrape("b", bad).expect_err("makes no sense");
            assert!(failure.contains("/b: expected"), "{failure}");
        }
        assert_eq!(scrape("b", b"").as_deref(), scrape("b", b"new\n").as_deref());
        std::fs::remove_file(folder.join("a")).expect("removes");
        assert_eq!(scrape("b", b"new\n3\n").as_deref(), Ok("new_total{cpu=\"0\",subsystem=\"b\"} 3"));
        std::fs::remove_dir_all(&folder).expect("removes");
    }
}
