//! gzip on a thread of its own: one page at a time, the compressor and its buffer kept.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Instant,
};

use flate2::{Compress, Compression, FlushCompress, Status};
use hyper::body::Bytes;
use tokio::sync::oneshot;

use super::HttpMetrics;

/// Smaller bodies fit in one packet as they are.
const WORTH_IT: usize = 1024;
/// Pages that wait for the thread; those beyond go out as they are.
const QUEUE: usize = 16;
const WINDOW_BITS: u8 = 15;

/// The way to the compressing thread, which ends when this is dropped.
pub(super) struct Compressor {
    jobs: SyncSender<Job>,
}

struct Job {
    plain: Bytes,
    reply: oneshot::Sender<Option<Bytes>>,
}

impl Compressor {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub(super) fn start(metrics: HttpMetrics) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        thread::Builder::new().name("compress".to_owned()).spawn(move || work(&queue, &metrics))?;
        Ok(Self { jobs })
    }

    /// The body as gzip; `None` when it is too small, or the thread is too busy or failed.
    pub(super) async fn gzip(&self, plain: Bytes) -> Option<Bytes> {
        if plain.len() < WORTH_IT {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        self.jobs.try_send(Job { plain, reply }).ok()?;
        answer.await.ok()?
    }
}

fn work(queue: &Receiver<Job>, metrics: &HttpMetrics) {
    let mut gzip = Gzip::new();
    while let Ok(Job { plain, reply }) = queue.recv() {
        if reply.is_closed() {
            continue;
        }
        let begun = Instant::now();
        let packed = gzip.pack(&plain);
        match &packed {
            Some(_) => metrics.compressed_in(begun.elapsed()),
            None => metrics.encoding_failed(),
        }
        // Let go of the page before the answer goes out: its buffer is then free for the next scrape.
        drop(plain);
        // The client may have gone meanwhile.
        let _ = reply.send(packed);
    }
}

struct Gzip {
    stream: Compress,
    last: Bytes,
}

impl Gzip {
    fn new() -> Self {
        Self { stream: Compress::new_gzip(Compression::fast(), WINDOW_BITS), last: Bytes::new() }
    }

    fn pack(&mut self, plain: &[u8]) -> Option<Bytes> {
        let mut packed = self.buffer();
        self.stream.reset();
        loop {
            let taken = usize::try_from(self.stream.total_in()).ok()?;
            packed.reserve(packed.capacity().clamp(16 << 10, 1 << 20));
            match self.stream.compress_vec(plain.get(taken..)?, &mut packed, FlushCompress::Finish).ok()? {
                Status::StreamEnd => break,
                Status::Ok | Status::BufError => {}
            }
        }
        let packed = Bytes::from(packed);
        self.last = packed.clone();
        Some(packed)
    }

    /// The last answer's memory if it has gone out, else new memory.
    fn buffer(&mut self) -> Vec<u8> {
        let last = std::mem::take(&mut self.last);
        if !last.is_unique() {
            return Vec::with_capacity(last.len() + last.len() / 8);
        }
        let mut buffer = Vec::from(last);
        buffer.clear();
        buffer
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut plain).expect("gzip");
        plain
    }

    #[test]
    fn pages_come_back_whole_and_memory_is_reused() {
        let mut gzip = Gzip::new();
        let mut noise = 1_u64;
        let pages: Vec<Vec<u8>> = [0, 1, 70_000, 3_000_000, 5_000]
            .into_iter()
            .map(|length| {
                (0..length)
                    .map(|_| {
                        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        noise.to_be_bytes()[0]
                    })
                    .collect()
            })
            .collect();
        for page in &pages {
            assert_eq!(unpacked(&gzip.pack(page).expect("packs")), *page, "{} bytes", page.len());
        }
        let text = b"node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1\n".repeat(500);
        let first = gzip.pack(&text).expect("packs");
        let memory = first.as_ptr();
        let second = gzip.pack(&text).expect("packs");
        assert_ne!(second.as_ptr(), memory, "an answer that is still going out is left alone");
        assert_eq!(unpacked(&first), text);
        assert!(second.len() * 10 < text.len());
        drop(first);
        let memory = second.as_ptr();
        drop(second);
        assert_eq!(gzip.pack(&text).expect("packs").as_ptr(), memory);
    }
}
