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
use crate::config::WebSettings;

const TEXT: &str = "text/plain; charset=utf-8";
/// What a scrape may overrun its deadline by before its answer is given up.
const GRACE: Duration = Duration::from_millis(20);

/// An answer; its body is the scrape's own buffer.
pub(super) type Answer = Response<Full<Bytes>>;

/// All that the routes need.
pub(super) struct Site<S> {
    scraper: Arc<S>,
    metrics: HttpMetrics,
    compressor: Compressor,
    telemetry_path: String,
    max_requests: usize,
    landing: Bytes,
}

impl<S: Scrapes> Site<S> {
    pub(super) fn new(
        settings: &WebSettings,
        scraper: Arc<S>,
        metrics: HttpMetrics,
        compressor: Compressor,
    ) -> Self {
        let telemetry_path = settings.telemetry_path.clone();
        let landing = Bytes::from(landing::page(&telemetry_path));
        Self { scraper, metrics, compressor, telemetry_path, max_requests: settings.max_requests, landing }
    }

    /// Answers a request, whatever its method.
    pub(super) async fn answer(&self, path: &str, query: &str, headers: &HeaderMap) -> Answer {
        if path == self.telemetry_path {
            return self.page(query, headers).await;
        }
        match path {
            "/" => self.landing(),
            "/-/healthy" => text(StatusCode::OK, "nodetally is healthy.\n"),
            "/-/ready" if self.scraper.ready() => text(StatusCode::OK, "nodetally is ready.\n"),
            "/-/ready" => text(StatusCode::SERVICE_UNAVAILABLE, "nodetally is not ready.\n"),
            _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
        }
    }

    async fn page(&self, query: &str, headers: &HeaderMap) -> Answer {
        let begun = Instant::now();
        let selected =
            Filters::parse(query).and_then(|asked| self.scraper.select(&asked.collect, &asked.exclude));
        let selection = match selected {
            Ok(selection) => selection,
            Err(why) => return text(StatusCode::BAD_REQUEST, why),
        };
        let inside = self.metrics.enter();
        if self.max_requests > 0 && inside.count() > self.max_requests {
            let why =
                format!("Limit of concurrent requests reached ({}), try again later.\n", self.max_requests);
            return self.unavailable(why);
        }
        let deadline = begun + request::budget(headers);
        let scrape = self.scraper.scrape(selection, deadline);
        let scraped = tokio::time::timeout_at((deadline + GRACE).into(), scrape).await;
        match scraped.unwrap_or(Err(ScrapeError::Late)) {
            Ok(page) => {
                let answer = self.packed(page, headers).await;
                self.metrics.answered("200");
                answer
            }
            Err(why) => self.unavailable(format!("{why}\n")),
        }
    }

    async fn packed(&self, page: Bytes, headers: &HeaderMap) -> Answer {
        let content_type = request::content_type(headers);
        if request::wants_gzip(headers)
            && let Some(packed) = self.compressor.gzip(page.clone()).await
        {
            let mut answer = with_type(StatusCode::OK, content_type, packed);
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            return answer;
        }
        with_type(StatusCode::OK, content_type, page)
    }

    fn unavailable(&self, why: String) -> Answer {
        self.metrics.answered("503");
        text(StatusCode::SERVICE_UNAVAILABLE, why)
    }

    fn landing(&self) -> Answer {
        const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
        let mut answer = with_type(StatusCode::OK, "text/html; charset=utf-8", self.landing.clone());
        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        answer
    }
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
