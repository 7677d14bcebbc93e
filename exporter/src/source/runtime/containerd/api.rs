//! What the engine asks of containerd.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::follow::{Api, CALL_TIMEOUT, Error, Event, Events, Id, Inspected, Listed};
use super::super::grpc::wire::{Malformed, Value, Writer, last, repeated, text};
use super::super::grpc::{Client, Connection, EVENT_LIMIT, Method, Stream, is_refusal, within};
use super::super::oci::Network;
use super::super::{Metadata, NetworkMode, Status};
use super::record::{self, Record, Task, full_id, is_name};

const VERSION: Method = Method::new("/containerd.services.version.v1.Version/Version", SMALL);
const SUBSCRIBE: Method = Method::new("/containerd.services.events.v1.Events/Subscribe", EVENT_LIMIT);
const NAMESPACES: Method = Method::new("/containerd.services.namespaces.v1.Namespaces/List", SMALL);
const CONTAINER: Method = Method::new("/containerd.services.containers.v1.Containers/Get", 4 * SMALL);
const TASK: Method = Method::new("/containerd.services.tasks.v1.Tasks/Get", SMALL);
/// A hundred bytes a task is usual.
const TASKS: Method = Method::new("/containerd.services.tasks.v1.Tasks/List", 64 * SMALL);

const SMALL: usize = 1024 * 1024;
/// More namespaces than anybody has; Kubernetes has one.
const NAMESPACES_LIMIT: usize = 1024;
/// More containers than one host can run.
const TASKS_LIMIT: usize = 1 << 16;
/// A list and a look take several calls; together no longer than so many.
const CALLS: u32 = 4;
/// What news of a container is wanted of.
const TOPICS: [&str; 7] = [
    "/containers/create",
    "/containers/update",
    "/containers/delete",
    "/tasks/start",
    "/tasks/paused",
    "/tasks/resumed",
    "/tasks/exit",
];
/// A container as old as this without a process is one that ended.
const YOUNG: f64 = 60.0;

/// containerd, and what of it is wanted.
#[derive(Debug, Clone)]
pub struct Containerd {
    client: Client,
    /// This namespace alone.
    only: Option<Id>,
    /// Namespaces that are another runtime's.
    skip: Vec<Id>,
    /// Containers with this label are another runtime's.
    skip_label: Option<Id>,
}

impl Containerd {
    /// The one that listens on this unix socket, with all its namespaces.
    pub fn new(socket: PathBuf) -> Self {
        let client = Client { socket, timeout: CALL_TIMEOUT };
        Self { client, only: None, skip: Vec::new(), skip_label: None }
    }

    /// With another limit for one call.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.client.timeout = timeout;
        self
    }

    /// One namespace alone.
    #[must_use]
    pub fn only(mut self, namespace: &str) -> Self {
        self.only = Some(namespace.into());
        self
    }

    /// Without what Docker runs by it, which Docker's own API knows more of.
    #[must_use]
    pub fn without_docker(mut self) -> Self {
        self.skip = vec!["moby".into(), "plugins.moby".into()];
        // Docker may be told to use other namespaces.
        self.skip_label = Some("com.docker/engine.bundle.path".into());
        self
    }

    fn wants(&self, namespace: &str) -> bool {
        let only = self.only.as_deref().is_none_or(|only| only == namespace);
        only && is_name(namespace) && self.skip.iter().all(|skip| **skip != *namespace)
    }

    async fn namespaces(&self, connection: &mut Connection) -> Result<Vec<String>, Error> {
        if let Some(only) = &self.only {
            return Ok(vec![only.as_ref().to_owned()]);
        }
        let answer = connection.call(&NAMESPACES, &[], &[]).await?;
        let found = repeated(&answer, 1, NAMESPACES_LIMIT).map_err(|error| NAMESPACES.malformed(error))?;
        let names = found.into_iter().filter_map(|namespace| text(namespace, 1));
        Ok(names.filter(|name| self.wants(name)).map(str::to_owned).collect())
    }

    async fn list_all(&self) -> Result<Vec<Listed>, Error> {
        let mut connection = self.client.connect().await?;
        let mut all = Vec::new();
        for namespace in self.namespaces(&mut connection).await? {
            let headers = [(NAMESPACE, namespace.as_str())];
            let answer = connection.call(&TASKS, &headers, &[]).await?;
            let tasks = tasks(&answer).map_err(|error| TASKS.malformed(error))?;
            all.extend(tasks.into_iter().filter(|task| is_name(&task.id)).filter_map(|task| {
                let mut digest = DefaultHasher::new();
                (task.pid?, task.status as u8).hash(&mut digest);
                Some(Listed { id: full_id(&namespace, &task.id), digest: digest.finish() })
            }));
        }
        Ok(all)
    }

    async fn look_anywhere(&self, id: &str) -> Result<Inspected, Error> {
        let mut connection = self.client.connect().await?;
        if let Some((namespace, id)) = id.split_once('/') {
            return self.look_in(&mut connection, namespace, id).await;
        }
        for namespace in self.namespaces(&mut connection).await? {
            match self.look_in(&mut connection, &namespace, id).await {
                Err(Error::NotFound { .. }) => {}
                found => return found,
            }
        }
        Err(Error::NotFound { call: CONTAINER.path })
    }

    async fn look_in(
        &self,
        connection: &mut Connection,
        namespace: &str,
        id: &str,
    ) -> Result<Inspected, Error> {
        if !self.wants(namespace) || !is_name(id) {
            return Err(Error::NotFound { call: CONTAINER.path });
        }
        let mut record = get_record(connection, namespace, id).await?;
        if self.skip_label.as_deref().is_some_and(|label| record.labels.get(label).is_some()) {
            return Err(Error::NotFound { call: CONTAINER.path });
        }
        let task = match get_task(connection, namespace, id).await {
            Ok(task) => task,
            Err(Error::NotFound { .. }) => {
                let status = if is_young(&record) { Status::Created } else { Status::Exited };
                Task { id: id.to_owned(), pid: None, status }
            }
            // Its shim may hang: its name is worth telling before that ends.
            Err(error) if is_of_one_call(&error) => {
                record.wrong.push("task");
                Task { id: id.to_owned(), pid: None, status: Status::Running }
            }
            Err(error) => return Err(error),
        };
        let network = network(connection, namespace, &record).await?;
        let wrong = std::mem::take(&mut record.wrong);
        Ok(Inspected { metadata: metadata(namespace, id, record, &task, network), wrong })
    }
}

const NAMESPACE: &str = "containerd-namespace";

fn tasks(answer: &[u8]) -> Result<Vec<Task>, Malformed> {
    repeated(answer, 1, TASKS_LIMIT)?.into_iter().map(record::task).collect()
}

async fn get_record(connection: &mut Connection, namespace: &str, id: &str) -> Result<Record, Error> {
    let request = Writer::default().text(1, id).end();
    let answer = connection.call(&CONTAINER, &[(NAMESPACE, namespace)], &request).await?;
    record::record(&answer, id).map_err(|error| CONTAINER.malformed(error))
}

async fn get_task(connection: &mut Connection, namespace: &str, id: &str) -> Result<Task, Error> {
    let request = Writer::default().text(1, id).end();
    let answer = connection.call(&TASK, &[(NAMESPACE, namespace)], &request).await?;
    let process = last(&answer, 1).and_then(Value::bytes).ok_or(Malformed);
    process.and_then(record::task).map_err(|error| TASK.malformed(error))
}

/// Whether the connection is of further use.
fn is_of_one_call(error: &Error) -> bool {
    is_refusal(error) || matches!(error, Error::Late { .. })
}

fn is_young(record: &Record) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    record.created.is_none_or(|created| now - created < YOUNG)
}

/// Whose network: that of a pod is its sandbox's, which may be the host's.
async fn network(
    connection: &mut Connection,
    namespace: &str,
    record: &Record,
) -> Result<NetworkMode, Error> {
    let pid = match record.spec.network {
        _ if record.is_sandbox() && record.spec.network != Network::Host => return Ok(NetworkMode::Own),
        Network::Host => return Ok(NetworkMode::Host),
        Network::Own => return Ok(NetworkMode::Own),
        Network::Of(pid) => pid,
    };
    if let Some(sandbox) = record.spec.sandbox.as_deref().filter(|sandbox| is_name(sandbox)) {
        return Ok(match get_record(connection, namespace, sandbox).await {
            Ok(found) if found.spec.network == Network::Host => NetworkMode::Host,
            Err(error) if !is_of_one_call(&error) => return Err(error),
            _ => NetworkMode::Container(sandbox.to_owned()),
        });
    }
    let answer = match connection.call(&TASKS, &[(NAMESPACE, namespace)], &[]).await {
        // It is another's in any case, and the rest is worth telling.
        Err(error) if is_of_one_call(&error) => return Ok(NetworkMode::Container(String::new())),
        answer => answer?,
    };
    let tasks = tasks(&answer).map_err(|error| TASKS.malformed(error))?;
    let other = tasks.into_iter().find(|task| task.pid == Some(pid));
    Ok(other.map_or(NetworkMode::Own, |task| NetworkMode::Container(task.id)))
}

fn metadata(namespace: &str, id: &str, record: Record, task: &Task, network: NetworkMode) -> Metadata {
    Metadata {
        key: full_id(namespace, id).as_ref().to_owned(),
        name: record.name().unwrap_or(id).to_owned(),
        sandbox: record.is_sandbox(),
        image: record.image,
        labels: record.labels.sorted(),
        env: record.spec.env,
        cgroup: record.spec.cgroup,
        pid: task.pid,
        network,
        created: record.created,
        restart_count: record.spec.restart_count.or(record.restarts).unwrap_or_default(),
        status: task.status,
        ..Metadata::of(id)
    }
}

impl Api for Containerd {
    type Events = ContainerdEvents;

    fn name(&self) -> &'static str {
        "containerd"
    }

    fn address(&self) -> String {
        self.client.socket.display().to_string()
    }

    async fn events(&self) -> Result<Option<ContainerdEvents>, Error> {
        let mut request = Writer::default();
        for topic in TOPICS {
            request = request.text(1, &format!("topic==\"{topic}\""));
        }
        let connection = self.client.connect().await?;
        let stream = connection.stream(&SUBSCRIBE, &request.end(), &VERSION).await?;
        Ok(Some(ContainerdEvents { stream, containerd: self.clone() }))
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        within(self.client.timeout * CALLS, TASKS.path, self.list_all()).await
    }

    async fn look(&self, id: &Id) -> Result<Inspected, Error> {
        within(self.client.timeout * CALLS, CONTAINER.path, self.look_anywhere(id)).await
    }
}

/// The stream of events.
#[derive(Debug)]
pub struct ContainerdEvents {
    stream: Stream,
    containerd: Containerd,
}

impl Events for ContainerdEvents {
    async fn next(&mut self) -> Result<Event, Error> {
        let message = self.stream.next().await?;
        let envelope = record::envelope(&message).map_err(|error| SUBSCRIBE.malformed(error))?;
        Ok(if self.containerd.wants(envelope.namespace) { envelope.event() } else { Event::Other })
    }
}
