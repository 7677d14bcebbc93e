//! The families of an interface, and the files that most of them come from.

use crate::{metric::Family, node::network::netdev::families::DETAILED};

pub(super) static INFO: Family = Family::gauge(
    "node_network_info",
    "1, with what the interface is: addresses, duplex, alias, its state as set and as it is.",
);
pub(super) static UP: Family = Family::gauge("node_network_up", "1 if the interface's state is up, else 0.");
pub(super) static SPEED: Family =
    Family::gauge("node_network_speed_bytes", "Speed of the link, in bytes per second; below 0 if unknown.");

pub(super) const NUMBERS: usize = 16;

/// The files that hold one number each, and their families.
pub(super) static ATTRIBUTES: [(&str, Family); NUMBERS] = [
    (
        "addr_assign_type",
        Family::gauge("node_network_address_assign_type", "Where the hardware address is from, by number."),
    ),
    ("carrier", Family::gauge("node_network_carrier", "1 if the interface has a link, else 0.")),
    (
        "carrier_changes",
        Family::counter("node_network_carrier_changes_total", "Times that the link came or went."),
    ),
    (
        "carrier_down_count",
        Family::counter("node_network_carrier_down_changes_total", "Times that the link went."),
    ),
    (
        "carrier_up_count",
        Family::counter("node_network_carrier_up_changes_total", "Times that the link came."),
    ),
    (
        "dev_id",
        Family::gauge("node_network_device_id", "Tells interfaces apart that share a hardware address."),
    ),
    ("dormant", Family::gauge("node_network_dormant", "1 if the link waits for something, else 0.")),
    ("flags", Family::gauge("node_network_flags", "Flags of the interface, as one number of bits.")),
    ("ifindex", Family::gauge("node_network_iface_id", "Number of the interface.")),
    (
        "iflink",
        Family::gauge(
            "node_network_iface_link",
            "Number of the interface that this one stands on, or its own.",
        ),
    ),
    ("link_mode", Family::gauge("node_network_iface_link_mode", "Mode of the link, by number.")),
    ("mtu", Family::gauge("node_network_mtu_bytes", "Largest packet, in bytes.")),
    (
        "name_assign_type",
        Family::gauge("node_network_name_assign_type", "Where the name is from, by number."),
    ),
    ("netdev_group", Family::gauge("node_network_net_dev_group", "Group that the interface was put in.")),
    (
        "tx_queue_len",
        Family::gauge("node_network_transmit_queue_length", "Packets that the queue out may hold."),
    ),
    ("type", Family::gauge("node_network_protocol_type", "Kind of hardware, by number.")),
];
/// Places in [`ATTRIBUTES`].
pub(super) const ADDRESS_FROM: usize = 0;
pub(super) const CARRIER_CHANGES: usize = 2;
pub(super) const FLAGS: usize = 7;
pub(super) const INDEX: usize = 8;
pub(super) const MTU: usize = 11;

/// What netlink tells beyond the files.
pub(super) static OTHER_NAMES: Family =
    Family::gauge("node_network_altnames_info", "1, with a further name of the interface.");

const COUNTERS: usize = 24;
/// The kernel's counters under netdev's detailed names, but gauges, as the reference has them here.
pub(super) static STATISTICS: [Family; COUNTERS] = {
    let mut all = [const { Family::gauge("", "") }; COUNTERS];
    let mut index = 0;
    while index < COUNTERS {
        all[index] = Family::gauge(DETAILED[index].0.name, DETAILED[index].0.help);
        index += 1;
    }
    all
};

const FILES: usize = NUMBERS + 3;
pub(super) static EVERY_FAMILY: [&Family; FILES + 1 + COUNTERS] = {
    let mut all = [&INFO; FILES + 1 + COUNTERS];
    let mut index = 0;
    while index < NUMBERS {
        all[index] = &ATTRIBUTES[index].1;
        index += 1;
    }
    all[index] = &UP;
    all[index + 1] = &SPEED;
    all[FILES] = &OTHER_NAMES;
    index = 0;
    while index < COUNTERS {
        all[FILES + 1 + index] = &STATISTICS[index];
        index += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_where_they_are_looked_for() {
        for (place, file) in [
            (ADDRESS_FROM, "addr_assign_type"),
            (CARRIER_CHANGES, "carrier_changes"),
            (FLAGS, "flags"),
            (INDEX, "ifindex"),
            (MTU, "mtu"),
        ] {
            assert_eq!(ATTRIBUTES[place].0, file);
        }
        assert_eq!(DETAILED.len(), COUNTERS);
    }
}
