//! containerd's own API: what runs in all its namespaces, or in one.

mod api;
mod record;
#[cfg(test)]
mod tests;

pub use api::{Containerd, ContainerdEvents};
