//! What the fuzz targets share. Most parsers are private to their collector, so a target feeds a collector files: all of
//! them good but those that the input replaces.
//!
//! An input's first byte chooses a case of the target's table; behind it the files' contents stand in the order of the
//! table, parted by [`PART`]. A part that is missing leaves its file as it is, the part [`GONE`] takes it away.

pub mod cases;

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use exporter::{
    collector::{Collector, Context, Descriptor},
    config::{Asked, FlagValues, Paths, parse},
    metric::Page,
    node,
};

/// Parts the files in an input.
pub const PART: u8 = 0x1e;
/// As a whole part: the file is not there.
pub const GONE: &[u8] = b"\x7f";
/// Contents that begin so stand for a link; an input changes no link.
const LINK: &[u8] = b"-> ";
/// In a flag: where the case's folder is.
const ROOT: &str = "{root}";

/// Collectors and the files that they read.
#[derive(Debug)]
pub struct Case {
    /// Names of collectors.
    pub collectors: &'static [&'static str],
    /// Their flags; `{root}` is the folder of the files.
    pub flags: &'static [&'static str],
    /// Paths below the root and good contents; `None` for what `tests/fixtures/node` has there.
    pub files: &'static [(&'static str, Option<&'static str>)],
    /// Whether the same files give the same page, whatever they held before.
    pub forgets: bool,
}

/// A case whose files lie on a disk in memory.
struct Arena {
    case: &'static Case,
    root: PathBuf,
    good: Vec<Vec<u8>>,
    flags: FlagValues,
    page: Vec<String>,
}

/// Runs one input against the target's cases.
pub fn run(name: &str, cases: &'static [&'static Case], input: &[u8]) {
    static ARENAS: Mutex<Vec<Arena>> = Mutex::new(Vec::new());
    let mut arenas = ARENAS.lock().unwrap_or_else(PoisonError::into_inner);
    if arenas.is_empty() {
        let folder = folder(name);
        *arenas = cases
            .iter()
            .enumerate()
            .map(|(at, case)| Arena::new(case, folder.join(at.to_string())))
            .collect();
    }
    let Some((&first, parts)) = input.split_first() else { return };
    let at = usize::from(first) % arenas.len();
    arenas[at].run(parts);
}

/// The input that leaves every file of the case good.
pub fn seed(at: usize, case: &Case) -> Vec<u8> {
    let parts: Vec<_> = case.files.iter().map(|file| contents(file)).collect();
    [&[u8::try_from(at).expect("few cases")][..], &parts.join(&PART)].concat()
}

impl Arena {
    fn new(case: &'static Case, root: PathBuf) -> Self {
        for folder in ["proc/self", "sys", "udev/data"] {
            fs::create_dir_all(root.join(folder)).expect("the disk in memory takes a folder");
        }
        let place = root.to_str().expect("a path of ours");
        let flags = case.flags.iter().map(|flag| flag.replace(ROOT, place));
        let Ok(Asked::Run(flags)) = parse(flags) else { panic!("{:?}: refused", case.flags) };
        let good: Vec<_> = case.files.iter().map(contents).collect();
        let mut arena = Self { case, root, good, flags, page: Vec::new() };
        (0..arena.good.len()).for_each(|at| arena.restore(at));
        let page = collect(&mut arena.build());
        arena.page = page.unwrap_or_else(|failure| panic!("good files, and yet {failure}"));
        arena
    }

    fn run(&self, input: &[u8]) {
        let mut changed = Vec::new();
        let mut is_gone = false;
        for (at, part) in input.split(|byte| *byte == PART).enumerate().take(self.good.len()) {
            if self.good[at].starts_with(LINK) {
                continue;
            }
            if part == GONE {
                is_gone = true;
                changed.push(at);
                fs::remove_file(self.path(at)).expect("removes");
            } else if part != self.good[at] {
                changed.push(at);
                fs::write(self.path(at), part).expect("writes");
            }
        }
        let mut collectors = self.build();
        // Twice, since a scrape builds on what the one before has learnt.
        let _ = collect(&mut collectors);
        let _ = collect(&mut collectors);
        changed.into_iter().for_each(|at| self.restore(at));
        let again = collect(&mut collectors);
        // A kept file does not see that another one has taken its path, which the kernel's files never do.
        if self.case.forgets && !is_gone {
            assert_eq!(again.as_ref(), Ok(&self.page));
        }
    }

    fn build(&self) -> Vec<(&'static Descriptor, Box<dyn Collector>)> {
        let at = |folder: &str| self.root.join(folder);
        let paths = Paths {
            procfs: at("proc"),
            sysfs: at("sys"),
            rootfs: self.root.clone(),
            udev_data: at("udev/data"),
        };
        let context = Context { paths: &paths, flags: &self.flags };
        let find =
            |name: &&str| *node::COLLECTORS.iter().find(|known| known.name == *name).expect("is a collector");
        let build =
            |descriptor: &'static Descriptor| (descriptor, (descriptor.build)(&context).expect("builds"));
        self.case.collectors.iter().map(find).map(build).collect()
    }

    fn path(&self, at: usize) -> PathBuf {
        self.root.join(self.case.files[at].0)
    }

    fn restore(&self, at: usize) {
        let path = self.path(at);
        fs::create_dir_all(path.parent().expect("has a folder")).expect("makes a folder");
        match self.good[at].strip_prefix(LINK) {
            Some(target) => std::os::unix::fs::symlink(OsStr::from_bytes(target), path).expect("links"),
            None => fs::write(path, &self.good[at]).expect("writes"),
        }
    }
}

/// One scrape: the lines of the page, which must be well formed and hold nothing that is not declared, sorted; or why a
/// collector failed.
fn collect(collectors: &mut [(&'static Descriptor, Box<dyn Collector>)]) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    let mut failures = String::new();
    for (descriptor, collector) in collectors {
        let mut page = Page::default();
        if let Err(failure) = collector.collect(&mut page) {
            failures.push_str(&failure.to_string());
        }
        // The families of a text file are its own.
        let is_declared = |family: &str| descriptor.families.iter().any(|known| known.covers(family));
        check(page.text(), |family| is_declared(family) || descriptor.name == "textfile");
        lines.extend(String::from_utf8_lossy(page.text()).lines().map(str::to_owned));
    }
    lines.sort_unstable();
    if failures.is_empty() { Ok(lines) } else { Err(failures) }
}

/// Panics unless the page is well formed and each of its families is expected.
pub fn check(page: &[u8], is_expected: impl Fn(&str) -> bool) {
    if page.is_empty() {
        return;
    }
    let text = str::from_utf8(page).expect("a page is UTF-8");
    let parsed = tests::page::Page::parse(text);
    for family in parsed.types.keys() {
        assert!(is_expected(family), "{family} is not declared");
    }
}

fn contents((path, contents): &(&str, Option<&str>)) -> Vec<u8> {
    contents.map_or_else(
        || {
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/node");
            fs::read(fixtures.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
        },
        |text| text.as_bytes().to_vec(),
    )
}

/// A folder of this process' own; what ended ones have left is taken away.
fn folder(name: &str) -> PathBuf {
    let all = Path::new("/dev/shm/nodetally-fuzz");
    for left in fs::read_dir(all).into_iter().flatten().flatten() {
        let process = left.file_name().into_string().unwrap_or_default();
        let process = process.rsplit('-').next().unwrap_or_default();
        if !Path::new("/proc").join(process).exists() {
            let _ = fs::remove_dir_all(left.path());
        }
    }
    all.join(format!("{name}-{}", std::process::id()))
}
