//! `cargo xtask bench node --big`: what a CPU, an interface and a mount cost each, in both exporters, on roots and
//! namespaces made for it. All of it goes with the thread that made it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use tests::temp::TempDir;

use super::measure::{Measured, Series, in_turns};
use super::table::ratio;
use super::target::Target;
use crate::{Outcome, shell};

mod cpus;

/// Few and many of each; what is between costs per piece.
const CPUS: [usize; 2] = [8, 256];
const INTERFACES: [usize; 2] = [10, 1000];
const MOUNTS: [usize; 2] = [10, 5000];

/// Scrapes under strace, of which one takes the stock exporter many seconds.
const STRACED: [u32; 2] = [1, 2];

/// The two programs, and how often each is asked.
pub struct Bench<'b> {
    /// This project's binary.
    pub ours: &'b Path,
    /// The folder of the stock exporters.
    pub theirs: &'b Path,
    /// Scrapes of each.
    pub scrapes: usize,
}

/// Measures and prints all that can be made here.
///
/// # Errors
/// What could not be made, started or measured.
pub fn run(bench: &Bench<'_>) -> Outcome {
    println!("{} scrapes each, in turns of ten; sharing off\n", bench.scrapes);
    println!(
        "{:<34} {:<14} {:>8} {:>8} {:>9} {:>10} {:>10} {:>8}",
        "", "", "p50 ms", "CPU ms", "calls", "CPU us", "calls", "samples"
    );
    println!("{:<34} {:<14} {:>28} {:>20} {:>8}", "", "", "of a scrape", "for each", "each");
    bench.cpus("CPUs", &["cpu", "cpufreq", "schedstat", "softnet", "stat"])?;
    bench.cpus("CPUs, interrupts too", &["interrupts", "softirqs"])?;
    if !shell::is_root() {
        println!("interfaces and mounts: need root, to make them in namespaces");
        return Ok(());
    }
    std::thread::scope(|scope| {
        let apart = scope.spawn(|| {
            leave_namespaces()?;
            bench.interfaces()?;
            bench.mounts()
        });
        apart.join().map_err(|_| "the thread in namespaces ended by a panic".to_owned())?
    })
}

impl Bench<'_> {
    fn cpus(&self, what: &str, collectors: &[&str]) -> Outcome {
        let mut measured = Vec::new();
        for count in CPUS {
            let root = TempDir::new("cpus");
            cpus::write(&root, count);
            let paths =
                ["proc", "sys"].map(|name| format!("--path.{name}fs={}/{name}", root.path().display()));
            measured.push(self.both(collectors, &[&paths[0], &paths[1]])?);
        }
        print(what, CPUS, &measured);
        Ok(())
    }

    fn interfaces(&self) -> Outcome {
        let mut measured = Vec::new();
        let mut made = 0;
        for count in INTERFACES {
            add_interfaces(made, count)?;
            made = count;
            measured.push(self.both(&["netclass", "netdev"], &[])?);
        }
        print("interfaces", INTERFACES, &measured);
        Ok(())
    }

    fn mounts(&self) -> Outcome {
        let mut measured = Vec::new();
        let mut mounts = Mounts { folder: TempDir::new("mounts"), made: 0 };
        // Of the first process' mounts the exporters would see none of these.
        let procfs = mounts.folder.path().join("proc");
        std::fs::create_dir(&procfs)
            .and_then(|()| std::os::unix::fs::symlink("/proc/self", procfs.join("self")))
            .map_err(|e| format!("{}: {e}", procfs.display()))?;
        for count in MOUNTS {
            mounts.add_up_to(count)?;
            measured.push(self.both(&["filesystem"], &[&format!("--path.procfs={}", procfs.display())])?);
        }
        print("mounts", MOUNTS, &measured);
        Ok(())
    }

    /// Both exporters with these collectors alone.
    fn both(&self, collectors: &[&str], flags: &[&str]) -> Outcome<[Measured; 2]> {
        let mut all = vec!["--collector.disable-defaults".to_owned()];
        all.extend(collectors.iter().map(|name| format!("--collector.{name}")));
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let ours = Target::node_half(self.ours, &all)?;
        let theirs = Target::node_exporter(self.theirs, &all)?;
        let mut series = [
            Series::begin("nodetally", &ours, "/metrics")?,
            Series::begin("node_exporter", &theirs, "/metrics")?,
        ];
        in_turns(&mut series, self.scrapes)?;
        let [ours, theirs] = series;
        Ok([ours.end_with(STRACED)?, theirs.end_with(STRACED)?])
    }
}

/// Small file systems in memory; unmounted before the folder is removed.
struct Mounts {
    folder: TempDir,
    made: usize,
}

impl Mounts {
    fn place(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("mount{number}"))
    }

    fn add_up_to(&mut self, count: usize) -> Outcome {
        while self.made < count {
            let place = self.place(self.made);
            std::fs::create_dir(&place).map_err(|e| format!("{}: {e}", place.display()))?;
            mount(Some("big"), &place, Some("tmpfs"), MsFlags::empty(), Some("size=64k"))
                .map_err(|e| format!("mount {}: {e}", place.display()))?;
            self.made += 1;
        }
        Ok(())
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for number in 0..self.made {
            let _ = umount(&self.place(number));
        }
    }
}

/// A network and mounts of this thread's and its children's own.
fn leave_namespaces() -> Outcome {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).map_err(|e| format!("unshare: {e}"))?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|e| format!("mount --make-rprivate /: {e}"))?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none)
        .map_err(|e| format!("mount sysfs: {e}"))?;
    shell::status(Command::new("ip").args(["link", "set", "lo", "up"]))
}

fn add_interfaces(from: usize, to: usize) -> Outcome {
    let lines: Vec<_> = (from..to).map(|number| format!("link add big{number} up type bridge\n")).collect();
    let dir = TempDir::new("links");
    let file = dir.write("batch", lines.concat());
    shell::status(Command::new("ip").arg("-batch").arg(file))
}

/// A line for each exporter with many, then what one more costs.
fn print(what: &str, counts: [usize; 2], measured: &[[Measured; 2]]) {
    let [few, many] = measured else { return };
    let between = (counts[1] - counts[0]) as f64;
    let each = |few: f64, many: f64| (many - few) / between;
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let mut costs = Vec::new();
    for (few, many) in few.iter().zip(many) {
        let cost = each(micros(few.cpu), micros(many.cpu));
        costs.push(cost);
        println!(
            "{:<34} {:<14} {:>8.2} {:>8.2} {:>9.0} {cost:>10.2} {:>10.2} {:>8.1}",
            format!("{} {what}", counts[1]),
            many.name,
            many.p50.as_secs_f64() * 1e3,
            many.cpu.as_secs_f64() * 1e3,
            many.calls,
            each(few.calls, many.calls),
            each(few.samples as f64, many.samples as f64),
        );
    }
    if let ([ours, theirs], [cost, their_cost]) = (many, &costs[..]) {
        println!(
            "{:<34} {:<14} {:>7.1}x {:>7.1}x {:>8.1}x {:>9.1}x",
            "",
            "more",
            ratio(theirs.p50.as_secs_f64(), ours.p50.as_secs_f64()),
            ratio(theirs.cpu.as_secs_f64(), ours.cpu.as_secs_f64()),
            ratio(theirs.calls, ours.calls),
            ratio(*their_cost, *cost),
        );
    }
}
