#![no_main]

use hyper::{HeaderMap, header::HeaderValue};

/// A query and the values of three headers, a line each.
fn run(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let query = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut headers = HeaderMap::new();
    for name in ["accept", "accept-encoding", "x-prometheus-scrape-timeout-seconds"] {
        if let Some(value) = lines.next().and_then(|line| HeaderValue::from_bytes(line).ok()) {
            headers.insert(name, value);
        }
    }
    exporter::web::fuzz(&query, &headers);
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
