#![no_main]

use fuzz::{cases::NFS, run};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run("nfs", NFS, input));
