//! NVMe subsystems, as of a storage array, and the controllers that lead to each.

use rustix::io::Errno;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{file::ReadError, folder::Folder, text},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "nvmesubsystem",
    on_by_default: false,
    summary: "NVMe subsystems and the state of the paths to each",
    reads: "/sys/class/nvme-subsystem",
    since: "4.15",
    pace: Pace::Quick,
    flags: &[],
    families: &[&INFO, &NAMESPACE_INFO, &PATHS, &PATHS_LIVE, &PATH_STATE],
    build: NvmeSubsystem::build,
};

static INFO: Family =
    Family::gauge("node_nvmesubsystem_info", "1, with the subsystem's names and how it chooses among paths.");
static NAMESPACE_INFO: Family =
    Family::gauge("node_nvmesubsystem_namespace_info", "1, with a block device of the subsystem.");
static PATHS: Family = Family::gauge("node_nvmesubsystem_paths", "Controllers that lead to the subsystem.");
static PATHS_LIVE: Family =
    Family::gauge("node_nvmesubsystem_paths_live", "Controllers that lead to the subsystem and are live.");
static PATH_STATE: Family =
    Family::gauge("node_nvmesubsystem_path_state", "1 for the state that the controller is in, else 0.");

const STATES: [&str; 7] = ["connecting", "dead", "deleting", "live", "new", "resetting", "unknown"];

struct NvmeSubsystem {
    folder: Folder,
}

struct Subsystem {
    name: String,
    info: Labels,
    namespaces: Vec<String>,
    controllers: Vec<Controller>,
}

struct Controller {
    name: String,
    state: &'static str,
    transport: Vec<u8>,
}

impl NvmeSubsystem {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self { folder: Folder::new(context.paths.sysfs.join("class/nvme-subsystem")) }))
    }

    fn read(&self) -> Result<Vec<Subsystem>, ReadError> {
        let names = self.folder.names()?.into_iter().filter(|name| name.starts_with("nvme-subsys"));
        names.map(|name| Subsystem::read(&self.folder.folder(&name), name)).collect()
    }
}

/// One of [`STATES`].
fn state(text: &[u8]) -> &'static str {
    let text = if text == b"deleting (no IO)" { b"deleting" } else { text };
    STATES.into_iter().find(|state| state.as_bytes() == text).unwrap_or("unknown")
}

fn is_number(text: &str) -> bool {
    text::whole(text.as_bytes()).is_some()
}

impl Subsystem {
    fn read(folder: &Folder, name: String) -> Result<Self, ReadError> {
        let info = Labels::new([
            ("iopolicy", folder.text("iopolicy")?),
            ("model", folder.text("model")?),
            ("nqn", folder.text("subsysnqn")?),
            ("serial", folder.text("serial")?),
            ("subsystem", name.clone().into()),
        ]);
        let (mut namespaces, mut controllers) = (Vec::new(), Vec::new());
        for entry in folder.names()? {
            let Some(number) = entry.strip_prefix("nvme") else { continue };
            if is_number(number) {
                let controller = folder.folder(&entry);
                controllers.push(Controller {
                    state: state(&controller.text("state")?),
                    transport: controller.text("transport")?,
                    name: entry,
                });
            } else if number.split_once('n').is_some_and(|(one, two)| is_number(one) && is_number(two)) {
                namespaces.push(entry);
            }
        }
        Ok(Self { name, info, namespaces, controllers })
    }
}

impl Collector for NvmeSubsystem {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let subsystems = self.read().map_err(|error| match Errno::from_io_error(&error.error) {
            Some(Errno::ACCESS | Errno::PERM) => Failure::absent(error.to_string()),
            _ => error.or_absent(),
        })?;
        let mut samples = page.family(&INFO);
        for subsystem in &subsystems {
            samples.sample(&subsystem.info, 1_u64);
        }
        let mut samples = page.family(&NAMESPACE_INFO);
        for subsystem in &subsystems {
            for device in &subsystem.namespaces {
                samples.sample(&Labels::new([("device", device), ("subsystem", &subsystem.name)]), 1_u64);
            }
        }
        for (family, only_live) in [(&PATHS, false), (&PATHS_LIVE, true)] {
            let mut samples = page.family(family);
            for subsystem in &subsystems {
                let counted = |controller: &&Controller| !only_live || controller.state == "live";
                let count = subsystem.controllers.iter().filter(counted).count();
                samples.sample(&Labels::new([("subsystem", &subsystem.name)]), count as f64);
            }
        }
        let mut samples = page.family(&PATH_STATE);
        for subsystem in &subsystems {
            for controller in &subsystem.controllers {
                for state in STATES {
                    let labels = Labels::new([
                        ("controller", controller.name.as_bytes()),
                        ("state", state.as_bytes()),
                        ("subsystem", subsystem.name.as_bytes()),
                        ("transport", &controller.transport),
                    ]);
                    samples.sample(&labels, state == controller.state);
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
    fn paths_are_counted_and_each_has_one_state() {
        let root = Root::new("subsystem");
        let folder = "class/nvme-subsystem/nvme-subsys2";
        root.fill(
            folder,
            &[("iopolicy", "numa\n"), ("model", "M\n"), ("subsysnqn", "nqn\n"), ("serial", "S \n")],
        );
        root.fill(
            folder,
            &[("nvme0/state", "live\n"), ("nvme0/transport", "tcp\n"), ("nvme0n1/size", "1\n")],
        );
        root.fill(folder, &[("nvme1/state", "deleting (no IO)\n"), ("nvme1/transport", "tcp\n")]);
        let samples = root.samples(&DESCRIPTOR, &[]).expect("collects");
        assert_eq!(
            samples[..4],
            [
                r#"node_nvmesubsystem_info{iopolicy="numa",model="M",nqn="nqn",serial="S",subsystem="nvme-subsys2"} 1"#,
                r#"node_nvmesubsystem_namespace_info{device="nvme0n1",subsystem="nvme-subsys2"} 1"#,
                r#"node_nvmesubsystem_paths{subsystem="nvme-subsys2"} 2"#,
                r#"node_nvmesubsystem_paths_live{subsystem="nvme-subsys2"} 1"#,
            ]
        );
        let now: Vec<_> = samples[4..].iter().filter(|sample| sample.ends_with(" 1")).collect();
        assert_eq!((samples.len(), now.len()), (4 + 2 * STATES.len(), 2));
        assert!(now[0].contains(r#"controller="nvme0",state="live""#), "{now:?}");
        assert!(now[1].contains(r#"controller="nvme1",state="deleting""#), "{now:?}");
    }

    #[test]
    fn no_class_or_half_a_subsystem_is_no_data() {
        let root = Root::new("subsystem");
        let failure = root.samples(&DESCRIPTOR, &[]).expect_err("is missing");
        assert!(matches!(failure, Failure::Absent(_)), "{failure}");
        root.write("class/nvme-subsystem/nvme-subsys0/model", "M\n");
        let failure = root.samples(&DESCRIPTOR, &[]).expect_err("is half there");
        assert!(matches!(failure, Failure::Absent(_)), "{failure}");
        assert_eq!(state(b"\xff"), "unknown");
    }
}
