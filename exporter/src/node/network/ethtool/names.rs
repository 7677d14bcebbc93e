//! Names of families made of what drivers call their counters.

use std::collections::{HashMap, HashSet};

use regex::Regex;

/// Counters that most drivers have, and the families that the reference gives them.
const COMMON: [(&str, &str); 7] = [
    ("rx_bytes", "node_ethtool_received_bytes_total"),
    ("rx_dropped", "node_ethtool_received_dropped_total"),
    ("rx_errors", "node_ethtool_received_errors_total"),
    ("rx_packets", "node_ethtool_received_packets_total"),
    ("tx_bytes", "node_ethtool_transmitted_bytes_total"),
    ("tx_errors", "node_ethtool_transmitted_errors_total"),
    ("tx_packets", "node_ethtool_transmitted_packets_total"),
];

/// The family of each counter; `None` for one that is not wanted, has no name, or shares its family's name with another
/// counter: then neither is given. Of counters that the driver calls the same, the last one counts.
pub fn families<'a>(
    counters: impl Iterator<Item = &'a [u8]>,
    wanted: Option<&Regex>,
) -> Vec<Option<Box<str>>> {
    let raw: Vec<&[u8]> = counters.collect();
    let last: HashMap<&[u8], usize> = raw.iter().enumerate().map(|(place, name)| (*name, place)).collect();
    let named: Vec<Option<(String, String)>> = raw
        .iter()
        .enumerate()
        .map(|(place, name)| {
            let is_last = last.get(name) == Some(&place);
            let clean = Some(sanitized(name)).filter(|clean| is_last && is_wanted(wanted, clean))?;
            let family = family(&clean);
            (!family.is_empty()).then_some((clean, family))
        })
        .collect();
    let mut bearers: HashMap<&str, u32> = HashMap::new();
    for (_, family) in named.iter().flatten() {
        *bearers.entry(family).or_default() += 1;
    }
    let mut taken = HashSet::new();
    let mut full = |(clean, family): &(String, String)| {
        let common = COMMON.iter().find(|(counter, _)| counter == clean).map(|(_, family)| *family);
        let full = common.map_or_else(|| format!("node_ethtool_{family}"), str::to_owned);
        // A driver may call another one as the reference calls a common one.
        let is_given = bearers.get(family.as_str()) == Some(&1) && taken.insert(full.clone());
        is_given.then(|| full.into_boxed_str())
    };
    named.iter().map(|named| named.as_ref().and_then(&mut full)).collect()
}

fn is_wanted(wanted: Option<&Regex>, name: &str) -> bool {
    wanted.is_none_or(|wanted| wanted.is_match(name))
}

/// Each run of what no name may hold becomes one `_`, together with the underscores on its sides.
fn sanitized(raw: &[u8]) -> String {
    let mut name = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(&first) = rest.first() {
        let (underscores, after) = split_while(rest, |byte| byte == b'_');
        let (foreign, behind) = split_while(after, |byte| byte != b'_' && !byte.is_ascii_alphanumeric());
        if !foreign.is_empty() {
            name.push('_');
            rest = split_while(behind, |byte| byte == b'_').1;
        } else if !underscores.is_empty() {
            name.extend(underscores.iter().map(|_| '_'));
            rest = after;
        } else {
            name.push(char::from(first));
            rest = rest.split_first().map_or(&[], |(_, rest)| rest);
        }
    }
    name
}

fn split_while(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|&byte| !belongs(byte)).unwrap_or(bytes.len());
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

/// In small letters, with `rx` and `tx` spelt out.
fn family(clean: &str) -> String {
    let lower = clean.to_ascii_lowercase();
    let received = spelt_out(lower.trim_start_matches('_'), "rx", "received");
    spelt_out(&received, "tx", "transmitted")
}

/// Replaces a word between underscores. Of two in a row the second one stays: the reference's pattern has by then used
/// the underscore between them.
fn spelt_out(name: &str, short: &str, long: &str) -> String {
    let mut after_one = false;
    let words = name.split('_').map(|word| {
        after_one = word == short && !after_one;
        if after_one { long } else { word }
    });
    words.collect::<Vec<_>>().join("_")
}

/// A driver's list of names. Each family is of one counter, and its name is one.
#[cfg(feature = "fuzzing")]
pub fn fuzz(list: &[u8]) {
    let mut given: Vec<_> =
        families(crate::source::ethtool::names(list), None).into_iter().flatten().collect();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    assert!(given.iter().all(|name| name.starts_with("node_ethtool_") && name.bytes().all(is_name)));
    let count = given.len();
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), count);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn given(counters: &[&str], wanted: &str) -> Vec<Option<String>> {
        let wanted = Regex::new(wanted).unwrap();
        families(counters.iter().map(|name| name.as_bytes()), Some(&wanted))
            .into_iter()
            .map(|name| name.map(String::from))
            .collect()
    }

    #[test]
    fn driver_strings_become_names() {
        for (raw, expected) in [
            ("port.rx_errors", "port_received_errors"),
            ("Queue[0] AllocFails", "queue_0_allocfails"),
            ("Tx LPI entry count", "transmitted_lpi_entry_count"),
            ("port.VF_admin_queue_requests", "port_vf_admin_queue_requests"),
            ("[3]: tx_bytes", "3_transmitted_bytes"),
            ("     err", "err"),
            ("rx0_xdp_tx", "rx0_xdp_transmitted"),
            ("tx_tx_timeouts", "transmitted_tx_timeouts"),
            ("rx_rx_rx", "received_rx_received"),
            ("rx__rx", "received__received"),
            ("a_-_-b", "a__b"),
            ("a__b", "a__b"),
            ("tx-", "transmitted_"),
            ("rx_gr\u{fc}n", "received_gr_n"),
        ] {
            assert_eq!(given(&[raw], ""), [Some(format!("node_ethtool_{expected}"))], "{raw}");
        }
        assert_eq!(given(&["", "...", "_"], ""), [None, None, None]);
        assert_eq!(sanitized(b"\xff\xfe_x\xff"), "_x_");
    }

    #[test]
    fn common_counters_have_names_of_their_own() {
        let all = ["rx_bytes", "tx-packets", "RX_bytes2"];
        let expected = [
            "node_ethtool_received_bytes_total",
            "node_ethtool_transmitted_packets_total",
            "node_ethtool_received_bytes2",
        ];
        assert_eq!(given(&all, ""), expected.map(|name| Some(name.to_owned())));
    }

    #[test]
    fn two_counters_of_one_name_are_both_left_out() {
        let all = ["duplicate metric", "duplicate_metric", "Rx-a", "rx_a", "RX a", "b"];
        assert_eq!(given(&all, ""), [None, None, None, None, None, Some("node_ethtool_b".to_owned())]);
        assert_eq!(
            given(&["b", "b"], ""),
            [None, Some("node_ethtool_b".to_owned())],
            "the driver's own double"
        );
    }

    #[test]
    fn the_pattern_looks_at_the_cleaned_string() {
        let b = Some("node_ethtool_port_received_b".to_owned());
        assert_eq!(given(&["port.rx_b", "Port.c"], "^port_"), [b, None]);
        assert_eq!(given(&["x y", "x_y2"], "y$"), [Some("node_ethtool_x_y".to_owned()), None]);
    }
}
