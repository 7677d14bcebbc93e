//! The kernel and the distribution as a whole.

pub(super) mod cgroups;
pub(super) mod entropy;
pub(super) mod filefd;
pub(super) mod kernel_hung;
pub(super) mod os;
pub(super) mod selinux;
pub(super) mod sysctl;
pub(super) mod uname;
