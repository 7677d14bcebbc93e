//! A server on a loopback port, whose scrapes do what the name of the collector tells, and a client.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hyper::body::Bytes;
use prometheus::Registry;
use tokio::sync::oneshot;

use crate::{
    config::{ListenAddress, Part, SiteSettings, WebSettings},
    web::{HttpMetrics, ScrapeError, Scrapes, bind, connection::Limits, server::serve_within},
};

pub(super) const LINE: &[u8] = b"node_load1 0.25\n";

/// Scrapes that the name of the collector tells what to do.
pub(super) struct Told;

impl Scrapes for Told {
    type Selection = String;

    fn select(&self, part: Part, collect: &[String], exclude: &[String]) -> Result<String, String> {
        if part == Part::Containers && collect.is_empty() {
            return Ok("containers".to_owned());
        }
        match (collect.first().map(String::as_str), exclude.len()) {
            (Some("nonsense"), _) => Err("missing collector: nonsense".to_owned()),
            (Some(name), _) => Ok(name.to_owned()),
            (None, 0) => Ok("all".to_owned()),
            (None, _) => Ok("some".to_owned()),
        }
    }

    async fn scrape(&self, selection: String, deadline: Instant) -> Result<Bytes, ScrapeError> {
        match selection.as_str() {
            "late" => {
                tokio::time::sleep_until(deadline.into()).await;
                Err(ScrapeError::Late)
            }
            "never" => std::future::pending().await,
            "slow" => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(Bytes::from_static(LINE))
            }
            "containers" => Ok(Bytes::from_static(b"containers\n")),
            "stopped" => Err(ScrapeError::Stopped),
            "some" => Ok(Bytes::from_static(b"some\n")),
            "huge" => Ok(Bytes::from(LINE.repeat(2_000_000))),
            "page" => Ok(Bytes::from(LINE.repeat(1000))),
            _ => Ok(Bytes::from_static(LINE)),
        }
    }

    fn ready(&self) -> bool {
        true
    }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    containers: SocketAddr,
    pub(super) registry: Registry,
    pub(super) stop: Option<oneshot::Sender<()>>,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::with(Limits::default(), "/metrics", 40)
    }

    pub(super) fn with(limits: Limits, path: &str, max_requests: usize) -> Self {
        let site = |part, path: &str, prefix: &str| SiteSettings {
            part,
            listen: vec![ListenAddress::parse("127.0.0.1:0", "").unwrap()],
            telemetry_path: path.to_owned(),
            prefix: prefix.to_owned(),
        };
        let sites = vec![site(Part::Node, path, ""), site(Part::Containers, "/c", "/p")];
        let settings = WebSettings { sites, max_requests, exporter_metrics: true };
        let listeners = bind(&settings).unwrap();
        let [address, containers] =
            [0, 1].map(|index: usize| listeners[index].listener.local_addr().unwrap());
        let registry = Registry::new();
        let metrics = HttpMetrics::new(&registry).unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let shutdown = async { stopped.await.unwrap_or(()) };
            serve_within(limits, listeners, &settings, Arc::new(Told), metrics, shutdown).unwrap();
        });
        Self { address, containers, registry, stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// GET where containers are served alone.
    pub(super) fn get_of_containers(&self, target: &str) -> Answer {
        let mut stream = connect(self.containers);
        stream
            .write_all(format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::parse(&bytes)
    }

    pub(super) fn send(&self, request: &str) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    pub(super) fn ask(&self, method: &str, target: &str, headers: &str) -> Answer {
        let mut stream = self
            .send(&format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"));
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::parse(&bytes)
    }

    pub(super) fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "")
    }

    /// A figure of the server's own, by name and label value.
    pub(super) fn figure(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let metric = family
            .get_metric()
            .iter()
            .find(|metric| metric.get_label().iter().all(|pair| pair.value() == label))
            .unwrap();
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    }

    /// Ends the server; how long that took.
    pub(super) fn stop(&mut self) -> Duration {
        let begun = Instant::now();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        begun.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a header");
        let head = str::from_utf8(&bytes[..end]).unwrap();
        let (first, rest) = head.split_once("\r\n").unwrap();
        let headers = rest
            .split("\r\n")
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, headers, body: bytes[end + 4..].to_vec() }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}
