//! The clock: what it shows, how right it is.

pub(super) mod ntp;
pub(super) mod time;
pub(super) mod timex;
