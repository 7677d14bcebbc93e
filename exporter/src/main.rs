//! The binary: flags, settings, kernel half, scraper, server.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use exporter::{
    config::{Asked, Paths, Settings, parse, warn_of_idle},
    container::{self, ContainerHalf, Group, Groups, kernel::KernelSide},
    ebpf, log,
    own::{self, Own},
    scrape::{Collectors, NodeHalf, Scraper},
    source::{
        bpf::{self, Kernel},
        cgroup::Layout,
        host,
        kmsg::Kmsg,
        memory, privilege,
    },
    web::{self, HttpMetrics},
};
use prometheus::Registry;
use rustix::thread::CapabilitySet;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let asked = std::env::args_os()
        .skip(1)
        .map(|argument| argument.into_string().map_err(|raw| format!("{}: not UTF-8", raw.display())))
        .collect::<Result<Vec<_>, _>>()
        .and_then(|arguments| parse(arguments).map_err(|error| error.to_string()));
    let done = match asked {
        Ok(Asked::Run(flags)) => Settings::new(flags).map_err(Into::into).and_then(|settings| run(&settings)),
        Ok(Asked::Print(text)) => io::stdout().write_all(text.as_bytes()).map_err(Into::into),
        Err(message) => Err(message.into()),
    };
    // A closed output is no reason to fail once more.
    done.map_or_else(
        |error| {
            let _ = writeln!(io::stderr(), "nodetally: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn run(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    let log = log::start(settings.log);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
    warn_of_idle(&settings.flags);
    let node = NodeHalf::plan(settings)?;
    let listeners = web::bind(&settings.web)?;
    log.release();
    let host = host::Facts::look(&settings.paths);
    for restriction in host.restrictions() {
        tracing::warn!("{restriction}");
    }

    let layout = Layout::find(&settings.paths).ok();
    let mut kernel = ebpf::load(settings, layout.as_ref())?;
    memory::give_back();
    let kernel_log = settings
        .container
        .as_ref()
        .and_then(|container| container.groups.has(Group::Oom).then(|| open_kernel_log(&settings.paths))?);
    let groups = settings.container.as_ref().map_or(Groups::NONE, |container| container.groups);
    drop_privileges(&kernel, layout.as_ref(), node.rights() | container::rights(groups));

    if let Some(log) = kernel.log.take() {
        log.follow()?;
    }
    let registry = Registry::new();
    let http = HttpMetrics::new(&registry)?;
    own::standing(&registry, &host, &kernel.status)?;
    let own = Own::new(registry, http.gathering_faults(), settings.web.exporter_metrics)?;
    let container = settings.container.as_ref().map(|container| {
        ContainerHalf::start(container, &settings.paths, KernelSide::of(&mut kernel), kernel_log)
            .inspect_err(|error| tracing::error!(%error, "no container_*"))
    });
    let collectors = Collectors { node: node.start()?, container, own };
    let scraper = Scraper::start(collectors, groups, settings.scrape.share)?;
    web::serve(listeners, &settings.web, Arc::new(scraper), http, asked_to_stop())?;
    Ok(())
}

/// The kernel's log tells of OOM kills in containers that end with them. To open it may take a right that is given up.
fn open_kernel_log(paths: &Paths) -> Option<Kmsg> {
    Kmsg::open(&[Path::new("/"), &paths.rootfs])
        .inspect_err(|error| {
            tracing::warn!(%error, "open /dev/kmsg: OOM kills of containers that end with them are not counted");
        })
        .ok()
}

/// Keeps what reading needs: files of other users, the names of other namespaces' interfaces, and the rights that node
/// collectors and groups of containers ask for. Where the kernel
/// wants `CAP_BPF` for each use of a map that stays too; container engines of that time do not know it, not even for
/// `--privileged`, so what is there already is entered before.
fn drop_privileges(kernel: &Kernel, layout: Option<&Layout>, rights: CapabilitySet) {
    let mut keep = CapabilitySet::DAC_READ_SEARCH | CapabilitySet::NET_ADMIN | rights;
    if kernel.counters.is_some() && !privilege::with_only(keep, bpf::may_use_maps).unwrap_or(true) {
        keep |= CapabilitySet::BPF;
        layout.inspect(|layout| ebpf::enter_all(kernel, layout));
    }
    match privilege::keep_only(keep) {
        Ok(left) => tracing::debug!(?left, "capabilities"),
        Err(error) => tracing::warn!(%error, "capset: every capability is kept"),
    }
    if kernel.counters.is_some() && kernel.life.is_none() && !bpf::may_use_maps() {
        tracing::warn!("without CAP_BPF this kernel counts for no cgroup that is made from now on");
    }
}

/// Waits for SIGTERM or SIGINT.
async fn asked_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("no signal handlers: the process ends by the signal itself");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping on SIGTERM"),
        _ = interrupt.recv() => tracing::info!("stopping on SIGINT"),
    }
}
