//! Ours between two pages of the reference.

use std::collections::{BTreeMap, BTreeSet};

use tests::page::Page;

/// It writes to a loop device, for which the reference has no name.
const LOOPED: &str = "direct";

/// Family and labels; an empty label is none.
pub type Series = (String, BTreeMap<String, String>);

/// The values of all series of these cgroups and of the machine.
pub fn rows(page: &Page, ids: &[&str]) -> BTreeMap<Series, f64> {
    let mut rows = BTreeMap::new();
    for sample in &page.samples {
        let is_ours = match sample.labels.get("id") {
            Some(id) => sample.name.starts_with("container_") && ids.contains(&id.as_str()),
            None => sample.name.starts_with("machine_"),
        };
        if is_ours {
            let mut labels = sample.labels.clone();
            labels.retain(|_, value| !value.is_empty());
            if labels.get("name").is_some_and(|name| name == LOOPED)
                && labels.get("device").is_some_and(|device| device.starts_with("/dev/loop"))
            {
                labels.remove("device");
            }
            rows.insert((sample.name.clone(), labels), sample.value);
        }
    }
    rows
}

/// What differs of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Difference {
    /// The family has another type.
    Type,
    /// Ours has no family of that name.
    NoFamily(f64),
    /// Ours lacks the row, which has this value there.
    NoRow(f64),
    /// Only ours has the row.
    OnlyHere(f64),
    /// A counter of ours does not lie between.
    Counter { before: f64, here: f64, after: f64 },
    /// A gauge of ours does not lie between, nor beyond by what it changed.
    Gauge { before: f64, here: f64, after: f64 },
}

impl Difference {
    /// The same kind of difference, whatever its figures are.
    fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// All that differs, by series.
pub type Differences = BTreeMap<Series, Difference>;

/// Compares a page of ours with those of the reference that were read before and after it.
pub fn differences(before: &Page, here: &Page, after: &Page, ids: &[&str]) -> Differences {
    let (first, ours, last) = (rows(before, ids), rows(here, ids), rows(after, ids));
    let theirs: BTreeSet<&str> = first.keys().chain(last.keys()).map(|(family, _)| family.as_str()).collect();
    let known: BTreeSet<&str> = here.names();
    let mut found = Differences::new();
    for (series, value) in &ours {
        let family = series.0.as_str();
        if theirs.contains(family) && !first.contains_key(series) && !last.contains_key(series) {
            found.insert(series.clone(), Difference::OnlyHere(*value));
        }
    }
    for (series, b) in &last {
        let Some(a) = first.get(series) else { continue };
        let family = series.0.as_str();
        let kind = after.types.get(family);
        let difference = match ours.get(series) {
            None if known.contains(family) => Some(Difference::NoRow(*b)),
            None => (*b != 0.0).then_some(Difference::NoFamily(*b)),
            Some(_) if here.types.get(family) != kind => Some(Difference::Type),
            Some(here) => beyond(*a, *here, *b, kind.is_some_and(|kind| kind == "counter")),
        };
        found.extend(difference.map(|difference| (series.clone(), difference)));
    }
    found
}

fn beyond(before: f64, here: f64, after: f64, is_counter: bool) -> Option<Difference> {
    let (low, high) = if is_counter { (before, after) } else { (before.min(after), before.max(after)) };
    // How the last digit of a number of seconds is printed.
    let digit = 1e-12 * here.abs();
    let room = digit + if is_counter { 0.0 } else { high - low };
    if low - room <= here && here <= high + room {
        return None;
    }
    Some(if is_counter {
        Difference::Counter { before, here, after }
    } else {
        Difference::Gauge { before, here, after }
    })
}

/// What stays from one round to the next; a counter is never beyond by chance.
pub fn lasting(before: Differences, now: Differences) -> Differences {
    let is_counter = |difference: &Difference| matches!(difference, Difference::Counter { .. });
    let (mut lasting, gone): (Differences, Differences) = before
        .into_iter()
        .partition(|(series, difference)| now.get(series).is_some_and(|now| now.is_like(*difference)));
    lasting.extend(gone.into_iter().filter(|(_, difference)| is_counter(difference)));
    lasting.extend(now.into_iter().filter(|(_, difference)| is_counter(difference)));
    lasting
}

#[test]
fn what_differs_is_told() {
    let page = |counter: f64, gauge: f64, more: &str| {
        Page::parse(&format!(
            "# TYPE container_c_total counter\ncontainer_c_total{{id=\"/a\",x=\"\"}} {counter}\n\
             container_c_total{{id=\"/other\"}} {counter}\n\
             # TYPE container_g gauge\ncontainer_g{{id=\"/a\"}} {gauge}\n{more}"
        ))
    };
    let (before, after) = (page(10.0, 5.0, ""), page(20.0, 3.0, "container_new{id=\"/a\"} 1\n"));
    let found = |here: &Page| -> Vec<(String, Difference)> {
        let found = differences(&before, here, &after, &["/a"]).into_iter();
        found.map(|((family, _), difference)| (family, difference)).collect()
    };
    for (counter, gauge) in [(10.0, 5.0), (20.0, 1.0), (15.0, 7.0)] {
        assert_eq!(found(&page(counter, gauge, "")), []);
    }
    let names = |counter, gauge| found(&page(counter, gauge, "")).into_iter().map(|(name, _)| name);
    for counter in [9.0, 21.0] {
        assert_eq!(names(counter, 4.0).collect::<Vec<_>>(), ["container_c_total"]);
    }
    for gauge in [0.5, 7.5] {
        assert_eq!(names(15.0, gauge).collect::<Vec<_>>(), ["container_g"]);
    }
    let odd = Page::parse(
        "# TYPE container_c_total gauge\ncontainer_c_total{id=\"/a\"} 15\n\
         # TYPE container_g gauge\ncontainer_g{id=\"/a\",x=\"y\"} 4\n",
    );
    let [(_, Difference::Type), (_, Difference::NoRow(_)), (_, Difference::OnlyHere(_))] = found(&odd)[..]
    else {
        panic!("{:?}", found(&odd));
    };
    assert_eq!(found(&Page::parse("other 1\n")).len(), 2, "families that ours lacks");

    let of = |counter: f64, gauge: f64| differences(&before, &page(counter, gauge, ""), &after, &["/a"]);
    let families = |found: Differences| found.into_keys().map(|(family, _)| family).collect::<Vec<_>>();
    assert_eq!(
        families(lasting(of(9.0, 0.0), of(15.0, 4.0))),
        ["container_c_total"],
        "a gauge may stray once"
    );
    assert_eq!(families(lasting(of(15.0, 0.0), of(9.0, 9.0))), ["container_c_total", "container_g"]);
}
