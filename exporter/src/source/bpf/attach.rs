//! From request to running programs: maps first, then each program by itself, then the proof.

use std::{
    collections::HashMap,
    error::Error,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicUsize},
};

use aya::{
    Btf as Types, Ebpf, EbpfError, EbpfLoader,
    maps::{Map, MapData, RingBuf},
    programs::{BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, ProgramError},
};
use exporter_common::{MAX_SLOTS, names};

use super::{
    Counters, Kernel, KernelLog, LifeEvents, Program, ProgramStats, ProgramStatus, Reason, Request,
    btf::Btf,
    maps::{Access, Mapping},
    object::OBJECT,
    offsets::{Offsets, VMLINUX},
    selftest,
    slots::{SlotMaps, Slots},
    stats,
};

/// `statfs` type of cgroup v2.
const CGROUP2_MAGIC: i64 = 0x6367_7270;
/// Of what the kernel says of a refused program, the end tells why.
const LONGEST_DETAIL: usize = 2000;

/// Why a program does not run.
#[derive(Debug)]
pub struct Failure {
    reason: Reason,
    detail: String,
}

impl Failure {
    fn new(reason: Reason, error: &dyn Error) -> Self {
        let mut detail = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            detail = format!("{detail}: {inner}");
            cause = inner.source();
        }
        let cut = detail.len().saturating_sub(LONGEST_DETAIL);
        let cut = (cut..detail.len()).find(|i| detail.is_char_boundary(*i)).unwrap_or(0);
        Self { reason, detail: detail.split_off(cut) }
    }

    fn program(error: &ProgramError) -> Self {
        let (io_error, otherwise) = match error {
            ProgramError::LoadError { io_error, .. } => (Some(io_error), Reason::Rejected),
            ProgramError::SyscallError(error) => (Some(&error.io_error), Reason::AttachFailed),
            ProgramError::Btf(_) => (None, Reason::BtfMismatch),
            _ => (None, Reason::AttachFailed),
        };
        let forbidden = io_error.and_then(io::Error::raw_os_error) == Some(libc::EPERM);
        Self::new(if forbidden { Reason::NoPermission } else { otherwise }, error)
    }
}

/// The loaded object and what hangs on it; all is detached when this is dropped.
#[derive(Debug)]
pub struct Attached {
    ebpf: Ebpf,
    up: Vec<Program>,
    /// Keeps the kernel counting runs while it is open.
    _counting: Option<OwnedFd>,
}

/// The programs in the object that make up `program`.
const fn parts(program: Program) -> &'static [&'static str] {
    match program {
        Program::Cpu => &[names::PROGRAM_CPU, names::PROGRAM_MOVED],
        Program::Net => &[names::PROGRAM_NET_IN, names::PROGRAM_NET_OUT],
        Program::Life => &[names::PROGRAM_BORN, names::PROGRAM_DIED],
    }
}

/// See [`super::load`].
pub fn load(request: &Request) -> Kernel {
    let mut kernel = Kernel { status: Vec::new(), counters: None, life: None, log: None, programs: None };
    let mut outcome: HashMap<Program, Failure> = HashMap::new();
    if !request.programs.is_empty()
        && let Err(failure) = bring_up(request, &mut kernel, &mut outcome)
    {
        for program in Program::ALL {
            outcome.insert(program, Failure { reason: failure.reason, detail: failure.detail.clone() });
        }
    }
    for program in Program::ALL {
        let status = match outcome.remove(&program) {
            _ if !request.programs.contains(&program) => (Reason::Off, String::new()),
            Some(failure) => (failure.reason, failure.detail),
            None => (Reason::Ok, String::new()),
        };
        kernel.status.push(ProgramStatus { program, reason: status.0, detail: status.1 });
    }
    kernel
}

/// Fills `kernel`, and `failed` with the programs that do not run. The error is one that befalls them all.
fn bring_up(
    request: &Request,
    kernel: &mut Kernel,
    failed: &mut HashMap<Program, Failure>,
) -> Result<(), Failure> {
    if let Err(error) = stats::probe() {
        let forbidden = error.raw_os_error() == Some(libc::EPERM);
        let reason = if forbidden { Reason::NoPermission } else { Reason::Rejected };
        return Err(Failure { reason, detail: format!("bpf(BPF_MAP_CREATE): {error}") });
    }
    let offsets = find_offsets(request, failed);
    let mut ebpf = load_object(request, &offsets)?;
    kernel.log = KernelLog::of(&mut ebpf);
    let (mut counters, ring) = map_memory(request, &mut ebpf)?;
    let types = Types::from_sys_fs().ok();
    let counting = request.stats.then(|| aya::sys::enable_stats(aya::sys::Stats::RunTime));
    let counting = counting.transpose().map_err(|e| Failure::new(Reason::Rejected, &e))?;

    let mut attached = Attached { ebpf, up: Vec::new(), _counting: counting };
    for program in Program::ALL {
        if !request.programs.contains(&program) || failed.contains_key(&program) {
            continue;
        }
        if program == Program::Life {
            counters.lock().start_offering();
        }
        if let Err(failure) = attached.start(program, request, types.as_ref()) {
            attached.stop(program);
            failed.insert(program, failure);
        }
    }
    drop(types);
    if !attached.up.contains(&Program::Life) {
        counters.lock().stop_offering();
    }
    counters.keep(&attached.up);
    for (program, detail) in prove(request, &counters, &attached.up) {
        attached.stop(program);
        failed.insert(program, Failure { reason: Reason::SelftestFailed, detail });
    }
    counters.keep(&attached.up);

    let counters = Arc::new(counters);
    if attached.up.contains(&Program::Life) {
        let mut life = LifeEvents::new(ring, Arc::clone(&counters));
        match selftest::life(&counters, &mut life, request) {
            Ok(()) => kernel.life = Some(life),
            Err(detail) => {
                attached.stop(Program::Life);
                counters.lock().stop_offering();
                failed.insert(Program::Life, Failure { reason: Reason::SelftestFailed, detail });
            }
        }
    }
    kernel.counters = attached.up.iter().any(|p| *p != Program::Life).then_some(counters);
    kernel.programs = Some(attached);
    Ok(())
}

/// Runs the self-tests of the programs in `up`; gives those that failed, with what was seen.
fn prove(request: &Request, counters: &Counters, up: &[Program]) -> Vec<(Program, String)> {
    let mut failed = Vec::new();
    for program in up {
        let result = match program {
            Program::Cpu => selftest::cpu(counters, request),
            Program::Net => selftest::net(counters, request),
            Program::Life => Ok(()),
        };
        failed.extend(result.err().map(|detail| (*program, detail)));
    }
    failed
}

fn find_offsets(request: &Request, failed: &mut HashMap<Program, Failure>) -> Offsets {
    let blob = match std::fs::read(VMLINUX) {
        Ok(blob) => blob,
        Err(error) => {
            for program in [Program::Cpu, Program::Life] {
                let detail = format!("read {VMLINUX}: {error}");
                failed.insert(program, Failure { reason: Reason::NoBtf, detail });
            }
            return Offsets::default();
        }
    };
    let mut offsets = match Btf::parse(&blob) {
        Ok(btf) => Offsets::read(&btf, request.cpu.id),
        Err(error) => Offsets::none(&error),
    };
    for (program, error) in [(Program::Cpu, &offsets.cpu), (Program::Life, &offsets.life)] {
        if let Some(error) = error {
            failed.insert(program, Failure::new(Reason::BtfMismatch, error));
        }
    }
    for (name, value) in &request.poison {
        offsets.poison(name, *value);
    }
    offsets
}

/// Slots in a bank: one for each cgroup and the unknown one.
fn bank(request: &Request) -> u32 {
    request.max_cgroups.clamp(1, MAX_SLOTS - 1) + 1
}

/// Entries in the ring of offers, a power of two: births between two drains that find a slot. The other slots are
/// in our hands, for the cgroups that are there already.
fn offers(request: &Request) -> u32 {
    bank(request).div_ceil(4).next_power_of_two()
}

fn possible_cpus() -> Result<u32, Failure> {
    let cpus = aya::util::nr_cpus().map_err(|(path, error)| Failure {
        reason: Reason::Rejected,
        detail: format!("read {path}: {error}"),
    })?;
    Ok(u32::try_from(cpus).unwrap_or(u32::MAX))
}

fn load_object(request: &Request, offsets: &Offsets) -> Result<Ebpf, Failure> {
    let (bank, offers, cpus) = (bank(request), offers(request), possible_cpus()?);
    // Below 5.11 maps count against this limit; later kernels do not look at it.
    let all = rustix::process::Rlimit { current: None, maximum: None };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Memlock, all);

    let records = |program| {
        if request.programs.contains(&program) { cpus.saturating_mul(bank) } else { 1 }
    };
    let (slots, mask, hierarchy) = (u64::from(bank), u64::from(offers - 1), u64::from(request.cpu.id));
    let mut loader = EbpfLoader::new();
    // It has read the kernel's types, some 25 MB, for relocations that the object does not have.
    loader.btf(None);
    loader
        .map_max_entries(names::MAP_SLOTS, bank)
        .map_max_entries(names::MAP_OWNERS, bank)
        .map_max_entries(names::MAP_OFFERS, offers)
        .map_max_entries(names::MAP_CURRENT, cpus)
        .map_max_entries(names::MAP_CPU, records(Program::Cpu))
        .map_max_entries(names::MAP_NET, records(Program::Net))
        .override_global(names::SLOT_COUNT, &slots, true)
        .override_global(names::OFFER_MASK, &mask, true)
        .override_global(names::CPU_HIERARCHY, &hierarchy, true);
    for (name, value) in offsets.values() {
        loader.override_global(name, value, true);
    }
    loader.load(request.object.as_deref().unwrap_or(OBJECT)).map_err(|error| match &error {
        EbpfError::BtfError(_) => Failure::new(Reason::BtfMismatch, &error),
        _ => Failure::new(Reason::Rejected, &error),
    })
}

/// Takes the maps out of the object and maps them.
fn map_memory(request: &Request, ebpf: &mut Ebpf) -> Result<(Counters, RingBuf<MapData>), Failure> {
    let (bank, offers, cpus) = (bank(request) as usize, offers(request) as usize, possible_cpus()? as usize);
    let banks = |program| {
        if request.programs.contains(&program) { cpus.saturating_mul(bank) } else { 1 }
    };
    let maps = SlotMaps {
        hash: take(ebpf, names::MAP_SLOTS)?
            .try_into()
            .map_err(|e: aya::maps::MapError| Failure::new(Reason::Rejected, &e))?,
        owners: mapped(ebpf, names::MAP_OWNERS, bank, Access::Write)?,
        offers: mapped(ebpf, names::MAP_OFFERS, offers, Access::Write)?,
        life: mapped(ebpf, names::MAP_LIFE_STATE, 1, Access::Read)?,
    };
    let ring = RingBuf::try_from(take(ebpf, names::MAP_LIFE_EVENTS)?)
        .map_err(|e| Failure::new(Reason::Rejected, &e))?;
    let counters = Counters {
        slots: Mutex::new(Slots::new(maps)),
        bank,
        cpu: Some(mapped(ebpf, names::MAP_CPU, banks(Program::Cpu), Access::Write)?),
        net: Some(mapped(ebpf, names::MAP_NET, banks(Program::Net), Access::Write)?),
        current: mapped(ebpf, names::MAP_CURRENT, cpus, Access::Read)?,
        cpus: AtomicUsize::new(0),
    };
    Ok((counters, ring))
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, Failure> {
    ebpf.take_map(name)
        .ok_or_else(|| Failure { reason: Reason::Rejected, detail: format!("the object has no map {name}") })
}

/// The map itself stays in the object: programs are loaded by its descriptor.
fn mapped<T: bytemuck::Pod>(
    ebpf: &Ebpf,
    name: &str,
    len: usize,
    access: Access,
) -> Result<Mapping<T>, Failure> {
    let Some(Map::Array(data)) = ebpf.map(name) else {
        return Err(Failure { reason: Reason::Rejected, detail: format!("the object has no array {name}") });
    };
    Mapping::new(data.fd().as_fd(), len, access)
        .map_err(|error| Failure { reason: Reason::Rejected, detail: format!("mmap of map {name}: {error}") })
}

impl Attached {
    /// Loads and attaches all parts of `program`.
    fn start(&mut self, program: Program, request: &Request, types: Option<&Types>) -> Result<(), Failure> {
        let result = match program {
            Program::Net => {
                let root = open_cgroup2(request.cgroup2_root.as_deref())?;
                self.attach_socket_filter(names::PROGRAM_NET_IN, CgroupSkbAttachType::Ingress, &root)
                    .and_then(|()| {
                        self.attach_socket_filter(names::PROGRAM_NET_OUT, CgroupSkbAttachType::Egress, &root)
                    })
            }
            Program::Cpu | Program::Life => {
                let types = types.ok_or_else(|| Failure {
                    reason: Reason::NoBtf,
                    detail: format!("{VMLINUX} cannot be read"),
                })?;
                parts(program).iter().try_for_each(|name| self.attach_tracepoint(name, types))
            }
        };
        result.map_err(|error| Failure::program(&error))?;
        self.up.push(program);
        Ok(())
    }

    /// Takes `program` out of the kernel; it may be there in part only.
    fn stop(&mut self, program: Program) {
        self.up.retain(|p| *p != program);
        for name in parts(program) {
            let _ = match self.ebpf.program_mut(name) {
                Some(aya::programs::Program::BtfTracePoint(part)) => part.unload(),
                Some(aya::programs::Program::CgroupSkb(part)) => part.unload(),
                _ => Ok(()),
            };
        }
    }

    pub fn stats(&self) -> Vec<ProgramStats> {
        let names = self.up.iter().flat_map(|program| parts(*program));
        let stats = names.filter_map(|name| {
            let fd = self.ebpf.program(name)?.fd().ok()?;
            stats::program_stats(name, fd.as_fd()).ok()
        });
        stats.collect()
    }

    /// The program's name is that of its tracepoint.
    fn attach_tracepoint(&mut self, name: &str, types: &Types) -> Result<(), ProgramError> {
        let program: &mut BtfTracePoint = self.program(name)?.try_into()?;
        program.load(name, types)?;
        program.attach().map(drop)
    }

    /// Since 5.7 a link, which leaves room for others' programs by itself and takes no mode but this one.
    fn attach_socket_filter(
        &mut self,
        name: &str,
        direction: CgroupSkbAttachType,
        root: &File,
    ) -> Result<(), ProgramError> {
        let program: &mut CgroupSkb = self.program(name)?.try_into()?;
        program.load()?;
        program.attach(root, direction, CgroupAttachMode::Single).map(drop)
    }

    fn program(&mut self, name: &str) -> Result<&mut aya::programs::Program, ProgramError> {
        self.ebpf.program_mut(name).ok_or_else(|| ProgramError::InvalidName { name: name.to_owned() })
    }
}

fn open_cgroup2(root: Option<&Path>) -> Result<File, Failure> {
    let none = |detail| Failure { reason: Reason::NoCgroup2, detail };
    let root = root.ok_or_else(|| none("no cgroup v2 hierarchy is mounted".to_owned()))?;
    let dir = File::open(root).map_err(|e| none(format!("open {}: {e}", root.display())))?;
    let kind = rustix::fs::fstatfs(&dir).map_err(|e| none(format!("fstatfs {}: {e}", root.display())))?;
    if kind.f_type != CGROUP2_MAGIC {
        return Err(none(format!("{} is not cgroup v2", root.display())));
    }
    Ok(dir)
}
