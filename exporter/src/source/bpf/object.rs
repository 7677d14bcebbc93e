//! The kernel half's object, built beforehand and embedded.

/// The committed object, aligned as its ELF header wants it.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../../exporter-ebpf/prebuilt/nodetally-ebpf.o");
