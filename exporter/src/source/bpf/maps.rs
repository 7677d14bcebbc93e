//! The kernel half's arrays, mapped into our memory and read as atomics.

use std::{
    marker::PhantomData,
    os::fd::AsFd,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use bytemuck::Pod;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// What user space may do with a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Load only.
    Read,
    /// Load and store.
    Write,
}

/// An array map of `T` in our memory. It outlives the map's descriptor and needs no right to be read.
///
/// The kernel writes to it at any time, so there is no slice of it: records are copied out word by word.
#[derive(Debug)]
pub struct Mapping<T> {
    start: NonNull<u8>,
    bytes: usize,
    len: usize,
    access: Access,
    records: PhantomData<T>,
}

// SAFETY: the memory is shared with the kernel by design and touched through atomics only.
unsafe impl<T> Send for Mapping<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Mapping<T> {}

impl<T: Pod> Mapping<T> {
    /// Maps the first `len` records of the array map `map`.
    ///
    /// # Errors
    /// What `mmap` said.
    pub fn new(map: impl AsFd, len: usize, access: Access) -> rustix::io::Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() >= 8 && align_of::<T>() <= 4096) };
        let bytes = len.checked_mul(size_of::<T>()).ok_or(rustix::io::Errno::OVERFLOW)?;
        let protection = match access {
            Access::Read => ProtFlags::READ,
            Access::Write => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: a fresh mapping at an address of the kernel's choice; the length is rounded up by the kernel.
        let start = unsafe { mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, map, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(rustix::io::Errno::FAULT)?;
        Ok(Self { start, bytes, len, access, records: PhantomData })
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.len
    }

    /// A copy of record `index`, each of its words loaded relaxed; all zero beyond the end.
    pub fn load(&self, index: usize) -> T {
        let mut record = T::zeroed();
        for (i, word) in
            bytemuck::cast_slice_mut::<T, u64>(std::slice::from_mut(&mut record)).iter_mut().enumerate()
        {
            *word = self.word(index, 8 * i).map_or(0, |w| w.load(Ordering::Relaxed));
        }
        record
    }

    /// Word of record `index` at byte `offset` in it; `None` beyond the end.
    pub fn word(&self, index: usize, offset: usize) -> Option<&AtomicU64> {
        let at = self.place(index, offset, 8)?;
        // SAFETY: inside the mapping, aligned, and alive as long as `self`.
        Some(unsafe { AtomicU64::from_ptr(at.cast().as_ptr()) })
    }

    /// Sets every word of record `index` to 0.
    pub fn clear(&self, index: usize) {
        if self.access == Access::Read {
            return;
        }
        for i in 0..size_of::<T>() / 8 {
            if let Some(word) = self.word(index, 8 * i) {
                word.store(0, Ordering::Relaxed);
            }
        }
    }

    fn place(&self, index: usize, offset: usize, size: usize) -> Option<NonNull<u8>> {
        if index >= self.len || offset + size > size_of::<T>() || !offset.is_multiple_of(size) {
            return None;
        }
        // SAFETY: `index` and `offset` are inside the mapping, as just checked.
        Some(unsafe { self.start.add(index * size_of::<T>() + offset) })
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: the range that `new` mapped, and nothing refers to it any more.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use exporter_common::NetRecord;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    use super::*;

    #[test]
    fn records_are_copied_and_bounds_are_kept() {
        let file = memfd_create("records", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, 4096).unwrap();
        let map = Mapping::<NetRecord>::new(&file, 3, Access::Write).unwrap();
        map.word(2, 8).unwrap().store(7, Ordering::Relaxed);
        assert_eq!(map.load(2).devices.rx_packets, 7);
        assert_eq!(map.load(1).devices.rx_packets, 0);
        assert_eq!(map.load(3).devices.rx_packets, 0);
        assert!(map.word(3, 0).is_none() && map.word(0, 64).is_none() && map.word(0, 4).is_none());
        let reader = Mapping::<NetRecord>::new(&file, 3, Access::Read).unwrap();
        reader.clear(2);
        assert_eq!(map.load(2).devices.rx_packets, 7, "a reader cannot clear");
        map.clear(2);
        assert_eq!(map.load(2).devices.rx_packets, 0);
    }
}
