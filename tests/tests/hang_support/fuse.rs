//! A FUSE mount whose server reads every request and answers none, until it is let go.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::Hangs;

/// What the server does.
const SILENT: u8 = 0;
const ANSWERS: u8 = 1;
const ENDS: u8 = 2;

/// Requests that the server knows; to each other one it says that it failed.
const FORGET: u32 = 2;
const STATFS: u32 = 17;
const INIT: u32 = 26;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;
const IN_HEADER: usize = 40;
const EIO: i32 = 5;

pub struct DeadMount {
    at: PathBuf,
    state: Arc<AtomicU8>,
    server: Option<JoinHandle<()>>,
}

impl DeadMount {
    /// Whoever asks it for anything sleeps until it is let go, whatever signal comes: the request has been read.
    pub fn new(at: &Path) -> Self {
        let device = File::options().read(true).write(true).open("/dev/fuse").unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        mount("dead", at, "fuse", MountFlags::empty(), Some(options.as_c_str())).unwrap();
        let state = Arc::new(AtomicU8::new(SILENT));
        let theirs = Arc::clone(&state);
        let server = std::thread::spawn(move || serve(device, &theirs));
        Self { at: at.to_owned(), state, server: Some(server) }
    }
}

impl Hangs for DeadMount {
    fn let_go(&mut self) {
        self.state.store(ANSWERS, Ordering::Relaxed);
    }
}

impl Drop for DeadMount {
    fn drop(&mut self) {
        // With the server's end every wait ends with an error.
        self.state.store(ENDS, Ordering::Relaxed);
        let _ = self.server.take().unwrap().join();
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}

fn serve(mut device: File, state: &AtomicU8) {
    let mut request = vec![0; 1 << 18];
    let mut unanswered = Vec::new();
    loop {
        let now = state.load(Ordering::Relaxed);
        if now == ENDS {
            return;
        }
        if now == ANSWERS {
            unanswered.drain(..).for_each(|(operation, id)| answer(&mut device, operation, id));
        }
        let wait = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        if !matches!(poll(&mut [PollFd::new(&device, PollFlags::IN)], Some(&wait)), Ok(1..)) {
            continue;
        }
        let Ok(length) = device.read(&mut request) else { return };
        let header = &request[..IN_HEADER.min(length)];
        let operation = u32::from_ne_bytes(header[4..8].try_into().unwrap());
        let id = u64::from_ne_bytes(header[8..16].try_into().unwrap());
        match operation {
            INIT => answer(&mut device, operation, id),
            FORGET | BATCH_FORGET | INTERRUPT => {}
            _ => unanswered.push((operation, id)),
        }
    }
}

/// Writes the answer; that nobody waits for it any more is no matter.
fn answer(device: &mut File, operation: u32, id: u64) {
    let (error, body) = match operation {
        // Version 7.31, no wishes.
        INIT => (0, words(&[7, 31, 0, 0, 0, 4096, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        // 1,000 blocks of 4,096 bytes, 500 free, and the same of files.
        STATFS => {
            (0, words(&[1000, 0, 500, 0, 500, 0, 1000, 0, 500, 0, 4096, 255, 4096, 0, 0, 0, 0, 0, 0, 0]))
        }
        _ => (-EIO, Vec::new()),
    };
    let mut text = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
    text.extend_from_slice(&error.to_ne_bytes());
    text.extend_from_slice(&id.to_ne_bytes());
    text.extend_from_slice(&body);
    let _ = device.write_all(&text);
}

/// Numbers of 64 bits are given as two, the lower half first.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
