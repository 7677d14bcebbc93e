//! Containers and pods as the container runtime interface tells of them.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::Status;
use super::super::follow::{Event, Id, Listed};
use super::super::grpc::wire::{Labels, Malformed, Value, entry, fields, last, repeated, text};
use super::super::oci::{self, Spec};

/// More containers than one host can run.
const LIST_LIMIT: usize = 1 << 16;

/// A pod's or a container's name, and how often it was made anew.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    pub own: String,
    pub attempt: u64,
    /// A pod's alone.
    pub uid: String,
    pub namespace: String,
}

/// What is said of a container or a pod alike.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub name: Name,
    pub state: Option<u64>,
    pub created: Option<f64>,
    pub started: Option<f64>,
    pub image: String,
    pub labels: Labels,
    pub restarts: Option<u64>,
    /// A pod uses the host's network.
    pub is_host: bool,
    pub info: Info,
    /// Names of the fields that had a type they should not have.
    pub wrong: Vec<&'static str>,
}

/// What the runtime adds on request.
#[derive(Debug, Default)]
pub(super) struct Info {
    pub pid: Option<u32>,
    pub sandbox: Option<String>,
    pub spec: Spec,
}

/// The numbers of fields that differ between a container's status and a pod's.
struct Layout {
    started: u32,
    image: [u32; 2],
    labels: u32,
    annotations: u32,
    linux: u32,
    name: fn(&[u8]) -> Option<Name>,
}

/// No field has this number.
const NONE: u32 = 0;
const CONTAINER: Layout =
    Layout { started: 5, image: [8, 9], labels: 12, annotations: 13, linux: NONE, name: container_name };
const POD: Layout =
    Layout { started: NONE, image: [NONE; 2], labels: 7, annotations: 8, linux: 6, name: pod_name };

/// Reads the answer to a request for the container `asked`.
pub(super) fn container(answer: &[u8], asked: &str) -> Result<Told, Malformed> {
    told(answer, asked, &CONTAINER)
}

/// Reads the answer to a request for the pod `asked`.
pub(super) fn pod(answer: &[u8], asked: &str) -> Result<Told, Malformed> {
    told(answer, asked, &POD)
}

fn told(answer: &[u8], asked: &str, layout: &Layout) -> Result<Told, Malformed> {
    let (mut status, mut info) = (None, None);
    for field in fields(answer) {
        match field? {
            (1, value) => status = value.bytes(),
            (2, value) => info = value.bytes().and_then(entry).filter(|(key, _)| *key == "info").or(info),
            _ => {}
        }
    }
    let status = status.ok_or(Malformed)?;
    // Runtimes also find containers by the beginning of an id; those are not what was asked for.
    if text(status, 1) != Some(asked) {
        return Err(Malformed);
    }
    let mut told = Told::default();
    let mut image = ["", ""];
    for field in fields(status) {
        match field? {
            (2, value) => match value.bytes().and_then(layout.name) {
                Some(name) => told.name = name,
                None => told.wrong.push("metadata"),
            },
            (3, value) => told.state = value.number(),
            (4, value) => told.created = seconds(value),
            (field, value) if field == layout.started => told.started = seconds(value),
            (field, value) if field == layout.image[0] => {
                image[0] = value.bytes().and_then(|spec| text(spec, 1)).unwrap_or_default();
            }
            (field, value) if field == layout.image[1] => image[1] = value.text().unwrap_or_default(),
            (field, value) if field == layout.labels => told.labels.push(value),
            (field, value) if field == layout.annotations => {
                told.restarts = restart_count(value).or(told.restarts);
            }
            (field, value) if field == layout.linux => told.is_host = is_host(value),
            _ => {}
        }
    }
    let image = image.into_iter().find(|image| !image.is_empty());
    told.image = image.map(str::to_owned).unwrap_or_default();
    // The first state, which is 0, is not written.
    told.state = told.state.or(Some(0));
    told.info = info.map(|(_, json)| read_info(json)).unwrap_or_default();
    told.wrong.append(&mut told.info.spec.wrong);
    told.wrong.extend(told.labels.is_odd.then_some("labels"));
    Ok(told)
}

fn container_name(metadata: &[u8]) -> Option<Name> {
    let own = name_part(metadata, 1)?;
    Some(Name { own, attempt: attempt(metadata, 2), ..Name::default() })
}

fn pod_name(metadata: &[u8]) -> Option<Name> {
    let part = |number| name_part(metadata, number);
    Some(Name { own: part(1)?, uid: part(2)?, namespace: part(3)?, attempt: attempt(metadata, 4) })
}

/// A text that may be left out; `None` where it is none.
fn name_part(metadata: &[u8], number: u32) -> Option<String> {
    last(metadata, number).map_or(Some(""), Value::text).map(str::to_owned)
}

fn attempt(metadata: &[u8], number: u32) -> u64 {
    last(metadata, number).and_then(Value::number).unwrap_or_default()
}

/// Nanoseconds since 1970, where they are known.
fn seconds(value: Value<'_>) -> Option<f64> {
    let nanoseconds = i64::try_from(value.number()?).ok().filter(|time| *time > 0)?;
    Some(nanoseconds as f64 / 1e9)
}

fn restart_count(annotation: Value<'_>) -> Option<u64> {
    let (key, value) = annotation.bytes().and_then(entry)?;
    (key == "io.kubernetes.container.restartCount").then(|| value.parse().ok())?
}

/// Whether the pod's network is the node's.
fn is_host(linux: Value<'_>) -> bool {
    const NODE: u64 = 2;
    let options = linux.bytes().and_then(|linux| last(linux, 1)).and_then(Value::bytes);
    let options = options.and_then(|namespaces| last(namespaces, 2)).and_then(Value::bytes);
    options.and_then(|options| last(options, 1)).and_then(Value::number) == Some(NODE)
}

fn read_info(json: &str) -> Info {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Raw<'a> {
        #[serde(borrow, default)]
        pid: Option<&'a RawValue>,
        #[serde(borrow, default, rename = "sandboxID")]
        sandbox: Option<&'a RawValue>,
        #[serde(borrow, default)]
        runtime_spec: Option<&'a RawValue>,
    }
    let Ok(raw) = serde_json::from_str::<Raw<'_>>(json) else {
        return Info { spec: Spec { wrong: vec!["info"], ..Spec::default() }, ..Info::default() };
    };
    let pid: Option<u32> = raw.pid.and_then(|pid| serde_json::from_str(pid.get()).ok());
    Info {
        pid: pid.filter(|pid| *pid != 0),
        sandbox: raw.sandbox.and_then(|sandbox| serde_json::from_str(sandbox.get()).ok()),
        spec: raw.runtime_spec.map(|spec| oci::spec(spec.get().as_bytes())).unwrap_or_default(),
    }
}

/// Where a container stands.
pub(super) fn container_status(state: Option<u64>) -> Status {
    match state {
        Some(0) => Status::Created,
        Some(1) => Status::Running,
        Some(2) => Status::Exited,
        _ => Status::Unknown,
    }
}

/// Where a pod stands.
pub(super) fn pod_status(state: Option<u64>) -> Status {
    match state {
        Some(0) => Status::Running,
        Some(1) => Status::Exited,
        _ => Status::Unknown,
    }
}

/// Reads a list of containers or pods; an entry without a usable id is left out.
pub(super) fn listed(answer: &[u8], kind: &str) -> Result<Vec<Listed>, Malformed> {
    let entries = repeated(answer, 1, LIST_LIMIT)?;
    Ok(entries.into_iter().filter_map(|entry| list_entry(entry, kind)).collect())
}

fn list_entry(entry: &[u8], kind: &str) -> Option<Listed> {
    let id = text(entry, 1).filter(|id| is_id(id))?;
    let mut digest = DefaultHasher::new();
    kind.hash(&mut digest);
    // Nothing else of a container that runs can change.
    (entry.len(), last(entry, 3).and_then(Value::bytes)).hash(&mut digest);
    Some(Listed { id: id.into(), digest: digest.finish() })
}

/// Whether a runtime could have given this id.
pub(super) fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    id.len() <= 128 && id.starts_with(|first: char| first.is_ascii_alphanumeric()) && id.bytes().all(allowed)
}

/// Reads an event.
pub(super) fn event(message: &[u8]) -> Result<Event, Malformed> {
    const DELETED: u64 = 3;
    let (mut id, mut kind) = (None, 0);
    for field in fields(message) {
        match field? {
            (1, value) => id = value.text(),
            (2, value) => kind = value.number().unwrap_or_default(),
            _ => {}
        }
    }
    let Some(id) = id.filter(|id| is_id(id)).map(Id::from) else { return Ok(Event::Other) };
    Ok(if kind == DELETED { Event::Gone(id) } else { Event::Changed(id) })
}
