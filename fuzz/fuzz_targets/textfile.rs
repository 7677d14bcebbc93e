#![no_main]

use fuzz::{cases::TEXTFILE, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("textfile", TEXTFILE, input));
