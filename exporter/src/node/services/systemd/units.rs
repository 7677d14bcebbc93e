//! The units: which are shown, what is asked about them, and what is kept from one scrape to the next.

use std::{collections::BTreeMap, sync::Arc};

use regex::Regex;

use super::{
    EXCLUDE, INCLUDE, OLD_EXCLUDE, OLD_INCLUDE,
    figures::{FIGURES, Kind, MOUNT, SERVICE, SOCKETS_AT, START_TIME_AT},
};
use crate::{
    config::{ConfigError, FlagValues, current, pattern},
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::{
        dbus::{Calls, Malformed, Plain, Values},
        systemd::{self, SYSTEMD},
    },
};

pub static STATE: Family =
    Family::gauge("node_systemd_unit_state", "1 for the state that the unit is in, 0 for the others.");
pub static SUMMARY: Family = Family::gauge("node_systemd_units", "Units in this state, shown or not.");

/// The states that are always given.
const STATES: [&str; 5] = ["active", "activating", "deactivating", "inactive", "failed"];
const ACTIVE: Option<usize> = Some(0);

/// A service's type changes when its file is read again, which systemd tells; or, rarely, with a service of the same
/// name that came after it. For those, each type is asked for again in one of so many scrapes.
const ROUNDS: usize = 32;
/// How many types are remembered that no unit has any more.
const SPARE_TYPES: usize = 64;

/// Which units are shown, by name.
#[derive(Debug)]
pub struct Patterns {
    include: Option<Regex>,
    exclude: Option<Regex>,
}

impl Patterns {
    /// From the flags; a pattern means the whole name.
    ///
    /// # Errors
    /// A pattern that is none, or a flag together with its old name.
    pub fn from_flags(flags: &FlagValues) -> Result<Self, ConfigError> {
        let whole = |name, old| {
            let flag = current(flags, name, Some(old))?;
            pattern(flag, &format!("^(?:{})$", flags.text(flag)))
        };
        Ok(Self { include: whole(INCLUDE, OLD_INCLUDE)?, exclude: whole(EXCLUDE, OLD_EXCLUDE)? })
    }

    fn keep(&self, name: &[u8]) -> bool {
        let name = String::from_utf8_lossy(name);
        let matches =
            |pattern: &Option<Regex>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(&name));
        matches(&self.include) && !matches(&self.exclude)
    }
}

/// The labels `state` and `type` of each state, for one type of service.
type Typed = Arc<[Labels; STATES.len()]>;

/// The units that systemd has loaded.
#[derive(Debug)]
pub struct Units {
    patterns: Patterns,
    /// Which of the figures the user asked for.
    wanted: [bool; FIGURES.len()],
    kept: Kept<Unit>,
    states: [Labels; STATES.len()],
    /// How many units are in each state, and in one that is no known state.
    summary: [u64; STATES.len()],
    other_states: BTreeMap<Vec<u8>, u64>,
    types: BTreeMap<Vec<u8>, Typed>,
    /// When systemd last read its units' files, as it said in the last scrape.
    loaded: Option<u64>,
    round: usize,
    answers: Vec<Answer>,
}

#[derive(Debug)]
struct Unit {
    name: Labels,
    kind: Kind,
    is_named: bool,
    is_shown: bool,
    object: Vec<u8>,
    state: Option<usize>,
    sub_state: Vec<u8>,
    /// Whether its type is known and nothing tells that it changed.
    is_typed: bool,
    typed: Typed,
    figures: [Option<u64>; FIGURES.len()],
}

/// What is asked about a unit.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Type,
    Figure(usize),
}

#[derive(Clone, Debug)]
enum Answer {
    None,
    Text(Vec<u8>),
    Whole(u64),
}

impl Units {
    /// No units yet.
    pub fn new(patterns: Patterns, wanted: [bool; FIGURES.len()]) -> Self {
        Self {
            patterns,
            wanted,
            kept: Kept::default(),
            states: STATES.map(|state| Labels::new([("state", state)])),
            summary: [0; STATES.len()],
            other_states: BTreeMap::new(),
            types: BTreeMap::new(),
            loaded: None,
            round: 0,
            answers: Vec::new(),
        }
    }

    /// Takes in systemd's list.
    ///
    /// # Errors
    /// It is no such list.
    pub fn list(&mut self, answer: Values<'_>) -> Result<(), Malformed> {
        self.kept.begin();
        self.summary = [0; STATES.len()];
        self.other_states.clear();
        let no_type = typed(&mut self.types, b"");
        systemd::units(answer, |listed| {
            let state = STATES.iter().position(|state| state.as_bytes() == listed.active_state);
            match state.and_then(|state| self.summary.get_mut(state)) {
                Some(count) => *count += 1,
                None => *self.other_states.entry(listed.active_state.to_vec()).or_default() += 1,
            }
            let make = || Unit::new(listed.name, self.patterns.keep(listed.name), &no_type);
            if let Some(unit) = self.kept.meet(listed.name, make) {
                unit.update(&listed, state);
            }
        })?;
        self.kept.end();
        Ok(())
    }

    /// Adds what has to be asked about the units. `loaded` is when systemd last read their files, if it tells.
    pub fn questions(&mut self, loaded: Option<u64>, has_timers: bool, calls: &mut Calls) {
        let is_current = loaded.is_some() && loaded == self.loaded;
        (self.loaded, self.round) = (loaded, (self.round + 1) % ROUNDS);
        for (place, unit) in self.kept.items_mut().enumerate() {
            unit.is_typed &= is_current && unit.kind == Kind::Service && place % ROUNDS != self.round;
            for ask in asks(unit, self.wanted, has_timers) {
                let (interface, property) = match ask {
                    Ask::Type if unit.kind == Kind::Mount => (MOUNT, "Type"),
                    Ask::Type => (SERVICE, "Type"),
                    Ask::Figure(place) => {
                        FIGURES.get(place).map_or((SERVICE, ""), |f| (f.interface, f.property))
                    }
                };
                calls.property(SYSTEMD, &unit.object, interface, property);
            }
        }
        self.answers.clear();
        self.answers.resize(calls.len(), Answer::None);
    }

    /// Takes in the answer to the question at that place.
    pub fn answer(&mut self, place: usize, answer: Option<Plain<'_>>) {
        if let Some(known) = self.answers.get_mut(place) {
            *known = match answer {
                Some(Plain::Text(text)) => Answer::Text(text.to_vec()),
                Some(Plain::Whole(number)) => Answer::Whole(number),
                _ => Answer::None,
            };
        }
    }

    /// Gives each unit its answers.
    pub fn settle(&mut self, has_timers: bool) {
        let mut answers = self.answers.drain(..);
        for unit in self.kept.items_mut() {
            unit.figures = [None; FIGURES.len()];
            for ask in asks(unit, self.wanted, has_timers) {
                match (ask, answers.next().unwrap_or(Answer::None)) {
                    (Ask::Type, Answer::Text(text)) => {
                        (unit.typed, unit.is_typed) = (typed(&mut self.types, &text), true);
                    }
                    (Ask::Type, _) => unit.typed = typed(&mut self.types, b""),
                    (Ask::Figure(place), Answer::Whole(number)) => {
                        if let Some(figure) = unit.figures.get_mut(place) {
                            *figure = Some(number);
                        }
                    }
                    _ => {}
                }
            }
            unit.complete();
        }
    }

    /// Writes how many units are in each state.
    pub fn write_summary(&self, page: &mut Page) {
        let mut samples = page.family(&SUMMARY);
        for (labels, &count) in self.states.iter().zip(&self.summary) {
            samples.sample(labels, count);
        }
        for (state, &count) in &self.other_states {
            samples.sample(&Labels::new([("state", state)]), count);
        }
    }

    /// Writes the units' states and figures.
    pub fn write(&self, page: &mut Page) {
        let shown = || self.kept.items().filter(|unit| unit.is_shown);
        let mut samples = page.family(&STATE);
        for unit in shown() {
            for (state, labels) in unit.typed.iter().enumerate() {
                samples.joined(&unit.name, labels, unit.state == Some(state));
            }
        }
        for (place, figure) in
            FIGURES.iter().enumerate().filter(|&(place, _)| self.wanted.get(place) == Some(&true))
        {
            let mut samples = page.family(figure.family);
            for unit in shown() {
                let number = unit.figures.get(place).copied().flatten();
                if let Some(value) = number.and_then(|number| figure.value(number)) {
                    samples.sample(&unit.name, value);
                }
            }
        }
    }
}

impl Unit {
    fn new(name: &[u8], is_named: bool, typed: &Typed) -> Self {
        Self {
            name: Labels::new([("name", name)]),
            kind: Kind::of(name),
            is_named,
            is_shown: false,
            object: Vec::new(),
            state: None,
            sub_state: Vec::new(),
            is_typed: false,
            typed: Arc::clone(typed),
            figures: [None; FIGURES.len()],
        }
    }

    fn update(&mut self, listed: &systemd::Unit<'_>, state: Option<usize>) {
        self.is_shown = self.is_named && listed.load_state == b"loaded";
        if self.state != state || self.sub_state != listed.sub_state || self.object != listed.object {
            self.is_typed = false;
            self.state = state;
            for (kept, new) in [(&mut self.sub_state, listed.sub_state), (&mut self.object, listed.object)] {
                kept.clear();
                kept.extend_from_slice(new);
            }
        }
    }

    /// What follows from the answers.
    fn complete(&mut self) {
        // One that is not active is not asked when it became so.
        if self.state != ACTIVE
            && let Some(start) = self.figures.get_mut(START_TIME_AT)
        {
            *start = Some(0);
        }
        let mut is_given = true;
        for figure in self.figures.get_mut(SOCKETS_AT).into_iter().flatten() {
            is_given &= figure.is_some();
            *figure = figure.filter(|_| is_given);
        }
    }
}

/// What is asked about a unit; the same in its questions and in its answers.
fn asks(unit: &Unit, wanted: [bool; FIGURES.len()], has_timers: bool) -> impl Iterator<Item = Ask> + use<> {
    let (is_shown, kind, is_active) = (unit.is_shown, unit.kind, unit.state == ACTIVE);
    let has_type = kind == Kind::Service || kind == Kind::Mount;
    let of_type = (is_shown && has_type && !unit.is_typed).then_some(Ask::Type);
    let of_figures = FIGURES.iter().zip(wanted).enumerate().filter(move |&(_, (figure, wanted))| {
        let has = figure.kind.map_or(is_active, |of| of == kind && (of != Kind::Timer || has_timers));
        is_shown && wanted && has
    });
    of_type.into_iter().chain(of_figures.map(|(place, _)| Ask::Figure(place)))
}

fn typed(types: &mut BTreeMap<Vec<u8>, Typed>, name: &[u8]) -> Typed {
    if let Some(typed) = types.get(name) {
        return Arc::clone(typed);
    }
    if types.len() >= SPARE_TYPES {
        types.retain(|_, typed| Arc::strong_count(typed) > 1);
    }
    let labels = STATES.map(|state| Labels::new([("state", state.as_bytes()), ("type", name)]));
    Arc::clone(types.entry(name.to_vec()).or_insert(Arc::new(labels)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Asked, parse};

    fn patterns(line: &str) -> Result<Patterns, String> {
        let Ok(Asked::Run(flags)) = parse(line.split_whitespace().map(str::to_owned)) else {
            return Err("is no command line".to_owned());
        };
        Patterns::from_flags(&flags).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pattern_means_the_whole_name() {
        let keeps = |line: &str, name: &[u8]| patterns(line).expect(line).keep(name);
        assert!(keeps("", b"a.service") && keeps("", b"a.target") && keeps("", b"a\xff.timer"));
        assert!(!keeps("", b"a.mount") && !keeps("", b"dev-a.device") && keeps("", b"a.mount.service"));
        assert!(!keeps("--collector.systemd.unit-include=a", b"a.service"));
        assert!(keeps("--collector.systemd.unit-include=a.*|b", b"a.service"));
        assert!(!keeps("--collector.systemd.unit-include=a.*|b", b"b.service"));
        assert!(!keeps("--collector.systemd.unit-include=", b"a.service"));
        assert!(keeps("--collector.systemd.unit-exclude=", b"a.mount"));
        assert!(keeps(
            "--collector.systemd.unit-whitelist=.*t --collector.systemd.unit-blacklist=x",
            b"a.target"
        ));
        assert!(!keeps(
            "--collector.systemd.unit-whitelist=.*t --collector.systemd.unit-blacklist=a.*",
            b"a.target"
        ));
    }

    #[test]
    fn patterns_that_cannot_be_are_refused_by_their_flag() {
        for line in [
            "--collector.systemd.unit-include=(",
            "--collector.systemd.unit-blacklist=[",
            "--collector.systemd.unit-include=a --collector.systemd.unit-whitelist=a",
        ] {
            let error = patterns(line).expect_err(line);
            assert!(error.contains("--collector.systemd.unit-"), "{error}");
        }
    }

    fn unit(name: &str, state: Option<usize>) -> Unit {
        let mut unit = Unit::new(name.as_bytes(), true, &typed(&mut BTreeMap::new(), b""));
        (unit.is_shown, unit.state) = (true, state);
        unit
    }

    #[test]
    fn a_unit_is_asked_what_its_kind_has() {
        let count = |unit: &Unit, wanted, has_timers| asks(unit, wanted, has_timers).count();
        let (all, few) = ([true; FIGURES.len()], FIGURES.each_ref().map(|figure| figure.flag.is_none()));
        assert_eq!(count(&unit("a.service", ACTIVE), all, true), 5);
        assert_eq!(count(&unit("a.service", Some(3)), all, true), 4, "one that is not active has no start");
        assert_eq!(count(&unit("a.service", ACTIVE), few, true), 1);
        assert_eq!(count(&unit("a.socket", ACTIVE), few, true), 3);
        assert_eq!(count(&unit("a.timer", None), few, true), 1);
        assert_eq!(count(&unit("a.timer", None), few, false), 0, "old systemd has no last run");
        assert_eq!(count(&unit("a.mount", ACTIVE), few, true), 1);
        let mut hidden = unit("a.service", ACTIVE);
        hidden.is_shown = false;
        assert_eq!(count(&hidden, all, true), 0);
    }

    #[test]
    fn a_socket_s_numbers_need_those_before() {
        let mut socket = unit("a.socket", Some(3));
        socket.figures = [Some(1), None, None, None, None, Some(1), None, Some(1)];
        socket.complete();
        assert_eq!(socket.figures, [Some(0), None, None, None, None, Some(1), None, None]);
    }

    #[test]
    fn types_that_nobody_has_are_forgotten() {
        let mut types = BTreeMap::new();
        let held = typed(&mut types, b"simple");
        assert_eq!(held[0].text(), br#"state="active",type="simple""#);
        for number in 0..1000 {
            typed(&mut types, format!("type-{number}").as_bytes());
        }
        assert!(types.len() <= SPARE_TYPES && types.contains_key(&b"simple"[..]));
    }
}
