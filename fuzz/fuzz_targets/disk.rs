#![no_main]

use fuzz::{cases::DISK, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("disk", DISK, input));
