//! What write layers take, found out on a thread of its own, at leisure: one layer after the other, at the lowest
//! priority, and only while somebody scrapes.

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::source::{
    beneath::Beneath,
    cgroup::CgroupPath,
    quota,
    room::{self, WalkError},
    thread,
};

/// A layer is not walked over for more than this share of the time, however large it is.
const REST: u32 = 20;
/// It is walked over again after this time at the latest.
const LONGEST_REST: Duration = Duration::from_mins(20);
/// A walk that takes longer is given up.
const LONGEST_WALK: Duration = Duration::from_mins(10);
/// How often the thread rests for as long as the walk before took, and for how long at most.
const BREATHS: u32 = 4;
const LONGEST_BREATH: Duration = Duration::from_secs(10);
/// Nothing is walked over when nobody has scraped for so long.
const UNWANTED_AFTER: Duration = Duration::from_mins(2);

/// Folders whose room together is a container's.
#[derive(Debug, Default)]
pub struct Layer {
    /// The write layer, on the host.
    pub upper: Vec<u8>,
    /// Where its runtime keeps its log, on the host.
    pub beside: Option<Vec<u8>>,
    /// The user whose runtime made it; none for root.
    pub user: Option<u32>,
    is_gone: AtomicBool,
}

impl Layer {
    /// A layer with what lies beside it.
    pub fn new(upper: Vec<u8>, beside: Option<Vec<u8>>, user: Option<u32>) -> Self {
        Self { upper, beside, user, is_gone: AtomicBool::new(false) }
    }
}

/// What a layer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// In bytes.
    pub bytes: u64,
    /// When that was so.
    pub at: Instant,
}

/// The layers that are measured.
#[derive(Debug)]
pub struct Walks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// How long a layer rests at least.
    pause: Duration,
}

#[derive(Debug, Default)]
struct State {
    slots: BTreeMap<CgroupPath, Slot>,
    wanted: Option<Instant>,
    is_stopped: bool,
}

#[derive(Debug)]
struct Slot {
    layer: Arc<Layer>,
    taken: Option<Taken>,
    /// Not before this moment again.
    due: Option<Instant>,
}

impl Walks {
    /// Starts the thread. A layer is measured once in `pause`, or less often.
    ///
    /// # Errors
    /// What the kernel says to a new thread.
    pub fn start(root: Beneath, pause: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), pause });
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name("layers".to_owned()).spawn(move || {
            thread::leave_descriptor_table();
            thread::yield_to_all();
            theirs.run(&root);
        })?;
        Ok(Self(shared))
    }

    /// Has a cgroup's layer measured from now on.
    pub fn follow(&self, path: &CgroupPath, layer: Arc<Layer>) {
        let slot = Slot { layer, taken: None, due: None };
        if let Some(before) = self.0.lock().slots.insert(path.clone(), slot) {
            before.layer.is_gone.store(true, Ordering::Relaxed);
        }
    }

    /// Measures no more for a cgroup.
    pub fn leave(&self, path: &CgroupPath) {
        if let Some(slot) = self.0.lock().slots.remove(path) {
            slot.layer.is_gone.store(true, Ordering::Relaxed);
        }
    }

    /// What a cgroup's layer takes, as far as is known.
    pub fn taken(&self, path: &CgroupPath) -> Option<Taken> {
        self.0.lock().slots.get(path)?.taken
    }

    /// Somebody wants to know: what is due is measured.
    pub fn want(&self, now: Instant) {
        self.0.lock().wanted = Some(now);
        self.0.changed.notify_all();
    }
}

impl Drop for Walks {
    /// Tells the thread to end; it is not waited for.
    fn drop(&mut self) {
        self.0.lock().is_stopped = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, root: &Beneath) {
        let mut is_said = false;
        while let Some((path, layer)) = self.next() {
            let begun = Instant::now();
            let measured = measure(&layer, root, &mut || self.goes_on(&layer, begun));
            let length = begun.elapsed();
            match &measured {
                Ok(_) | Err(WalkError::Stopped | WalkError::Changed) => {}
                Err(error) if error.is_denied() && !is_said => {
                    is_said = true;
                    tracing::warn!(%error, "write layers cannot be read without CAP_DAC_READ_SEARCH: no container_fs_usage_bytes of containers");
                }
                Err(error) => {
                    let layer = String::from_utf8_lossy(&layer.upper);
                    tracing::debug!(%error, %layer, "a write layer's room is not known");
                }
            }
            self.finish(&path, &layer, begun, length, measured.ok());
            self.rest((length * BREATHS).min(LONGEST_BREATH));
        }
    }

    /// The layer that has waited longest; `None` at the end.
    fn next(&self) -> Option<(CgroupPath, Arc<Layer>)> {
        let mut state = self.lock();
        loop {
            if state.is_stopped {
                return None;
            }
            let now = Instant::now();
            let is_wanted =
                state.wanted.is_some_and(|wanted| now.saturating_duration_since(wanted) < UNWANTED_AFTER);
            let first = state.slots.iter().min_by_key(|(_, slot)| slot.due).filter(|_| is_wanted);
            let Some((path, slot)) = first else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let wait = slot.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now));
            if wait.is_zero() {
                return Some((path.clone(), Arc::clone(&slot.layer)));
            }
            // Until the next scrape at the latest: a layer that is new comes first.
            state = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn goes_on(&self, layer: &Layer, begun: Instant) -> bool {
        !layer.is_gone.load(Ordering::Relaxed) && begun.elapsed() < LONGEST_WALK && !self.lock().is_stopped
    }

    fn finish(
        &self,
        path: &CgroupPath,
        layer: &Arc<Layer>,
        at: Instant,
        length: Duration,
        bytes: Option<u64>,
    ) {
        let rest = (length * REST).min(LONGEST_REST).max(self.pause);
        let mut state = self.lock();
        let Some(slot) = state.slots.get_mut(path).filter(|slot| Arc::ptr_eq(&slot.layer, layer)) else {
            return;
        };
        slot.due = Some(Instant::now() + rest);
        slot.taken = bytes.map(|bytes| Taken { bytes, at }).or(slot.taken);
    }

    fn rest(&self, length: Duration) {
        let until = Instant::now() + length;
        let mut state = self.lock();
        while !state.is_stopped {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What a layer takes with what lies beside it.
fn measure(layer: &Layer, root: &Beneath, goes_on: &mut dyn FnMut() -> bool) -> Result<u64, WalkError> {
    let open = |path: &[u8]| -> Result<OwnedFd, WalkError> {
        root.folder(path, layer.user).map_err(|error| WalkError::Os("open", error))
    };
    let upper = open(&layer.upper)?;
    let own = match quota::taken(&upper) {
        Some(bytes) => bytes,
        None => room::taken(upper, goes_on)?,
    };
    // A log of another kind than a file's has no folder.
    let beside = match layer.beside.as_ref().map(|path| open(path)) {
        Some(Ok(beside)) => room::taken(beside, goes_on)?,
        Some(Err(_)) | None => 0,
    };
    Ok(own.saturating_add(beside))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{fs, path::Path};

    use super::*;

    fn soon(mut is: impl FnMut() -> bool) -> bool {
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if is() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        is()
    }

    #[test]
    fn layers_are_measured_while_somebody_wants_to_know() {
        let top = std::env::temp_dir().join(format!("nodetally-walks-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        let (diff, beside) = (top.join("diff"), top.join("log"));
        fs::create_dir_all(&diff).unwrap();
        fs::create_dir_all(&beside).unwrap();
        let text = |path: &Path| path.as_os_str().as_encoded_bytes().to_vec();
        let layer = || Arc::new(Layer::new(text(&diff), Some(text(&beside)), None));
        let walks = Walks::start(Beneath::new(Path::new("/")), Duration::from_millis(1)).unwrap();
        let path = CgroupPath::new(b"/a");
        walks.follow(&path, layer());
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(walks.taken(&path), None, "nobody has asked");
        walks.want(Instant::now());
        assert!(soon(|| walks.taken(&path).is_some()));
        let empty = walks.taken(&path).unwrap();
        fs::write(diff.join("x"), vec![1; 1 << 20]).unwrap();
        fs::write(beside.join("y"), vec![1; 1 << 20]).unwrap();
        assert!(soon(|| walks.taken(&path).unwrap().bytes >= empty.bytes + (2 << 20)));
        assert!(walks.taken(&path).unwrap().at > empty.at);

        let gone = layer();
        walks.follow(&CgroupPath::new(b"/b"), Arc::clone(&gone));
        walks.leave(&CgroupPath::new(b"/b"));
        assert!(gone.is_gone.load(Ordering::Relaxed) && walks.taken(&CgroupPath::new(b"/b")).is_none());
        // What cannot be read any more keeps its last figure, and its age tells.
        fs::remove_dir_all(&top).unwrap();
        let last = walks.taken(&path).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert!(walks.taken(&path).unwrap().bytes >= last.bytes.min(1 << 20));
        let shared = Arc::downgrade(&walks.0);
        drop(walks);
        assert!(soon(|| shared.strong_count() == 0), "the thread ends with its owner");
    }
}
