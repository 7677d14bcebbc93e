//! What the engine asks of a runtime that serves the container runtime interface.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::follow::{Api, CALL_TIMEOUT, Error, Event, Events, Id, Inspected, Listed};
use super::super::grpc::wire::{Writer, repeated, text};
use super::super::grpc::{Client, Connection, EVENT_LIMIT, Method, Stream, is_refusal, within};
use super::super::oci::Network;
use super::super::{Metadata, NetworkMode, Status};
use super::status::{self, Name, Told, is_id};

const VERSION: Method = Method::new("/runtime.v1.RuntimeService/Version", MEGABYTE);
const CONTAINERS: Method = Method::new("/runtime.v1.RuntimeService/ListContainers", 64 * MEGABYTE);
const PODS: Method = Method::new("/runtime.v1.RuntimeService/ListPodSandbox", 64 * MEGABYTE);
const CONTAINER: Method = Method::new("/runtime.v1.RuntimeService/ContainerStatus", 4 * MEGABYTE);
const POD: Method = Method::new("/runtime.v1.RuntimeService/PodSandboxStatus", 4 * MEGABYTE);
const EVENTS: Method = Method::new("/runtime.v1.RuntimeService/GetContainerEvents", EVENT_LIMIT);

const MEGABYTE: usize = 1024 * 1024;
/// A list and a look take several calls; together no longer than so many.
const CALLS: u32 = 4;
/// More pods than one host has; those that went are forgotten with the next list.
const EMPTY_LIMIT: usize = 4096;
/// Sends each event to all who listen. With others one listener takes the events from the next, the kubelet.
const BROADCASTS: &str = "cri-o";

/// A runtime that serves version 1 of the interface.
#[derive(Debug)]
pub struct Cri {
    name: &'static str,
    client: Client,
    /// It turned out to tell no events.
    is_mute: Arc<AtomicBool>,
    /// Pods of the last list that have no process: a runtime need not keep one for a pod.
    empty_pods: Arc<Mutex<HashSet<Id>>>,
}

impl Cri {
    /// The one that listens on this unix socket. `name`: what the log calls it.
    pub fn new(name: &'static str, socket: PathBuf) -> Self {
        let client = Client { socket, timeout: CALL_TIMEOUT };
        Self { name, client, is_mute: Arc::default(), empty_pods: Arc::default() }
    }

    /// With another limit for one call.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.client.timeout = timeout;
        self
    }

    async fn open_events(&self) -> Result<Option<CriEvents>, Error> {
        if self.is_mute.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut connection = self.client.connect().await?;
        let version = connection.call(&VERSION, &[], &[]).await?;
        if text(&version, 2) != Some(BROADCASTS) {
            return Ok(None);
        }
        let stream = connection.stream(&EVENTS, &[], &VERSION).await?;
        Ok(Some(CriEvents { stream, is_mute: Some(Arc::clone(&self.is_mute)) }))
    }

    async fn list_all(&self) -> Result<Vec<Listed>, Error> {
        const RUNNING: u64 = 1;
        let mut connection = self.client.connect().await?;
        // A filter by state; that of pods is 0, which is not written.
        let state = Writer::default().number(1, RUNNING).end();
        let filter = Writer::default().bytes(2, &state).end();
        let answer = connection.call(&CONTAINERS, &[], &Writer::default().bytes(1, &filter).end()).await?;
        let mut all = status::listed(&answer, "container").map_err(|error| CONTAINERS.malformed(error))?;
        drop(answer);
        let filter = Writer::default().bytes(2, &[]).end();
        let answer = connection.call(&PODS, &[], &Writer::default().bytes(1, &filter).end()).await?;
        let mut pods = status::listed(&answer, "pod").map_err(|error| PODS.malformed(error))?;
        self.without_empty(&mut pods);
        all.extend(pods);
        Ok(all)
    }

    /// Leaves out the pods that hold nothing to tell of, which each list would bring up anew.
    pub(super) fn without_empty(&self, pods: &mut Vec<Listed>) {
        let mut empty = self.empty_pods.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *empty);
        pods.retain(|pod| match before.get(&pod.id) {
            Some(id) => !empty.insert(Id::clone(id)),
            None => true,
        });
    }

    /// Keeps in mind that a pod has no process.
    pub(super) fn remember_empty(&self, id: &str) {
        let mut empty = self.empty_pods.lock().unwrap_or_else(PoisonError::into_inner);
        if empty.len() >= EMPTY_LIMIT {
            empty.clear();
        }
        empty.insert(id.into());
    }

    async fn look_at(&self, id: &str) -> Result<Inspected, Error> {
        if !is_id(id) {
            return Err(Error::NotFound { call: CONTAINER.path });
        }
        let mut connection = self.client.connect().await?;
        match get_container(&mut connection, id).await {
            Ok(told) => container(&mut connection, id, told).await,
            Err(Error::NotFound { .. }) => {
                let found = pod(id, get_pod(&mut connection, id).await?);
                if found.metadata.status == Status::Unknown {
                    self.remember_empty(id);
                }
                Ok(found)
            }
            Err(error) => Err(error),
        }
    }
}

fn verbose(id: &str) -> Vec<u8> {
    Writer::default().text(1, id).number(2, 1).end()
}

async fn get_container(connection: &mut Connection, id: &str) -> Result<Told, Error> {
    let answer = connection.call(&CONTAINER, &[], &verbose(id)).await?;
    status::container(&answer, id).map_err(|error| CONTAINER.malformed(error))
}

async fn get_pod(connection: &mut Connection, id: &str) -> Result<Told, Error> {
    let answer = connection.call(&POD, &[], &verbose(id)).await?;
    status::pod(&answer, id).map_err(|error| POD.malformed(error))
}

/// The pod of a container; the list tells it where the container's own status does not.
async fn sandbox_of(connection: &mut Connection, id: &str, told: &Told) -> Result<Option<String>, Error> {
    if let Some(sandbox) = told.info.sandbox.as_deref().or(told.info.spec.sandbox.as_deref()) {
        return Ok(is_id(sandbox).then(|| sandbox.to_owned()));
    }
    let filter = Writer::default().text(1, id).end();
    let answer = connection.call(&CONTAINERS, &[], &Writer::default().bytes(1, &filter).end()).await?;
    let found = repeated(&answer, 1, 2).map_err(|error| CONTAINERS.malformed(error))?;
    let found = found.into_iter().find(|entry| text(entry, 1) == Some(id));
    Ok(found.and_then(|entry| text(entry, 2)).filter(|sandbox| is_id(sandbox)).map(str::to_owned))
}

async fn container(connection: &mut Connection, id: &str, told: Told) -> Result<Inspected, Error> {
    let sandbox = sandbox_of(connection, id, &told).await?;
    let pod = match &sandbox {
        None => None,
        Some(sandbox) => match get_pod(connection, sandbox).await {
            Ok(pod) => Some(pod),
            // A pod may be gone, or odd: its container's own name is worth telling.
            Err(
                Error::NotFound { .. } | Error::Refused { .. } | Error::Late { .. } | Error::Malformed { .. },
            ) => None,
            Err(error) => return Err(error),
        },
    };
    let is_host = pod.as_ref().is_some_and(|pod| pod.is_host) || told.info.spec.network == Network::Host;
    let network = match sandbox {
        _ if is_host => NetworkMode::Host,
        Some(sandbox) => NetworkMode::Container(sandbox),
        None => NetworkMode::Own,
    };
    let pod = pod.map_or_else(|| pod_of_labels(&told), |pod| pod.name);
    let name = full_name(&told.name.own, &pod, told.name.attempt);
    let status = status::container_status(told.state);
    Ok(inspected(id, name, told, network, status, false))
}

fn pod(id: &str, mut told: Told) -> Inspected {
    let network = if told.is_host { NetworkMode::Host } else { NetworkMode::Own };
    let name = full_name("POD", &told.name, told.name.attempt);
    told.labels.add("io.kubernetes.container.name", "POD");
    // Without a process there is none to wait for: a pod that is listed has been started.
    let status = match status::pod_status(told.state) {
        Status::Running if told.info.pid.is_none() => Status::Unknown,
        status => status,
    };
    inspected(id, name, told, network, status, true)
}

/// The name that Kubernetes' own runtimes give a container.
fn full_name(container: &str, pod: &Name, attempt: u64) -> String {
    format!("k8s_{container}_{}_{}_{}_{attempt}", pod.own, pod.namespace, pod.uid)
}

fn pod_of_labels(told: &Told) -> Name {
    let label = |key| told.labels.get(key).unwrap_or_default().to_owned();
    Name {
        own: label("io.kubernetes.pod.name"),
        uid: label("io.kubernetes.pod.uid"),
        namespace: label("io.kubernetes.pod.namespace"),
        attempt: 0,
    }
}

fn inspected(
    id: &str,
    name: String,
    told: Told,
    network: NetworkMode,
    status: Status,
    sandbox: bool,
) -> Inspected {
    let spec = told.info.spec;
    let runs = matches!(status, Status::Running | Status::Created);
    let metadata = Metadata {
        name,
        image: told.image,
        labels: told.labels.sorted(),
        env: spec.env,
        cgroup: spec.cgroup,
        sandbox,
        pid: told.info.pid.filter(|_| runs),
        network,
        created: told.created,
        started: told.started,
        restart_count: told.restarts.or(spec.restart_count).unwrap_or(told.name.attempt),
        status,
        ..Metadata::of(id)
    };
    Inspected { metadata, wrong: told.wrong }
}

impl Api for Cri {
    type Events = CriEvents;

    fn name(&self) -> &'static str {
        self.name
    }

    fn address(&self) -> String {
        self.client.socket.display().to_string()
    }

    async fn events(&self) -> Result<Option<CriEvents>, Error> {
        within(self.client.timeout * CALLS, EVENTS.path, self.open_events()).await
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        within(self.client.timeout * CALLS, CONTAINERS.path, self.list_all()).await
    }

    async fn look(&self, id: &Id) -> Result<Inspected, Error> {
        within(self.client.timeout * CALLS, CONTAINER.path, self.look_at(id)).await
    }
}

/// The stream of events.
#[derive(Debug)]
pub struct CriEvents {
    stream: Stream,
    /// Until the first event has come: a runtime that tells none ends the stream, at once and with or without
    /// an error.
    is_mute: Option<Arc<AtomicBool>>,
}

impl Events for CriEvents {
    async fn next(&mut self) -> Result<Event, Error> {
        match self.stream.next().await {
            Ok(message) => {
                self.is_mute = None;
                status::event(&message).map_err(|error| EVENTS.malformed(error))
            }
            Err(error) => {
                if let Some(is_mute) = &self.is_mute
                    && (is_refusal(&error) || matches!(error, Error::Ended { .. }))
                {
                    is_mute.store(true, Ordering::Relaxed);
                }
                Err(error)
            }
        }
    }
}
