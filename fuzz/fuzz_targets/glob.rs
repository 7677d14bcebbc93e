#![no_main]

/// A pattern and a name, a line each. The time is bounded by the product of their lengths.
fn run(input: &[u8]) {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let (pattern, name) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let fits = exporter::node::matches(pattern, name);
    if !pattern.iter().any(|byte| b"*?[\\".contains(byte)) {
        assert_eq!(fits, pattern == name);
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
