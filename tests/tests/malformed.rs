//! A malformed file makes its own collector fail and nothing else: every file of the fixtures that a collector opens is
//! replaced by garbage of many kinds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod node_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::FileExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use exporter::{
    collector::{Collector, Descriptor},
    config::Paths,
    metric::Page,
    node,
};
use node_support::{build, opened::Opened, pack, paths};
use tests::{exporter::Exporter, pack::copy_with_links, page, temp::TempDir};

/// Flags that have more files read, and none of this machine's own.
const FLAGS: &[&str] = &[
    "--collector.bcache.priorityStats",
    "--collector.cpu.info",
    "--collector.netclass.ignore-invalid-speed",
    "--no-collector.netdev.netlink",
    "--collector.netdev.label-ifalias",
    "--collector.stat.softirq",
    "--collector.sysctl.include=fs.file-nr:open,spare,most",
    "--collector.sysctl.include=kernel.threads-max",
    "--collector.sysctl.include-info=kernel.seccomp.actions_avail",
    "--collector.sysctl.include-info=kernel.ostype",
    "--collector.pcidevice.names",
    "--no-collector.arp.netlink",
];
/// They tell of real mounts, of real processors, of the files' own times, of the time.
const RESTLESS: &[&str] = &["filesystem", "perf", "textfile", "time"];
/// They keep what they have learnt: counters that must not fall, what never changes while the machine runs.
const REMEMBER: &[&str] = &["cpu", "dmi", "hwmon", "pcidevice"];

/// Collectors whose files are garbled at once: one of so many.
const BATCHES: usize = 12;

/// What a file is replaced by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Garbage {
    Empty,
    Cut,
    NotUtf8,
    Huge,
    HugeNumbers,
    Negative,
    LongLine,
    Nul,
    Twice,
    Missing,
    Directory,
}

const ALL: [Garbage; 11] = [
    Garbage::Empty,
    Garbage::Cut,
    Garbage::NotUtf8,
    Garbage::Huge,
    Garbage::HugeNumbers,
    Garbage::Negative,
    Garbage::LongLine,
    Garbage::Nul,
    Garbage::Twice,
    Garbage::Missing,
    Garbage::Directory,
];

impl Garbage {
    /// In place, as the kernel's files change, so that a file kept open shows it as well.
    fn put(self, file: &Path, good: &[u8]) {
        let huge = format!("1{}", "0".repeat(40));
        let contents = match self {
            Self::Empty => Vec::new(),
            Self::Cut => good[..good.len() / 2].to_vec(),
            Self::NotUtf8 => {
                good.iter().map(|byte| if byte.is_ascii_alphabetic() { 0xff } else { *byte }).collect()
            }
            Self::Huge => huge.into_bytes(),
            Self::HugeNumbers => numbers_replaced(good, huge.as_bytes()),
            Self::Negative => numbers_replaced(good, b"-1"),
            Self::LongLine => vec![b'7'; 1 << 20],
            Self::Nul => vec![0; 5000],
            Self::Twice => {
                good.split_inclusive(|byte| *byte == b'\n').flat_map(|line| [line, line].concat()).collect()
            }
            Self::Missing => return fs::remove_file(file).unwrap(),
            Self::Directory => {
                fs::remove_file(file).unwrap();
                return fs::create_dir(file).unwrap();
            }
        };
        write(file, &contents);
    }

    fn take_away(self, file: &Path, good: &[u8]) {
        if self == Self::Directory {
            fs::remove_dir(file).unwrap();
        }
        write(file, good);
    }

    /// A kept file does not see that its path has another one, which the kernel's files never do.
    fn takes_the_path(self) -> bool {
        matches!(self, Self::Missing | Self::Directory)
    }
}

/// Without cutting the file to nothing first, which makes some file systems wait for the disk.
fn write(file: &Path, contents: &[u8]) {
    let open = fs::OpenOptions::new().write(true).create(true).truncate(false).open(file).unwrap();
    open.write_all_at(contents, 0).unwrap();
    open.set_len(contents.len() as u64).unwrap();
}

fn numbers_replaced(text: &[u8], by: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut within = false;
    for &byte in text {
        if byte.is_ascii_digit() {
            if !within {
                replaced.extend_from_slice(by);
            }
            within = true;
        } else {
            replaced.push(byte);
            within = false;
        }
    }
    replaced
}

/// Fixtures that a test may change, and who reads what of them.
struct Root {
    folder: TempDir,
    flags: Vec<String>,
    /// The files by collector; only those that read any.
    reads: BTreeMap<&'static str, Vec<PathBuf>>,
    good: BTreeMap<PathBuf, Vec<u8>>,
}

impl Root {
    fn new(fixtures: &Path) -> Self {
        let folder = TempDir::new("malformed");
        copy_with_links(fixtures, folder.path());
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        let at = |place: &str| folder.path().join(place).to_str().unwrap().to_owned();
        flags.push(format!("--collector.textfile.directory={}", at("textfile/two_metric_files")));
        flags.push(format!("--collector.pcidevice.idsfile={}", at("pci.ids")));
        let mut root = Self { folder, flags, reads: BTreeMap::new(), good: BTreeMap::new() };
        let mut opened = Opened::watch(root.folder.path());
        for known in node::COLLECTORS {
            let _ = collect(known, &mut root.build(known));
            let files = opened.take();
            if !files.is_empty() {
                root.good.extend(files.iter().map(|file| (file.clone(), fs::read(file).unwrap())));
                opened.take();
                root.reads.insert(known.name, files.into_iter().collect());
            }
        }
        root
    }

    fn paths(&self) -> Paths {
        let at = |place: &str| self.folder.path().join(place);
        paths(at("proc"), at("sys"), self.folder.path().to_str().unwrap(), at("udev/data"))
    }

    fn build(&self, known: &Descriptor) -> Box<dyn Collector> {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        build(&self.paths(), &[known.name], &flags).remove(0)
    }

    /// Every collector on, in a process of its own.
    fn start(&self) -> Exporter {
        let at = |place: &str| self.folder.path().join(place).display().to_string();
        let mut flags = self.flags.clone();
        flags.extend(node::COLLECTORS.iter().map(|known| format!("--collector.{}", known.name)));
        flags.push(format!("--path.procfs={}", at("proc")));
        flags.push(format!("--path.sysfs={}", at("sys")));
        flags.push(format!("--path.udev.data={}", at("udev/data")));
        flags.push(format!("--path.rootfs={}", self.folder.path().display()));
        flags.extend(["--ebpf=off", "--no-container", "--docker=", "--scrape.share=0"].map(str::to_owned));
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Exporter::start(&flags)
    }
}

/// One scrape of one collector; the page must be sound and hold nothing undeclared, whatever the files hold.
fn collect(known: &Descriptor, collector: &mut Box<dyn Collector>) -> Result<Vec<String>, String> {
    let mut page = Page::default();
    let outcome = collector.collect(&mut page);
    if !page.text().is_empty() {
        let text = str::from_utf8(page.text()).expect("a page is UTF-8");
        for family in page::Page::parse(text).types.keys() {
            let is_declared = known.families.iter().any(|declared| declared.covers(family));
            assert!(is_declared || known.name == "textfile", "{family} is not declared by {}", known.name);
        }
    }
    let mut lines: Vec<_> = String::from_utf8_lossy(page.text()).lines().map(str::to_owned).collect();
    lines.sort_unstable();
    outcome.map(|()| lines).map_err(|failure| failure.to_string())
}

/// Every file by itself, for the collectors that read it. Files whose paths differ in numbers alone are alike. Gives the
/// number of files and of failures.
fn one_file_at_a_time(root: &Root) -> (usize, usize) {
    let (mut count, mut failures) = (0, 0);
    let mut problems = Vec::new();
    for known in node::COLLECTORS {
        let mut shapes = BTreeSet::new();
        let is_steady = ![RESTLESS, REMEMBER].concat().contains(&known.name);
        for file in root.reads.get(known.name).into_iter().flatten() {
            if !shapes.insert(numbers_replaced(file.as_os_str().as_encoded_bytes(), b"#")) {
                continue;
            }
            count += 1;
            let place = format!("{}, {}", known.name, file.display());
            let good = &root.good[file];
            let mut kept = root.build(known);
            let before = collect(known, &mut kept);
            for garbage in ALL {
                garbage.put(file, good);
                let mut anew = garbage.takes_the_path().then(|| root.build(known));
                let used = anew.as_mut().unwrap_or(&mut kept);
                match catch_unwind(AssertUnwindSafe(|| collect(known, used))) {
                    Ok(outcome) => failures += usize::from(outcome.is_err()),
                    Err(_) => problems.push(format!("{place}, {garbage:?}: see above")),
                }
                garbage.take_away(file, good);
                if is_steady && !garbage.takes_the_path() && collect(known, &mut kept) != before {
                    problems.push(format!("{place}, {garbage:?}: not as it was afterwards"));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    (count, failures)
}

/// What a page says of the collectors that read files: whether each succeeded, and its samples. Those of the restless
/// ones are left out.
fn outcomes(root: &Root, page: &page::Page) -> BTreeMap<&'static str, (bool, Vec<String>)> {
    let outcome = |known: &&&'static Descriptor| {
        let label = [("collector", known.name)];
        let succeeded = page.value("node_scrape_collector_success", &label).expect("is told") > 0.0;
        let is_own = |sample: &&page::Sample| {
            // Where `cpu` fails, `cpufreq` gives this one.
            let is_shared = sample.name == "node_cpu_frequency_hertz";
            let is_declared = known.families.iter().any(|family| family.covers(&sample.name));
            is_declared && !is_shared && !RESTLESS.contains(&known.name)
        };
        let samples = page.samples.iter().filter(is_own).map(|sample| format!("{sample:?}")).collect();
        (known.name, (succeeded, samples))
    };
    node::COLLECTORS
        .iter()
        .filter(|known| root.reads.contains_key(known.name))
        .map(|known| outcome(&known))
        .collect()
}

/// All files of a batch of collectors at once, in a running exporter: the other collectors are as they were.
fn batch_by_batch(root: &Root) {
    let exporter = root.start();
    let before = outcomes(root, &exporter.page());
    assert!(
        before.values().filter(|(succeeded, _)| *succeeded).count() * 4 > before.len() * 3,
        "{before:#?}"
    );
    let names: Vec<&str> = root.reads.keys().copied().collect();
    // (Those that take a file's path stand last: a kept file does not see what comes after.)
    for garbage in ALL {
        for batch in 0..BATCHES {
            let chosen =
                || names.iter().enumerate().filter(|(at, _)| at % BATCHES == batch).map(|(_, name)| *name);
            let files: BTreeSet<&PathBuf> = chosen().flat_map(|name| &root.reads[name]).collect();
            for file in &files {
                garbage.put(file, &root.good[*file]);
            }
            let after = outcomes(root, &exporter.page());
            for file in &files {
                garbage.take_away(file, &root.good[*file]);
            }
            for (name, outcome) in &before {
                // A folder in a file's place may be taken for one more device by those who list the folder above.
                let lists_it = |file: &PathBuf| {
                    garbage == Garbage::Directory
                        && files.iter().any(|other| file.starts_with(other.parent().unwrap()))
                };
                let reads_them = root.reads[name].iter().any(|file| files.contains(file) || lists_it(file));
                assert!(
                    reads_them || after[name] == *outcome,
                    "{name}, {garbage:?} in files of {:?}",
                    chosen().collect::<Vec<_>>()
                );
            }
        }
    }
    let after = outcomes(root, &exporter.page());
    for (name, outcome) in before.iter().filter(|(name, _)| !REMEMBER.contains(name)) {
        assert_eq!(after[name], *outcome, "{name} has not come back");
    }
    assert!(!exporter.process.said().contains("panicked"), "{}", exporter.process.said());
}

#[test]
fn each_file_by_itself_does_no_harm() {
    let root = Root::new(&own());
    let (files, failures) = one_file_at_a_time(&root);
    assert!(files >= 45 && failures >= 200, "{files} files and {failures} failures mean little");
}

#[test]
fn each_file_of_the_pack_by_itself_does_no_harm() {
    let Some(pack) = pack() else { return };
    let root = Root::new(&pack.join("fixtures"));
    let (files, failures) = one_file_at_a_time(&root);
    assert!(files >= 600 && failures >= 3000, "{files} files and {failures} failures mean little");
}

#[test]
fn the_others_are_as_they_were() {
    batch_by_batch(&Root::new(&own()));
}

#[test]
fn the_others_are_as_they_were_on_the_pack() {
    let Some(pack) = pack() else { return };
    batch_by_batch(&Root::new(&pack.join("fixtures")));
}

/// Collectors that read no file below a root of their own; the fuzz targets of these names have what they parse.
const FUZZED_ELSEWHERE: &[(&str, &str)] = &[
    ("ethtool", "services"),
    ("logind", "dbus"),
    ("network_route", "netlink"),
    ("ntp", "services"),
    ("perf", "dbus"),
    ("qdisc", "netlink"),
    ("runit", "services"),
    ("supervisord", "services"),
    ("systemd", "dbus"),
    ("tcpstat", "netlink"),
    ("wifi", "netlink"),
];
/// They ask by system calls, whose answers need no parser; selinux has one word of a file, in its unit tests.
const NOT_FUZZED: &[&str] = &["selinux", "timex", "uname"];

#[test]
fn each_collector_has_a_fuzz_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let files = fs::read_dir(fuzz.join("src/cases")).unwrap().map(|file| file.unwrap().path());
    let cases: String = files.map(|file| fs::read_to_string(file).unwrap()).collect();
    let (lists, _): (Vec<_>, Vec<_>) = cases.lines().partition(|line| line.contains("collectors: &["));
    for known in node::COLLECTORS {
        let elsewhere = FUZZED_ELSEWHERE.iter().find(|(name, _)| *name == known.name);
        let target = elsewhere.map(|(_, target)| fuzz.join(format!("fuzz_targets/{target}.rs")));
        let is_fuzzed = lists.iter().any(|line| line.contains(&format!("\"{}\"", known.name)))
            || target.is_some_and(|target| target.is_file());
        assert!(is_fuzzed != NOT_FUZZED.contains(&known.name), "{}: see fuzz/src/cases", known.name);
    }
}

/// Our own fixtures.
fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/node")
}
