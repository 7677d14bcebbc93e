//! A root with the files of as many CPUs as wanted.

use std::fmt::Write;

use tests::temp::TempDir;

/// The interrupt lines of a large machine.
const LINES: usize = 64;
const SOFT: [&str; 10] =
    ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];
/// CPUs of a package; two of them are a core.
const PACKAGE: usize = 64;

/// Writes `proc` and `sys`.
pub fn write(root: &TempDir, cpus: usize) {
    root.write("proc/stat", stat(cpus));
    root.write("proc/schedstat", schedstat(cpus));
    root.write("proc/interrupts", interrupts(cpus));
    root.write("proc/softirqs", softirqs(cpus));
    root.write("proc/net/softnet_stat", softnet(cpus));
    root.write("proc/cpuinfo", cpuinfo(cpus));
    let folder = "sys/devices/system/cpu";
    root.write(&format!("{folder}/online"), format!("0-{}\n", cpus - 1));
    root.write(&format!("{folder}/isolated"), "\n");
    root.write(&format!("{folder}/offline"), "\n");
    for cpu in 0..cpus {
        let write = |file: &str, text: &str| root.write(&format!("{folder}/cpu{cpu}/{file}"), text);
        write("online", "1\n");
        write("topology/core_id", &format!("{}\n", cpu % PACKAGE / 2));
        write("topology/physical_package_id", &format!("{}\n", cpu / PACKAGE));
        write("thermal_throttle/core_throttle_count", &format!("{}\n", cpu * 7));
        write("thermal_throttle/package_throttle_count", "12345\n");
        for (file, text) in FREQUENCIES {
            write(&format!("cpufreq/{file}"), text);
        }
    }
}

const FREQUENCIES: [(&str, &str); 13] = [
    ("affected_cpus", "0\n"),
    ("cpuinfo_cur_freq", "2494123\n"),
    ("cpuinfo_max_freq", "3900000\n"),
    ("cpuinfo_min_freq", "800000\n"),
    ("cpuinfo_transition_latency", "20000\n"),
    ("related_cpus", "0\n"),
    ("scaling_available_governors", "performance powersave\n"),
    ("scaling_cur_freq", "2501377\n"),
    ("scaling_driver", "intel_pstate\n"),
    ("scaling_governor", "powersave\n"),
    ("scaling_max_freq", "3900000\n"),
    ("scaling_min_freq", "800000\n"),
    ("scaling_setspeed", "<unsupported>\n"),
];

fn each(cpus: usize, text: impl Fn(usize) -> String) -> String {
    (0..cpus).map(text).collect::<Vec<_>>().concat()
}

fn stat(cpus: usize) -> String {
    let row = |seed: usize| {
        let columns = [90_123_456, 4_321, 23_456_789, 987_654_321, 54_321, 0, 345_678, 1_234, 9_876, 0];
        columns.map(|column: usize| format!(" {}", column + column.min(1) * seed * 37)).concat()
    };
    let mut text = format!("cpu {}\n", row(cpus));
    for cpu in 0..cpus {
        let _ = writeln!(text, "cpu{cpu}{}", row(cpu));
    }
    let zeros = " 0".repeat(4 * LINES);
    let _ = writeln!(text, "intr 8885917{zeros}\nctxt 38014093\nbtime 1418183276\nprocesses 26442");
    text + "procs_running 2\nprocs_blocked 1\nsoftirq 5057579 250191 1481983 1647 211099 186066 0 1783454 622196 12499 508444\n"
}

fn schedstat(cpus: usize) -> String {
    let mut text = "version 15\ntimestamp 15819019232\n".to_owned();
    for cpu in 0..cpus {
        let _ = writeln!(
            text,
            "cpu{cpu} 498494191 0 3533438552 2553969831 3853684107 2465731542 2045936778163039 343796328169361 4767485{cpu}"
        );
        let _ = writeln!(
            text,
            "domain0 00000000,00000003 212499247 210112015 1861015 1860405436 536440 369895 32599 210079416 25368550"
        );
    }
    text
}

fn interrupts(cpus: usize) -> String {
    let row = |seed: usize| each(cpus, |cpu| format!(" {:>10}", seed * 1000 + cpu));
    let mut text = each(cpus, |cpu| format!("       CPU{cpu}"));
    text.push('\n');
    for line in 0..LINES {
        let _ = writeln!(text, "{line:>4}:{}  IR-PCI-MSI {line}-edge      eth0-TxRx-{line}", row(line));
    }
    let _ = writeln!(text, " LOC:{}   Local timer interrupts", row(7));
    text
}

fn softirqs(cpus: usize) -> String {
    let mut text = each(cpus, |cpu| format!("       CPU{cpu}"));
    text.push('\n');
    for (number, name) in SOFT.iter().enumerate() {
        let row = each(cpus, |cpu| format!(" {:>10}", number * 100 + cpu));
        let _ = writeln!(text, "{name:>12}:{row}");
    }
    text
}

fn softnet(cpus: usize) -> String {
    let row = |cpu: usize| {
        format!(
            "00015c73 00020e76 f0000769 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 {cpu:08x} 00000000 00000000\n"
        )
    };
    each(cpus, row)
}

fn cpuinfo(cpus: usize) -> String {
    let row = |cpu: usize| {
        format!(
            "processor\t: {cpu}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Intel(R) Xeon(R)\n\
             stepping\t: 4\nmicrocode\t: 0x1\ncpu MHz\t\t: 2494.123\ncache size\t: 36608 KB\nphysical id\t: {}\n\
             siblings\t: {PACKAGE}\ncore id\t\t: {}\ncpu cores\t: {}\nflags\t\t: fpu aes avx\nbugs\t\t: spectre_v1\n\n",
            cpu / PACKAGE,
            cpu % PACKAGE / 2,
            PACKAGE / 2,
        )
    };
    each(cpus, row)
}
