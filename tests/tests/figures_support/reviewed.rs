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
        ],
        covers: |labels, difference| match difference {
            Difference::Gauge { here, after, .. } => is_shared(labels) && (here - after).abs() < 0.2 * after,
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
        families: &["container_sockets", "container_file_descriptors", "container_referenced_bytes"],
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
        families: &[
            "container_network_tcp",
            "container_network_udp",
            "container_network_advance_tcp_stats_total",
        ],
        covers: |_, difference| difference == Difference::NoRow(0.0),
        at_times: false,
        why: "a plain cgroup has no network of its own, and some counters no kernel has any more; absent is not 0",
    },
];

/// Families that are not built yet, some of them for containers alone.
pub const NOT_YET: &[&str] = &[
    "container_fs_",
    "container_memory_numa_pages",
    "machine_cpu_cache_capacity_bytes",
    "machine_node_memory_capacity_bytes",
    "machine_thread_siblings_count",
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
        let mut explained = matches!(difference, Difference::NoFamily(_) | Difference::NoRow(_))
            && NOT_YET.iter().any(|name| family.starts_with(name));
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
