//! Reads and writes of SCSI tape drives.

use regex::Regex;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, pattern},
    metric::{Family, Labels, Page},
    source::{file::ReadError, folder::Folder, text},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "tapestats",
    on_by_default: true,
    summary: "reads and writes of SCSI tape drives",
    reads: "/sys/class/scsi_tape/st*/stats",
    since: "4.2",
    pace: Pace::Quick,
    flags: &[Flag {
        name: IGNORED,
        takes: Takes::Text { placeholder: "REGEXP", default: "^$" },
        help: "Tape drives to leave out",
    }],
    families: &Family::each(&FAMILIES),
    build: Tapestats::build,
};

const IGNORED: &str = "collector.tapestats.ignored-devices";

/// The files, and whether they count nanoseconds.
const FILES: [(&str, bool); 10] = [
    ("in_flight", false),
    ("io_ns", true),
    ("other_cnt", false),
    ("read_byte_cnt", false),
    ("read_cnt", false),
    ("read_ns", true),
    ("resid_cnt", false),
    ("write_byte_cnt", false),
    ("write_cnt", false),
    ("write_ns", true),
];

/// In the order of [`FILES`].
static FAMILIES: [Family; FILES.len()] = [
    Family::gauge("node_tape_io_now", "Requests that the drive has not yet answered."),
    Family::counter("node_tape_io_time_seconds_total", "Seconds that requests of all kinds have taken."),
    Family::counter(
        "node_tape_io_others_total",
        "Requests other than reads and writes: seeks, rewinds and the like.",
    ),
    Family::counter("node_tape_read_bytes_total", "Bytes read from the tape."),
    Family::counter("node_tape_reads_completed_total", "Reads that the drive has completed."),
    Family::counter("node_tape_read_time_seconds_total", "Seconds that reads have taken."),
    Family::counter("node_tape_residual_total", "Reads and writes that moved less than was asked for."),
    Family::counter("node_tape_written_bytes_total", "Bytes written to the tape."),
    Family::counter("node_tape_writes_completed_total", "Writes that the drive has completed."),
    Family::counter("node_tape_write_time_seconds_total", "Seconds that writes have taken."),
];

struct Tapestats {
    folder: Folder,
    ignored: Option<Regex>,
}

impl Tapestats {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let folder = Folder::new(context.paths.sysfs.join("class/scsi_tape"));
        Ok(Box::new(Self { folder, ignored: pattern(IGNORED, context.flags.text(IGNORED))? }))
    }

    /// A drive has several names, one per way to use it; `st0` stands for all.
    fn is_wanted(&self, name: &str) -> bool {
        name.strip_prefix("st").is_some_and(|number| text::whole(number.as_bytes()).is_some())
            && !self.ignored.as_ref().is_some_and(|ignored| ignored.is_match(name))
    }
}

fn counts(folder: &Folder) -> Result<[u64; FILES.len()], ReadError> {
    let there = folder.names()?;
    let mut counts = [0; FILES.len()];
    for (place, (file, _)) in counts.iter_mut().zip(FILES) {
        if there.iter().any(|name| name == file) {
            *place = folder.prefixed(file)?;
        }
    }
    Ok(counts)
}

impl Collector for Tapestats {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut drives = Vec::new();
        for name in self.folder.names().map_err(ReadError::or_absent)? {
            if self.is_wanted(&name) {
                let counts = counts(&self.folder.folder(&name).folder("stats"));
                drives.push((Labels::new([("device", &name)]), counts.map_err(ReadError::or_absent)?));
            }
        }
        for (index, (family, (_, is_time))) in FAMILIES.iter().zip(FILES).enumerate() {
            let mut samples = page.family(family);
            for (labels, counts) in &drives {
                match counts.get(index) {
                    // A product, not a quotient: the last digits are the reference's.
                    Some(count) if is_time => samples.sample(labels, *count as f64 * 1e-9),
                    Some(count) => samples.sample(labels, *count),
                    None => {}
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

    #[test]
    fn only_the_first_name_of_a_drive_counts() {
        let root = Root::new("tape");
        for name in ["st0", "st0a", "nst0", "st1"] {
            root.fill(
                &format!("class/scsi_tape/{name}/stats"),
                &[("io_ns", "1500000000\n"), ("in_flight", "1\n")],
            );
        }
        let samples =
            root.samples(&DESCRIPTOR, &["--collector.tapestats.ignored-devices=1$"]).expect("collects");
        assert_eq!(samples.len(), FILES.len());
        assert_eq!(samples[0], "node_tape_io_now{device=\"st0\"} 1");
        assert_eq!(samples[1], "node_tape_io_time_seconds_total{device=\"st0\"} 1.5");
    }

    #[test]
    fn no_class_is_no_data_and_nonsense_a_failure() {
        let root = Root::new("tape");
        let failure = root.samples(&DESCRIPTOR, &[]).expect_err("is missing");
        assert!(matches!(failure, Failure::Absent(_)), "{failure}");
        for bad in ["", "-1", "1.5", "18446744073709551616", "\u{fffd}"] {
            root.write("class/scsi_tape/st3/stats/read_cnt", bad);
            let failure = root.samples(&DESCRIPTOR, &[]).expect_err(bad);
            assert!(matches!(failure, Failure::Broken(_)), "{failure}");
            assert!(failure.to_string().contains("st3/stats/read_cnt: expected"), "{failure}");
        }
    }
}
