#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::*;
use crate::{
    config::{Asked, Paths, parse},
    node::sysfs_test::Root,
};

/// A CPU, and what was to be counted there together.
type Opening = (u32, Vec<Event>);

/// A machine whose CPUs all count the same: each event one more at each read.
#[derive(Clone, Default)]
struct Machine {
    /// How often each CPU has come; a counter opened before that stands still.
    lives: Arc<Mutex<BTreeMap<u32, u64>>>,
    opened: Arc<Mutex<Vec<Opening>>>,
    refuses: Option<(Event, rustix::io::Errno)>,
    dead: Option<Event>,
}

struct Counter {
    machine: Machine,
    cpu: u32,
    life: u64,
    events: u64,
    reads: u64,
}

impl Machine {
    fn life(&self, cpu: u32) -> u64 {
        self.lives.lock().unwrap().get(&cpu).copied().unwrap_or(0)
    }

    fn reborn(&self, cpu: u32) {
        *self.lives.lock().unwrap().entry(cpu).or_default() += 1;
    }

    fn opened(&self) -> Vec<Opening> {
        std::mem::take(&mut self.opened.lock().unwrap())
    }
}

impl Counters for Machine {
    fn count(&mut self, cpu: u32, events: &[Event]) -> io::Result<Box<dyn Counting>> {
        if let Some((event, errno)) = self.refuses
            && events.contains(&event)
        {
            return Err(errno.into());
        }
        self.opened.lock().unwrap().push((cpu, events.to_vec()));
        let life = if self.dead == events.first().copied() { u64::MAX } else { self.life(cpu) };
        let events = u64::try_from(events.len()).unwrap();
        Ok(Box::new(Counter { machine: self.clone(), cpu, life, events, reads: 0 }))
    }
}

impl Counting for Counter {
    fn read(&mut self, counts: &mut Vec<u64>) -> Option<u64> {
        if self.machine.life(self.cpu) == self.life {
            self.reads += 1;
        }
        counts.clear();
        counts.extend((0..self.events).map(|place| self.reads * 100 + place));
        Some(self.reads)
    }
}

fn perf(root: &Root, machine: &Machine, line: &str) -> Result<Perf<Machine>, String> {
    let Ok(Asked::Run(flags)) = parse(line.split_whitespace().map(str::to_owned)) else { panic!("{line}") };
    let at = |name: &str| root.path().join(name);
    let paths = Paths { procfs: at("proc"), sysfs: at(""), rootfs: at("root"), udev_data: at("udev") };
    Perf::new(&Context { paths: &paths, flags: &flags }, machine.clone()).map_err(|error| error.to_string())
}

fn online(root: &Root, list: &str) {
    root.write("devices/system/cpu/online", format!("{list}\n"));
}

fn samples(perf: &mut Perf<Machine>) -> Vec<String> {
    let mut page = Page::default();
    perf.collect(&mut page).unwrap();
    let text = String::from_utf8(page.text().to_vec()).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

const SWITCHES: &str = "--collector.perf.disable-hardware-profilers --collector.perf.disable-cache-profilers \
    --collector.perf.software-profilers=ContextSwitch --collector.perf.software-profilers=MajorFault";

#[test]
fn cpus_come_and_go() {
    let (root, machine) = (Root::new("perf-cpus"), Machine::default());
    online(&root, "0-1,10");
    let mut perf = perf(&root, &machine, SWITCHES).unwrap();
    let both = vec![Event::software(3), Event::software(6)];
    assert_eq!(
        machine.opened(),
        [(0, both.clone()), (1, both.clone()), (10, both.clone())],
        "one group each"
    );
    let line = |name: &str, cpu, count| format!("node_perf_{name}_total{{cpu=\"{cpu}\"}} {count}");
    let cpus = [0, 1, 10];
    let all = |count| {
        let switches = cpus.map(|cpu| line("context_switches", cpu, count));
        let faults = cpus.map(|cpu| line("major_faults", cpu, count + 1));
        [switches, faults].concat()
    };
    assert_eq!(samples(&mut perf), all(100));
    assert_eq!(samples(&mut perf), all(200));
    online(&root, "0,2,10");
    assert_eq!(samples(&mut perf).len(), 6);
    assert_eq!(machine.opened(), [(2, both.clone())]);
    online(&root, "10");
    let only = [line("context_switches", 10, 400), line("major_faults", 10, 401)];
    assert_eq!(samples(&mut perf), only);
    // Gone and back between two scrapes: the old counter stands still.
    machine.reborn(10);
    let anew = [line("context_switches", 10, 100), line("major_faults", 10, 101)];
    assert_eq!(samples(&mut perf), anew);
    assert_eq!(machine.opened(), [(10, both)]);
    // A list that cannot be read leaves the CPUs as they are.
    online(&root, "garbage");
    assert_eq!(samples(&mut perf).len(), 2);
}

#[test]
fn what_never_counts_is_given_up() {
    let (root, machine) = (Root::new("perf-dead"), Machine::default());
    online(&root, "0");
    let mut perf = perf(&root, &machine, "--collector.perf.disable-cache-profilers").unwrap();
    assert_eq!(machine.opened().len(), 9 + 1, "events of the processor go one by one");
    assert_eq!(samples(&mut perf).len(), 9 + 5);
    // All stand still; of those made anew one is lacking, and another one never counts.
    machine.reborn(0);
    perf.counters.refuses = Some((Event::hardware(0), rustix::io::Errno::NODEV));
    perf.counters.dead = Some(Event::hardware(1));
    assert_eq!(samples(&mut perf).len(), 7 + 5);
    assert_eq!(perf.cpus[0].groups.len(), 7 + 1);
    assert_eq!(machine.opened().len(), 8 + 1);
    assert_eq!(samples(&mut perf).len(), 7 + 5);
    assert_eq!(machine.opened(), [], "it is not tried for ever");
}

#[test]
fn what_the_machine_lacks_is_left_out_and_what_it_refuses_is_told() {
    let root = Root::new("perf-lack");
    online(&root, "0-1");
    let lack =
        Machine { refuses: Some((Event::hardware(0), rustix::io::Errno::NOENT)), ..Machine::default() };
    let given = samples(&mut perf(&root, &lack, "").unwrap());
    assert_eq!(given.len(), 2 * (30 - 1));
    assert!(!given.iter().any(|line| line.contains("_cpucycles_total") && !line.contains("ref_")));
    let refused =
        Machine { refuses: Some((Event::software(2), rustix::io::Errno::ACCESS)), ..Machine::default() };
    let mut perf = perf(&root, &refused, "").unwrap();
    let mut page = Page::default();
    let told = perf.collect(&mut page).unwrap_err().to_string();
    assert!(told.contains("perf_event_open for node_perf_page_faults_total on CPU 1"), "{told}");
    assert!(str::from_utf8(page.text()).unwrap().contains("node_perf_instructions_total{cpu=\"1\"} 100"));
}

#[test]
fn tracepoints_are_one_group_with_names_of_their_own() {
    let (root, machine) = (Root::new("perf-trace"), Machine::default());
    online(&root, "0-3");
    for (event, id) in [("sched_switch", 311), ("sys-enter.x", 12)] {
        root.write(&format!("kernel/tracing/events/sched/{event}/id"), format!("{id}\n"));
    }
    let off = "--collector.perf.disable-hardware-profilers --collector.perf.disable-cache-profilers \
        --collector.perf.disable-software-profilers --collector.perf.cpus=1,7 \
        --collector.perf.tracepoint=sched:sched_switch --collector.perf.tracepoint=sched:sys-enter.x";
    let mut perf_of_one = perf(&root, &machine, off).unwrap();
    assert_eq!(machine.opened(), [(1, vec![Event::tracepoint(311), Event::tracepoint(12)])]);
    let given = samples(&mut perf_of_one);
    assert_eq!(
        given,
        ["node_perf_sched_sched_switch{cpu=\"1\"} 100", "node_perf_sched_sys_enter_x{cpu=\"1\"} 101"]
    );
    let refused =
        Machine { refuses: Some((Event::tracepoint(12), rustix::io::Errno::PERM)), ..Machine::default() };
    let error = perf(&root, &refused, off).err().unwrap();
    assert!(
        error.starts_with("--collector.perf.tracepoint: perf_event_open for node_perf_sched_"),
        "{error}"
    );
}
