//! What the exporter says of itself.

mod process;
mod standing;

use std::time::Duration;

use prometheus::{Encoder, Gauge, GaugeVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

use self::process::Process;
pub use self::standing::standing;
use crate::{config::Part, metric::Page};

/// How long the parts of a scrape took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stages {
    /// The quick node collectors.
    pub node: Duration,
    /// Containers.
    pub container: Duration,
    /// Waiting for collectors that may block.
    pub wait: Duration,
}

/// The exporter's own families.
#[derive(Debug)]
pub struct Own {
    registry: Registry,
    stages: [Gauge; 3],
    dropped: IntCounter,
    answers: [IntCounter; 2],
    process: Option<Process>,
    text: Vec<u8>,
}

impl Own {
    /// Registers the exporter's own families beside those that are in the registry already. `dropped` counts
    /// families that a page had already; `process`: whether process_* are shown.
    ///
    /// # Errors
    /// Two families of one name.
    pub fn new(registry: Registry, dropped: IntCounter, process: bool) -> Result<Self, prometheus::Error> {
        for build in builds() {
            let build = Gauge::with_opts(build)?;
            build.set(1.0);
            registry.register(Box::new(build))?;
        }
        let stages = GaugeVec::new(
            Opts::new(
                "nodetally_scrape_stage_duration_seconds",
                "Seconds that this part of the scrape took.",
            ),
            &["stage"],
        )?;
        registry.register(Box::new(stages.clone()))?;
        let answers = IntCounterVec::new(
            Opts::new(
                "nodetally_answers_total",
                "Answers, by whether the figures were read for it or shared with another request.",
            ),
            &["figures"],
        )?;
        registry.register(Box::new(answers.clone()))?;
        Ok(Self {
            registry,
            answers: ["read", "shared"].map(|figures| answers.with_label_values(&[figures])),
            stages: ["node", "container", "wait"].map(|stage| stages.with_label_values(&[stage])),
            dropped,
            process: process.then(Process::new),
            text: Vec::new(),
        })
    }

    /// Counts what was dropped from a page that is ready: the next one tells of it.
    pub fn count_dropped(&self, page: &Page) {
        self.dropped.inc_by(page.dropped());
    }

    /// Counts an answer.
    pub fn count_answer(&self, is_shared: bool) {
        let [read, shared] = &self.answers;
        if is_shared { shared.inc() } else { read.inc() }
    }

    /// Writes those that go with this part.
    pub fn write(&mut self, part: Part, stages: &Stages, page: &mut Page) {
        for (gauge, took) in self.stages.iter().zip([stages.node, stages.container, stages.wait]) {
            gauge.set(took.as_secs_f64());
        }
        if let Some(process) = &mut self.process {
            process.write(page);
        }
        let encoder = TextEncoder::new();
        for family in self.registry.gather() {
            // By these a dashboard takes whoever gives them for node_exporter.
            if part == Part::Containers
                && ["node_", "promhttp_"].iter().any(|of| family.name().starts_with(of))
            {
                continue;
            }
            self.text.clear();
            if encoder.encode(&[family], &mut self.text).is_ok() {
                page.section(&self.text);
            }
        }
    }
}

/// What runs: by our name, and by the reference's, which dashboards find their hosts by.
fn builds() -> [Opts; 2] {
    let version = env!("CARGO_PKG_VERSION");
    let reference = "1, with the version of nodetally, which stands in for node_exporter.";
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let mut stock = Opts::new("node_exporter_build_info", reference)
        .const_label("goarch", architecture)
        .const_label("goos", "linux")
        .const_label("version", version);
    for unknown in ["branch", "goversion", "revision", "tags"] {
        stock = stock.const_label(unknown, "");
    }
    [
        Opts::new("nodetally_build_info", "1, with the version that runs.").const_label("version", version),
        stock,
    ]
}
