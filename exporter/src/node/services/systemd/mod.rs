//! systemd: the state of its units, and what some kinds of them count.

mod figures;
mod units;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        dbus::{self, Calls, Client, Plain, Reply},
        systemd::{self, SYSTEMD, SYSTEMD_MANAGER, SYSTEMD_OBJECT},
    },
};
use figures::FIGURES;
use units::{Patterns, Units};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "systemd",
    on_by_default: false,
    summary: "states of systemd's units, connections of sockets, last runs of timers",
    reads: "D-Bus: org.freedesktop.systemd1",
    since: "2.6",
    pace: Pace::MayBlock,
    flags: &FLAGS,
    families: &[
        &figures::START_TIME,
        &figures::TASKS_CURRENT,
        &figures::TASKS_MAX,
        &figures::RESTARTS,
        &figures::LAST_TRIGGER,
        &figures::ACCEPTED,
        &figures::CONNECTIONS,
        &figures::REFUSED,
        &units::STATE,
        &units::SUMMARY,
        &VERSION,
        &VIRTUALIZATION,
        &RUNNING,
    ],
    build: Systemd::build,
};

const INCLUDE: &str = "collector.systemd.unit-include";
const EXCLUDE: &str = "collector.systemd.unit-exclude";
const OLD_INCLUDE: &str = "collector.systemd.unit-whitelist";
const OLD_EXCLUDE: &str = "collector.systemd.unit-blacklist";
const PRIVATE: &str = "collector.systemd.private";
const TASKS: &str = "collector.systemd.enable-task-metrics";
const RESTARTS: &str = "collector.systemd.enable-restarts-metrics";
const START_TIME: &str = "collector.systemd.enable-start-time-metrics";

static FLAGS: [Flag; 8] = [
    Flag {
        name: INCLUDE,
        takes: Takes::Text { placeholder: "REGEX", default: ".+" },
        help: "Only units whose whole name matches",
    },
    Flag {
        name: EXCLUDE,
        takes: Takes::Text { placeholder: "REGEX", default: r".+\.(automount|device|mount|scope|slice)" },
        help: "No units whose whole name matches",
    },
    Flag {
        name: OLD_INCLUDE,
        takes: Takes::Text { placeholder: "REGEX", default: "" },
        help: "Old name of --collector.systemd.unit-include",
    },
    Flag {
        name: OLD_EXCLUDE,
        takes: Takes::Text { placeholder: "REGEX", default: "" },
        help: "Old name of --collector.systemd.unit-exclude",
    },
    Flag {
        name: PRIVATE,
        takes: Takes::Switch { default: false },
        help: "Ask systemd over its own socket, not over the bus; needs root",
    },
    Flag { name: TASKS, takes: Takes::Switch { default: false }, help: "Tasks of services, and their limit" },
    Flag { name: RESTARTS, takes: Takes::Switch { default: false }, help: "Restarts of services" },
    Flag { name: START_TIME, takes: Takes::Switch { default: false }, help: "When units became active" },
];

static VERSION: Family =
    Family::gauge("node_systemd_version", "The number in systemd's version; the label has it in full.");
static VIRTUALIZATION: Family = Family::gauge(
    "node_systemd_virtualization_info",
    "1, with what systemd takes this machine for: none, kvm, docker and others.",
);
static RUNNING: Family = Family::gauge(
    "node_systemd_system_running",
    "1 if systemd has started all and nothing has failed (running), else 0.",
);

/// Before this version there is neither the system's state nor a timer's last run.
const STATES_SINCE: f64 = 212.0;

/// The questions about systemd as a whole, in this order, and the list of units behind them.
const PROPERTIES: [&str; 4] = ["Version", "Virtualization", "SystemState", "UnitsLoadTimestampMonotonic"];

struct Systemd {
    client: Client,
    calls: Calls,
    units: Units,
}

/// What systemd says of itself.
#[derive(Debug, Default)]
struct Manager {
    version: Vec<u8>,
    virtualization: Option<Vec<u8>>,
    is_running: Option<bool>,
    /// When it last read its units' files; since version 250.
    loaded: Option<u64>,
    /// The error with which it refused to list its units.
    refused: Option<Vec<u8>>,
}

impl Manager {
    fn take(&mut self, property: usize, value: Option<Plain<'_>>) {
        let Some(value) = value else { return };
        match (property, value) {
            (0, Plain::Text(version)) => self.version = version.to_vec(),
            (1, Plain::Text(kind)) => self.virtualization = Some(kind.to_vec()),
            (2, Plain::Text(state)) => self.is_running = Some(state == b"running"),
            (3, Plain::Whole(time)) => self.loaded = Some(time),
            _ => {}
        }
    }

    /// Writes version and virtualization; gives the version's number, 0 if there is none.
    fn write(&self, page: &mut Page) -> f64 {
        // One without a number is not shown at all, as the reference has it.
        let (number, version) = systemd::version_number(&self.version)
            .map_or((0.0, &b""[..]), |number| (number, self.version.as_slice()));
        page.family(&VERSION).sample(&Labels::new([("version", version)]), number);
        let kind = match self.virtualization.as_deref() {
            None => &b"unknown"[..],
            Some(b"") => b"none",
            Some(kind) => kind,
        };
        page.family(&VIRTUALIZATION).sample(&Labels::new([("virtualization_type", kind)]), true);
        number
    }
}

impl Systemd {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let flags = context.flags;
        let patterns = Patterns::from_flags(flags)?;
        let wanted = FIGURES.each_ref().map(|figure| figure.flag.is_none_or(|flag| flags.is_on(flag)));
        let client = Client::systemd(&context.paths.rootfs, flags.is_on(PRIVATE));
        Ok(Box::new(Self { client, calls: Calls::default(), units: Units::new(patterns, wanted) }))
    }

    /// Asks systemd about itself and for its units, in one go.
    fn ask_manager(&mut self) -> Result<Manager, dbus::Error> {
        self.calls.clear();
        for property in PROPERTIES {
            self.calls.property(SYSTEMD, SYSTEMD_OBJECT, SYSTEMD_MANAGER, property);
        }
        self.calls.method(SYSTEMD, SYSTEMD_OBJECT, SYSTEMD_MANAGER, "ListUnits", &[]);
        let mut manager = Manager::default();
        let units = &mut self.units;
        self.client.ask(&mut self.calls, |place, reply| {
            match reply {
                reply if place < PROPERTIES.len() => manager.take(place, reply.property()),
                Reply::Values(list) => units.list(list)?,
                Reply::Refused(error) => manager.refused = Some(error.to_vec()),
            }
            Ok(())
        })?;
        Ok(manager)
    }

    /// Asks about the units what their list does not tell.
    fn ask_units(&mut self, loaded: Option<u64>, has_timers: bool) -> Result<(), dbus::Error> {
        self.calls.clear();
        self.units.questions(loaded, has_timers, &mut self.calls);
        let units = &mut self.units;
        self.client.ask(&mut self.calls, |place, reply| {
            units.answer(place, reply.property());
            Ok(())
        })?;
        self.units.settle(has_timers);
        Ok(())
    }
}

impl Collector for Systemd {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.client.begin()?;
        let manager = self.ask_manager()?;
        let has_states = manager.write(page) >= STATES_SINCE;
        if let Some(error) = manager.refused {
            return Err(refused(SYSTEMD, &error));
        }
        self.units.write_summary(page);
        self.ask_units(manager.loaded, has_states)?;
        self.units.write(page);
        match manager.is_running.filter(|_| has_states) {
            Some(is_running) => page.family(&RUNNING).plain(is_running),
            None if has_states => return Err(Failure::Broken(format!("{SYSTEMD}: does not tell its state"))),
            None => {}
        }
        Ok(())
    }
}

/// A peer on the bus that refused a call, or is not there at all.
pub fn refused(peer: &str, error: &[u8]) -> Failure {
    let message = format!("{peer}: {}", String::from_utf8_lossy(error));
    match error {
        b"org.freedesktop.DBus.Error.ServiceUnknown" | b"org.freedesktop.DBus.Error.NameHasNoOwner" => {
            Failure::absent(message)
        }
        _ => Failure::Broken(message),
    }
}
