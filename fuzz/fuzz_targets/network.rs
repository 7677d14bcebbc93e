#![no_main]

use fuzz::{cases::NETWORK, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("network", NETWORK, input));
