//! What a thread does to itself: leave the descriptor table.

use rustix::{io::Errno, process::setpriority_process};

/// The first descriptor that is not one of the three standard ones.
const FIRST_OWN: u32 = 3;

/// Lets everybody else have the processors and the disks first, from now on, in this thread alone.
pub fn yield_to_all() {
    const LAST: i32 = 19;
    const WHO_THREAD: i32 = 1;
    const CLASS_IDLE: i32 = 3 << 13;
    // Both are always allowed; on a kernel without them the thread is as others are.
    let _ = setpriority_process(None, LAST);
    // SAFETY: plain numbers; 0 stands for the calling thread.
    unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_THREAD, 0, CLASS_IDLE) };
}

/// Leaves the table of open files that all threads share, keeping the standard ones. A thread that then hangs in the
/// kernel holds neither the port nor the eBPF links open after the process' end.
///
/// To be called first in a thread; it opens what it needs afterwards. Threads that it makes share its table.
pub fn leave_descriptor_table() {
    // SAFETY: plain numbers; the call changes this thread's own table alone.
    let left = unsafe { libc::close_range(FIRST_OWN, u32::MAX, libc::CLOSE_RANGE_UNSHARE.cast_signed()) };
    if left == 0 {
        return;
    }
    // Before 5.9 there is no close_range: leave by unshare, then close one by one.
    // SAFETY: no pointer; descriptors that other threads use stay open in their table.
    if unsafe { libc::unshare(libc::CLONE_FILES) } != 0 {
        let error = Errno::from_io_error(&std::io::Error::last_os_error());
        tracing::warn!(?error, "a thread could not leave the descriptor table");
        return;
    }
    let open: Vec<i32> = std::fs::read_dir("/proc/thread-self/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&number| number >= FIRST_OWN.cast_signed())
        .collect();
    for number in open {
        // SAFETY: the table is this thread's own, and nothing in it refers to these numbers yet.
        unsafe { libc::close(number) };
    }
}
