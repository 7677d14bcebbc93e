//! The server over real loopback sockets, with scrapes that behave as told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod served;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use served::{Answer, LINE, Server};

use super::connection::Limits;

#[test]
fn every_route_answers_as_specified() {
    let server = Server::start();
    for (target, status, kind, body) in [
        (
            "/metrics",
            200,
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            "node_load1 0.25\n",
        ),
        (
            "/metrics?exclude[]=cpu",
            200,
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            "some\n",
        ),
        ("/metrics?collect%5B%5D=nonsense", 400, "text/plain; charset=utf-8", "missing collector: nonsense"),
        (
            "/metrics?collect[]=a&exclude[]=b",
            400,
            "text/plain; charset=utf-8",
            "Combined collect and exclude queries are not allowed.",
        ),
        ("/metrics?collect[]=stopped", 503, "text/plain; charset=utf-8", "The exporter is stopping.\n"),
        ("/healthz", 200, "text/plain; charset=utf-8", "ok"),
        ("/-/healthy", 200, "text/plain; charset=utf-8", "nodetally is healthy.\n"),
        ("/-/ready", 200, "text/plain; charset=utf-8", "nodetally is ready.\n"),
        ("/metrics/", 404, "text/plain; charset=utf-8", "404 page not found\n"),
        ("/debug/pprof/", 404, "text/plain; charset=utf-8", "404 page not found\n"),
        ("//", 404, "text/plain; charset=utf-8", "404 page not found\n"),
    ] {
        for method in ["GET", "POST", "DELETE", "PURGE"] {
            let answer = server.ask(method, target, "");
            assert_eq!((answer.status, answer.header("content-type")), (status, kind), "{method} {target}");
            assert_eq!(answer.text(), body, "{method} {target}");
        }
    }
    let page = server.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    for path in ["/metrics", "/-/healthy", "/-/ready"] {
        assert!(page.text().contains(&format!("href=\"{path}\"")), "{path}");
    }
    let answer = server.ask("GET", "/metrics", "Accept: text/plain;escaping=allow-utf-8\r\n");
    assert!(answer.header("content-type").ends_with("; escaping=allow-utf-8"));
}

#[test]
fn containers_have_paths_of_their_own() {
    let server = Server::start();
    for (target, status, body) in [
        ("/p/c", 200, "containers\n"),
        ("/p/c?type=docker&max_age=1s&count=64&recursive=true", 200, "containers\n"),
        ("/p/c?collect[]=stopped", 503, "The exporter is stopping.\n"),
        ("/p/healthz", 200, "ok"),
        ("/p/-/ready", 200, "nodetally is ready.\n"),
        ("/c", 404, "404 page not found\n"),
        ("/healthz", 404, "404 page not found\n"),
        ("/p/metrics", 404, "404 page not found\n"),
        ("/pp", 404, "404 page not found\n"),
    ] {
        let answer = server.get_of_containers(target);
        assert_eq!((answer.status, answer.text()), (status, body), "{target}");
    }
    for target in ["/p", "/p/"] {
        assert!(server.get_of_containers(target).text().contains("href=\"/p/c\""), "{target}");
    }
    assert_eq!(server.get("/p/c").status, 404);
}

#[test]
fn metrics_may_live_at_the_root() {
    let server = Server::with(Limits::default(), "/", 40);
    assert_eq!(server.get("/").body, LINE);
    assert_eq!(server.get("/metrics").status, 404);
}

#[test]
fn head_has_the_length_and_no_body() {
    let server = Server::start();
    for target in ["/metrics", "/", "/-/healthy", "/nowhere"] {
        let (head, get) = (server.ask("HEAD", target, ""), server.get(target));
        assert_eq!(head.status, get.status, "{target}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{target}");
        assert!(head.body.is_empty(), "{target}");
    }
}

#[test]
fn gzip_is_whole_and_tiny_pages_are_left_alone() {
    let server = Server::start();
    let packed = server.ask("GET", "/metrics?collect[]=page", "Accept-Encoding: gzip\r\n");
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(packed.header("content-length"), packed.body.len().to_string());
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, LINE.repeat(1000));
    assert!(packed.body.len() < plain.len() / 10);

    let refused = server.ask("GET", "/metrics?collect[]=page", "Accept-Encoding: gzip;q=0, *\r\n");
    assert_eq!((refused.header("content-encoding"), refused.body.len()), ("", plain.len()));
    let tiny = server.ask("GET", "/metrics", "Accept-Encoding: gzip\r\n");
    assert_eq!((tiny.header("content-encoding"), &tiny.body[..]), ("", LINE));
}

#[test]
fn over_the_limit_scrapes_are_refused_and_counted() {
    let server = Server::with(Limits::default(), "/metrics", 2);
    assert!(server.figure("promhttp_metric_handler_requests_total", "500").abs() < 0.5);
    let held: Vec<_> =
        (0..2).map(|_| server.send("GET /metrics?collect[]=never HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    while server.figure("promhttp_metric_handler_requests_in_flight", "") < 1.5 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let refused = server.get("/metrics");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.text(), "Limit of concurrent requests reached (2), try again later.\n");
    assert_eq!(server.get("/-/healthy").status, 200);
    drop(held);
    let count = server.figure("promhttp_metric_handler_requests_total", "503");
    assert!((count - 1.0).abs() < 0.5, "{count}");
}

#[test]
fn a_late_scrape_is_answered_in_time_and_health_meanwhile() {
    let server = Server::start();
    let timeout = "X-Prometheus-Scrape-Timeout-Seconds: 1.5\r\n";
    std::thread::scope(|scope| {
        let server = &server;
        for collector in ["late", "never"] {
            scope.spawn(move || {
                let begun = Instant::now();
                let answer = server.ask("GET", &format!("/metrics?collect[]={collector}"), timeout);
                assert_eq!((answer.status, answer.text()), (503, "The scrape was not finished in time.\n"));
                let taken = begun.elapsed().as_secs_f64();
                assert!((1.3..1.5).contains(&taken), "{taken}");
            });
        }
        std::thread::sleep(Duration::from_millis(50));
        let begun = Instant::now();
        assert_eq!(server.get("/-/healthy").status, 200);
        assert!(begun.elapsed() < Duration::from_millis(700));
    });
}

#[test]
fn a_connection_serves_many_requests_even_pipelined() {
    let server = Server::start();
    let one = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut stream = server.send(&format!("{one}{one}GET /metrics HTTP/1.0\r\n\r\n"));
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches("is healthy").count(), 2, "{text}");
    assert!(text.ends_with("node_load1 0.25\n"), "{text}");
}

#[test]
fn a_client_may_end_its_half_after_asking() {
    let server = Server::start();
    let mut stream = server.send("GET /metrics?collect[]=slow HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(Answer::parse(&bytes).body, LINE);
}

#[test]
fn garbage_harms_nobody() {
    let server = Server::start();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(5000));
    let behind = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n\0\u{1}\u{2}garbage\r\n\r\n";
    for request in [
        "\0\0\0\0",
        "\r\n\r\n\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /metrics HTTP/9.9\r\n\r\n",
        "GET\r\n\r\n",
        "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzzz\r\n",
        "CONNECT x:1 HTTP/1.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nConnection: close\r\n\r\n",
        &long,
        &many,
        behind,
    ] {
        let mut stream = server.connect();
        // The server may have hung up before it took all.
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(server.get("/metrics").body, LINE);
}

#[test]
fn a_body_is_not_waited_for() {
    let server = Server::start();
    let mut stream =
        server.send("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nsome");
    let mut bytes = Vec::new();
    let begun = Instant::now();
    // The rest of the body is never read, so the end may come as a reset.
    let _ = stream.read_to_end(&mut bytes);
    assert_eq!(Answer::parse(&bytes).body, LINE);
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn slow_headers_idle_connections_and_those_who_do_not_read_are_closed() {
    let ms = Duration::from_millis;
    let limits = Limits { header: ms(300), idle: ms(3000), write: ms(400), ..Limits::default() };
    let server = Server::with(limits, "/metrics", 40);
    std::thread::scope(|scope| {
        let server = &server;
        // One byte at a time does not prolong the time for a header.
        scope.spawn(move || {
            let begun = Instant::now();
            let mut stream = server.connect();
            let hung_up = (0..300).any(|_| {
                std::thread::sleep(ms(20));
                stream.write_all(b"G").is_err()
            });
            assert!(hung_up, "{:?}", begun.elapsed());
        });
        scope.spawn(move || {
            let begun = Instant::now();
            let _ = server.connect().read_to_end(&mut Vec::new());
            let taken = begun.elapsed();
            assert!(taken >= ms(290) && taken < ms(2000), "mute: {taken:?}");
        });
        scope.spawn(move || {
            let begun = Instant::now();
            let mut stream = server.send("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
            stream.read_to_end(&mut Vec::new()).unwrap();
            let taken = begun.elapsed();
            assert!(taken >= ms(2900) && taken < ms(5000), "idle: {taken:?}");
        });
        scope.spawn(move || {
            let mut stream =
                server.send("GET /metrics?collect[]=huge HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            std::thread::sleep(ms(1200));
            let mut got = Vec::new();
            let _ = stream.read_to_end(&mut got);
            assert!(got.len() < LINE.len() * 2_000_000, "the answer was cut off");
        });
    });
    let patient = Server::start();
    assert_eq!(patient.get("/metrics?collect[]=huge").body.len(), LINE.len() * 2_000_000);
}

#[test]
fn a_thousand_connections_leave_room_for_the_next() {
    let server = Server::start();
    let mut crowd = Vec::new();
    for number in 0..1000 {
        // A third says nothing, a third half a header, a third waits after an answer.
        let request = match number % 3 {
            0 => "",
            1 => "GET /metrics HTTP/1.1\r\nHos",
            _ => "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
        };
        let Ok(mut stream) = TcpStream::connect(server.address) else { continue };
        let _ = stream.write_all(request.as_bytes());
        crowd.push(stream);
    }
    let begun = Instant::now();
    assert_eq!(server.get("/-/healthy").status, 200);
    assert_eq!(server.get("/metrics").body, LINE);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let open = crowd
        .iter_mut()
        .filter_map(|stream| {
            stream.set_nonblocking(true).unwrap();
            // Silence means open; an end or a reset, perhaps behind an answer, means closed.
            let error = stream.read_to_end(&mut Vec::new()).err().map(|error| error.kind());
            (error == Some(std::io::ErrorKind::WouldBlock)).then_some(())
        })
        .count();
    assert!((100..=256).contains(&open), "{open} of {} open", crowd.len());
}

#[test]
fn busy_connections_are_not_sacrificed() {
    let limits = Limits { connections: 8, ..Limits::default() };
    let server = Server::with(limits, "/metrics", 0);
    let mut busy: Vec<_> = (0..7)
        .map(|_| server.send("GET /metrics?collect[]=slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
        .collect();
    while server.figure("promhttp_metric_handler_requests_in_flight", "") < 6.5 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let idle: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for stream in &mut busy {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(Answer::parse(&bytes).body, LINE);
    }
    drop(idle);
}

#[test]
fn it_ends_at_once_when_idle_and_lets_answers_finish() {
    let mut server = Server::start();
    let mut idle = server.send("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut silent = server.connect();
    let mut one = [0; 1];
    idle.read_exact(&mut one).unwrap();
    let taken = server.stop();
    assert!(taken < Duration::from_millis(150), "{taken:?}");
    for stream in [&mut idle, &mut silent] {
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(TcpStream::connect(server.address).is_err(), "the port is free again");

    let mut server = Server::start();
    let mut slow = server.send("GET /metrics?collect[]=slow HTTP/1.1\r\nHost: x\r\n\r\n");
    let _stuck = server.send("GET /metrics?collect[]=never HTTP/1.1\r\nHost: x\r\n\r\n");
    while server.figure("promhttp_metric_handler_requests_in_flight", "") < 1.5 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let taken = server.stop();
    assert!(taken > Duration::from_millis(150) && taken < Duration::from_millis(600), "{taken:?}");
    let mut bytes = Vec::new();
    slow.read_to_end(&mut bytes).unwrap();
    assert_eq!(Answer::parse(&bytes).body, LINE);
}

/// The limit of descriptors is the whole process's, so the server gets a process of its own.
#[test]
fn without_descriptors_idle_connections_make_room() {
    let child = "web::tests::serve_for_the_test_above";
    let mut server = Command::new("sh")
        .args(["-c", "ulimit -n 32 && exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", child, "--ignored", "--nocapture", "--test-threads=1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let address: SocketAddr = lines
        .find_map(|line| line.unwrap().split_once("serving on ").map(|(_, address)| address.parse().unwrap()))
        .unwrap();
    let crowd: Vec<_> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /-/healthy HTTP/1.0\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(Answer::parse(&bytes).status, 200);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    drop((crowd, server.stdin.take()));
    assert!(server.wait().unwrap().success());
}

#[test]
#[ignore = "run by the test above with few descriptors"]
fn serve_for_the_test_above() {
    let server = Server::start();
    println!("serving on {}", server.address);
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
