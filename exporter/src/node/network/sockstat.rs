//! Sockets in use and the memory they take, by protocol.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Page, Value},
    node::names::{Names, family_name, number},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "sockstat",
    on_by_default: true,
    summary: "sockets in use and their memory, by protocol",
    reads: "/proc/net/sockstat, /proc/net/sockstat6",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&FIGURE],
    build: Sockstat::build,
};

static FIGURE: Family = Family::gauge(
    "node_sockstat_*",
    "The figure of this protocol in /proc/net/sockstat: sockets, or memory in pages, or in bytes where the name says so.",
);

/// The figures that are given.
const KNOWN: [&[u8]; 6] = [b"alloc", b"inuse", MEMORY, b"memory", b"orphan", b"tw"];
/// It comes in pages and is given in bytes, too.
const MEMORY: &[u8] = b"mem";

struct Sockstat {
    ipv4: KeptFile,
    ipv6: KeptFile,
    names: Names,
    page_size: u64,
}

impl Sockstat {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file = |name| KeptFile::new(context.paths.procfs.join("net").join(name), Serves::Whole);
        Ok(Box::new(Self {
            ipv4: file("sockstat"),
            ipv6: file("sockstat6"),
            names: Names::default(),
            page_size: rustix::param::page_size() as u64,
        }))
    }
}

impl Collector for Sockstat {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let Self { ipv4, ipv6, names, page_size } = self;
        let mut writer = Writer { page, names, place: 0, page_size: *page_size };
        for file in [ipv4, ipv6] {
            match file.read() {
                Ok(text) => {
                    let written = writer.write(text);
                    written.ok_or_else(|| {
                        Failure::unreadable(file.path(), "protocols with names and numbers")
                    })?;
                }
                // A kernel without this version of IP.
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

struct Writer<'w> {
    page: &'w mut Page,
    names: &'w mut Names,
    place: usize,
    page_size: u64,
}

impl Writer<'_> {
    /// `None` at the first line that makes no sense.
    fn write(&mut self, sockstat: &[u8]) -> Option<()> {
        for line in text::lines(sockstat) {
            let mut fields = text::fields(line);
            let protocol = fields.next()?;
            let protocol = protocol.strip_suffix(b":").unwrap_or(protocol);
            let mut read_any = false;
            while let Some(key) = fields.next() {
                let value = number(fields.next()?)?;
                read_any = true;
                if protocol == b"sockets" && key == b"used" || protocol != b"sockets" && KNOWN.contains(&key)
                {
                    self.figure(protocol, key, value);
                    if let (MEMORY, Value::Whole(pages)) = (key, value) {
                        let bytes = pages.saturating_mul(self.page_size);
                        self.figure(protocol, b"mem_bytes", bytes.into());
                    }
                }
            }
            if !read_any {
                return None;
            }
        }
        Some(())
    }

    fn figure(&mut self, protocol: &[u8], key: &[u8], value: Value) {
        let make = || Some(family_name("node_sockstat_", &[protocol, b"_", key].concat()));
        if let Some(name) = self.names.at(self.place, protocol, key, make) {
            self.page.named(&FIGURE, name).plain(value);
        }
        self.place += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sockstat: &[u8]) -> Option<String> {
        let (mut page, mut names) = (Page::default(), Names::default());
        let mut writer = Writer { page: &mut page, names: &mut names, place: 0, page_size: 65536 };
        writer.write(sockstat)?;
        let text = str::from_utf8(page.text()).expect("a page is UTF-8");
        Some(text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(";"))
    }

    #[test]
    fn memory_is_given_in_pages_and_in_bytes() {
        assert_eq!(
            text(b"sockets: used 229\nTCP: inuse 4 orphan 0 mem 2\nFRAG: inuse 0 memory 7\n")
                .expect("is in order"),
            "node_sockstat_sockets_used 229;node_sockstat_TCP_inuse 4;node_sockstat_TCP_orphan 0;\
             node_sockstat_TCP_mem 2;node_sockstat_TCP_mem_bytes 131072;\
             node_sockstat_FRAG_inuse 0;node_sockstat_FRAG_memory 7"
        );
        let huge = text(b"TCP: mem 18446744073709551615\n").expect("is in order");
        assert!(huge.ends_with("TCP_mem_bytes 1.8446744073709552e+19"), "{huge}");
        assert_eq!(text(b"TCP: newer 3\n").as_deref(), Some(""));
    }

    #[test]
    fn a_line_that_makes_no_sense_is_a_failure() {
        for bad in [&b"TCP:"[..], b"TCP: inuse", b"TCP: inuse x", b"TCP: inuse 1 tw", b"\xff", b" "] {
            assert_eq!(text(bad), None, "{bad:?}");
        }
    }
}
