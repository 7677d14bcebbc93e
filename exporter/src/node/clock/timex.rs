//! How the kernel's clock is kept right.

use std::io;

use rustix::io::Errno;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Page},
    source::clock,
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "timex",
    on_by_default: true,
    summary: "how the clock is kept right: offset, error, frequency, pulse per second",
    reads: "adjtimex(2)",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Timex::build,
};

const FIGURES: usize = 17;

static FAMILIES: [Family; FIGURES] = [
    Family::gauge("node_timex_sync_status", "1 while the clock is synchronized with a reliable one, else 0."),
    Family::gauge("node_timex_offset_seconds", "How far the clock still has to be moved, in seconds."),
    Family::gauge(
        "node_timex_frequency_adjustment_ratio",
        "What the clock's speed is multiplied with; 1 leaves it as it is.",
    ),
    Family::gauge("node_timex_maxerror_seconds", "How wrong the clock may be at most, in seconds."),
    Family::gauge("node_timex_estimated_error_seconds", "How wrong the clock is likely to be, in seconds."),
    Family::gauge("node_timex_status", "The clock's state as the kernel has it: bits STA_* of adjtimex(2)."),
    Family::gauge(
        "node_timex_loop_time_constant",
        "How slowly the clock is steered: the binary logarithm of a time constant.",
    ),
    Family::gauge(
        "node_timex_tick_seconds",
        "Seconds that the clock moves on at a tick of the kernel's timer.",
    ),
    Family::gauge(
        "node_timex_pps_frequency_hertz",
        "The clock's speed measured by pulse per second, in hertz.",
    ),
    Family::gauge("node_timex_pps_jitter_seconds", "How unsteadily pulses per second come, in seconds."),
    Family::gauge(
        "node_timex_pps_shift_seconds",
        "How long pulses per second are watched at a time: the binary logarithm of seconds.",
    ),
    Family::gauge(
        "node_timex_pps_stability_hertz",
        "How unsteady the speed measured by pulse per second is, in hertz.",
    ),
    Family::counter("node_timex_pps_jitter_total", "Pulses per second that came too unsteadily."),
    Family::counter(
        "node_timex_pps_calibration_total",
        "Times that the speed was measured by pulse per second.",
    ),
    Family::counter("node_timex_pps_error_total", "Measurements by pulse per second that failed."),
    Family::counter(
        "node_timex_pps_stability_exceeded_total",
        "Measurements by pulse per second that were too unsteady.",
    ),
    Family::gauge("node_timex_tai_offset_seconds", "How far atomic time is ahead of UTC, in seconds."),
];

static EVERY_FAMILY: [&Family; FIGURES] = Family::each(&FAMILIES);

const MICROS: f64 = 1e6;
const NANOS: f64 = 1e9;
/// The kernel gives speeds in parts per million, with 16 bits behind the point.
const FREQUENCY: f64 = 1e6 * 65536.0;

struct Timex;

impl Timex {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(_: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self))
    }
}

impl Collector for Timex {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let (timex, is_synchronized) = clock::discipline().map_err(|error| refused(&error))?;
        for (family, value) in FAMILIES.iter().zip(figures(&timex, is_synchronized)) {
            page.family(family).plain(value);
        }
        Ok(())
    }
}

/// A sandbox that hides the clock has none, as far as we are concerned.
fn refused(error: &io::Error) -> Failure {
    let message = format!("adjtimex: {error}");
    if matches!(Errno::from_io_error(error), Some(Errno::PERM | Errno::ACCESS)) {
        Failure::absent(message)
    } else {
        Failure::Broken(message)
    }
}

/// The values of [`FAMILIES`].
fn figures(timex: &libc::timex, is_synchronized: bool) -> [f64; FIGURES] {
    let fine = if timex.status & libc::STA_NANO == 0 { MICROS } else { NANOS };
    [
        f64::from(u8::from(is_synchronized)),
        timex.offset as f64 / fine,
        1.0 + timex.freq as f64 / FREQUENCY,
        timex.maxerror as f64 / MICROS,
        timex.esterror as f64 / MICROS,
        f64::from(timex.status),
        timex.constant as f64,
        timex.tick as f64 / MICROS,
        timex.ppsfreq as f64 / FREQUENCY,
        timex.jitter as f64 / fine,
        f64::from(timex.shift),
        timex.stabil as f64 / FREQUENCY,
        timex.jitcnt as f64,
        timex.calcnt as f64,
        timex.errcnt as f64,
        timex.stbcnt as f64,
        f64::from(timex.tai),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_the_kernel_s_resolution() {
        let (mut timex, _) = clock::discipline().expect("may be asked by anybody");
        (timex.offset, timex.jitter, timex.freq, timex.tick) = (-1500, 2, -65536, 10_000);
        let mut value = |status, name: &str| {
            timex.status = status;
            let index = FAMILIES.iter().position(|family| family.name == name).expect("is a family");
            figures(&timex, false)[index].to_string()
        };
        assert_eq!(value(0, "node_timex_offset_seconds"), "-0.0015");
        assert_eq!(value(libc::STA_NANO, "node_timex_offset_seconds"), "-0.0000015");
        assert_eq!(value(0, "node_timex_pps_jitter_seconds"), "0.000002");
        assert_eq!(value(0, "node_timex_frequency_adjustment_ratio"), "0.999999");
        assert_eq!(value(0, "node_timex_tick_seconds"), "0.01");
        assert_eq!(value(libc::STA_NANO, "node_timex_status"), "8192");
        assert_eq!(value(0, "node_timex_sync_status"), "0");
    }

    #[test]
    fn a_clock_that_may_not_be_asked_is_absent() {
        assert!(matches!(refused(&Errno::PERM.into()), Failure::Absent(_)));
        assert!(matches!(refused(&Errno::NOSYS.into()), Failure::Broken(_)));
    }
}
