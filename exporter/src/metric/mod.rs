//! The answer's text: names, labels, numbers and the page they are written to (text format 0.0.4).

mod family;
mod labels;
mod number;
mod page;

pub use family::{Family, Kind};
pub use labels::{Labels, label_name};
pub use number::Value;
pub use page::{Page, Samples};
