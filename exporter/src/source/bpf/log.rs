//! The kernel half's own log lines. The shipped object has none; one built with its `log` feature does.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    thread,
};

use aya::Ebpf;
use aya_log::EbpfLogger;
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

/// Reader of the lines.
#[must_use]
pub struct KernelLog(EbpfLogger<ToTracing>);

impl KernelLog {
    /// The reader for `ebpf`; `None` if the object has no lines.
    pub(super) fn of(ebpf: &mut Ebpf) -> Option<Self> {
        EbpfLogger::init_with_logger(ebpf, ToTracing).ok().map(Self)
    }

    /// Logs the lines as they come, on a thread of its own.
    ///
    /// # Errors
    /// What the kernel says to a new thread.
    pub fn follow(mut self) -> io::Result<()> {
        let wait = move || loop {
            let mut lines = [PollFd::new(&self, PollFlags::IN)];
            match poll(&mut lines, None) {
                Ok(_) | Err(Errno::INTR) => self.flush(),
                Err(error) => return tracing::warn!(%error, "poll: no more log lines of the kernel half"),
            }
        };
        thread::Builder::new().name("kernel-log".to_owned()).spawn(wait).map(|_| ())
    }

    /// Logs the lines that wait. To be called when the descriptor is readable.
    pub fn flush(&mut self) {
        self.0.flush();
    }
}

impl AsFd for KernelLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl std::fmt::Debug for KernelLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KernelLog")
    }
}

/// Hands the lines on to our own log.
struct ToTracing;

impl log::Log for ToTracing {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args();
        match record.level() {
            log::Level::Error => tracing::error!(target: "ebpf", "{text}"),
            log::Level::Warn => tracing::warn!(target: "ebpf", "{text}"),
            log::Level::Info => tracing::info!(target: "ebpf", "{text}"),
            log::Level::Debug | log::Level::Trace => tracing::debug!(target: "ebpf", "{text}"),
        }
    }

    fn flush(&self) {}
}
