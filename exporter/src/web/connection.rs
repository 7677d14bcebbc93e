//! What is known of each connection, and the rules by which one is closed.

use std::{
    collections::HashMap,
    future::poll_fn,
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep_until},
};

/// What clients are granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once; beyond, the one idle for longest makes room.
    pub connections: usize,
    /// From a request's first byte, or the connection's beginning, to the end of its header.
    pub header: Duration,
    /// Between requests. Above Prometheus's own five minutes, so that the client is first to close.
    pub idle: Duration,
    /// From the first byte of an answer that the client does not take to its last.
    pub write: Duration,
    /// What answers under way are granted when the exporter ends.
    pub end: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            header: Duration::from_secs(10),
            idle: Duration::from_secs(330),
            write: Duration::from_secs(30),
            end: Duration::from_millis(200),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between requests.
    Idle,
    /// Some bytes of a request came, or none yet on a new connection.
    Header,
    /// A request is being answered.
    Answering,
}

struct State {
    phase: Phase,
    since: Instant,
    /// Since when the client has not taken all that was to be written.
    stalled: Option<Instant>,
    closing: bool,
    waker: Option<Waker>,
}

/// One connection's state, shared by its stream, its requests and the list of all.
pub(super) struct Slot {
    state: Mutex<State>,
}

impl Slot {
    fn new() -> Self {
        let since = Instant::now();
        let state = State { phase: Phase::Header, since, stalled: None, closing: false, waker: None };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is being answered until the guard goes.
    pub(super) fn answering(self: &Arc<Self>) -> Answering {
        self.enter(Phase::Answering);
        Answering { slot: Arc::clone(self) }
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = phase;
        state.since = Instant::now();
    }

    fn received(&self) {
        if self.state().phase == Phase::Idle {
            self.enter(Phase::Header);
        }
    }

    fn wrote(&self, all: bool) {
        let mut state = self.state();
        if all {
            state.stalled = None;
        } else {
            state.stalled.get_or_insert_with(Instant::now);
        }
    }

    fn close(&self) {
        let mut state = self.state();
        state.closing = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// When the connection is to be closed if nothing happens; at once when told to.
    fn due(&self, limits: &Limits, waker: &Waker) -> Option<Instant> {
        let mut state = self.state();
        if state.closing {
            return Some(state.since);
        }
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        match (state.stalled, state.phase) {
            (Some(stalled), _) => Some(stalled + limits.write),
            (None, Phase::Header) => Some(state.since + limits.header),
            (None, Phase::Idle) => Some(state.since + limits.idle),
            (None, Phase::Answering) => None,
        }
    }
}

/// A request that is being answered.
pub(super) struct Answering {
    slot: Arc<Slot>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.slot.enter(Phase::Idle);
    }
}

/// All open connections.
#[derive(Default)]
pub(super) struct Connections {
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    next: u64,
    slots: HashMap<u64, Arc<Slot>>,
}

impl Connections {
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in, at the price of the one idle for longest; `None` when all are busy.
    pub(super) fn admit(self: &Arc<Self>, limits: &Limits) -> Option<Member> {
        let open = self.list().slots.len();
        if open >= limits.connections && !self.close_idlest() {
            return None;
        }
        let mut list = self.list();
        let id = list.next;
        list.next += 1;
        let slot = Arc::new(Slot::new());
        list.slots.insert(id, Arc::clone(&slot));
        Some(Member { id, slot, all: Arc::clone(self) })
    }

    /// Closes the connection that has waited longest for a request, else the one whose client has stalled longest.
    /// Whether there was one.
    pub(super) fn close_idlest(&self) -> bool {
        let list = self.list();
        let idlest = list
            .slots
            .values()
            .filter_map(|slot| {
                let state = slot.state();
                match (state.closing, state.stalled, state.phase) {
                    (true, ..) | (false, None, Phase::Answering) => None,
                    (false, Some(since), _) => Some((true, since, slot)),
                    (false, None, _) => Some((false, state.since, slot)),
                }
            })
            .min_by_key(|(stalled, since, _)| (*stalled, *since));
        idlest.is_some_and(|(.., slot)| {
            slot.close();
            true
        })
    }

    /// Closes what is idle; how many are still busy.
    pub(super) fn close_all_idle(&self) -> usize {
        let list = self.list();
        list.slots
            .values()
            .filter(|slot| {
                let state = slot.state();
                let busy = state.phase == Phase::Answering || state.stalled.is_some();
                drop(state);
                if !busy {
                    slot.close();
                }
                busy
            })
            .count()
    }
}

/// A connection's place among all; it is given up when this goes.
pub(super) struct Member {
    id: u64,
    all: Arc<Connections>,
    /// Its state.
    pub slot: Arc<Slot>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.all.list().slots.remove(&self.id);
    }
}

/// Drives a connection until it ends or is due to be closed.
pub(super) async fn watch<E: std::error::Error>(
    connection: impl Future<Output = Result<(), E>>,
    member: Member,
    limits: Limits,
) {
    let mut connection = pin!(connection);
    let mut armed = Instant::now();
    let mut alarm = pin!(sleep_until(armed));
    poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            if let Err(error) = ended {
                tracing::debug!(%error, "connection failed");
            }
            return Poll::Ready(());
        }
        let Some(due) = member.slot.due(&limits, context.waker()) else {
            return Poll::Pending;
        };
        if due <= Instant::now() {
            return Poll::Ready(());
        }
        if due != armed {
            armed = due;
            alarm.as_mut().reset(due);
        }
        alarm.as_mut().poll(context)
    })
    .await;
}

/// A client's stream; it tells the slot what comes and what does not go.
pub(super) struct Stream {
    /// The socket.
    pub socket: TcpStream,
    /// The connection's state.
    pub slot: Arc<Slot>,
}

impl Stream {
    fn note(&self, asked: usize, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(count)) => self.slot.wrote(*count >= asked),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.slot.wrote(false),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.slot.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.note(bytes.len(), &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.note(slices.iter().map(|slice| slice.len()).sum(), &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
