//! The machine: its processors, its memory, and what runs on it.

use std::path::PathBuf;

use super::group::{GroupDescriptor, On, Origin};
use crate::{
    config::{ContainerSettings, Paths},
    metric::{Family, Labels, Page},
    source::{
        cgroup::spec::MachineMemory,
        file::{KeptFile, Serves, word},
        os_release, text,
        topology::{self, Modules, Topology},
    },
};

/// This group.
pub static GROUP: GroupDescriptor = GroupDescriptor {
    name: "machine",
    words: &[],
    on: On::ByDefault,
    summary: "processors and memory of the machine, versions of kernel and system",
    reads: "/proc/meminfo, /sys/devices/system/{cpu,edac}, /etc/os-release, uname(2)",
    families: &[
        Origin::same(&VERSION, "uname(2), os-release"),
        Origin::same(&CORES, "sysfs: cpu/online"),
        Origin::same(&PHYSICAL_CORES, "sysfs: cpu*/topology"),
        Origin::same(&SOCKETS, "sysfs: cpu*/topology"),
        Origin::same(&BOOKS, "sysfs: cpu*/topology"),
        Origin::same(&DRAWERS, "sysfs: cpu*/topology"),
        Origin::same(&MEMORY, "/proc/meminfo: MemTotal"),
        Origin::same(&SWAP, "/proc/meminfo: SwapTotal"),
        Origin::same(&MODULES, "sysfs: edac/mc"),
        Origin::same(&MODULES_BYTES, "sysfs: edac/mc"),
        Origin::same(&NVM, "0"),
        Origin::same(&NVM_POWER, "0"),
        Origin::same(&SCRAPE_ERROR, "-"),
    ],
};

static VERSION: Family = Family::gauge(
    "cadvisor_version_info",
    "1, with the versions of kernel, system and nodetally, which stands in for cAdvisor.",
);
static CORES: Family = Family::gauge("machine_cpu_cores", "Processors that are online.");
static PHYSICAL_CORES: Family =
    Family::gauge("machine_cpu_physical_cores", "Physical cores that have a processor online.");
static SOCKETS: Family = Family::gauge("machine_cpu_sockets", "Sockets that have a processor online.");
static BOOKS: Family =
    Family::gauge("machine_cpu_books", "Books that have a processor online; 0 but on s390.");
static DRAWERS: Family =
    Family::gauge("machine_cpu_drawers", "Drawers that have a processor online; 0 but on s390.");
static MEMORY: Family = Family::gauge("machine_memory_bytes", "Memory of the machine, in bytes.");
static SWAP: Family = Family::gauge("machine_swap_bytes", "Swap of the machine, in bytes.");
static MODULES: Family =
    Family::gauge("machine_dimm_count", "Memory modules by type, where the kernel watches their errors.");
static MODULES_BYTES: Family =
    Family::gauge("machine_dimm_capacity_bytes", "What the memory modules of a type hold, in bytes.");
static NVM: Family = Family::gauge(
    "machine_nvm_capacity",
    "Bytes of non-volatile memory by mode; 0, for it is not asked for.",
);
static NVM_POWER: Family = Family::gauge(
    "machine_nvm_avg_power_budget_watts",
    "Watts that non-volatile memory may use on average; 0, for it is not asked for.",
);
static SCRAPE_ERROR: Family =
    Family::gauge("machine_scrape_error", "1 if the machine could not be looked at in this scrape, else 0.");

const KIBIBYTE: u64 = 1_024;

/// What is known of the machine.
#[derive(Debug)]
pub struct Machine {
    labels: Labels,
    version: Labels,
    modules: Vec<(Labels, Modules)>,
    nvm: [Labels; 2],
    sysfs: PathBuf,
    online: KeptFile,
    cpus: Cpus,
    meminfo: KeptFile,
    stat: PathBuf,
}

/// The processors that were online when it was looked at last.
#[derive(Debug, Default)]
struct Cpus {
    list: Vec<u8>,
    count: Option<u64>,
    topology: Option<Topology>,
}

impl Machine {
    /// Looks up what names the machine and what does not change while it runs.
    pub fn new(paths: &Paths, settings: &ContainerSettings) -> Self {
        let labels = labels(paths, settings);
        let with = |name, value: &[u8]| {
            let mut labels = labels.clone();
            labels.push(name, value);
            labels
        };
        let modules = topology::modules(&paths.sysfs);
        Self {
            version: versions(paths),
            modules: modules.into_iter().map(|modules| (with("type", &modules.kind), modules)).collect(),
            nvm: ["app_direct_mode", "memory_mode"].map(|mode| with("mode", mode.as_bytes())),
            labels,
            sysfs: paths.sysfs.clone(),
            online: KeptFile::new(paths.sysfs.join("devices/system/cpu/online"), Serves::Whole),
            cpus: Cpus::default(),
            meminfo: KeptFile::new(paths.procfs.join("meminfo"), Serves::Whole),
            stat: paths.procfs.join("stat"),
        }
    }

    /// The labels of all that is of the machine.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// When the machine was started, in seconds since 1970, rounded down to the minute.
    pub fn boot_time(&self) -> i64 {
        let stat = std::fs::read(&self.stat).unwrap_or_default();
        let time = text::keyed(&stat, b"btime").and_then(|time| i64::try_from(time).ok()).unwrap_or(0);
        time - time % 60
    }

    /// Memory now, and how much swap is in use.
    pub fn memory(&mut self) -> Option<(MachineMemory, u64)> {
        let file = self.meminfo.read().ok()?;
        let figure = |key| meminfo(file, key);
        let (total, swap) = (figure(b"MemTotal:")?, figure(b"SwapTotal:").unwrap_or(0));
        Some((MachineMemory { total, swap }, swap.saturating_sub(figure(b"SwapFree:").unwrap_or(0))))
    }

    /// Writes the group.
    pub fn write(&mut self, page: &mut Page, memory: Option<MachineMemory>) {
        self.look_at_cpus();
        page.family(&VERSION).sample(&self.version, 1_u64);
        let Cpus { count, topology, .. } = &self.cpus;
        if let Some(count) = count {
            page.family(&CORES).sample(&self.labels, *count);
        }
        if let Some(topology) = topology {
            page.family(&PHYSICAL_CORES).sample(&self.labels, topology.cores);
            page.family(&SOCKETS).sample(&self.labels, topology.sockets);
            page.family(&BOOKS).sample(&self.labels, topology.books);
            page.family(&DRAWERS).sample(&self.labels, topology.drawers);
        }
        if let Some(memory) = memory {
            page.family(&MEMORY).sample(&self.labels, memory.total);
            page.family(&SWAP).sample(&self.labels, memory.swap);
        }
        self.write_modules(page);
        let is_seen = count.is_some() && memory.is_some();
        page.family(&SCRAPE_ERROR).plain(u64::from(!is_seen));
    }

    fn write_modules(&self, page: &mut Page) {
        let mut samples = page.family(&MODULES);
        for (labels, modules) in &self.modules {
            samples.sample(labels, modules.count);
        }
        let mut samples = page.family(&MODULES_BYTES);
        for (labels, modules) in &self.modules {
            samples.sample(labels, modules.bytes);
        }
        let mut samples = page.family(&NVM);
        for labels in &self.nvm {
            samples.sample(labels, 0_u64);
        }
        page.family(&NVM_POWER).sample(&self.labels, 0_u64);
    }

    /// What a processor belongs to is read again only when others are online.
    fn look_at_cpus(&mut self) {
        let Ok(list) = self.online.read() else {
            self.cpus = Cpus::default();
            return;
        };
        if self.cpus.list != list {
            let online = topology::online(list);
            self.cpus = Cpus {
                list: list.to_vec(),
                count: online.as_ref().map(|cpus| cpus.len() as u64),
                topology: online.and_then(|cpus| Topology::read(&self.sysfs, &cpus)),
            };
        }
    }
}

fn meminfo(file: &[u8], key: &[u8]) -> Option<u64> {
    let rest = text::lines(file).find_map(|line| line.strip_prefix(key))?;
    text::whole(text::fields(rest).next()?)?.checked_mul(KIBIBYTE)
}

fn labels(paths: &Paths, settings: &ContainerSettings) -> Labels {
    let first = |files: &[PathBuf]| files.iter().find_map(|file| word(file)).unwrap_or_default();
    let uuid = [
        paths.sysfs.join("class/dmi/id/product_uuid"),
        paths.procfs.join("device-tree/system-id"),
        paths.procfs.join("device-tree/vm,uuid"),
        paths.rootfs.join("etc/machine-id"),
    ];
    let mut labels = Labels::default();
    for (name, value) in [
        ("boot_id", first(&settings.boot_id_files)),
        ("machine_id", first(&settings.machine_id_files)),
        ("system_uuid", first(&uuid)),
    ] {
        if !value.is_empty() {
            labels.push(name, &value);
        }
    }
    labels
}

/// What runs. The revision tells who stands in for cAdvisor; of Docker's version there is none, as in its later releases.
fn versions(paths: &Paths) -> Labels {
    let mut labels =
        Labels::new([("cadvisorRevision", "nodetally"), ("cadvisorVersion", env!("CARGO_PKG_VERSION"))]);
    labels.push("kernelVersion", rustix::system::uname().release().to_bytes());
    if let Some(name) = os_release::pretty_name(&paths.rootfs) {
        labels.push("osVersion", &name);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Asked, Settings, parse},
        node::sysfs_test::Root,
    };

    fn machine(root: &Root) -> Machine {
        let folder = |flag: &str, name: &str| format!("--path.{flag}={}", root.path().join(name).display());
        let flags = [folder("procfs", "proc"), folder("sysfs", "sys"), folder("rootfs", "")];
        let Ok(Asked::Run(flags)) = parse(flags) else { panic!("flags") };
        let settings = Settings::new(flags).expect("settings");
        Machine::new(&settings.paths, settings.container.as_ref().expect("containers"))
    }

    fn written(machine: &mut Machine) -> String {
        let mut page = Page::default();
        let memory = machine.memory().map(|(memory, _)| memory);
        machine.write(&mut page, memory);
        let text = String::from_utf8_lossy(page.text()).into_owned();
        text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect()
    }

    #[test]
    fn what_changes_is_seen_and_what_cannot_is_kept() {
        let root = Root::new("machine");
        for (file, content) in [
            ("proc/meminfo", "MemTotal: 4 kB\nSwapTotal: 2 kB\nSwapFree: 1 kB\n"),
            ("proc/sys/kernel/random/boot_id", "b\n"),
            ("proc/device-tree/system-id", "u\0"),
            ("etc/os-release", "PRETTY_NAME='Some 1'\n"),
            ("etc/machine-id", "m\n"),
            ("sys/devices/system/cpu/online", "0\n"),
            ("sys/devices/system/cpu/cpu0/topology/core_id", "0\n"),
            ("sys/devices/system/cpu/cpu0/topology/physical_package_id", "0\n"),
            ("sys/devices/system/cpu/cpu1/topology/core_id", "0\n"),
            ("sys/devices/system/cpu/cpu1/topology/physical_package_id", "1\n"),
            ("sys/devices/system/edac/mc/mc0/dimm0/dimm_mem_type", "DDR9\n"),
            ("sys/devices/system/edac/mc/mc0/dimm0/size", "1\n"),
        ] {
            root.write(file, content);
        }
        let mut machine = machine(&root);
        let text = written(&mut machine);
        assert!(text.contains(r#"osVersion="Some 1"} 1"#), "{text}");
        let ids = r#"boot_id="b",machine_id="m",system_uuid="u""#;
        for (row, value) in [
            (format!("machine_cpu_cores{{{ids}}}"), "1"),
            (format!("machine_cpu_physical_cores{{{ids}}}"), "1"),
            (format!("machine_cpu_sockets{{{ids}}}"), "1"),
            (format!("machine_cpu_books{{{ids}}}"), "0"),
            (format!("machine_cpu_drawers{{{ids}}}"), "0"),
            (format!("machine_memory_bytes{{{ids}}}"), "4096"),
            (format!("machine_swap_bytes{{{ids}}}"), "2048"),
            (format!("machine_dimm_count{{{ids},type=\"DDR9\"}}"), "1"),
            (format!("machine_dimm_capacity_bytes{{{ids},type=\"DDR9\"}}"), "1.048576e+06"),
            (format!("machine_nvm_capacity{{{ids},mode=\"app_direct_mode\"}}"), "0"),
            (format!("machine_nvm_capacity{{{ids},mode=\"memory_mode\"}}"), "0"),
            (format!("machine_nvm_avg_power_budget_watts{{{ids}}}"), "0"),
            ("machine_scrape_error".to_owned(), "0"),
        ] {
            assert!(text.contains(&format!("{row} {value}\n")), "{row} {value} is not in\n{text}");
        }
        root.write("sys/devices/system/cpu/online", "0-1\n");
        let text = written(&mut machine);
        for name in ["cpu_cores", "cpu_physical_cores", "cpu_sockets"] {
            assert!(text.contains(&format!("machine_{name}{{{ids}}} 2\n")), "{text}");
        }
    }

    #[test]
    fn a_machine_out_of_sight_is_said() {
        let root = Root::new("no-machine");
        root.write("proc/x", "");
        root.write("sys/x", "");
        let text = written(&mut machine(&root));
        assert!(text.contains("machine_scrape_error 1\n") && !text.contains("machine_cpu_"), "{text}");
        assert!(!text.contains("machine_memory_bytes") && !text.contains("osVersion"), "{text}");
    }

    #[test]
    fn memory_is_told_in_kibibytes() {
        let file = b"MemTotal:        1000 kB\nMemFree: 1 kB\nSwapTotal:   20 kB\n";
        assert_eq!(meminfo(file, b"MemTotal:"), Some(1_024_000));
        assert_eq!(meminfo(file, b"SwapTotal:"), Some(20_480));
        assert_eq!(meminfo(file, b"SwapFree:"), None);
    }
}
