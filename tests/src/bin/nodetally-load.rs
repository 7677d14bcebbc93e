//! Load of known size, one static file that runs on the host and in any container:
//!
//! * `cpu PERCENT`: burns that share of one CPU
//! * `memory BYTES`: touches that much memory and holds it
//! * `hold FILES SOCKETS THREADS`: opens that many files and sockets, and starts that many threads
//! * `connect LISTENERS CONNECTIONS UDP`: that many TCP listeners, connections to them and UDP sockets, all
//!   on the loopback
//! * `sink PORT`: takes UDP datagrams and TCP streams and answers nothing
//! * `udp ADDRESS BYTES_PER_SECOND`, `tcp ADDRESS BYTES_PER_SECOND`: sends at that rate
//! * `burn MILLISECONDS`: burns so much CPU time, prints `used NANOSECONDS` (all its own since its start) and rests
//! * `send ADDRESS BYTES`: sends so much over TCP, prints `sent` when all was taken, and holds another connection
//!
//! Runs until it is killed.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["cpu", percent] => cpu(number(percent)),
        ["memory", bytes] => memory(number(bytes)),
        ["sink", port] => sink(port),
        ["hold", files, sockets, threads] => hold(number(files), number(sockets), number(threads)),
        ["connect", listeners, connections, udp] => {
            connect(number(listeners), number(connections), number(udp))
        }
        ["udp", address, rate] => {
            let socket = UdpSocket::bind("0.0.0.0:0").and_then(|s| s.connect(address).map(|()| s));
            let socket = socket.unwrap_or_else(|e| end(&format!("{address}: {e}")));
            // A lost or refused datagram is still sent: the sender goes on.
            paced(number(rate), 1000, |piece| drop(socket.send(piece)));
        }
        ["tcp", address, rate] => {
            let mut socket = TcpStream::connect(address).unwrap_or_else(|e| end(&format!("{address}: {e}")));
            paced(number(rate), 16 << 10, |piece| {
                socket.write_all(piece).unwrap_or_else(|e| end(&format!("{address}: {e}")));
            });
        }
        ["burn", milliseconds] => burn(Duration::from_millis(number(milliseconds))),
        ["send", address, bytes] => send(address, number(bytes)),
        _ => end(
            "usage: cpu PERCENT | memory BYTES | hold FILES SOCKETS THREADS | connect LISTENERS CONNECTIONS UDP | sink PORT | udp ADDRESS RATE | tcp ADDRESS RATE | burn MS | send ADDRESS BYTES",
        ),
    }
}

fn end(why: &str) -> ! {
    eprintln!("nodetally-load: {why}");
    std::process::exit(1)
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| end(&format!("not a number: {text}")))
}

/// Says `ready` once all is there, and keeps it.
fn stay<T>(_kept: T) -> ! {
    println!("ready");
    loop {
        std::thread::park();
    }
}

fn hold(files: u64, sockets: u64, threads: u64) -> ! {
    let files: Vec<_> = (0..files).map(|_| must(File::open("/dev/null"))).collect();
    let sockets: Vec<_> = (0..sockets).map(|_| must(UnixDatagram::unbound())).collect();
    for _ in 0..threads {
        std::thread::spawn(|| {
            loop {
                std::thread::park();
            }
        });
    }
    stay((files, sockets))
}

fn connect(listeners: u64, connections: u64, udp: u64) -> ! {
    let listeners: Vec<_> = (0..listeners).map(|_| must(TcpListener::bind("127.0.0.1:0"))).collect();
    let udp: Vec<_> = (0..udp).map(|_| must(UdpSocket::bind("127.0.0.1:0"))).collect();
    let connect = |listener: &TcpListener| {
        let there = must(TcpStream::connect(must(listener.local_addr())));
        (there, must(listener.accept()))
    };
    let connections: Vec<_> =
        (0..connections).zip(listeners.iter().cycle()).map(|(_, to)| connect(to)).collect();
    stay((listeners, udp, connections))
}

fn must<T>(done: std::io::Result<T>) -> T {
    done.unwrap_or_else(|e| end(&e.to_string()))
}

fn cpu(percent: u64) {
    const PERIOD: Duration = Duration::from_millis(20);
    let busy = PERIOD.mul_f64(percent.min(100) as f64 / 100.0);
    let mut due = Instant::now();
    loop {
        while due.elapsed() < busy {
            std::hint::spin_loop();
        }
        due += PERIOD;
        if percent < 100 {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
}

fn burn(wanted: Duration) {
    let end = cpu_time() + wanted;
    while cpu_time() < end {
        for _ in 0..10_000 {
            std::hint::spin_loop();
        }
    }
    println!("used {}", cpu_time().as_nanos());
    rest()
}

/// The CPU time of this process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn send(address: &str, bytes: u64) {
    let connect = || TcpStream::connect(address).unwrap_or_else(|e| end(&format!("{address}: {e}")));
    let (held, mut socket) = (connect(), connect());
    let data = [0x5a_u8; 16 << 10];
    let mut left = bytes;
    while left > 0 {
        let piece = usize::try_from(left).map_or(data.len(), |left| left.min(data.len()));
        socket.write_all(&data[..piece]).unwrap_or_else(|e| end(&format!("{address}: {e}")));
        left -= piece as u64;
    }
    // The other end closes when it has read all of it.
    let ended = socket.shutdown(Shutdown::Write).and_then(|()| socket.read(&mut [0]));
    ended.unwrap_or_else(|e| end(&format!("{address}: {e}")));
    println!("sent");
    // It stays open with this process.
    std::mem::forget(held);
    rest()
}

fn rest() -> ! {
    loop {
        std::thread::park();
    }
}

fn memory(bytes: u64) {
    let mut held = vec![0_u8; usize::try_from(bytes).unwrap_or_else(|_| end("too much memory"))];
    for page in held.chunks_mut(4096) {
        page[0] = 1;
    }
    println!("holding {}", std::hint::black_box(&held).len());
    rest()
}

fn sink(port: &str) {
    let address = format!("0.0.0.0:{port}");
    let udp = UdpSocket::bind(&address).unwrap_or_else(|e| end(&format!("{address}: {e}")));
    std::thread::spawn(move || {
        let mut piece = [0; 2048];
        while udp.recv(&mut piece).is_ok() {}
    });
    let tcp = TcpListener::bind(&address).unwrap_or_else(|e| end(&format!("{address}: {e}")));
    println!("listening");
    for mut stream in tcp.incoming().flatten() {
        std::thread::spawn(move || {
            let mut piece = vec![0; 64 << 10];
            while matches!(stream.read(&mut piece), Ok(1..)) {}
        });
    }
}

/// Sends pieces so that the bytes sent never run ahead of the clock; a late one is caught up.
fn paced(bytes_per_second: u64, piece: usize, mut send: impl FnMut(&[u8])) {
    let data = vec![0x5a_u8; piece];
    let begun = Instant::now();
    let interval = Duration::from_secs_f64(piece as f64 / bytes_per_second.max(1) as f64);
    let mut due = begun;
    loop {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        send(&data);
        due += interval;
    }
}
