//! Whether the kernel half runs: what is asked for, what the kernel grants, what is said of it.

use crate::{
    config::{EbpfMode, Settings},
    source::{
        bpf::{self, CgroupKey, CpuHierarchy, Kernel, Program, ProgramStatus, Reason},
        cgroup::{CgroupPath, Layout, walk},
        privilege,
    },
};

/// Loads the kernel half as the settings ask. Without containers to count for, it stays off.
///
/// # Errors
/// With `--ebpf=require`: what keeps a program from running, in one line.
pub fn load(settings: &Settings, layout: Option<&Layout>) -> Result<Kernel, String> {
    let required = settings.ebpf == EbpfMode::Require;
    let kernel = match request(settings, layout) {
        Ok(request) => bpf::load(&request),
        Err((reason, detail)) => none(reason, &detail),
    };
    let down: Vec<&ProgramStatus> = kernel.status.iter().filter(|status| !status.up()).collect();
    if required && !down.is_empty() {
        return Err(format!("--ebpf=require: {}", said(&down)));
    }
    report(&kernel.status);
    Ok(kernel)
}

/// Has every cgroup that is there counted from now on. For kernels that want a right for it which is given up soon;
/// elsewhere discovery does it.
pub fn enter_all(kernel: &Kernel, layout: &Layout) {
    let Some(counters) = &kernel.counters else { return };
    for hierarchy in
        [layout.cpuacct, layout.unified].into_iter().flatten().filter_map(|place| layout.hierarchy(place))
    {
        walk::walk(hierarchy, &CgroupPath::root(), &mut |_, id| {
            counters.enter(CgroupKey::new(id, hierarchy.id));
        });
    }
}

/// What to load, or why nothing is.
fn request(settings: &Settings, layout: Option<&Layout>) -> Result<bpf::Request, (Reason, String)> {
    if settings.ebpf == EbpfMode::Off {
        return Err((Reason::Off, "--ebpf=off".into()));
    }
    let Some(container) = &settings.container else { return Err((Reason::Off, "--no-container".into())) };
    if !privilege::may_load_ebpf() {
        let needed = "needs root, or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN";
        return Err((Reason::NoPermission, needed.into()));
    }
    let cpuacct = layout.and_then(|layout| layout.hierarchy(layout.cpuacct.or(layout.unified)?));
    let Some(cpuacct) = cpuacct else {
        return Err((Reason::NoCgroup2, "no cgroup hierarchy in sight".into()));
    };
    let unified = layout.and_then(|layout| layout.hierarchy(layout.unified?));
    let cpu = CpuHierarchy { id: cpuacct.id, root: cpuacct.mount.clone() };
    let mut request = bpf::Request::new(cpu, unified.map(|unified| unified.mount.clone()));
    request.max_cgroups = container.max;
    Ok(request)
}

fn none(reason: Reason, detail: &str) -> Kernel {
    let status = |program| ProgramStatus { program, reason, detail: detail.to_owned() };
    Kernel::none(Program::ALL.map(status).into())
}

/// What keeps these programs from running, each cause once.
fn said(down: &[&ProgramStatus]) -> String {
    let alike = |a: &&ProgramStatus, b: &&ProgramStatus| (a.reason, &a.detail) == (b.reason, &b.detail);
    let causes = down.chunk_by(alike).filter_map(|group| {
        let names: Vec<_> = group.iter().map(|status| status.program.name()).collect();
        let first = group.first()?;
        Some(format!("{}: {}: {}", names.join(", "), first.reason, first.detail))
    });
    causes.collect::<Vec<_>>().join("; ")
}

/// One line when all fare alike, else one for each.
fn report(status: &[ProgramStatus]) {
    let Some(first) = status.first() else { return };
    if status.iter().all(|other| other.reason == first.reason && other.detail == first.detail) {
        let (reason, detail) = (first.reason.as_str(), &first.detail);
        match first.reason {
            Reason::Ok => tracing::info!("eBPF counts CPU time, network bytes and births of cgroups"),
            Reason::Off => tracing::info!(detail, "eBPF is off; the cgroups' files serve"),
            _ => tracing::warn!(reason, detail, "eBPF is off; the cgroups' files serve"),
        }
        return;
    }
    for status in status {
        let (program, reason, detail) = (status.program.name(), status.reason.as_str(), &status.detail);
        if status.up() {
            tracing::info!(program, "eBPF program runs");
        } else {
            tracing::warn!(program, reason, detail, "eBPF program does not run");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_fail_alike_are_named_together() {
        let status =
            |program, reason, detail: &str| ProgramStatus { program, reason, detail: detail.to_owned() };
        let life = status(Program::Life, Reason::NoBtf, "none");
        let cpu = status(Program::Cpu, Reason::NoBtf, "none");
        let net = status(Program::Net, Reason::NoCgroup2, "not mounted");
        assert_eq!(said(&[&life, &cpu, &net]), "life, cpu: no_btf: none; net: no_cgroup2: not mounted");
        assert_eq!(said(&[&net]), "net: no_cgroup2: not mounted");
    }
}
