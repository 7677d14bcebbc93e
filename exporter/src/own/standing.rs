//! What is settled at start: what of the host is in view, which programs run in the kernel.

use prometheus::{GaugeVec, Opts, Registry};

use crate::source::{
    bpf::ProgramStatus,
    host::{Facts, View},
};

/// Registers what does not change any more.
///
/// # Errors
/// Two families of one name.
pub fn standing(
    registry: &Registry,
    host: &Facts,
    programs: &[ProgramStatus],
) -> Result<(), prometheus::Error> {
    let views = gauges(
        registry,
        "nodetally_host_view",
        "1 if the exporter sees the host's own (cgroup tree, network, processes, root), 0 if its container's.",
        &["view"],
    )?;
    for view in View::ALL {
        views.with_label_values(&[view.name()]).set(f64::from(u8::from(host.is_host(view))));
    }
    let up = gauges(
        registry,
        "nodetally_ebpf_program_up",
        "1 if the program counts in the kernel, 0 if it does not; the reason says why.",
        &["program", "mode", "reason"],
    )?;
    for status in programs {
        let labels = [status.program.name(), status.program.mode(), status.reason.as_str()];
        up.with_label_values(&labels).set(f64::from(u8::from(status.up())));
    }
    Ok(())
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<GaugeVec, prometheus::Error> {
    let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}
