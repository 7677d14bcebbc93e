#![no_main]

use fuzz::{cases::KERNEL, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("kernel", KERNEL, input));
