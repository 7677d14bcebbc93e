//! Starting the exporter that was built with these tests.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::http::{self, Response};
use crate::page::Page;
use crate::running::{Running, until};
use crate::temp::TempDir;

/// `$NODETALLY_BIN`, else `nodetally` of the same build as this test (`target/debug/deps/test-...` -> `target/debug`).
pub fn binary() -> PathBuf {
    let named = std::env::var_os("NODETALLY_BIN").map(PathBuf::from);
    let found = named.unwrap_or_else(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().find(|dir| dir.join("deps").is_dir()).unwrap();
        profile.join("nodetally")
    });
    assert!(found.is_file(), "{}: not built; type `cargo build`, or set NODETALLY_BIN", found.display());
    found
}

/// A copy of the exporter that any user may start: the build folder may be closed to others.
#[derive(Debug)]
pub struct Copied(TempDir);

impl Copied {
    /// Copies it.
    pub fn new() -> Self {
        let dir = TempDir::new("nobody");
        std::fs::copy(binary(), dir.path().join("nodetally")).unwrap();
        Self(dir)
    }

    /// Starts it, when run, as a user without any privilege; so this needs root.
    pub fn by_nobody(&self, flags: &[&str]) -> Command {
        const NOBODY: u32 = 65534;
        let mut command = Command::new(self.0.path().join("nodetally"));
        command.uid(NOBODY).gid(NOBODY).args(flags);
        command
    }
}

impl Default for Copied {
    fn default() -> Self {
        Self::new()
    }
}

/// What a run that must refuse to start says: exit code and one line.
pub fn refused(flags: &[&str]) -> String {
    let address = http::free_address();
    let mut process =
        Running::start(Command::new(binary()).arg(format!("--web.listen-address={address}")).args(flags));
    let status = process.wait(Duration::from_secs(10)).unwrap_or_else(|| panic!("{flags:?}: it started"));
    let said = process.said();
    assert_eq!(status.code(), Some(1), "{flags:?}: {said}");
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), 1, "{flags:?}: one clear line, not:\n{said}");
    lines[0].to_owned()
}

/// A started exporter; killed on drop.
#[derive(Debug)]
pub struct Exporter {
    /// The process and its log.
    pub process: Running,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Exporter {
    /// Starts it on a free loopback port with these flags and waits until it answers.
    pub fn start(flags: &[&str]) -> Self {
        Self::start_at(http::free_address(), flags)
    }

    /// As [`Self::start`], at this address.
    pub fn start_at(address: SocketAddr, flags: &[&str]) -> Self {
        Self::start_with(address, Command::new(binary()).args(flags))
    }

    /// Starts a command that becomes the exporter; the listen address is added to it.
    pub fn start_with(address: SocketAddr, command: &mut Command) -> Self {
        let process = Running::start(command.arg(format!("--web.listen-address={address}")));
        let mut exporter = Self { process, address };
        let healthy = until(Duration::from_secs(20), || {
            let answers = http::get(address, "/-/healthy").is_ok_and(|r| r.status == 200);
            answers || !exporter.process.is_running()
        });
        let running = exporter.process.is_running();
        assert!(healthy && running, "the exporter did not come up:\n{}", exporter.process.said());
        exporter
    }

    /// GET of a path (with query).
    pub fn get(&self, target: &str) -> Response {
        http::get(self.address, target)
            .unwrap_or_else(|e| panic!("GET {target}: {e}\n{}", self.process.said()))
    }

    /// `/metrics`, parsed strictly.
    pub fn page(&self) -> Page {
        self.page_of("/metrics")
    }

    /// Another target that answers with a page, such as `/metrics?collect[]=cpu`.
    pub fn page_of(&self, target: &str) -> Page {
        let response = self.get(target);
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        Page::parse(&response.text())
    }

    /// The ids of the eBPF programs that it holds.
    pub fn bpf_programs(&self) -> Vec<u32> {
        bpf_programs(self.process.pid())
    }
}

/// The ids of the eBPF programs and links that a process' descriptors hold, from `/proc/PID/fdinfo`.
pub fn bpf_programs(pid: u32) -> Vec<u32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap().filter_map(Result::ok);
    let mut ids: Vec<u32> = entries.filter_map(|entry| program_id(&entry.path())).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn program_id(fdinfo: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(fdinfo).ok()?;
    text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
}
