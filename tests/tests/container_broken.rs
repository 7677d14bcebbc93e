//! A container whose files cannot be read, or hold nonsense, costs its own rows: the others keep theirs, to the digit.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance_support;
mod container_support;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use conformance_support::trees::{self, ID, PATH, PID};
use container_support::{Half, settings, tree::Tree};
use exporter::config::ContainerSettings;
use tests::{page::Page, scripted::Scripted};

const BROKEN: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";
const BROKEN_PID: u32 = 4_999_998;
const CONTAINERS: &[(&str, &str, u32)] = &[(ID, "whole", PID), (BROKEN, "broken", BROKEN_PID)];

/// A tree with a whole container and one to break.
struct Scene {
    tree: Tree,
    _engine: Scripted,
}

impl Scene {
    fn new(tree: Tree) -> Self {
        trees::add_twin(&tree, BROKEN, BROKEN_PID);
        let engine = trees::engine(&tree.path().join("docker.sock"), CONTAINERS);
        Self { tree, _engine: engine }
    }

    fn half(&self) -> Half {
        let socket = Some(self.tree.path().join("docker.sock"));
        let mut half = self.tree.half(&ContainerSettings { docker_socket: socket, ..settings() }, None);
        for (_, name, _) in CONTAINERS {
            assert!(half.comes("container_last_seen", &[("name", name)]), "{name}");
        }
        assert!(half.comes("container_network_receive_bytes_total", &[("name", "whole")]));
        half
    }

    /// The files of the container that is broken: its cgroup's, and its process'.
    fn files(&self) -> Vec<PathBuf> {
        let layout = &self.tree.layout;
        let hierarchies = layout.hierarchies.iter().chain(layout.beside.iter().map(|(_, one)| one));
        let mut folders: Vec<_> = hierarchies.map(|one| one.mount.join("docker").join(BROKEN)).collect();
        let process = self.tree.path().join(format!("proc/{BROKEN_PID}"));
        folders.extend([process.clone(), process.join("net"), process.join(format!("task/{BROKEN_PID}"))]);
        let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().map(Result::unwrap));
        let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        files.sort();
        assert!(files.len() > 20, "{files:?}");
        files
    }
}

/// By family and labels, the values; when it was seen last is another in each scrape.
type Rows = BTreeMap<(String, BTreeMap<String, String>), String>;

fn rows_of(page: &Page, path: &str) -> Rows {
    let of_it = page.samples.iter().filter(|row| row.labels.get("id").is_some_and(|id| id == path));
    let rows = of_it.map(|row| {
        let value = if row.name == "container_last_seen" { String::new() } else { row.value.to_string() };
        ((row.name.clone(), row.labels.clone()), value)
    });
    rows.collect()
}

/// What holds of every page, whatever the one container does.
#[track_caller]
fn check(page: &Page, whole: &Rows, what: &str) {
    assert_eq!(page.value("container_scrape_error", &[]), Some(0.0), "{what}");
    assert_eq!(page.value("machine_scrape_error", &[]), Some(0.0), "{what}");
    let now = rows_of(page, PATH);
    for (row, value) in whole {
        assert_eq!(now.get(row), Some(value), "{what}: {row:?}");
    }
    assert_eq!(now.len(), whole.len(), "{what}");
    let broken = format!("/docker/{BROKEN}");
    for row in page.samples.iter().filter(|row| row.labels.get("id") == Some(&broken)) {
        let is_counter = page.types.get(&row.name).is_some_and(|kind| kind == "counter");
        assert!(row.value.is_finite() && (!is_counter || row.value >= 0.0), "{what}: {row:?}");
    }
}

/// What a file may come to hold.
fn nonsense(whole: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = String::from_utf8_lossy(whole).into_owned();
    let numbers = |by: &str| {
        let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        let lines = text.lines().map(|line| {
            let words: Vec<_> = line.split(' ').map(|word| if is_number(word) { by } else { word }).collect();
            words.join(" ") + "\n"
        });
        lines.collect::<String>().into_bytes()
    };
    vec![
        ("empty", Vec::new()),
        ("a line's end", b"\n".to_vec()),
        ("half", whole[..whole.len() / 2].to_vec()),
        ("a third and garbage", [&whole[..whole.len() / 3], b"\xff\xfe\0"].concat()),
        ("garbage", vec![0xff; 300]),
        ("nulls", vec![0; 5_000]),
        ("no number", b"max\n".to_vec()),
        ("negative", numbers("-1")),
        ("beyond 64 bits", numbers("99999999999999999999999999")),
        ("the largest", numbers("18446744073709551615")),
        ("beyond 63 bits", numbers("9223372036854775808")),
        ("fractions", numbers("1.5e300")),
        ("keys alone", text.split(' ').next().unwrap_or_default().into()),
        ("spaces", b"     \t    \n   :   \n".to_vec()),
        ("everything twice", [whole, whole].concat()),
        ("one long line", b"8".repeat(5 << 20)),
        ("many lines", b"8:8 Read 8\n8:9 Write 9\n".repeat(10_000)),
    ]
}

fn nonsense_costs_its_own_rows(tree: Tree) {
    let scene = Scene::new(tree);
    let mut half = scene.half();
    let before = half.page();
    let (whole, own) = (rows_of(&before, PATH), rows_of(&before, &format!("/docker/{BROKEN}")));
    assert!(whole.len() > 20 && own.len() == whole.len(), "{} and {} rows", whole.len(), own.len());
    for file in scene.files() {
        let good = fs::read(&file).unwrap();
        for (kind, content) in nonsense(&good) {
            fs::write(&file, content).unwrap();
            check(&half.page(), &whole, &format!("{}: {kind}", file.display()));
        }
        fs::write(&file, good).unwrap();
    }
    let keys = |rows: &Rows| rows.keys().cloned().collect::<Vec<_>>();
    let healed = tests::running::until(std::time::Duration::from_secs(10), || {
        keys(&rows_of(&half.page(), &format!("/docker/{BROKEN}"))) == keys(&own)
    });
    assert!(healed, "its rows come again");
}

#[test]
fn nonsense_of_version_1_costs_its_own_rows() {
    nonsense_costs_its_own_rows(trees::v1());
}

#[test]
fn nonsense_of_version_2_costs_its_own_rows() {
    nonsense_costs_its_own_rows(trees::v2());
}

type Fail = fn(&Path);

/// Ways in which a file cannot be opened or read.
const FAILURES: &[(&str, Fail)] = &[
    ("a folder (EISDIR)", |path| fs::create_dir(path).unwrap()),
    ("a link to itself (ELOOP)", |path| symlink(path, path).unwrap()),
    ("no memory there (EIO)", |path| symlink("/proc/self/mem", path).unwrap()),
    ("none (ENOENT)", |_| ()),
];

fn failures_cost_its_own_rows(tree: fn() -> Tree) {
    let whole = rows_of(&Scene::new(tree()).half().page(), PATH);
    for (kind, fail) in FAILURES {
        let scene = Scene::new(tree());
        for file in scene.files() {
            fs::remove_file(&file).unwrap();
            fail(&file);
        }
        let mut half = scene.half();
        for _ in 0..3 {
            check(&half.page(), &whole, &format!("all: {kind}"));
        }
    }
    // One at a time, the other figures of the same container stay.
    let scene = Scene::new(tree());
    for file in scene.files() {
        let good = fs::read(&file).unwrap();
        for (kind, fail) in FAILURES {
            let _ = fs::remove_file(&file);
            fail(&file);
            let mut half = scene.tree.half(&settings(), None);
            let page = half.page();
            assert_eq!(page.value("container_scrape_error", &[]), Some(0.0), "{}: {kind}", file.display());
            let shown = rows_of(&page, &format!("/docker/{BROKEN}"));
            assert!(shown.len() >= 5, "{}: {kind}: {} rows are left", file.display(), shown.len());
            let _ = fs::remove_dir(&file);
        }
        let _ = fs::remove_file(&file);
        fs::write(&file, good).unwrap();
    }
}

#[test]
fn failures_of_version_1_cost_its_own_rows() {
    failures_cost_its_own_rows(trees::v1);
}

#[test]
fn failures_of_version_2_cost_its_own_rows() {
    failures_cost_its_own_rows(trees::v2);
}

/// The machine's own files: what is told of containers does not end with them.
#[test]
fn nonsense_in_the_machine_s_files_ends_no_page() {
    let scene = Scene::new(trees::machine_with_container());
    let mut half = scene.half();
    let mut files = Vec::new();
    collect(&scene.tree.path().join("proc"), &mut files);
    collect(&scene.tree.path().join("sys"), &mut files);
    let is_another_of_its_kind = |file: &PathBuf| {
        let text = file.to_string_lossy();
        ["cpu", "dimm", "mc", "node"].iter().any(|kind| {
            { text.split(kind).skip(1) }.any(|rest| rest.starts_with(|c| ('1'..='9').contains(&c)))
        })
    };
    let whole = scene.tree.path().join(format!("proc/{PID}"));
    files.retain(|file| !file.starts_with(&whole) && !is_another_of_its_kind(file));
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let good = fs::read(&file).unwrap();
        for (kind, content) in nonsense(&good) {
            fs::write(&file, content).unwrap();
            let page = half.page();
            let what = format!("{}: {kind}", file.display());
            assert_eq!(page.value("container_scrape_error", &[]), Some(0.0), "{what}");
            assert!(page.value("container_memory_usage_bytes", &[("name", "whole")]).is_some(), "{what}");
        }
        fs::write(&file, good).unwrap();
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(&entry.path(), files);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
}

/// Families that are no reading of a moment, beside those that begin with `container_spec_`.
const UNTIMED: [&str; 5] = [
    "container_last_seen",
    "container_creation_time_seconds",
    "container_start_time_seconds",
    "container_health_state",
    "container_scrape_error",
];

#[test]
fn times_stand_at_what_was_read_and_only_if_they_are_asked_for() {
    for tree in [trees::v1(), trees::v2()] {
        let scene = Scene::new(tree);
        let page = scene.half().page();
        assert!(page.samples.iter().all(|row| row.timestamp.is_none()), "no time unless it is asked for");
        let socket = Some(scene.tree.path().join("docker.sock"));
        let timed = ContainerSettings { docker_socket: socket, timestamps: true, ..settings() };
        let mut half = scene.tree.half(&timed, None);
        assert!(half.comes("container_network_receive_bytes_total", &[("name", "whole")]));
        let page = half.page();
        for row in &page.samples {
            let is_read = row.name.starts_with("container_")
                && !row.name.starts_with("container_spec_")
                && !UNTIMED.contains(&row.name.as_str());
            assert_eq!(row.timestamp.is_some(), is_read, "{row:?}");
        }
        let times: std::collections::BTreeSet<_> =
            page.samples.iter().filter_map(|row| row.timestamp).collect();
        assert_eq!(times.len(), 1, "all were read in one scrape");
    }
}
