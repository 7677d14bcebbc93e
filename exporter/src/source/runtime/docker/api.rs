//! The Docker-compatible API's answers, read leniently: a field of the wrong type costs that field alone.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde::de::{Deserializer as _, SeqAccess, Visitor};

use super::super::follow::{Event, Inspected, Listed};
use super::super::time::seconds_since_1970;
use super::super::{Health, Metadata, NetworkMode, Status};
use super::field::{Field, Pairs, of_map};

/// More containers than one host can run.
const MOST_LISTED: usize = 1 << 16;

/// The answer is not JSON, or not of the shape that carries the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

of_map!(Config, State, HealthState, HostConfig, ListEntry, EventActor);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspect {
    #[serde(default)]
    id: Field<String>,
    #[serde(default)]
    name: Field<String>,
    #[serde(default)]
    created: Field<String>,
    #[serde(default)]
    restart_count: Field<u64>,
    #[serde(default)]
    config: Field<Config>,
    #[serde(default)]
    state: Field<State>,
    #[serde(default)]
    host_config: Field<HostConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    image: Field<String>,
    #[serde(default)]
    labels: Field<Pairs>,
    #[serde(default)]
    env: Field<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    #[serde(default)]
    status: Field<String>,
    #[serde(default)]
    pid: Field<u32>,
    #[serde(default)]
    started_at: Field<String>,
    #[serde(default)]
    health: Field<HealthState>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthState {
    #[serde(default)]
    status: Field<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    network_mode: Field<String>,
}

/// Reads the answer to the inspection of `asked`.
pub(super) fn inspected(body: &[u8], asked: &str) -> Result<Inspected, Malformed> {
    let inspect: Inspect = serde_json::from_slice(body).map_err(|_| Malformed)?;
    let wrong = &mut Vec::new();
    // The runtime also finds containers by name and by the beginning of an id; those are not what was asked for.
    if inspect.id.get().is_none_or(|id| id != asked) {
        return Err(Malformed);
    }
    let config = inspect.config.noting("Config", wrong);
    let (image, labels, env) =
        config.map(|config| (config.image, config.labels, config.env)).unwrap_or_default();
    let env = env.noting("Config.Env", wrong).unwrap_or_default();
    // (A name without a value takes the daemon's variable away.)
    let env = env.iter().filter_map(|pair| pair.split_once('='));
    let labels = labels.noting("Config.Labels", wrong).unwrap_or_default();
    if labels.is_odd {
        wrong.push("Config.Labels");
    }
    let state = inspect.state.noting("State", wrong);
    let (status, pid, started, health) =
        state.map(|state| (state.status, state.pid, state.started_at, state.health)).unwrap_or_default();
    let health =
        health.noting("State.Health", wrong).and_then(|health| health.status.noting("State.Health", wrong));
    let host_config = inspect.host_config.noting("HostConfig", wrong);
    let network = host_config.and_then(|config| config.network_mode.noting("HostConfig.NetworkMode", wrong));
    let name = inspect.name.noting("Name", wrong).unwrap_or_default();
    let metadata = Metadata {
        id: asked.to_owned(),
        key: asked.to_owned(),
        name: without_slash(&name).to_owned(),
        image: image.noting("Config.Image", wrong).unwrap_or_default(),
        labels: labels.pairs.into_iter().collect(),
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        cgroup: None,
        sandbox: false,
        pid: pid.noting("State.Pid", wrong).filter(|pid| *pid != 0),
        network: network_mode(network.as_deref().unwrap_or_default()),
        created: inspect.created.noting("Created", wrong).and_then(|time| seconds_since_1970(&time)),
        started: started.noting("State.StartedAt", wrong).and_then(|time| seconds_since_1970(&time)),
        restart_count: inspect.restart_count.noting("RestartCount", wrong).unwrap_or_default(),
        health: health.as_deref().and_then(health_of),
        status: status_of(status.noting("State.Status", wrong).as_deref().unwrap_or_default()),
    };
    Ok(Inspected { metadata, wrong: std::mem::take(wrong) })
}

fn without_slash(name: &str) -> &str {
    name.strip_prefix('/').unwrap_or(name)
}

fn network_mode(text: &str) -> NetworkMode {
    match (text, text.strip_prefix("container:")) {
        (_, Some(other)) => NetworkMode::Container(other.to_owned()),
        ("host", None) => NetworkMode::Host,
        ("none", None) => NetworkMode::None,
        _ => NetworkMode::Own,
    }
}

fn health_of(text: &str) -> Option<Health> {
    match text {
        "starting" => Some(Health::Starting),
        "healthy" => Some(Health::Healthy),
        "unhealthy" => Some(Health::Unhealthy),
        _ => None,
    }
}

fn status_of(text: &str) -> Status {
    match text {
        "created" => Status::Created,
        "running" => Status::Running,
        "paused" => Status::Paused,
        "restarting" => Status::Restarting,
        "removing" => Status::Removing,
        "exited" => Status::Exited,
        "dead" => Status::Dead,
        _ => Status::Unknown,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListEntry {
    #[serde(default)]
    id: Field<String>,
    #[serde(default)]
    names: Field<Vec<String>>,
    #[serde(default)]
    state: Field<String>,
    #[serde(default)]
    status: Field<String>,
}

/// Reads a list of containers; an entry without a usable id is left out.
pub(super) fn listed(body: &[u8]) -> Result<Vec<Listed>, Malformed> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let listed = json.deserialize_seq(Entries).map_err(|_| Malformed)?;
    json.end().map_err(|_| Malformed)?;
    Ok(listed)
}

/// Takes in one entry after the other.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<Listed>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element::<Field<ListEntry>>()? {
            entries.extend(entry.get().and_then(list_entry).filter(|_| entries.len() < MOST_LISTED));
        }
        Ok(entries)
    }
}

fn list_entry(entry: ListEntry) -> Option<Listed> {
    let id = entry.id.get().filter(|id| is_id(id))?;
    // "Up 3 minutes (healthy)": the time is no news, the health is.
    let status = entry.status.get().unwrap_or_default();
    let health = status.split_once('(').map_or("", |(_, health)| health);
    let mut digest = DefaultHasher::new();
    (entry.names.get(), entry.state.get(), health).hash(&mut digest);
    Some(Listed { id: id.into(), digest: digest.finish() })
}

/// Whether `id` is safe to put into a request's path, and not absurdly long.
pub(super) fn is_id(id: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=128).contains(&id.len()) && id.bytes().all(safe)
}

#[derive(Deserialize)]
struct EventLine {
    #[serde(rename = "Action", default)]
    action: Field<String>,
    #[serde(rename = "Actor", default)]
    actor: Field<EventActor>,
}

#[derive(Deserialize)]
struct EventActor {
    #[serde(rename = "ID", default)]
    id: Field<String>,
}

/// Reads one line of the event stream.
pub(super) fn event(line: &[u8]) -> Result<Event, Malformed> {
    let line: EventLine = serde_json::from_slice(line).map_err(|_| Malformed)?;
    let actor = line.actor.get().and_then(|actor| actor.id.get()).filter(|id| is_id(id));
    let (Some(action), Some(id)) = (line.action.get(), actor) else { return Ok(Event::Other) };
    Ok(match action.split(':').next().unwrap_or_default() {
        // Docker has the news behind a colon. Podman 4.3 has none, and a look at once may still see the old state.
        "health_status" if !action.contains(':') => Event::Unsettled(id.into()),
        "destroy" | "remove" => Event::Gone(id.into()),
        "start" | "die" | "died" | "rename" | "health_status" | "update" => Event::Changed(id.into()),
        _ => Event::Other,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const FULL: &str = r#"{"Id":"abc","Created":"2026-11-23T08:15:30.5Z","Name":"/web","RestartCount":2,
        "State":{"Status":"running","Running":true,"Pid":4711,"StartedAt":"2026-11-23T08:15:31Z",
            "Health":{"Status":"unhealthy","FailingStreak":3,"Log":[]}},
        "Config":{"Image":"nginx:1","Labels":{"b":"2","a":"1"},"Env":["SECRET=1"]},
        "HostConfig":{"NetworkMode":"bridge"},"Unknown":{"deep":[1,{"x":null}]}}"#;

    fn inspect(body: &str) -> Inspected {
        inspected(body.as_bytes(), "abc").unwrap()
    }

    #[test]
    fn an_inspection_is_read_whole() {
        let expected = Metadata {
            id: "abc".into(),
            key: "abc".into(),
            name: "web".into(),
            image: "nginx:1".into(),
            labels: vec![("a".into(), "1".into()), ("b".into(), "2".into())],
            env: vec![("SECRET".into(), "1".into())],
            cgroup: None,
            sandbox: false,
            pid: Some(4711),
            network: NetworkMode::Own,
            created: Some(1_795_421_730.5),
            started: Some(1_795_421_731.0),
            restart_count: 2,
            health: Some(Health::Unhealthy),
            status: Status::Running,
        };
        let found = inspect(FULL);
        assert_eq!((found.metadata, found.wrong), (expected, vec![]));
    }

    #[test]
    fn an_empty_inspection_has_nothing_wrong_and_nothing_known() {
        for body in [
            r#"{"Id":"abc"}"#,
            r#"{"Id":"abc","Config":null,"State":{"Pid":0,"Health":null},"HostConfig":{}}"#,
        ] {
            let Inspected { metadata, wrong } = inspect(body);
            assert_eq!((metadata.name.as_str(), metadata.pid, metadata.status), ("", None, Status::Unknown));
            assert_eq!((metadata.created, metadata.health, wrong), (None, None, vec![]));
        }
        let body = r#"{"Id":"abc","Config":{"Labels":null},"State":{"StartedAt":"0001-01-01T00:00:00Z"}}"#;
        let Inspected { metadata, wrong } = inspect(body);
        assert_eq!((metadata.started, metadata.labels, wrong), (None, vec![], vec![]));
    }

    #[test]
    fn a_wrong_type_costs_its_field_alone() {
        for (right, broken, field) in [
            (r#""/web""#, "7", "Name"),
            ("4711", "-1", "State.Pid"),
            ("4711", r#""4711""#, "State.Pid"),
            (r#""b":"2""#, r#""b":{"x":2}"#, "Config.Labels"),
            (r#"{"b":"2","a":"1"}"#, "[1]", "Config.Labels"),
            (r#""RestartCount":2"#, r#""RestartCount":"2""#, "RestartCount"),
            (r#""nginx:1""#, "[]", "Config.Image"),
            (r#"{"Status":"unhealthy","FailingStreak":3,"Log":[]}"#, "false", "State.Health"),
            (r#"{"NetworkMode":"bridge"}"#, "1e400", "HostConfig"),
        ] {
            let body = FULL.replace(right, broken);
            let Ok(found) = inspected(body.as_bytes(), "abc") else {
                assert_eq!(broken, "1e400", "only a number no float holds breaks the document");
                continue;
            };
            assert_eq!(found.wrong, [field], "{broken}");
            assert!(field == "Name" || found.metadata.name == "web");
            assert!(field == "Config.Labels" || found.metadata.labels.len() == 2);
        }
        let found = inspect(&FULL.replace(r#""b":"2""#, r#""b":3"#));
        assert_eq!(found.metadata.labels, [("a".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn what_is_not_the_container_asked_for_is_refused() {
        for body in [
            "",
            "nonsense",
            "[]",
            "{}",
            "null",
            r#"{"Id":"abcd"}"#,
            &FULL[..FULL.len() - 1],
            &"[".repeat(100_000),
        ] {
            assert!(inspected(body.as_bytes(), "abc").is_err(), "{body:.50}");
        }
    }

    #[test]
    fn a_list_keeps_its_good_entries() {
        let body = r#"[{"Id":"a","Names":["/x"],"State":"running","Status":"Up 2 minutes (healthy)","Ports":[]},
            7, {"Id":"../b"}, {"Names":[]}, {"Id":"c","Names":3}, null]"#;
        let ids = |body: &str| {
            listed(body.as_bytes()).unwrap().iter().map(|one| one.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ids(body), ["a", "c"]);
        assert!(ids("[]").is_empty());
        assert_eq!(listed(b"{}"), Err(Malformed));
    }

    #[test]
    fn time_alone_is_no_news_in_a_list() {
        let digest = |status: &str, name: &str| {
            let body = format!(r#"[{{"Id":"a","Names":["/{name}"],"State":"running","Status":"{status}"}}]"#);
            listed(body.as_bytes()).unwrap()[0].digest
        };
        assert_eq!(digest("Up 2 minutes (healthy)", "x"), digest("Up 3 hours (healthy)", "x"));
        assert_ne!(digest("Up 2 minutes (healthy)", "x"), digest("Up 2 minutes (unhealthy)", "x"));
        assert_ne!(digest("Up 2 minutes", "x"), digest("Up 2 minutes", "y"));
    }

    #[test]
    fn events_say_what_changed() {
        for (action, expected) in [
            ("start", Event::Changed("a1".into())),
            ("health_status: healthy", Event::Changed("a1".into())),
            ("health_status", Event::Unsettled("a1".into())),
            ("destroy", Event::Gone("a1".into())),
            ("exec_start: sh -c true", Event::Other),
        ] {
            let line = format!(
                r#"{{"status":"x","Type":"container","Action":"{action}","Actor":{{"ID":"a1"}},"time":1}}"#
            );
            assert_eq!(event(line.as_bytes()), Ok(expected));
        }
        assert_eq!(event(br#"{"Action":"start","Actor":{"ID":"../a"}}"#), Ok(Event::Other));
        assert_eq!(event(br#"{"Action":5}"#), Ok(Event::Other));
        assert_eq!(event(b"{"), Err(Malformed));
    }
}
