//! Graphics cards of AMD: how busy they are, and their memory.

use rustix::io::Errno;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{file::ReadError, folder::Folder},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "drm",
    on_by_default: false,
    summary: "AMD graphics cards: how busy they are, and their memory",
    reads: "/sys/class/drm/card*/device",
    since: "4.19",
    pace: Pace::MayBlock,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Drm::build,
};

const FILES: [&str; 7] = [
    "gpu_busy_percent",
    "mem_info_gtt_total",
    "mem_info_gtt_used",
    "mem_info_vis_vram_total",
    "mem_info_vis_vram_used",
    "mem_info_vram_total",
    "mem_info_vram_used",
];

/// In the order of [`FILES`].
static FAMILIES: [Family; FILES.len()] = [
    Family::gauge("node_drm_gpu_busy_percent", "How busy the card is, in percent."),
    Family::gauge("node_drm_memory_gtt_size_bytes", "The node's memory that the card may use, in bytes."),
    Family::gauge("node_drm_memory_gtt_used_bytes", "The node's memory that the card uses, in bytes."),
    Family::gauge(
        "node_drm_memory_vis_vram_size_bytes",
        "The card's memory that the CPU can reach, in bytes.",
    ),
    Family::gauge("node_drm_memory_vis_vram_used_bytes", "Used part of what the CPU can reach, in bytes."),
    Family::gauge("node_drm_memory_vram_size_bytes", "The card's own memory, in bytes."),
    Family::gauge("node_drm_memory_vram_used_bytes", "Used part of the card's own memory, in bytes."),
];
static INFO: Family =
    Family::gauge("node_drm_card_info", "1, with the card's memory, power level and identity.");

static EVERY_FAMILY: [&Family; FILES.len() + 1] = Family::all(&[&INFO], &[&FAMILIES]);

struct Drm {
    folder: Folder,
}

struct Card {
    labels: Labels,
    info: Labels,
    values: [u64; FILES.len()],
}

impl Drm {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { folder: Folder::new(context.paths.sysfs.join("class/drm")) }))
    }
}

impl Card {
    /// `None` for a card of another driver.
    fn read(folder: &Folder, name: &str) -> Result<Option<Self>, ReadError> {
        let device = folder.folder("device");
        let driver = b"DRIVER=amdgpu";
        if !device.text("uevent")?.windows(driver.len()).any(|part| part == driver) {
            return Ok(None);
        }
        // Not every card has every file; what cannot be read counts as 0 or empty.
        let mut values = [0; FILES.len()];
        for (place, file) in values.iter_mut().zip(FILES) {
            *place = match device.prefixed(file) {
                Err(error) if error.operation == "parse" => return Err(error),
                other => other.unwrap_or_default(),
            };
        }
        let text = |file| device.text(file).unwrap_or_default();
        let chip = super::hwmon::place(folder);
        let mut info = Labels::new([("card", name.as_bytes())]);
        if let Some(chip) = &chip {
            info.push("chip", chip.as_bytes());
        }
        info.push("memory_vendor", &text("mem_info_vram_vendor"));
        info.push("power_performance_level", &text("power_dpm_force_performance_level"));
        info.push("unique_id", &text("unique_id"));
        info.push("vendor", b"amd");
        Ok(Some(Self { labels: Labels::new([("card", name)]), info, values }))
    }
}

impl Collector for Drm {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let mut cards = Vec::new();
        for (name, number) in self.folder.numbered("card")? {
            // The rest are connectors, `card0-HDMI-A-1`. More than ten cards the reference does not see.
            if number.len() > 1 {
                continue;
            }
            match Card::read(&self.folder.folder(&name), &name) {
                Err(error) if Errno::from_io_error(&error.error) == Some(Errno::NODATA) => {}
                card => cards.extend(card?),
            }
        }
        let mut samples = page.family(&INFO);
        for card in &cards {
            samples.sample(&card.info, 1_u64);
        }
        for (index, family) in FAMILIES.iter().enumerate() {
            let mut samples = page.family(family);
            for card in &cards {
                if let Some(value) = card.values.get(index) {
                    samples.sample(&card.labels, *value);
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
    fn only_cards_of_this_driver_are_given() {
        let root = Root::new("drm");
        root.fill(
            "class/drm/card0/device",
            &[
                ("uevent", "DRIVER=amdgpu\nPCI_CLASS=30000\n"),
                ("gpu_busy_percent", "4\n"),
                ("mem_info_vram_total", "8573157376\n"),
                ("mem_info_vram_vendor", "samsung\n"),
                ("power_dpm_force_performance_level", "manual\n"),
            ],
        );
        root.fill("class/drm/card1/device", &[("uevent", "DRIVER=i915\n")]);
        root.fill("class/drm/card0-DP-1", &[("status", "connected\n")]);
        let samples = root.samples(&DESCRIPTOR, &[]).expect("collects");
        assert_eq!(samples.len(), 1 + FILES.len());
        let info = &samples[0];
        assert!(info.starts_with(r#"node_drm_card_info{card="card0",chip=""#), "{info}");
        let end = r#"memory_vendor="samsung",power_performance_level="manual",unique_id="",vendor="amd"} 1"#;
        assert!(info.ends_with(end), "{info}");
        assert_eq!(samples[1], r#"node_drm_gpu_busy_percent{card="card0"} 4"#);
        assert_eq!(samples[2], r#"node_drm_memory_gtt_size_bytes{card="card0"} 0"#);
        assert_eq!(samples[6], r#"node_drm_memory_vram_size_bytes{card="card0"} 8.573157376e+09"#);
    }

    #[test]
    fn no_card_is_no_failure_and_nonsense_is_one() {
        let root = Root::new("drm");
        assert!(root.samples(&DESCRIPTOR, &[]).expect("collects").is_empty());
        root.write("class/drm/card3/device/uevent", "DRIVER=amdgpu");
        for bad in ["", "-1", "x", "18446744073709551616"] {
            root.write("class/drm/card3/device/mem_info_gtt_used", bad);
            let failure = root.samples(&DESCRIPTOR, &[]).expect_err(bad).to_string();
            assert!(failure.contains("mem_info_gtt_used: expected"), "{failure}");
        }
    }
}
