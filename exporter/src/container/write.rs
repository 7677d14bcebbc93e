//! One family over all cgroups: the loop that every group's families share.

use std::time::Instant;

use super::{entry::Entry, roster::Roster};
use crate::metric::{Family, Kind, Labels, Page, Samples, Value};

/// Writes a family: a counter of all that is shown, anything else of the living alone.
pub fn family<V: Into<Value>>(
    page: &mut Page,
    family: &Family,
    roster: &Roster,
    now: Instant,
    value: impl Fn(&Entry) -> Option<V>,
) {
    labelled(page, family, &Labels::EMPTY, roster, now, value);
}

/// As [`family`](fn@family), each sample with one more label.
pub fn labelled<V: Into<Value>>(
    page: &mut Page,
    family: &Family,
    more: &Labels,
    roster: &Roster,
    now: Instant,
    value: impl Fn(&Entry) -> Option<V>,
) {
    rows(page, family, roster, now, |entry, samples| {
        if let Some(value) = value(entry) {
            samples.joined(&entry.labels, more, value);
        }
    });
}

/// As [`family`](fn@family), where an entry has any number of samples.
pub fn rows(
    page: &mut Page,
    family: &Family,
    roster: &Roster,
    now: Instant,
    mut write: impl FnMut(&Entry, &mut Samples<'_>),
) {
    let mut samples = page.family(family);
    let of_the_dead_too = family.kind == Kind::Counter;
    for entry in roster.shown(now).filter(|entry| of_the_dead_too || entry.is_alive()) {
        write(entry, &mut samples);
    }
}

/// Nanoseconds as seconds.
pub fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
