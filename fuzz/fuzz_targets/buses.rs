#![no_main]

use fuzz::{cases::BUSES, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("buses", BUSES, input));
