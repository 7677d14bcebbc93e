//! The machine a figure was measured on: a figure without it means nothing.

use std::fs::read_to_string;

/// One line: CPU, cores, kernel, whether under a hypervisor, what else ran.
pub fn describe() -> String {
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let virtual_machine = if cpuinfo.contains(" hypervisor") { "virtual machine, " } else { "" };
    format!(
        "{}, {} CPUs, {virtual_machine}kernel {}, load {}",
        model(&cpuinfo).unwrap_or("CPU of unknown model"),
        cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
    )
}

fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_model_is_found() {
        assert_eq!(super::model("processor\t: 0\nmodel name\t: A B @ 2 GHz\n"), Some("A B @ 2 GHz"));
        assert_eq!(super::model("processor\t: 0\n"), None);
    }
}
