//! Counters of the network protocols, under the kernel's own names.

use regex::Regex;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Flag, Pace, Takes},
    config::{ConfigError, pattern},
    metric::{Family, Page, Value},
    node::names::{Names, family_name, number},
    source::{
        file::{KeptFile, Serves},
        protocols, text,
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

struct Netstat {
    /// `netstat` and `snmp`.
    tables: [(KeptFile, Table); 2],
    snmp6: KeptFile,
    fields: Option<Regex>,
    names: Names,
}

impl Netstat {
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let file = |name| KeptFile::new(context.paths.procfs.join("net").join(name), Serves::Whole);
        Ok(Box::new(Self {
            tables: ["netstat", "snmp"].map(|name| (file(name), Table::default())),
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
        for (file, table) in tables {
            let written = write_table(table, file.read()?, fields.as_ref(), page);
            written.ok_or_else(|| Failure::unreadable(file.path(), WANTED))?;
        }
        match snmp6.read() {
            Ok(text) => {
                let written = write_snmp6(text, fields.as_ref(), names, page);
                written.ok_or_else(|| Failure::unreadable(snmp6.path(), WANTED))
            }
            // A kernel without IPv6.
            Err(error) if error.is_gone() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The family's name, if its words are wanted.
fn name_of(protocol: &[u8], name: &[u8], wanted: Option<&Regex>) -> Option<String> {
    let words = [protocol, b"_", name].concat();
    let is_wanted = wanted.is_none_or(|wanted| wanted.is_match(&String::from_utf8_lossy(&words)));
    is_wanted.then(|| family_name("node_netstat_", &words))
}

/// The families by column, for those that are wanted.
type Table = protocols::Table<String, Value>;

/// `None` where a line of names is not followed by one of as many values for the same protocol; nothing is written then.
/// `None` as well at the first value that is no number; what comes before it is written.
fn write_table(table: &mut Table, text: &[u8], wanted: Option<&Regex>, page: &mut Page) -> Option<()> {
    let all_numbers = table.read(text, |protocol, name| name_of(protocol, name, wanted), number)?;
    for (name, value) in table.cells() {
        page.named(&COUNTER, name).plain(*value);
    }
    all_numbers.then_some(())
}

/// `None` at the first value that is no number.
fn write_snmp6(text: &[u8], wanted: Option<&Regex>, names: &mut Names, page: &mut Page) -> Option<()> {
    for (place, (key, value)) in text::lines(text).filter_map(entry_of_snmp6).enumerate() {
        let value = number(value)?;
        let make = || {
            let (protocol, name) = halves(key)?;
            name_of(protocol, name, wanted)
        };
        if let Some(name) = names.at(place, b"", key, make) {
            page.named(&COUNTER, name).plain(value);
        }
    }
    Some(())
}

/// `Ip6InOctets 460`. A line of another form is left out.
fn entry_of_snmp6(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = text::fields(line);
    let (key, value) = (fields.next()?, fields.next()?);
    key.contains(&b'6').then_some((key, value))
}

/// `Ip6InOctets`: the protocol ends with the first 6.
fn halves(key: &[u8]) -> Option<(&[u8], &[u8])> {
    key.split_at_checked(key.iter().position(|&byte| byte == b'6')? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNMP: &[u8] =
        b"Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: MaxConn InErrs\nTcp: -1 18446744073709551615\n";

    fn samples(page: &Page) -> String {
        let text = str::from_utf8(page.text()).expect("a page is UTF-8");
        text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(";")
    }

    /// Whether it succeeded, and what it wrote; the same when the table is known.
    fn write(text: &[u8], wanted: &str) -> (bool, String) {
        let (mut table, wanted) = (Table::default(), Regex::new(wanted).expect("is a pattern"));
        let mut write = || {
            let mut page = Page::default();
            let succeeded = write_table(&mut table, text, Some(&wanted), &mut page).is_some();
            (succeeded, samples(&page))
        };
        let first = write();
        assert_eq!(write(), first);
        first
    }

    #[test]
    fn names_and_values_meet() {
        assert_eq!(
            write(SNMP, "^(Ip_Forwarding|Tcp_.*)$"),
            (
                true,
                "node_netstat_Ip_Forwarding 1;node_netstat_Tcp_MaxConn -1;node_netstat_Tcp_InErrs 1.8446744073709552e+19"
                    .to_owned()
            )
        );
    }

    #[test]
    fn a_table_that_has_changed_its_shape_is_learnt_anew() {
        let mut table = Table::default();
        for (text, expected) in [
            ("A: x y\nA: 1 2\nB: z\nB: 3\n", "node_netstat_A_x 1;node_netstat_A_y 2;node_netstat_B_z 3"),
            ("A: x\nA: 4\nB: z\nB: 5\n", "node_netstat_A_x 4;node_netstat_B_z 5"),
            ("B: z\nB: 6\n", "node_netstat_B_z 6"),
            ("", ""),
        ] {
            let mut page = Page::default();
            write_table(&mut table, text.as_bytes(), None, &mut page).expect("is in order");
            assert_eq!(samples(&page), expected);
        }
    }

    #[test]
    fn a_protocol_of_ip_6_ends_with_its_digit() {
        for (line, name) in [
            (&b"UdpLite6InErrors   \t7"[..], "node_netstat_UdpLite6_InErrors 7"),
            (b"Icmp6OutType136 7", "node_netstat_Icmp6_OutType136 7"),
            (b"Ip6InOctets", ""),
            (b"InOctets 2", ""),
            (b"", ""),
            (b"\xff \xff", ""),
        ] {
            let (mut names, mut page) = (Names::default(), Page::default());
            for _ in 0..2 {
                page.clear();
                write_snmp6(line, None, &mut names, &mut page).expect("is in order");
                assert_eq!(samples(&page), name, "{line:?}");
            }
        }
        assert_eq!(write_snmp6(b"Ip6X y", None, &mut Names::default(), &mut Page::default()), None);
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
            assert_eq!(write(bad, ""), (false, String::new()), "{bad:?}");
        }
        assert_eq!(write(b"", ""), (true, String::new()));
        assert_eq!(write(b"Ip: A B C\nIp: 1 x 2\n", ""), (false, "node_netstat_Ip_A 1".to_owned()));
    }
}
