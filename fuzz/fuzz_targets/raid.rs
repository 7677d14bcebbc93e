#![no_main]

use fuzz::{cases::RAID, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("raid", RAID, input));
