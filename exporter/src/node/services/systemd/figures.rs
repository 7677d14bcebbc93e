//! What units of some kinds count: one property each.

use super::{RESTARTS as WITH_RESTARTS, START_TIME as WITH_START_TIME, TASKS as WITH_TASKS};
use crate::metric::{Family, Value};

/// The kinds of units that are asked more than their state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `*.service`
    Service,
    /// `*.mount`
    Mount,
    /// `*.socket`
    Socket,
    /// `*.timer`
    Timer,
    /// Any other.
    Other,
}

impl Kind {
    /// By the end of the unit's name.
    pub fn of(name: &[u8]) -> Self {
        match name.rsplit(|&byte| byte == b'.').next() {
            Some(b"service") => Self::Service,
            Some(b"mount") => Self::Mount,
            Some(b"socket") => Self::Socket,
            Some(b"timer") => Self::Timer,
            _ => Self::Other,
        }
    }
}

/// How a property's number becomes a sample.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// As it is.
    Count,
    /// As it is; the largest number of all stands for none.
    CountOrNone,
    /// Microseconds, given in seconds.
    Time,
}

/// A property of units of one kind, or of all that are active.
#[derive(Debug)]
pub struct Figure {
    /// Where it is given.
    pub family: &'static Family,
    /// The flag that asks for it; `None` for what is always given.
    pub flag: Option<&'static str>,
    /// The kind of units that have it; `None` for all.
    pub kind: Option<Kind>,
    /// The interface of the property.
    pub interface: &'static str,
    /// The property.
    pub property: &'static str,
    /// How it is given.
    pub form: Form,
}

impl Figure {
    /// The sample for a property's number.
    pub fn value(&self, number: u64) -> Option<Value> {
        match self.form {
            Form::Count => Some(Value::Whole(number)),
            Form::CountOrNone => (number != u64::MAX).then_some(Value::Whole(number)),
            Form::Time => Some(Value::Float(number as f64 / 1e6)),
        }
    }
}

pub static START_TIME: Family = Family::gauge(
    "node_systemd_unit_start_time_seconds",
    "When the unit became active, in seconds since 1970; 0 if it is not.",
);
pub static TASKS_CURRENT: Family =
    Family::gauge("node_systemd_unit_tasks_current", "Tasks (processes and threads) of the service.");
pub static TASKS_MAX: Family = Family::gauge(
    "node_systemd_unit_tasks_max",
    "Tasks that the service may have at once; absent without a limit.",
);
pub static RESTARTS: Family = Family::counter(
    "node_systemd_service_restart_total",
    "Times that systemd started the service again of its own accord.",
);
pub static LAST_TRIGGER: Family = Family::gauge(
    "node_systemd_timer_last_trigger_seconds",
    "When the timer last went off, in seconds since 1970; 0 for never.",
);
pub static ACCEPTED: Family = Family::counter(
    "node_systemd_socket_accepted_connections_total",
    "Connections that the socket has taken.",
);
pub static CONNECTIONS: Family =
    Family::gauge("node_systemd_socket_current_connections", "Connections of the socket that are open.");
pub static REFUSED: Family = Family::gauge(
    "node_systemd_socket_refused_connections_total",
    "Connections that the socket has turned away, as there were too many.",
);

const UNIT: &str = "org.freedesktop.systemd1.Unit";
/// The interface of services.
pub const SERVICE: &str = "org.freedesktop.systemd1.Service";
/// The interface of mounts.
pub const MOUNT: &str = "org.freedesktop.systemd1.Mount";
const SOCKET: &str = "org.freedesktop.systemd1.Socket";
const TIMER: &str = "org.freedesktop.systemd1.Timer";

/// The place of [`START_TIME`] in [`FIGURES`].
pub const START_TIME_AT: usize = 0;
/// The places of what sockets count: each is given only if the one before is.
pub const SOCKETS_AT: std::ops::Range<usize> = 5..8;

/// Every such property.
pub static FIGURES: [Figure; 8] = [
    Figure {
        family: &START_TIME,
        flag: Some(WITH_START_TIME),
        kind: None,
        interface: UNIT,
        property: "ActiveEnterTimestamp",
        form: Form::Time,
    },
    of_service(&TASKS_CURRENT, WITH_TASKS, "TasksCurrent", Form::CountOrNone),
    of_service(&TASKS_MAX, WITH_TASKS, "TasksMax", Form::CountOrNone),
    of_service(&RESTARTS, WITH_RESTARTS, "NRestarts", Form::Count),
    Figure {
        family: &LAST_TRIGGER,
        flag: None,
        kind: Some(Kind::Timer),
        interface: TIMER,
        property: "LastTriggerUSec",
        form: Form::Time,
    },
    of_socket(&ACCEPTED, "NAccepted"),
    of_socket(&CONNECTIONS, "NConnections"),
    of_socket(&REFUSED, "NRefused"),
];

const fn of_service(
    family: &'static Family,
    flag: &'static str,
    property: &'static str,
    form: Form,
) -> Figure {
    Figure { family, flag: Some(flag), kind: Some(Kind::Service), interface: SERVICE, property, form }
}

const fn of_socket(family: &'static Family, property: &'static str) -> Figure {
    Figure { family, flag: None, kind: Some(Kind::Socket), interface: SOCKET, property, form: Form::Count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_s_kind_is_its_name_s_end() {
        for (name, kind) in [
            (&b"a.service"[..], Kind::Service),
            (b"a.mount.socket", Kind::Socket),
            (b"-.mount", Kind::Mount),
            (b"a.timer", Kind::Timer),
            (b"a.automount", Kind::Other),
            (b"\xff", Kind::Other),
            (b"", Kind::Other),
        ] {
            assert_eq!(Kind::of(name), kind, "{name:?}");
        }
    }

    #[test]
    fn the_places_are_those_of_the_table() {
        assert_eq!(FIGURES[START_TIME_AT].property, "ActiveEnterTimestamp");
        let sockets = FIGURES[SOCKETS_AT].iter().map(|figure| figure.property);
        assert_eq!(sockets.collect::<Vec<_>>(), ["NAccepted", "NConnections", "NRefused"]);
    }

    #[test]
    fn no_limit_is_no_sample() {
        assert_eq!(FIGURES[1].value(u64::MAX), None);
        assert_eq!(FIGURES[5].value(u64::MAX), Some(Value::Whole(u64::MAX)));
        assert_eq!(FIGURES[0].value(1_500_000), Some(Value::Float(1.5)));
    }
}
