//! A metric family: its name, type and help.

/// The type of a family, as its TYPE line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows, save at a restart of what it counts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// The reference leaves the type open, so we do too.
    Untyped,
}

impl Kind {
    /// The word of the TYPE line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Untyped => "untyped",
        }
    }
}

/// One family. Name and help are written as they are: they hold neither backslash nor newline, which
/// a test asserts for every family a collector declares.
#[derive(Debug)]
pub struct Family {
    /// The full name, `node_load1`.
    pub name: &'static str,
    /// The TYPE line's word.
    pub kind: Kind,
    /// One sentence in our own words, with the unit.
    pub help: &'static str,
}

impl Family {
    /// A counter.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, help }
    }

    /// A gauge.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, help }
    }

    /// A family without a type.
    pub const fn untyped(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Untyped, help }
    }
}
