#![no_main]

use exporter::config::{Asked, Settings, parse};

/// An argument a line. (One that names a file of arguments would be read.)
fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let arguments = text.lines().filter(|line| !line.starts_with('@')).map(str::to_owned);
    if let Ok(Asked::Run(flags)) = parse(arguments) {
        let _ = Settings::new(flags);
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
