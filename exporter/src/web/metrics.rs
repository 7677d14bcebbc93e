//! What the server says of itself, under the reference's names.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The server's own metrics; clones share their figures.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    in_flight: IntGauge,
    gathering: IntCounter,
    encoding: IntCounter,
    compression: Gauge,
}

impl HttpMetrics {
    /// Makes the families and registers them.
    ///
    /// # Errors
    /// A name that the registry has already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "promhttp_metric_handler_requests_total",
                "Answers on the metrics path by HTTP status code.",
            ),
            &["code"],
        )?;
        for code in ["200", "500", "503"] {
            requests.get_metric_with_label_values(&[code])?;
        }
        let in_flight = IntGauge::new(
            "promhttp_metric_handler_requests_in_flight",
            "Requests on the metrics path that are being answered now.",
        )?;
        let errors = IntCounterVec::new(
            Opts::new(
                "promhttp_metric_handler_errors_total",
                "Faults within the exporter while a page was made, by the step that met them.",
            ),
            &["cause"],
        )?;
        let gathering = errors.get_metric_with_label_values(&["gathering"])?;
        let encoding = errors.get_metric_with_label_values(&["encoding"])?;
        let compression = Gauge::new(
            "nodetally_compression_duration_seconds",
            "Seconds that the last compression of a page took, 0 before the first.",
        )?;
        registry.register(Box::new(compression.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(errors))?;
        Ok(Self { requests, in_flight, gathering, encoding, compression })
    }

    /// Counts faults of gathering: families that were dropped because the page had them already.
    pub fn gathering_faults(&self) -> IntCounter {
        self.gathering.clone()
    }

    pub(super) fn encoding_failed(&self) {
        self.encoding.inc();
    }

    pub(super) fn compressed_in(&self, time: std::time::Duration) {
        self.compression.set(time.as_secs_f64());
    }

    pub(super) fn answered(&self, code: &str) {
        // One label is given for one label name, so this cannot fail.
        if let Ok(counter) = self.requests.get_metric_with_label_values(&[code]) {
            counter.inc();
        }
    }

    /// Counts a request in; it is counted out when the guard goes.
    pub(super) fn enter(&self) -> Inside {
        self.in_flight.inc();
        Inside { in_flight: self.in_flight.clone() }
    }
}

/// One request that is being answered.
pub(super) struct Inside {
    in_flight: IntGauge,
}

impl Inside {
    /// How many there are, this one included.
    pub(super) fn count(&self) -> usize {
        usize::try_from(self.in_flight.get()).unwrap_or(0)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}
