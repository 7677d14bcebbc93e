//! NVMe controllers and their namespaces.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::ReadError,
        folder::{Folder, optional},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "nvme",
    on_by_default: true,
    summary: "NVMe controllers and their namespaces",
    reads: "/sys/class/nvme",
    since: "4.5",
    pace: Pace::MayBlock,
    flags: &[],
    families: &[&INFO, &NAMESPACE_INFO, &SIZE, &CAPACITY, &USED, &BLOCK],
    build: Nvme::build,
};

static INFO: Family =
    Family::gauge("node_nvme_info", "1, with the controller's model, firmware, serial number and state.");
static NAMESPACE_INFO: Family =
    Family::gauge("node_nvme_namespace_info", "1, with the state of this path to the namespace.");
static SIZE: Family = Family::gauge(
    "node_nvme_namespace_size_bytes",
    "Size of the namespace, in bytes where a block has 512, else too much by the block's size over 512.",
);
static CAPACITY: Family = Family::gauge(
    "node_nvme_namespace_capacity_bytes",
    "What the namespace may hold, in bytes, by the same rule as its size.",
);
static USED: Family = Family::gauge("node_nvme_namespace_used_bytes", "What the namespace holds, in bytes.");
static BLOCK: Family = Family::gauge(
    "node_nvme_namespace_logical_block_size_bytes",
    "Size of the namespace's blocks, in bytes.",
);

struct Nvme {
    folder: Folder,
}

struct Namespace {
    labels: Labels,
    info: Labels,
    blocks: u64,
    used_blocks: u64,
    block_size: u64,
}

/// One of a namespace's values.
type Value = fn(&Namespace) -> f64;

impl Nvme {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { folder: Folder::new(context.paths.sysfs.join("class/nvme")) }))
    }
}

/// The number of the namespace in `nvme0n1`, or `nvme0c2n1` where it can be reached by several controllers.
fn number(name: &str, controller: &str) -> Option<u64> {
    let (path, number) = name.strip_prefix(controller)?.split_once('n')?;
    let is_path = path.strip_prefix('c').is_some_and(|digits| text::whole(digits.as_bytes()).is_some());
    (path.is_empty() || is_path).then(|| text::whole(number.as_bytes()))?
}

fn info(folder: &Folder, name: &str) -> Result<Labels, ReadError> {
    Ok(Labels::new([
        ("cntlid", folder.text("cntlid")?),
        ("device", name.into()),
        ("firmware_revision", folder.text("firmware_rev")?),
        ("model", folder.text("model")?),
        ("serial", folder.text("serial")?),
        ("state", folder.text("state")?),
    ]))
}

impl Namespace {
    fn read(folder: &Folder, device: &str, number: u64) -> Result<Self, ReadError> {
        let number = number.to_string();
        let state = optional(folder.text("ana_state"))?.unwrap_or_else(|| b"unknown".to_vec());
        Ok(Self {
            labels: Labels::new([("device", device), ("nsid", &number)]),
            info: Labels::new([
                ("ana_state", state.as_slice()),
                ("device", device.as_bytes()),
                ("nsid", number.as_bytes()),
            ]),
            blocks: folder.whole("size")?,
            used_blocks: folder.whole("nuse")?,
            block_size: folder.folder("queue").whole("logical_block_size")?,
        })
    }

    /// The kernel counts in 512 bytes; what is made of it here is what the reference makes of it.
    fn bytes(&self, blocks: u64) -> f64 {
        blocks as f64 * self.block_size as f64
    }
}

impl Collector for Nvme {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let (mut infos, mut namespaces) = (Vec::new(), Vec::new());
        for name in self.folder.names().map_err(ReadError::or_absent)? {
            let folder = self.folder.folder(&name);
            infos.push(info(&folder, &name).map_err(ReadError::or_absent)?);
            let mut numbers = Vec::new();
            for entry in folder.names()? {
                if let Some(number) = number(&entry, &name).filter(|number| !numbers.contains(number)) {
                    let namespace = Namespace::read(&folder.folder(&entry), &name, number);
                    namespaces.push(namespace.map_err(ReadError::or_absent)?);
                    numbers.push(number);
                }
            }
        }
        let mut samples = page.family(&INFO);
        for labels in &infos {
            samples.sample(labels, 1_u64);
        }
        let mut samples = page.family(&NAMESPACE_INFO);
        for namespace in &namespaces {
            samples.sample(&namespace.info, 1_u64);
        }
        let values: [(&Family, Value); 4] = [
            (&SIZE, |it| it.bytes(it.blocks)),
            (&CAPACITY, |it| it.bytes(it.blocks)),
            (&USED, |it| it.bytes(it.used_blocks)),
            (&BLOCK, |it| it.block_size as f64),
        ];
        for (family, value) in values {
            let mut samples = page.family(family);
            for namespace in &namespaces {
                samples.sample(&namespace.labels, value(namespace));
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
        let root = Root::new("nvme");
        root.fill(
            "class/nvme/nvme1",
            &[
                ("cntlid", "7\n"),
                ("firmware_rev", "F \n"),
                ("model", "M\n"),
                ("serial", "S\n"),
                ("state", "live\n"),
            ],
        );
        let namespace = [("size", "16\n"), ("nuse", "4\n"), ("queue/logical_block_size", "512\n")];
        root.fill("class/nvme/nvme1/nvme1c0n2", &namespace);
        root.fill("class/nvme/nvme1/hwmon3", &[("name", "nvme\n")]);
        root
    }

    #[test]
    fn a_namespace_is_known_by_its_name() {
        for (name, wanted) in [
            ("nvme1n2", Some(2)),
            ("nvme1c0n12", Some(12)),
            ("nvme10n1", None),
            ("nvme1", None),
            ("nvme1n", None),
            ("nvme1cn1", None),
            ("nvme1n2p1", None),
            ("ng1n1", None),
        ] {
            assert_eq!(number(name, "nvme1"), wanted, "{name}");
        }
    }

    #[test]
    fn blocks_become_bytes() {
        assert_eq!(
            root().samples(&DESCRIPTOR, &[]).expect("collects"),
            [
                r#"node_nvme_info{cntlid="7",device="nvme1",firmware_revision="F",model="M",serial="S",state="live"} 1"#,
                r#"node_nvme_namespace_info{ana_state="unknown",device="nvme1",nsid="2"} 1"#,
                r#"node_nvme_namespace_size_bytes{device="nvme1",nsid="2"} 8192"#,
                r#"node_nvme_namespace_capacity_bytes{device="nvme1",nsid="2"} 8192"#,
                r#"node_nvme_namespace_used_bytes{device="nvme1",nsid="2"} 2048"#,
                r#"node_nvme_namespace_logical_block_size_bytes{device="nvme1",nsid="2"} 512"#,
            ]
        );
    }

    #[test]
    fn no_class_is_no_data_and_nonsense_a_failure() {
        let failure = Root::new("no-nvme").samples(&DESCRIPTOR, &[]).expect_err("is missing");
        assert!(matches!(failure, Failure::Absent(_)), "{failure}");
        let root = root();
        for bad in ["", "-1", "x y", "18446744073709551616"] {
            root.write("class/nvme/nvme1/nvme1c0n2/nuse", bad);
            let failure = root.samples(&DESCRIPTOR, &[]).expect_err(bad);
            assert!(
                matches!(failure, Failure::Broken(_)) && failure.to_string().contains("/nuse: "),
                "{failure}"
            );
        }
    }
}
