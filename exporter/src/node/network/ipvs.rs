//! The kernel's load balancer (IPVS): what it has forwarded, and its backends.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::{KeptFile, ReadError, Serves},
        ipvs::{Backend, backends, totals},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "ipvs",
    on_by_default: true,
    summary: "connections, packets and bytes of the kernel's load balancer, and its backends",
    reads: "/proc/net/ip_vs_stats, /proc/net/ip_vs",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[Flag {
        name: LABELS,
        takes: Takes::Text {
            placeholder: "NAMES",
            default: "local_address,local_port,remote_address,remote_port,proto,local_mark",
        },
        help: "Labels of the backends, separated by commas; backends that are alike in them are added up",
    }],
    families: &EVERY_FAMILY,
    build: Ipvs::build,
};

const LABELS: &str = "collector.ipvs.backend-labels";

/// In the order of their names.
const KNOWN: [&str; 6] =
    ["local_address", "local_mark", "local_port", "proto", "remote_address", "remote_port"];

static FAMILIES: [Family; 8] = [
    Family::counter("node_ipvs_connections_total", "Connections made through the load balancer."),
    Family::counter("node_ipvs_incoming_packets_total", "Packets that came from clients."),
    Family::counter("node_ipvs_outgoing_packets_total", "Packets that went back to clients."),
    Family::counter("node_ipvs_incoming_bytes_total", "Bytes that came from clients."),
    Family::counter("node_ipvs_outgoing_bytes_total", "Bytes that went back to clients."),
    Family::gauge("node_ipvs_backend_connections_active", "Connections to the backend that are in use."),
    Family::gauge("node_ipvs_backend_connections_inactive", "Connections to the backend that are at rest."),
    Family::gauge(
        "node_ipvs_backend_weight",
        "Share of new connections that the backend is given, as a weight.",
    ),
];
static EVERY_FAMILY: [&Family; 8] = Family::each(&FAMILIES);

struct Ipvs {
    totals: KeptFile,
    backends: KeptFile,
    /// The labels asked for, in the order of [`KNOWN`].
    kept: [bool; KNOWN.len()],
}

impl Ipvs {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let wanted = context.flags.text(LABELS);
        let mut names: BTreeSet<&str> = wanted.split(',').filter(|name| !name.is_empty()).collect();
        let kept = KNOWN.map(|name| names.remove(name));
        if let Some(unknown) = names.first() {
            return Err(ConfigError::flag(LABELS, wanted, format!("no such label: {unknown}")));
        }
        let file = |name| KeptFile::new(context.paths.procfs.join(name), Serves::Records);
        Ok(Box::new(Self { totals: file("net/ip_vs_stats"), backends: file("net/ip_vs"), kept }))
    }
}

impl Collector for Ipvs {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let totals = totals(self.totals.read().map_err(ReadError::or_absent)?)
            .ok_or_else(|| Failure::unreadable(self.totals.path(), "five hexadecimal numbers in line 3"))?;
        for (family, value) in FAMILIES.iter().zip(totals) {
            page.family(family).plain(value);
        }
        let sums = sums(self.backends.read()?, self.kept).ok_or_else(|| {
            Failure::unreadable(self.backends.path(), "lines such as -> C0A80116:0050 Masq 1 0 0")
        })?;
        for (index, family) in FAMILIES.iter().skip(totals.len()).enumerate() {
            let mut samples = page.family(family);
            for (labels, figures) in &sums {
                samples.sample(labels, figures.get(index).copied().unwrap_or(0));
            }
        }
        Ok(())
    }
}

/// Active and inactive connections and weight by the labels kept; `None` where a line makes no sense.
fn sums(ip_vs: &[u8], kept: [bool; KNOWN.len()]) -> Option<BTreeMap<Labels, [u64; 3]>> {
    let mut sums: BTreeMap<Labels, [u64; 3]> = BTreeMap::new();
    for backend in backends(ip_vs) {
        let backend = backend?;
        let sum = sums.entry(labels(&backend, kept)).or_default();
        for (sum, figure) in sum.iter_mut().zip([backend.active, backend.inactive, backend.weight]) {
            *sum = sum.wrapping_add(figure);
        }
    }
    Some(sums)
}

fn labels(backend: &Backend<'_>, kept: [bool; KNOWN.len()]) -> Labels {
    let service = backend.service;
    let local = service.address.map(|address| address.to_string()).unwrap_or_default();
    let values = [
        local.as_bytes(),
        service.mark,
        &service.port.to_string().into_bytes(),
        service.protocol,
        &backend.address.to_string().into_bytes(),
        &backend.port.to_string().into_bytes(),
    ];
    let wanted = KNOWN.into_iter().zip(values).zip(kept);
    Labels::new(wanted.filter_map(|(pair, kept)| kept.then_some(pair)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        b"TCP  C0A80016:0CEA wlc\n  -> C0A85216:0CEA Tunnel 100 248 2\n  -> C0A85318:0CEA Tunnel 20 2 1\n\
        FWM  10001000 wlc\n  -> C0A8321A:0CEA Tunnel 1 64 1\n";

    #[test]
    fn backends_alike_in_the_labels_are_added_up() {
        let text = |kept| -> Vec<String> {
            let sums = sums(TEXT, kept).expect("parses");
            sums.iter()
                .map(|(labels, sum)| format!("{} {sum:?}", String::from_utf8_lossy(labels.text())))
                .collect()
        };
        assert_eq!(text([false; 6]), [" [314, 4, 121]"]);
        let ports = text([false, false, true, false, false, false]);
        assert_eq!(ports, ["local_port=\"0\" [64, 1, 1]", "local_port=\"3306\" [250, 3, 120]"]);
        let all = text([true; 6]);
        assert_eq!(all.len(), 3);
        assert_eq!(
            all[0],
            "local_address=\"\",local_mark=\"10001000\",local_port=\"0\",proto=\"FWM\",\
             remote_address=\"192.168.50.26\",remote_port=\"3306\" [64, 1, 1]"
        );
    }

    #[test]
    fn one_bad_line_fails_all() {
        assert_eq!(sums(b"TCP C0A80016:0CEA wlc\n -> C0A8:0CEA Tunnel 1 1 1\n", [true; 6]), None);
    }
}
