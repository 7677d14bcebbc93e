#![no_main]

use fuzz::{cases::MEMORY, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("memory", MEMORY, input));
