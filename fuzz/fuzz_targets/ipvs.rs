#![no_main]

use fuzz::{cases::IPVS, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("ipvs", IPVS, input));
