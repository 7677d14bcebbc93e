#![no_main]

use exporter::source::{
    cgroup::{facts, io, reading},
    cpu, kmsg, mount, netdev, process, protocols, sockets, stat, text,
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    kmsg::fuzz(input);
    let _ = (reading::cpu_stat(input), reading::cpu_stat_v1(input), reading::cpuacct_stat(input, 100));
    let _ = (reading::memory_stat(input), reading::memory_stat_v1(input), reading::memory_events(input));
    let _ = (io::io_stat(input).count(), io::blkio(input).count(), io::Number::parse(input));
    let _ = (facts::mounts(input), facts::numbers(input));
    let _ = (cpu::list(input), mount::mounts(input).count(), netdev::interfaces(input).count());
    process::fuzz(input);
    let (mut tcp, mut udp) = (sockets::TcpStates::default(), sockets::UdpSockets::default());
    for line in text::lines(input) {
        let _ = (sockets::count_tcp(&mut tcp, line), udp.count(line));
    }
    let mut table = protocols::Table::<usize, i64>::default();
    let _ = table.read(input, |_, name| Some(name.len()), text::signed);
    let _ = (stat::cpus(input).count(), stat::totals(input), text::only(input), text::float(input));
});
