//! The counters of an interface, each with the family it goes to, under the old names and under the kernel's.

use crate::{metric::Family, source::netlink::Stats};

/// A family and where its number comes from; `None` where the kernel does not count it.
pub(in crate::node) type Column = (&'static Family, fn(&Stats) -> Option<u64>);

macro_rules! counters {
    ($($id:ident $name:literal $help:literal)*) => {
        $(static $id: Family = Family::counter(concat!("node_network_", $name, "_total"), $help);)*
        /// Every counter, under both kinds of name.
        pub(super) static COUNTERS: &[&Family] = &[$(&$id),*];
    };
}

counters! {
    RX_BYTES "receive_bytes" "Bytes received."
    RX_PACKETS "receive_packets" "Packets received."
    RX_ERRS "receive_errs" "Bad packets received."
    RX_DROP "receive_drop" "Packets received and dropped, for lack of room or of a taker."
    RX_FIFO "receive_fifo" "Packets lost to a full receive queue."
    RX_FRAME "receive_frame" "Packets received with a wrong length, check sum or alignment."
    RX_COMPRESSED "receive_compressed" "Compressed packets received."
    RX_MULTICAST "receive_multicast" "Multicast packets received."
    RX_NOHANDLER "receive_nohandler" "Packets dropped on an inactive interface for want of a taker."
    TX_BYTES "transmit_bytes" "Bytes sent."
    TX_PACKETS "transmit_packets" "Packets sent."
    TX_ERRS "transmit_errs" "Packets that could not be sent."
    TX_DROP "transmit_drop" "Packets dropped before they were sent."
    TX_FIFO "transmit_fifo" "Packets lost to a full transmit queue."
    TX_COLLS "transmit_colls" "Collisions while sending."
    TX_CARRIER "transmit_carrier" "Packets lost while sending: no carrier, aborted, late, no heartbeat."
    TX_COMPRESSED "transmit_compressed" "Compressed packets sent."
    RX_ERRORS "receive_errors" "Bad packets received."
    RX_DROPPED "receive_dropped" "Packets received and dropped for lack of room."
    MULTICAST "multicast" "Multicast packets received."
    RX_LENGTH_ERRORS "receive_length_errors" "Packets received with a wrong length."
    RX_OVER_ERRORS "receive_over_errors" "Packets lost to a full ring of the receiver."
    RX_CRC_ERRORS "receive_crc_errors" "Packets received with a wrong check sum."
    RX_FRAME_ERRORS "receive_frame_errors" "Packets received with a wrong alignment."
    RX_FIFO_ERRORS "receive_fifo_errors" "Packets lost to a full receive queue."
    RX_MISSED_ERRORS "receive_missed_errors" "Packets that the receiver had no room for."
    TX_ERRORS "transmit_errors" "Packets that could not be sent."
    TX_DROPPED "transmit_dropped" "Packets dropped before they were sent."
    COLLISIONS "collisions" "Collisions while sending."
    TX_ABORTED_ERRORS "transmit_aborted_errors" "Packets given up after too many collisions."
    TX_CARRIER_ERRORS "transmit_carrier_errors" "Packets lost for want of a carrier."
    TX_FIFO_ERRORS "transmit_fifo_errors" "Packets lost to a full transmit queue."
    TX_HEARTBEAT_ERRORS "transmit_heartbeat_errors" "Packets sent without a heartbeat of the transceiver."
    TX_WINDOW_ERRORS "transmit_window_errors" "Packets lost to a late collision."
}

/// The names and sums of `/proc/net/dev`, the default.
pub(super) static FOLDED: &[Column] = &[
    (&RX_BYTES, |stats| Some(stats.rx_bytes)),
    (&RX_PACKETS, |stats| Some(stats.rx_packets)),
    (&RX_ERRS, |stats| Some(stats.rx_errors)),
    (&RX_DROP, |stats| Some(stats.rx_dropped.wrapping_add(stats.rx_missed_errors))),
    (&RX_FIFO, |stats| Some(stats.rx_fifo_errors)),
    (&RX_FRAME, |stats| {
        let kin = [stats.rx_length_errors, stats.rx_over_errors, stats.rx_crc_errors];
        Some(kin.into_iter().fold(stats.rx_frame_errors, u64::wrapping_add))
    }),
    (&RX_COMPRESSED, |stats| Some(stats.rx_compressed)),
    (&RX_MULTICAST, |stats| Some(stats.multicast)),
    (&RX_NOHANDLER, |stats| stats.rx_nohandler),
    (&TX_BYTES, |stats| Some(stats.tx_bytes)),
    (&TX_PACKETS, |stats| Some(stats.tx_packets)),
    (&TX_ERRS, |stats| Some(stats.tx_errors)),
    (&TX_DROP, |stats| Some(stats.tx_dropped)),
    (&TX_FIFO, |stats| Some(stats.tx_fifo_errors)),
    (&TX_COLLS, |stats| Some(stats.collisions)),
    (&TX_CARRIER, |stats| {
        let kin = [stats.tx_aborted_errors, stats.tx_heartbeat_errors, stats.tx_window_errors];
        Some(kin.into_iter().fold(stats.tx_carrier_errors, u64::wrapping_add))
    }),
    (&TX_COMPRESSED, |stats| Some(stats.tx_compressed)),
];

/// The kernel's names, nothing added up.
pub(in crate::node) static DETAILED: &[Column] = &[
    (&RX_BYTES, |stats| Some(stats.rx_bytes)),
    (&RX_PACKETS, |stats| Some(stats.rx_packets)),
    (&RX_ERRORS, |stats| Some(stats.rx_errors)),
    (&RX_DROPPED, |stats| Some(stats.rx_dropped)),
    (&MULTICAST, |stats| Some(stats.multicast)),
    (&RX_LENGTH_ERRORS, |stats| Some(stats.rx_length_errors)),
    (&RX_OVER_ERRORS, |stats| Some(stats.rx_over_errors)),
    (&RX_CRC_ERRORS, |stats| Some(stats.rx_crc_errors)),
    (&RX_FRAME_ERRORS, |stats| Some(stats.rx_frame_errors)),
    (&RX_FIFO_ERRORS, |stats| Some(stats.rx_fifo_errors)),
    (&RX_MISSED_ERRORS, |stats| Some(stats.rx_missed_errors)),
    (&RX_COMPRESSED, |stats| Some(stats.rx_compressed)),
    (&RX_NOHANDLER, |stats| stats.rx_nohandler),
    (&TX_BYTES, |stats| Some(stats.tx_bytes)),
    (&TX_PACKETS, |stats| Some(stats.tx_packets)),
    (&TX_ERRORS, |stats| Some(stats.tx_errors)),
    (&TX_DROPPED, |stats| Some(stats.tx_dropped)),
    (&COLLISIONS, |stats| Some(stats.collisions)),
    (&TX_ABORTED_ERRORS, |stats| Some(stats.tx_aborted_errors)),
    (&TX_CARRIER_ERRORS, |stats| Some(stats.tx_carrier_errors)),
    (&TX_FIFO_ERRORS, |stats| Some(stats.tx_fifo_errors)),
    (&TX_HEARTBEAT_ERRORS, |stats| Some(stats.tx_heartbeat_errors)),
    (&TX_WINDOW_ERRORS, |stats| Some(stats.tx_window_errors)),
    (&TX_COMPRESSED, |stats| Some(stats.tx_compressed)),
];

/// The detailed names where the numbers come from `/proc/net/dev`: the file has sums already, under its own names.
pub(super) static DETAILED_FILE: &[Column] = &[
    (&RX_BYTES, |stats| Some(stats.rx_bytes)),
    (&RX_PACKETS, |stats| Some(stats.rx_packets)),
    (&RX_ERRORS, |stats| Some(stats.rx_errors)),
    (&RX_DROPPED, |stats| Some(stats.rx_dropped)),
    (&RX_FIFO, |stats| Some(stats.rx_fifo_errors)),
    (&RX_FRAME, |stats| Some(stats.rx_frame_errors)),
    (&RX_COMPRESSED, |stats| Some(stats.rx_compressed)),
    (&RX_MULTICAST, |stats| Some(stats.multicast)),
    (&TX_BYTES, |stats| Some(stats.tx_bytes)),
    (&TX_PACKETS, |stats| Some(stats.tx_packets)),
    (&TX_ERRORS, |stats| Some(stats.tx_errors)),
    (&TX_DROPPED, |stats| Some(stats.tx_dropped)),
    (&TX_FIFO, |stats| Some(stats.tx_fifo_errors)),
    (&TX_COLLS, |stats| Some(stats.collisions)),
    (&TX_CARRIER, |stats| Some(stats.tx_carrier_errors)),
    (&TX_COMPRESSED, |stats| Some(stats.tx_compressed)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_file() {
        let stats = Stats {
            rx_dropped: 1,
            rx_missed_errors: 10,
            rx_frame_errors: 1,
            rx_length_errors: 10,
            rx_over_errors: 100,
            rx_crc_errors: 1000,
            tx_carrier_errors: 2,
            tx_aborted_errors: 20,
            tx_heartbeat_errors: 200,
            tx_window_errors: u64::MAX,
            ..Stats::default()
        };
        let value = |name| {
            let column = FOLDED.iter().find(|(family, _)| family.name == name).expect(name);
            column.1(&stats)
        };
        assert_eq!(value("node_network_receive_drop_total"), Some(11));
        assert_eq!(value("node_network_receive_frame_total"), Some(1111));
        assert_eq!(value("node_network_transmit_carrier_total"), Some(221), "wraps as the kernel's own sum");
        assert_eq!(value("node_network_receive_nohandler_total"), None);
    }

    #[test]
    fn every_table_s_families_are_declared() {
        for (family, _) in FOLDED.iter().chain(DETAILED).chain(DETAILED_FILE) {
            assert!(COUNTERS.iter().any(|known| known.name == family.name), "{}", family.name);
        }
        assert_eq!((FOLDED.len(), DETAILED.len(), DETAILED_FILE.len()), (17, 24, 16));
    }
}
