//! What can be counted: the reference's names for it, and the families.

use crate::{metric::Family, source::perf::Event};

/// An event under its name in the flags.
pub struct Known {
    /// The name.
    pub name: &'static str,
    /// What is counted.
    pub event: Event,
    /// Its family.
    pub family: Family,
}

const fn known(name: &'static str, event: Event, family: &'static str, help: &'static str) -> Known {
    Known { name, event, family: Family::counter(family, help) }
}

/// Events of the processor.
pub static HARDWARE: [Known; 9] = [
    known(
        "CpuCycles",
        Event::hardware(0),
        "node_perf_cpucycles_total",
        "Cycles of the CPU, at whatever frequency.",
    ),
    known(
        "CpuInstr",
        Event::hardware(1),
        "node_perf_instructions_total",
        "Instructions that the CPU has completed.",
    ),
    known("CacheRef", Event::hardware(2), "node_perf_cache_refs_total", "Accesses to the CPU's last cache."),
    known(
        "CacheMisses",
        Event::hardware(3),
        "node_perf_cache_misses_total",
        "Accesses that the CPU's last cache missed.",
    ),
    known(
        "BranchInstr",
        Event::hardware(4),
        "node_perf_branch_instructions_total",
        "Branches that the CPU has completed.",
    ),
    known(
        "BranchMisses",
        Event::hardware(5),
        "node_perf_branch_misses_total",
        "Branches that the CPU has guessed wrong.",
    ),
    known(
        "StalledCyclesFrontend",
        Event::hardware(7),
        "node_perf_stalled_cycles_frontend_total",
        "Cycles in which the CPU waited for instructions.",
    ),
    known(
        "StalledCyclesBackend",
        Event::hardware(8),
        "node_perf_stalled_cycles_backend_total",
        "Cycles in which the CPU waited for data or a free unit.",
    ),
    known(
        "RefCpuCycles",
        Event::hardware(9),
        "node_perf_ref_cpucycles_total",
        "Cycles of the CPU as if its frequency never changed.",
    ),
];

/// Events of the kernel.
pub static SOFTWARE: [Known; 5] = [
    known("PageFault", Event::software(2), "node_perf_page_faults_total", "Page faults on the CPU."),
    known(
        "ContextSwitch",
        Event::software(3),
        "node_perf_context_switches_total",
        "Times that the CPU went from one task to another.",
    ),
    known(
        "CpuMigration",
        Event::software(4),
        "node_perf_cpu_migrations_total",
        "Tasks that came to the CPU from another one.",
    ),
    known(
        "MinorFault",
        Event::software(5),
        "node_perf_minor_faults_total",
        "Page faults on the CPU that needed no disk.",
    ),
    known(
        "MajorFault",
        Event::software(6),
        "node_perf_major_faults_total",
        "Page faults on the CPU that waited for a disk.",
    ),
];

const L1_DATA: u64 = 0;
const L1_INSTRUCTIONS: u64 = 1;
const LAST_LEVEL: u64 = 2;
const DATA_TLB: u64 = 3;
const INSTRUCTION_TLB: u64 = 4;
const BRANCH_UNIT: u64 = 5;
const READ: u64 = 0;
const WRITE: u64 = 1;
const ACCESS: u64 = 0;
const MISS: u64 = 1;

/// Events of the processor's caches.
pub static CACHE: [Known; 16] = [
    known(
        "L1DataReadHit",
        Event::cache(L1_DATA, READ, ACCESS),
        "node_perf_cache_l1d_read_hits_total",
        "Reads from the first cache of data.",
    ),
    known(
        "L1DataReadMiss",
        Event::cache(L1_DATA, READ, MISS),
        "node_perf_cache_l1d_read_misses_total",
        "Reads that the first cache of data missed.",
    ),
    known(
        "L1DataWriteHit",
        Event::cache(L1_DATA, WRITE, ACCESS),
        "node_perf_cache_l1d_write_hits_total",
        "Writes to the first cache of data.",
    ),
    known(
        "L1InstrReadMiss",
        Event::cache(L1_INSTRUCTIONS, READ, MISS),
        "node_perf_cache_l1_instr_read_misses_total",
        "Reads that the first cache of instructions missed.",
    ),
    known(
        "LLReadHit",
        Event::cache(LAST_LEVEL, READ, ACCESS),
        "node_perf_cache_ll_read_hits_total",
        "Reads from the last cache.",
    ),
    known(
        "LLReadMiss",
        Event::cache(LAST_LEVEL, READ, MISS),
        "node_perf_cache_ll_read_misses_total",
        "Reads that the last cache missed.",
    ),
    known(
        "LLWriteHit",
        Event::cache(LAST_LEVEL, WRITE, ACCESS),
        "node_perf_cache_ll_write_hits_total",
        "Writes to the last cache.",
    ),
    known(
        "LLWriteMiss",
        Event::cache(LAST_LEVEL, WRITE, MISS),
        "node_perf_cache_ll_write_misses_total",
        "Writes that the last cache missed.",
    ),
    known(
        "InstrTLBReadHit",
        Event::cache(INSTRUCTION_TLB, READ, ACCESS),
        "node_perf_cache_tlb_instr_read_hits_total",
        "Addresses of instructions looked up in the TLB.",
    ),
    known(
        "InstrTLBReadMiss",
        Event::cache(INSTRUCTION_TLB, READ, MISS),
        "node_perf_cache_tlb_instr_read_misses_total",
        "Addresses of instructions that the TLB missed.",
    ),
    known(
        "DataTLBReadHit",
        Event::cache(DATA_TLB, READ, ACCESS),
        "node_perf_cache_tlb_data_read_hits_total",
        "Addresses of data to be read, looked up in the TLB.",
    ),
    known(
        "DataTLBReadMiss",
        Event::cache(DATA_TLB, READ, MISS),
        "node_perf_cache_tlb_data_read_misses_total",
        "Addresses of data to be read that the TLB missed.",
    ),
    known(
        "DataTLBWriteHit",
        Event::cache(DATA_TLB, WRITE, ACCESS),
        "node_perf_cache_tlb_data_write_hits_total",
        "Addresses of data to be written, looked up in the TLB.",
    ),
    known(
        "DataTLBWriteMiss",
        Event::cache(DATA_TLB, WRITE, MISS),
        "node_perf_cache_tlb_data_write_misses_total",
        "Addresses of data to be written that the TLB missed.",
    ),
    known(
        "BPUReadHit",
        Event::cache(BRANCH_UNIT, READ, ACCESS),
        "node_perf_cache_bpu_read_hits_total",
        "Branches looked up by the CPU's unit that guesses them.",
    ),
    known(
        "BPUReadMiss",
        Event::cache(BRANCH_UNIT, READ, MISS),
        "node_perf_cache_bpu_read_misses_total",
        "Branches that the CPU's unit that guesses them did not know.",
    ),
];

/// What stands for the families of tracepoints.
pub static TRACEPOINT: Family =
    Family::counter("node_perf_*", "Times that the kernel's code passed this tracepoint on the CPU.");

const COUNT: usize = HARDWARE.len() + SOFTWARE.len() + CACHE.len();

/// Every family of this collector.
pub static FAMILIES: [&Family; COUNT + 1] = {
    let mut all = [&TRACEPOINT; COUNT + 1];
    let mut index = 0;
    while index < COUNT {
        let (software, cache) = (HARDWARE.len(), HARDWARE.len() + SOFTWARE.len());
        all[index] = if index < software {
            &HARDWARE[index].family
        } else if index < cache {
            &SOFTWARE[index - software].family
        } else {
            &CACHE[index - cache].family
        };
        index += 1;
    }
    all
};
