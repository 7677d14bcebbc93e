//! HTTP/1.1 over the runtime's unix socket: one connection a call, everything bounded in time and size.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::follow::Error;

/// Bounds what is read ahead of a consumer, and the size of a response's head.
const READ_BUFFER: usize = 64 * 1024;
/// Longest line of the event stream: an event carries the container's labels.
const LINE_LIMIT: usize = 1024 * 1024;

/// One call: what is asked, what it is called in messages, how large its answer may be.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub name: &'static str,
    pub target: String,
    pub limit: usize,
}

/// Where the runtime listens and how long it may take.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub socket: PathBuf,
    pub timeout: Duration,
}

/// The task that moves a connection's bytes; it ends with its owner.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Client {
    /// The whole body of a successful answer.
    pub(super) async fn get(&self, call: &Call) -> Result<Vec<u8>, Error> {
        let read = async {
            let (response, driver) = self.send(call).await?;
            let body = read_body(response.into_body(), call).await;
            drop(driver);
            body
        };
        timeout(self.timeout, read).await.map_err(|_| Error::Late { call: call.name })?
    }

    /// The lines of an answer that goes on for ever; only its beginning has a time limit.
    pub(super) async fn lines(&self, call: &Call) -> Result<Lines, Error> {
        let sent =
            timeout(self.timeout, self.send(call)).await.map_err(|_| Error::Late { call: call.name })?;
        let (response, driver) = sent?;
        Ok(Lines {
            call: call.name,
            body: response.into_body(),
            rest: Vec::new(),
            searched: 0,
            _driver: driver,
        })
    }

    async fn send(&self, call: &Call) -> Result<(Response<Incoming>, Driver), Error> {
        let http = |source| failed(call.name, source);
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| Error::Connect { path: self.socket.display().to_string(), source })?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(READ_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(http)?;
        let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
        let request = Request::get(&call.target).header(HOST, "localhost").body(Empty::<Bytes>::new());
        let Ok(request) = request else { return Err(Error::Malformed { call: call.name }) };
        let response = sender.send_request(request).await.map_err(http)?;
        match response.status() {
            StatusCode::OK => Ok((response, driver)),
            StatusCode::NOT_FOUND => Err(Error::NotFound { call: call.name }),
            status => Err(Error::Refused { call: call.name, status: status.to_string() }),
        }
    }
}

fn failed(call: &'static str, source: hyper::Error) -> Error {
    Error::Failed { call, source: source.into() }
}

async fn read_body(mut body: Incoming, call: &Call) -> Result<Vec<u8>, Error> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| failed(call.name, source))?;
        let Some(data) = frame.data_ref() else { continue };
        if whole.len().saturating_add(data.len()) > call.limit {
            return Err(Error::TooLarge { call: call.name, limit: call.limit });
        }
        whole.extend_from_slice(data);
    }
    Ok(whole)
}

/// Lines of a stream that stays open.
pub struct Lines {
    call: &'static str,
    body: Incoming,
    /// What has come and was not handed out; the first `searched` bytes hold no line end.
    rest: Vec<u8>,
    searched: usize,
    _driver: Driver,
}

impl Lines {
    /// The next line that is not empty, without its end. Dropping the future loses nothing.
    pub(super) async fn line(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            while let Some(line) = self.take_line() {
                if !line.trim_ascii().is_empty() {
                    return Ok(line);
                }
            }
            if self.rest.len() > LINE_LIMIT {
                return Err(Error::TooLarge { call: self.call, limit: LINE_LIMIT });
            }
            let frame = self.body.frame().await.ok_or(Error::Ended { call: self.call })?;
            let frame = frame.map_err(|source| failed(self.call, source))?;
            if let Some(data) = frame.data_ref() {
                self.rest.extend_from_slice(data);
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let found = self.rest.get(self.searched..)?.iter().position(|byte| *byte == b'\n');
        let Some(at) = found else {
            self.searched = self.rest.len();
            return None;
        };
        let end = self.searched + at + 1;
        self.searched = 0;
        Some(self.rest.drain(..end).collect())
    }
}
