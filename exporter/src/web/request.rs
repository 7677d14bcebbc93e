//! What a request asks for: filters, text escaping, compression, time. Bytes in, plain values out.

use std::time::Duration;

use hyper::{
    HeaderMap,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderName},
};

const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
const DEFAULT_BUDGET: Duration = Duration::from_secs(5);
/// More than any scrape interval in use; it keeps times far away from their overflow.
const LONGEST_SECONDS: f64 = 600.0;

/// The collectors that a request names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filters {
    /// `collect[]`.
    pub collect: Vec<String>,
    /// `exclude[]`.
    pub exclude: Vec<String>,
}

impl Filters {
    /// Reads a query. Other keys are ignored.
    ///
    /// # Errors
    /// The text of the 400 answer: both kinds at once, or a name that cannot be decoded.
    pub(super) fn parse(query: &str) -> Result<Self, String> {
        let mut filters = Self::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let names = match decode(key).as_deref() {
                Some("collect[]") => &mut filters.collect,
                Some("exclude[]") => &mut filters.exclude,
                _ => continue,
            };
            names.push(
                decode(value).ok_or("A name in collect[] or exclude[] is not valid UTF-8 or not encoded.")?,
            );
        }
        if !filters.collect.is_empty() && !filters.exclude.is_empty() {
            return Err("Combined collect and exclude queries are not allowed.".to_owned());
        }
        Ok(filters)
    }
}

/// Undoes the encoding of a query's key or value.
fn decode(encoded: &str) -> Option<String> {
    let mut bytes = encoded.bytes();
    let mut decoded = Vec::with_capacity(encoded.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
                high << 4 | low
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// How long a scrape may take: what the scraper gives less a margin for the way back, else five seconds.
pub(super) fn budget(headers: &HeaderMap) -> Duration {
    let given = headers.get(TIMEOUT_HEADER).and_then(|value| value.to_str().ok()?.trim().parse::<f64>().ok());
    match given {
        Some(seconds) if seconds.is_finite() && seconds > 0.0 => {
            let seconds = seconds.min(LONGEST_SECONDS);
            let margin = (seconds * 0.1).clamp(0.05, 0.5).min(seconds / 2.0);
            Duration::from_secs_f64(seconds - margin)
        }
        _ => DEFAULT_BUDGET,
    }
}

/// The Content-Type of a page. Text 0.0.4 whatever is asked; `escaping` echoes the wish that stands highest.
pub(super) fn content_type(headers: &HeaderMap) -> &'static str {
    let mut escaping = Escaping::Underscores;
    for clause in weighted(headers, &ACCEPT) {
        let mut version = "";
        for (name, value) in clause.parameters() {
            match name {
                "escaping" => escaping = Escaping::parse(value).unwrap_or(escaping),
                "version" => version = value,
                _ => {}
            }
        }
        // What stands behind the first clause that text 0.0.4 fulfils has no say any more.
        if clause.name().eq_ignore_ascii_case("text/plain") && matches!(version, "" | "0.0.4") {
            break;
        }
    }
    match escaping {
        Escaping::Underscores => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
        Escaping::AllowUtf8 => "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8",
        Escaping::Dots => "text/plain; version=0.0.4; charset=utf-8; escaping=dots",
        Escaping::Values => "text/plain; version=0.0.4; charset=utf-8; escaping=values",
    }
}

#[derive(Clone, Copy)]
enum Escaping {
    Underscores,
    AllowUtf8,
    Dots,
    Values,
}

impl Escaping {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "underscores" => Some(Self::Underscores),
            "allow-utf-8" => Some(Self::AllowUtf8),
            "dots" => Some(Self::Dots),
            "values" => Some(Self::Values),
            _ => None,
        }
    }
}

/// Whether the body may go out as gzip.
pub(super) fn wants_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for clause in weighted(headers, &ACCEPT_ENCODING) {
        let weight = match clause.name().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => &mut gzip,
            "*" => &mut any,
            "identity" => &mut identity,
            _ => continue,
        };
        weight.get_or_insert(clause.weight);
    }
    let weight = gzip.or(any).unwrap_or(0.0);
    weight > 0.0 && weight >= identity.unwrap_or(0.0)
}

struct Clause<'a> {
    text: &'a str,
    weight: f32,
}

impl<'a> Clause<'a> {
    fn name(&self) -> &'a str {
        self.text.split(';').next().unwrap_or_default().trim()
    }

    fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        parameters(self.text)
    }
}

fn parameters(clause: &str) -> impl Iterator<Item = (&str, &str)> {
    clause.split(';').skip(1).filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        Some((name.trim(), value.trim().trim_matches('"')))
    })
}

/// The clauses of a header that lists wishes, the heaviest first, else in the order given. A weight that cannot be
/// read counts as 0.
fn weighted<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<Clause<'a>> {
    let mut clauses: Vec<_> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|text| {
            let weight = parameters(text)
                .find(|(name, _)| name.eq_ignore_ascii_case("q"))
                .map_or(1.0, |(_, q)| q.parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0));
            Clause { text, weight }
        })
        .collect();
    clauses.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    clauses
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn filters_are_decoded() {
        let parsed = Filters::parse("x=1&collect%5B%5D=cpu&collect[]=a%2Bb+c&&collect[]");
        assert_eq!(
            parsed,
            Ok(Filters { collect: vec!["cpu".into(), "a+b c".into(), String::new()], exclude: vec![] })
        );
        assert_eq!(Filters::parse(""), Ok(Filters::default()));
        assert_eq!(Filters::parse("%zz=1&collect=cpu"), Ok(Filters::default()));
        assert_eq!(
            Filters::parse("exclude[]=a&collect[]=b"),
            Err("Combined collect and exclude queries are not allowed.".to_owned())
        );
        for query in ["collect[]=%", "collect[]=%4", "collect[]=%zz", "exclude[]=%ff", "collect[]=%+1"] {
            assert!(Filters::parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_scrape_ends_before_the_scraper_gives_up() {
        for (header, milliseconds) in [
            ("10", 9500),
            ("1.0", 900),
            ("0.2", 150),
            ("0.02", 10),
            ("1e300", 599_500),
            ("", 5000),
            ("NaN", 5000),
            ("inf", 5000),
            ("-3", 5000),
            ("0", 5000),
            ("ten", 5000),
        ] {
            let budget = budget(&headers(TIMEOUT_HEADER, header)).as_secs_f64() * 1e3;
            assert!((budget - f64::from(milliseconds)).abs() < 0.01, "{header}: {budget}");
        }
        assert_eq!(budget(&HeaderMap::new()), DEFAULT_BUDGET);
    }

    #[test]
    fn escaping_echoes_what_is_asked() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, escaping) in [
            (prometheus_3, "allow-utf-8"),
            ("", "underscores"),
            ("*/*", "underscores"),
            ("text/plain;escaping=dots", "dots"),
            ("text/plain; version=0.0.4; escaping=values", "values"),
            ("text/plain, text/html;escaping=dots", "underscores"),
            ("text/plain;q=0.1, text/html;escaping=dots;q=0.5", "dots"),
            ("text/plain;escaping=rot13", "underscores"),
            (";;;,,=;q=,text/plain;q=x;escaping", "underscores"),
        ] {
            let expected = format!("text/plain; version=0.0.4; charset=utf-8; escaping={escaping}");
            assert_eq!(content_type(&headers(ACCEPT, accept)), expected, "{accept}");
        }
    }

    #[test]
    fn gzip_only_when_asked() {
        for (accept, gzip) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5, br", true),
            ("*", true),
            ("*;q=0.1, identity;q=0", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip ; q=0.000", false),
            ("gzip;q=0.5, identity", false),
            ("gzip;q=x", false),
            ("identity", false),
            ("zstd, br", false),
            ("gzipped", false),
            ("", false),
        ] {
            assert_eq!(wants_gzip(&headers(ACCEPT_ENCODING, accept)), gzip, "{accept}");
        }
        assert!(!wants_gzip(&HeaderMap::new()));
    }
}
