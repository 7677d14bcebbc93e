//! Whether the kernel half runs: what is asked for, what the kernel grants, what is said of it.

use crate::{
    config::{EbpfMode, Settings},
    source::{
        bpf::{self, CpuHierarchy, Kernel, Program, ProgramStatus, Reason},
        cgroup::Layout,
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
        let said = down.iter().map(|status| said(status)).collect::<Vec<_>>().join("; ");
        return Err(format!("--ebpf=require: {said}"));
    }
    report(&kernel.status);
    Ok(kernel)
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

fn said(status: &ProgramStatus) -> String {
    format!("{}: {}: {}", status.program.name(), status.reason, status.detail)
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
