//! The Kubernetes container runtime interface, as CRI-O and others serve it.

mod api;
mod status;
#[cfg(test)]
mod tests;

pub use api::{Cri, CriEvents};

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(answer: &[u8]) {
    let told = (status::container(answer, "abc"), status::pod(answer, "abc"));
    let _ = (told, status::listed(answer, "container"), status::event(answer));
}
