//! A runtime's socket whose answers a test writes: Docker's API as far as the exporter speaks it, or garbage.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Listens until it is dropped; each connection is answered on a thread of its own.
#[derive(Debug)]
pub struct Scripted {
    socket: PathBuf,
    over: Arc<AtomicBool>,
}

impl Scripted {
    /// `answer` gets the target of each request, and the connection to answer on.
    pub fn start(socket: &Path, answer: impl Fn(&str, UnixStream) + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let (asked, answer) = (Arc::clone(&over), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if asked.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(mut stream), answer) = (stream, Arc::clone(&answer)) else { continue };
                std::thread::spawn(move || {
                    if let Some(target) = target(&mut stream) {
                        answer(&target, stream);
                    }
                });
            }
        });
        Self { socket: socket.to_owned(), over }
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = UnixStream::connect(&self.socket);
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Reads a request's head.
fn target(stream: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()?.split(' ').nth(1).map(str::to_owned)
}

/// One whole answer.
pub fn answer(stream: &mut UnixStream, status: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// A container of a [`Daemon`].
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its process; 0 for none.
    pub pid: u32,
    /// `HostConfig.NetworkMode`.
    pub network: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
}

/// What a daemon has and was asked.
#[derive(Debug, Default)]
struct State {
    containers: Mutex<HashMap<String, Container>>,
    streams: Mutex<Vec<UnixStream>>,
    lists: AtomicUsize,
    looks: AtomicUsize,
}

/// A well-behaved daemon, whose containers come and go as the test says.
#[derive(Debug)]
pub struct Daemon {
    server: Scripted,
    state: Arc<State>,
}

impl Daemon {
    /// Begins to listen, without containers.
    pub fn start(socket: &Path) -> Self {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let server = Scripted::start(socket, move |target, stream| serve(&shared, target, stream));
        Self { server, state }
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        self.server.socket()
    }

    /// Makes a container, or changes it.
    pub fn has(&self, id: &str, container: Container) {
        self.state.containers.lock().unwrap().insert(id.to_owned(), container);
    }

    /// Takes it away.
    pub fn lacks(&self, id: &str) {
        self.state.containers.lock().unwrap().remove(id);
    }

    /// Tells of it to whoever listens.
    pub fn event(&self, action: &str, id: &str) {
        let line =
            format!("{{\"Type\":\"container\",\"Action\":\"{action}\",\"Actor\":{{\"ID\":\"{id}\"}}}}\n");
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        self.state.streams.lock().unwrap().retain_mut(|stream| stream.write_all(chunk.as_bytes()).is_ok());
    }

    /// How often all containers were asked for, and how often one.
    pub fn asked(&self) -> (usize, usize) {
        (self.state.lists.load(Ordering::Relaxed), self.state.looks.load(Ordering::Relaxed))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        for stream in self.state.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn serve(state: &State, target: &str, mut stream: UnixStream) {
    if target.starts_with("/events") {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        return state.streams.lock().unwrap().push(stream);
    }
    if target == "/containers/json" {
        state.lists.fetch_add(1, Ordering::Relaxed);
        let containers = state.containers.lock().unwrap().clone();
        return answer(&mut stream, "200 OK", list(&containers).as_bytes());
    }
    state.looks.fetch_add(1, Ordering::Relaxed);
    let id = target.split('/').nth(2).unwrap_or_default();
    let container = state.containers.lock().unwrap().get(id).cloned();
    match container {
        Some(container) => answer(&mut stream, "200 OK", inspection(id, &container).as_bytes()),
        None => answer(&mut stream, "404 Not Found", b"{}"),
    }
}

fn list(containers: &HashMap<String, Container>) -> String {
    let entries = containers.iter().map(|(id, container)| {
        let names = [format!("/{}", container.name)];
        serde_json::json!({ "Id": id, "Names": names, "State": "running", "Status": "Up" })
    });
    entries.collect::<serde_json::Value>().to_string()
}

/// What Docker's API says of a container.
pub fn inspection(id: &str, container: &Container) -> String {
    let labels: HashMap<_, _> = container.labels.iter().cloned().collect();
    serde_json::json!({
        "Id": id,
        "Name": format!("/{}", container.name),
        "State": { "Status": if container.pid == 0 { "created" } else { "running" }, "Pid": container.pid },
        "Config": { "Image": "image:1", "Labels": labels },
        "HostConfig": { "NetworkMode": container.network },
    })
    .to_string()
}
