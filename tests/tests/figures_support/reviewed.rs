//! What differs from the reference, and why.

use std::collections::BTreeMap;

use super::compare::{Difference, Differences, Series};

type Labels = BTreeMap<String, String>;

/// One reason.
pub struct Reviewed {
    /// What the names of its families begin with.
    families: &'static [&'static str],
    /// Whether it speaks of this row and this difference.
    covers: fn(&Labels, Difference) -> bool,
    /// Whether it need not show each time.
    at_times: bool,
    /// The reason.
    why: &'static str,
}

/// At most 25.
pub const REVIEWED: &[Reviewed] = &[
    Reviewed {
        families: &["container_start_time_seconds"],
        covers: |labels, difference| match difference {
            Difference::Gauge { here, after, .. } if labels.contains_key("name") => here >= after,
            Difference::Gauge { here, after, .. } => here <= after,
            _ => false,
        },
        at_times: true,
        why: "until 0.57 it was the time of creation; of a plain cgroup, in the hierarchies that it looks at",
    },
    Reviewed {
        families: &[
            "container_memory_",
            "container_processes",
            "container_sockets",
            "container_file_descriptors",
            "container_network_advance_tcp_",
            "container_network_tcp",
            "container_network_udp",
        ],
        covers: |labels, difference| match difference {
            Difference::Gauge { here, after, .. } => {
                is_shared(labels) && (here - after).abs() < (0.2 * after).max(1_000.0)
            }
            _ => false,
        },
        at_times: true,
        why: "others use the machine too, and what goes up between two readings may come down",
    },
    Reviewed {
        families: &["container_threads"],
        covers: |labels, difference| labels["id"] == "/" && difference == Difference::NoRow(0.0),
        at_times: false,
        why: "the root has no such controller; absent is not 0",
    },
    Reviewed {
        families: &["container_sockets", "container_file_descriptors"],
        covers: |labels, difference| is_shared(labels) && matches!(difference, Difference::NoRow(_)),
        at_times: true,
        why: "a process of another's may not be looked at; a part is not the sum",
    },
    Reviewed {
        families: &["container_cpu_schedstat_"],
        covers: |labels, difference| is_shared(labels) && matches!(difference, Difference::Counter { .. }),
        at_times: true,
        why: "of processes that end soon each meets others, and one that moves is counted once",
    },
    Reviewed {
        families: &["container_fs_inodes_"],
        covers: |labels, difference| match difference {
            Difference::Gauge { here, after, .. } => labels.contains_key("name") && here > after,
            _ => false,
        },
        at_times: false,
        why: "there the files of the write layer and 0, here those of its file system",
    },
    Reviewed {
        families: &[
            "container_fs_read_seconds_total",
            "container_fs_write_seconds_total",
            "container_fs_io_time_seconds_total",
            "container_fs_io_time_weighted_seconds_total",
        ],
        covers: |labels, difference| match difference {
            Difference::Counter { before, here, after } => {
                labels["id"] == "/" && (0.999 * before * 1e6..=1.001 * after * 1e6).contains(&here)
            }
            _ => false,
        },
        at_times: false,
        why: "milliseconds that are taken for nanoseconds there: a millionth of the seconds",
    },
    Reviewed {
        families: &["container_fs_", "container_blkio_"],
        covers: |labels, difference| {
            let looped = labels.get("device").is_some_and(|device| device.starts_with("/dev/loop"));
            is_shared(labels) && looped && matches!(difference, Difference::OnlyHere(_))
        },
        at_times: true,
        why: "loop devices have no name there",
    },
    Reviewed {
        families: &["container_fs_"],
        covers: |_, difference| difference == Difference::NoRow(0.0),
        at_times: false,
        why: "what is not told of a cgroup, or of a file system without a disk; absent is not 0",
    },
    Reviewed {
        families: &["container_fs_", "container_blkio_"],
        covers: |labels, difference| match difference {
            Difference::Counter { here, after, .. } => is_shared(labels) && here > after,
            _ => false,
        },
        at_times: true,
        why: "version 1 forgets what dead children did; a counter must not fall",
    },
    Reviewed {
        families: &["container_fs_", "container_blkio_"],
        covers: |labels, difference| {
            let named = labels.contains_key("device");
            is_shared(labels) && !named && matches!(difference, Difference::NoRow(_))
        },
        at_times: true,
        why: "one of the loop devices, without a name",
    },
    Reviewed {
        families: &[
            "container_network_tcp",
            "container_network_udp",
            "container_network_advance_tcp_",
            "container_referenced_bytes",
        ],
        covers: |labels, difference| !labels.contains_key("name") && difference == Difference::NoRow(0.0),
        at_times: false,
        why: "a plain cgroup has no network of its own, nor is all of the machine walked; absent is not 0",
    },
    Reviewed {
        families: &["container_network_advance_tcp_"],
        covers: |_, difference| difference == Difference::NoRow(0.0),
        at_times: true,
        why: "a count that this kernel does not have",
    },
    Reviewed {
        families: &["container_tasks_state", "container_cpu_load_"],
        covers: |_, difference| match difference {
            Difference::Gauge { before, after, .. } => before == 0.0 && after == 0.0,
            _ => false,
        },
        at_times: false,
        why: "nothing is counted there without its reader of loads, which loses cgroups that have no cpu controller",
    },
    Reviewed {
        families: &["container_network_"],
        covers: |labels, difference| {
            let of_a_test = labels.get("interface").is_some_and(|name| name.starts_with("ndt"));
            labels["id"] == "/" && of_a_test && matches!(difference, Difference::Counter { .. })
        },
        at_times: true,
        why: "another test's bridge, taken down and made anew under its name",
    },
];

/// Whether more than this test's containers are in it.
fn is_shared(labels: &Labels) -> bool {
    labels.get("id").is_some_and(|id| id == "/" || id == "/docker")
}

/// Fails where something differs for no reason, or a reason is none any more.
pub fn judge(differences: &Differences) {
    assert!(REVIEWED.len() <= 25, "too much differs");
    let mut needed = vec![false; REVIEWED.len()];
    let mut unexplained: Vec<(&Series, &Difference)> = Vec::new();
    for (series, difference) in differences {
        let (family, labels) = series;
        let mut explained = false;
        for (entry, needed) in REVIEWED.iter().zip(&mut needed) {
            let is_of_it = entry.families.iter().any(|name| family.starts_with(name));
            if is_of_it && (entry.covers)(labels, *difference) {
                (explained, *needed) = (true, true);
            }
        }
        if !explained {
            unexplained.push((series, difference));
        }
    }
    for ((family, labels), difference) in &unexplained {
        let short = |key: &str| labels.get(key).map_or("", String::as_str);
        eprintln!("{family} of {} {}: {difference:?} {labels:?}", short("id"), short("name"));
    }
    assert!(unexplained.is_empty(), "{} series differ for no known reason", unexplained.len());
    for (entry, needed) in REVIEWED.iter().zip(needed) {
        assert!(needed || entry.at_times, "nothing of {:?} differs any more: {}", entry.families, entry.why);
    }
}
