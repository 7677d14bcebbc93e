#![no_main]

use fuzz::{cases::FILESYSTEMS, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("filesystems", FILESYSTEMS, input));
