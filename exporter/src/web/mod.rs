//! The server: listeners, routes, compression, and what keeps slow and broken clients harmless.
//!
//! It runs on one thread that never touches the kernel's figures; a scrape is awaited through [`Scrapes`].

mod bind;
mod compress;
mod connection;
mod handler;
mod landing;
mod metrics;
mod request;
mod server;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Instant};

pub use bind::{Listening, bind};
pub use hyper::body::Bytes;
pub use metrics::HttpMetrics;
pub use server::serve;

use crate::config::Part;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(query: &str, headers: &hyper::HeaderMap) -> String {
    let filters = request::Filters::parse(query);
    let (gzip, budget) = (request::wants_gzip(headers), request::budget(headers));
    format!("{filters:?} {} {gzip} {budget:?}", request::content_type(headers))
}

/// What the server asks for its answers; [`crate::web`] knows no more of a scrape.
pub trait Scrapes: Send + Sync + 'static {
    /// Which collectors one scrape runs.
    type Selection: Send + 'static;

    /// Turns the names in `collect[]` or `exclude[]` into a selection from this part; both empty means all of it. The two
    /// are never both given.
    ///
    /// # Errors
    /// The text of the 400 answer.
    fn select(&self, part: Part, collect: &[String], exclude: &[String]) -> Result<Self::Selection, String>;

    /// Gives the page as text 0.0.4, at the latest at the deadline.
    fn scrape(
        &self,
        selection: Self::Selection,
        deadline: Instant,
    ) -> impl Future<Output = Result<Bytes, ScrapeError>> + Send;

    /// Whether a scrape would find its collectors in place.
    fn ready(&self) -> bool;
}

impl<S: Scrapes> Scrapes for Arc<S> {
    type Selection = S::Selection;

    fn select(&self, part: Part, collect: &[String], exclude: &[String]) -> Result<Self::Selection, String> {
        (**self).select(part, collect, exclude)
    }

    fn scrape(
        &self,
        selection: Self::Selection,
        deadline: Instant,
    ) -> impl Future<Output = Result<Bytes, ScrapeError>> + Send {
        (**self).scrape(selection, deadline)
    }

    fn ready(&self) -> bool {
        (**self).ready()
    }
}

/// Why there is no page; both are answered 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeError {
    /// The deadline passed.
    #[error("The scrape was not finished in time.")]
    Late,
    /// The exporter is ending.
    #[error("The exporter is stopping.")]
    Stopped,
}
