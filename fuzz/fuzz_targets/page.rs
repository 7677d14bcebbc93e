#![no_main]

use exporter::metric::{Family, Labels, Page, label_name};

static FAMILY: Family = Family::gauge("node_*", "Help.");

/// Whatever a kernel calls its things, the page says it so that it is read back as it was.
fn run(input: &[u8]) {
    let mut parts = input.split(|byte| *byte == fuzz::PART);
    let mut next = || parts.next().unwrap_or_default();
    let (name, key, value) = (next(), next(), next());
    let number = next().first_chunk().map_or(0.5, |bytes| f64::from_le_bytes(*bytes));
    let name = label_name("node_x", &String::from_utf8_lossy(name));
    let key = label_name("k", &String::from_utf8_lossy(key));
    let labels = Labels::new([(key.as_str(), value)]);
    let mut page = Page::default();
    let mut samples = page.named(&FAMILY, &name);
    samples.sample(&labels, number);
    let text = str::from_utf8(page.text()).expect("a page is UTF-8");
    let read = tests::page::Page::parse(text);
    let sample = &read.samples[0];
    assert_eq!((sample.name.as_str(), read.samples.len()), (name.as_str(), 1));
    assert!(sample.value.to_bits() == number.to_bits() || number.is_nan() && sample.value.is_nan());
    if let Ok(value) = str::from_utf8(value) {
        assert_eq!(sample.labels[&key], value);
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
