#![no_main]

use fuzz::{cases::INTERFACES, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("interfaces", INTERFACES, input));
