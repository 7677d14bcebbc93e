#![no_main]

use exporter::source::runtime::{docker, time};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    docker::fuzz(input);
    if let Ok(text) = str::from_utf8(input) {
        let _ = time::seconds_since_1970(text);
    }
});
