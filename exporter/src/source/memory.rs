//! The process' own memory.

/// Gives free memory back to the kernel. Reading the kernel's types at start takes tens of megabytes for a moment,
/// which the allocator would keep.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no pointer goes in or out; the allocator locks itself.
    unsafe {
        libc::malloc_trim(0)
    };
}
