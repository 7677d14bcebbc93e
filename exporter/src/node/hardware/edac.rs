//! Memory errors that the hardware has seen, by controller, row and channel.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::ReadError,
        folder::{Folder, optional},
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "edac",
    on_by_default: true,
    summary: "memory errors by controller, row and channel",
    reads: "/sys/devices/system/edac/mc",
    since: "2.6.16",
    pace: Pace::Quick,
    flags: &[],
    families: &Family::each(&FAMILIES),
    build: Edac::build,
};

const CORRECTED: usize = 0;
const UNCORRECTED: usize = 1;
const ROW: usize = 2;
const CHANNEL: usize = 4;

/// By what they count within, each pair corrected errors first.
static FAMILIES: [Family; 6] = [
    Family::counter(
        "node_edac_correctable_errors_total",
        "Memory errors that were corrected, by controller.",
    ),
    Family::counter(
        "node_edac_uncorrectable_errors_total",
        "Memory errors that could not be corrected, by controller.",
    ),
    Family::counter(
        "node_edac_csrow_correctable_errors_total",
        "Memory errors that were corrected, by row; unknown where the hardware did not tell it.",
    ),
    Family::counter(
        "node_edac_csrow_uncorrectable_errors_total",
        "Memory errors that could not be corrected, by row; unknown where the hardware did not tell it.",
    ),
    Family::counter(
        "node_edac_channel_correctable_errors_total",
        "Memory errors that were corrected, by channel of a row.",
    ),
    Family::counter(
        "node_edac_channel_uncorrectable_errors_total",
        "Memory errors that could not be corrected, by channel of a row.",
    ),
];

struct Edac {
    folder: Folder,
}

/// The samples of each family.
type Found = [Vec<(Labels, u64)>; FAMILIES.len()];

impl Edac {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { folder: Folder::new(context.paths.sysfs.join("devices/system/edac/mc")) }))
    }

    fn read(&self, found: &mut Found) -> Result<(), ReadError> {
        for (name, controller) in self.folder.numbered("mc")? {
            let folder = self.folder.folder(&name);
            let labels = Labels::new([("controller", &controller)]);
            let unknown = row_labels(&controller, "unknown");
            found[CORRECTED].push((labels.clone(), folder.whole("ce_count")?));
            found[ROW + CORRECTED].push((unknown.clone(), folder.whole("ce_noinfo_count")?));
            found[UNCORRECTED].push((labels, folder.whole("ue_count")?));
            found[ROW + UNCORRECTED].push((unknown, folder.whole("ue_noinfo_count")?));
            for (name, row) in folder.numbered("csrow")? {
                read_row(&folder.folder(&name), &controller, &row, found)?;
            }
        }
        Ok(())
    }
}

fn row_labels(controller: &str, row: &str) -> Labels {
    Labels::new([("controller", controller), ("csrow", row)])
}

fn read_row(folder: &Folder, controller: &str, row: &str, found: &mut Found) -> Result<(), ReadError> {
    let labels = row_labels(controller, row);
    found[ROW + CORRECTED].push((labels.clone(), folder.whole("ce_count")?));
    found[ROW + UNCORRECTED].push((labels, folder.whole("ue_count")?));
    for (_, rest) in folder.numbered("ch")? {
        // Every channel has this file; the other one may be missing.
        let Some(channel) = rest.strip_suffix("_ce_count") else { continue };
        let file = |what: &str| format!("ch{channel}_{what}");
        let label = optional(folder.text(&file("dimm_label")))?;
        let labels = Labels::new([
            ("channel", channel.as_bytes()),
            ("controller", controller.as_bytes()),
            ("csrow", row.as_bytes()),
            ("dimm_label", &label.map_or_else(|| b"unknown".to_vec(), |label| readable(&label))),
        ]);
        for (index, what) in [(CORRECTED, "ce_count"), (UNCORRECTED, "ue_count")] {
            if let Some(count) = optional(folder.whole(&file(what)))? {
                found[CHANNEL + index].push((labels.clone(), count));
            }
        }
    }
    Ok(())
}

/// `mc#0csrow#1channel#0` as `mc0_csrow1_channel0`.
fn readable(label: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(label.len() + 2);
    let mut rest = label;
    while let Some((&byte, tail)) = rest.split_first() {
        if rest.starts_with(b"csrow") || rest.starts_with(b"channel") {
            out.push(b'_');
        }
        if byte != b'#' {
            out.push(byte);
        }
        rest = tail;
    }
    out
}

impl Collector for Edac {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut found = Found::default();
        // What was found before a failure is given all the same.
        let result = self.read(&mut found);
        for (family, samples) in FAMILIES.iter().zip(&found) {
            let mut out = page.family(family);
            for (labels, count) in samples {
                out.sample(labels, *count);
            }
        }
        Ok(result?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::sysfs_test::Root;

    const FOLDER: &str = "devices/system/edac/mc/mc1";
    const COUNTS: [(&str, &str); 4] =
        [("ce_count", "1\n"), ("ce_noinfo_count", "2\n"), ("ue_count", "3\n"), ("ue_noinfo_count", "4\n")];

    #[test]
    fn dimms_have_readable_names() {
        assert_eq!(readable(b"mc#0csrow#1channel#0"), b"mc0_csrow1_channel0");
        assert_eq!(readable(b"CPU_SrcID#0_Ha#0\xff"), b"CPU_SrcID0_Ha0\xff");
        assert_eq!(readable(b""), b"");
    }

    #[test]
    fn a_channel_may_lack_a_count_or_a_name() {
        let root = Root::new("edac");
        root.fill(FOLDER, &COUNTS);
        root.fill(
            &format!("{FOLDER}/csrow0"),
            &[("ce_count", "5\n"), ("ue_count", "6\n"), ("ch2_ce_count", "7\n")],
        );
        assert_eq!(
            root.samples(&DESCRIPTOR, &[]).expect("collects"),
            [
                r#"node_edac_correctable_errors_total{controller="1"} 1"#,
                r#"node_edac_uncorrectable_errors_total{controller="1"} 3"#,
                r#"node_edac_csrow_correctable_errors_total{controller="1",csrow="unknown"} 2"#,
                r#"node_edac_csrow_correctable_errors_total{controller="1",csrow="0"} 5"#,
                r#"node_edac_csrow_uncorrectable_errors_total{controller="1",csrow="unknown"} 4"#,
                r#"node_edac_csrow_uncorrectable_errors_total{controller="1",csrow="0"} 6"#,
                r#"node_edac_channel_correctable_errors_total{channel="2",controller="1",csrow="0",dimm_label="unknown"} 7"#,
            ]
        );
    }

    #[test]
    fn nonsense_fails_and_no_controller_does_not() {
        let root = Root::new("edac");
        assert!(root.samples(&DESCRIPTOR, &[]).expect("collects").is_empty());
        root.fill(FOLDER, &COUNTS);
        for bad in ["", "-1", "1 2", "\u{fffd}", "18446744073709551616"] {
            root.fill(FOLDER, &[("ue_noinfo_count", bad)]);
            let failure = root.samples(&DESCRIPTOR, &[]).expect_err(bad).to_string();
            assert!(failure.contains("mc1/ue_noinfo_count: expected a whole number"), "{failure}");
        }
    }
}
