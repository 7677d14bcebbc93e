#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    exporter::source::supervisor::fuzz(input);
    let _ = exporter::source::runit::parse(input);
});
