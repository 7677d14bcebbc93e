//! The processor, memory and the kernel.

use crate::Case;

pub static CPU: &[&Case] = &[
    &Case {
        collectors: &["cpu"],
        flags: &[
            "--collector.cpu.info",
            "--collector.cpu.info.flags-include=a",
            "--collector.cpu.info.bugs-include=m",
        ],
        files: &[
            ("proc/stat", None),
            ("proc/cpuinfo", None),
            ("sys/devices/system/cpu/isolated", None),
            ("sys/devices/system/cpu/cpu0/online", None),
            ("sys/devices/system/cpu/cpu0/topology/core_id", None),
            ("sys/devices/system/cpu/cpu0/topology/physical_package_id", None),
            ("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", None),
            ("sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", None),
        ],
        // A CPU's counters hold what they had reached.
        forgets: false,
    },
    &Case {
        collectors: &["stat"],
        flags: &["--collector.stat.softirq"],
        files: &[("proc/stat", None)],
        forgets: true,
    },
    &Case { collectors: &["interrupts"], flags: &[], files: &[("proc/interrupts", None)], forgets: true },
    &Case { collectors: &["softirqs"], flags: &[], files: &[("proc/softirqs", None)], forgets: true },
    &Case { collectors: &["schedstat"], flags: &[], files: &[("proc/schedstat", None)], forgets: true },
    &Case {
        collectors: &["cpu_vulnerabilities"],
        flags: &[],
        files: &[
            (
                "sys/devices/system/cpu/vulnerabilities/mds",
                Some("Mitigation: Clear CPU buffers; SMT Host state unknown\n"),
            ),
            ("sys/devices/system/cpu/vulnerabilities/retbleed", Some("Not affected\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["cpufreq"],
        flags: &[],
        files: &[
            (
                "sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors",
                Some("performance powersave\n"),
            ),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", Some("powersave\n")),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", Some("1699981\n")),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", Some("3700000\n")),
            ("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_min_freq", Some("800000\n")),
        ],
        forgets: true,
    },
];

pub static MEMORY: &[&Case] = &[
    &Case { collectors: &["meminfo"], flags: &[], files: &[("proc/meminfo", None)], forgets: true },
    &Case {
        collectors: &["vmstat"],
        flags: &["--collector.vmstat.fields=.*"],
        files: &[("proc/vmstat", None)],
        forgets: true,
    },
    &Case { collectors: &["buddyinfo"], flags: &[], files: &[("proc/buddyinfo", None)], forgets: true },
    &Case { collectors: &["swap"], flags: &[], files: &[("proc/swaps", None)], forgets: true },
    &Case {
        collectors: &["slabinfo"],
        flags: &[],
        files: &[(
            "proc/slabinfo",
            Some(
                "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n\
                dentry 70 86 192 21 1 : tunables 0 0 0 : slabdata 4 4 0\n",
            ),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["zoneinfo"],
        flags: &[],
        files: &[(
            "proc/zoneinfo",
            Some(
                "Node 0, zone      DMA\n  per-node stats\n      nr_inactive_anon 9\n      nr_mapped    4\n  pages free     2949\n        \
                min      8\n        low      11\n        spanned  4095\n        present  3997\n        managed  3975\n        \
                protection: (0, 2039, 31932)\n      nr_free_pages 2949\n  pagesets\n    cpu: 0\n              count: 0\n  \
                start_pfn:           1\nNode 0, zone   Normal\n  pages free     7\n        high     14\n",
            ),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["meminfo_numa"],
        flags: &[],
        files: &[
            (
                "sys/devices/system/node/node0/meminfo",
                Some(
                    "Node 0 MemTotal:       9 kB\nNode 0 Active(anon):    7 kB\nNode 0 HugePages_Total:     1\n",
                ),
            ),
            ("sys/devices/system/node/node0/numastat", Some("numa_hit 19\nnuma_miss 5\nlocal_node 7\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["ksmd"],
        flags: &[],
        files: &[
            ("sys/kernel/mm/ksm/full_scans", Some("323\n")),
            ("sys/kernel/mm/ksm/general_profit", Some("-5\n")),
            ("sys/kernel/mm/ksm/merge_across_nodes", Some("1\n")),
            ("sys/kernel/mm/ksm/pages_shared", Some("1\n")),
            ("sys/kernel/mm/ksm/pages_sharing", Some("255\n")),
            ("sys/kernel/mm/ksm/pages_to_scan", Some("100\n")),
            ("sys/kernel/mm/ksm/pages_unshared", Some("0\n")),
            ("sys/kernel/mm/ksm/pages_volatile", Some("0\n")),
            ("sys/kernel/mm/ksm/run", Some("1\n")),
            ("sys/kernel/mm/ksm/sleep_millisecs", Some("20\n")),
        ],
        forgets: true,
    },
];

pub static KERNEL: &[&Case] = &[
    &Case { collectors: &["loadavg"], flags: &[], files: &[("proc/loadavg", None)], forgets: true },
    &Case {
        collectors: &["pressure"],
        flags: &[],
        files: &[
            ("proc/pressure/cpu", None),
            ("proc/pressure/io", None),
            ("proc/pressure/memory", None),
            ("proc/pressure/irq", None),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["entropy", "filefd", "sysctl", "kernel_hung"],
        flags: &[
            "--collector.sysctl.include=fs.file-nr:open,spare,most",
            "--collector.sysctl.include=kernel.pid_max",
            "--collector.sysctl.include-info=kernel.ostype",
        ],
        files: &[
            ("proc/sys/kernel/random/entropy_avail", None),
            ("proc/sys/kernel/random/poolsize", None),
            ("proc/sys/fs/file-nr", None),
            ("proc/sys/kernel/pid_max", None),
            ("proc/sys/kernel/ostype", None),
            ("proc/sys/kernel/hung_task_detect_count", Some("3\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["cgroups"],
        flags: &[],
        files: &[(
            "proc/cgroups",
            Some("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t5\t47\t1\nrdma\t0\t1\t0\n"),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["os"],
        flags: &[],
        files: &[(
            "etc/os-release",
            Some(
                "PRETTY_NAME=\"Some \\\"OS\\\" 12.3\"\nNAME='Some OS'\nVERSION_ID=12.3\n# word\nID=some\nBUILD_ID=x\n\
                SUPPORT_END=2030-01-02\n",
            ),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["processes"],
        flags: &[],
        files: &[
            ("proc/1/stat", None),
            ("proc/7/stat", None),
            ("proc/1/task/1/stat", None),
            ("proc/1/task/7/stat", None),
            ("proc/sys/kernel/threads-max", None),
            ("proc/sys/kernel/pid_max", None),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["time"],
        flags: &[],
        files: &[
            ("sys/devices/system/clocksource/clocksource0/available_clocksource", Some("tsc hpet acpi_pm\n")),
            ("sys/devices/system/clocksource/clocksource0/current_clocksource", Some("tsc\n")),
        ],
        // It tells the time.
        forgets: false,
    },
];
