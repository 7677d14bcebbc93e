#![no_main]

use exporter::source::bpf::{btf::Btf, offsets::Offsets};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    exporter::source::bpf::fuzz(input);
    if let Ok(btf) = Btf::parse(input) {
        for hierarchy in [0, 1] {
            let _ = Offsets::read(&btf, hierarchy);
        }
        for path in ["a.b", "b", "a.c.d"] {
            let _ = (btf.member("s", path), btf.enum_value("e", path));
        }
    }
});
