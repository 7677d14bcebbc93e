//! Known flaws of the CPU, and what the kernel does about them.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    node::kept::Kept,
    source::folder::{Folder, optional},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "cpu_vulnerabilities",
    on_by_default: false,
    summary: "known flaws of the CPU and how they are mitigated",
    reads: "/sys/devices/system/cpu/vulnerabilities",
    since: "4.15",
    pace: Pace::Quick,
    flags: &[],
    families: &[&INFO],
    build: CpuVulnerabilities::build,
};

static INFO: Family = Family::gauge(
    "node_cpu_vulnerabilities_info",
    "1, with a known flaw, whether it concerns this CPU, and what is done about it.",
);

struct CpuVulnerabilities {
    folder: Folder,
    flaws: Kept<Flaw>,
}

#[derive(Default)]
struct Flaw {
    /// What the labels were made of.
    text: Vec<u8>,
    labels: Labels,
}

impl CpuVulnerabilities {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let folder = Folder::new(context.paths.sysfs.join("devices/system/cpu/vulnerabilities"));
        Ok(Box::new(Self { folder, flaws: Kept::default() }))
    }
}

impl Collector for CpuVulnerabilities {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        self.flaws.begin();
        // A kernel without the folder has no flaw to tell of.
        for name in optional(self.folder.names())?.unwrap_or_default() {
            let text = self.folder.text(&name)?;
            let Some(flaw) = self.flaws.meet(name.as_bytes(), Flaw::default) else { continue };
            if flaw.labels.is_empty() || flaw.text != text {
                flaw.labels = labels(&name, &text);
                flaw.text = text;
            }
        }
        self.flaws.end();
        let mut samples = page.family(&INFO);
        for flaw in self.flaws.items() {
            samples.sample(&flaw.labels, 1_u64);
        }
        Ok(())
    }
}

/// The flaw's name, the state that the text begins with, and what stands behind that word. A text of another kind is
/// of no known state and is given whole.
fn labels(name: &str, text: &[u8]) -> Labels {
    let known: [&[u8]; 4] = [b"not affected", b"vulnerable", b"mitigation", b"unknown"];
    let begins =
        |state: &&[u8]| text.get(..state.len()).is_some_and(|start| start.eq_ignore_ascii_case(state));
    let (state, mitigation) = match known.into_iter().find(begins) {
        Some(b"not affected") => (&b"not affected"[..], &b""[..]),
        Some(state) => {
            let word = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
            (state, text.get(word..).unwrap_or_default().trim_ascii_start())
        }
        None => (&b"unknown"[..], text),
    };
    Labels::new([("codename", name.as_bytes()), ("mitigation", mitigation), ("state", state)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_begins_with_the_state() {
        for (text, mitigation, state) in [
            (&b"Not affected"[..], "", "not affected"),
            (b"Vulnerable", "", "vulnerable"),
            (b"Vulnerable: No microcode", "No microcode", "vulnerable"),
            (b"Vulnerable, IBPB: off", "IBPB: off", "vulnerable"),
            (b"Mitigation: x; SMT vulnerable", "x; SMT vulnerable", "mitigation"),
            (b"Mitigation: \xff", "\u{fffd}", "mitigation"),
            (b"Unknown: Dependent on hypervisor status", "Dependent on hypervisor status", "unknown"),
            (b"KVM: Mitigation: VMX unsupported", "KVM: Mitigation: VMX unsupported", "unknown"),
            (b"", "", "unknown"),
        ] {
            let wanted = format!("codename=\"mds\",mitigation=\"{mitigation}\",state=\"{state}\"");
            assert_eq!(labels("mds", text).text(), wanted.as_bytes(), "{text:?}");
        }
    }
}
