//! Sockets as `/proc/PID/net/{tcp,tcp6,udp,udp6}` list them: a line in, a count out, so that any number costs no memory.

use super::text;

/// The states of TCP that the kernel numbers from 1 on, in that order.
pub const TCP_STATES: [&str; 11] = [
    "established",
    "synsent",
    "synrecv",
    "finwait1",
    "finwait2",
    "timewait",
    "close",
    "closewait",
    "lastack",
    "listen",
    "closing",
];

/// How many TCP sockets are in each of [`TCP_STATES`].
pub type TcpStates = [u64; TCP_STATES.len()];

/// The UDP sockets of one version of IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpSockets {
    /// How many.
    pub sockets: u64,
    /// Datagrams dropped by those that are there now.
    pub dropped: u64,
    /// Bytes that wait to be read.
    pub received: u64,
    /// Bytes that wait to be sent.
    pub sent: u64,
}

/// Counts the socket that a line of `tcp` or `tcp6` shows; none if it shows none.
pub fn count_tcp(states: &mut TcpStates, line: &[u8]) -> Option<()> {
    let number = usize::try_from(text::hex(row(line)?.nth(2)?)?).ok()?;
    *states.get_mut(number.checked_sub(1)?)? += 1;
    Some(())
}

impl UdpSockets {
    /// Counts the socket that a line of `udp` or `udp6` shows; none if it shows none.
    pub fn count(&mut self, line: &[u8]) -> Option<()> {
        let mut fields = row(line)?.skip(3);
        let mut queues = fields.next()?.split(|&byte| byte == b':');
        let (sent, received) = (text::hex(queues.next()?)?, text::hex(queues.next()?)?);
        let dropped = text::whole(fields.nth(7)?)?;
        self.sockets += 1;
        self.sent = self.sent.saturating_add(sent);
        self.received = self.received.saturating_add(received);
        self.dropped = self.dropped.saturating_add(dropped);
        Some(())
    }
}

/// The fields behind `0:`.
fn row(line: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let mut fields = text::fields(line);
    text::whole(fields.next()?.strip_suffix(b":")?)?;
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             ";

    #[test]
    fn tcp_sockets_are_counted_by_state() {
        let line = |state: &str| {
            format!(
                "  12: 0100007F:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 33 1 0000000000000000 100 0 0 10 0"
            )
        };
        let mut states = TcpStates::default();
        for state in ["01", "0A", "0A", "06", "0B", "0C", "00", "x", ""] {
            count_tcp(&mut states, line(state).as_bytes());
        }
        count_tcp(&mut states, HEAD);
        assert_eq!(states, [1, 0, 0, 0, 0, 1, 0, 0, 0, 2, 1]);
        let six =
            b"   0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 08 0:0 0:0 0";
        assert_eq!(count_tcp(&mut states, six), Some(()));
        assert_eq!(states[7], 1);
    }

    #[test]
    fn udp_s_queues_are_told_apart() {
        let first = b"  1: 00000000:07D3 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 16583 2 ffff8800b4549400 0         ";
        let second = b"  21: 00000000:A841 00000000:0000 07 0000000A:0000000B 00:00000000 00000000  1000        0 114299623 2 ffff880338477800 4     ";
        let mut udp = UdpSockets::default();
        for line in [HEAD, first, second] {
            udp.count(line);
        }
        let expected = UdpSockets { sockets: 2, dropped: 4, received: 11, sent: 10 };
        assert_eq!(udp, expected);
        for end in 0..second.len() - 7 {
            assert_eq!(udp.count(&second[..end]), None, "cut short at {end}");
        }
        assert_eq!((udp.count(b""), udp.count(b"\xff: \xff"), udp), (None, None, expected));
    }
}
