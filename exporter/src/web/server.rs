//! Accepts connections and ends them.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinSet, yield_now},
    time::{Instant, sleep},
};

use super::{
    HttpMetrics, Listening, Scrapes,
    compress::Compressor,
    connection::{Connections, Limits, Member, Stream, watch},
    handler::{Common, Site},
};
use crate::config::{Part, WebSettings};

/// The largest request header, in bytes; a scraper's is a few hundred.
const HEADER_BYTES: usize = 16 << 10;
/// How long accepting pauses when the kernel has no descriptor left: long enough not to spin.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves on this thread until `shutdown` is done, then lets answers under way finish for a moment.
///
/// # Errors
/// The runtime, a listener or the compressing thread cannot be set up.
pub fn serve(
    listeners: Vec<Listening>,
    settings: &WebSettings,
    scraper: Arc<impl Scrapes>,
    metrics: HttpMetrics,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    serve_within(Limits::default(), listeners, settings, scraper, metrics, shutdown)
}

pub(super) fn serve_within(
    limits: Limits,
    listeners: Vec<Listening>,
    settings: &WebSettings,
    scraper: Arc<impl Scrapes>,
    metrics: HttpMetrics,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let compressor = Compressor::start(metrics.clone())?;
    let common = Arc::new(Common { scraper, metrics, compressor, max_requests: settings.max_requests });
    let sites = settings.sites.iter().map(|site| (site.part, Arc::new(Site::new(site, Arc::clone(&common)))));
    let sites = sites.collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(run(limits, listeners, sites, shutdown));
    // Whatever is still stuck must not hold up the end.
    runtime.shutdown_background();
    served
}

async fn run<S: Scrapes>(
    limits: Limits,
    listeners: Vec<Listening>,
    sites: Vec<(Part, Arc<Site<S>>)>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let connections = Arc::new(Connections::default());
    let mut accepting = JoinSet::new();
    for Listening { listener, part } in listeners {
        let Some((_, site)) = sites.iter().find(|(served, _)| *served == part) else { continue };
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        tracing::info!(address = %format_args!("http://{address}"), serves = part.word(), "listening");
        accepting.spawn(accept(listener, limits, Arc::clone(&connections), Arc::clone(site)));
    }
    shutdown.await;
    accepting.shutdown().await;
    let end = Instant::now() + limits.end;
    while connections.close_all_idle() > 0 && Instant::now() < end {
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn accept<S: Scrapes>(
    listener: TcpListener,
    limits: Limits,
    connections: Arc<Connections>,
    site: Arc<Site<S>>,
) {
    let mut warned: Option<Instant> = None;
    loop {
        match listener.accept().await {
            // All places are taken by requests being answered: the client is refused by the socket's end.
            Ok((socket, _)) => {
                if let Some(member) = connections.admit(&limits) {
                    tokio::spawn(converse(socket, member, limits, Arc::clone(&site)));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if warned.is_none_or(|at| at.elapsed() > Duration::from_mins(1)) {
                    warned = Some(Instant::now());
                    tracing::warn!(%error, "cannot accept a connection");
                }
                let short = matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE));
                if short && connections.close_idlest() {
                    // Its descriptor is free once its task has run.
                    yield_now().await;
                } else {
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn converse<S: Scrapes>(socket: TcpStream, member: Member, limits: Limits, site: Arc<Site<S>>) {
    // Without it the last packet of an answer may wait for an acknowledgement; an error costs only that.
    let _ = socket.set_nodelay(true);
    let slot = Arc::clone(&member.slot);
    let service = service_fn(move |request: Request<Incoming>| {
        let (site, answering) = (Arc::clone(&site), slot.answering());
        async move {
            let _answering = answering;
            let uri = request.uri();
            Ok::<_, Infallible>(
                site.answer(uri.path(), uri.query().unwrap_or_default(), request.headers()).await,
            )
        }
    });
    let stream = Stream { socket, slot: Arc::clone(&member.slot) };
    let connection = http1::Builder::new()
        .max_buf_size(HEADER_BYTES)
        // `watch` has the timers: hyper's would also close connections that merely wait for the next scrape.
        .header_read_timeout(None)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    watch(connection, member, limits).await;
}
