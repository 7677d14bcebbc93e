//! What the reference calls the errors of statfs(2): the label `device_error` is part of a series' identity.

use rustix::io::Errno;

/// The error's name; `errno N` for one that statfs is not known to give.
pub(super) fn text(errno: Errno) -> String {
    match TEXTS.iter().find(|(known, _)| *known == errno) {
        Some((_, text)) => (*text).to_owned(),
        None => format!("errno {}", errno.raw_os_error()),
    }
}

/// From statfs(2), and from the network and FUSE file systems, which pass on what their peer or daemon says.
const TEXTS: &[(Errno, &str)] = &[
    (Errno::PERM, "operation not permitted"),
    (Errno::NOENT, "no such file or directory"),
    (Errno::INTR, "interrupted system call"),
    (Errno::IO, "input/output error"),
    (Errno::NXIO, "no such device or address"),
    (Errno::AGAIN, "resource temporarily unavailable"),
    (Errno::NOMEM, "cannot allocate memory"),
    (Errno::ACCESS, "permission denied"),
    (Errno::BUSY, "device or resource busy"),
    (Errno::NODEV, "no such device"),
    (Errno::NOTDIR, "not a directory"),
    (Errno::INVAL, "invalid argument"),
    (Errno::NAMETOOLONG, "file name too long"),
    (Errno::NOSYS, "function not implemented"),
    (Errno::LOOP, "too many levels of symbolic links"),
    (Errno::NODATA, "no data available"),
    (Errno::PROTO, "protocol error"),
    (Errno::OVERFLOW, "value too large for defined data type"),
    (Errno::OPNOTSUPP, "operation not supported"),
    (Errno::NETDOWN, "network is down"),
    (Errno::NETUNREACH, "network is unreachable"),
    (Errno::CONNABORTED, "software caused connection abort"),
    (Errno::CONNRESET, "connection reset by peer"),
    (Errno::NOTCONN, "transport endpoint is not connected"),
    (Errno::SHUTDOWN, "cannot send after transport endpoint shutdown"),
    (Errno::TIMEDOUT, "connection timed out"),
    (Errno::CONNREFUSED, "connection refused"),
    (Errno::HOSTDOWN, "host is down"),
    (Errno::HOSTUNREACH, "no route to host"),
    (Errno::STALE, "stale NFS file handle"),
    (Errno::UCLEAN, "structure needs cleaning"),
    (Errno::REMOTEIO, "remote I/O error"),
    (Errno::NOKEY, "required key not available"),
    (Errno::KEYEXPIRED, "key has expired"),
    (Errno::KEYREVOKED, "key has been revoked"),
    (Errno::KEYREJECTED, "key was rejected by service"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_names_or_numbers() {
        assert_eq!(text(Errno::ACCESS), "permission denied");
        assert_eq!(text(Errno::from_raw_os_error(57)), "errno 57");
    }
}
