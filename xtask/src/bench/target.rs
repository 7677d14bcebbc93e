//! The exporters under measure, each on a loopback port of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::http;
use tests::running::{Running, until};

use crate::Outcome;

/// What upstream's node exporter does by itself, said aloud: Debian's build has other defaults.
const UPSTREAM: &[&str] = &[
    "--no-collector.systemd",
    "--collector.textfile.directory=",
    "--collector.filesystem.mount-points-exclude=\
     ^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
];

/// A started exporter; ended on drop.
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    process: Running,
}

impl Target {
    /// This project's release build.
    pub fn nodetally(binary: &Path, flags: &[&str]) -> Outcome<Self> {
        let address = http::free_address();
        let mut command = Command::new(binary);
        command.args(["--scrape.share=0s", &format!("--web.listen-address={address}")]).args(flags);
        Self::start(address, &mut command)
    }

    /// This project's release build with the node half alone.
    pub fn node_half(binary: &Path, flags: &[&str]) -> Outcome<Self> {
        Self::nodetally(binary, &[&["--no-container", "--docker=", "--ebpf=off"], flags].concat())
    }

    /// The stock node exporter as its makers set it.
    pub fn node_exporter(bin: &Path, flags: &[&str]) -> Outcome<Self> {
        let address = http::free_address();
        let mut command = Command::new(bin.join("prometheus-node-exporter"));
        command.arg(format!("--web.listen-address={address}")).args(UPSTREAM).args(flags);
        Self::start(address, &mut command)
    }

    /// The stock container exporter.
    pub fn cadvisor(bin: &Path) -> Outcome<Self> {
        let address = http::free_address();
        let mut command = Command::new(bin.join("cadvisor"));
        command.args([format!("--listen_ip={}", address.ip()), format!("--port={}", address.port())]);
        Self::start(address, &mut command)
    }

    fn start(address: SocketAddr, command: &mut Command) -> Outcome<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let target = Self { address, process: Running::start(command) };
        let scraped = || http::get(address, "/metrics").is_ok_and(|r| r.status == 200);
        if until(Duration::from_secs(30), scraped) {
            return Ok(target);
        }
        Err(format!("{name} did not answer:\n{}", target.process.said()))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
