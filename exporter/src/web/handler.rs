//! Routes and their answers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Bytes,
    header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS},
};

use super::{
    HttpMetrics, ScrapeError, Scrapes,
    compress::Compressor,
    landing,
    request::{self, Filters},
};
use crate::config::{Part, SiteSettings};

const TEXT: &str = "text/plain; charset=utf-8";
/// What a scrape may overrun its deadline by before its answer is given up.
const GRACE: Duration = Duration::from_millis(20);

/// An answer; its body is the scrape's own buffer.
pub(super) type Answer = Response<Full<Bytes>>;

/// What all sites share.
pub(super) struct Common<S> {
    /// Who gives the pages.
    pub scraper: Arc<S>,
    /// The server's own figures.
    pub metrics: HttpMetrics,
    /// Who packs them.
    pub compressor: Compressor,
    /// Scrapes at once; 0 for no limit.
    pub max_requests: usize,
}

/// All that the routes need of some addresses that serve the same.
pub(super) struct Site<S> {
    common: Arc<Common<S>>,
    part: Part,
    telemetry_path: String,
    prefix: String,
    landing: Bytes,
}

impl<S: Scrapes> Site<S> {
    pub(super) fn new(settings: &SiteSettings, common: Arc<Common<S>>) -> Self {
        let SiteSettings { part, telemetry_path, prefix, .. } = settings.clone();
        let landing = Bytes::from(landing::page(part, &prefix, &telemetry_path));
        Self { common, part, telemetry_path, prefix, landing }
    }

    /// Answers a request, whatever its method.
    pub(super) async fn answer(&self, path: &str, query: &str, headers: &HeaderMap) -> Answer {
        let path = match path.strip_prefix(&self.prefix) {
            Some("") => "/",
            Some(path) => path,
            None => return not_found(),
        };
        if path == self.telemetry_path {
            return self.page(query, headers).await;
        }
        match path {
            "/" => self.landing(),
            "/healthz" => text(StatusCode::OK, "ok"),
            "/-/healthy" => text(StatusCode::OK, "nodetally is healthy.\n"),
            "/-/ready" if self.common.scraper.ready() => text(StatusCode::OK, "nodetally is ready.\n"),
            "/-/ready" => text(StatusCode::SERVICE_UNAVAILABLE, "nodetally is not ready.\n"),
            _ => not_found(),
        }
    }

    async fn page(&self, query: &str, headers: &HeaderMap) -> Answer {
        let begun = Instant::now();
        let Common { scraper, metrics, max_requests, .. } = &*self.common;
        let selected =
            Filters::parse(query).and_then(|asked| scraper.select(self.part, &asked.collect, &asked.exclude));
        let selection = match selected {
            Ok(selection) => selection,
            Err(why) => return text(StatusCode::BAD_REQUEST, why),
        };
        let inside = metrics.enter();
        if *max_requests > 0 && inside.count() > *max_requests {
            let why = format!("Limit of concurrent requests reached ({max_requests}), try again later.\n");
            return self.unavailable(why);
        }
        let deadline = begun + request::budget(headers);
        let scrape = scraper.scrape(selection, deadline);
        let scraped = tokio::time::timeout_at((deadline + GRACE).into(), scrape).await;
        match scraped.unwrap_or(Err(ScrapeError::Late)) {
            Ok(page) => {
                let answer = self.packed(page, headers).await;
                metrics.answered("200");
                answer
            }
            Err(why) => self.unavailable(format!("{why}\n")),
        }
    }

    async fn packed(&self, page: Bytes, headers: &HeaderMap) -> Answer {
        let content_type = request::content_type(headers);
        if request::wants_gzip(headers)
            && let Some(packed) = self.common.compressor.gzip(page.clone()).await
        {
            let mut answer = with_type(StatusCode::OK, content_type, packed);
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            return answer;
        }
        with_type(StatusCode::OK, content_type, page)
    }

    fn unavailable(&self, why: String) -> Answer {
        self.common.metrics.answered("503");
        text(StatusCode::SERVICE_UNAVAILABLE, why)
    }

    fn landing(&self) -> Answer {
        const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
        let mut answer = with_type(StatusCode::OK, "text/html; charset=utf-8", self.landing.clone());
        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        answer
    }
}

fn not_found() -> Answer {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = with_type(status, TEXT, body.into());
    // Some of these repeat what was asked: a browser must not take it for HTML.
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn with_type(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
