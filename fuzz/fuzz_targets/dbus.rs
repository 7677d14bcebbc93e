#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    exporter::source::dbus::fuzz(input);
    exporter::source::perf::fuzz(input);
});
