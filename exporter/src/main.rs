//! nodetally.
fn main() {}
