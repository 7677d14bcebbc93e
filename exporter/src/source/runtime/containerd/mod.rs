//! containerd's own API: what runs in all its namespaces, or in one.

mod api;
mod record;
#[cfg(test)]
mod tests;

pub use api::{Containerd, ContainerdEvents};

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(answer: &[u8]) {
    let envelope = record::envelope(answer).map(|envelope| envelope.event());
    let _ = (record::record(answer, "abc"), record::task(answer), envelope);
}
