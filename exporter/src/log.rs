//! The log: one event, one line on standard error, as logfmt or JSON.

use std::{
    fmt::{self, Write as _},
    io::Write as _,
    os::fd::AsFd,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry,
    util::SubscriberInitExt,
};

use crate::config::{LogFormat, LogSettings};

/// Makes every later event of this process a line on standard error, once the lines are released. Without effect when
/// called again.
#[must_use = "no line is seen before they are released"]
pub fn start(settings: LogSettings) -> Held {
    let lines = Lines { format: settings.format, write: |line: &str| LOG.write(line) };
    // The one error is that a log is there already.
    let _ = registry().with(lines.with_filter(LevelFilter::from_level(settings.level))).try_init();
    Held(())
}

/// The lines of a start that may yet be refused: then nothing is said but why.
#[derive(Debug)]
pub struct Held(());

impl Held {
    /// Writes the lines so far; later ones are written as they come.
    pub fn release(self) {
        let held = LOG.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        held.iter().flatten().for_each(|line| to_stderr(line));
    }
}

static LOG: Log = Log { held: Mutex::new(Some(Vec::new())) };

struct Log {
    held: Mutex<Option<Vec<String>>>,
}

impl Log {
    fn write(&self, line: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = &mut *held {
            return held.push(line.to_owned());
        }
        drop(held);
        to_stderr(line);
    }
}

/// What a pipe that is writable takes without waiting.
const PIECE: usize = 4096;
/// How long a reader of the log may be slow; one that has been slow once is not waited for until it reads again.
const PATIENCE: Duration = Duration::from_millis(100);

fn to_stderr(line: &str) {
    static IS_STUCK: AtomicBool = AtomicBool::new(false);
    let mut stderr = std::io::stderr().lock();
    // One write per line, so that lines of two threads do not mix. A closed stderr must not end the exporter, and one
    // that nobody reads must not hold it.
    for piece in line.as_bytes().chunks(PIECE) {
        let patience = if IS_STUCK.load(Ordering::Relaxed) { Duration::ZERO } else { PATIENCE };
        let is_stuck = !takes(&stderr, patience);
        IS_STUCK.store(is_stuck, Ordering::Relaxed);
        if is_stuck {
            return;
        }
        let _ = stderr.write_all(piece);
    }
}

/// Whether the file takes a piece without waiting, or will say at once why not.
fn takes(file: &impl AsFd, patience: Duration) -> bool {
    let timeout = Timespec::try_from(patience).ok();
    !matches!(poll(&mut [PollFd::new(file, PollFlags::OUT)], timeout.as_ref()), Ok(0))
}

struct Lines<W> {
    format: LogFormat,
    write: W,
}

impl<S: Subscriber, W: Fn(&str) + 'static> Layer<S> for Lines<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let time = Timestamp(SystemTime::now());
        let level = event.metadata().level();
        let mut line = match self.format {
            LogFormat::Logfmt => format!("time={time} level={level} msg={}", Quoted(&message.0)),
            LogFormat::Json => {
                format!("{{\"time\":\"{time}\",\"level\":\"{level}\",\"msg\":{}", Quoted(&message.0))
            }
        };
        event.record(&mut Fields { format: self.format, line: &mut line });
        line.push_str(if self.format == LogFormat::Json { "}\n" } else { "\n" });
        (self.write)(&line);
    }
}

/// The event's message, which is the first pair wherever it stands.
#[derive(Default)]
struct Message(String);

const MESSAGE: &str = "message";

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            self.0 = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            value.clone_into(&mut self.0);
        }
    }
}

/// The event's other pairs.
struct Fields<'a> {
    format: LogFormat,
    line: &'a mut String,
}

impl Fields<'_> {
    /// Numbers and booleans, which no form quotes.
    fn bare(&mut self, field: &Field, value: &dyn fmt::Display) {
        // Writing to a string cannot fail.
        let _ = match self.format {
            LogFormat::Logfmt => write!(self.line, " {}={value}", field.name()),
            LogFormat::Json => write!(self.line, ",{}:{value}", Quoted(field.name())),
        };
    }

    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            return;
        }
        if self.format == LogFormat::Logfmt && is_plain(value) {
            self.bare(field, &value);
        } else {
            self.bare(field, &Quoted(value));
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, &value.to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() { self.bare(field, &value) } else { self.text(field, &value.to_string()) }
    }
}

/// Whether logfmt can do without quotes.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

/// Text in quotes, with escapes that JSON and logfmt share. What could end the line, move the cursor or turn the
/// reading direction is escaped, whoever chose the text.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => out.write_str("\\\"")?,
                '\\' => out.write_str("\\\\")?,
                '\n' => out.write_str("\\n")?,
                '\r' => out.write_str("\\r")?,
                '\t' => out.write_str("\\t")?,
                c if c.is_control()
                    || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
                {
                    write!(out, "\\u{:04x}", u32::from(c))?;
                }
                other => out.write_char(other)?,
            }
        }
        out.write_char('"')
    }
}

/// A time as RFC 3339 in UTC, to the millisecond.
struct Timestamp(SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A clock before 1970 shows as 1970.
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs();
        let (year, month, day) = date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let milliseconds = since.subsec_millis();
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
    }
}

/// Year, month and day of a day counted from 1970-01-01. A walk is fast enough for a line of log.
fn date(mut day: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    while day >= 365 + leap(year) {
        day -= 365 + leap(year);
        year += 1;
    }
    let mut month = 1;
    for days in [31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    (year, month, day + 1)
}

fn leap(year: u64) -> u64 {
    u64::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What the events of `events` are written as, with the time cut out.
    fn lines(format: LogFormat, level: tracing::Level, events: impl FnOnce()) -> String {
        let written = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&written);
        let write = move |line: &str| {
            let time = line.find("20").expect("a year");
            let mut sink = sink.lock().expect("no panic before");
            sink.push_str(&line[..time]);
            sink.push_str(&line[time + "2000-01-01T00:00:00.000Z".len()..]);
        };
        let layer = Lines { format, write }.with_filter(LevelFilter::from_level(level));
        tracing::subscriber::with_default(registry().with(layer), events);
        Arc::try_unwrap(written).expect("the layer is gone").into_inner().expect("no panic before")
    }

    fn hostile() {
        let error = std::io::Error::other("broken\nlevel=ERROR msg=\"forged\"");
        tracing::warn!(
            path = "/a b",
            %error,
            count = 3,
            share = 0.5,
            odd = f64::NAN,
            ok = true,
            plain = "/a/b",
            empty = "",
            "half \"read\"\u{1b}[2J\u{202e}\u{85}"
        );
    }

    #[test]
    fn logfmt_cannot_be_forged() {
        assert_eq!(
            lines(LogFormat::Logfmt, tracing::Level::INFO, hostile),
            "time= level=WARN msg=\"half \\\"read\\\"\\u001b[2J\\u202e\\u0085\" path=\"/a b\" \
             error=\"broken\\nlevel=ERROR msg=\\\"forged\\\"\" count=3 share=0.5 odd=NaN ok=true plain=/a/b empty=\"\"\n"
        );
    }

    #[test]
    fn json_is_json() {
        let line = lines(LogFormat::Json, tracing::Level::INFO, hostile);
        let parsed: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(
            parsed,
            serde_json::json!({
                "time": "", "level": "WARN", "msg": "half \"read\"\u{1b}[2J\u{202e}\u{85}", "path": "/a b",
                "error": "broken\nlevel=ERROR msg=\"forged\"", "count": 3, "share": 0.5, "odd": "NaN", "ok": true,
                "plain": "/a/b", "empty": ""
            })
        );
    }

    #[test]
    fn less_severe_levels_are_left_out() {
        let written = lines(LogFormat::Logfmt, tracing::Level::WARN, || {
            tracing::info!("quiet");
            tracing::error!("loud");
        });
        assert_eq!(written, "time= level=ERROR msg=\"loud\"\n");
    }

    #[test]
    fn times_agree_with_the_calendar() {
        // Each as `date -u -d @SECONDS` gives it.
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (951_868_800, "2000-03-01T00:00:00.007Z"),
            (1_709_164_800, "2024-02-29T00:00:00.007Z"),
            (1_767_225_599, "2025-12-31T23:59:59.007Z"),
            (1_795_422_330, "2026-11-23T08:25:30.007Z"),
            (1_798_761_599, "2026-12-31T23:59:59.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(7);
            assert_eq!(Timestamp(time).to_string(), shown);
        }
        assert_eq!(Timestamp(UNIX_EPOCH - Duration::from_secs(1)).to_string(), "1970-01-01T00:00:00.000Z");
    }
}
