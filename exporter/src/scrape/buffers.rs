//! The answers' buffers: handed to the server without a copy, handed back when the last client has been served.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Bytes;

/// More than this many are never in use at once, save by clients that do not read.
const KEPT: usize = 4;

/// Buffers waiting for the next scrape.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// A buffer, warm if there is one.
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Wraps a finished text; the buffer comes back when the last reader is done.
    pub fn share(&self, text: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { text, home: self.clone() })
    }
}

struct Lent {
    text: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_with_its_memory() {
        let buffers = Buffers::default();
        let mut text = buffers.take();
        text.extend_from_slice(b"some text");
        let memory = text.as_ptr();
        let answer = buffers.share(text);
        let same = answer.clone();
        drop(answer);
        assert_eq!(&*same, b"some text");
        drop(same);
        let again = buffers.take();
        assert_eq!(again.as_ptr(), memory);
    }
}
