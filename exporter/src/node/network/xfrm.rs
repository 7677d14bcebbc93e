//! Errors of IPsec.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Page},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "xfrm",
    on_by_default: false,
    summary: "errors of IPsec",
    reads: "/proc/net/xfrm_stat",
    since: "2.6.25, with CONFIG_XFRM_STATISTICS",
    pace: Pace::Quick,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Xfrm::build,
};

const LINES: usize = 28;

/// The lines that are given; [`FAMILIES`] has the same order.
static KEYS: [&str; LINES] = [
    "XfrmAcquireError",
    "XfrmFwdHdrError",
    "XfrmInBufferError",
    "XfrmInError",
    "XfrmInHdrError",
    "XfrmInNoPols",
    "XfrmInNoStates",
    "XfrmInPolBlock",
    "XfrmInPolError",
    "XfrmInStateExpired",
    "XfrmInStateInvalid",
    "XfrmInStateMismatch",
    "XfrmInStateModeError",
    "XfrmInStateProtoError",
    "XfrmInStateSeqError",
    "XfrmInTmplMismatch",
    "XfrmOutBundleCheckError",
    "XfrmOutBundleGenError",
    "XfrmOutError",
    "XfrmOutNoStates",
    "XfrmOutPolBlock",
    "XfrmOutPolDead",
    "XfrmOutPolError",
    "XfrmOutStateExpired",
    "XfrmOutStateInvalid",
    "XfrmOutStateModeError",
    "XfrmOutStateProtoError",
    "XfrmOutStateSeqError",
];

static FAMILIES: [Family; LINES] = [
    Family::counter("node_xfrm_acquire_error_packets_total", "Packets whose keys could not be asked for."),
    Family::counter(
        "node_xfrm_fwd_hdr_error_packets_total",
        "Packets to be passed on whose header is wrong.",
    ),
    Family::counter(
        "node_xfrm_in_buffer_error_packets_total",
        "Packets received for which there was no memory.",
    ),
    Family::counter(
        "node_xfrm_in_error_packets_total",
        "Packets received that failed for a reason not counted elsewhere.",
    ),
    Family::counter("node_xfrm_in_hdr_error_packets_total", "Packets received whose header is wrong."),
    Family::counter("node_xfrm_in_no_pols_packets_total", "Packets received that no policy covers."),
    Family::counter(
        "node_xfrm_in_no_states_packets_total",
        "Packets received for which there is no security association.",
    ),
    Family::counter("node_xfrm_in_pol_block_packets_total", "Packets received that a policy forbids."),
    Family::counter("node_xfrm_in_pol_error_packets_total", "Packets received whose policy failed."),
    Family::counter(
        "node_xfrm_in_state_expired_packets_total",
        "Packets received whose security association is over.",
    ),
    Family::counter(
        "node_xfrm_in_state_invalid_packets_total",
        "Packets received whose security association is not valid.",
    ),
    Family::counter(
        "node_xfrm_in_state_mismatch_packets_total",
        "Packets received whose security association has other options, such as encapsulation.",
    ),
    Family::counter(
        "node_xfrm_in_state_mode_error_packets_total",
        "Packets received that fail in the mode of their security association.",
    ),
    Family::counter(
        "node_xfrm_in_state_proto_error_packets_total",
        "Packets received that fail in the protocol, such as one with a wrong key.",
    ),
    Family::counter(
        "node_xfrm_in_state_seq_error_packets_total",
        "Packets received whose number in the sequence is out of the window.",
    ),
    Family::counter(
        "node_xfrm_in_tmpl_mismatch_packets_total",
        "Packets received whose security associations are not those of the policy.",
    ),
    Family::counter(
        "node_xfrm_out_bundle_check_error_packets_total",
        "Packets to send whose bundle of security associations failed its check.",
    ),
    Family::counter(
        "node_xfrm_out_bundle_gen_error_packets_total",
        "Packets to send for which no bundle of security associations could be made.",
    ),
    Family::counter(
        "node_xfrm_out_error_packets_total",
        "Packets to send that failed for a reason not counted elsewhere.",
    ),
    Family::counter(
        "node_xfrm_out_no_states_packets_total",
        "Packets to send for which there is no security association.",
    ),
    Family::counter("node_xfrm_out_pol_block_packets_total", "Packets to send that a policy forbids."),
    Family::counter("node_xfrm_out_pol_dead_packets_total", "Packets to send whose policy is gone."),
    Family::counter("node_xfrm_out_pol_error_packets_total", "Packets to send whose policy failed."),
    Family::counter(
        "node_xfrm_out_state_expired_packets_total",
        "Packets to send whose security association is over.",
    ),
    Family::counter(
        "node_xfrm_out_state_invalid_packets_total",
        "Packets to send whose security association is not valid.",
    ),
    Family::counter(
        "node_xfrm_out_state_mode_error_packets_total",
        "Packets to send that fail in the mode of their security association.",
    ),
    Family::counter(
        "node_xfrm_out_state_proto_error_packets_total",
        "Packets to send that fail in the protocol of their security association.",
    ),
    Family::counter(
        "node_xfrm_out_state_seq_error_packets_total",
        "Packets to send whose number in the sequence would be too high.",
    ),
];

static EVERY_FAMILY: [&Family; LINES] = Family::each(&FAMILIES);

struct Xfrm {
    file: KeptFile,
}

impl Xfrm {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file = KeptFile::new(context.paths.procfs.join("net/xfrm_stat"), Serves::Whole);
        Ok(Box::new(Self { file }))
    }
}

impl Collector for Xfrm {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let counts = parse(self.file.read()?)
            .ok_or_else(|| Failure::unreadable(self.file.path(), "lines of a name and a number"))?;
        for (family, count) in FAMILIES.iter().zip(counts) {
            page.family(family).plain(count);
        }
        Ok(())
    }
}

/// The counts of [`KEYS`], 0 for one that the kernel lacks; `None` if a line makes no sense.
fn parse(xfrm_stat: &[u8]) -> Option<[u64; LINES]> {
    let mut counts = [0; LINES];
    for line in text::lines(xfrm_stat) {
        let mut fields = text::fields(line);
        let (key, count) = (fields.next()?, text::whole(fields.next()?)?);
        if fields.next().is_some() {
            return None;
        }
        let known = KEYS.iter().position(|known| known.as_bytes() == key);
        if let Some(place) = known.and_then(|index| counts.get_mut(index)) {
            *place = count;
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_belong_to_their_families() {
        for (key, family) in KEYS.iter().zip(&FAMILIES) {
            let mut name = String::new();
            for letter in key.trim_start_matches("Xfrm").chars() {
                if letter.is_ascii_uppercase() {
                    name.push('_');
                }
                name.push(letter.to_ascii_lowercase());
            }
            assert_eq!(family.name, format!("node_xfrm{name}_packets_total"));
        }
    }

    #[test]
    fn counts_are_read_by_name() {
        let counts = parse(b"XfrmInError \t 7\nXfrmNew 1\nXfrmAcquireError 18446744073709551615\n")
            .expect("is in order");
        let count = |key: &str| counts[KEYS.iter().position(|known| *known == key).expect("is a key")];
        assert_eq!(
            (count("XfrmInError"), count("XfrmAcquireError"), count("XfrmFwdHdrError")),
            (7, u64::MAX, 0)
        );
    }

    #[test]
    fn lines_that_make_no_sense_are_failures() {
        for bad in [
            &b"XfrmInError"[..],
            b"XfrmInError x",
            b"XfrmInError 1 2",
            b" ",
            b"\xff",
            b"XfrmInError 18446744073709551616",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
