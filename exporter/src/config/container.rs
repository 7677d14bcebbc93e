//! Settings of `container_*` and `machine_*`.

use std::{path::PathBuf, time::Duration};

use exporter_common::MAX_SLOTS;

use super::{ConfigError, FlagValues, Paths, duration, filter::pattern};
use crate::{
    container::{GROUPS, Groups, On},
    source::runtime::Keep,
};

/// The settings of `container_*`.
#[derive(Debug, Clone)]
pub struct ContainerSettings {
    /// The groups that are on.
    pub groups: Groups,
    /// Those of them that a flag names.
    pub named: Groups,
    /// Whether figures bear the time at which they were read.
    pub timestamps: bool,
    /// How many cgroups the kernel half keeps counters for.
    pub max: u32,
    /// How long the counters of a dead container are shown.
    pub keep_dead: Duration,
    /// How long a container's write layer is not measured again; zero: none is measured.
    pub layer_usage: Duration,
    /// Where CPU time comes from.
    pub cpu_source: CpuSource,
    /// Whose labels ours are like.
    pub labels: LabelStyle,
    /// Which of a container's own labels and variables are shown.
    pub keep: Keep,
    /// Whether plain cgroups are left out, save the root and those in `raw_prefixes`.
    pub docker_only: bool,
    /// What the path of a plain cgroup begins with to be shown; empty for all.
    pub raw_prefixes: Vec<String>,
    /// Whether the root has series.
    pub root_stats: bool,
    /// Docker's socket, under the root file system.
    pub docker_socket: Option<PathBuf>,
    /// containerd's socket, under the root file system.
    pub containerd_socket: Option<PathBuf>,
    /// The one namespace of containerd's that is asked; all without.
    pub containerd_namespace: Option<String>,
    /// Podman's socket, under the root file system.
    pub podman_socket: Option<PathBuf>,
    /// CRI-O's socket, under the root file system.
    pub crio_socket: Option<PathBuf>,
    /// The files that may hold the machine's id, the first of which counts.
    pub machine_id_files: Vec<PathBuf>,
    /// The files that may hold the id of this boot, the first of which counts.
    pub boot_id_files: Vec<PathBuf>,
}

/// Where `container_cpu_usage_seconds_total` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuSource {
    /// eBPF raised to the cgroup's file; the file alone without eBPF.
    Auto,
    /// The cgroup's file.
    Cgroupfs,
    /// eBPF alone: no file is read per cgroup for it.
    Ebpf,
}

/// Whose labels ours are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelStyle {
    /// `id`, `name`, `image`, `container_label_*`, `container_env_*`.
    Cadvisor,
    /// `id`, `name`, `image`, `container`, `pod`, `namespace`.
    Kubelet,
}

impl ContainerSettings {
    /// Checks the flags of containers.
    ///
    /// # Errors
    /// The first flag whose value cannot be used.
    pub(super) fn new(flags: &FlagValues, paths: &Paths) -> Result<Self, ConfigError> {
        let max = flags.text("container.max");
        let (groups, named) = groups(flags)?;
        let socket = |flag| socket(flags, flag, paths);
        Ok(Self {
            groups,
            named,
            timestamps: flags.is_on("container.timestamps"),
            max: max.parse().ok().filter(|max| (16..MAX_SLOTS).contains(max)).ok_or_else(|| {
                let why = format!("expected a number from 16 to {}", MAX_SLOTS - 1);
                ConfigError::flag("container.max", max, why)
            })?,
            keep_dead: duration(flags, "container.keep-dead")?,
            layer_usage: duration(flags, "container.layer-usage")?,
            cpu_source: match flags.text("container.cpu-source") {
                "cgroupfs" => CpuSource::Cgroupfs,
                "ebpf" => CpuSource::Ebpf,
                _ => CpuSource::Auto,
            },
            labels: match flags.text("container.labels") {
                "kubelet" => LabelStyle::Kubelet,
                _ => LabelStyle::Cadvisor,
            },
            keep: keep(flags)?,
            docker_only: flags.is_on("docker_only"),
            raw_prefixes: listed(flags, "raw_cgroup_prefix_whitelist").collect(),
            root_stats: !flags.is_on("disable_root_cgroup_stats"),
            docker_socket: socket("docker")?,
            containerd_socket: socket("containerd")?,
            containerd_namespace: Some(flags.text("containerd-namespace"))
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            podman_socket: socket("podman")?,
            crio_socket: socket("crio")?,
            machine_id_files: files(flags, "machine_id_file").unwrap_or_else(|| {
                ["etc/machine-id", "var/lib/dbus/machine-id"].map(|file| paths.rootfs.join(file)).into()
            }),
            boot_id_files: files(flags, "boot_id_file")
                .unwrap_or_else(|| vec![paths.procfs.join("sys/kernel/random/boot_id")]),
        })
    }
}

/// Words of cAdvisor's that no group here answers to.
const NOT_HERE: &[&str] = &["accelerator", "app", "diskIO", "perf_event", "resctrl"];

/// The groups that are on, and those of them that a flag names. As with cAdvisor, a list of those to leave out stands in place of the default one, and so
/// turns on what is off by default.
fn groups(flags: &FlagValues) -> Result<(Groups, Groups), ConfigError> {
    let off = listed_groups(flags, "disable_metrics")?;
    let on = listed_groups(flags, "enable_metrics")?;
    let chosen = if !on.is_empty() {
        on.with(Groups::which(|group| group.words.is_empty()))
    } else if flags.is_given("disable_metrics") {
        Groups::which(|group| group.on != On::ByName).without(off)
    } else {
        Groups::which(|group| group.on == On::ByDefault)
    };
    // The reference's readings of load need a flag besides the word, which alone gives nothing but zeros there.
    let load = Groups::which(|group| group.words.contains(&"cpuLoad"));
    let is_on = flags.is_on("enable_load_reader") && (on.is_empty() || !on.both(load).is_empty());
    let load = if is_on { load.without(off) } else { Groups::NONE };
    let added = listed_groups(flags, "container.add")?.with(load);
    Ok((chosen.with(added), on.with(added)))
}

/// The groups that a flag lists, in cAdvisor's words.
fn listed_groups(flags: &FlagValues, flag: &str) -> Result<Groups, ConfigError> {
    listed(flags, flag).try_fold(Groups::NONE, |all, word| {
        let called = Groups::which(|group| group.words.contains(&word.as_str()));
        if called.is_empty() && !NOT_HERE.contains(&word.as_str()) {
            let mut known: Vec<_> = { GROUPS.iter() }.flat_map(|group| group.words).chain(NOT_HERE).collect();
            known.sort_unstable();
            known.dedup();
            let known = known.into_iter().copied().collect::<Vec<_>>().join(", ");
            return Err(ConfigError::flag(flag, &word, format!("expected some of {known}")));
        }
        Ok(all.with(called))
    })
}

fn keep(flags: &FlagValues) -> Result<Keep, ConfigError> {
    let variables =
        ["env_metadata_whitelist", "docker_env_metadata_whitelist", "containerd_env_metadata_whitelist"];
    Ok(Keep {
        all: flags.is_on("store_container_labels"),
        allowed: listed(flags, "whitelisted_container_labels").collect(),
        excluded: pattern("container.label-exclude", flags.text("container.label-exclude"))?,
        variables: variables.into_iter().flat_map(|flag| listed(flags, flag)).collect(),
    })
}

/// What a flag lists between commas.
fn listed<'a>(flags: &'a FlagValues, name: &str) -> impl Iterator<Item = String> + use<'a> {
    flags.text(name).split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned)
}

/// The files that a flag lists, where it is given.
fn files(flags: &FlagValues, name: &str) -> Option<Vec<PathBuf>> {
    flags.is_given(name).then(|| listed(flags, name).map(PathBuf::from).collect())
}

/// A runtime's socket, under the root file system; `None` where the flag is empty.
fn socket(flags: &FlagValues, flag: &str, paths: &Paths) -> Result<Option<PathBuf>, ConfigError> {
    let typed = flags.text(flag);
    match typed.strip_prefix("unix://").unwrap_or(typed) {
        "" => Ok(None),
        path if path.starts_with('/') => Ok(Some(paths.rootfs.join(path.trim_start_matches('/')))),
        _ => Err(ConfigError::flag(flag, typed, "expected unix:///PATH")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Asked, Settings, parse};

    fn settings(line: &str) -> Result<ContainerSettings, String> {
        match parse(line.split_whitespace().map(str::to_owned)) {
            Ok(Asked::Run(flags)) => {
                let settings = Settings::new(flags).map_err(|error| error.to_string())?;
                settings.container.ok_or_else(|| "no containers".to_owned())
            }
            Ok(Asked::Print(text)) => Err(text),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn defaults_ask_every_runtime_for_everything() {
        let settings = settings("").expect("defaults");
        assert_eq!(settings.groups, Groups::which(|group| group.on == On::ByDefault));
        assert!(!settings.timestamps);
        assert!(settings.keep.all && settings.root_stats && !settings.docker_only);
        assert_eq!(settings.labels, LabelStyle::Cadvisor);
        assert!(settings.keep.allowed.is_empty() && settings.keep.variables.is_empty());
        assert!(settings.keep.excluded.is_none() && settings.raw_prefixes.is_empty());
        assert_eq!(settings.containerd_namespace, None);
        for (socket, path) in [
            (settings.docker_socket, "/var/run/docker.sock"),
            (settings.containerd_socket, "/run/containerd/containerd.sock"),
            (settings.podman_socket, "/var/run/podman/podman.sock"),
            (settings.crio_socket, "/var/run/crio/crio.sock"),
        ] {
            assert_eq!(socket, Some(PathBuf::from(path)));
        }
    }

    #[test]
    fn flags_become_rules() {
        let settings = settings(
            "-docker_only -raw_cgroup_prefix_whitelist=/a,/b --disable_root_cgroup_stats=true \
             --store_container_labels=false --whitelisted_container_labels=x.y,,z -containerd-namespace moby \
             --env_metadata_whitelist=A --docker_env_metadata_whitelist=B,C --podman= --containerd=unix:///c.sock \
             --container.labels=kubelet --container.label-exclude=^io\\. --path.rootfs=/proc --crio=/x \
             --machine_id_file=/m,/n",
        )
        .expect("parses");
        assert!(settings.docker_only && !settings.root_stats && !settings.keep.all);
        assert_eq!(settings.raw_prefixes, ["/a", "/b"]);
        assert_eq!(settings.keep.allowed, ["x.y", "z"]);
        assert_eq!(settings.keep.variables, ["A", "B", "C"]);
        assert_eq!(settings.labels, LabelStyle::Kubelet);
        assert!(settings.keep.excluded.is_some_and(|pattern| pattern.is_match("io.x")));
        assert_eq!(settings.containerd_namespace.as_deref(), Some("moby"));
        assert_eq!(settings.podman_socket, None);
        assert_eq!(settings.containerd_socket, Some(PathBuf::from("/proc/c.sock")));
        assert_eq!(settings.crio_socket, Some(PathBuf::from("/proc/x")));
        assert_eq!(settings.machine_id_files, [PathBuf::from("/m"), PathBuf::from("/n")]);
        assert_eq!(settings.boot_id_files, [PathBuf::from("/proc/sys/kernel/random/boot_id")]);
    }

    #[test]
    fn groups_go_by_cadvisor_s_words() {
        let groups = |line: &str| settings(line).expect(line).groups;
        let of = |words: &[&str]| Groups::which(|group| group.words.iter().any(|word| words.contains(word)));
        let defaults = Groups::which(|group| group.on == On::ByDefault);
        assert_eq!(
            groups("--disable_metrics=app,network,tcp").both(defaults),
            defaults.without(of(&["network"]))
        );
        let all_but_named = Groups::which(|group| group.on != On::ByName);
        assert_eq!(groups("--disable_metrics="), all_but_named);
        assert_eq!(
            groups("--disable_metrics=cpu --disable_metrics=network"),
            all_but_named.without(of(&["network"]))
        );
        let only = groups("--enable_metrics=cpu,app --disable_metrics=cpu");
        assert_eq!(only, of(&["cpu"]).with(Groups::which(|group| group.words.is_empty())));
        assert_eq!(groups("--enable_metrics="), defaults);
        let load = of(&["cpuLoad"]);
        for line in ["", "--disable_metrics=disk", "--enable_metrics=cpuLoad"] {
            assert!(groups(&format!("--enable_load_reader {line}")).both(load) == load, "{line}");
        }
        for line in [
            "",
            "--enable_load_reader --disable_metrics=cpuLoad",
            "--enable_load_reader --enable_metrics=cpu",
        ] {
            assert!(groups(line).both(load).is_empty(), "{line}");
        }
        assert_eq!(groups("--disable_metrics=pressure --container.add=pressure"), all_but_named);
        for line in
            ["--disable_metrics=cpus", "--enable_metrics=CPU", "--disable_metrics=tcp,x", "--container.add=y"]
        {
            let error = settings(line).expect_err(line);
            assert!(error.contains("expected some of accelerator, advtcp, app, cpu, "), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (line, word) in [
            ("--docker=tcp://127.0.0.1:2375", "--docker"),
            ("--containerd=containerd.sock", "--containerd"),
            ("--container.label-exclude=(", "--container.label-exclude"),
            ("--container.labels=docker", "docker"),
            ("--container.max=1", "--container.max"),
        ] {
            let error = settings(line).expect_err(line);
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
