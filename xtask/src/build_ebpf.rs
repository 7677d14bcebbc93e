//! `cargo xtask build-ebpf`.

use crate::Outcome;

/// Builds the kernel half.
pub fn run(_check: bool) -> Outcome {
    Err("there is no kernel half yet".to_owned())
}
