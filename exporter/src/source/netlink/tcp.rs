//! Socket diagnosis: the states of all TCP sockets, counted as they come.

use rustix::net::netlink::SOCK_DIAG;

use super::{
    Error,
    conversation::{Conversation, NLM_F_DUMP, Question},
    message::{u8_at, u32_at},
};

/// The old request, which alone asks for IPv4 and IPv6 at once.
const TCPDIAG_GETSOCK: u16 = 18;
/// `struct inet_diag_req`, and where it has the states that are asked for, one bit each.
const HEADER: usize = 60;
const STATES_AT: usize = 52;
/// All states but two that stand for others.
const STATES: u32 = 0xfff;
/// Where `struct inet_diag_msg` has the state and the two queues.
const STATE_AT: usize = 1;
const RECEIVED_AT: usize = 56;
const SENT_AT: usize = 60;

const QUESTION: Question = Question { name: "TCPDIAG_GETSOCK", answer: TCPDIAG_GETSOCK, is_single: false };

/// Number of states that the kernel shows, and one for those that it may yet invent.
pub const TCP_STATES: usize = 12;

/// The TCP sockets of a network namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpSockets {
    /// How many are in each state, by the kernel's number for it: 1 established, 10 listening; 0 for any other number
    /// than 1 to 11.
    pub states: [u64; TCP_STATES],
    /// Bytes that were received and wait to be read; for a listening one, connections that wait to be accepted.
    pub received: u64,
    /// Bytes that were sent and not acknowledged; for a listening one, the most connections that may wait.
    pub sent: u64,
}

/// A reader of the TCP sockets of our network namespace.
#[derive(Debug)]
pub struct TcpReader {
    talk: Conversation,
}

impl Default for TcpReader {
    fn default() -> Self {
        Self { talk: Conversation::new(SOCK_DIAG) }
    }
}

impl TcpReader {
    /// Counts the sockets of both versions of IP, in one dump.
    ///
    /// # Errors
    /// A failing system call, a refusal, no complete answer in time, or nonsense; the next call starts afresh.
    pub fn count(&mut self) -> Result<TcpSockets, Error> {
        let mut request = [0; HEADER];
        if let Some(states) = request.get_mut(STATES_AT..STATES_AT + 4) {
            states.copy_from_slice(&STATES.to_ne_bytes());
        }
        self.talk.fold(
            QUESTION,
            |talk| talk.begin(TCPDIAG_GETSOCK, NLM_F_DUMP, &request),
            TcpSockets::default,
            |sockets, body| {
                sockets.take(body);
            },
        )
    }
}

impl TcpSockets {
    /// Counts one socket; what is cut short does not count.
    fn take(&mut self, body: &[u8]) -> Option<()> {
        let (received, sent) = (u32_at(body, RECEIVED_AT)?, u32_at(body, SENT_AT)?);
        let state = usize::from(u8_at(body, STATE_AT)?);
        let state = if state < TCP_STATES { state } else { 0 };
        *self.states.get_mut(state)? += 1;
        self.received = self.received.wrapping_add(received.into());
        self.sent = self.sent.wrapping_add(sent.into());
        Some(())
    }
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(body: &[u8]) {
    let _ = TcpSockets::default().take(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::netlink::recorded::{bytes, garble};

    fn socket(state: u8, received: u32, sent: u32) -> Vec<u8> {
        let mut body = vec![0; 72];
        body.splice(0..2, [2, state]);
        body.splice(56..60, received.to_ne_bytes());
        body.splice(60..64, sent.to_ne_bytes());
        body
    }

    #[test]
    fn sockets_are_counted_by_state_and_their_queues_added_up() {
        let mut sockets = TcpSockets::default();
        for body in [socket(1, 5, u32::MAX), socket(1, 0, 1), socket(10, 1, 128), socket(200, 0, 0)] {
            sockets.take(&body);
            assert_eq!(sockets.take(&body[..63]), None, "cut short");
        }
        assert_eq!((sockets.states[1], sockets.states[10], sockets.states[0]), (2, 1, 1));
        assert_eq!((sockets.received, sockets.sent), (6, (1 << 32) + 128));
    }

    #[test]
    fn what_a_kernel_sent_is_read() {
        let listening = bytes(
            "020a00004d7700007f0000010000000000000000000000000000000000000000000000000000000000000000 0f000000
             0000000000000000000000000010000000000000ea6a1a00050008000000000008000f00000000000c00150001000000
             000000000600160052000000",
        );
        let mut sockets = TcpSockets::default();
        sockets.take(&listening).expect("is a socket");
        let mut wanted = TcpSockets { sent: 4096, ..TcpSockets::default() };
        wanted.states[10] = 1;
        assert_eq!(sockets, wanted);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        garble(&socket(1, 5, 6), |body| {
            TcpSockets::default().take(body);
        });
    }
}
