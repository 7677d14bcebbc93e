#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use h2::server::{self, SendResponse};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

use super::{Client, Error, Method};

const METHOD: Method = Method { path: "/a.B/C", limit: 1000 };
const OTHER: Method = Method { path: "/a.B/D", limit: 1000 };

/// What a peer does with a connection.
#[derive(Clone)]
enum Peer {
    /// Answers each call with these pieces of a body, then with this status; without one the body stays open.
    Body(Vec<Vec<u8>>, Option<&'static str>),
    /// Answers with a status in the head.
    Head(&'static str),
    /// Answers with an HTTP status.
    Http(u16),
    /// Ends the body without a status.
    Cut,
    /// Resets each stream.
    Reset,
    /// Tells the client to go.
    Goaway,
    /// Writes these bytes, and no HTTP/2.
    Bytes(Vec<u8>),
    /// Writes one byte of good HTTP/2 every ten milliseconds.
    Trickle,
    /// Reads and says nothing.
    Silence,
    /// Endless headers.
    Headers,
}

struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn listen(peer: Peer) -> (Place, Client) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("grpc-client-{}-{number}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, peer.clone()));
        }
    });
    (Place(path.clone()), Client { socket: path, timeout: Duration::from_millis(300) })
}

async fn serve(mut stream: UnixStream, peer: Peer) {
    match &peer {
        Peer::Bytes(bytes) => {
            let _ = stream.write_all(bytes).await;
            return std::future::pending().await;
        }
        Peer::Trickle => {
            // A settings frame, and a ping for ever.
            let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
            for byte in [0, 0, 0, 4, 0, 0, 0, 0, 0].iter().chain(ping.iter().cycle()) {
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Peer::Silence => return std::future::pending().await,
        _ => {}
    }
    let Ok(mut connection) = server::handshake(stream).await else { return };
    while let Some(Ok((request, answer))) = connection.accept().await {
        if matches!(peer, Peer::Goaway) {
            connection.graceful_shutdown();
            continue;
        }
        tokio::spawn(answer_one(request, answer, peer.clone()));
    }
}

async fn answer_one(
    request: Request<h2::RecvStream>,
    mut answer: SendResponse<Bytes>,
    peer: Peer,
) -> Option<()> {
    let head = Response::builder();
    if request.uri().path() == OTHER.path {
        answer.send_response(head.header("grpc-status", "12").body(()).ok()?, true).ok()?;
        return Some(());
    }
    match peer {
        Peer::Body(pieces, status) => {
            let mut body = answer.send_response(head.body(()).ok()?, false).ok()?;
            for piece in pieces {
                body.send_data(Bytes::from(piece), false).ok()?;
            }
            match status {
                Some(status) => {
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", HeaderValue::from_static(status));
                    body.send_trailers(trailers).ok()?;
                }
                None => std::future::pending().await,
            }
        }
        Peer::Head(status) => {
            answer.send_response(head.header("grpc-status", status).body(()).ok()?, true).ok()?;
        }
        Peer::Http(status) => {
            answer.send_response(head.status(status).body(()).ok()?, true).ok()?;
        }
        Peer::Cut => {
            let mut body = answer.send_response(head.body(()).ok()?, false).ok()?;
            body.send_data(Bytes::from(framed(b"abc")), true).ok()?;
        }
        Peer::Headers => {
            let head =
                (0..2000).fold(head, |head, number| head.header(format!("x-{number}"), "y".repeat(100)));
            answer.send_response(head.body(()).ok()?, true).ok()?;
        }
        _ => answer.send_reset(h2::Reason::INTERNAL_ERROR),
    }
    Some(())
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}

async fn call(peer: Peer) -> Result<Bytes, Error> {
    let (_place, client) = listen(peer);
    client.connect().await?.call(&METHOD, &[("x", "y")], b"question").await
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn an_answer_is_put_together_from_its_pieces() {
    run(async {
        let whole = framed(&[7; 999]);
        let pieces = whole.chunks(100).map(<[u8]>::to_vec).collect();
        assert_eq!(call(Peer::Body(pieces, Some("0"))).await.unwrap(), vec![7; 999]);
        assert_eq!(call(Peer::Body(vec![framed(b"")], Some("0"))).await.unwrap(), "");
    });
}

#[test]
fn statuses_are_told_apart() {
    run(async {
        for peer in [Peer::Head("5"), Peer::Head("3"), Peer::Body(vec![], Some("5"))] {
            assert!(matches!(call(peer).await, Err(Error::NotFound { .. })));
        }
        for peer in [Peer::Head("12"), Peer::Body(vec![framed(b"abc")], Some("13")), Peer::Http(503)] {
            let error = call(peer).await.unwrap_err();
            assert!(matches!(error, Error::Refused { .. }), "{error}");
        }
    });
}

#[test]
fn whatever_comes_the_error_is_clear_and_comes_in_time() {
    run(async {
        let huge = [&[0, 0xff, 0xff, 0xff, 0xff][..], &[0; 100]].concat();
        let compressed = [&[1, 0, 0, 0, 1][..], b"a"].concat();
        let cut_short = vec![framed(b"abc")[..7].to_vec()];
        let two = vec![framed(b"abc"), framed(b"abc")];
        for (peer, expected) in [
            (Peer::Body(vec![framed(&[0; 1001])], Some("0")), "larger than 1000 bytes"),
            (Peer::Body(vec![huge], None), "larger than 1000 bytes"),
            (Peer::Body(vec![compressed], Some("0")), "makes no sense"),
            (Peer::Body(cut_short, Some("0")), "makes no sense"),
            (Peer::Body(two, Some("0")), "makes no sense"),
            (Peer::Body(vec![], Some("0")), "makes no sense"),
            (Peer::Body(vec![framed(b"abc")], Some("nonsense")), "makes no sense"),
            (Peer::Head("0"), "makes no sense"),
            (Peer::Cut, "makes no sense"),
            (Peer::Body(vec![framed(b"abc")[..7].to_vec()], None), "no answer in time"),
            (Peer::Body(vec![framed(b"abc")], None), "no answer in time"),
            (Peer::Silence, "no answer in time"),
            (Peer::Trickle, "no answer in time"),
            (Peer::Reset, "/a.B/C: "),
            (Peer::Headers, "/a.B/C: "),
            (Peer::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "/a.B/C: "),
            (Peer::Bytes(vec![0xff; 100_000]), "/a.B/C: "),
            (Peer::Bytes([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(10_000)), "/a.B/C: "),
        ] {
            let error = call(peer).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = call(Peer::Goaway).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Failed { .. } | Error::Late { .. }), "{error}");
        let nobody = Client { socket: "/nonexistent/socket".into(), timeout: Duration::from_secs(1) };
        assert!(matches!(nobody.connect().await, Err(Error::Connect { .. })));
    });
}

async fn stream(peer: Peer) -> Result<super::Stream, Error> {
    let (place, client) = listen(peer);
    let stream = client.connect().await?.stream(&METHOD, b"question", &OTHER).await;
    drop(place);
    stream
}

#[test]
fn a_stream_is_open_before_its_head_comes_and_hands_out_whole_messages() {
    run(async {
        let mut quiet = stream(Peer::Body(vec![], None)).await.unwrap();
        let wait = tokio::time::timeout(Duration::from_millis(400), quiet.next()).await;
        assert!(wait.is_err(), "nothing begun is not late");

        let both = [framed(b"one"), framed(b"two")].concat();
        let pieces = both.chunks(3).map(<[u8]>::to_vec).collect();
        let mut told = stream(Peer::Body(pieces, Some("0"))).await.unwrap();
        assert_eq!(told.next().await.unwrap(), "one");
        assert_eq!(told.next().await.unwrap(), "two");
        assert!(matches!(told.next().await, Err(Error::Ended { .. })));
    });
}

#[test]
fn a_stream_that_is_refused_or_odd_ends() {
    run(async {
        for (peer, expected) in [
            (Peer::Head("12"), "gRPC status 12"),
            (Peer::Head("0"), "ended the stream"),
            (Peer::Body(vec![framed(b"abc")[..7].to_vec()], None), "no answer in time"),
            (Peer::Body(vec![framed(&[0; 1001])], None), "larger than 1000 bytes"),
            (Peer::Cut, "makes no sense"),
            (Peer::Reset, "/a.B/C: "),
        ] {
            let mut told = stream(peer).await.unwrap();
            let error = loop {
                if let Err(error) = told.next().await {
                    break error.to_string();
                }
            };
            assert!(error.contains(expected), "{error}");
        }
        assert!(stream(Peer::Silence).await.is_err());
    });
}
