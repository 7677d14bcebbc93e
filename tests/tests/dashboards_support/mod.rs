//! What stands in the tables of dashboards, queries in their manner, and containers to answer them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod asked;
pub mod queries;
pub mod scene;
