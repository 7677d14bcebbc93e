//! What other programs tell of themselves and theirs.

pub(super) mod logind;
pub(super) mod runit;
pub(super) mod supervisord;
pub(super) mod systemd;
pub(super) mod textfile;
