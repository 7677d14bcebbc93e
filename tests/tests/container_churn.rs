//! Births and deaths of containers by the thousand: no leak, no gap, no double row, nobody's name on another.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fs,
    process::Command,
    time::{Duration, Instant},
};

use tests::{
    cgroup::Cgroup,
    exporter::Exporter,
    live,
    page::Page,
    running::until,
    scripted::{Container, Daemon},
    temp::TempDir,
};

/// As many live at a time.
const ALIVE: usize = 200;
/// One birth of so many is of an id that was there before.
const AGAIN: usize = 10;
/// The dead go quickly, or their number, which follows the machine's load, would hide a leak.
const KEEP: &str = "--container.keep-dead=3s";
/// What an allocator keeps and gives back at its own will. A leak of one entry per birth takes more.
const SLACK: u64 = 3 << 19;

/// How many are born; set to 10000 it takes minutes.
fn births() -> usize {
    std::env::var("NODETALLY_CHURN").map_or(1_500, |text| text.parse().unwrap())
}

/// Who bore an id, and since when.
#[derive(Debug)]
struct Life {
    name: String,
    born: Instant,
}

struct Churn<'a> {
    parent: &'a Cgroup,
    daemon: Daemon,
    alive: VecDeque<(String, Cgroup)>,
    lives: HashMap<String, Vec<Life>>,
    free: Vec<String>,
    born: usize,
}

impl Churn<'_> {
    fn birth(&mut self) {
        let again = self.born % AGAIN == AGAIN - 1;
        let id = self.free.pop().filter(|_| again).unwrap_or_else(|| id(self.born));
        let name = format!("of-{}-{}", &id[..12], self.born);
        self.born += 1;
        let container = Container {
            name: name.clone(),
            pid: 1,
            network: "host".to_owned(),
            labels: vec![("of".to_owned(), id.clone())],
        };
        self.daemon.has(&id, container);
        let life = Life { name, born: Instant::now() };
        self.lives.entry(id.clone()).or_default().push(life);
        let group = self.parent.child(&id);
        assert!(group.start(&Command::new("true")).wait(Duration::from_mins(1)).unwrap().success());
        self.daemon.event("start", &id);
        self.alive.push_back((id, group));
        if self.alive.len() > ALIVE {
            self.death();
        }
    }

    fn death(&mut self) {
        let Some((id, group)) = self.alive.pop_front() else { return };
        self.daemon.event("die", &id);
        drop(group);
        self.daemon.lacks(&id);
        self.daemon.event("destroy", &id);
        self.free.push(id);
    }

    /// The ids below the parent on a page, each once and under its own name; `since`: when the scrape began.
    fn check(&self, page: &Page, since: Instant) -> BTreeSet<String> {
        let below = format!("{}/", self.parent.path());
        let ids = |family| {
            let mut ids = BTreeSet::new();
            for sample in page.matching(family, &[]) {
                let Some(id) = sample.labels["id"].strip_prefix(&below) else { continue };
                assert!(ids.insert(id.to_owned()), "{family} of {id} twice");
                let Some(name) = sample.labels.get("name") else { continue };
                assert_eq!(sample.labels["container_label_of"], id, "another's labels");
                let lives = &self.lives[id];
                let at = lives.iter().position(|life| life.name == *name);
                let at = at.unwrap_or_else(|| panic!("{id} bears {name}, {lives:?}"));
                // Until its death and the next birth were told it is the old one.
                let next = lives.get(at + 1).map(|next| since.saturating_duration_since(next.born));
                assert!(next.is_none_or(|old| old < Duration::from_secs(5)), "{id} still bears {name}");
            }
            ids
        };
        ids("container_cpu_usage_seconds_total");
        ids("container_last_seen")
    }

    fn directories(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.parent.dir("cpuacct")).unwrap().map(|entry| entry.unwrap());
        let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }
}

fn id(number: usize) -> String {
    // Spread, so that neighbours in time are none in the tree.
    let spread = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{spread:016x}{:048x}", number + 1)
}

/// An exporter that watches, and how much memory it had when a quarter was born.
struct Watching {
    exporter: Exporter,
    how: &'static str,
    slots: Option<f64>,
    early: u64,
}

impl Watching {
    fn start(how: &'static str, daemon: &Daemon, parent: &str) -> Self {
        let docker = format!("--docker=unix://{}", daemon.socket().display());
        let exporter =
            Exporter::start(&[how, &docker, KEEP, "--containerd=", "--podman=", "--scrape.share=0"]);
        let mut watching = Self { exporter, how, slots: None, early: 0 };
        let seen = || watching.page().value("container_last_seen", &[("id", parent)]).is_some();
        assert!(until(Duration::from_secs(10), seen), "{how}");
        watching.slots = slots(&watching.page());
        watching
    }

    fn page(&self) -> Page {
        self.exporter.page_of("/metrics?collect[]=container")
    }

    fn resident(&self) -> u64 {
        resident(self.exporter.process.pid())
    }

    /// How many are shown by name, if it shows those that have a directory and no other.
    fn agrees(&self, churn: &Churn<'_>) -> Option<usize> {
        let since = Instant::now();
        let page = self.page();
        let shown = churn.check(&page, since);
        let named = page.matching("container_last_seen", &[]).filter(|row| row.labels.contains_key("name"));
        (shown == churn.directories()).then(|| named.count())
    }

    fn comes_to_show(&self, number: usize, churn: &Churn<'_>) {
        let came = until(Duration::from_secs(20), || self.agrees(churn) == Some(number));
        assert!(came, "{}: {:?} are shown by name, and {number} live", self.how, self.agrees(churn));
    }
}

fn slots(page: &Page) -> Option<f64> {
    page.value("nodetally_ebpf_slots_used", &[])
}

#[test]
fn births_and_deaths_by_the_thousand() {
    if !live::root() {
        return;
    }
    let (births, folder) = (births(), TempDir::new("churn"));
    let by_hand = births > 5_000;
    let daemon = Daemon::start(&folder.path().join("docker.sock"));
    let parent = Cgroup::new("churn");
    let mut watching =
        ["--ebpf=require", "--ebpf=off"].map(|how| Watching::start(how, &daemon, parent.path()));
    assert_eq!(watching.each_ref().map(|one| one.slots.is_some()), [true, false]);

    let mut churn = Churn {
        parent: &parent,
        daemon,
        alive: VecDeque::new(),
        lives: HashMap::new(),
        free: Vec::new(),
        born: 0,
    };
    let begun = Instant::now();
    let mut early_births = 0;
    while churn.born < births {
        for _ in 0..25 {
            churn.birth();
        }
        if by_hand {
            // In ten minutes, as on a busy host.
            let due = Duration::from_mins(10).mul_f64(churn.born as f64 / births as f64);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
        for one in &watching {
            let since = Instant::now();
            churn.check(&one.page(), since);
        }
        if early_births == 0 && churn.born >= births / 4 {
            early_births = churn.born;
            for one in &mut watching {
                one.early = one.resident();
            }
        }
    }
    let took = begun.elapsed();
    let late = watching.each_ref().map(Watching::resident);
    for one in &watching {
        one.comes_to_show(ALIVE, &churn);
    }
    let (lists, looks) = churn.daemon.asked();
    while !churn.alive.is_empty() {
        churn.death();
    }
    for one in &watching {
        one.comes_to_show(0, &churn);
    }

    let back = |one: &Watching| {
        let now = slots(&one.page());
        now.zip(one.slots).is_none_or(|(now, before)| now <= before + 4.0)
    };
    eprintln!("{births} births in {took:.0?}, of two exporters {lists} lists and {looks} looks");
    for (one, late) in watching.iter().zip(late) {
        let is_back = until(Duration::from_secs(10), || back(one));
        let page = one.page();
        let (before, after) = (one.slots, slots(&page));
        let lost = page.value("nodetally_ebpf_events_lost_total", &[]);
        eprintln!(
            "{}: {} bytes resident after {early_births} births, {late} at the end; slots {before:?} before, \
             {after:?} after; events lost {lost:?}",
            one.how, one.early
        );
        assert!(is_back, "{}: {before:?} slots before, {after:?} after", one.how);
        let most = one.early + SLACK;
        assert!(
            late <= most,
            "{}: {late} bytes resident, {} after {early_births} births",
            one.how,
            one.early
        );
    }
    assert!(looks <= births * 10, "{looks} looks at {births} containers by two");
}

/// Memory of a process' own, in bytes.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}
