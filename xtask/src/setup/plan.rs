//! The decision: pure, from needs and facts to steps. Tested as a table below.

use std::collections::BTreeSet;

use ::tests::guest::Release;

/// The commit of the compiler that builds the kernel half (`rustc -vV`), and rustup's name for that day's nightly.
pub const NIGHTLY_COMMIT: &str = "e50aa6fba";
/// See [`NIGHTLY_COMMIT`]; a nightly carries the commits of the day before.
pub const NIGHTLY_NAME: &str = "nightly-2026-05-20";
/// The linker of the kernel half.
pub const BPF_LINKER: &str = "0.10.0";

/// One thing a command may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A program of the system.
    Tool(Tool),
    /// A part of the stable toolchain.
    Component(Component),
    /// The pinned compiler of the kernel half.
    Nightly,
    /// The source of that compiler's standard library.
    RustSrc,
    /// The linker of the kernel half.
    BpfLinker,
    /// `prometheus` and `promtool`.
    Prometheus,
    /// The stock node exporter.
    NodeExporter,
    /// The stock container exporter.
    Cadvisor,
    /// A kernel to boot in a virtual machine.
    Kernel(&'static Release),
}

/// Programs of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// `dockerd`, `docker`, containerd, runc.
    Docker,
    /// `podman` and conmon; it runs containers by Docker's runc.
    Podman,
    /// Packet filter rules, which dockerd needs.
    Iptables,
    /// `ip`.
    Ip,
    /// Makes the base image's root folder.
    Debootstrap,
    /// A static busybox: the smallest container image.
    Busybox,
    /// Counts system calls.
    Strace,
    /// Process 1 of a test's own namespaces.
    Systemd,
    /// The bus that systemd is asked over.
    Dbus,
    /// Runs another kernel.
    Qemu,
    /// Makes that kernel's disk.
    Mke2fs,
}

impl Tool {
    /// The program looked for and the Debian package that brings it.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Docker => ("dockerd", "docker.io"),
            Self::Podman => ("podman", "podman"),
            Self::Iptables => ("iptables", "iptables"),
            Self::Ip => ("ip", "iproute2"),
            Self::Debootstrap => ("debootstrap", "debootstrap"),
            Self::Busybox => ("busybox", "busybox-static"),
            Self::Strace => ("strace", "strace"),
            Self::Systemd => ("systemd", "systemd"),
            Self::Dbus => ("dbus-daemon", "dbus"),
            Self::Qemu => ("qemu-system-x86_64", "qemu-system-x86"),
            Self::Mke2fs => ("mke2fs", "e2fsprogs"),
        }
    }
}

/// Parts of the stable toolchain that a minimal rustup profile lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// `cargo fmt`.
    Rustfmt,
    /// `cargo clippy`.
    Clippy,
}

impl Component {
    /// The program looked for and rustup's name of the component.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Rustfmt => ("rustfmt", "rustfmt"),
            Self::Clippy => ("cargo-clippy", "clippy"),
        }
    }
}

/// What this machine offers.
#[derive(Debug, Default)]
pub struct Facts {
    /// This process is root.
    pub root: bool,
    /// `apt-get` is there.
    pub apt: bool,
    /// `rustup` is there.
    pub rustup: bool,
    /// The needs that are met already.
    pub met: BTreeSet<Need>,
}

/// One installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Install Debian packages.
    Apt(Vec<&'static str>),
    /// `rustup component add` to the toolchain in use.
    AddComponent(Component),
    /// Ask rustup for the pinned nightly.
    AddNightly,
    /// `rust-src` from rustup.
    RustSrcFromRustup,
    /// `rust-src` of the same minor version from Debian, linked into the toolchain.
    RustSrcFromDebian,
    /// `cargo install` into the cache.
    InstallLinker,
    /// Unpack Debian packages of this suite into the cache, without installing them.
    Unpack(&'static str, &'static [&'static str]),
    /// Unpack the cloud kernel of that release's suite into the cache.
    UnpackKernel(&'static Release),
}

impl Step {
    /// The line said before it is done.
    pub fn announcement(&self) -> String {
        match self {
            Self::Apt(packages) => format!("installing {} (apt)", packages.join(", ")),
            Self::AddComponent(c) => format!("installing {} (rustup)", c.names().1),
            Self::AddNightly => {
                format!("installing the compiler of the kernel half, {NIGHTLY_NAME} (rustup)")
            }
            Self::RustSrcFromRustup => {
                "installing rust-src for the compiler of the kernel half (rustup)".to_owned()
            }
            Self::RustSrcFromDebian => {
                "unpacking Debian's rust-src for the compiler of the kernel half".to_owned()
            }
            Self::InstallLinker => format!("building bpf-linker {BPF_LINKER} into the cache (cargo install)"),
            Self::Unpack(suite, packages) => {
                format!("unpacking {} of Debian {suite} into the cache", packages.join(", "))
            }
            Self::UnpackKernel(Release { version, suite }) => {
                format!("unpacking the kernel {version} of Debian {suite} into the cache")
            }
        }
    }
}

/// What to do, in order, and what to tell the user about needs that no step is left for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Installations.
    pub steps: Vec<Step>,
    /// One line for each thing that cannot be had from here: what to type.
    pub tell: Vec<String>,
}

/// Decides. A step in `tried` is never proposed again, so that a failed one leads to the next way or to words.
pub fn decide(needs: &[Need], facts: &Facts, tried: &[Step]) -> Plan {
    let mut plan = Plan::default();
    let missing = |need: &Need| !facts.met.contains(need);
    let packages: Vec<&'static str> = needs
        .iter()
        .filter(|n| missing(n))
        .filter_map(|n| if let Need::Tool(t) = n { Some(t.names().1) } else { None })
        .collect();
    if !packages.is_empty() {
        let typed = format!("missing: type `apt-get install {}` as root", packages.join(" "));
        let step = Step::Apt(packages);
        let can = facts.root && facts.apt && !tried.iter().any(|t| matches!(t, Step::Apt(_)));
        if can { plan.steps.push(step) } else { plan.tell.push(typed) }
    }
    for need in needs.iter().filter(|n| missing(n)) {
        let (ways, typed) = ways(*need, facts);
        match ways.into_iter().find(|way| !tried.contains(way)) {
            Some(step) => plan.steps.push(step),
            None if typed.is_empty() => {}
            None => plan.tell.push(typed),
        }
    }
    plan
}

/// The ways to meet one need on this machine, best first, and what to type when none works.
fn ways(need: Need, facts: &Facts) -> (Vec<Step>, String) {
    let rustup = |step| if facts.rustup { vec![step] } else { Vec::new() };
    // Unpacking needs apt's download, not root.
    let unpack = |suite, packages| {
        let ways = if facts.apt { vec![Step::Unpack(suite, packages)] } else { Vec::new() };
        (ways, format!("missing: {} of Debian {suite}; put the programs on PATH", packages.join(", ")))
    };
    match need {
        Need::Tool(_) => (Vec::new(), String::new()),
        Need::Component(c) => {
            let name = c.names().1;
            (rustup(Step::AddComponent(c)), format!("missing: type `rustup component add {name}`"))
        }
        Need::Nightly => (
            rustup(Step::AddNightly),
            format!(
                "missing: the compiler of the kernel half, any toolchain of rustc commit {NIGHTLY_COMMIT}: \
                 type `rustup toolchain install {NIGHTLY_NAME}`"
            ),
        ),
        Need::RustSrc if !facts.met.contains(&Need::Nightly) => (Vec::new(), String::new()),
        Need::RustSrc => {
            let mut ways = rustup(Step::RustSrcFromRustup);
            if facts.apt {
                ways.push(Step::RustSrcFromDebian);
            }
            (
                ways,
                "missing: the standard library's source for the kernel half's compiler: \
                 type `rustup component add rust-src --toolchain <that toolchain>`"
                    .to_owned(),
            )
        }
        Need::BpfLinker => (
            vec![Step::InstallLinker],
            format!("missing: type `cargo install bpf-linker --version {BPF_LINKER} --locked`"),
        ),
        Need::Prometheus => unpack("sid", &["prometheus", "promtool"]),
        Need::NodeExporter => unpack("sid", &["prometheus-node-exporter"]),
        Need::Cadvisor => unpack("bullseye", &["cadvisor"]),
        Need::Kernel(release) => (
            if facts.apt { vec![Step::UnpackKernel(release)] } else { Vec::new() },
            format!("missing: the kernel {} for the guest, which needs apt", release.version),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Need] = &[Need::Tool(Tool::Docker), Need::Tool(Tool::Ip), Need::Nightly, Need::RustSrc];

    fn facts(root: bool, apt: bool, rustup: bool, met: &[Need]) -> Facts {
        Facts { root, apt, rustup, met: met.iter().copied().collect() }
    }

    #[test]
    fn nothing_is_done_when_all_is_there() {
        assert_eq!(decide(ALL, &facts(true, true, true, ALL), &[]), Plan::default());
    }

    #[test]
    fn what_is_not_needed_is_not_installed() {
        assert_eq!(decide(&[], &facts(true, true, true, &[]), &[]), Plan::default());
    }

    #[test]
    fn packages_go_in_one_step_and_only_as_root_with_apt() {
        let needs = &ALL[..2];
        let step = Step::Apt(vec!["docker.io", "iproute2"]);
        assert_eq!(decide(needs, &facts(true, true, true, &[]), &[]).steps, std::slice::from_ref(&step));
        for (root, apt, tried) in [(false, true, vec![]), (true, false, vec![]), (true, true, vec![step])] {
            let plan = decide(needs, &facts(root, apt, true, &[]), &tried);
            assert_eq!(plan.steps, [], "root {root} apt {apt}");
            assert_eq!(plan.tell, ["missing: type `apt-get install docker.io iproute2` as root"]);
        }
        let one = decide(needs, &facts(false, true, true, &needs[..1]), &[]);
        assert_eq!(one.tell, ["missing: type `apt-get install iproute2` as root"]);
    }

    #[test]
    fn the_source_waits_for_its_compiler_and_falls_back_to_debian() {
        let needs = &ALL[2..];
        assert_eq!(decide(needs, &facts(true, true, true, &[]), &[]).steps, [Step::AddNightly]);
        let have = facts(true, true, true, &[Need::Nightly]);
        assert_eq!(decide(needs, &have, &[]).steps, [Step::RustSrcFromRustup]);
        let tried = [Step::RustSrcFromRustup];
        assert_eq!(decide(needs, &have, &tried).steps, [Step::RustSrcFromDebian]);
        let tried = [Step::RustSrcFromRustup, Step::RustSrcFromDebian];
        let plan = decide(needs, &have, &tried);
        assert_eq!((plan.steps.len(), plan.tell.len()), (0, 1));
    }

    #[test]
    fn a_kernel_is_unpacked_without_root() {
        let release = &::tests::guest::KERNELS[0];
        let needs = &[Need::Kernel(release)];
        let step = Step::UnpackKernel(release);
        assert_eq!(decide(needs, &facts(false, true, true, &[]), &[]).steps, std::slice::from_ref(&step));
        assert_eq!(decide(needs, &facts(false, true, true, &[]), &[step]).tell.len(), 1);
        assert_eq!(decide(needs, &facts(true, false, true, &[]), &[]).steps, []);
    }

    #[test]
    fn without_rustup_the_user_is_told() {
        let plan =
            decide(&[Need::Nightly, Need::Component(Component::Clippy)], &facts(true, true, false, &[]), &[]);
        assert_eq!(plan.steps, []);
        assert!(plan.tell[0].contains("rustup toolchain install"), "{:?}", plan.tell);
        assert_eq!(plan.tell[1], "missing: type `rustup component add clippy`");
    }
}
