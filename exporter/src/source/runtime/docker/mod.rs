//! The Docker-compatible API (Docker, Podman) over its unix socket.

mod api;
mod field;
mod http;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use super::follow::{Api, CALL_TIMEOUT, Error, Event, Events, Id, Inspected, Listed};
use api::Malformed;
use http::{Call, Client, Lines};

const LIST: &str = "GET /containers/json";
const INSPECT: &str = "GET /containers/ID/json";
const EVENTS: &str = "GET /events";
/// `{"type":["container"],"event":["start","die","died","destroy","remove","rename","health_status","update"]}`,
/// URL-encoded: Podman has other words for two of Docker's.
const EVENTS_TARGET: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22start%22%2C\
    %22die%22%2C%22died%22%2C%22destroy%22%2C%22remove%22%2C%22rename%22%2C%22health_status%22%2C%22update%22%5D%7D";
/// Two thousand bytes a container is usual.
const LIST_LIMIT: usize = 32 * 1024 * 1024;
const INSPECT_LIMIT: usize = 4 * 1024 * 1024;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(answer: &[u8]) {
    let id = "0123456789abcdef".repeat(4);
    let _ = (api::inspected(answer, &id), api::listed(answer), api::event(answer));
}

/// A runtime with the Docker-compatible API.
#[derive(Debug)]
pub struct Docker {
    name: &'static str,
    http: Client,
}

impl Docker {
    /// The one that listens on this unix socket. `name`: what the log calls it.
    pub fn new(name: &'static str, socket: PathBuf) -> Self {
        Self { name, http: Client { socket, timeout: CALL_TIMEOUT } }
    }

    /// With another limit for one call, from connecting to the answer's end.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.http.timeout = timeout;
        self
    }
}

impl Api for Docker {
    type Events = Lines;

    fn name(&self) -> &'static str {
        self.name
    }

    fn address(&self) -> String {
        self.http.socket.display().to_string()
    }

    async fn events(&self) -> Result<Option<Lines>, Error> {
        let call = Call { name: EVENTS, target: EVENTS_TARGET.to_owned(), limit: 0 };
        match self.http.lines(&call).await {
            Ok(lines) => Ok(Some(lines)),
            Err(Error::NotFound { .. } | Error::Refused { .. }) => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        let call = Call { name: LIST, target: "/containers/json".to_owned(), limit: LIST_LIMIT };
        api::listed(&self.http.get(&call).await?).map_err(|Malformed| Error::Malformed { call: LIST })
    }

    async fn look(&self, id: &Id) -> Result<Inspected, Error> {
        if !api::is_id(id) {
            return Err(Error::NotFound { call: INSPECT });
        }
        let call = Call { name: INSPECT, target: format!("/containers/{id}/json"), limit: INSPECT_LIMIT };
        let body = self.http.get(&call).await?;
        api::inspected(&body, id).map_err(|Malformed| Error::Malformed { call: INSPECT })
    }
}

impl Events for Lines {
    async fn next(&mut self) -> Result<Event, Error> {
        api::event(&self.line().await?).map_err(|Malformed| Error::Malformed { call: EVENTS })
    }
}
