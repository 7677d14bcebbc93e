//! A time server's answer, and whether it is sane.

mod flags;

use std::time::Duration;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Page},
    source::ntp::{Answer, Question, ask},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "ntp",
    on_by_default: false,
    summary: "a time server's offset, stratum and sanity",
    reads: "NTP",
    since: "2.6",
    pace: Pace::MayBlock,
    flags: &[
        Flag {
            name: SERVER,
            takes: Takes::Text { placeholder: "ADDRESS", default: "127.0.0.1" },
            help: "Server to ask",
        },
        Flag { name: PORT, takes: Takes::Text { placeholder: "PORT", default: "123" }, help: "Its port" },
        Flag {
            name: VERSION,
            takes: Takes::Text { placeholder: "NUMBER", default: "4" },
            help: "Version of the protocol: 2, 3 or 4",
        },
        Flag {
            name: IS_OURS,
            takes: Takes::Switch { default: false },
            help: "The server is yours to ask, though its address is not of the loopback",
        },
        Flag {
            name: HOPS,
            takes: Takes::Text { placeholder: "NUMBER", default: "1" },
            help: "Hops that the question may go; 0 for as many as is usual",
        },
        Flag {
            name: DISTANCE,
            takes: Takes::Text { placeholder: "TIME", default: "3.46608s" },
            help: "A sane server's greatest distance from the first clock",
        },
        Flag {
            name: TOLERANCE,
            takes: Takes::Text { placeholder: "TIME", default: "1ms" },
            help: "How far a sane server's clock may be from ours at the least",
        },
    ],
    families: &[&STRATUM, &LEAP, &ROUND_TRIP, &OFFSET, &REFERENCE, &ROOT_DELAY, &ROOT_DISPERSION, &SANITY],
    build: Ntp::build,
};

const SERVER: &str = "collector.ntp.server";
const PORT: &str = "collector.ntp.server-port";
const VERSION: &str = "collector.ntp.protocol-version";
const IS_OURS: &str = "collector.ntp.server-is-local";
const HOPS: &str = "collector.ntp.ip-ttl";
const DISTANCE: &str = "collector.ntp.max-distance";
const TOLERANCE: &str = "collector.ntp.local-offset-tolerance";

static STRATUM: Family = Family::gauge(
    "node_ntp_stratum",
    "How many servers are between this one and a first clock, itself included.",
);
static LEAP: Family = Family::gauge(
    "node_ntp_leap",
    "0 for no leap second to come, 1 for one more, 2 for one less, 3 for a clock that is not set.",
);
static ROUND_TRIP: Family =
    Family::gauge("node_ntp_rtt_seconds", "Seconds that question and answer were on their way.");
static OFFSET: Family =
    Family::gauge("node_ntp_offset_seconds", "Seconds that the server's clock is before ours.");
static REFERENCE: Family = Family::gauge(
    "node_ntp_reference_timestamp_seconds",
    "When the server's clock was set last, in seconds since 1970.",
);
static ROOT_DELAY: Family =
    Family::gauge("node_ntp_root_delay_seconds", "Seconds from the server to a first clock and back.");
static ROOT_DISPERSION: Family =
    Family::gauge("node_ntp_root_dispersion_seconds", "Seconds that the server may be wrong.");
static SANITY: Family =
    Family::gauge("node_ntp_sanity", "1 if the server's answer is sane and within the limits, else 0.");

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
const TIMEOUT: Duration = Duration::from_secs(1);
/// From here on a stratum stands for a clock that is not set.
const MOST_STRATUM: u8 = 16;
const NOT_SET: u8 = 3;
/// A clock that was not set for so long, the longest time between two questions to a server, is not fresh.
const STALE: i64 = (1 << 17) * SECOND;
/// A server that may be so wrong is of no use.
const MOST_DISPERSION: i64 = 16 * SECOND;

struct Ntp {
    question: Question,
    most_distance: i64,
    tolerance: i64,
    /// The end of the day of the leap second announced last, in nanoseconds since 1970: the announcement ends with it.
    leap_midnight: Option<i64>,
}

impl Ntp {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let flags = context.flags;
        let small = |flag, within| {
            flags::number(flags, flag, within).map(|number| u8::try_from(number).unwrap_or(u8::MAX))
        };
        let port = flags::number(flags, PORT, 1..=u16::MAX)?;
        let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        let question = Question {
            server: flags::server(SERVER, flags.text(SERVER), port, flags.is_on(IS_OURS), &hosts)?,
            version: small(VERSION, 2..=4)?,
            hops: small(HOPS, 0..=255)?,
            timeout: TIMEOUT,
        };
        let tolerance = flags::span(flags, TOLERANCE)?;
        if tolerance < 0 {
            return Err(ConfigError::flag(TOLERANCE, flags.text(TOLERANCE), "expected 0 or more"));
        }
        let most_distance = flags::span(flags, DISTANCE)?;
        Ok(Box::new(Self { question, most_distance, tolerance, leap_midnight: None }))
    }

    /// Whether a clock may be set by the answer, and the answer is within the limits.
    fn is_sane(&mut self, answer: &Answer) -> bool {
        let (time, reference) = (answer.sent.unix_nanoseconds(), answer.reference.unix_nanoseconds());
        let is_usable = (1..MOST_STRATUM).contains(&answer.stratum)
            && answer.leap != NOT_SET
            && (0..=STALE).contains(&time.saturating_sub(reference))
            && answer.root_delay / 2 + answer.root_dispersion <= MOST_DISPERSION;
        let total_delay = answer.round_trip().saturating_add(answer.root_delay);
        let distance = (total_delay / 2).saturating_add(answer.root_dispersion);
        let tolerance = self.tolerance.saturating_add(self.smear(answer.leap, time));
        is_usable && distance <= self.most_distance && answer.least_error() <= tolerance
    }

    /// Some servers spread a leap second over the day before it and the one after: so far they may then be off.
    fn smear(&mut self, leap: u8, time: i64) -> i64 {
        if leap == 1 || leap == 2 {
            self.leap_midnight = Some(time.div_euclid(DAY).saturating_add(1).saturating_mul(DAY));
        }
        let is_near = |midnight: i64| time.saturating_sub(midnight).saturating_abs() < DAY;
        if self.leap_midnight.is_some_and(is_near) { SECOND } else { 0 }
    }
}

impl Collector for Ntp {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let answer = ask(&self.question).map_err(|error| Failure::Broken(error.to_string()))?;
        page.family(&STRATUM).plain(u64::from(answer.stratum));
        page.family(&LEAP).plain(u64::from(answer.leap));
        page.family(&ROUND_TRIP).plain(seconds(answer.round_trip()));
        page.family(&OFFSET).plain(seconds(answer.offset()));
        let reference = answer.reference.unix_nanoseconds();
        // A time in 1970's first second stands for none, as in the reference.
        let reference = if reference >= SECOND { reference as f64 / 1e9 } else { 0.0 };
        page.family(&REFERENCE).plain(reference);
        page.family(&ROOT_DELAY).plain(seconds(answer.root_delay));
        page.family(&ROOT_DISPERSION).plain(seconds(answer.root_dispersion));
        page.family(&SANITY).plain(self.is_sane(&answer));
        Ok(())
    }
}

/// Whole seconds and the rest each to a float, which gives the digits that the reference has.
fn seconds(nanoseconds: i64) -> f64 {
    (nanoseconds / SECOND) as f64 + (nanoseconds % SECOND) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{
        config::{Asked, Paths, parse},
        source::ntp::{
            Fixed,
            tests::{good, question, server},
        },
    };

    fn ntp(question: Question) -> Ntp {
        Ntp { question, most_distance: 3_466_080_000, tolerance: 1_000_000, leap_midnight: None }
    }

    fn unasked() -> Ntp {
        ntp(question("127.0.0.1:9".parse().unwrap(), 1))
    }

    fn built(line: &str) -> Result<Box<dyn Collector>, String> {
        let Ok(Asked::Run(flags)) = parse(line.split_whitespace().map(str::to_owned)) else {
            panic!("{line}")
        };
        let here = || "/".into();
        let paths = Paths { procfs: here(), sysfs: here(), rootfs: here(), udev_data: here() };
        (DESCRIPTOR.build)(&Context { paths: &paths, flags: &flags }).map_err(|error| error.to_string())
    }

    fn samples(ntp: &mut Ntp) -> Vec<String> {
        let mut page = Page::default();
        ntp.collect(&mut page).unwrap();
        let text = String::from_utf8(page.text().to_vec()).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    fn has(samples: &[String], sample: &str) {
        assert!(samples.iter().any(|line| line == sample), "{sample}: {samples:?}");
    }

    #[test]
    fn an_answer_is_given() {
        let address = server(|question| Some(good(question, 0)));
        let given = samples(&mut ntp(question(address, 10_000)));
        assert_eq!(given.len(), 8);
        for sample in [
            "node_ntp_stratum 2",
            "node_ntp_leap 0",
            "node_ntp_root_delay_seconds 0.5",
            "node_ntp_root_dispersion_seconds 1.25",
            "node_ntp_sanity 1",
        ] {
            has(&given, sample);
        }
        // A clock 100 s ahead is told, and not sane.
        let address = server(|question| Some(good(question, 100)));
        let given = samples(&mut ntp(question(address, 10_000)));
        has(&given, "node_ntp_sanity 0");
        let offset = given.iter().find_map(|line| line.strip_prefix("node_ntp_offset_seconds ")).unwrap();
        assert!((offset.parse::<f64>().unwrap() - 100.0).abs() < 10.0, "{offset}");
    }

    #[test]
    fn a_server_that_wants_to_be_left_alone_is_not_sane() {
        let address = server(|question| {
            let mut answer = good(question, 0);
            answer.splice(0..24, [0; 24]);
            answer.splice(0..2, [4 << 3 | 4 | NOT_SET << 6, 0]);
            answer.splice(12..16, *b"RATE");
            Some(answer)
        });
        let given = samples(&mut ntp(question(address, 10_000)));
        for sample in [
            "node_ntp_stratum 0",
            "node_ntp_leap 3",
            "node_ntp_reference_timestamp_seconds 2.085978496e+09",
            "node_ntp_root_delay_seconds 0",
            "node_ntp_sanity 0",
        ] {
            has(&given, sample);
        }
    }

    #[test]
    fn no_answer_or_a_wrong_one_is_a_failure() {
        let silent = ntp(question(server(|_| None), 20)).collect(&mut Page::default()).unwrap_err();
        assert!(silent.to_string().contains("no answer within 20 ms"), "{silent}");
        let short = server(|question| Some(question.iter().take(40).copied().collect()));
        let mut page = Page::default();
        let failed = ntp(question(short, 10_000)).collect(&mut page).unwrap_err();
        assert!(failed.to_string().contains("cut short") && page.text().is_empty(), "{failed}");
    }

    /// An answer of 2026 that took no time.
    fn sane() -> Answer {
        let now = Fixed((2_208_988_800 + 1_780_000_000) << 32);
        let reference = Fixed(now.0 - (60 << 32));
        let (root_delay, root_dispersion) = (SECOND, SECOND);
        Answer {
            stratum: 3,
            reference,
            received: now,
            sent: now,
            asked: now,
            answered: now,
            root_delay,
            root_dispersion,
            leap: 0,
        }
    }

    #[test]
    fn what_is_wrong_is_seen() {
        let judge = |change: fn(&mut Answer)| {
            let mut answer = sane();
            change(&mut answer);
            unasked().is_sane(&answer)
        };
        assert!(judge(|_| {}));
        for (what, change) in [
            ("stratum 0", (|answer| answer.stratum = 0) as fn(&mut Answer)),
            ("stratum 16", |answer| answer.stratum = 16),
            ("not set", |answer| answer.leap = NOT_SET),
            ("stale", |answer| answer.reference.0 = answer.sent.0 - (131_073 << 32)),
            ("set in the future", |answer| answer.reference.0 = answer.sent.0 + (1 << 32)),
            ("dispersed", |answer| answer.root_dispersion = 16 * SECOND),
            ("far", |answer| answer.root_delay = 5 * SECOND),
            ("slow", |answer| answer.answered.0 += 5 << 32),
            ("ahead", |answer| {
                answer.received.0 += 1 << 24;
                answer.sent.0 += 1 << 24;
            }),
            ("behind", |answer| {
                answer.received.0 -= 1 << 24;
                answer.sent.0 -= 1 << 24;
            }),
        ] {
            assert!(!judge(change), "{what}");
        }
        assert!(judge(|answer| answer.stratum = 15));
        assert!(judge(|answer| answer.reference.0 = answer.sent.0 - (131_072 << 32)));
        assert!(judge(|answer| {
            answer.received.0 += 1 << 22;
            answer.sent.0 += 1 << 22;
        }));
    }

    #[test]
    fn a_leap_second_is_tolerated_around_its_midnight() {
        let mut ntp = unasked();
        let day = 20_000 * DAY;
        assert_eq!(ntp.smear(0, day + 5), 0);
        assert_eq!(ntp.smear(1, day + 5), SECOND);
        for (time, expected) in [
            (day - 1, 0),
            (day, 0),
            (day + 1, SECOND),
            (day + DAY, SECOND),
            (day + 2 * DAY - 1, SECOND),
            (day + 2 * DAY, 0),
        ] {
            assert_eq!(ntp.smear(0, time), expected, "{time}");
        }
        assert_eq!(ntp.smear(2, i64::MAX), SECOND);
        assert_eq!(ntp.smear(3, i64::MIN), 0);
    }

    #[test]
    fn flags_that_make_no_sense_are_refused() {
        assert!(
            built("").is_ok() && built("--collector.ntp.max-distance=-1s --collector.ntp.ip-ttl=0").is_ok()
        );
        for (flag, value) in [
            (SERVER, "192.0.2.1"),
            (SERVER, "localhost"),
            (SERVER, "127.0.0.1:99"),
            (PORT, "0"),
            (PORT, "65536"),
            (PORT, "ntp"),
            (VERSION, "1"),
            (VERSION, "5"),
            (HOPS, "256"),
            (HOPS, "-1"),
            (DISTANCE, "1x"),
            (TOLERANCE, "-1ms"),
            (TOLERANCE, "1"),
        ] {
            let error = built(&format!("--{flag}={value}")).err().unwrap();
            assert!(error.contains(flag) && error.contains(value), "{error}");
        }
    }

    #[test]
    fn seconds_have_the_reference_s_digits() {
        for (nanoseconds, expected) in
            [(1_000_000_001, 1.000_000_001), (-1_500_000_000, -1.5), (i64::MAX, 9_223_372_036.854_776)]
        {
            assert!((seconds(nanoseconds) - expected).abs() < f64::EPSILON, "{nanoseconds}");
        }
    }
}
