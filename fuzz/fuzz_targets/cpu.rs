#![no_main]

use fuzz::{cases::CPU, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("cpu", CPU, input));
