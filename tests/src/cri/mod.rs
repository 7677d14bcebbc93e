//! A server of the Kubernetes container runtime interface that speaks the real gRPC, with as many containers as a
//! test says.

pub mod client;
pub mod v1;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue};
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use crate::temp::TempDir;

/// A container that runs.
pub const RUNNING: i32 = 1;
/// A pod that uses the node's network.
pub const NODE: i32 = 2;
/// What events tell of.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Happened {
    Created = 0,
    Started = 1,
    Stopped = 2,
    Deleted = 3,
}

/// What the server does with the calls of one method, instead of answering well.
#[derive(Clone, Debug)]
pub enum Odd {
    /// Ends with this status, and nothing else.
    Status(&'static str),
    /// Sends these bytes as the message.
    Message(Vec<u8>),
    /// Says that a message of 4 GiB follows, and sends zeros for ever.
    Huge,
    /// Sends a byte of the answer a second.
    Trickle,
    /// Answers nothing.
    Silence,
    /// Writes this to the connection in place of HTTP/2 frames, whatever is asked on it.
    Garbage(Vec<u8>),
    /// Resets the stream.
    Reset,
}

#[derive(Debug, Default)]
struct State {
    containers: BTreeMap<String, (v1::ContainerStatusResponse, String)>,
    pods: BTreeMap<String, v1::PodSandboxStatusResponse>,
    odd: BTreeMap<&'static str, Odd>,
    calls: Vec<String>,
    listeners: Vec<SendStream<Bytes>>,
    runtime_name: String,
}

/// The server; it ends with this.
#[derive(Debug)]
pub struct Cri {
    state: Arc<Mutex<State>>,
    dir: TempDir,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cri {
    /// Starts to listen, as a CRI-O without a container.
    pub fn start() -> Self {
        let dir = TempDir::new("cri");
        let state = Arc::new(Mutex::new(State { runtime_name: "cri-o".to_owned(), ..State::default() }));
        let mut cri = Self { state, dir, end: None, thread: None };
        cri.start_again();
        cri
    }

    /// The socket's path.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("cri.sock")
    }

    /// Ends all connections, and the listening.
    pub fn stop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.state().listeners.clear();
        let _ = std::fs::remove_file(self.socket());
    }

    /// Listens once more, with the same containers.
    pub fn start_again(&mut self) {
        let (end, ended) = oneshot::channel::<()>();
        let (state, path) = (Arc::clone(&self.state), self.socket());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = {
            let _within = runtime.enter();
            UnixListener::bind(path).unwrap()
        };
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    () = listen(listener, state) => {}
                }
            });
        });
        (self.end, self.thread) = (Some(end), Some(thread));
    }

    /// Has a container, or has it changed, in a pod.
    pub fn has(&self, container: v1::ContainerStatusResponse, pod: &str) {
        let id = container.status.as_ref().unwrap().id.clone();
        self.state().containers.insert(id, (container, pod.to_owned()));
    }

    /// Has a pod, or has it changed.
    pub fn has_pod(&self, pod: v1::PodSandboxStatusResponse) {
        let id = pod.status.as_ref().unwrap().id.clone();
        self.state().pods.insert(id, pod);
    }

    /// Has a container or pod no more.
    pub fn lacks(&self, id: &str) {
        let mut state = self.state();
        state.containers.remove(id);
        state.pods.remove(id);
    }

    /// Tells all who listen.
    pub fn tells(&self, id: &str, happened: Happened) {
        let event = v1::ContainerEventResponse {
            container_id: id.to_owned(),
            container_event_type: happened as i32,
            created_at: 1,
        };
        let framed = framed(&event.encode_to_vec());
        for listener in &mut self.state().listeners {
            let _ = listener.send_data(framed.clone(), false);
        }
    }

    /// From now on calls of a method (`ContainerStatus`) go wrong.
    pub fn odd(&self, method: &'static str, odd: Odd) {
        self.state().odd.insert(method, odd);
    }

    /// From now on all calls of a method are answered well.
    pub fn well(&self, method: &'static str) {
        self.state().odd.remove(method);
    }

    /// What it calls itself.
    pub fn is_called(&self, name: &str) {
        name.clone_into(&mut self.state().runtime_name);
    }

    /// How often a method was called.
    pub fn calls(&self, method: &str) -> usize {
        self.state().calls.iter().filter(|call| *call == method).count()
    }

    /// How many streams of events are open.
    pub fn listeners(&self) -> usize {
        self.state().listeners.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Cri {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn listen(listener: UnixListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&state)));
    }
}

async fn serve(mut stream: UnixStream, state: Arc<Mutex<State>>) {
    let garbage = state.lock().unwrap().odd.values().find_map(|odd| match odd {
        Odd::Garbage(bytes) => Some(bytes.clone()),
        _ => None,
    });
    if let Some(garbage) = garbage {
        state.lock().unwrap().calls.push("Garbage".to_owned());
        let _ = stream.write_all(&garbage).await;
        return std::future::pending().await;
    }
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, answer))) = connection.accept().await {
        let method =
            request.uri().path().strip_prefix("/runtime.v1.RuntimeService/").unwrap_or("").to_owned();
        tokio::spawn(serve_one(method, request.into_body(), answer, Arc::clone(&state)));
    }
}

async fn serve_one(
    method: String,
    mut body: RecvStream,
    mut answer: SendResponse<Bytes>,
    state: Arc<Mutex<State>>,
) -> Option<()> {
    let mut question = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        question.extend_from_slice(&piece);
    }
    let question = question.get(5..)?;
    let odd = {
        let mut state = state.lock().unwrap();
        state.calls.push(method.clone());
        state.odd.get(method.as_str()).cloned()
    };
    if let Some(odd) = odd {
        return misbehave(odd, answer).await;
    }
    if method == "GetContainerEvents" {
        // The head of the answer comes at once here; a real one's comes with the first event.
        let stream = answer.send_response(head(), false).ok()?;
        state.lock().unwrap().listeners.push(stream);
        return Some(());
    }
    let message = message_of(&method, question, &state.lock().unwrap());
    match message {
        Ok(message) => {
            let mut body = answer.send_response(head(), false).ok()?;
            body.send_data(framed(&message), false).ok()?;
            body.send_trailers(trailers("0")).ok()
        }
        Err(status) => refuse(&mut answer, status),
    }
}

async fn misbehave(odd: Odd, mut answer: SendResponse<Bytes>) -> Option<()> {
    match odd {
        Odd::Status(status) => refuse(&mut answer, status),
        Odd::Message(message) => {
            let mut body = answer.send_response(head(), false).ok()?;
            body.send_data(framed(&message), false).ok()?;
            body.send_trailers(trailers("0")).ok()
        }
        Odd::Huge => {
            let mut body = answer.send_response(head(), false).ok()?;
            body.send_data(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]), false).ok()?;
            loop {
                body.reserve_capacity(1 << 16);
                let room = std::future::poll_fn(|context| body.poll_capacity(context)).await?.ok()?;
                body.send_data(Bytes::from(vec![0; room]), false).ok()?;
            }
        }
        Odd::Trickle => {
            let mut body = answer.send_response(head(), false).ok()?;
            for byte in [0, 0, 0, 1, 0].into_iter().chain([0; 256]) {
                body.send_data(Bytes::from(vec![byte]), false).ok()?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            None
        }
        Odd::Silence => std::future::pending().await,
        Odd::Reset | Odd::Garbage(_) => {
            answer.send_reset(h2::Reason::INTERNAL_ERROR);
            None
        }
    }
}

fn refuse(answer: &mut SendResponse<Bytes>, status: &'static str) -> Option<()> {
    let mut head = head();
    head.headers_mut().extend(trailers(status));
    answer.send_response(head, true).ok().map(drop)
}

fn head() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").body(()).unwrap()
}

fn trailers(status: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers
}

fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

const NOT_FOUND: &str = "5";
const UNIMPLEMENTED: &str = "12";

fn message_of(method: &str, question: &[u8], state: &State) -> Result<Vec<u8>, &'static str> {
    match method {
        "Version" => {
            let name = state.runtime_name.clone();
            Ok(v1::VersionResponse { version: "0.1.0".to_owned(), runtime_name: name }.encode_to_vec())
        }
        "ContainerStatus" => {
            let asked = v1::StatusRequest::decode(question).unwrap();
            let (mut found, _) = state.containers.get(&asked.id).cloned().ok_or(NOT_FOUND)?;
            if !asked.verbose {
                found.info.clear();
            }
            Ok(found.encode_to_vec())
        }
        "PodSandboxStatus" => {
            let asked = v1::StatusRequest::decode(question).unwrap();
            let mut found = state.pods.get(&asked.id).cloned().ok_or(NOT_FOUND)?;
            if !asked.verbose {
                found.info.clear();
            }
            Ok(found.encode_to_vec())
        }
        "ListContainers" => Ok(containers(question, state).encode_to_vec()),
        "ListPodSandbox" => Ok(pods(question, state).encode_to_vec()),
        _ => Err(UNIMPLEMENTED),
    }
}

fn containers(question: &[u8], state: &State) -> v1::ListContainersResponse {
    let filter = v1::ListRequest::decode(question).unwrap().filter.unwrap_or_default();
    let containers = state.containers.values().filter_map(|(container, pod)| {
        let status = container.status.clone().unwrap();
        let fits = (filter.id.is_empty() || filter.id == status.id)
            && filter.state.as_ref().is_none_or(|state| state.state == status.state);
        fits.then(|| v1::Container {
            id: status.id,
            pod_sandbox_id: pod.clone(),
            metadata: status.metadata,
            image: status.image,
            state: status.state,
        })
    });
    v1::ListContainersResponse { containers: containers.collect() }
}

fn pods(question: &[u8], state: &State) -> v1::ListPodSandboxResponse {
    let filter = v1::ListRequest::decode(question).unwrap().filter.unwrap_or_default();
    let items = state.pods.values().filter_map(|pod| {
        let status = pod.status.clone().unwrap();
        let fits = filter.state.as_ref().is_none_or(|state| state.state == status.state);
        fits.then_some(v1::PodSandbox { id: status.id, metadata: status.metadata, state: status.state })
    });
    v1::ListPodSandboxResponse { items: items.collect() }
}
