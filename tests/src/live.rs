//! What a live test needs of the machine, and how a test says that it was left out.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Gives `have`. A test that lacks what it needs says so in one line and returns; under `CI` it fails instead,
/// so that a green run never hides a test that did not run.
pub fn need(what: &str, have: bool) -> bool {
    if !have {
        assert!(std::env::var_os("CI").is_none(), "left out under CI: needs {what}");
        eprintln!("LEFT OUT: needs {what}");
    }
    have
}

/// Root's rights, as far as user id 0 stands for them.
pub fn root() -> bool {
    need("root", rustix::process::geteuid().is_root())
}

/// Runs what compares eBPF's CPU time with the kernel's, up to three times. On some virtual machines a part of the
/// switches does not reach any tracepoint, ftrace's own included, and a slice is lost now and then; a count that is wrong
/// fails every time.
pub fn thrice(test: impl Fn()) {
    for _ in 1..3 {
        if catch_unwind(AssertUnwindSafe(&test)).is_ok() {
            return;
        }
        eprintln!("once more: were switches hidden?");
    }
    test();
}
