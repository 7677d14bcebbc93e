//! Services under runit: the state each is in, and the one it should be in.

use std::{os::unix::ffi::OsStrExt, path::PathBuf};

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Labels, Page, Value},
    node::kept::Kept,
    source::{
        file::ReadError,
        folder::{Folder, names},
        runit::{self, Status},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "runit",
    on_by_default: false,
    summary: "state of runit's services",
    reads: "/etc/service/*/supervise/status",
    since: "2.6",
    // Services lie on a disk.
    pace: Pace::MayBlock,
    flags: &[Flag {
        name: FOLDER,
        takes: Takes::Text { placeholder: "FOLDER", default: "/etc/service" },
        help: "Where runit's services are",
    }],
    families: &[&STATE, &DESIRED_STATE, &NORMAL_STATE, &CHANGED],
    build: Runit::build,
};

const FOLDER: &str = "collector.runit.servicedir";

static STATE: Family =
    Family::gauge("node_service_state", "0 if the service is down, 1 if up, 2 if it finishes.");
static DESIRED_STATE: Family =
    Family::gauge("node_service_desired_state", "1 if the service should be up now, 0 if down.");
static NORMAL_STATE: Family =
    Family::gauge("node_service_normal_state", "1 if the service is to be up from the start, 0 if not.");
static CHANGED: Family = Family::gauge(
    "node_service_state_last_change_timestamp_seconds",
    "When the service's state last changed, in seconds since 1970.",
);

struct Runit {
    folder: PathBuf,
    services: Kept<Service>,
}

struct Service {
    labels: Labels,
    status: Option<Status>,
    is_normally_up: bool,
}

impl Runit {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        // An empty flag means the default, as the reference has it.
        let folder = Some(context.flags.text(FOLDER)).filter(|folder| !folder.is_empty());
        Ok(Box::new(Self { folder: folder.unwrap_or("/etc/service").into(), services: Kept::default() }))
    }
}

impl Collector for Runit {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        Folder::open(&self.folder).map_err(ReadError::or_absent)?;
        self.services.begin();
        for name in names(&self.folder)? {
            let make = || Service {
                labels: Labels::new([("service", name.as_bytes()), ("supervisor", b"runit")]),
                status: None,
                is_normally_up: false,
            };
            if let Some(service) = self.services.meet(name.as_bytes(), make) {
                let supervise = self.folder.join(&name).join("supervise");
                // One that is not supervised, or that we may not look at, is left out.
                service.status = runit::read(&supervise.join("status")).ok().flatten();
                // (runit itself looks one folder above for this file. The reference does not.)
                service.is_normally_up = std::fs::metadata(supervise.join("down")).is_err();
            }
        }
        self.services.end();
        for (family, value) in [
            (&STATE, (|_, status| Value::Whole(status.state.into())) as fn(&Service, Status) -> Value),
            (&DESIRED_STATE, |_, status| status.is_wanted_up.into()),
            (&NORMAL_STATE, |service, _| service.is_normally_up.into()),
            (&CHANGED, |_, status| Value::Float(status.changed as f64)),
        ] {
            let mut samples = page.family(family);
            for service in self.services.items() {
                if let Some(status) = service.status {
                    samples.sample(&service.labels, value(service, status));
                }
            }
        }
        Ok(())
    }
}
