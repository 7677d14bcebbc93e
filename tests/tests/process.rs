//! The exporter as a process: how it starts, refuses to start, serves bad clients, and ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use tests::exporter::{Copied, Exporter, binary, refused};
use tests::http::{self, Connection};
use tests::live;
use tests::page::Page;
use tests::running::{Running, Signal, until};
use tests::temp::TempDir;

#[test]
fn it_is_one_static_file() {
    let ldd = Command::new("ldd").arg(binary()).output().unwrap();
    let said = [ldd.stdout, ldd.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("not a dynamic executable") || said.contains("statically linked"), "{said}");
}

#[test]
fn bad_flags_end_it_with_one_line() {
    for (flags, word) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["--collector.no-such-collector"], "no-such-collector"),
        (&["positional"], "positional"),
        (&["--collector.cpu=true"], "collector.cpu"),
        (&["--log.level=loud"], "loud"),
        (&["--log.format=xml"], "xml"),
        (&["--ebpf=maybe"], "maybe"),
        (&["--web.max-requests=many"], "many"),
        (&["--web.telemetry-path=metrics"], "telemetry-path"),
        (&["--web.listen-address=nowhere"], "nowhere"),
        (&["--web.listen-address=127.0.0.1:99999"], "99999"),
        (&["--log.level=info", "--log.level=warn"], "log.level"),
        (&["--collector.cpu", "--no-collector.cpu"], "collector.cpu"),
        (&["--path.procfs=/no/such/folder"], "/no/such/folder"),
        (&["--path.sysfs=/etc/passwd"], "/etc/passwd"),
        (&["--collector.netdev.device-exclude=("], "device-exclude"),
        (&["--collector.diskstats.device-include=["], "device-include"),
        (&["--collector.filesystem.mount-points-exclude=*"], "mount-points-exclude"),
        (
            &["--collector.diskstats.ignored-devices=sd", "--collector.netdev.device-exclude=("],
            "device-exclude",
        ),
    ] {
        let line = refused(flags);
        assert!(line.contains(word), "{flags:?}: {line}");
    }
}

#[test]
fn what_the_flags_are_warned_of_is_in_the_log() {
    let exporter = Exporter::start(&["--ebpf=off", "--collector.diskstats.ignored-devices=^sd"]);
    assert!(exporter.process.says("listening", Duration::from_secs(5)));
    let said = exporter.process.said();
    let place = |text| said.find(text).unwrap_or_else(|| panic!("{text} is missing:\n{said}"));
    assert!(place("msg=\"starting\"") < place("--collector.diskstats.ignored-devices is the old name"));
    assert!(place("is the old name") < place("listening"));
}

#[test]
fn a_port_in_use_ends_it_with_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = refused(&[&format!("--web.listen-address={address}")]);
    assert!(line.contains(&address) && line.contains("in use"), "{line}");
}

#[test]
fn version_and_help_go_to_standard_output() {
    for flag in ["--version", "--help", "-h"] {
        let out = Command::new(binary()).arg(flag).output().unwrap();
        assert_eq!(out.status.code(), Some(0), "{flag}");
        assert!(out.stderr.is_empty() && !out.stdout.is_empty(), "{flag}");
    }
    let help = Command::new(binary()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for flag in ["--web.listen-address", "--path.rootfs", "--ebpf", "--collector.cpu", "--container.max"] {
        assert!(help.contains(flag), "{flag} is not in --help");
    }
}

#[test]
fn arguments_come_from_a_file_too() {
    let dir = TempDir::new("arguments");
    let file = dir.write("flags", "--web.telemetry-path=/from-a-file\n--log.level=debug\n");
    let exporter = Exporter::start(&["--ebpf=off", &format!("@{}", file.display())]);
    assert_eq!(exporter.get("/from-a-file").status, 200);
    assert_eq!(exporter.get("/metrics").status, 404);
}

#[test]
fn it_listens_where_it_is_told_and_says_so() {
    let (first, second) = (http::free_address(), http::free_address());
    let exporter = Exporter::start_at(first, &["--ebpf=off", &format!("--web.listen-address={second}")]);
    assert_eq!(http::get(second, "/-/healthy").unwrap().status, 200);
    for address in [first, second] {
        let said = exporter.process.says(&address.to_string(), Duration::from_secs(2));
        assert!(said, "{address} is not in the log:\n{}", exporter.process.said());
    }
}

#[test]
fn signals_end_it_in_well_under_a_second() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut exporter = Exporter::start(&[]);
        exporter.page();
        // Open connections, one of them in the middle of a request, must not delay the end.
        let _idle = Connection::open(exporter.address).unwrap();
        let mut half = TcpStream::connect(exporter.address).unwrap();
        half.write_all(b"GET /metrics HTTP/1.1\r\nHost").unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let begun = Instant::now();
        exporter.process.signal(signal);
        let status = exporter.process.wait(Duration::from_secs(5)).expect("it ends");
        let took = begun.elapsed();
        assert_eq!(status.code(), Some(0), "{signal:?}: {status}\n{}", exporter.process.said());
        assert!(took < Duration::from_millis(500), "{signal:?}: {took:?}");
        assert!(TcpStream::connect(exporter.address).is_err());
    }
}

#[test]
fn a_log_that_nobody_reads_holds_neither_a_scrape_nor_the_end() {
    let (_reader, mut writer) = std::io::pipe().unwrap();
    // As much as a pipe takes.
    writer.write_all(&vec![b'x'; 65_536]).unwrap();
    let address = http::free_address();
    let mut command = Command::new(binary());
    command.args(["--ebpf=off", "--log.level=debug"]).arg(format!("--web.listen-address={address}"));
    let mut child = command.stderr(writer).spawn().unwrap();
    let answers = until(Duration::from_secs(10), || http::get(address, "/metrics").is_ok());
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(),
        Signal::TERM,
    )
    .unwrap();
    let ended = until(Duration::from_secs(2), || child.try_wait().unwrap().is_some());
    let _ = child.kill();
    assert!(answers && ended, "answers: {answers}, ended: {ended}");
}

#[test]
fn a_scrape_under_way_does_not_delay_the_end() {
    let mut exporter = Exporter::start(&["--scrape.share=0s"]);
    let address = exporter.address;
    let clients: Vec<_> =
        (0..8).map(|_| std::thread::spawn(move || while http::get(address, "/metrics").is_ok() {})).collect();
    std::thread::sleep(Duration::from_millis(200));
    let begun = Instant::now();
    exporter.process.signal(Signal::TERM);
    exporter.process.wait(Duration::from_secs(5)).expect("it ends");
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    for client in clients {
        client.join().unwrap();
    }
}

/// Whether a program of this id is loaded, asked of `/proc` of no process: by listing all programs.
fn loaded(ids: &[u32]) -> Vec<u32> {
    let found = aya::programs::loaded_programs().filter_map(Result::ok).map(|program| program.id());
    found.filter(|id| ids.contains(id)).collect()
}

#[test]
fn nothing_stays_in_the_kernel_after_any_end() {
    if !live::root() {
        return;
    }
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        let mut exporter = Exporter::start(&["--ebpf=require"]);
        let ids = exporter.bpf_programs();
        assert!(!ids.is_empty(), "no eBPF program is held:\n{}", exporter.process.said());
        assert_eq!(loaded(&ids), ids);
        exporter.process.signal(signal);
        exporter.process.wait(Duration::from_secs(5)).expect("it ends");
        // The kernel frees programs a grace period after their last user went.
        let gone = until(Duration::from_secs(5), || loaded(&ids).is_empty());
        assert!(gone, "{signal:?} left {:?}", loaded(&ids));
    }
}

#[test]
fn pages_and_methods() {
    let exporter = Exporter::start(&["--ebpf=off"]);
    let landing = exporter.get("/");
    assert_eq!(landing.status, 200);
    assert!(landing.header("content-type").unwrap().starts_with("text/html"));
    assert!(landing.text().contains("href=\"/metrics\""), "{}", landing.text());
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(exporter.get(path).status, 200, "{path}");
    }
    for path in ["/metric", "/metrics/", "/favicon.ico", "/..", "/%2e%2e/etc/passwd"] {
        assert_eq!(exporter.get(path).status, 404, "{path}");
    }
    let metrics = exporter.get("/metrics");
    assert_eq!(metrics.status, 200);
    let kind = metrics.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4; charset=utf-8"), "{kind}");
    Page::parse(&metrics.text());
    let mut connection = Connection::open(exporter.address).unwrap();
    let head = connection.request("HEAD", "/metrics", &[]).unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    // The connection is still in step after HEAD, and serves other methods as the reference does.
    let post = connection.request("POST", "/metrics", &[("Content-Length", "0")]).unwrap();
    assert_eq!(post.status, 200);
}

#[test]
fn gzip_when_asked_and_only_then() {
    let exporter = Exporter::start(&["--ebpf=off"]);
    let mut connection = Connection::open(exporter.address).unwrap();
    let zipped = connection.request("GET", "/metrics", &[("Accept-Encoding", "gzip")]).unwrap();
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&zipped.body[..]).read_to_string(&mut text).unwrap();
    let unzipped = Page::parse(&text);
    for accepts in [&[][..], &[("Accept-Encoding", "identity")], &[("Accept-Encoding", "br, gzip;q=0")]] {
        let plain = connection.request("GET", "/metrics", accepts).unwrap();
        assert_eq!(plain.header("content-encoding"), None, "{accepts:?}");
        let page = Page::parse(&plain.text());
        assert_eq!(
            page.value("node_time_seconds", &[]).is_some(),
            unzipped.value("node_time_seconds", &[]).is_some()
        );
        assert!(page.names().is_superset(&unzipped.names()), "{accepts:?}");
    }
}

#[test]
fn chosen_and_excluded_collectors() {
    let exporter = Exporter::start(&["--ebpf=off", "--no-collector.uname"]);
    let has = |page: &Page, name: &str| page.matching(name, &[]).next().is_some();
    let chosen = exporter.page_of("/metrics?collect[]=loadavg&collect[]=stat");
    assert!(has(&chosen, "node_load1") && has(&chosen, "node_boot_time_seconds"));
    assert!(!has(&chosen, "node_memory_MemTotal_bytes") && !has(&chosen, "container_last_seen"));
    let scraped: Vec<_> = chosen
        .matching("node_scrape_collector_success", &[])
        .filter_map(|s| s.labels.get("collector").cloned())
        .collect();
    assert_eq!(scraped, ["loadavg", "stat"]);
    // Encoded brackets are what most clients send.
    let encoded = exporter.page_of("/metrics?collect%5B%5D=loadavg");
    assert!(has(&encoded, "node_load1") && !has(&encoded, "node_boot_time_seconds"));
    let without = exporter.page_of("/metrics?exclude[]=loadavg&exclude[]=no-such-collector");
    assert!(!has(&without, "node_load1") && has(&without, "node_boot_time_seconds"));
    assert!(has(&exporter.page_of("/metrics?collect[]=container"), "container_last_seen"));
    for (query, words) in [
        ("collect[]=nope", "missing collector: nope"),
        ("collect[]=uname", "disabled collector: uname"),
        ("collect[]=cpu&exclude[]=stat", "Combined collect and exclude queries are not allowed."),
    ] {
        let answer = exporter.get(&format!("/metrics?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains(words), "{query}: {}", answer.text());
    }
}

#[test]
fn broken_requests_do_no_harm() {
    let exporter = Exporter::start(&["--ebpf=off"]);
    let pieces: [&[u8]; 6] = [
        b"\r\n\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET\x00 / HTTP/1.1\r\n\r\n",
        b"GET /metrics?collect[]=%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ];
    for piece in pieces {
        let mut socket = TcpStream::connect(exporter.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let _ = socket.write_all(piece);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{piece:?}");
    }
    let mut long = TcpStream::connect(exporter.address).unwrap();
    // Ends by an error here once the server has had enough.
    let _ = long.write_all(&[b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'a'; 4 << 20]].concat());
    assert_eq!(exporter.get("/-/healthy").status, 200);
    exporter.page();
}

#[test]
fn slow_clients_keep_nobody_waiting() {
    let mut exporter = Exporter::start(&["--ebpf=off"]);
    let address = exporter.address;
    // Some send nothing, some begin a request and stop, some ask and never read.
    let open = |send: &[u8]| {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(send).unwrap();
        socket
    };
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50);
    let mut held: Vec<TcpStream> = (0..300).map(|_| open(b"")).collect();
    held.extend((0..100).map(|_| open(b"GET /metrics HTTP/1.1\r\nHo")));
    held.extend((0..20).map(|_| open(&request)));
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(exporter.get("/-/healthy").status, 200);
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "health took {:?}", begun.elapsed());
    let answered =
        until(Duration::from_secs(10), || http::get(address, "/metrics").is_ok_and(|r| r.status == 200));
    assert!(answered, "no scrape got through\n{}", exporter.process.said());
    exporter.process.signal(Signal::TERM);
    assert!(exporter.process.wait(Duration::from_secs(1)).is_some(), "slow clients delay the end");
}

#[test]
fn many_clients_at_once_are_served_or_told_to_come_again() {
    const CLIENTS: usize = 100;
    let exporter = Exporter::start(&["--ebpf=off"]);
    let address = exporter.address;
    let begun = Instant::now();
    let scrape =
        move |_| std::thread::spawn(move || http::get(address, "/metrics").map(|r| (r.status, r.text())));
    let answers: Vec<_> =
        (0..CLIENTS).map(scrape).collect::<Vec<_>>().into_iter().map(|c| c.join().unwrap()).collect();
    let mut served = 0;
    for answer in answers {
        match answer.unwrap() {
            (200, text) => {
                Page::parse(&text);
                served += 1;
            }
            (503, text) => assert!(text.contains("Limit of concurrent requests reached (40)"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(served >= 40, "{served} of {CLIENTS} served");
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    exporter.page();
}

#[test]
fn descriptors_and_threads_stay_bounded() {
    let exporter = Exporter::start(&["--scrape.share=0s"]);
    let count =
        |what: &str| std::fs::read_dir(format!("/proc/{}/{what}", exporter.process.pid())).unwrap().count();
    for _ in 0..20 {
        exporter.page();
    }
    let (descriptors, threads) = (count("fd"), count("task"));
    for _ in 0..300 {
        exporter.page();
    }
    assert!(count("fd") <= descriptors + 3, "{descriptors} descriptors became {}", count("fd"));
    assert!(count("task") <= threads + 2, "{threads} threads became {}", count("task"));
}

#[test]
fn an_ordinary_user_gets_all_that_needs_no_privilege() {
    if !live::root() {
        return;
    }
    let copied = Copied::new();
    let exporter = Exporter::start_with(http::free_address(), &mut copied.by_nobody(&[]));
    let page = exporter.page();
    for name in ["node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_network_receive_bytes_total"] {
        assert!(page.matching(name, &[]).next().is_some(), "{name}");
    }
    assert!(page.matching("container_cpu_usage_seconds_total", &[("id", "/")]).next().is_some());
    assert!(page.matching("nodetally_ebpf_program_up", &[]).count() >= 3, "no word on the programs");
    assert!(page.matching("nodetally_ebpf_program_up", &[]).all(|s| s.value == 0.0));
    let said = exporter.process.said();
    assert!(said.to_lowercase().contains("ebpf"), "the log does not say that eBPF is off:\n{said}");
    let address: SocketAddr = http::free_address();
    let mut command = copied.by_nobody(&["--ebpf=require"]);
    let mut required = Running::start(command.arg(format!("--web.listen-address={address}")));
    let status = required.wait(Duration::from_secs(10)).expect("it does not start");
    assert_eq!(status.code(), Some(1), "{}", required.said());
}

#[test]
fn without_cgroups_the_node_is_served_and_the_lack_is_said() {
    if !live::root() {
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "umount -R /sys/fs/cgroup && exec \"$0\" \"$@\""]).arg(binary());
    let exporter = Exporter::start_with(http::free_address(), &mut command);
    let page = exporter.page();
    assert!(page.value("node_load1", &[]).is_some());
    assert_eq!(page.value("container_scrape_error", &[]), Some(1.0), "{}", exporter.process.said());
    assert_eq!(page.matching("container_last_seen", &[]).count(), 0);
    let node = exporter.page_of("/metrics?exclude[]=container");
    assert_eq!(node.value("container_scrape_error", &[]), None, "nobody asked for containers");
}
