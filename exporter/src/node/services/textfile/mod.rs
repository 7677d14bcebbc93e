//! What other programs leave in files: every `*.prom` of the directories that were named.

mod glob;
mod merge;
mod parse;

#[cfg(feature = "fuzzing")]
pub use glob::matches;

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use self::{
    merge::{Added, Merged},
    parse::FileFamily,
};
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Labels, Page},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "textfile",
    on_by_default: true,
    summary: "what other programs leave in *.prom files",
    reads: "the directories of `--collector.textfile.directory`",
    since: "2.6",
    // The directories may lie on a mount that does not answer.
    pace: Pace::MayBlock,
    flags: &[Flag {
        name: DIRECTORY,
        takes: Takes::Many { placeholder: "PATH", default: "" },
        help: "Where *.prom files are; *, ? and [a-z] stand for more than one directory",
    }],
    families: &[&SCRAPE_ERROR, &MTIME],
    build: Textfile::build,
};

const DIRECTORY: &str = "collector.textfile.directory";

static SCRAPE_ERROR: Family = Family::gauge(
    "node_textfile_scrape_error",
    "1 if a directory or file could not be read or understood, or two files differ in a help text, else 0.",
);
static MTIME: Family = Family::gauge(
    "node_textfile_mtime_seconds",
    "When the file was last changed, in whole seconds since 1970; files that were refused have none.",
);

/// More than any file that is taken.
const LARGEST: u64 = 64 << 20;
/// A file changed so lately may change again within the same tick of the clock that stamps it.
const UNSETTLED: Duration = Duration::from_secs(2);

struct Textfile {
    directories: Vec<String>,
    /// What the files were when they were read last; as long as they stay so, what was made of them stands.
    stamps: Vec<(PathBuf, Stamp)>,
    is_settled: bool,
    made: Made,
    /// What was logged last: one line a cause, not one a scrape.
    logged: Vec<String>,
}

/// What tells that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp([i64; 4], [u64; 3]);

/// What was made of the files.
#[derive(Default)]
struct Made {
    mtimes: Vec<(Labels, u64)>,
    sections: Vec<Vec<u8>>,
    complaints: Vec<String>,
    /// Logged like complaints, but the reference does not call them an error of the collector's.
    notes: Vec<String>,
}

impl Textfile {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let directories = context.flags.many(DIRECTORY).filter(|path| !path.is_empty());
        Ok(Box::new(Self {
            directories: directories.map(str::to_owned).collect(),
            stamps: Vec::new(),
            is_settled: false,
            made: Made::default(),
            logged: Vec::new(),
        }))
    }

    /// The files as they are now, and what could not be listed.
    fn list(&self) -> (Vec<(PathBuf, Stamp)>, Vec<String>) {
        let (mut files, mut complaints) = (Vec::new(), Vec::new());
        for folder in self.directories.iter().flat_map(|pattern| glob::expand(pattern)) {
            match prom_files(&folder) {
                Ok(found) => files.extend(found),
                Err(error) => complaints.push(format!("{}: {error}", folder.display())),
            }
        }
        let stamp = |path: PathBuf| {
            let stamp =
                std::fs::metadata(&path).map_or(Stamp([0; 4], [0; 3]), |metadata| Stamp::of(&metadata));
            (path, stamp)
        };
        (files.into_iter().map(stamp).collect(), complaints)
    }
}

impl Collector for Textfile {
    fn is_foreign(&self) -> bool {
        true
    }

    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let (stamps, mut complaints) = self.list();
        if !self.is_settled || stamps != self.stamps {
            self.made = make(stamps.iter().map(|(path, _)| path.as_path()));
            self.is_settled = stamps.iter().all(|(_, stamp)| stamp.is_settled());
            self.stamps = stamps;
        }
        complaints.extend_from_slice(&self.made.complaints);
        page.family(&SCRAPE_ERROR).plain(!complaints.is_empty());
        let mut samples = page.family(&MTIME);
        for (labels, mtime) in &self.made.mtimes {
            samples.sample(labels, *mtime);
        }
        complaints.extend_from_slice(&self.made.notes);
        for section in &self.made.sections {
            if !page.section(section) {
                complaints.push("a family of a file has the name of one of the collector's own".to_owned());
            }
        }
        for complaint in complaints.iter().filter(|complaint| !self.logged.contains(complaint)) {
            tracing::warn!("textfile: {complaint}");
        }
        self.logged = complaints;
        Ok(())
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
        Self(times, [metadata.dev(), metadata.ino(), metadata.size()])
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let changed = self.0[0].max(self.0[2]);
        u64::try_from(changed).is_ok_and(|changed| now > Duration::from_secs(changed) + UNSETTLED)
    }
}

/// The `*.prom` of a directory, in the order of their names, under the paths that the labels have.
fn prom_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.file_name());
    }
    names.retain(|name| name.as_bytes().ends_with(b".prom"));
    names.sort_unstable();
    Ok(names.into_iter().map(|name| glob::clean(&folder.join(name))).collect())
}

fn make<'a>(files: impl Iterator<Item = &'a Path>) -> Made {
    let mut made = Made::default();
    let mut merged = Merged::default();
    for path in files {
        match read(path) {
            Ok((families, mtime)) => {
                for family in families {
                    let at = format!("{}: {}", path.display(), family.name);
                    match merged.add(family, path) {
                        Added::All => {}
                        Added::But(repeated) => {
                            made.notes.push(format!("{at}: {repeated} series are there already"));
                        }
                        Added::OtherHelp => made.complaints.push(format!("{at} has another help text")),
                        Added::OtherType => made.notes.push(format!("{at} has another type")),
                    }
                }
                made.mtimes.push((Labels::new([("file", path.as_os_str().as_bytes())]), mtime));
            }
            Err(why) => made.complaints.push(format!("{}: {why}", path.display())),
        }
    }
    made.mtimes.dedup_by(|one, other| one.0 == other.0);
    for name in merged.remove_clashes() {
        made.notes.push(format!("{name} is a part of another file's summary or histogram too"));
    }
    made.sections = merged.sections();
    made
}

/// A file's families and when it was changed.
fn read(path: &Path) -> Result<(Vec<FileFamily>, u64), String> {
    let read = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text)?;
        Ok((text, u64::try_from(metadata.mtime()).unwrap_or_default()))
    };
    let (text, mtime) = read().map_err(|error: io::Error| error.to_string())?;
    if text.len() as u64 == LARGEST {
        return Err(format!("is longer than {LARGEST} bytes"));
    }
    Ok((parse::parse(&text)?, mtime))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(collector: &mut Textfile) -> String {
        let mut page = Page::default();
        collector.collect(&mut page).expect("never fails");
        String::from_utf8(page.text().to_vec()).expect("a page is UTF-8")
    }

    #[test]
    fn files_are_read_anew_when_they_change() {
        let root = std::env::temp_dir().join(format!("nodetally-textfile-{}", std::process::id()));
        std::fs::create_dir_all(&root).expect("makes");
        let file = root.join("a.prom");
        let write = |text: &str| std::fs::write(&file, text).expect("writes");
        let mut collector = Textfile {
            directories: vec![root.display().to_string()],
            stamps: Vec::new(),
            is_settled: false,
            made: Made::default(),
            logged: Vec::new(),
        };
        write("x 1\n");
        assert!(page(&mut collector).contains("\nx 1\n"));
        write("x 2\n");
        let text = page(&mut collector);
        assert!(text.contains("\nx 2\n") && text.contains("node_textfile_scrape_error 0\n"), "{text}");
        // An old file is kept as it was made.
        File::options()
            .write(true)
            .open(&file)
            .expect("opens")
            .set_modified(SystemTime::UNIX_EPOCH)
            .expect("sets");
        assert!(page(&mut collector).contains("/a.prom\"} 0\n"));
        write("x 3");
        let text = page(&mut collector);
        assert!(
            !text.contains("\nx ") && !text.contains("a.prom") && text.contains("scrape_error 1\n"),
            "{text}"
        );
        assert!(collector.logged[0].contains("a.prom: line 1"), "{:?}", collector.logged);
        std::fs::remove_dir_all(&root).expect("removes");
        let text = page(&mut collector);
        assert!(text.ends_with("node_textfile_scrape_error 1\n"), "{text}");
    }

    #[test]
    fn a_file_changed_just_now_is_not_settled() {
        let path = std::env::temp_dir().join(format!("nodetally-stamp-{}", std::process::id()));
        std::fs::write(&path, "x").expect("writes");
        assert!(!Stamp::of(&std::fs::metadata(&path).expect("is there")).is_settled());
        std::fs::remove_file(&path).expect("removes");
        assert!(Stamp::of(&std::fs::metadata("/etc").expect("is there")).is_settled());
    }
}
