//! What was logged already: a cause is worth one line, not one an attempt.

use std::collections::HashSet;

/// Causes come from a short list; more than these are odd texts, of which a few may repeat.
const LIMIT: usize = 64;

/// Keeps what was logged.
#[derive(Debug, Default)]
pub(super) struct Journal {
    causes: HashSet<String>,
    is_up: bool,
    was_up: bool,
}

impl Journal {
    /// The runtime answers; whether that is worth a line.
    pub(super) fn up(&mut self) -> bool {
        self.was_up = true;
        !std::mem::replace(&mut self.is_up, true)
    }

    /// Whether the runtime ever answered.
    pub(super) fn was_up(&self) -> bool {
        self.was_up
    }

    /// The runtime was lost or not found for `cause`; whether that is worth a line.
    pub(super) fn down(&mut self, cause: &str) -> bool {
        let is_new = self.is_new(cause);
        // Its return is news only if its loss was.
        self.is_up &= !is_new;
        is_new
    }

    /// Something went wrong for `cause`; whether that is worth a line.
    pub(super) fn is_new(&mut self, cause: &str) -> bool {
        if self.causes.contains(cause) {
            return false;
        }
        if self.causes.len() >= LIMIT {
            self.causes.clear();
        }
        self.causes.insert(cause.to_owned())
    }

    /// All was well for a while: what goes wrong from now on is news again.
    pub(super) fn forget_causes(&mut self) {
        self.causes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once_until_things_were_well() {
        let mut journal = Journal::default();
        assert!(journal.down("refused"));
        assert!(!journal.down("refused"));
        assert!(journal.up() && !journal.up());
        // Up and down again every few seconds: no more lines.
        assert!(!journal.down("refused") && !journal.up());
        assert!(journal.down("timeout") && journal.up());
        journal.forget_causes();
        assert!(journal.down("refused") && journal.up());
    }

    #[test]
    fn many_causes_cost_no_memory() {
        let mut journal = Journal::default();
        for number in 0..10 * LIMIT {
            assert!(journal.is_new(&number.to_string()));
            assert!(journal.causes.len() <= LIMIT);
        }
    }
}
