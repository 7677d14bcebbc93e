//! Netlink: one kept socket and one request for a whole list, however long.
//!
//! A container's interfaces are counted without entering its namespace: [`Links::nsid_of_pid`] numbers the
//! namespace, [`Links::dump_namespace`] lists what is in it, and [`Link::is_peer_of`] finds the host's
//! end of each veth, whose counters (receive and transmit swapped) come with every [`Links::dump`].
//!
//! Every reader may wait on a lock of the kernel's network configuration, so it belongs on a thread that may.

mod conversation;
mod ethtool;
pub(crate) mod generic;
mod link;
mod links;
mod message;
mod names;
mod neighbours;
pub(crate) mod nl80211;
mod qdiscs;
#[cfg(test)]
mod recorded;
mod routes;
mod taskstats;
mod tcp;

use std::io;

pub use ethtool::{LinkMode, LinkModes};
pub use link::{InnerVeth, Link, Stats};
pub use links::{Dump, Links};
pub use message::Malformed;
pub use names::{LinkBell, LinkNames};
pub use neighbours::Neighbours;
pub use nl80211::{Network, Station, Wireless, WirelessInterface};
pub use qdiscs::{QdiscCounts, Qdiscs, RootQdisc};
pub use routes::{Route, Routes};
pub use taskstats::{TaskCounter, TaskStates};
pub use tcp::{TCP_STATES, TcpReader, TcpSockets};

/// What went wrong between us and netlink.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on the netlink socket failed.
    #[error("netlink: {call}: {source}")]
    Call {
        /// Name of the system call.
        call: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel answered the request with an error.
    #[error("netlink: {request}: {source}")]
    Refused {
        /// Name of the request.
        request: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No complete answer in time.
    #[error("netlink: {request}: no complete answer in time")]
    Late {
        /// Name of the request.
        request: &'static str,
    },
    /// The answer is not a run of netlink messages, or is larger than any real one.
    #[error("netlink: {request}: the answer makes no sense")]
    Malformed {
        /// Name of the request.
        request: &'static str,
    },
    /// This kernel lists its own namespace when asked for another one (before Linux 4.20).
    #[error("netlink: this kernel cannot list the interfaces of another namespace")]
    NoTargetNamespace,
}

impl Error {
    /// The kernel's error number, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Call { source, .. } | Self::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(answer: &[u8]) {
    conversation::fuzz(answer);
    links::fuzz(answer);
    for body in
        std::iter::once(answer).chain(message::Messages(answer).map_while(Result::ok).map(|one| one.body))
    {
        neighbours::fuzz(body);
        qdiscs::fuzz(body);
        routes::fuzz(body);
        tcp::fuzz(body);
        taskstats::fuzz(body);
        ethtool::fuzz(body);
        generic::fuzz(body);
        nl80211::fuzz(body);
    }
}
