//! The command of the load generator (`bin/nodetally-load.rs`), which is one static file.

use std::path::PathBuf;
use std::process::Command;

/// Where the generator lies: beside the test's folder, as cargo builds it for the tests of this crate.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().find(|dir| dir.join("deps").is_dir()).unwrap();
    let found = profile.join("nodetally-load");
    assert!(found.is_file(), "{}: not built; type `cargo build -p tests`", found.display());
    found
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args);
    command
}

/// Burns this share of one CPU, in percent.
pub fn cpu(percent: u64) -> Command {
    command(&["cpu", &percent.to_string()])
}

/// Touches and holds this much memory.
pub fn memory(bytes: u64) -> Command {
    command(&["memory", &bytes.to_string()])
}

/// Holds this many open files, sockets and threads besides its first; says `ready`.
pub fn hold(files: u64, sockets: u64, threads: u64) -> Command {
    command(&["hold", &files.to_string(), &sockets.to_string(), &threads.to_string()])
}

/// Holds this many TCP listeners, connections to them and UDP sockets on its loopback; says `ready`.
pub fn connect(listeners: u64, connections: u64, udp: u64) -> Command {
    command(&["connect", &listeners.to_string(), &connections.to_string(), &udp.to_string()])
}

/// Takes UDP and TCP on this port.
pub fn sink(port: u16) -> Command {
    command(&["sink", &port.to_string()])
}

/// Sends UDP payload at this rate, in datagrams of 1,000 bytes.
pub fn udp(address: &str, bytes_per_second: u64) -> Command {
    command(&["udp", address, &bytes_per_second.to_string()])
}

/// Sends TCP payload at this rate.
pub fn tcp(address: &str, bytes_per_second: u64) -> Command {
    command(&["tcp", address, &bytes_per_second.to_string()])
}
