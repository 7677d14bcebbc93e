//! Requests on their way to the thread that follows a runtime.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::looks::Id;

/// Requests that wait; more than these are replaced by a fresh list.
const LIMIT: usize = 4096;

/// What a follower's handle and its task share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// The queue has something.
    pub news: Notify,
    /// The handle was dropped.
    pub end: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    ids: VecDeque<Id>,
    /// The same ids, to find doubles.
    known: HashSet<Id>,
    /// Some request found no room.
    overflow: bool,
}

impl Shared {
    /// Queues a request.
    pub fn push(&self, id: &str) {
        self.queue().push(id);
        self.news.notify_one();
    }

    /// Empties the queue; the flag tells whether requests were lost.
    pub fn take(&self) -> (VecDeque<Id>, bool) {
        self.queue().take()
    }

    /// Whether nothing was asked since it was emptied.
    pub fn is_empty(&self) -> bool {
        let queue = self.queue();
        queue.ids.is_empty() && !queue.overflow
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, id: &str) {
        if self.known.contains(id) {
            return;
        }
        if self.ids.len() >= LIMIT {
            self.overflow = true;
            return;
        }
        let id = Id::from(id);
        self.known.insert(Id::clone(&id));
        self.ids.push_back(id);
    }

    fn take(&mut self) -> (VecDeque<Id>, bool) {
        self.known.clear();
        (std::mem::take(&mut self.ids), std::mem::take(&mut self.overflow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_asks_for_a_list() {
        let mut queue = Queue::default();
        for number in 0..LIMIT {
            queue.push(&number.to_string());
            queue.push(&number.to_string());
        }
        assert!(!queue.overflow);
        queue.push("one too many");
        let (ids, lost) = queue.take();
        assert_eq!((ids.len(), lost), (LIMIT, true));
        assert_eq!(queue.take(), (VecDeque::new(), false));
    }
}
