#![no_main]

use fuzz::{cases::HARDWARE, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("hardware", HARDWARE, input));
