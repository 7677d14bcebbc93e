//! InfiniBand and RDMA ports: state, rate and counters.

mod counters;

use self::counters::{COUNT, COUNTERS, FAMILIES, Kind, LIFESPAN};
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, Filter, FilterFlags},
    metric::{Family, Labels, Page},
    source::{
        file::ReadError,
        folder::{Folder, optional, unless},
        text,
    },
};
use rustix::io::Errno;

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "infiniband",
    on_by_default: true,
    summary: "InfiniBand and RDMA ports: state, rate and counters",
    reads: "/sys/class/infiniband",
    since: "2.6.12; counters of 64 bits 4.5",
    pace: Pace::MayBlock,
    flags: &[
        Flag {
            name: FILTER.include,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "Only these InfiniBand devices",
        },
        Flag {
            name: FILTER.exclude,
            takes: Takes::Text { placeholder: "REGEXP", default: "" },
            help: "All InfiniBand devices but these",
        },
    ],
    families: &EVERY_FAMILY,
    build: Infiniband::build,
};

const FILTER: FilterFlags = FilterFlags {
    include: "collector.infiniband.device-include",
    exclude: "collector.infiniband.device-exclude",
    old_include: None,
    old_exclude: None,
};

static INFO: Family =
    Family::gauge("node_infiniband_info", "1, with the adapter's board, firmware and type.");
static STATE: Family = Family::gauge(
    "node_infiniband_state_id",
    "The port's state: 0 for no change, 1 down, 2 being set up, 3 armed, 4 active, 5 about to be active.",
);
static PHYSICAL_STATE: Family = Family::gauge(
    "node_infiniband_physical_state_id",
    "The link's state: 0 for no change, 1 asleep, 2 polling, 3 disabled, 4 training, 5 up, 6 recovering, 7 testing.",
);
static RATE: Family =
    Family::gauge("node_infiniband_rate_bytes_per_second", "What the link can carry, in bytes a second.");

static EVERY_FAMILY: [&Family; COUNT + 5] =
    Family::all(&[&INFO, &STATE, &PHYSICAL_STATE, &RATE, &LIFESPAN], &[&FAMILIES]);

struct Infiniband {
    folder: Folder,
    filter: Filter,
}

struct Port {
    labels: Labels,
    state: u64,
    physical_state: u64,
    rate: u64,
    lifespan: Option<u64>,
    counts: [Option<u64>; COUNT],
}

/// One of a port's values.
type Value = fn(&Port) -> Option<u64>;

impl Infiniband {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let folder = Folder::new(context.paths.sysfs.join("class/infiniband"));
        Ok(Box::new(Self { folder, filter: Filter::from_flags(context.flags, &FILTER)? }))
    }

    fn read(&self) -> Result<(Vec<Labels>, Vec<Port>), ReadError> {
        let (mut infos, mut ports) = (Vec::new(), Vec::new());
        for device in self.folder.names()? {
            if !self.filter.keeps(&device) {
                continue;
            }
            let folder = self.folder.folder(&device);
            let text = |file| optional(folder.text(file)).map(Option::unwrap_or_default);
            infos.push(Labels::new([
                ("board_id", text("board_id")?),
                ("device", device.clone().into()),
                ("firmware_version", text("fw_ver")?),
                ("hca_type", text("hca_type")?),
            ]));
            let folder = folder.folder("ports");
            for port in folder.names()? {
                ports.push(Port::read(&folder.folder(&port), &device, &port)?);
            }
        }
        Ok((infos, ports))
    }
}

/// The number in `4: ACTIVE`.
fn state(text: &[u8]) -> Option<u64> {
    let mut parts = text.split(|&byte| byte == b':');
    let number = parts.next().map(<[u8]>::trim_ascii).and_then(text::whole)?;
    (parts.next().is_some() && parts.next().is_none()).then_some(number)
}

/// The rate in `40 Gb/sec (4X QDR)`, in bytes a second.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the reference cuts, too")]
fn rate(text: &[u8]) -> Option<u64> {
    let (number, _) = str::from_utf8(text).ok()?.split_once(' ')?;
    let gigabits: f32 = number.parse().ok()?;
    Some((f64::from(gigabits) * 125e6) as u64)
}

/// What a counter's file tells.
enum Count {
    Known(u64),
    /// The port's firmware has no such thing, which some drivers tell in words.
    Unknown,
}

fn count(text: &[u8]) -> Option<Count> {
    const NONE: &[u8] = b"N/A (no PMA)";
    let is_unknown = || text.windows(NONE.len()).any(|part| part == NONE);
    text::prefixed(text).map(Count::Known).or_else(|| is_unknown().then_some(Count::Unknown))
}

impl Port {
    fn read(folder: &Folder, device: &str, port: &str) -> Result<Self, ReadError> {
        let mut counts = [None; COUNT];
        // Some drivers have one kind of counter only.
        let has_counters = !device.starts_with("irdma") && !device.starts_with("nvs_");
        let has_hardware = device.starts_with("irdma") || device.starts_with("mlx5_");
        if has_counters {
            folder.folder("counters").names()?;
        }
        if has_hardware {
            folder.folder("hw_counters").names()?;
        }
        for (place, (kind, file)) in counts.iter_mut().zip(&COUNTERS) {
            if if *kind == Kind::Hardware { has_hardware } else { has_counters } {
                *place = counter(&folder.folder(kind.folder()), file)?;
                if Kind::is_in_words_of_four(file) {
                    *place = place.map(|count| count.wrapping_mul(4));
                }
            }
        }
        let lifespan = if has_hardware { counter(&folder.folder("hw_counters"), "lifespan")? } else { None };
        Ok(Self {
            labels: Labels::new([("device", device), ("port", port)]),
            state: folder.parsed("state", "a number and a name", state)?,
            physical_state: folder.parsed("phys_state", "a number and a name", state)?,
            rate: folder.parsed("rate", "a rate such as 40 Gb/sec", rate)?,
            lifespan,
            counts,
        })
    }
}

fn counter(folder: &Folder, file: &str) -> Result<Option<u64>, ReadError> {
    let read = folder.parsed(file, "a whole number", count);
    let lacks = [Errno::NOENT, Errno::ACCESS, Errno::PERM, Errno::OPNOTSUPP, Errno::INVAL];
    Ok(match unless(read, &lacks)? {
        Some(Count::Known(count)) => Some(count),
        Some(Count::Unknown) | None => None,
    })
}

impl Collector for Infiniband {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let (infos, ports) = self.read().map_err(ReadError::or_absent)?;
        let mut samples = page.family(&INFO);
        for labels in &infos {
            samples.sample(labels, 1_u64);
        }
        let values: [(&Family, Value); 4] = [
            (&STATE, |port| Some(port.state)),
            (&PHYSICAL_STATE, |port| Some(port.physical_state)),
            (&RATE, |port| Some(port.rate)),
            // Whole seconds, as the reference has them.
            (&LIFESPAN, |port| Some(port.lifespan? / 1000)),
        ];
        for (family, value) in values {
            let mut samples = page.family(family);
            for port in &ports {
                if let Some(value) = value(port) {
                    samples.sample(&port.labels, value);
                }
            }
        }
        for (index, family) in FAMILIES.iter().enumerate() {
            let mut samples = page.family(family);
            for port in &ports {
                if let Some(Some(count)) = port.counts.get(index) {
                    samples.sample(&port.labels, *count);
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

    fn root() -> Root {
        let root = Root::new("infiniband");
        let port = "class/infiniband/mlx5_0/ports/1";
        root.fill(
            port,
            &[("state", "4: ACTIVE\n"), ("phys_state", "5: LinkUp\n"), ("rate", "2.5 Gb/sec (1X SDR)\n")],
        );
        root.fill(
            port,
            &[
                ("counters/port_rcv_data", "10\n"),
                ("counters/symbol_error", "N/A (no PMA)\n"),
                ("hw_counters/lifespan", "1999\n"),
                ("hw_counters/out_of_buffer", "3\n"),
            ],
        );
        root
    }

    #[test]
    fn states_and_rates_are_numbers_before_words() {
        assert_eq!(state(b"4: ACTIVE"), Some(4));
        for bad in [&b""[..], b"4", b"x: y", b"1:2:3", b": ACTIVE", b"-1: x", b"\xff: x"] {
            assert_eq!(state(bad), None, "{bad:?}");
        }
        assert_eq!(rate(b"40 Gb/sec (4X QDR)"), Some(5_000_000_000));
        for bad in [&b""[..], b"40", b"Gb/sec 40", b"\xff 1"] {
            assert_eq!(rate(bad), None, "{bad:?}");
        }
        assert_eq!(rate(b"-1 Gb/sec"), Some(0));
        assert_eq!(rate(b"1e30 Gb/sec"), Some(u64::MAX));
    }

    #[test]
    fn words_become_bytes_and_what_is_not_counted_is_left_out() {
        assert_eq!(
            root().samples(&DESCRIPTOR, &[]).expect("collects"),
            [
                r#"node_infiniband_info{board_id="",device="mlx5_0",firmware_version="",hca_type=""} 1"#,
                r#"node_infiniband_state_id{device="mlx5_0",port="1"} 4"#,
                r#"node_infiniband_physical_state_id{device="mlx5_0",port="1"} 5"#,
                r#"node_infiniband_rate_bytes_per_second{device="mlx5_0",port="1"} 3.125e+08"#,
                r#"node_infiniband_lifespan_seconds{device="mlx5_0",port="1"} 1"#,
                r#"node_infiniband_port_data_received_bytes_total{device="mlx5_0",port="1"} 40"#,
                r#"node_infiniband_out_of_buffer_drops_total{device="mlx5_0",port="1"} 3"#,
            ]
        );
        let none = root().samples(&DESCRIPTOR, &["--collector.infiniband.device-exclude=^mlx5"]);
        assert!(none.expect("collects").is_empty());
    }

    #[test]
    fn no_class_is_no_data_and_nonsense_a_failure() {
        let failure = Root::new("no-infiniband").samples(&DESCRIPTOR, &[]).expect_err("is missing");
        assert!(matches!(failure, Failure::Absent(_)), "{failure}");
        let root = root();
        for bad in ["", "-1", "1.5", "18446744073709551616", "\u{fffd}"] {
            root.write("class/infiniband/mlx5_0/ports/1/counters/link_downed", bad);
            let failure = root.samples(&DESCRIPTOR, &[]).expect_err(bad);
            assert!(matches!(failure, Failure::Broken(_)), "{failure}");
            assert!(failure.to_string().contains("counters/link_downed: expected"), "{failure}");
        }
    }
}
