//! The Kubernetes container runtime interface, as CRI-O and others serve it.

mod api;
mod status;
#[cfg(test)]
mod tests;

pub use api::{Cri, CriEvents};
