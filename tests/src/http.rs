//! A small HTTP/1.1 client on a plain socket: what a test wants to see of the wire stays visible.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body without the chunks' frames.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A kept-alive connection.
#[derive(Debug)]
pub struct Connection {
    socket: BufReader<TcpStream>,
    host: SocketAddr,
}

impl Connection {
    /// Connects; reads and writes give up after 30 s.
    ///
    /// # Errors
    /// As the socket says.
    pub fn open(address: SocketAddr) -> std::io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        socket.set_write_timeout(Some(Duration::from_secs(30)))?;
        socket.set_nodelay(true)?;
        Ok(Self { socket: BufReader::with_capacity(1 << 16, socket), host: address })
    }

    /// One request and its whole answer.
    ///
    /// # Errors
    /// As the socket says, or `InvalidData` for an answer that is not HTTP.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> std::io::Result<Response> {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        text.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
        text.push_str("\r\n");
        self.socket.get_mut().write_all(text.as_bytes())?;
        let mut answer = self.head()?;
        if method != "HEAD" && answer.status != 204 && answer.status != 304 {
            answer.body = self.body(&answer)?;
        }
        Ok(answer)
    }

    fn head(&mut self) -> std::io::Result<Response> {
        let first = self.line()?;
        let status =
            first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| invalid(&first))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Response { status, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(&line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, head: &Response) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if let Some(length) = head.header("content-length") {
            body.resize(length.parse().map_err(|_| invalid(length))?, 0);
            self.socket.read_exact(&mut body)?;
        } else if head.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = self.line()?;
                let size = usize::from_str_radix(&size, 16).map_err(|_| invalid(&size))?;
                let begin = body.len();
                body.resize(begin + size, 0);
                self.socket.read_exact(&mut body[begin..])?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.socket.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.socket.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

fn invalid(what: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned())
}

/// One GET on a connection of its own.
///
/// # Errors
/// As [`Connection::request`].
pub fn get(address: SocketAddr, target: &str) -> std::io::Result<Response> {
    Connection::open(address)?.request("GET", target, &[("Connection", "close")])
}

/// A loopback address with a port that was free a moment ago.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_with(text: &'static str) -> Response {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut asked = [0; 512];
            let n = socket.read(&mut asked).unwrap();
            assert!(asked[..n].starts_with(b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:"));
            socket.write_all(text.as_bytes()).unwrap();
        });
        let response = get(address, "/x").unwrap();
        server.join().unwrap();
        response
    }

    #[test]
    fn bodies_with_length_in_chunks_and_to_the_end_are_read() {
        let sized = answer_with("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabcd");
        assert_eq!((sized.status, sized.text().as_str(), sized.header("x")), (200, "abc", Some("y")));
        let chunked = answer_with(
            "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\na\r\n0123456789\r\n0\r\n\r\n",
        );
        assert_eq!((chunked.status, chunked.text().as_str()), (503, "ab0123456789"));
        assert_eq!(answer_with("HTTP/1.1 200 OK\r\n\r\nto the end").text(), "to the end");
    }
}
