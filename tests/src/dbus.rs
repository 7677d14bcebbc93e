//! A D-Bus server that answers what a test told it to, or does not.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::temp::TempDir;

/// A message's body as it is built, little-endian.
#[derive(Debug, Default, Clone)]
pub struct Body {
    /// Its signature.
    pub signature: String,
    bytes: Vec<u8>,
}

impl Body {
    /// A body of this signature; its values are to be added.
    pub fn new(signature: &str) -> Self {
        Self { signature: signature.to_owned(), bytes: Vec::new() }
    }

    /// The body of a property's answer.
    pub fn variant(value: &Value) -> Self {
        let mut body = Self::new("v");
        let (signature, bytes) = match value {
            Value::Text(text) => ("s", text.as_bytes()),
            Value::U32(number) => ("u", &number.to_le_bytes()[..]),
            Value::U64(number) => ("t", &number.to_le_bytes()[..]),
            Value::Bool(yes) => ("b", &u32::from(*yes).to_le_bytes()[..]),
        };
        body.signature(signature);
        match value {
            Value::Text(text) => body.text(text),
            Value::U64(_) => body.align(8).raw(bytes),
            _ => body.align(4).raw(bytes),
        };
        body
    }

    /// Pads to this alignment.
    pub fn align(&mut self, to: usize) -> &mut Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
        self
    }

    /// Adds a text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.u32(u32::try_from(text.len()).unwrap()).raw(text.as_bytes()).raw(&[0])
    }

    /// Adds a number.
    pub fn u32(&mut self, number: u32) -> &mut Self {
        self.align(4).raw(&number.to_le_bytes())
    }

    fn signature(&mut self, text: &str) -> &mut Self {
        self.raw(&[u8::try_from(text.len()).unwrap()]).raw(text.as_bytes()).raw(&[0])
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A list of structs, each filled by `fill`.
    pub fn list<T>(signature: &str, items: &[T], fill: impl Fn(&mut Self, &T)) -> Self {
        let mut body = Self::new(signature);
        body.u32(0).align(8);
        for item in items {
            body.align(8);
            fill(&mut body, item);
        }
        let length = u32::try_from(body.bytes.len() - 8).unwrap();
        body.bytes[..4].copy_from_slice(&length.to_le_bytes());
        body
    }
}

/// A property's value.
#[derive(Debug, Clone)]
pub enum Value {
    /// `s`
    Text(String),
    /// `u`
    U32(u32),
    /// `t`
    U64(u64),
    /// `b`
    Bool(bool),
}

/// What the objects of a server say.
#[derive(Debug, Default)]
pub struct Objects {
    /// Methods without arguments, by object and `interface.method`.
    pub methods: BTreeMap<(String, String), Body>,
    /// Properties, by object and `interface.property`.
    pub properties: BTreeMap<(String, String), Value>,
}

impl Objects {
    /// Sets a property.
    pub fn set(&mut self, object: &str, property: &str, value: Value) {
        self.properties.insert((object.to_owned(), property.to_owned()), value);
    }
}

/// A server on a socket of its own.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    folder: TempDir,
}

#[derive(Debug, Default)]
struct Shared {
    objects: Mutex<Objects>,
    is_silent: AtomicBool,
    is_gone: AtomicBool,
    calls: AtomicU64,
    reads: AtomicU64,
    asked: Mutex<BTreeMap<String, u64>>,
    garbage: Mutex<Option<Vec<u8>>>,
    connections: Mutex<Vec<UnixStream>>,
}

impl Server {
    /// Starts it.
    pub fn start(objects: Objects) -> Self {
        let folder = TempDir::new("bus");
        let shared = Arc::new(Shared { objects: Mutex::new(objects), ..Shared::default() });
        let listener = UnixListener::bind(folder.path().join("bus")).unwrap();
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if theirs.is_gone.load(Ordering::Acquire) {
                    return;
                }
                lock(&theirs.connections).push(stream.try_clone().unwrap());
                let theirs = Arc::clone(&theirs);
                std::thread::spawn(move || serve(stream, &theirs));
            }
        });
        Self { shared, folder }
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("bus")
    }

    /// Changes what it says.
    pub fn change(&self, change: impl FnOnce(&mut Objects)) {
        change(&mut lock(&self.shared.objects));
    }

    /// Whether it takes calls and answers none, not even the greeting.
    pub fn be_silent(&self, is_silent: bool) {
        self.shared.is_silent.store(is_silent, Ordering::Release);
    }

    /// Says this in place of each answer.
    pub fn say(&self, garbage: Option<Vec<u8>>) {
        *lock(&self.shared.garbage) = garbage;
    }

    /// Closes every connection.
    pub fn hang_up(&self) {
        for stream in lock(&self.shared.connections).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Calls received, and reads in which they came, since the last time this was asked.
    pub fn taken(&self) -> (u64, u64) {
        (self.shared.calls.swap(0, Ordering::AcqRel), self.shared.reads.swap(0, Ordering::AcqRel))
    }

    /// How often each method and property was asked for since the last time this was asked.
    pub fn asked(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut lock(&self.shared.asked))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_gone.store(true, Ordering::Release);
        self.hang_up();
        let _ = UnixStream::connect(self.socket());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut stream: UnixStream, shared: &Shared) {
    if shared.is_silent.load(Ordering::Acquire) || greet(&mut stream).is_none() {
        // Takes what comes until the peer, or the server, ends.
        while stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {}
        return;
    }
    let mut waiting = Vec::new();
    let mut piece = vec![0; 1 << 20];
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        shared.reads.fetch_add(1, Ordering::AcqRel);
        waiting.extend_from_slice(&piece[..length]);
        let mut out = Vec::new();
        while let Some(call) = Call::take(&mut waiting) {
            shared.calls.fetch_add(1, Ordering::AcqRel);
            if !shared.is_silent.load(Ordering::Acquire) {
                out.extend(call.answer(shared));
            }
        }
        if stream.write_all(&out).is_err() {
            return;
        }
    }
}

fn greet(stream: &mut UnixStream) -> Option<()> {
    // A byte at a time, so that nothing behind the line is taken.
    let line = |stream: &mut UnixStream| {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        String::from_utf8(line).ok()
    };
    loop {
        let said = line(stream)?;
        let answer = match said.trim_start_matches('\0').split_whitespace().next()? {
            "BEGIN" => return Some(()),
            "AUTH" if said.contains("EXTERNAL") => "OK 0123456789abcdef0123456789abcdef\r\n",
            "AUTH" => "REJECTED EXTERNAL\r\n",
            _ => "ERROR\r\n",
        };
        stream.write_all(answer.as_bytes()).ok()?;
    }
}

struct Call {
    serial: u32,
    object: String,
    member: String,
    texts: Vec<String>,
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn text_at(bytes: &[u8], at: usize) -> (String, usize) {
    let length = u32_at(bytes, at);
    (String::from_utf8(bytes[at + 4..at + 4 + length].to_vec()).unwrap(), at + 4 + length + 1)
}

impl Call {
    /// The first whole call, taken off. (Clients on this machine send little-endian.)
    fn take(waiting: &mut Vec<u8>) -> Option<Self> {
        if waiting.len() < 16 {
            return None;
        }
        assert_eq!((waiting[0], waiting[3]), (b'l', 1), "a little-endian message of version 1");
        let (body_length, fields) = (u32_at(waiting, 4), u32_at(waiting, 12));
        let body_at = (16 + fields).next_multiple_of(8);
        if waiting.len() < body_at + body_length {
            return None;
        }
        let message: Vec<u8> = waiting.drain(..body_at + body_length).collect();
        let mut call = Self {
            serial: u32::try_from(u32_at(&message, 8)).unwrap(),
            object: String::new(),
            member: String::new(),
            texts: Vec::new(),
        };
        let (mut at, mut interface, mut count) = (16, String::new(), 0);
        while at < 16 + fields {
            at = at.next_multiple_of(8);
            let code = message[at];
            if code == 8 {
                let length = usize::from(message[at + 4]);
                let signature = &message[at + 5..at + 5 + length];
                assert!(signature.iter().all(|&of| of == b's'), "takes texts only: {signature:?}");
                count = length;
                at += 5 + length + 1;
                continue;
            }
            let (text, end) = text_at(&message, at + 4);
            match code {
                1 => call.object = text,
                2 => interface = text,
                3 => call.member = text,
                _ => {}
            }
            at = end;
        }
        call.member = format!("{interface}.{}", call.member);
        let mut at = body_at;
        for _ in 0..count {
            let (text, end) = text_at(&message, at.next_multiple_of(4));
            call.texts.push(text);
            at = end;
        }
        Some(call)
    }

    fn answer(&self, shared: &Shared) -> Vec<u8> {
        if let Some(garbage) = &*lock(&shared.garbage) {
            return garbage.clone();
        }
        let objects = lock(&shared.objects);
        let (what, body) = if self.member == "org.freedesktop.DBus.Properties.Get" {
            let property = self.texts.join(".");
            let value = objects.properties.get(&(self.object.clone(), property.clone()));
            (property, value.map(Body::variant))
        } else if self.member == "org.freedesktop.DBus.Hello" {
            let mut name = Body::new("s");
            name.text(":1.1");
            (self.member.clone(), Some(name))
        } else {
            let known = objects.methods.get(&(self.object.clone(), self.member.clone())).cloned();
            (self.member.clone(), known)
        };
        *lock(&shared.asked).entry(what).or_default() += 1;
        message(self.serial, body.as_ref().ok_or("org.freedesktop.DBus.Error.UnknownMethod"))
    }
}

/// The answer to the call of this serial: its body, or an error's name.
pub fn message(answers: u32, body: Result<&Body, &str>) -> Vec<u8> {
    let mut fields = Body::default();
    fields.raw(&[5, 1, b'u', 0]).u32(answers);
    // Where the bus would say who answers.
    fields.align(8).raw(&[7, 1, b's', 0]).text(":1.0");
    match body {
        Err(error) => fields.align(8).raw(&[4, 1, b's', 0]).text(error),
        Ok(body) => fields.align(8).raw(&[8, 1, b'g', 0]).signature(&body.signature),
    };
    let bytes = body.map_or(&[][..], |body| &body.bytes);
    let mut out = Body::default();
    out.raw(&[b'l', if body.is_ok() { 2 } else { 3 }, 1, 1]);
    out.u32(u32::try_from(bytes.len()).unwrap()).u32(1);
    out.u32(u32::try_from(fields.bytes.len()).unwrap()).raw(&fields.bytes).align(8).raw(bytes);
    out.bytes
}

/// A unit of systemd.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// `loaded`, `not-found` and so on.
    pub load: &'static str,
    /// `active`, `inactive` and so on.
    pub active: &'static str,
    /// `running`, `dead` and so on.
    pub sub: &'static str,
}

impl Unit {
    /// A unit that is loaded.
    pub fn new(name: impl Into<String>, active: &'static str, sub: &'static str) -> Self {
        Self { name: name.into(), load: "loaded", active, sub }
    }

    /// Its object, named as systemd names it.
    pub fn object(&self) -> String {
        let mut path = "/org/freedesktop/systemd1/unit/".to_owned();
        for (at, byte) in self.name.bytes().enumerate() {
            let plain = byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && at > 0);
            if plain { path.push(byte.into()) } else { write!(path, "_{byte:02x}").unwrap() }
        }
        path
    }
}

/// systemd's answer about itself.
pub fn systemd(objects: &mut Objects, version: &str, virtualization: &str, state: &str) {
    for (property, value) in [
        ("Version", Value::Text(version.to_owned())),
        ("Virtualization", Value::Text(virtualization.to_owned())),
        ("SystemState", Value::Text(state.to_owned())),
        ("UnitsLoadTimestampMonotonic", Value::U64(1)),
    ] {
        let property = format!("org.freedesktop.systemd1.Manager.{property}");
        objects.set("/org/freedesktop/systemd1", &property, value);
    }
}

/// systemd's list of units.
pub fn list_units(objects: &mut Objects, units: &[Unit]) {
    let list = Body::list("a(ssssssouso)", units, |body, unit| {
        body.text(&unit.name).text("What it is for, in a few words");
        body.text(unit.load).text(unit.active).text(unit.sub).text("");
        body.text(&unit.object()).u32(0).text("").text("/");
    });
    let method = "org.freedesktop.systemd1.Manager.ListUnits".to_owned();
    objects.methods.insert(("/org/freedesktop/systemd1".to_owned(), method), list);
}

/// The environment variable that names a bus' socket.
pub fn address(socket: &Path) -> (&'static str, String) {
    ("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", socket.display()))
}
