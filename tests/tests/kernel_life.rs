//! Births and deaths of cgroups, and the slots that come and go with them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kernel_support;

use std::{
    cell::Cell,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    thread::sleep,
    time::{Duration, Instant},
};

use exporter::source::bpf::{CgroupKey, Kernel, Life, LifeEvents, Request, Slot};
use kernel_support::{Ended, Group, cpu_hierarchy, load, request, turn, until};
use tests::live::thrice;

#[derive(Debug, PartialEq)]
struct Seen {
    what: Life,
    key: CgroupKey,
    level: u32,
    path: Vec<u8>,
    slot: Option<Slot>,
}

fn drain(life: &mut LifeEvents) -> Vec<Seen> {
    let mut seen = Vec::new();
    life.drain(|e| {
        seen.push(Seen { what: e.what, key: e.key, level: e.level, path: e.path.to_vec(), slot: e.slot });
    });
    seen
}

fn with_slots(max_cgroups: u32) -> (Kernel, LifeEvents) {
    let mut kernel = load(&Request { max_cgroups, ..request() });
    let life = kernel.life.take().unwrap();
    (kernel, life)
}

#[test]
fn births_and_deaths_are_told_with_names_of_any_bytes() {
    let Some(_turn) = turn() else { return };
    let (kernel, mut life) = with_slots(64);
    let counters = kernel.counters.as_ref().unwrap();
    let parent = Group::cpu("names");
    drain(&mut life);
    let longest = [b'x'; 255];
    for name in [&b"plain"[..], b"new\x01line\ttab", b"quote\"back\\slash{}", b"\xff\xfe\x80", &longest] {
        let dir = parent.dir.join(OsStr::from_bytes(name));
        fs::create_dir(&dir).unwrap();
        let key = CgroupKey::new(fs::metadata(&dir).unwrap().ino(), parent.key.hierarchy);
        fs::remove_dir(&dir).unwrap();
        let path = [b"/", parent.dir.file_name().unwrap().as_bytes(), b"/", name].concat();
        let mut seen = drain(&mut life);
        seen.retain(|e| e.key == key);
        let slot = counters.find(key);
        assert!(slot.is_some(), "it had a slot");
        let event = |what| Seen { what, key, level: 2, path: path.clone(), slot };
        assert_eq!(seen, [event(Life::Born), event(Life::Died)]);
        counters.leave(key);
        assert_eq!(counters.find(key), None);
    }
}

#[test]
fn events_wake_a_waiting_thread() {
    let Some(_turn) = turn() else { return };
    let (_kernel, mut life) = with_slots(64);
    drain(&mut life);
    let readable = |life: &LifeEvents, wait: i64| {
        let fd = life.as_fd();
        let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        let wait = rustix::event::Timespec { tv_sec: wait, tv_nsec: 0 };
        rustix::event::poll(&mut fds, Some(&wait)).unwrap() == 1
    };
    let _group = Group::cpu("wake");
    assert!(readable(&life, 5));
    assert!(!drain(&mut life).is_empty());
}

/// Nobody entered it: the slot was there before its first task was.
#[test]
fn a_short_life_is_counted_from_its_first_millisecond() {
    let Some(_turn) = turn() else { return };
    thrice(|| {
        let (kernel, mut life) = with_slots(64);
        let counters = kernel.counters.as_ref().unwrap();
        for round in 0..10 {
            let group = Group::cpu(&format!("short{round}"));
            let mut child = Ended(group.run("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; exit 0"));
            assert!(child.0.wait().unwrap().success());
            let theirs = group.kernel_cpu();
            let key = group.key;
            drop(group);
            let seen = drain(&mut life);
            let born = seen.iter().find(|e| e.what == Life::Born && e.key == key).unwrap();
            assert!(seen.iter().any(|e| e.what == Life::Died && e.key == key));
            let ours = Duration::from_nanos(counters.cpu(born.slot.unwrap()).ns);
            println!("ours {ours:?}, the kernel's {theirs:?}");
            assert!(theirs > Duration::from_micros(500), "{theirs:?}");
            let allowed = theirs / 100 + Duration::from_micros(500);
            // The kernel's file was read before the very last moments of the task.
            assert!(
                ours + allowed >= theirs && ours <= theirs + allowed,
                "ours {ours:?}, the kernel's {theirs:?}"
            );
            counters.leave(key);
        }
    });
}

#[test]
fn thousands_come_and_go_without_a_leak_or_a_gap() {
    const COUNT: u32 = 4000;
    const PER_SECOND: u32 = 600;
    let Some(_turn) = turn() else { return };
    let (kernel, mut life) = with_slots(2048);
    let counters = kernel.counters.as_ref().unwrap();
    let parent = Group::cpu("churn");
    drain(&mut life);
    let before = counters.usage();
    let (mut born, mut died, mut without, mut dirty) = (0, 0, 0, 0);
    let start = Instant::now();
    for i in 0..COUNT {
        let dir = parent.dir.join(i.to_string());
        fs::create_dir(&dir).unwrap();
        fs::remove_dir(&dir).unwrap();
        life.drain(|e| {
            if !e.path.starts_with(b"/nodetally-kernel-churn") {
                return;
            }
            match e.what {
                Life::Born => {
                    born += 1;
                    without += u32::from(e.slot.is_none());
                    dirty += u32::from(e.slot.is_some_and(|s| counters.cpu(s).ns != 0));
                }
                Life::Died => {
                    died += 1;
                    counters.leave(e.key);
                }
            }
        });
        sleep((start + Duration::from_secs(1) * i / PER_SECOND).saturating_duration_since(Instant::now()));
    }
    let after = counters.usage();
    println!("{before:?}\n{after:?} in {:?}", start.elapsed());
    assert_eq!((born, died, without, dirty), (COUNT, COUNT, 0, 0));
    assert_eq!(after.times_full, before.times_full);
    assert_eq!(after.events_lost, 0);
    // Others make and remove cgroups on this machine too, but not by the hundred.
    let settled = until(Duration::from_secs(5), || counters.usage().used <= before.used + 20);
    assert!(settled, "{:?} of {before:?}", counters.usage());
}

#[test]
fn a_slot_used_anew_starts_from_nothing() {
    let Some(_turn) = turn() else { return };
    let (kernel, mut life) = with_slots(16);
    let counters = kernel.counters.as_ref().unwrap();
    let mut used = std::collections::HashMap::new();
    let mut reused = 0;
    // More than there are slots.
    for round in 0..18 {
        let group = Group::cpu(&format!("anew{round}"));
        drain(&mut life);
        let slot = counters.find(group.key).expect("a slot");
        assert_eq!(counters.cpu(slot).ns, 0, "{used:?}");
        let mut child = Ended(group.run("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; exit 0"));
        assert!(child.0.wait().unwrap().success());
        assert!(counters.cpu(slot).ns > 0);
        reused += u32::from(used.insert(slot, round).is_some());
        let key = group.key;
        drop(group);
        for event in drain(&mut life) {
            if event.what == Life::Died {
                counters.leave(event.key);
            }
        }
        assert!(counters.cpu(slot).ns > 0, "readable until its grace is over: {key:?}");
        sleep(Duration::from_millis(300));
    }
    assert!(reused > 0, "{used:?}");
}

#[test]
fn more_cgroups_than_slots_are_said_and_entered_when_there_is_room() {
    let Some(_turn) = turn() else { return };
    let (kernel, mut life) = with_slots(16);
    let counters = kernel.counters.as_ref().unwrap();
    // Until the slots of the self-test are back.
    sleep(Duration::from_millis(1100));
    drain(&mut life);
    let mut seen = Vec::new();
    let mut groups = Vec::new();
    for i in 0..24 {
        groups.push(Group::cpu(&format!("full{i}")));
        seen.extend(drain(&mut life));
    }
    let ours = |e: &&Seen| e.what == Life::Born && e.path.starts_with(b"/nodetally-kernel-full");
    let without = seen.iter().filter(ours).filter(|e| e.slot.is_none()).count();
    assert_eq!(seen.iter().filter(ours).count(), 24);
    assert!((8..=12).contains(&without), "{without}: {seen:?}");
    assert!(counters.usage().births_full >= 8);
    let last = groups.pop().unwrap();
    assert_eq!(counters.find(last.key), None);
    // Some slots are kept back for those whose birth nobody could serve; they are two, and these are three.
    let late: Vec<_> = groups.iter().rev().take(3).map(|group| counters.enter(group.key)).collect();
    assert_eq!(late.last(), Some(&None), "{late:?}");
    groups.clear();
    for event in drain(&mut life) {
        if event.what == Life::Died {
            counters.leave(event.key);
        }
    }
    sleep(Duration::from_millis(1100));
    assert!(counters.enter(last.key).is_some(), "{:?}", counters.usage());
    let mut child = Ended(last.run("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; exit 0"));
    assert!(child.0.wait().unwrap().success());
    assert!(counters.cpu(counters.find(last.key).unwrap()).ns > 0);
}

#[test]
fn an_overflow_is_counted_and_leaks_no_slot() {
    let Some(_turn) = turn() else { return };
    let (kernel, mut life) = with_slots(8192);
    let counters = kernel.counters.as_ref().unwrap();
    let parent = Group::cpu("overflow");
    drain(&mut life);
    let before = counters.usage();
    // Nobody drains: the ring holds some thousand and a half of these.
    for i in 0..1500 {
        let dir = parent.dir.join(i.to_string());
        fs::create_dir(&dir).unwrap();
        fs::remove_dir(&dir).unwrap();
    }
    let full = counters.usage();
    println!("{full:?}");
    assert!(full.events_lost > 0);
    assert!(full.used >= before.used + 1500);
    let survivor = Group::cpu("survivor");
    for event in drain(&mut life) {
        if event.what == Life::Died {
            counters.leave(event.key);
        }
    }
    // Its birth was lost too; the walk that answers an overflow finds it in the slot it was born with.
    assert_eq!(counters.find(survivor.key), None);
    let slot = counters.enter(survivor.key).unwrap();
    assert_eq!(counters.find(survivor.key), Some(slot));
    // Told of, born and died or not at all: none holds its slot. Those born and told of whose death was lost are
    // for the walk, and there is at most the one at the brink.
    let settled = until(Duration::from_secs(5), || {
        drain(&mut life);
        counters.usage().used <= before.used + 20
    });
    assert!(settled, "{:?}, before {before:?}", counters.usage());
}

#[test]
fn what_existed_before_is_entered_once() {
    let Some(_turn) = turn() else { return };
    let early = Group::cpu("early");
    let (kernel, _life) = with_slots(64);
    let counters = kernel.counters.as_ref().unwrap();
    assert_eq!(counters.find(early.key), None);
    let slot = counters.enter(early.key).unwrap();
    assert_eq!(counters.enter(early.key), Some(slot));
    let twin = CgroupKey::new(early.key.id, early.key.hierarchy + 1000);
    assert_ne!(counters.enter(twin), Some(slot), "an id is unique in its hierarchy only");
    assert!(cpu_hierarchy().root.is_dir());
}

/// As fast as the kernel makes them: more than there are slots in a grace time, so some go without. All of those are
/// counted, and no slot is lost.
#[test]
fn a_storm_costs_figures_but_no_slot() {
    let Some(_turn) = turn() else { return };
    let (kernel, mut life) = with_slots(512);
    let counters = kernel.counters.as_ref().unwrap();
    let parent = Group::cpu("storm");
    drain(&mut life);
    let before = counters.usage();
    let makers: Vec<_> = (0..2)
        .map(|maker| {
            let dir = parent.dir.clone();
            std::thread::spawn(move || {
                let start = Instant::now();
                let made = (0..).take_while(|i| {
                    let dir = dir.join(format!("{maker}-{i}"));
                    fs::create_dir(&dir).unwrap();
                    fs::remove_dir(&dir).unwrap();
                    start.elapsed() < Duration::from_secs(2)
                });
                made.count() as u64 + 1
            })
        })
        .collect();
    let (born, died, without) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let handle = |life: &mut LifeEvents| {
        life.drain(|e| match e.what {
            Life::Born => {
                born.update(|n: u64| n + 1);
                without.update(|n| n + u64::from(e.slot.is_none()));
            }
            Life::Died => {
                died.update(|n| n + 1);
                counters.leave(e.key);
            }
        })
    };
    while makers.iter().any(|maker| !maker.is_finished()) {
        handle(&mut life);
        sleep(Duration::from_millis(1));
    }
    let made: u64 = makers.into_iter().map(|maker| maker.join().unwrap()).sum();
    while handle(&mut life) > 0 {}
    let (born, died, without): (u64, u64, u64) = (born.get(), died.get(), without.get());
    let after = counters.usage();
    println!("{made} made, {born} born, {died} died, {without} without a slot; {after:?}");
    assert!(born + died + after.events_lost >= 2 * made, "every event is told or counted as lost");
    assert!(after.births_full - before.births_full >= without);
    let settled = until(Duration::from_secs(5), || {
        handle(&mut life);
        counters.usage().used <= before.used + 20
    });
    assert!(settled, "{:?} of {before:?}", counters.usage());
}
