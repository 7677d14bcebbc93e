//! Unix sockets that nobody is waited for at without end.

use std::{io, os::unix::net::UnixStream, time::Duration};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect as connect_to, socket_with,
    sockopt::{Timeout, set_socket_timeout},
};

/// Connects. A listener whose queue is full is waited for so long only.
///
/// # Errors
/// What the kernel says; [`io::ErrorKind::WouldBlock`] for a queue that stays full.
pub fn connect(to: &SocketAddrUnix, within: Duration) -> io::Result<UnixStream> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // (A limit of zero would be none.)
    set_socket_timeout(&socket, Timeout::Send, Some(within.max(Duration::from_millis(1))))?;
    connect_to(&socket, to)?;
    Ok(UnixStream::from(socket))
}

#[cfg(test)]
mod tests {
    use std::{io::ErrorKind, os::unix::net::UnixListener};

    use super::*;

    #[test]
    fn a_full_queue_is_waited_for_only_so_long() {
        let path = std::env::temp_dir().join(format!("nodetally-full-queue-{}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("binds");
        // The shortest queue: connections that nobody accepts fill it.
        rustix::net::listen(&listener, 0).expect("listens");
        let address = SocketAddrUnix::new(&path).expect("is short");
        let mut held = Vec::new();
        let error = loop {
            match connect(&address, Duration::from_millis(20)) {
                Ok(stream) => held.push(stream),
                Err(error) => break error,
            }
        };
        std::fs::remove_file(&path).expect("removes");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(connect(&address, Duration::ZERO).expect_err("is gone").kind(), ErrorKind::NotFound);
    }
}
