//! Processors and what runs on them.

pub(super) mod cpu;
pub(super) mod cpu_vulnerabilities;
pub(super) mod cpufreq;
pub(super) mod interrupts;
pub(super) mod loadavg;
pub(super) mod perf;
pub(super) mod pressure;
pub(super) mod processes;
pub(super) mod schedstat;
pub(super) mod softirqs;
pub(super) mod stat;
