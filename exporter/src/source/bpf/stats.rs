//! The questions to `bpf(2)` that the loader's library has no words for.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// What one program cost since it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramStats {
    /// The program's name in the object.
    pub name: &'static str,
    /// Times it ran.
    pub runs: u64,
    /// Nanoseconds it ran for.
    pub ns: u64,
}

const BPF_MAP_CREATE: u64 = 0;
const BPF_MAP_LOOKUP_ELEM: u64 = 1;
const BPF_OBJ_GET_INFO_BY_FD: u64 = 15;
const BPF_MAP_TYPE_ARRAY: u32 = 2;
/// Words of `struct bpf_prog_info` up to and with `run_cnt`; the kernel fills as much of it as it knows.
const INFO_WORDS: usize = 26;
const RUN_TIME_NS: usize = 24;
const RUN_COUNT: usize = 25;

/// Runs and nanoseconds of the program behind `fd`.
///
/// # Errors
/// What `bpf(BPF_OBJ_GET_INFO_BY_FD)` said.
pub fn program_stats(name: &'static str, fd: BorrowedFd<'_>) -> io::Result<ProgramStats> {
    let mut info = [0u64; INFO_WORDS];
    let descriptor = u64::try_from(fd.as_raw_fd()).unwrap_or(u64::MAX);
    // `bpf_fd` and `info_len` in one word, then the pointer.
    let mut attr = [descriptor | (size_of_val(&info) as u64) << 32, info.as_mut_ptr() as u64];
    // SAFETY: the attribute and the buffer it points to are ours and as long as they say.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr) }?;
    let [runs, ns] = [RUN_COUNT, RUN_TIME_NS].map(|word| info.get(word).copied().unwrap_or(0));
    Ok(ProgramStats { name, runs, ns })
}

/// Whether this process may load anything at all: tries the least there is, an array of one.
///
/// # Errors
/// What `bpf(BPF_MAP_CREATE)` said: `EPERM` without the right, `ENOSYS` without the call.
pub fn probe() -> io::Result<()> {
    let mut attr = [u64::from(BPF_MAP_TYPE_ARRAY) | 4 << 32, 4 | 1 << 32, 0, 0];
    // SAFETY: the attribute is ours; its four words hold type, key size, value size, entries, flags.
    let fd = unsafe { bpf(BPF_MAP_CREATE, &mut attr) }?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    drop(unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) });
    Ok(())
}

/// Whether this thread may look into and change maps it has: tries it on a descriptor that nobody has.
///
/// Before 5.19 a thread without `CAP_BPF` may not where `kernel.unprivileged_bpf_disabled` is set.
pub fn may_use_maps() -> bool {
    let mut attr = [u64::from(u32::MAX), 0, 0, 0];
    // SAFETY: the attribute is ours, and there is no map to read a key for.
    let refused = unsafe { bpf(BPF_MAP_LOOKUP_ELEM, &mut attr) };
    refused.is_err_and(|error| error.raw_os_error() == Some(libc::EBADF))
}

/// # Safety
/// Pointers in `attr` must be good for what `command` does with them.
unsafe fn bpf(command: u64, attr: &mut [u64]) -> io::Result<i32> {
    // SAFETY: the attribute is as long as said; the rest is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of_val(attr)) };
    i32::try_from(result).ok().filter(|r| *r >= 0).ok_or_else(io::Error::last_os_error)
}
