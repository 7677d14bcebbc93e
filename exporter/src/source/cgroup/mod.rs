//! Control groups: where their hierarchies are, which cgroups there are, and what their files say.

pub mod facts;
pub mod files;
pub mod hugetlb;
pub mod io;
pub mod io_files;
pub mod layout;
pub mod numa;
mod path;
mod rare;
pub mod reading;
pub mod spec;
pub mod tree;
pub mod walk;
pub mod watch;

pub use layout::{Controller, Hierarchy, Layout, Mode, PLACES, Place};
pub use path::CgroupPath;
