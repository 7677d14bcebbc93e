use std::{
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    thread::JoinHandle,
};

use super::*;

/// A peer that reads what it is sent and says what the test wants, one piece after each read.
struct Fake {
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    fn new(says: impl Fn(UnixStream) + Send + 'static, connections: usize) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("nodetally-bus-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).expect("binds");
        let thread = std::thread::spawn(move || {
            for _ in 0..connections {
                says(listener.accept().expect("accepts").0);
            }
        });
        Self { path, thread: Some(thread) }
    }

    fn client(&self) -> Client {
        let address = Address::Path(self.path.as_os_str().as_encoded_bytes().to_vec());
        Client {
            peers: vec![Peer { address, is_bus: false }],
            longest: Duration::from_secs(20),
            connection: None,
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn greet(stream: &mut UnixStream) {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        seen.push(byte[0]);
    }
    assert!(seen.starts_with(b"\0AUTH EXTERNAL "), "{seen:?}");
    let _ = stream.write_all(b"OK 1234\r\n");
    let mut begin = [0; 7];
    let _ = stream.read_exact(&mut begin);
}

/// The serials of the calls that come in one read.
fn calls(stream: &mut UnixStream, count: usize) -> Vec<u32> {
    let mut serials = Vec::new();
    let mut prefix = [0; PREFIX];
    while serials.len() < count && stream.read_exact(&mut prefix).is_ok() {
        serials.push(u32::from_le_bytes([prefix[8], prefix[9], prefix[10], prefix[11]]));
        let rest = message::length(&prefix).expect("is a call") - PREFIX;
        stream.read_exact(&mut vec![0; rest]).expect("comes whole");
    }
    serials
}

fn answer(serial: u32, value: u32) -> Vec<u8> {
    let mut out = b"l\x02\0\x01\x08\0\0\0\x01\0\0\0\x0f\0\0\0\x05\x01u\0".to_vec();
    out.extend_from_slice(&serial.to_le_bytes());
    out.extend_from_slice(b"\x08\x01g\0\x01v\0\0\x01u\0\0");
    out.extend_from_slice(&value.to_le_bytes());
    out
}

const SIGNAL: &[u8] = b"l\x04\0\x01\0\0\0\0\x01\0\0\0\0\0\0\0";

fn ask(client: &mut Client, count: usize) -> Result<Vec<Option<u64>>, Error> {
    let mut questions = Calls::default();
    for place in 0..count {
        questions.property("a.b", b"/c", "d.e", &format!("P{place}"));
    }
    let mut answers = vec![None; count];
    client.begin()?;
    client.ask(&mut questions, |place, reply| {
        answers[place] = reply.property().and_then(Plain::whole);
        Ok(())
    })?;
    Ok(answers)
}

#[test]
fn many_calls_are_asked_in_few_writes_and_answered_in_any_order() {
    let fake = Fake::new(
        |mut stream| {
            greet(&mut stream);
            for count in [MOST_CALLS, 50, 1] {
                let serials = calls(&mut stream, count);
                let mut out = SIGNAL.to_vec();
                serials.iter().rev().for_each(|&serial| out.extend(answer(serial, serial)));
                stream.write_all(&out).expect("writes");
            }
        },
        1,
    );
    let mut client = fake.client();
    let answers = ask(&mut client, MOST_CALLS + 50).expect("is answered");
    let wanted: Vec<_> = (1..=MOST_CALLS as u64 + 50).map(Some).collect();
    assert_eq!(answers, wanted);
    assert_eq!(ask(&mut client, 1).expect("the connection is kept"), [Some(MOST_CALLS as u64 + 51)]);
}

#[test]
fn a_peer_that_went_is_connected_to_anew() {
    let fake = Fake::new(
        |mut stream| {
            greet(&mut stream);
            let serials = calls(&mut stream, 1);
            let _ = stream.write_all(&answer(serials[0], 7));
        },
        2,
    );
    let mut client = fake.client();
    for _ in 0..2 {
        assert_eq!(ask(&mut client, 1).expect("is answered"), [Some(7)]);
        while client.connection.as_ref().is_some_and(Connection::is_alive) {
            std::thread::yield_now();
        }
    }
}

#[test]
fn nonsense_is_an_error_that_says_so() {
    let large = (u32::try_from(LARGEST).expect("fits") + 1).to_le_bytes();
    let giant = [b"l\x02\0\x01", &large[..], b"\x01\0\0\0\0\0\0\0"].concat();
    let cases: [(Vec<u8>, &str); 6] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "this is no D-Bus"),
        (b"l\x02\0\x01\xff\xff\xff\xff\x01\0\0\0\xff\xff\xff\xff".to_vec(), "the answer is too large"),
        (giant, "the answer is too large"),
        (answer(9, 1), "the answer makes no sense"),
        ([answer(1, 1), answer(1, 1)].concat(), "the answer makes no sense"),
        (b"l\x02\0\x01\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec(), "the answer makes no sense"),
    ];
    for (says, why) in cases {
        let fake = Fake::new(
            move |mut stream| {
                greet(&mut stream);
                calls(&mut stream, 2);
                let _ = stream.write_all(&says);
                let _ = stream.read(&mut [0]);
            },
            1,
        );
        let error = ask(&mut fake.client(), 2).expect_err(why).to_string();
        assert!(error.ends_with(why), "{error}");
    }
}

#[test]
fn an_endless_talker_is_cut_off() {
    let fake = Fake::new(
        |mut stream| {
            greet(&mut stream);
            let mut signal = SIGNAL.to_vec();
            signal[6] = 1;
            signal.resize(PREFIX + (1 << 16), 0);
            while stream.write_all(&signal).is_ok() {}
        },
        1,
    );
    let mut client = fake.client();
    let error = ask(&mut client, 1).expect_err("never ends").to_string();
    assert!(error.ends_with("it talks without end"), "{error}");
}

#[test]
fn a_long_line_for_a_greeting_is_cut_off() {
    let fake = Fake::new(
        |mut stream| {
            let _ = stream.write_all(&[b'x'; 4 * LONGEST_LINE]);
            let _ = stream.read(&mut [0]);
        },
        1,
    );
    assert!(ask(&mut fake.client(), 1).expect_err("no greeting").to_string().ends_with("this is no D-Bus"));
}

#[test]
fn who_is_not_let_in_hears_it() {
    let fake = Fake::new(|mut stream| stream.write_all(b"REJECTED EXTERNAL\r\n").expect("writes"), 1);
    assert!(matches!(ask(&mut fake.client(), 1), Err(Error::Unwelcome { .. })));
}

#[test]
fn a_peer_that_ends_early_or_is_silent_is_an_error() {
    let fake = Fake::new(
        |mut stream| {
            greet(&mut stream);
            calls(&mut stream, 1);
        },
        1,
    );
    let error = ask(&mut fake.client(), 1).expect_err("ends");
    assert!(matches!(error, Error::Closed { .. }), "{error}");

    let (end, ended) = std::sync::mpsc::channel::<()>();
    let fake = Fake::new(
        move |mut stream| {
            greet(&mut stream);
            let _ = ended.recv();
        },
        1,
    );
    let mut client = fake.client();
    client.longest = Duration::from_millis(50);
    assert!(matches!(ask(&mut client, 1), Err(Error::Late { .. })));
    assert!(client.connection.is_none(), "a late answer must not meet the next question");
    drop(end);
}

#[test]
fn no_bus_is_told_from_a_broken_one() {
    let missing = || Peer { address: Address::Path(b"/nonexistent/bus".to_vec()), is_bus: true };
    let client = |peers| Client { peers, longest: LONGEST, connection: None };
    assert!(client(vec![missing(), missing()]).begin().expect_err("no bus").is_absent());
    let long = Peer { address: Address::Path(vec![b'x'; 300]), is_bus: true };
    assert!(!client(vec![missing(), long, missing()]).begin().expect_err("no address").is_absent());
    assert!(matches!(client(Vec::new()).begin(), Err(Error::NoAddress)));
}
