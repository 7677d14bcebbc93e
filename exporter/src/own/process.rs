//! `process_*`: the exporter's own use of the machine.

use procfs::{FromRead, process::Stat};

use crate::{
    metric::{Family, Page},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

static CPU: Family =
    Family::counter("process_cpu_seconds_total", "Seconds of CPU that the exporter has used.");
static MAX_FDS: Family = Family::gauge("process_max_fds", "Files that the exporter may hold open.");
static OPEN_FDS: Family = Family::gauge("process_open_fds", "Files that the exporter holds open.");
static RESIDENT: Family =
    Family::gauge("process_resident_memory_bytes", "Bytes of memory that the exporter occupies.");
static VIRTUAL: Family =
    Family::gauge("process_virtual_memory_bytes", "Bytes of address space that the exporter has.");
static VIRTUAL_MAX: Family =
    Family::gauge("process_virtual_memory_max_bytes", "Bytes of address space that the exporter may have.");
static START: Family =
    Family::gauge("process_start_time_seconds", "When the exporter started, in seconds since 1970.");
static RECEIVED: Family = Family::counter(
    "process_network_receive_bytes_total",
    "Bytes of IP that the exporter's network namespace has received.",
);
static SENT: Family = Family::counter(
    "process_network_transmit_bytes_total",
    "Bytes of IP that the exporter's network namespace has sent.",
);

/// The kernel's clock ticks in a second, as the text files have them.
const TICKS: f64 = 100.0;

/// The exporter's own /proc files.
#[derive(Debug)]
pub struct Process {
    stat: KeptFile,
    netstat: KeptFile,
    page_size: u64,
    boot_time: Option<u64>,
}

impl Process {
    /// Looks up what does not change. Always `/proc`: what is asked is this very process.
    pub fn new() -> Self {
        let mut kernel = KeptFile::new("/proc/stat", Serves::Whole);
        Self {
            stat: KeptFile::new("/proc/self/stat", Serves::Whole),
            netstat: KeptFile::new("/proc/self/net/netstat", Serves::Whole),
            page_size: rustix::param::page_size() as u64,
            boot_time: kernel.read().ok().and_then(|stat| text::keyed(stat, b"btime")),
        }
    }

    /// Writes what can be had; what cannot is left out.
    pub fn write(&mut self, page: &mut Page) {
        if let Some(stat) = self.stat.read().ok().and_then(|stat| Stat::from_read(stat).ok()) {
            page.family(&CPU).plain((stat.utime + stat.stime) as f64 / TICKS);
            page.family(&RESIDENT).plain(stat.rss.saturating_mul(self.page_size));
            page.family(&VIRTUAL).plain(stat.vsize);
            if let Some(boot) = self.boot_time {
                page.family(&START).plain(boot as f64 + stat.starttime as f64 / TICKS);
            }
        }
        let limit = |resource| rustix::process::getrlimit(resource).current.unwrap_or(u64::MAX);
        page.family(&MAX_FDS).plain(limit(rustix::process::Resource::Nofile));
        page.family(&VIRTUAL_MAX).plain(limit(rustix::process::Resource::As));
        if let Some(open) = open_files() {
            page.family(&OPEN_FDS).plain(open);
        }
        if let Some((received, sent)) = self.netstat.read().ok().and_then(octets) {
            page.family(&RECEIVED).plain(received);
            page.family(&SENT).plain(sent);
        }
    }
}

/// Since 6.2 the folder's size is the number of open files; before, it has to be counted.
fn open_files() -> Option<u64> {
    let folder = std::fs::metadata("/proc/self/fd").ok()?;
    match folder.len() {
        0 => Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as u64 - 1),
        open => Some(open),
    }
}

/// `InOctets` and `OutOctets` of the `IpExt:` pair of lines.
fn octets(netstat: &[u8]) -> Option<(u64, u64)> {
    let mut pair = text::lines(netstat).filter(|line| line.starts_with(b"IpExt: "));
    let (names, values) = (pair.next()?, pair.next()?);
    let column = |wanted: &[u8]| {
        text::fields(names)
            .zip(text::fields(values))
            .find(|(name, _)| *name == wanted)
            .and_then(|(_, v)| text::whole(v))
    };
    Some((column(b"InOctets")?, column(b"OutOctets")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_octets_by_their_names() {
        let netstat =
            b"TcpExt: A InOctets\nTcpExt: 1 2\nIpExt: InNoRoutes InOctets OutOctets\nIpExt: 0 77 88\n";
        assert_eq!(octets(netstat), Some((77, 88)));
        assert_eq!(octets(b"IpExt: InOctets OutOctets\nIpExt: 77\n"), None);
        assert_eq!(octets(b""), None);
    }

    #[test]
    fn this_process_has_all_of_them() {
        let mut page = Page::default();
        Process::new().write(&mut page);
        let text = String::from_utf8_lossy(page.text());
        assert_eq!(text.matches("# TYPE process_").count(), 9, "{text}");
    }
}
