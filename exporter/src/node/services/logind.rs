//! Sessions that logind knows, by seat and kind.

use std::collections::BTreeSet;

use super::systemd::refused;
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        dbus::{Calls, Client, Plain, Reply},
        systemd::{self, LOGIND, LOGIND_MANAGER, LOGIND_OBJECT, LOGIND_SESSION},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "logind",
    on_by_default: false,
    summary: "sessions by seat, type and class, and whether they are remote",
    reads: "D-Bus: org.freedesktop.login1",
    since: "2.6",
    pace: Pace::MayBlock,
    flags: &[],
    families: &[&SESSIONS],
    build: Logind::build,
};

static SESSIONS: Family = Family::gauge("node_logind_sessions", "Sessions of this kind at this seat.");

/// `other` stands for what is none of these.
const CLASSES: [&str; 5] = ["other", "user", "greeter", "lock-screen", "background"];
const TYPES: [&str; 7] = ["other", "unspecified", "tty", "x11", "wayland", "mir", "web"];
const REMOTE: [&str; 2] = ["true", "false"];
/// A session's properties that are asked for.
const PROPERTIES: [&str; 3] = ["Remote", "Type", "Class"];
/// More than any machine has; each seat has 70 series.
const MOST_SEATS: usize = 256;

/// How many sessions there are of each class, by remoteness and type.
type Counts = [[[u64; CLASSES.len()]; TYPES.len()]; REMOTE.len()];

struct Logind {
    client: Client,
    calls: Calls,
    seats: Vec<Seat>,
    sessions: Vec<Session>,
}

struct Seat {
    name: Vec<u8>,
    /// In the order of [`Counts`].
    labels: Vec<Labels>,
    counts: Counts,
}

#[derive(Default)]
struct Session {
    seat: Vec<u8>,
    object: Vec<u8>,
    is_remote: Option<bool>,
    kind: Option<usize>,
    class: Option<usize>,
}

impl Logind {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let client = Client::system(&context.paths.rootfs);
        Ok(Box::new(Self { client, calls: Calls::default(), seats: Vec::new(), sessions: Vec::new() }))
    }

    /// Asks for seats and sessions, in one go.
    fn ask_lists(&mut self) -> Result<(), Failure> {
        self.calls.clear();
        self.sessions.clear();
        for method in ["ListSeats", "ListSessions"] {
            self.calls.method(LOGIND, LOGIND_OBJECT, LOGIND_MANAGER, method, &[]);
        }
        // A session over the network has no seat.
        let mut seats = BTreeSet::from([Vec::new()]);
        let mut failure = None;
        let sessions = &mut self.sessions;
        self.client.ask(&mut self.calls, |place, reply| {
            match reply {
                Reply::Refused(error) => failure = Some(refused(LOGIND, error)),
                Reply::Values(list) if place == 0 => systemd::seats(list, |seat| {
                    if seats.len() < MOST_SEATS {
                        seats.insert(seat.to_vec());
                    }
                })?,
                Reply::Values(list) => systemd::sessions(list, |session| {
                    let (seat, object) = (session.seat.to_vec(), session.object.to_vec());
                    sessions.push(Session { seat, object, ..Session::default() });
                })?,
            }
            Ok(())
        })?;
        if !self.seats.iter().map(|seat| &seat.name).eq(&seats) {
            self.seats = seats.into_iter().map(Seat::new).collect();
        }
        failure.map_or(Ok(()), Err)
    }

    /// Asks what each session is. One that ended meanwhile does not count.
    fn ask_sessions(&mut self) -> Result<(), Failure> {
        self.calls.clear();
        for session in &self.sessions {
            for property in PROPERTIES {
                self.calls.property(LOGIND, &session.object, LOGIND_SESSION, property);
            }
        }
        let sessions = &mut self.sessions;
        self.client.ask(&mut self.calls, |place, reply| {
            if let Some(session) = sessions.get_mut(place / PROPERTIES.len()) {
                session.take(place % PROPERTIES.len(), reply.property());
            }
            Ok(())
        })?;
        for seat in &mut self.seats {
            seat.counts = Counts::default();
        }
        for session in &self.sessions {
            if let Some(seat) = self.seats.iter_mut().find(|seat| seat.name == session.seat) {
                seat.count(session);
            }
        }
        Ok(())
    }
}

impl Session {
    fn take(&mut self, property: usize, value: Option<Plain<'_>>) {
        let among = |known: &[&str]| -> Option<usize> {
            let text = value?.text()?;
            Some(known.iter().position(|known| known.as_bytes() == text).unwrap_or(0))
        };
        match property {
            0 => self.is_remote = value.and_then(Plain::switch),
            1 => self.kind = among(&TYPES),
            _ => self.class = among(&CLASSES),
        }
    }
}

impl Seat {
    fn new(name: Vec<u8>) -> Self {
        let mut labels = Vec::with_capacity(REMOTE.len() * TYPES.len() * CLASSES.len());
        for remote in REMOTE {
            for kind in TYPES {
                labels.extend(CLASSES.iter().map(|class| {
                    Labels::new([
                        ("class", class.as_bytes()),
                        ("remote", remote.as_bytes()),
                        ("seat", &name),
                        ("type", kind.as_bytes()),
                    ])
                }));
            }
        }
        Self { name, labels, counts: Counts::default() }
    }

    fn count(&mut self, session: &Session) {
        let (Some(is_remote), Some(kind), Some(class)) = (session.is_remote, session.kind, session.class)
        else {
            return;
        };
        let of_remote = self.counts.get_mut(usize::from(!is_remote));
        if let Some(count) = of_remote.and_then(|counts| counts.get_mut(kind)?.get_mut(class)) {
            *count += 1;
        }
    }
}

impl Collector for Logind {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.client.begin()?;
        self.ask_lists()?;
        self.ask_sessions()?;
        let mut samples = page.family(&SESSIONS);
        for seat in &self.seats {
            let counts = seat.counts.iter().flatten().flatten();
            for (labels, &count) in seat.labels.iter().zip(counts) {
                samples.sample(labels, count);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(values: [Option<Plain<'_>>; 3]) -> Session {
        let mut session = Session::default();
        for (property, value) in values.into_iter().enumerate() {
            session.take(property, value);
        }
        session
    }

    #[test]
    fn a_session_counts_where_its_labels_say() {
        let mut seat = Seat::new(b"seat0".to_vec());
        assert_eq!(seat.labels.len(), 70);
        let text = |text: &'static str| Some(Plain::Text(text.as_bytes()));
        seat.count(&session([Some(Plain::Switch(false)), text("tty"), text("user")]));
        seat.count(&session([Some(Plain::Switch(true)), text("hologram"), text("\u{fffd}")]));
        let counts: Vec<u64> = seat.counts.iter().flatten().flatten().copied().collect();
        let counted: Vec<String> = seat
            .labels
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count == 1)
            .map(|(labels, _)| String::from_utf8_lossy(labels.text()).into_owned())
            .collect();
        assert_eq!(
            counted,
            [
                r#"class="other",remote="true",seat="seat0",type="other""#,
                r#"class="user",remote="false",seat="seat0",type="tty""#,
            ]
        );
    }

    #[test]
    fn a_session_that_ended_or_is_garbled_does_not_count() {
        let mut seat = Seat::new(Vec::new());
        let text = Some(Plain::Text(b"tty"));
        seat.count(&session([None, text, text]));
        seat.count(&session([text, text, text]));
        seat.count(&session([Some(Plain::Switch(true)), Some(Plain::Whole(1)), text]));
        assert_eq!(seat.counts, Counts::default());
    }
}
