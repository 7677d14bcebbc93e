//! gRPC over a unix socket: HTTP/2 of the `h2` crate and the five bytes before each message. Everything is bounded
//! in time and size, and a connection serves one purpose, so that a call that hangs holds up nothing else.

#[cfg(test)]
mod tests;
pub(super) mod wire;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use h2::RecvStream;
use h2::client::{Builder, ResponseFuture, SendRequest};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use hyper::{Request, Response, StatusCode};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::follow::Error;
use wire::Malformed;

/// What a peer may send ahead of a reader, of a stream and of all streams of a connection.
const WINDOW: u32 = 64 * 1024;
/// Longest head or trailer.
const HEADERS_LIMIT: u32 = 16 * 1024;
/// Before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// Longest message of a stream of events.
pub(super) const EVENT_LIMIT: usize = 1024 * 1024;

/// The status of a service that has no such thing.
const NOT_FOUND: u32 = 5;
/// The status of a service that could have no such thing: its name is none.
const INVALID_ARGUMENT: u32 = 3;

/// One method: how it is asked for, and how large a message of its answer may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method {
    /// `/package.Service/Method`; its name in messages.
    pub path: &'static str,
    pub limit: usize,
}

impl Method {
    pub(super) const fn new(path: &'static str, limit: usize) -> Self {
        Self { path, limit }
    }

    pub(super) fn malformed(&self, _: Malformed) -> Error {
        Error::Malformed { call: self.path }
    }
}

/// Where the runtime listens and how long a call may take.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub socket: PathBuf,
    pub timeout: Duration,
}

/// The task that moves a connection's bytes; it ends with its owner.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    timeout: Duration,
    _driver: Driver,
}

impl Client {
    /// Connects; whether the peer speaks HTTP/2 shows at the first call.
    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        let path = || self.socket.display().to_string();
        let late = |_| Error::Connect { path: path(), source: io::ErrorKind::TimedOut.into() };
        let stream = timeout(self.timeout, UnixStream::connect(&self.socket)).await.map_err(late)?;
        let stream = stream.map_err(|source| Error::Connect { path: path(), source })?;
        let shaken = Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_header_list_size(HEADERS_LIMIT)
            .enable_push(false)
            .handshake(stream);
        let shaken = timeout(self.timeout, shaken).await.map_err(late)?;
        let (sender, connection) = shaken.map_err(|source| failed("HTTP/2 connection", source))?;
        let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
        Ok(Connection { sender, timeout: self.timeout, _driver: driver })
    }
}

impl Connection {
    /// The one message that answers `message`.
    pub(super) async fn call(
        &mut self,
        method: &Method,
        headers: &[(&'static str, &str)],
        message: &[u8],
    ) -> Result<Bytes, Error> {
        let call = method.path;
        let within = self.timeout;
        let read = async {
            let answer = self.send(method, headers, message, Some(within)).await?;
            let answer = answer.await.map_err(|source| failed(call, source))?;
            let mut messages = Messages::of(method, answer)?;
            let first = messages.next().await?.ok_or(Error::Malformed { call })?;
            match messages.next().await? {
                None => Ok(first),
                Some(_) => Err(Error::Malformed { call }),
            }
        };
        timeout(within, read).await.map_err(|_| Error::Late { call })?
    }

    /// The messages that answer `message`, for as long as the peer sends them. Gives the stream once the peer has
    /// answered the call `then` on the same connection: the head of a stream may come with its first message only.
    pub(super) async fn stream(
        mut self,
        method: &Method,
        message: &[u8],
        then: &Method,
    ) -> Result<Stream, Error> {
        let within = self.timeout;
        let late = |_| Error::Late { call: method.path };
        let answer = timeout(within, self.send(method, &[], message, None)).await.map_err(late)??;
        let answered = match self.call(then, &[], &[]).await {
            Err(error) if !is_refusal(&error) => Err(error),
            _ => Ok(()),
        };
        answered?;
        Ok(Stream {
            method: *method,
            patience: self.timeout,
            state: StreamState::Asked(answer),
            late_at: None,
            _connection: self,
        })
    }

    async fn send(
        &mut self,
        method: &Method,
        headers: &[(&'static str, &str)],
        message: &[u8],
        within: Option<Duration>,
    ) -> Result<ResponseFuture, Error> {
        let malformed = || Error::Malformed { call: method.path };
        let length = u32::try_from(message.len()).map_err(|_| malformed())?;
        let mut framed = Vec::with_capacity(PREFIX + message.len());
        framed.push(0);
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(message);
        let mut request = Request::post(format!("http://localhost{}", method.path))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
            .header(TE, HeaderValue::from_static("trailers"));
        if let Some(within) = within {
            request = request.header("grpc-timeout", format!("{}m", within.as_millis().min(99_999_999)));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).map_err(|_| malformed())?;
        let http = |source| failed(method.path, source);
        // Waits while the peer allows no further stream.
        self.sender = self.sender.clone().ready().await.map_err(http)?;
        let (answer, mut body) = self.sender.send_request(request, false).map_err(http)?;
        body.send_data(Bytes::from(framed), true).map_err(http)?;
        Ok(answer)
    }
}

/// An answer's messages.
#[derive(Debug)]
struct Messages {
    method: Method,
    body: RecvStream,
    /// What has come and was not handed out.
    rest: Vec<u8>,
    /// As the head of the answer told it.
    status: Option<u32>,
}

impl Messages {
    fn of(method: &Method, answer: Response<RecvStream>) -> Result<Self, Error> {
        if answer.status() != StatusCode::OK {
            return Err(Error::Refused { call: method.path, status: answer.status().to_string() });
        }
        let (head, body) = answer.into_parts();
        // An answer without a message may have its status in the head, and no trailer.
        let status = status(&head.headers);
        match status {
            None | Some(0) => Ok(Self { method: *method, body, rest: Vec::new(), status }),
            Some(status) => Err(refused(method.path, status)),
        }
    }

    /// The next message; `None` at the end of an answer that was well. Dropping the future loses nothing.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let call = self.method.path;
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            if !self.read().await? {
                return if self.rest.is_empty() { Ok(None) } else { Err(Error::Malformed { call }) };
            }
        }
    }

    /// Takes what comes next; `false` at the end of an answer that was well. Dropping the future loses nothing.
    async fn read(&mut self) -> Result<bool, Error> {
        let call = self.method.path;
        let http = |source| failed(call, source);
        if let Some(data) = self.body.data().await {
            let data = data.map_err(http)?;
            self.rest.extend_from_slice(&data);
            self.body.flow_control().release_capacity(data.len()).map_err(http)?;
            return Ok(true);
        }
        let trailers = self.body.trailers().await.map_err(http)?;
        match trailers.as_ref().and_then(status).or(self.status) {
            Some(0) => Ok(false),
            Some(status) => Err(refused(call, status)),
            None => Err(Error::Malformed { call }),
        }
    }

    /// The next message, where all of it has come.
    fn take(&mut self) -> Result<Option<Bytes>, Error> {
        let call = self.method.path;
        let Some((prefix, rest)) = self.rest.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let [compressed, length @ ..] = *prefix;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if compressed != 0 {
            return Err(Error::Malformed { call });
        }
        if length > self.method.limit {
            return Err(Error::TooLarge { call, limit: self.method.limit });
        }
        if rest.len() < length {
            return Ok(None);
        }
        let more = self.rest.split_off(PREFIX + length);
        let mut whole = Bytes::from(std::mem::replace(&mut self.rest, more));
        Ok(Some(whole.split_off(PREFIX)))
    }
}

/// Several calls, with one limit for all.
pub(super) async fn within<T>(
    limit: Duration,
    call: &'static str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, work).await.map_err(|_| Error::Late { call })?
}

fn failed(call: &'static str, source: h2::Error) -> Error {
    Error::Failed { call, source: Box::new(source) }
}

fn refused(call: &'static str, status: u32) -> Error {
    match status {
        NOT_FOUND | INVALID_ARGUMENT => Error::NotFound { call },
        _ => Error::Refused { call, status: format!("gRPC status {status}") },
    }
}

/// Whether the service answered, and gave nothing but a status.
pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. } | Error::Refused { .. })
}

fn status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// An answer that stays open.
#[derive(Debug)]
pub(super) struct Stream {
    method: Method,
    patience: Duration,
    state: StreamState,
    /// When a message that has begun is given up.
    late_at: Option<Instant>,
    _connection: Connection,
}

#[derive(Debug)]
enum StreamState {
    /// The head of the answer is not there yet.
    Asked(ResponseFuture),
    Answered(Messages),
}

impl Stream {
    /// The next message. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Bytes, Error> {
        let call = self.method.path;
        if let StreamState::Asked(answer) = &mut self.state {
            let answer = answer.await.map_err(|source| failed(call, source))?;
            self.state = StreamState::Answered(Messages::of(&self.method, answer)?);
        }
        let StreamState::Answered(messages) = &mut self.state else { return Err(Error::Ended { call }) };
        loop {
            if let Some(message) = messages.take()? {
                self.late_at = None;
                return Ok(message);
            }
            // Nothing may come for days; but what has begun must end.
            let has_begun = !messages.rest.is_empty();
            let late_at =
                has_begun.then(|| *self.late_at.get_or_insert_with(|| Instant::now() + self.patience));
            let more = match late_at {
                None => messages.read().await?,
                Some(at) => timeout_at(at, messages.read()).await.map_err(|_| Error::Late { call })??,
            };
            if !more {
                return Err(Error::Ended { call });
            }
        }
    }
}
