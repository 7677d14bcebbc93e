#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    exporter::source::supervisor::fuzz(input);
    let _ = exporter::source::runit::parse(input);
    exporter::source::ntp::fuzz(input);
    exporter::node::fuzz_names(input);
});
