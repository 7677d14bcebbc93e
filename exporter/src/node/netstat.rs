//! Counters of the network protocols, under the kernel's own names.

use regex::Regex;

use super::names::{Names, family_name, number};
use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, pattern},
    metric::{Family, Page, Value},
    source::{
        file::{KeptFile, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "netstat",
    on_by_default: true,
    summary: "counters of IP, ICMP, TCP and UDP",
    reads: "/proc/net/{netstat,snmp,snmp6}",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[Flag {
        name: FIELDS,
        takes: Takes::Text {
            placeholder: "REGEXP",
            default: "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|\
                Icmp6?_(InMsgs|OutMsgs)|\
                TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|\
                Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|\
                Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
        },
        help: "The counters to give, as PROTOCOL_NAME",
    }],
    families: &[&COUNTER],
    build: Netstat::build,
};

const FIELDS: &str = "collector.netstat.fields";

static COUNTER: Family = Family::untyped(
    "node_netstat_*",
    "The counter of this protocol and name in /proc/net/netstat, snmp or snmp6; for this network namespace.",
);

/// A protocol, a name and what stands for its value.
type Entry<'a> = (&'a [u8], &'a [u8], &'a [u8]);

struct Netstat {
    /// `netstat` and `snmp`.
    tables: [KeptFile; 2],
    snmp6: KeptFile,
    fields: Option<Regex>,
    names: Names,
}

impl Netstat {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file = |name| KeptFile::new(context.paths.procfs.join("net").join(name), Serves::Whole);
        Ok(Box::new(Self {
            tables: [file("netstat"), file("snmp")],
            snmp6: file("snmp6"),
            fields: pattern(FIELDS, context.flags.text(FIELDS))?,
            names: Names::default(),
        }))
    }
}

impl Collector for Netstat {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        const WANTED: &str = "each protocol's names and whole numbers";
        let Self { tables, snmp6, fields, names } = self;
        let mut writer = Writer { page, wanted: fields.as_ref(), names, place: 0 };
        for file in tables {
            let text = file.read()?;
            let entries = check(text).and_then(|()| writer.write(pairs(text)));
            entries.ok_or_else(|| Failure::unreadable(file.path(), WANTED))?;
        }
        match snmp6.read() {
            Ok(text) => {
                let written = writer.write(text::lines(text).filter_map(entry_of_snmp6));
                written.ok_or_else(|| Failure::unreadable(snmp6.path(), WANTED))
            }
            // A kernel without IPv6.
            Err(error) if error.is_gone() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

struct Writer<'w> {
    page: &'w mut Page,
    wanted: Option<&'w Regex>,
    names: &'w mut Names,
    place: usize,
}

impl Writer<'_> {
    /// `None` at the first value that is no number.
    fn write<'a>(&mut self, entries: impl Iterator<Item = Entry<'a>>) -> Option<()> {
        for (protocol, name, value) in entries {
            let value: Value = number(value)?;
            let wanted = self.wanted;
            let make = || {
                let words = [protocol, b"_", name].concat();
                let is_wanted = wanted.is_none_or(|wanted| wanted.is_match(&String::from_utf8_lossy(&words)));
                is_wanted.then(|| family_name("node_netstat_", &words))
            };
            if let Some(name) = self.names.at(self.place, protocol, name, make) {
                self.page.named(&COUNTER, name).plain(value);
            }
            self.place += 1;
        }
        Some(())
    }
}

/// Whether each line of names is followed by one of as many values for the same protocol.
fn check(text: &[u8]) -> Option<()> {
    let mut lines = text::lines(text);
    while let Some(names) = lines.next() {
        let values = lines.next()?;
        let protocol = |line| text::fields(line).next().filter(|word| word.ends_with(b":"));
        let same = protocol(names)? == protocol(values)?;
        if !same || text::fields(names).count() != text::fields(values).count() {
            return None;
        }
    }
    Some(())
}

/// The entries of a text that [`check`] has found in order.
fn pairs(text: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let names = text::lines(text).step_by(2);
    let values = text::lines(text).skip(1).step_by(2);
    names.zip(values).flat_map(|(names, values)| {
        let mut names = text::fields(names);
        let protocol = names.next().and_then(|word| word.strip_suffix(b":")).unwrap_or_default();
        names.zip(text::fields(values).skip(1)).map(move |(name, value)| (protocol, name, value))
    })
}

/// `Ip6InOctets 460`: the protocol ends with the first 6. A line of another form is left out.
fn entry_of_snmp6(line: &[u8]) -> Option<Entry<'_>> {
    let mut fields = text::fields(line);
    let (key, value) = (fields.next()?, fields.next()?);
    let six = key.iter().position(|&byte| byte == b'6')?;
    let (protocol, name) = key.split_at_checked(six + 1)?;
    Some((protocol, name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNMP: &[u8] =
        b"Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: MaxConn InErrs\nTcp: -1 18446744073709551615\n";

    fn write(entries: impl Iterator<Item = Entry<'static>>, wanted: &str) -> Option<String> {
        let (mut page, mut names) = (Page::default(), Names::default());
        let wanted = Regex::new(wanted).expect("is a pattern");
        let mut writer = Writer { page: &mut page, wanted: Some(&wanted), names: &mut names, place: 0 };
        writer.write(entries)?;
        let text = str::from_utf8(page.text()).expect("a page is UTF-8");
        Some(text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(";"))
    }

    #[test]
    fn names_and_values_meet() {
        assert_eq!(check(SNMP), Some(()));
        let wanted = "^(Ip_Forwarding|Tcp_.*)$";
        assert_eq!(
            write(pairs(SNMP), wanted).expect("is in order"),
            "node_netstat_Ip_Forwarding 1;node_netstat_Tcp_MaxConn -1;node_netstat_Tcp_InErrs 1.8446744073709552e+19"
        );
    }

    #[test]
    fn a_protocol_of_ip_6_ends_with_its_digit() {
        assert_eq!(
            entry_of_snmp6(b"UdpLite6InErrors   \t0"),
            Some((&b"UdpLite6"[..], &b"InErrors"[..], &b"0"[..]))
        );
        assert_eq!(
            entry_of_snmp6(b"Icmp6OutType136 2"),
            Some((&b"Icmp6"[..], &b"OutType136"[..], &b"2"[..]))
        );
        for odd in [&b"Ip6InOctets"[..], b"InOctets 2", b"", b"\xff \xff"] {
            assert_eq!(entry_of_snmp6(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn tables_out_of_order_are_failures() {
        for bad in [
            &b"Ip: A B\nIp: 1\n"[..],
            b"Ip: A\n",
            b"Ip: A\nTcp: 1\n",
            b"Ip A\nIp 1\n",
            b" \n \n",
            b"\xff\n\xff\n",
        ] {
            assert_eq!(check(bad), None, "{bad:?}");
        }
        assert_eq!(check(b""), Some(()));
        assert_eq!(write(pairs(b"Ip: A B\nIp: 1 x\n"), "A"), None);
    }
}
