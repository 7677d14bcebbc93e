//! What the process may do, and giving it up.

use rustix::{
    io::Result,
    thread::{CapabilitySet, capabilities, set_capabilities, set_no_new_privs},
};

/// Whether this process may load the kernel half.
pub fn may_load_ebpf() -> bool {
    let admin = CapabilitySet::SYS_ADMIN;
    let narrow = CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::NET_ADMIN;
    capabilities(None).is_ok_and(|held| held.effective.contains(admin) || held.effective.contains(narrow))
}

/// Gives up every capability outside `keep`, for good, in this thread and those it starts. Returns what is left.
///
/// To be called before any other thread is started: the kernel keeps capabilities per thread.
///
/// # Errors
/// What `capset` or `prctl` says.
pub fn keep_only(keep: CapabilitySet) -> Result<CapabilitySet> {
    let held = capabilities(None)?;
    let left = held.effective & keep;
    set_no_new_privs(true)?;
    set_capabilities(
        None,
        rustix::thread::CapabilitySets {
            effective: left,
            permitted: held.permitted & keep,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_stays_gone() {
        // Capabilities are the thread's own, so the other tests keep theirs.
        std::thread::spawn(|| {
            let keep = CapabilitySet::DAC_READ_SEARCH;
            let left = keep_only(keep).expect("giving up is always allowed");
            assert!(keep.contains(left));
            assert_eq!(keep_only(CapabilitySet::all()).expect("asks for more"), left);
            assert!(!may_load_ebpf());
        })
        .join()
        .expect("the thread ends well");
    }
}
