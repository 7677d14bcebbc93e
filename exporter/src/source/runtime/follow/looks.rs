//! Which containers are to be looked at, and when: no container twice at once, retries that slow down.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Pace;

/// What a runtime knows a container by.
pub type Id = Arc<str>;

/// More containers than one host can run; requests beyond it wait for the next list.
const LIMIT: usize = 1 << 16;

/// How a look went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All is known.
    Done,
    /// It is not up yet; worth a bounded number of tries.
    NotYet,
    /// The runtime failed; to be tried as long as it takes.
    Failed,
}

/// What becomes of a look that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is tried again.
    Again,
    /// It was the last.
    Over,
    /// It was forgotten meanwhile: what it found is of no use.
    Forgotten,
}

/// A look waiting or under way.
#[derive(Debug)]
struct Look {
    /// `None` while it is under way.
    due: Option<Instant>,
    tries: u32,
    /// News came while the look was under way: what it finds may be stale.
    again: bool,
    /// When to look once more though all is known.
    confirm: Option<Instant>,
}

/// The looks to come, ordered by when they are due.
#[derive(Debug)]
pub(super) struct Looks {
    pace: Pace,
    by_id: HashMap<Id, Look>,
    order: BTreeSet<(Instant, Id)>,
}

impl Looks {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, by_id: HashMap::new(), order: BTreeSet::new() }
    }

    /// Wants `id` looked at now; `false` when there is no room for it.
    pub(super) fn ask(&mut self, id: &Id, now: Instant) -> bool {
        if let Some(look) = self.by_id.get_mut(id) {
            match look.due {
                Some(due) => {
                    look.tries = 0;
                    if due > now {
                        self.order.remove(&(due, Id::clone(id)));
                        self.order.insert((now, Id::clone(id)));
                        look.due = Some(now);
                    }
                }
                None => look.again = true,
            }
            return true;
        }
        if self.by_id.len() >= LIMIT {
            return false;
        }
        self.by_id.insert(Id::clone(id), Look { due: Some(now), tries: 0, again: false, confirm: None });
        self.order.insert((now, Id::clone(id)));
        true
    }

    /// Wants `id`, which was asked for, looked at once more at that time.
    pub(super) fn confirm(&mut self, id: &Id, at: Instant) {
        if let Some(look) = self.by_id.get_mut(id) {
            look.confirm = Some(at);
        }
    }

    /// When the next look is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.order.first().map(|(due, _)| *due)
    }

    /// The id to look at now; it counts as under way until [`Self::ended`].
    pub(super) fn take(&mut self, now: Instant) -> Option<Id> {
        if self.next_due()? > now {
            return None;
        }
        let (_, id) = self.order.pop_first()?;
        if let Some(look) = self.by_id.get_mut(&id) {
            look.due = None;
        }
        Some(id)
    }

    /// Takes in how the look at `id` went.
    pub(super) fn ended(&mut self, id: &Id, outcome: Outcome, now: Instant) -> Next {
        let Some(look) = self.by_id.get_mut(id) else { return Next::Forgotten };
        look.tries = look.tries.saturating_add(1);
        let wait = if look.again {
            look.tries = 0;
            Duration::ZERO
        } else if outcome == Outcome::Done
            && let Some(at) = look.confirm.take()
        {
            look.tries = 0;
            at.saturating_duration_since(now)
        } else if outcome == Outcome::Done || outcome == Outcome::NotYet && look.tries >= self.pace.tries {
            self.by_id.remove(id);
            return Next::Over;
        } else {
            let doubled = 1u32.checked_shl(look.tries - 1).unwrap_or(u32::MAX);
            self.pace.retry_first.saturating_mul(doubled).min(self.pace.reconnect_longest)
        };
        look.again = false;
        look.due = Some(now + wait);
        self.order.insert((now + wait, Id::clone(id)));
        Next::Again
    }

    /// Forgets `id`, whose container is gone.
    pub(super) fn forget(&mut self, id: &Id) {
        if let Some(Look { due: Some(due), .. }) = self.by_id.remove(id) {
            self.order.remove(&(due, Id::clone(id)));
        }
    }

    /// Puts what was under way back in the queue: the connection it used is gone.
    pub(super) fn interrupted(&mut self, now: Instant) {
        for (id, look) in self.by_id.iter_mut().filter(|(_, look)| look.due.is_none()) {
            look.due = Some(now);
            self.order.insert((now, Id::clone(id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        retry_first: Duration::from_millis(50),
        tries: 3,
        reconnect_first: Duration::ZERO,
        reconnect_longest: Duration::from_secs(1),
    };

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn one_look_at_a_time_and_again_after_news() {
        let (now, id) = (Instant::now(), Id::from("a"));
        let mut looks = Looks::new(PACE);
        assert!(looks.ask(&id, now) && looks.ask(&id, now));
        assert_eq!(looks.take(now), Some(Id::clone(&id)));
        assert_eq!(looks.take(now), None);
        looks.ask(&id, now);
        assert_eq!(looks.next_due(), None, "one is under way");
        assert_eq!(looks.ended(&id, Outcome::Done, now), Next::Again, "the news came after the look began");
        assert_eq!(looks.take(now), Some(Id::clone(&id)));
        assert_eq!(looks.ended(&id, Outcome::Done, now), Next::Over);
        assert_eq!((looks.next_due(), looks.by_id.len()), (None, 0));
    }

    #[test]
    fn what_may_not_show_at_once_is_looked_at_twice() {
        let (now, id) = (Instant::now(), Id::from("a"));
        let mut looks = Looks::new(PACE);
        looks.ask(&id, now);
        looks.confirm(&id, now + ms(1000));
        assert_eq!(looks.take(now), Some(Id::clone(&id)));
        assert_eq!(looks.ended(&id, Outcome::Done, now + ms(10)), Next::Again);
        assert_eq!(looks.next_due(), Some(now + ms(1000)));
        assert_eq!(looks.take(now + ms(1000)), Some(Id::clone(&id)));
        assert_eq!(looks.ended(&id, Outcome::Done, now + ms(1010)), Next::Over);
    }

    #[test]
    fn what_is_not_up_yet_is_given_up_and_what_failed_is_not() {
        let (now, id) = (Instant::now(), Id::from("a"));
        let mut looks = Looks::new(PACE);
        for (outcome, waits) in
            [(Outcome::NotYet, &[50, 100][..]), (Outcome::Failed, &[50, 100, 200, 400, 800, 1000, 1000])]
        {
            looks.ask(&id, now);
            for wait in waits {
                let due = looks.next_due();
                assert!(due.and_then(|due| looks.take(due)).is_some());
                assert_eq!(looks.ended(&id, outcome, now), Next::Again);
                assert_eq!(looks.next_due(), Some(now + ms(*wait)));
            }
            looks.take(now + ms(1000));
            let last = if outcome == Outcome::Failed { Next::Again } else { Next::Over };
            assert_eq!(looks.ended(&id, outcome, now), last);
        }
    }

    #[test]
    fn news_brings_a_slow_retry_forward() {
        let (now, id) = (Instant::now(), Id::from("a"));
        let mut looks = Looks::new(PACE);
        looks.ask(&id, now);
        looks.take(now);
        looks.ended(&id, Outcome::Failed, now);
        assert_eq!(looks.take(now), None);
        looks.ask(&id, now);
        assert_eq!(looks.take(now), Some(id));
        assert!(looks.order.is_empty());
    }

    #[test]
    fn a_container_that_is_gone_leaves_nothing() {
        let (now, id) = (Instant::now(), Id::from("a"));
        let mut looks = Looks::new(PACE);
        looks.ask(&id, now);
        looks.forget(&id);
        assert_eq!((looks.by_id.len(), looks.order.len()), (0, 0));
        looks.ask(&id, now);
        looks.take(now);
        looks.forget(&id);
        assert_eq!(looks.ended(&id, Outcome::Failed, now), Next::Forgotten);
        assert_eq!((looks.by_id.len(), looks.order.len()), (0, 0));
    }

    #[test]
    fn a_lost_connection_loses_no_look() {
        let (now, id) = (Instant::now(), Id::from("a"));
        let mut looks = Looks::new(PACE);
        looks.ask(&id, now);
        looks.take(now);
        looks.interrupted(now);
        assert_eq!(looks.take(now), Some(id));
    }

    #[test]
    fn the_number_of_looks_is_bounded() {
        let now = Instant::now();
        let mut looks = Looks::new(PACE);
        for number in 0..LIMIT {
            assert!(looks.ask(&Id::from(number.to_string()), now));
        }
        assert!(!looks.ask(&Id::from("one too many"), now));
        assert!(looks.ask(&Id::from("0"), now), "one that waits already needs no room");
    }
}
