//! containerd's records as its API has them.

use super::super::Status;
use super::super::follow::{Event, Id};
use super::super::grpc::wire::{Labels, Malformed, Value, fields, last, text};
use super::super::oci::{self, Spec};

/// Marks a pod's own container, which holds its namespaces.
const KIND: &str = "io.cri-containerd.kind";
/// nerdctl's name for a container.
const NAME: &str = "nerdctl/name";

/// A container as its record tells.
#[derive(Debug)]
pub(super) struct Record {
    pub labels: Labels,
    pub image: String,
    pub spec: Spec,
    pub created: Option<f64>,
    /// As Kubernetes told containerd, where it did.
    pub restarts: Option<u64>,
    /// Names of the fields that had a type they should not have.
    pub wrong: Vec<&'static str>,
}

impl Record {
    pub(super) fn is_sandbox(&self) -> bool {
        self.labels.get(KIND) == Some("sandbox")
    }

    /// The name that people know it by.
    pub(super) fn name(&self) -> Option<&str> {
        self.labels.get(NAME).filter(|name| !name.is_empty())
    }
}

/// Reads the answer to a request for the container `asked`.
pub(super) fn record(answer: &[u8], asked: &str) -> Result<Record, Malformed> {
    let container = last(answer, 1).and_then(Value::bytes).ok_or(Malformed)?;
    if text(container, 1) != Some(asked) {
        return Err(Malformed);
    }
    let (mut labels, mut image, mut spec) = (Labels::default(), Some(""), &[][..]);
    let (mut created, mut restarts) = (None, None);
    for field in fields(container) {
        let (field, value) = field?;
        match field {
            2 => labels.push(value),
            3 => image = value.text(),
            5 => spec = any(value).unwrap_or_default(),
            8 => created = value.bytes().and_then(seconds),
            10 => restarts = restarts.or_else(|| value.bytes().and_then(attempt)),
            _ => {}
        }
    }
    let mut spec = oci::spec(spec);
    let mut wrong = std::mem::take(&mut spec.wrong);
    wrong.extend(image.is_none().then_some("image"));
    wrong.extend(labels.is_odd.then_some("labels"));
    Ok(Record { labels, image: image.unwrap_or_default().to_owned(), spec, created, restarts, wrong })
}

/// What an envelope of any type holds.
fn any(value: Value<'_>) -> Option<&[u8]> {
    last(value.bytes()?, 2)?.bytes()
}

/// Seconds since 1970 of a timestamp, where it is known.
fn seconds(timestamp: &[u8]) -> Option<f64> {
    let part = |number| last(timestamp, number).and_then(Value::number).unwrap_or_default();
    // Before 1970, as in year 1 for a time that is not known, the number is negative: huge, as it is read here.
    let seconds = u32::try_from(part(1)).ok().filter(|seconds| *seconds != 0)?;
    let nanoseconds = u32::try_from(part(2)).ok().filter(|part| *part < 1_000_000_000)?;
    Some(f64::from(seconds) + f64::from(nanoseconds) / 1e9)
}

/// How often Kubernetes made this container anew, from what containerd's CRI keeps of it.
fn attempt(extension: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Kept {
        metadata: Metadata,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Metadata {
        config: Config,
    }
    #[derive(serde::Deserialize)]
    struct Config {
        metadata: Attempt,
    }
    #[derive(serde::Deserialize)]
    struct Attempt {
        #[serde(default)]
        attempt: u64,
    }
    if text(extension, 1) != Some("io.cri-containerd.container.metadata") {
        return None;
    }
    let kept: Kept = serde_json::from_slice(any(last(extension, 2)?)?).ok()?;
    Some(kept.metadata.config.metadata.attempt)
}

/// A container's first process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub id: String,
    pub pid: Option<u32>,
    pub status: Status,
}

/// Reads a process, as an answer about one task or many holds it.
pub(super) fn task(process: &[u8]) -> Result<Task, Malformed> {
    let (mut container, mut id, mut pid, mut status) = ("", "", None, Status::Unknown);
    for field in fields(process) {
        match field? {
            (1, value) => container = value.text().unwrap_or_default(),
            (2, value) => id = value.text().unwrap_or_default(),
            (3, value) => pid = value.number(),
            (4, value) => status = status_of(value),
            _ => {}
        }
    }
    let runs = matches!(status, Status::Created | Status::Running | Status::Paused);
    let pid = pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0 && runs);
    let id = if container.is_empty() { id } else { container };
    Ok(Task { id: id.to_owned(), pid, status })
}

fn status_of(value: Value<'_>) -> Status {
    match value.number() {
        Some(1) => Status::Created,
        Some(2) => Status::Running,
        Some(3) => Status::Exited,
        Some(4 | 5) => Status::Paused,
        _ => Status::Unknown,
    }
}

/// What happened, and in which namespace.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    pub namespace: &'a str,
    pub topic: &'a str,
    pub container: Option<&'a str>,
}

/// Reads an event. All of those that matter begin with the container's id.
pub(super) fn envelope(message: &[u8]) -> Result<Envelope<'_>, Malformed> {
    let mut envelope = Envelope { namespace: "", topic: "", container: None };
    let mut body = &[][..];
    for field in fields(message) {
        match field? {
            (2, value) => envelope.namespace = value.text().unwrap_or_default(),
            (3, value) => envelope.topic = value.text().unwrap_or_default(),
            (4, value) => body = any(value).unwrap_or_default(),
            _ => {}
        }
    }
    envelope.container = text(body, 1);
    // A further process within the container is of no interest: its end names it beside the container.
    if envelope.topic == "/tasks/exit" && text(body, 2) != envelope.container {
        envelope.container = None;
    }
    Ok(envelope)
}

impl Envelope<'_> {
    pub(super) fn event(&self) -> Event {
        let Some(id) = self.container.filter(|id| is_name(id) && is_name(self.namespace)) else {
            return Event::Other;
        };
        let id = full_id(self.namespace, id);
        if self.topic == "/containers/delete" { Event::Gone(id) } else { Event::Changed(id) }
    }
}

/// The id that tells equal names of different namespaces apart.
pub(super) fn full_id(namespace: &str, id: &str) -> Id {
    format!("{namespace}/{id}").into()
}

/// Whether containerd could have allowed this name of a container or namespace.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(allowed)
}
