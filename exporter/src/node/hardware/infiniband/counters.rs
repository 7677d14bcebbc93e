//! The counters of a port, and their files.

use crate::metric::Family;

/// Who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The port, by the extended counters of kernels before 4.5.
    Old,
    /// The port.
    Now,
    /// The adapter's driver.
    Hardware,
}

impl Kind {
    /// The folder of the files.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Old => "counters_ext",
            Self::Now => "counters",
            Self::Hardware => "hw_counters",
        }
    }

    /// Whether the file counts words of four bytes.
    pub fn is_in_words_of_four(file: &str) -> bool {
        matches!(file, "port_rcv_data" | "port_xmit_data" | "port_rcv_data_64" | "port_xmit_data_64")
    }
}

pub(super) const COUNT: usize = 59;

pub(super) static COUNTERS: [(Kind, &str); COUNT] = [
    (Kind::Old, "port_multicast_rcv_packets"),
    (Kind::Old, "port_multicast_xmit_packets"),
    (Kind::Old, "port_rcv_data_64"),
    (Kind::Old, "port_rcv_packets_64"),
    (Kind::Old, "port_unicast_rcv_packets"),
    (Kind::Old, "port_unicast_xmit_packets"),
    (Kind::Old, "port_xmit_data_64"),
    (Kind::Old, "port_xmit_packets_64"),
    (Kind::Now, "excessive_buffer_overrun_errors"),
    (Kind::Now, "link_downed"),
    (Kind::Now, "link_error_recovery"),
    (Kind::Now, "local_link_integrity_errors"),
    (Kind::Now, "multicast_rcv_packets"),
    (Kind::Now, "multicast_xmit_packets"),
    (Kind::Now, "port_rcv_constraint_errors"),
    (Kind::Now, "port_rcv_data"),
    (Kind::Now, "port_rcv_discards"),
    (Kind::Now, "port_rcv_errors"),
    (Kind::Now, "port_rcv_packets"),
    (Kind::Now, "port_rcv_remote_physical_errors"),
    (Kind::Now, "port_rcv_switch_relay_errors"),
    (Kind::Now, "port_xmit_constraint_errors"),
    (Kind::Now, "port_xmit_data"),
    (Kind::Now, "port_xmit_discards"),
    (Kind::Now, "port_xmit_packets"),
    (Kind::Now, "port_xmit_wait"),
    (Kind::Now, "symbol_error"),
    (Kind::Now, "unicast_rcv_packets"),
    (Kind::Now, "unicast_xmit_packets"),
    (Kind::Now, "VL15_dropped"),
    (Kind::Hardware, "duplicate_request"),
    (Kind::Hardware, "implied_nak_seq_err"),
    (Kind::Hardware, "local_ack_timeout_err"),
    (Kind::Hardware, "np_cnp_sent"),
    (Kind::Hardware, "np_ecn_marked_roce_packets"),
    (Kind::Hardware, "out_of_buffer"),
    (Kind::Hardware, "out_of_sequence"),
    (Kind::Hardware, "packet_seq_err"),
    (Kind::Hardware, "req_cqe_error"),
    (Kind::Hardware, "req_cqe_flush_error"),
    (Kind::Hardware, "req_remote_access_errors"),
    (Kind::Hardware, "req_remote_invalid_request"),
    (Kind::Hardware, "resp_cqe_error"),
    (Kind::Hardware, "resp_cqe_flush_error"),
    (Kind::Hardware, "resp_local_length_error"),
    (Kind::Hardware, "resp_remote_access_errors"),
    (Kind::Hardware, "rnr_nak_retry_err"),
    (Kind::Hardware, "roce_adp_retrans"),
    (Kind::Hardware, "roce_adp_retrans_to"),
    (Kind::Hardware, "roce_slow_restart"),
    (Kind::Hardware, "roce_slow_restart_cnps"),
    (Kind::Hardware, "roce_slow_restart_trans"),
    (Kind::Hardware, "rp_cnp_handled"),
    (Kind::Hardware, "rp_cnp_ignored"),
    (Kind::Hardware, "rx_atomic_requests"),
    (Kind::Hardware, "rx_dct_connect"),
    (Kind::Hardware, "rx_icrc_encapsulated"),
    (Kind::Hardware, "rx_read_requests"),
    (Kind::Hardware, "rx_write_requests"),
];

/// In the order of [`COUNTERS`].
pub(super) static FAMILIES: [Family; COUNT] = [
    Family::counter(
        "node_infiniband_legacy_multicast_packets_received_total",
        "Multicast packets received, by the counter of kernels before 4.5.",
    ),
    Family::counter(
        "node_infiniband_legacy_multicast_packets_transmitted_total",
        "Multicast packets sent, by the counter of kernels before 4.5.",
    ),
    Family::counter(
        "node_infiniband_legacy_data_received_bytes_total",
        "Bytes received, by the counter of kernels before 4.5.",
    ),
    Family::counter(
        "node_infiniband_legacy_packets_received_total",
        "Packets received, by the counter of kernels before 4.5.",
    ),
    Family::counter(
        "node_infiniband_legacy_unicast_packets_received_total",
        "Unicast packets received, by the counter of kernels before 4.5.",
    ),
    Family::counter(
        "node_infiniband_legacy_unicast_packets_transmitted_total",
        "Unicast packets sent, by the counter of kernels before 4.5.",
    ),
    Family::counter(
        "node_infiniband_legacy_data_transmitted_bytes_total",
        "Bytes sent, by the counter of kernels before 4.5.",
    ),
    Family::counter(
        "node_infiniband_legacy_packets_transmitted_total",
        "Packets sent, by the counter of kernels before 4.5.",
    ),
    Family::counter(
        "node_infiniband_excessive_buffer_overrun_errors_total",
        "Times that buffers overran again and again.",
    ),
    Family::counter("node_infiniband_link_downed_total", "Times the link went down for good after an error."),
    Family::counter("node_infiniband_link_error_recovery_total", "Times the link recovered from an error."),
    Family::counter(
        "node_infiniband_local_link_integrity_errors_total",
        "Times that errors of the link passed their threshold.",
    ),
    Family::counter(
        "node_infiniband_multicast_packets_received_total",
        "Multicast packets received, those with errors too.",
    ),
    Family::counter(
        "node_infiniband_multicast_packets_transmitted_total",
        "Multicast packets sent, those with errors too.",
    ),
    Family::counter(
        "node_infiniband_port_constraint_errors_received_total",
        "Packets dropped at arrival by the port's rules.",
    ),
    Family::counter("node_infiniband_port_data_received_bytes_total", "Bytes received."),
    Family::counter(
        "node_infiniband_port_discards_received_total",
        "Packets dropped at arrival since the port was down or full.",
    ),
    Family::counter("node_infiniband_port_errors_received_total", "Packets received with an error."),
    Family::counter(
        "node_infiniband_port_packets_received_total",
        "Packets received, those with errors too.",
    ),
    Family::counter(
        "node_infiniband_port_receive_remote_physical_errors_total",
        "Packets received that another port had marked as bad.",
    ),
    Family::counter(
        "node_infiniband_port_receive_switch_relay_errors_total",
        "Packets that the switch could not pass on.",
    ),
    Family::counter(
        "node_infiniband_port_constraint_errors_transmitted_total",
        "Packets not sent by the port's rules.",
    ),
    Family::counter("node_infiniband_port_data_transmitted_bytes_total", "Bytes sent."),
    Family::counter(
        "node_infiniband_port_discards_transmitted_total",
        "Packets not sent since the port was down or full.",
    ),
    Family::counter("node_infiniband_port_packets_transmitted_total", "Packets sent, those with errors too."),
    Family::counter(
        "node_infiniband_port_transmit_wait_total",
        "Ticks in which the port had something to send and could not.",
    ),
    Family::counter("node_infiniband_symbol_error_total", "Small errors on the lanes of the link."),
    Family::counter(
        "node_infiniband_unicast_packets_received_total",
        "Unicast packets received, those with errors too.",
    ),
    Family::counter(
        "node_infiniband_unicast_packets_transmitted_total",
        "Unicast packets sent, those with errors too.",
    ),
    Family::counter(
        "node_infiniband_vl15_dropped_total",
        "Packets of management dropped for want of buffers.",
    ),
    Family::counter(
        "node_infiniband_duplicate_requests_packets_total",
        "Requests received that had come before.",
    ),
    Family::counter(
        "node_infiniband_implied_nak_seq_errors_total",
        "Acknowledgements of a later packet than the one waited for.",
    ),
    Family::counter(
        "node_infiniband_local_ack_timeout_errors_total",
        "Times that an acknowledgement did not come in time.",
    ),
    Family::counter("node_infiniband_np_cnp_packets_sent_total", "Notifications of congestion sent."),
    Family::counter(
        "node_infiniband_np_ecn_marked_roce_packets_received_total",
        "RoCE packets received that were marked for congestion.",
    ),
    Family::counter(
        "node_infiniband_out_of_buffer_drops_total",
        "Packets dropped since a queue had no buffer for them.",
    ),
    Family::counter(
        "node_infiniband_out_of_sequence_packets_received_total",
        "Packets received out of order.",
    ),
    Family::counter(
        "node_infiniband_packet_sequence_errors_total",
        "Answers received that told of a packet out of order.",
    ),
    Family::counter("node_infiniband_req_cqes_errors_total", "Requests that ended with an error."),
    Family::counter(
        "node_infiniband_req_cqes_flush_errors_total",
        "Requests that were flushed with an error.",
    ),
    Family::counter(
        "node_infiniband_req_remote_access_errors_total",
        "Requests that the other side refused for want of rights.",
    ),
    Family::counter(
        "node_infiniband_req_remote_invalid_request_errors_total",
        "Requests that the other side found to be invalid.",
    ),
    Family::counter("node_infiniband_resp_cqes_errors_total", "Answers that ended with an error."),
    Family::counter(
        "node_infiniband_resp_cqes_flush_errors_total",
        "Answers that were flushed with an error.",
    ),
    Family::counter(
        "node_infiniband_resp_local_length_errors_total",
        "Requests received whose length was wrong.",
    ),
    Family::counter(
        "node_infiniband_resp_remote_access_errors_total",
        "Requests received that this side refused for want of rights.",
    ),
    Family::counter(
        "node_infiniband_rnr_nak_retry_packets_received_total",
        "Answers received that the other side was not ready.",
    ),
    Family::counter("node_infiniband_roce_adp_retransmits_total", "Adaptive retransmissions of RoCE."),
    Family::counter(
        "node_infiniband_roce_adp_retransmits_timeout_total",
        "Timeouts that adaptive retransmission of RoCE reached.",
    ),
    Family::counter(
        "node_infiniband_roce_slow_restart_used_total",
        "Times that the slow restart of RoCE was used.",
    ),
    Family::counter(
        "node_infiniband_roce_slow_restart_cnps_total",
        "Notifications of congestion that the slow restart of RoCE made.",
    ),
    Family::counter("node_infiniband_roce_slow_restart_total", "Times that RoCE changed to slow restart."),
    Family::counter(
        "node_infiniband_rp_cnp_packets_handled_total",
        "Notifications of congestion followed by sending less.",
    ),
    Family::counter(
        "node_infiniband_rp_cnp_ignored_packets_received_total",
        "Notifications of congestion that were not followed.",
    ),
    Family::counter("node_infiniband_rx_atomic_requests_total", "Atomic requests received."),
    Family::counter(
        "node_infiniband_rx_dct_connect_requests_total",
        "Requests for a dynamic connection received.",
    ),
    Family::counter(
        "node_infiniband_rx_icrc_encapsulated_errors_total",
        "RoCE packets whose inner checksum was wrong.",
    ),
    Family::counter("node_infiniband_rx_read_requests_total", "Read requests received."),
    Family::counter("node_infiniband_rx_write_requests_total", "Write requests received."),
];

pub(super) static LIFESPAN: Family = Family::gauge(
    "node_infiniband_lifespan_seconds",
    "How long the adapter may answer with counters that it has read before, in whole seconds.",
);
