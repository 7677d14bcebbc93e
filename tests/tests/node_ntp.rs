//! The time server's collector beside the reference: a server within the test answers both.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    net::UdpSocket,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tests::{
    exporter::Exporter,
    http,
    page::Page,
    prometheus::program,
    running::{Running, until},
};

/// What a server answers, save for what depends on the moment.
#[derive(Clone, Copy)]
struct Server {
    /// Leap, version and mode.
    first: u8,
    stratum: u8,
    root_delay: u32,
    root_dispersion: u32,
    /// When its clock was set: seconds before now and parts, or `None` for never.
    reference: Option<(u64, u32)>,
    /// How far its clock is before ours, in seconds.
    ahead: i64,
    /// Bytes of the answer.
    length: usize,
}

const GOOD: Server = Server {
    first: 4 << 3 | 4,
    stratum: 2,
    root_delay: 0x0000_1234,
    root_dispersion: 0x0001_5679,
    reference: Some((77, 0x1234_5678)),
    ahead: 0,
    length: 48,
};

/// Now on a clock that is so many seconds before ours, in NTP's form.
fn clock(ahead: i64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seconds = (now.as_secs() + 2_208_988_800).wrapping_add_signed(ahead);
    (seconds << 32) + (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000
}

impl Server {
    /// Answers until the end of the test; gives the port.
    fn start(self) -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let reference =
            self.reference.map_or(0, |(ago, parts)| (((clock(0) >> 32) - ago) << 32) | u64::from(parts));
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                assert!(length >= 48 && question[0] & 7 == 3);
                let now = clock(self.ahead);
                let mut answer = vec![self.first, self.stratum, 6, 0xe9];
                answer.extend(self.root_delay.to_be_bytes());
                answer.extend(self.root_dispersion.to_be_bytes());
                answer.extend(*b"TEST");
                answer.extend(reference.to_be_bytes());
                answer.extend(&question[40..48]);
                answer.extend(now.to_be_bytes());
                answer.extend(now.to_be_bytes());
                answer.truncate(self.length);
                socket.send_to(&answer, from).unwrap();
            }
        });
        port
    }
}

fn value(page: &Page, name: &str) -> Option<f64> {
    page.value(name, &[])
}

/// Both ask the server: what does not depend on the moment is equal, and our offset is right by our round trip.
fn compare(server: Server, flags: &[&str]) -> Option<Page> {
    let reference = program("prometheus-node-exporter")?;
    let port = format!("--collector.ntp.server-port={}", server.start());
    let mut all = vec!["--collector.disable-defaults", "--collector.ntp", &port];
    all.extend_from_slice(flags);
    let address = http::free_address();
    let mut command = Command::new(reference);
    command.args(&all).arg("--web.disable-exporter-metrics").arg(format!("--web.listen-address={address}"));
    let reference = Running::start(&mut command);
    let up = until(Duration::from_secs(20), || http::get(address, "/").is_ok());
    assert!(up, "the reference did not start: {}", reference.said());
    all.extend(["--ebpf=off", "--no-container", "--docker="]);
    let exporter = Exporter::start(&all);
    let (theirs, ours) = (Page::parse(&http::get(address, "/metrics").unwrap().text()), exporter.page());
    let names = |page: &Page| {
        page.names()
            .into_iter()
            .filter(|name| name.starts_with("node_ntp_"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&ours), names(&theirs), "{}\n{}", exporter.process.said(), reference.said());
    for name in [
        "stratum",
        "leap",
        "reference_timestamp_seconds",
        "root_delay_seconds",
        "root_dispersion_seconds",
        "sanity",
    ] {
        let name = format!("node_ntp_{name}");
        assert_eq!(value(&ours, &name), value(&theirs, &name), "{name}");
        assert_eq!(ours.types.get(&name), theirs.types.get(&name), "{name}");
    }
    let success = |page: &Page| page.value("node_scrape_collector_success", &[("collector", "ntp")]);
    assert_eq!(success(&ours), success(&theirs));
    if let Some(offset) = value(&ours, "node_ntp_offset_seconds") {
        let round_trip = value(&ours, "node_ntp_rtt_seconds").unwrap();
        let ahead = f64::from(i32::try_from(server.ahead).unwrap());
        assert!((offset - ahead).abs() <= round_trip / 2.0 + 1e-6, "{offset} {round_trip}");
    }
    Some(ours)
}

#[test]
fn a_sane_server_is_the_reference_s() {
    // The tolerance is wide, since the machine may be busy.
    let Some(page) =
        compare(GOOD, &["--collector.ntp.max-distance=1m0.5s", "--collector.ntp.protocol-version=3"])
    else {
        return;
    };
    assert_eq!(value(&page, "node_ntp_sanity"), Some(1.0));
    assert_eq!(value(&page, "node_ntp_root_delay_seconds"), Some(0.071_105_957));
}

#[test]
fn servers_that_are_not_sane_are_the_reference_s() {
    for (what, server) in [
        ("left alone", Server { stratum: 0, first: 3 << 6 | 4 << 3 | 4, ..GOOD }),
        ("not set", Server { stratum: 16, reference: None, ..GOOD }),
        ("100 s ahead", Server { ahead: 100, ..GOOD }),
        ("a week behind", Server { ahead: -600_000, ..GOOD }),
        ("set two days ago", Server { reference: Some((172_800, 1)), ..GOOD }),
        ("dispersed", Server { root_dispersion: u32::MAX, root_delay: u32::MAX, ..GOOD }),
        ("far", Server { root_delay: 7 << 16, ..GOOD }),
    ] {
        let Some(page) = compare(server, &[]) else { return };
        assert_eq!(value(&page, "node_ntp_sanity"), Some(0.0), "{what}");
    }
}

#[test]
fn a_leap_second_is_the_reference_s() {
    for leap in [1, 2] {
        let Some(page) = compare(Server { first: leap << 6 | 4 << 3 | 4, ..GOOD }, &[]) else { return };
        assert_eq!(value(&page, "node_ntp_leap"), Some(leap.into()));
    }
}

#[test]
fn answers_that_are_none_fail_as_the_reference_does() {
    for server in
        [Server { length: 47, ..GOOD }, Server { length: 0, ..GOOD }, Server { first: 4 << 3 | 3, ..GOOD }]
    {
        let Some(page) = compare(server, &[]) else { return };
        assert_eq!(value(&page, "node_ntp_stratum"), None);
    }
}

/// The collector waits for a second at most, and no scrape waits for it past its own deadline.
#[test]
fn a_server_that_never_answers_delays_nobody() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = format!("--collector.ntp.server-port={}", silent.local_addr().unwrap().port());
    let exporter = Exporter::start(&[
        "--collector.disable-defaults",
        "--collector.ntp",
        "--collector.loadavg",
        "--collector.filesystem",
        &port,
        "--ebpf=off",
        "--no-container",
        "--docker=",
        "--scrape.share=0",
    ]);
    let outcome = |timeout: &str| {
        let headers = [("X-Prometheus-Scrape-Timeout-Seconds", timeout), ("Connection", "close")];
        let mut connection = http::Connection::open(exporter.address).unwrap();
        let page = Page::parse(&connection.request("GET", "/metrics", &headers).unwrap().text());
        assert!(value(&page, "node_load1").is_some() && value(&page, "node_ntp_stratum").is_none());
        let success = |name| page.value("node_scrape_collector_success", &[("collector", name)]);
        assert_eq!((success("ntp"), success("filesystem")), (Some(0.0), Some(1.0)));
        page.matching("nodetally_collector_outcome", &[("collector", "ntp")]).next().unwrap().labels["outcome"].clone()
    };
    assert_eq!(outcome("0.3"), "late");
    assert!(until(Duration::from_secs(20), || outcome("10") == "broken"));
    assert!(exporter.process.said().contains("no answer within 1000 ms"), "{}", exporter.process.said());
}
