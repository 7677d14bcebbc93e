#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| exporter::source::netlink::fuzz(input));
