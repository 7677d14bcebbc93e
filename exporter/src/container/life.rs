//! When a cgroup was made and started, that it is there, and how it is.

use std::time::Instant;

use super::{
    group::{GroupDescriptor, On, Origin},
    roster::Roster,
};
use crate::{
    metric::{Family, Page},
    source::runtime::Health,
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "life",
    words: &[],
    on: On::ByDefault,
    summary: "when a container was made, started and last seen, and its health",
    reads: "the cgroup directory's times; the runtime",
    families: &[
        Origin::same(&LAST_SEEN, "the scrape's time"),
        Origin::same(&CREATION_TIME, "runtime, else the directory's times"),
        Origin::same(&START_TIME, "runtime, else the directory's times"),
        Origin::same(&HEALTH, "runtime"),
    ],
};

static LAST_SEEN: Family =
    Family::gauge("container_last_seen", "When the container was last there, in seconds since 1970.");
static CREATION_TIME: Family = Family::gauge(
    "container_creation_time_seconds",
    "When the container or its cgroup was made, in seconds since 1970.",
);
static START_TIME: Family = Family::gauge(
    "container_start_time_seconds",
    "When the container was started or its cgroup made, in seconds since 1970.",
);

static HEALTH: Family = Family::gauge(
    "container_health_state",
    "1 if the container's health check passes, 0 if it fails or was not made yet, -1 without one.",
);

/// Writes the group. `time`: whole seconds since 1970.
pub fn write(page: &mut Page, roster: &Roster, now: Instant, time: u64) {
    let living = || roster.shown(now).filter(|entry| entry.is_alive());
    let mut samples = page.family(&LAST_SEEN);
    for entry in living() {
        samples.sample(&entry.labels, time);
    }
    let mut samples = page.family(&CREATION_TIME);
    for entry in living() {
        samples.sample(&entry.labels, seconds(entry.made));
    }
    let mut samples = page.family(&START_TIME);
    for entry in living() {
        samples.sample(&entry.labels, seconds(entry.started));
    }
    let mut samples = page.family(&HEALTH);
    for entry in living() {
        samples.sample(&entry.labels, state(entry.health));
    }
}

fn state(health: Option<Health>) -> f64 {
    match health {
        Some(Health::Healthy) => 1.0,
        Some(Health::Starting | Health::Unhealthy) => 0.0,
        None => -1.0,
    }
}

fn seconds(time: i64) -> f64 {
    time as f64
}
