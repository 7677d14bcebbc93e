//! `node_*`: one file per collector, all of one shape, listed here.

mod loadavg;

use crate::collector::Descriptor;

/// Every node collector, by name.
pub static COLLECTORS: &[&Descriptor] = &[&loadavg::DESCRIPTOR];
