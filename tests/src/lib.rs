//! What the cross-crate tests share. Everything made here is taken away again on drop, on a failing test too.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod live;
