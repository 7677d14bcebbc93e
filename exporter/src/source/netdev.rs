//! `/proc/net/dev`: the counters of network interfaces as text, in the fields of rtnetlink's answer. (The `procfs`
//! crate builds a map of strings of it at each read.)

use super::{netlink::Stats, text};

/// The interfaces: name and counters. Some fields hold the sum that the file has under one name: `rx_dropped`
/// with missed frames, `rx_frame_errors` and `tx_carrier_errors` with their kin. A line that makes no sense is left out.
pub fn interfaces(netdev: &[u8]) -> impl Iterator<Item = (&[u8], Stats)> {
    text::lines(netdev).filter_map(interface)
}

fn interface(line: &[u8]) -> Option<(&[u8], Stats)> {
    // No name holds a colon, and a long one leaves no blank before its first number.
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = line.get(..colon)?.trim_ascii();
    let mut numbers = text::fields(line.get(colon + 1..)?).map_while(text::whole);
    let mut next = || numbers.next();
    let stats = Stats {
        rx_bytes: next()?,
        rx_packets: next()?,
        rx_errors: next()?,
        rx_dropped: next()?,
        rx_fifo_errors: next()?,
        rx_frame_errors: next()?,
        rx_compressed: next()?,
        multicast: next()?,
        tx_bytes: next()?,
        tx_packets: next()?,
        tx_errors: next()?,
        tx_dropped: next()?,
        tx_fifo_errors: next()?,
        collisions: next()?,
        tx_carrier_errors: next()?,
        tx_compressed: next()?,
        ..Stats::default()
    };
    (!name.is_empty()).then_some((name, stats))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Inter-|   Receive                        |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes packets\n";

    #[test]
    fn counters_go_to_their_fields() {
        let text = format!(
            "{HEAD}  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\nlong0123456789:1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 2\n"
        );
        let found: Vec<_> = interfaces(text.as_bytes()).collect();
        assert_eq!(found.len(), 2);
        let (name, stats) = found[0];
        assert_eq!(name, b"eth0");
        assert_eq!((stats.rx_bytes, stats.rx_frame_errors, stats.multicast), (1, 6, 8));
        assert_eq!(
            (stats.tx_bytes, stats.collisions, stats.tx_carrier_errors, stats.tx_compressed),
            (9, 14, 15, 16)
        );
        assert_eq!(stats.rx_nohandler, None);
        assert_eq!((found[1].0, found[1].1.tx_compressed), (&b"long0123456789"[..], 2));
    }

    #[test]
    fn lines_cut_short_are_left_out() {
        for line in ["eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "eth0", "eth0: 1 x 3", ": 1", "", HEAD] {
            assert_eq!(interfaces(line.as_bytes()).count(), 0, "{line:?}");
        }
        let huge = "eth0: 18446744073709551616 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";
        assert_eq!(interfaces(huge.as_bytes()).count(), 0);
    }
}
