#![no_main]

use exporter::source::runtime::{containerd, cri};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    containerd::fuzz(input);
    cri::fuzz(input);
});
