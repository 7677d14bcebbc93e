//! What goes wrong with a runtime.

use std::io;

/// What went wrong with a call. The texts name no container, so that equal causes have equal texts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("connect {path}: {source}")]
    Connect {
        /// The socket.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The connection broke, or carried something else than the protocol.
    #[error("{call}: {source}")]
    Failed {
        /// What was asked.
        call: &'static str,
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer did not come in time.
    #[error("{call}: no answer in time")]
    Late {
        /// What was asked.
        call: &'static str,
    },
    /// The answer has no end in sight.
    #[error("{call}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// What was asked.
        call: &'static str,
        /// The most that is read.
        limit: usize,
    },
    /// The runtime has no such container.
    #[error("{call}: not found")]
    NotFound {
        /// What was asked.
        call: &'static str,
    },
    /// The runtime refused the call.
    #[error("{call}: {status}")]
    Refused {
        /// What was asked.
        call: &'static str,
        /// The status it gave.
        status: String,
    },
    /// The answer is not of the shape that carries the rest.
    #[error("{call}: the answer makes no sense")]
    Malformed {
        /// What was asked.
        call: &'static str,
    },
    /// The stream of events is over.
    #[error("{call}: the runtime ended the stream")]
    Ended {
        /// What was asked.
        call: &'static str,
    },
    /// A session without events is over.
    #[error("it has no event stream and is listed now and then instead")]
    NoEvents,
}
