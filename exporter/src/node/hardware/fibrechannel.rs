//! Fibre Channel ports of host adapters: what they are, and what their firmware counts.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::ReadError,
        folder::{Folder, offered, optional},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "fibrechannel",
    on_by_default: true,
    summary: "Fibre Channel ports and their counters",
    reads: "/sys/class/fc_host",
    since: "2.6.15",
    pace: Pace::MayBlock,
    flags: &[],
    families: &EVERY_FAMILY,
    build: FibreChannel::build,
};

/// In the folder `statistics`.
const FILES: [&str; 14] = [
    "dumped_frames",
    "error_frames",
    "invalid_crc_count",
    "rx_frames",
    "rx_words",
    "tx_frames",
    "tx_words",
    "seconds_since_last_reset",
    "invalid_tx_word_count",
    "link_failure_count",
    "loss_of_sync_count",
    "loss_of_signal_count",
    "nos_count",
    "fcp_packet_aborts",
];

/// In the order of [`FILES`].
static FAMILIES: [Family; FILES.len()] = [
    Family::counter("node_fibrechannel_dumped_frames_total", "Frames dropped for want of buffers."),
    Family::counter("node_fibrechannel_error_frames_total", "Frames that arrived with an error."),
    Family::counter("node_fibrechannel_invalid_crc_total", "Frames whose checksum was wrong."),
    Family::counter("node_fibrechannel_rx_frames_total", "Frames received."),
    Family::counter("node_fibrechannel_rx_words_total", "Words of four bytes received."),
    Family::counter("node_fibrechannel_tx_frames_total", "Frames sent."),
    Family::counter("node_fibrechannel_tx_words_total", "Words of four bytes sent."),
    Family::counter(
        "node_fibrechannel_seconds_since_last_reset_total",
        "Seconds since the counters were set to 0.",
    ),
    Family::counter("node_fibrechannel_invalid_tx_words_total", "Words that no port may send."),
    Family::counter("node_fibrechannel_link_failure_total", "Times the link has failed."),
    Family::counter("node_fibrechannel_loss_of_sync_total", "Times the port lost the boundaries of words."),
    Family::counter("node_fibrechannel_loss_of_signal_total", "Times the port lost the signal."),
    Family::counter("node_fibrechannel_nos_total", "Times the other side said that it does not operate."),
    Family::counter("node_fibrechannel_fcp_packet_aborts_total", "SCSI exchanges that were aborted."),
];
static INFO: Family =
    Family::gauge("node_fibrechannel_info", "1, with the port's state, speed, names and abilities.");

static EVERY_FAMILY: [&Family; FILES.len() + 1] = Family::all(&[&INFO], &[&FAMILIES]);

/// The info's labels, which are files, and whether the first two characters, `0x`, are cut off. [`NAME`] is none.
const INFO_FILES: [(&str, bool); 11] = [
    ("dev_loss_tmo", false),
    ("fabric_name", true),
    (NAME, false),
    ("port_id", true),
    ("port_name", true),
    ("port_state", false),
    ("port_type", false),
    ("speed", false),
    ("supported_classes", false),
    ("supported_speeds", false),
    ("symbolic_name", false),
];
const NAME: &str = "fc_host";

struct FibreChannel {
    folder: Folder,
}

struct Host {
    labels: Labels,
    info: Labels,
    counts: [u64; FILES.len()],
}

impl FibreChannel {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { folder: Folder::new(context.paths.sysfs.join("class/fc_host")) }))
    }
}

impl Host {
    fn read(folder: &Folder, name: &str) -> Result<Self, ReadError> {
        let mut info = Labels::default();
        let mut is_known = true;
        for (file, is_hex) in INFO_FILES {
            let text = if file == NAME {
                name.into()
            } else {
                // Which of them there are is the driver's choice.
                optional(folder.text(file))?.unwrap_or_default()
            };
            is_known &= file != "port_state" || text != b"Unknown";
            let start = if is_hex && text.len() > 2 { 2 } else { 0 };
            info.push(file, text.get(start..).unwrap_or_default());
        }
        let mut counts = [0; FILES.len()];
        // A port that is not in use has nothing to count.
        if is_known {
            let statistics = folder.folder("statistics");
            statistics.names()?;
            for (place, file) in counts.iter_mut().zip(FILES) {
                *place = offered(statistics.prefixed(file))?.unwrap_or_default();
            }
        }
        Ok(Self { labels: Labels::new([(NAME, name)]), info, counts })
    }
}

impl Collector for FibreChannel {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut hosts = Vec::new();
        for name in self.folder.names().map_err(ReadError::or_absent)? {
            hosts.push(Host::read(&self.folder.folder(&name), &name).map_err(ReadError::or_absent)?);
        }
        let mut samples = page.family(&INFO);
        for host in &hosts {
            samples.sample(&host.info, 1_u64);
        }
        for (index, family) in FAMILIES.iter().enumerate() {
            let mut samples = page.family(family);
            for host in &hosts {
                // All ones: the firmware does not count this.
                if let Some(count) = host.counts.get(index).filter(|count| **count != u64::MAX) {
                    samples.sample(&host.labels, *count);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::sysfs_test::Root;

    const FOLDER: &str = "class/fc_host/host3";

    #[test]
    fn all_ones_are_not_counted_and_names_lose_their_prefix() {
        let root = Root::new("fc");
        root.fill(FOLDER, &[("port_state", "Online\n"), ("port_id", "0x00a1\n"), ("fabric_name", "\n")]);
        root.fill(
            &format!("{FOLDER}/statistics"),
            &[("dumped_frames", "0xffffffffffffffff\n"), ("error_frames", "0x13\n"), ("rx_frames", "7\n")],
        );
        let samples = root.samples(&DESCRIPTOR, &[]).expect("collects");
        assert!(
            samples[0].contains(
                r#"fabric_name="",fc_host="host3",port_id="00a1",port_name="",port_state="Online""#
            )
        );
        assert_eq!(samples.len(), FILES.len(), "one less, and the info");
        assert!(samples.contains(&"node_fibrechannel_error_frames_total{fc_host=\"host3\"} 19".to_owned()));
        assert!(samples.contains(&"node_fibrechannel_rx_frames_total{fc_host=\"host3\"} 7".to_owned()));
        root.write(&format!("{FOLDER}/port_state"), "Unknown\n");
        let samples = root.samples(&DESCRIPTOR, &[]).expect("collects");
        assert!(samples.contains(&"node_fibrechannel_error_frames_total{fc_host=\"host3\"} 0".to_owned()));
    }

    #[test]
    fn no_class_is_no_data_and_nonsense_a_failure() {
        let root = Root::new("fc");
        let failure = root.samples(&DESCRIPTOR, &[]).expect_err("is missing");
        assert!(matches!(failure, Failure::Absent(_)), "{failure}");
        for bad in ["", "0x", "-1", "0x10000000000000000", "\u{fffd}"] {
            root.write(&format!("{FOLDER}/statistics/nos_count"), bad);
            let failure = root.samples(&DESCRIPTOR, &[]).expect_err(bad);
            assert!(matches!(failure, Failure::Broken(_)), "{failure}");
            assert!(failure.to_string().contains("statistics/nos_count: expected"), "{failure}");
        }
    }
}
