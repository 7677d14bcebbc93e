//! What the process may do, and giving it up.

use rustix::{
    io::Result,
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs},
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
        CapabilitySets {
            effective: left,
            permitted: held.permitted & keep,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(left)
}

/// Does `deed` with no capability but those in `rights`, and takes the others back after it. Of this thread alone.
///
/// # Errors
/// What `capset` says.
pub fn with_only<T>(rights: CapabilitySet, deed: impl FnOnce() -> T) -> Result<T> {
    let held = capabilities(None)?;
    let effective = held.effective & rights;
    set_capabilities(None, CapabilitySets { effective, ..held })?;
    let done = deed();
    set_capabilities(None, held)?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_laid_aside_comes_back() {
        let effective = || capabilities(None).expect("our own").effective;
        let before = effective();
        let keep = CapabilitySet::DAC_READ_SEARCH;
        assert_eq!(with_only(keep, effective).expect("fewer are always allowed"), before & keep);
        assert_eq!(effective(), before);
    }

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
