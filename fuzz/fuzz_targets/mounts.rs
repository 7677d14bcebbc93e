#![no_main]

use fuzz::{cases::MOUNTS, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("mounts", MOUNTS, input));
