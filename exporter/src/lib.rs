//! nodetally, the library: one scrape from the kernel to the page.
//!
//! Data flows one way: `web` -> `scrape` -> `node`, `container`, `own` -> `source` and `metric`.
//! `ARCHITECTURE.md` is the map.

pub mod collector;
pub mod config;
pub mod container;
pub mod ebpf;
pub mod log;
pub mod metric;
pub mod node;
pub mod own;
pub mod scrape;
pub mod source;
pub mod web;
